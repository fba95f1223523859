// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which doorbell does a write hit?
 *
 * KVM's bus tells only that a write may be ours.  The answer is in an index of
 * two hash tables, which vCPU threads read under kvm->srcu: keys, by address and
 * length, and doorbells, by key and data.  All doorbells of a bus that differ in
 * nothing but data share a key, so however many they are, a hit is a look-up in
 * the one and a look-up in the other.
 *
 * The tables have open addressing with linear probing.  A slot is empty, or has
 * a pointer, or says that it once had one, so removing needs no memory: the slot
 * is free for the next insert, and the mark goes when a full index is replaced
 * by a new one.  What is removed is freed after a grace period of kvm->srcu.
 *
 * kvmfd.lock protects it against other writers.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "kvmfd.h"

#define REMOVED ((void *)1)

/* Slots of the smallest table.  At most three quarters of a table are in use. */
#define MIN_BITS 3

struct table {
	u32 bits;
	u32 used; /* slots that are not empty */
	void **slots;
};

/**
 * struct kvmfd_index - the doorbells of a bus
 * @seed: makes the tables' order unpredictable
 * @keys: of struct kvmfd_key
 * @doorbells: of struct kvmfd_doorbell
 * @slots: of both
 *
 * What readers use is constant once the index is published, other than @slots.
 */
struct kvmfd_index {
	u64 seed;
	struct table keys;
	struct table doorbells;
	void *slots[];
};

static u32 table_size(const struct table *t)
{
	return 1U << t->bits;
}

static bool in_use(const void *slot)
{
	return slot && slot != REMOVED;
}

/*
 * What is in the slots that something may be in, beginning with its hash's, up to
 * the first empty one.
 */
static u32 first_probe(const struct table *t, u64 hash)
{
	return hash_64(hash, t->bits);
}

static void *probe(const struct table *t, u32 i)
{
	return READ_ONCE(t->slots[i & (table_size(t) - 1)]);
}

/* For a walk through all that is in a table, with @cursor from 0 on. */
static void *next_in_use(const struct table *t, u32 *cursor)
{
	while (*cursor < table_size(t)) {
		void *slot = t->slots[(*cursor)++];

		if (in_use(slot))
			return slot;
	}

	return NULL;
}

static u64 key_hash(const struct kvmfd_index *ix, u64 addr, u32 len)
{
	return (addr ^ (u64)len << 56) ^ ix->seed;
}

static u64 doorbell_hash(const struct kvmfd_index *ix, const struct kvmfd_key *key,
			 u64 data)
{
	return (data + (unsigned long)key) ^ ix->seed;
}

static struct kvmfd_doorbell *find_doorbell(const struct kvmfd_index *ix,
					    const struct kvmfd_key *key, u64 data)
{
	const struct table *t = &ix->doorbells;
	struct kvmfd_doorbell *db;
	u32 i;

	for (i = first_probe(t, doorbell_hash(ix, key, data)); (db = probe(t, i)); i++)
		if (in_use(db) && db->key == key && db->data == data)
			return db;

	return NULL;
}

static u64 written_value(int len, const void *val)
{
	switch (len) {
	case 1:
		return *(const u8 *)val;
	case 2:
		return get_unaligned((const u16 *)val);
	case 4:
		return get_unaligned((const u32 *)val);
	default:
		return get_unaligned((const u64 *)val);
	}
}

/**
 * kvmfd_index_hit() - the doorbell that a write hits
 * @ix: the index of the bus, under kvm->srcu
 * @addr: address of the write
 * @len: its length in bytes; 0 if only a doorbell for any length will do
 * @val: what was written; not looked at if @len is 0
 *
 * Return: the only doorbell that can, by the rules of what collides, or NULL.
 */
struct kvmfd_doorbell *kvmfd_index_hit(const struct kvmfd_index *ix, u64 addr, int len,
				       const void *val)
{
	const struct table *t = &ix->keys;
	const struct kvmfd_key *key;
	struct kvmfd_doorbell *db;
	u32 i;

	for (i = first_probe(t, key_hash(ix, addr, len)); (key = probe(t, i)); i++) {
		if (!in_use(key) || key->addr != addr || key->len != len)
			continue;
		if (!key->mask)
			return container_of((void *)key, struct kvmfd_doorbell, own_key);
		/* A length that has a key is one that has a value. */
		db = find_doorbell(ix, key, written_value(len, val) & key->mask);
		if (db)
			return db;
	}

	return len ? kvmfd_index_hit(ix, addr, 0, NULL) : NULL;
}

