// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long an irqfd's deferred interrupts take, for who asks: KVMFD_LATENCY.
 *
 * The wake-up notes when it came if the irqfd is measured, and the worker that raises the
 * interrupt, one at a time, takes the note and counts.  An irqfd that is not measured pays
 * for the question whether it is.
 */
#include <linux/bitops.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "kvmfd.h"

/**
 * struct kvmfd_latencies - what came of a measurement
 * @rcu: for freeing it
 * @lock: protects what follows
 * @count: interrupts
 * @sum: of their latencies, in ns
 * @max: the largest, in ns
 * @buckets: as &kvmfd_latency.buckets
 */
struct kvmfd_latencies {
	struct rcu_head rcu;
	spinlock_t lock; /* all below */
	u64 count;
	u64 sum;
	u64 max;
	u64 buckets[KVMFD_LATENCY_BUCKETS];
};

/**
 * kvmfd_latency_note() - a wake-up is left to a worker
 * @irqfd: an irqfd that is measured; in any context but an NMI
 */
void kvmfd_latency_note(struct kvmfd_irqfd *irqfd)
{
	/* A time of 0 would be none. */
	cmpxchg64(&irqfd->woken, 0, ktime_get_ns() | 1);
}

/**
 * kvmfd_latency_take() - the worker begins
 * @irqfd: the irqfd
 *
 * Before it raises the interrupt: a wake-up that comes later is the next one's.
 *
 * Return: when the wake-up came, or 0 if nobody measures.
 */
u64 kvmfd_latency_take(struct kvmfd_irqfd *irqfd)
{
	return READ_ONCE(irqfd->woken) ? xchg(&irqfd->woken, 0) : 0;
}

/**
 * kvmfd_latency_end() - the interrupt has been raised
 * @irqfd: the irqfd, which may not be measured any more
 * @woken: as kvmfd_latency_take() told it
 */
void kvmfd_latency_end(struct kvmfd_irqfd *irqfd, u64 woken)
{
	u64 took = ktime_get_ns() - (woken & ~1ULL);
	struct kvmfd_latencies *l;

	rcu_read_lock();
	l = rcu_dereference(irqfd->measured);
	if (l) {
		spin_lock(&l->lock);
		l->count++;
		l->sum += took;
		l->max = max(l->max, took);
		l->buckets[min(fls64(took), KVMFD_LATENCY_BUCKETS - 1)]++;
		spin_unlock(&l->lock);
	}
	rcu_read_unlock();
}

/**
 * kvmfd_latency_free() - the end of an irqfd
 * @irqfd: nobody else has it any more
 */
void kvmfd_latency_free(struct kvmfd_irqfd *irqfd)
{
	kfree(rcu_access_pointer(irqfd->measured));
}

static struct kvmfd_irqfd *irqfd_of(struct kvmfd *p, u64 id)
{
	struct kvmfd_item *item = kvmfd_item_find(p, id);

	if (!item || item->kind != KVMFD_ENTRY_IRQFD)
		return NULL;
	return container_of(item, struct kvmfd_irqfd, item);
}

/* 0, -ENOTCONN, -ENOENT, -ENODATA; @new is NULL for no measurement, or what begins. */
static int replace(struct kvmfd *p, u64 id, struct kvmfd_latencies *new)
{
	struct kvmfd_latencies *old = NULL;
	struct kvmfd_irqfd *irqfd;
	int ret = -ENOENT;

	spin_lock(&p->state_lock);
	irqfd = irqfd_of(p, id);
	if (irqfd) {
		old = rcu_replace_pointer(irqfd->measured, new,
					  lockdep_is_held(&p->state_lock));
		ret = 0;
	} else if (!p->id) {
		ret = -ENOTCONN;
	}
	spin_unlock(&p->state_lock);

	if (old)
		kfree_rcu(old, rcu);
	return ret;
}

/**
 * kvmfd_latency_start() - measure from now on
 * @p: an open /dev/kvmfd
 * @id: an irqfd's
 *
 * Return: 0, -ENOTCONN, -ENOENT (no irqfd with this id), -ENOMEM.
 */
int kvmfd_latency_start(struct kvmfd *p, u64 id)
{
	struct kvmfd_latencies *new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!new)
		return -ENOMEM;

	spin_lock_init(&new->lock);
	ret = replace(p, id, new);
	if (ret)
		kfree(new);
	return ret;
}

/**
 * kvmfd_latency_stop() - measure no more
 * @p: an open /dev/kvmfd
 * @id: that of an irqfd, which may be gone
 */
void kvmfd_latency_stop(struct kvmfd *p, u64 id)
{
	replace(p, id, NULL);
}

/**
 * kvmfd_latency_tell() - what has come so far
 * @p: an open /dev/kvmfd
 * @args: with the id of an irqfd; the rest is filled in
 *
 * Return: 0, -ENOTCONN, -ENOENT (no irqfd with this id), -ENODATA (it is not measured).
 */
int kvmfd_latency_tell(struct kvmfd *p, struct kvmfd_latency *args)
{
	struct kvmfd_latencies *l = NULL;
	struct kvmfd_irqfd *irqfd;
	int ret = 0;

	spin_lock(&p->state_lock);
	irqfd = irqfd_of(p, args->id);
	if (irqfd)
		l = rcu_dereference_protected(irqfd->measured,
					      lockdep_is_held(&p->state_lock));
	if (l) {
		spin_lock(&l->lock);
		args->count = l->count;
		args->sum = l->sum;
		args->max = l->max;
		memcpy(args->buckets, l->buckets, sizeof(args->buckets));
		spin_unlock(&l->lock);
	} else if (irqfd) {
		ret = -ENODATA;
	} else {
		ret = p->id ? -ENOENT : -ENOTCONN;
	}
	spin_unlock(&p->state_lock);

	return ret;
}
