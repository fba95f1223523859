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

/* The slots in which something with @hash may be, in their order, to the empty one. */
#define for_each_probe(t, hash, i)                               \
	for (i = hash_64(hash, (t)->bits); READ_ONCE((t)->slots[i]); \
	     i = (i + 1) & (table_size(t) - 1))

#define for_each_in_use(t, i)                 \
	for (i = 0; i < table_size(t); i++)   \
		if (in_use((t)->slots[i]))

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

	for_each_probe(t, doorbell_hash(ix, key, data), i) {
		db = READ_ONCE(t->slots[i]);
		if (in_use(db) && db->key == key && db->data == data)
			return db;
	}

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
	u64 data;
	u32 i;

	for_each_probe(t, key_hash(ix, addr, len), i) {
		key = READ_ONCE(t->slots[i]);
		if (!in_use(key) || key->addr != addr || key->len != len)
			continue;
		/* A length that has a key is one that has a value. */
		data = key->mask ? written_value(len, val) & key->mask : 0;
		db = find_doorbell(ix, key, data);
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
	struct kvmfd_key *key;
	u32 i;

	if (!ix)
		return NULL;

	for_each_probe(&ix->keys, key_hash(ix, addr, len), i) {
		key = ix->keys.slots[i];
		if (in_use(key) && key->addr == addr && key->len == len &&
		    (!mask || key->mask == *mask))
			return key;
	}

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
	u32 i;

	/* All bits that count for the key's doorbells are known. */
	if ((key->mask & mask) == key->mask)
		return find_doorbell(ix, key, data & key->mask);

	for_each_in_use(&ix->doorbells, i) {
		db = ix->doorbells.slots[i];
		if (db->key == key && !((db->data ^ data) & key->mask & mask))
			return true;
	}

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

	for_each_probe(&ix->keys, key_hash(ix, addr, len), i) {
		key = ix->keys.slots[i];
		if (in_use(key) && key->addr == addr && key->len == len &&
		    key_collides(ix, key, mask, data))
			return true;
	}

	return false;
}

/**
 * kvmfd_index_reaches_into() - is there a key within a range?
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: first address
 * @len: length in bytes
 *
 * Return: whether there is.
 */
bool kvmfd_index_reaches_into(const struct kvmfd_index *ix, u64 addr, u32 len)
{
	const struct kvmfd_key *key;
	u32 i;

	if (!ix)
		return false;

	for_each_in_use(&ix->keys, i) {
		key = ix->keys.slots[i];
		if (key->addr - addr < max(len, 1U))
			return true;
	}

	return false;
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
	u32 i = hash_64(hash, t->bits);

	while (in_use(t->slots[i]))
		i = (i + 1) & (table_size(t) - 1);
	if (!t->slots[i])
		t->used++;
	/* What a reader finds here is complete. */
	smp_store_release(&t->slots[i], what);
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
	u32 i;

	for_each_probe(t, hash, i) {
		if (t->slots[i] == what) {
			WRITE_ONCE(t->slots[i], REMOVED);
			return;
		}
	}
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
	u32 i, n = 0;

	for_each_in_use(t, i)
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
	u32 i;

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

	for_each_in_use(&old->keys, i) {
		key = old->keys.slots[i];
		insert(&new->keys, key_hash(new, key->addr, key->len), key);
	}
	for_each_in_use(&old->doorbells, i) {
		db = old->doorbells.slots[i];
		insert(&new->doorbells, doorbell_hash(new, db->key, db->data), db);
	}

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
	while (ix && *cursor < table_size(&ix->doorbells)) {
		struct kvmfd_doorbell *db = ix->doorbells.slots[(*cursor)++];

		if (in_use(db))
			return db;
	}

	return NULL;
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
