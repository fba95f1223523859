// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ranges of an edit: what KVM's buses have to be told of its doorbells.
 *
 * A bus knows of a range as long as there is any doorbell at its address and length.
 * They are collected while the doorbells are staged, sorted, and then go to the bus all
 * at once.
 */
#include <linux/sort.h>

#include "edit.h"

/**
 * kvmfd_range_note() - an edit adds or removes a range
 * @e: the edit
 * @idx: the bus
 * @addr: its address
 * @len: its length
 * @ranges: &kvmfd_bus_edit.add or &kvmfd_bus_edit.drop, with room for it
 * @nr: how many are there, one more in the end
 */
void kvmfd_range_note(struct kvmfd_edit *e, enum kvm_bus idx, u64 addr, u32 len,
		      struct kvm_io_range *ranges, int *nr)
{
	ranges[(*nr)++] = (struct kvm_io_range) {
		.addr = addr,
		.len = len,
		.dev = &e->p->bus[idx].dev,
	};
	e->nr_ranges++;
}

/* A range that has been emptied may have been filled again. */
static void forget_drops(struct kvmfd_edit *e, enum kvm_bus idx)
{
	struct kvmfd_bus_edit *be = &e->bus[idx];
	const struct kvmfd_index *ix = be->index;
	int i, nr = 0;

	for (i = 0; i < be->nr_drop; i++)
		if (!kvmfd_index_has(ix, be->drop[i].addr, be->drop[i].len))
			be->drop[nr++] = be->drop[i];
	e->nr_ranges -= be->nr_drop - nr;
	be->nr_drop = nr;
}

static int range_cmp(const void *a, const void *b)
{
	const struct kvm_io_range *r = a, *s = b;

	if (r->addr != s->addr)
		return r->addr < s->addr ? -1 : 1;

	return r->len - s->len;
}

/* They mostly come in order. */
static void sort_ranges(struct kvm_io_range *ranges, int nr)
{
	int i;

	for (i = 1; i < nr; i++) {
		if (range_cmp(&ranges[i - 1], &ranges[i]) > 0) {
			sort(ranges, nr, sizeof(*ranges), range_cmp, NULL);
			return;
		}
	}
}

/**
 * kvmfd_ranges_finish() - all have been noted
 * @e: the edit
 */
void kvmfd_ranges_finish(struct kvmfd_edit *e)
{
	int idx;

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		struct kvmfd_bus_edit *be = &e->bus[idx];

		if (be->nr_drop && e->new_doorbells)
			forget_drops(e, idx);
		if (be->nr_add > 1)
			sort_ranges(be->add, be->nr_add);
		if (be->nr_drop > 1)
			sort_ranges(be->drop, be->nr_drop);
	}

	kvmfd_fast_mmio_note(e);
}

static int prepare_ranges(struct kvmfd_edit *e)
{
	int idx, ret;

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		const struct kvmfd_bus_edit *be = &e->bus[idx];

		if (!be->nr_add && !be->nr_drop)
			continue;
		/* Without memory a range goes, too, but leaves its place behind. */
		ret = kvmfd_bus_prepare(e->p, idx, be);
		if (ret && be->nr_add)
			return ret;
	}

	return 0;
}

static int may_change(struct kvmfd_edit *e, bool prepared)
{
	int idx, ret;

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		const struct kvmfd_bus_edit *be = &e->bus[idx];

		if (!be->nr_add && !be->nr_drop)
			continue;
		ret = kvmfd_bus_may_change(e->p, idx, be);
		if (ret && (be->nr_add || !prepared))
			return ret;
	}

	return 0;
}

/**
 * kvmfd_ranges_lock() - the last thing that can fail
 * @e: the edit, staged
 *
 * With kvm->slots_lock held if it succeeds and KVM's buses are to change;
 * kvmfd_ioeventfd_commit() drops it.
 *
 * Return: 0, -ENOMEM, -ENOSPC (KVM's limit on devices other than ioeventfds has
 * been passed).
 */
int kvmfd_ranges_lock(struct kvmfd_edit *e)
{
	struct mutex *slots_lock = &e->p->kvm->slots_lock;
	bool prepared = false;
	int ret;

	if (!e->nr_ranges)
		return 0;

	/* What earlier edits have left over may be enough. */
	mutex_lock(slots_lock);
	while ((ret = may_change(e, prepared)) == -EAGAIN) {
		mutex_unlock(slots_lock);
		ret = prepare_ranges(e);
		if (ret)
			return ret;
		prepared = true;
		mutex_lock(slots_lock);
	}
	if (ret)
		mutex_unlock(slots_lock);

	return ret;
}

/**
 * kvmfd_range_remove() - remove a range by itself
 * @p: the attachment, pinned, &kvmfd.lock held
 * @idx: the bus
 * @addr: its address
 * @len: its length
 *
 * Without memory it goes, too, but leaves its place behind.
 */
void kvmfd_range_remove(struct kvmfd *p, enum kvm_bus idx, u64 addr, u32 len)
{
	struct kvm_io_range range = { .addr = addr, .len = len, .dev = &p->bus[idx].dev };
	const struct kvmfd_bus_edit be = { .drop = &range, .nr_drop = 1 };
	struct mutex *slots_lock = &p->kvm->slots_lock;

	mutex_lock(slots_lock);
	if (kvmfd_bus_may_change(p, idx, &be) == -EAGAIN) {
		mutex_unlock(slots_lock);
		kvmfd_bus_prepare(p, idx, &be);
		mutex_lock(slots_lock);
	}
	kvmfd_bus_change(p, idx, &be);
	mutex_unlock(slots_lock);
}
