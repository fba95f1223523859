/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an index is made of: for index.c, which edits it, and hit.c, where guests'
 * writes look things up.
 */
#ifndef KVMFD_INDEX_H
#define KVMFD_INDEX_H

#include <linux/hash.h>

#include "kvmfd.h"

/* In a slot whose key or doorbell has been removed: what no write hits. */
extern struct kvmfd_doorbell kvmfd_removed_mark;
#define REMOVED ((void *)&kvmfd_removed_mark)

/**
 * struct table - a hash table with open addressing
 * @mask: of a slot's number
 * @shift: from a hash to a slot's number
 * @used: slots that are not empty
 * @nr: of those, the ones that have something in them still
 * @seed: makes the order unpredictable
 * @slots: the slots
 */
struct table {
	u32 mask;
	u32 shift;
	u32 used;
	u32 nr;
	u64 seed;
	void **slots;
};

/**
 * struct kvmfd_index - the doorbells of a bus
 * @keys: of struct kvmfd_key
 * @doorbells: of struct kvmfd_doorbell
 * @slots: of both
 *
 * What readers use is constant once the index is published, other than @slots.
 */
struct kvmfd_index {
	struct table keys;
	struct table doorbells;
	void *slots[];
};

static inline bool in_use(const void *what)
{
	return what && what != REMOVED;
}

/*
 * The slots that something may be in begin with its hash's, and end before the first
 * empty one.
 */
static inline unsigned long first_slot(const struct table *t, u64 hash)
{
	return hash * GOLDEN_RATIO_64 >> t->shift;
}

static inline unsigned long next_slot(const struct table *t, unsigned long i)
{
	return (i + 1) & t->mask;
}

static inline void *slot(const struct table *t, unsigned long i)
{
	return READ_ONCE(t->slots[i]);
}

static inline u64 key_hash(const struct kvmfd_index *ix, u64 addr)
{
	return addr ^ ix->keys.seed;
}

static inline u64 doorbell_hash(const struct kvmfd_index *ix, const struct kvmfd_key *key,
				u64 data)
{
	return (data + (unsigned long)key) ^ ix->doorbells.seed;
}

static inline struct kvmfd_doorbell *find_doorbell(const struct kvmfd_index *ix,
						   const struct kvmfd_key *key, u64 data)
{
	const struct table *t = &ix->doorbells;
	struct kvmfd_doorbell *db;
	unsigned long i;

	for (i = first_slot(t, doorbell_hash(ix, key, data)); (db = slot(t, i));
	     i = next_slot(t, i))
		if (db->key == key && db->data == data)
			return db;

	return NULL;
}

/* A wildcard shares its key with nobody. */
static inline struct kvmfd_doorbell *wildcard_of(struct kvmfd_key *key)
{
	return container_of(key, struct kvmfd_doorbell, own_key);
}

#endif /* KVMFD_INDEX_H */
