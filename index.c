// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which doorbell does a write hit?
 *
 * KVM's bus tells only that a write may be ours.  The answer is in an index of
 * two hash tables, which vCPU threads read under kvm->srcu: keys, by address, and
 * doorbells, by key and data.  All doorbells of a bus that differ in nothing but
 * data share a key, so however many they are, a hit is a look-up in the one and a
 * look-up in the other.
 *
 * The tables have open addressing with linear probing.  A slot is empty, or has
 * a pointer, or says that it once had one, so removing needs no memory: the slot
 * is free for the next insert, and the mark goes when a full index is replaced
 * by a new one.  What is removed is freed after a grace period of kvm->srcu.
 *
 * kvmfd.lock protects it against other writers.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "index.h"

/* Slots of the smallest table.  At most three quarters of a table are in use. */
#define MIN_BITS 3

/* A length that nobody writes, and a key that nobody has. */
struct kvmfd_doorbell kvmfd_removed_mark = { .own_key = { .len = U32_MAX } };
static_assert(!offsetof(struct kvmfd_doorbell, own_key));

/* Of a bus that has none: readers find one in any case. */
static void *no_slots[2];
struct kvmfd_index kvmfd_no_index = {
	.keys = { .mask = 1, .shift = 63, .slots = no_slots },
	.doorbells = { .mask = 1, .shift = 63, .slots = no_slots },
};

static u32 table_size(const struct table *t)
{
	return t->mask + 1;
}

/* For a walk through all that is in a table, with @cursor from 0 on. */
static void *next_in_use(const struct table *t, u32 *cursor)
{
	while (*cursor < table_size(t)) {
		void *what = t->slots[(*cursor)++];

		if (in_use(what))
			return what;
	}

	return NULL;
}

/* The key with @mask at an address and length, or with any if @mask is NULL. */
static struct kvmfd_key *find_key(const struct kvmfd_index *ix, u64 addr, u32 len,
				  const u64 *mask)
{
	const struct table *t = &ix->keys;
	struct kvmfd_key *key;
	unsigned long i;

	for (i = first_slot(t, key_hash(ix, addr)); (key = slot(t, i)); i = next_slot(t, i))
		if (key != REMOVED && key->addr == addr && key->len == len &&
		    (!mask || key->mask == *mask))
			return key;

	return NULL;
}

/**
 * kvmfd_index_has() - is there any doorbell at an address and length?
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: the address
 * @len: the length
 *
 * Return: whether there is.
 */
bool kvmfd_index_has(const struct kvmfd_index *ix, u64 addr, u32 len)
{
	return ix && find_key(ix, addr, len, NULL);
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
	struct kvmfd_key *key = ix ? find_key(ix, addr, len, &mask) : NULL;

	if (!key)
		return NULL;

	return mask ? find_doorbell(ix, key, data & mask) : wildcard_of(key);
}

/* There can be a million doorbells to look at; who is killed hears of no answer. */
static bool is_killed(void)
{
	cond_resched();
	return fatal_signal_pending(current);
}

/* Would some value hit a doorbell of @key's and one with @mask and @data? */
static bool key_collides(const struct kvmfd_index *ix, const struct kvmfd_key *key,
			 u64 mask, u64 data)
{
	const struct kvmfd_doorbell *db;
	bool collides;
	u32 cursor = 0;

	if (!mask)
		return true;
	/* All bits that count for the key's doorbells are known. */
	if ((key->mask & mask) == key->mask)
		return find_doorbell(ix, key, data & key->mask);

	collides = is_killed();
	while (!collides && (db = next_in_use(&ix->doorbells, &cursor)))
		collides = db->key == key && !((db->data ^ data) & key->mask & mask);

	return collides;
}

/**
 * kvmfd_index_look() - what is there where a doorbell is to come?
 * @ix: the index, kvmfd.lock held; or NULL
 * @addr: address of the doorbell
 * @len: its length
 * @mask: its mask
 * @data: its data
 * @found: for the answer
 */
void kvmfd_index_look(const struct kvmfd_index *ix, u64 addr, u32 len, u64 mask, u64 data,
		      struct kvmfd_neighbours *found)
{
	const struct table *t;
	struct kvmfd_key *key;
	unsigned long i;