/**
 * kvmfd_index_key() - find a key
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: its address
 * @len: its length
 * @mask: its mask, or NULL for any
 *
 * Return: the key, or NULL.
 */
struct kvmfd_key *kvmfd_index_key(const struct kvmfd_index *ix, u64 addr, u32 len,
				  const u64 *mask)
{
	const struct table *t;
	struct kvmfd_key *key;
	u32 i;

	if (!ix)
		return NULL;

	t = &ix->keys;
	for (i = first_probe(t, key_hash(ix, addr, len)); (key = probe(t, i)); i++)
		if (in_use(key) && key->addr == addr && key->len == len &&
		    (!mask || key->mask == *mask))
			return key;

	return NULL;
}

/**
 * kvmfd_index_doorbell() - find a doorbell
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: its address
 * @len: its length
 * @mask: its mask
 * @data: its data
 *
 * Return: the doorbell, or NULL.
 */
struct kvmfd_doorbell *kvmfd_index_doorbell(const struct kvmfd_index *ix, u64 addr,
					    u32 len, u64 mask, u64 data)
{
	const struct kvmfd_key *key = kvmfd_index_key(ix, addr, len, &mask);

	return key ? find_doorbell(ix, key, data & mask) : NULL;
}

/* Would some value hit a doorbell of @key's and one with @mask and @data? */
static bool key_collides(const struct kvmfd_index *ix, const struct kvmfd_key *key,
			 u64 mask, u64 data)
{
	const struct kvmfd_doorbell *db;
	u32 cursor = 0;

	if (!mask)
		return true;
	/* All bits that count for the key's doorbells are known. */
	if ((key->mask & mask) == key->mask)
		return find_doorbell(ix, key, data & key->mask);

	while ((db = next_in_use(&ix->doorbells, &cursor)))
		if (db->key == key && !((db->data ^ data) & key->mask & mask))
			return true;

	return false;
}

/**
 * kvmfd_index_collides() - would some write hit two doorbells?
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: address of the doorbell that is to come
 * @len: its length
 * @mask: its mask
 * @data: its data
 *
 * Return: whether one would, or whether KVM says so: a doorbell for any length
 * bears no other at its address.
 */
bool kvmfd_index_collides(const struct kvmfd_index *ix, u64 addr, u32 len, u64 mask,
			  u64 data)
{
	static const u8 lengths[] = { 0, 1, 2, 4, 8 };
	const struct kvmfd_key *key;
	const struct table *t;
	u32 i;

	if (!ix)
		return false;

	if (!len) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++)
			if (kvmfd_index_key(ix, addr, lengths[i], NULL))
				return true;
		return false;
	}

	if (kvmfd_index_key(ix, addr, 0, NULL))
		return true;

	t = &ix->keys;
	for (i = first_probe(t, key_hash(ix, addr, len)); (key = probe(t, i)); i++)
		if (in_use(key) && key->addr == addr && key->len == len &&
		    key_collides(ix, key, mask, data))
			return true;

	return false;
}

/**
 * kvmfd_index_masks() - how many look-ups does a write take?
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: its address
 * @len: its length
 *
 * Return: the number of different masks there.
 */
unsigned int kvmfd_index_masks(const struct kvmfd_index *ix, u64 addr, u32 len)
{
	const struct kvmfd_key *key;
	const struct table *t;
	unsigned int n = 0;
	u32 i;

	if (!ix)
		return 0;

	t = &ix->keys;
	for (i = first_probe(t, key_hash(ix, addr, len)); (key = probe(t, i)); i++)
		if (in_use(key) && key->addr == addr && key->len == len)
			n++;

	return n;
}

static bool table_has_room(const struct table *t, u32 extra)
{
	return t->used + extra <= table_size(t) / 4 * 3;
}

/**
 * kvmfd_index_has_room() - can so many doorbells be inserted?
 * @ix: the index, or NULL
 * @extra: how many, each perhaps with a key of its own
 *
 * Return: whether they can.
 */
bool kvmfd_index_has_room(const struct kvmfd_index *ix, u32 extra)
{
	return ix && table_has_room(&ix->keys, extra) &&
	       table_has_room(&ix->doorbells, extra);
}

static void insert(struct table *t, u64 hash, void *what)
{
	u32 i = first_probe(t, hash);

	while (in_use(probe(t, i)))
		i++;
	if (!probe(t, i))
		t->used++;
	/* What a reader finds here is complete. */
	smp_store_release(&t->slots[i & (table_size(t) - 1)], what);
}

