// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of hits, one for each CPU, so that vCPUs that ring do not fight for
 * them.  The per-CPU allocator is slow, so it is asked for many at once.
 */
#include <linux/percpu.h>
#include <linux/slab.h>

#include "kvmfd.h"

/**
 * struct kvmfd_counters - as many counters as a long has bits
 * @link: in &kvmfd.counters
 * @free: a bit for each that nobody has
 * @counts: the counters
 */
struct kvmfd_counters {
	struct list_head link;
	unsigned long free;
	u64 __percpu *counts;
};

static void counters_free(struct kvmfd_counters *c)
{
	list_del(&c->link);
	free_percpu(c->counts);
	kfree(c);
}

static struct kvmfd_counters *counters_create(struct kvmfd *p)
{
	struct kvmfd_counters *c = kmalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return NULL;

	c->counts = __alloc_percpu_gfp(BITS_PER_LONG * sizeof(u64), sizeof(u64),
				       GFP_KERNEL_ACCOUNT);
	if (!c->counts) {
		kfree(c);
		return NULL;
	}

	c->free = ~0UL;
	list_add(&c->link, &p->counters);
	return c;
}

/**
 * kvmfd_counter_get() - give a doorbell a counter, at 0
 * @p: the attachment, &kvmfd.lock held
 * @db: the doorbell
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_counter_get(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	struct kvmfd_counters *c;
	unsigned int i;
	int cpu;

	lockdep_assert_held(&p->lock);

	c = list_first_entry_or_null(&p->counters, struct kvmfd_counters, link);
	if (!c || !c->free)
		c = counters_create(p);
	if (!c)
		return -ENOMEM;

	i = __ffs(c->free);
	__clear_bit(i, &c->free);
	if (!c->free)
		list_move_tail(&c->link, &p->counters);

	db->counters = c;
	db->hits = c->counts + i;
	for_each_possible_cpu(cpu)
		WRITE_ONCE(*per_cpu_ptr(db->hits, cpu), 0);

	return 0;
}

/**
 * kvmfd_counter_put() - take it back
 * @p: the attachment; &kvmfd.lock is held, or nobody else is left
 * @db: a doorbell that cannot be hit any more
 */
void kvmfd_counter_put(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	struct kvmfd_counters *c = db->counters;

	__set_bit(db->hits - c->counts, &c->free);
	list_move(&c->link, &p->counters);
	/* The last ones stay, for the doorbell that comes next. */
	if (!~c->free && !list_is_singular(&p->counters))
		counters_free(c);
}

/**
 * kvmfd_counters_free() - free what is kept for further doorbells
 * @p: the attachment, which nobody else has any more
 */
void kvmfd_counters_free(struct kvmfd *p)
{
	struct kvmfd_counters *c, *next;

	list_for_each_entry_safe(c, next, &p->counters, link)
		counters_free(c);
}

/**
 * kvmfd_counter_sum() - how often has a doorbell been hit?
 * @db: the doorbell
 *
 * Return: the hits on all CPUs.
 */
u64 kvmfd_counter_sum(const struct kvmfd_doorbell *db)
{
	u64 hits = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		hits += READ_ONCE(*per_cpu_ptr(db->hits, cpu));

	return hits;
}