	*found = (struct kvmfd_neighbours) {};
	if (!ix)
		return;

	t = &ix->keys;
	for (i = first_slot(t, key_hash(ix, addr)); (key = slot(t, i)); i = next_slot(t, i)) {
		if (key == REMOVED || key->addr != addr)
			continue;
		if (key->len != len) {
			/* Any length is each of them. */
			found->collides |= !key->len || !len;
			continue;
		}
		found->masks++;
		if (key->mask == mask)
			found->key = key;
		if (!found->collides)
			found->collides = key_collides(ix, key, mask, data);
	}
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
	unsigned long i = first_slot(t, hash);

	while (in_use(slot(t, i)))
		i = next_slot(t, i);
	if (!slot(t, i))
		t->used++;
	t->nr++;
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
		insert(&ix->keys, key_hash(ix, key->addr), key);
}

static void remove(struct table *t, u64 hash, const void *what)
{
	unsigned long i = first_slot(t, hash);

	while (slot(t, i) != what)
		i = next_slot(t, i);
	WRITE_ONCE(t->slots[i], REMOVED);
	t->nr--;
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
		remove(&ix->keys, key_hash(ix, key->addr), key);
}

static u32 bits_for(u32 n)
{
	return max_t(u32, MIN_BITS, order_base_2(n + n / 3 + 1));
}

static struct table new_table(u32 bits, void **slots)
{
	return (struct table) {
		.mask = (1U << bits) - 1,
		.shift = 64 - bits,
		.seed = get_random_u64(),
		.slots = slots,
	};
}

/* All slots are empty if @flags say so. */
static struct kvmfd_index *index_alloc(u32 key_bits, u32 doorbell_bits, gfp_t flags)
{
	struct kvmfd_index *ix;

	ix = kvmalloc(struct_size(ix, slots, (1UL << key_bits) + (1UL << doorbell_bits)),
		      GFP_KERNEL_ACCOUNT | __GFP_NOWARN | flags);
	if (!ix)
		return NULL;

	ix->keys = new_table(key_bits, ix->slots);
	ix->doorbells = new_table(doorbell_bits, ix->slots + (1UL << key_bits));
	return ix;
}

static bool is_sparse(const struct table *t, u32 extra)
{
	return (t->nr + extra) * 16 < table_size(t) && table_size(t) > 4 << MIN_BITS;
}

/* Slot by slot, with the places of what has been removed. */
static struct kvmfd_index *index_clone(const struct kvmfd_index *old)
{
	struct kvmfd_index *new = index_alloc(64 - old->keys.shift,
					      64 - old->doorbells.shift, 0);

	if (!new)
		return NULL;

	new->keys.seed = old->keys.seed;
	new->keys.used = old->keys.used;
	new->keys.nr = old->keys.nr;
	new->doorbells.seed = old->doorbells.seed;
	new->doorbells.used = old->doorbells.used;
	new->doorbells.nr = old->doorbells.nr;
	memcpy(new->slots, old->slots, kvmfd_index_size(old) - sizeof(*old));
	return new;
}

/**
 * kvmfd_index_copy() - make an index to edit
 * @old: the index to copy, kvmfd.lock held; or NULL
 * @extra: doorbells that are to be inserted
 *
 * If it has to be larger it gets room for half as many again, so that this is rare.
 * If it is far too large it gets smaller.
 *
 * Return: what kvmfd_index_free() frees, or NULL: out of memory.
 */
struct kvmfd_index *kvmfd_index_copy(const struct kvmfd_index *old, u32 extra)
{
	u32 nr_keys = old ? old->keys.nr : 0;
	u32 nr_doorbells = old ? old->doorbells.nr : 0;
	struct kvmfd_doorbell *db;
	struct kvmfd_index *new;
	struct kvmfd_key *key;
	u32 cursor = 0;

	if (kvmfd_index_has_room(old, extra) && !is_sparse(&old->doorbells, extra))
		return index_clone(old);

	new = index_alloc(bits_for(nr_keys + nr_keys / 2 + extra),
			  bits_for(nr_doorbells + nr_doorbells / 2 + extra), __GFP_ZERO);
	if (!new || !nr_keys)
		return new;

	while ((key = next_in_use(&old->keys, &cursor)))
		insert(&new->keys, key_hash(new, key->addr), key);
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