/**
 * kvmfd_index_insert() - a doorbell can be hit from now on
 * @ix: an index that has room, kvmfd.lock held
 * @db: the doorbell; its key is in the index if others have it already
 */
void kvmfd_index_insert(struct kvmfd_index *ix, struct kvmfd_doorbell *db)
{
	struct kvmfd_key *key = db->key;

	insert(&ix->doorbells, doorbell_hash(ix, key, db->data), db);
	if (!key->nr++)
		insert(&ix->keys, key_hash(ix, key->addr, key->len), key);
}

static void remove(struct table *t, u64 hash, const void *what)
{
	u32 i = first_probe(t, hash);

	while (probe(t, i) != what)
		i++;
	WRITE_ONCE(t->slots[i & (table_size(t) - 1)], REMOVED);
}

/**
 * kvmfd_index_remove() - a doorbell will not be found any more
 * @ix: the index, kvmfd.lock held
 * @db: a doorbell in it.  Readers may have found it still, and its key.
 */
void kvmfd_index_remove(struct kvmfd_index *ix, struct kvmfd_doorbell *db)
{
	struct kvmfd_key *key = db->key;

	remove(&ix->doorbells, doorbell_hash(ix, key, db->data), db);
	if (!--key->nr)
		remove(&ix->keys, key_hash(ix, key->addr, key->len), key);
}

static u32 bits_for(u32 n)
{
	return max_t(u32, MIN_BITS, order_base_2(n + n / 3 + 1));
}

static u32 count(const struct table *t)
{
	u32 cursor = 0, n = 0;

	while (next_in_use(t, &cursor))
		n++;

	return n;
}

/**
 * kvmfd_index_copy() - make a larger index
 * @old: the index to copy, kvmfd.lock held; or NULL
 * @extra: doorbells that are to be inserted
 *
 * It has room for half as many again, so that copying is rare.
 *
 * Return: what kvmfd_index_free() frees, or NULL: out of memory.
 */
struct kvmfd_index *kvmfd_index_copy(const struct kvmfd_index *old, u32 extra)
{
	u32 nr_keys = old ? count(&old->keys) : 0;
	u32 nr_doorbells = old ? count(&old->doorbells) : 0;
	u32 key_bits = bits_for(nr_keys + nr_keys / 2 + extra);
	u32 doorbell_bits = bits_for(nr_doorbells + nr_doorbells / 2 + extra);
	struct kvmfd_doorbell *db;
	struct kvmfd_index *new;
	struct kvmfd_key *key;
	u32 cursor = 0;

	new = kvzalloc(struct_size(new, slots, (1UL << key_bits) + (1UL << doorbell_bits)),
		       GFP_KERNEL_ACCOUNT);
	if (!new)
		return NULL;

	new->seed = get_random_u64();
	new->keys.bits = key_bits;
	new->keys.slots = new->slots;
	new->doorbells.bits = doorbell_bits;
	new->doorbells.slots = new->slots + (1UL << key_bits);
	if (!old)
		return new;

	while ((key = next_in_use(&old->keys, &cursor)))
		insert(&new->keys, key_hash(new, key->addr, key->len), key);
	cursor = 0;
	while ((db = next_in_use(&old->doorbells, &cursor)))
		insert(&new->doorbells, doorbell_hash(new, db->key, db->data), db);

	return new;
}

/**
 * kvmfd_index_next() - walk the doorbells
 * @ix: the index, kvmfd.lock held; or NULL
 * @cursor: 0, then as left by the last call
 *
 * Return: the next one, or NULL.
 */
struct kvmfd_doorbell *kvmfd_index_next(const struct kvmfd_index *ix, u32 *cursor)
{
	return ix ? next_in_use(&ix->doorbells, cursor) : NULL;
}

/**
 * kvmfd_index_size() - how much memory it takes
 * @ix: an index
 *
 * Return: its size in bytes.
 */
size_t kvmfd_index_size(const struct kvmfd_index *ix)
{
	return struct_size(ix, slots, table_size(&ix->keys) + table_size(&ix->doorbells));
}

/**
 * kvmfd_index_free() - free an index, but not what is in it
 * @ix: an index that no reader can see, or NULL
 */
void kvmfd_index_free(struct kvmfd_index *ix)
{
	kvfree(ix);
}
