// SPDX-License-Identifier: GPL-2.0-only
/*
 * Edits of KVM's bus arrays.
 *
 * A bus is an array sorted by address that KVM's vCPU threads search under
 * kvm->srcu.  It is changed by publishing an edited copy, under kvm->slots_lock.
 * KVM exports none of this to modules but lays the arrays out in a public
 * header, and frees and copies them without asking who made them: an array that
 * kvmfd publishes must be just such a one as KVM would have allocated.
 *
 * All ranges that kvmfd has on a bus have the same device, whose index says what
 * is there, so it is enough that KVM's search finds any range of kvmfd's that the
 * write is in.  KVM takes a range for equal to all that contain it, which is no
 * order, and its own way of inserting can hide one from the search.  kvmfd's are
 * sorted by address, then length.  Then those in front of the one that was written
 * to never compare greater, and those behind it never less (one of length 0 has no
 * other at its address): the search cannot be led astray by kvmfd's.  Before
 * KVM's own ranges with the same address and length comes kvmfd's.
 *
 * Adding is prepare (can fail), then add (cannot).  Removing cannot fail: should
 * there be no memory for the copy, the range stays in the array and its pointer
 * goes to a device that never matches, until a later edit drops it.
 *
 * A write that begins after an edit sees it; kvmfd_settle() waits for the others.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "kvmfd.h"

/*
 * Each tombstone on a bus holds a reference on this module, for its ops.  A bus
 * that dies gives it back here; we may still be in the function's last
 * instructions when the module goes, see synchronize_rcu_tasks() there.
 */
static void tombstone_destructor(struct kvm_io_device *dev)
{
	module_put(THIS_MODULE);
}

static const struct kvm_io_device_ops tombstone_ops = {
	.destructor = tombstone_destructor,
};

static struct kvm_io_device tombstone = { .ops = &tombstone_ops };

static struct kvm_io_bus *bus_get(struct kvm *kvm, enum kvm_bus idx)
{
	return rcu_dereference_protected(kvm->buses[idx],
					 lockdep_is_held(&kvm->slots_lock));
}

static bool range_before(u64 addr, u32 len, const struct kvm_io_range *r)
{
	return addr < r->addr || (addr == r->addr && len <= r->len);
}

/**
 * kvmfd_bus_recycle() - an array is at hand for the next edit
 * @b: the bus
 * @array: one that was on it; no vCPU can be in it any more
 */
void kvmfd_bus_recycle(struct kvmfd_bus *b, struct kvm_io_bus *array)
{
	if (b->next && b->next_room >= array->dev_count) {
		kfree(array);
		return;
	}

	kfree(b->next);
	b->next = array;
	b->next_room = array->dev_count;
}

/**
 * kvmfd_bus_free() - free what is kept for further edits
 * @p: the attachment, which nobody else has any more
 */
void kvmfd_bus_free(struct kvmfd *p)
{
	int i;

	for (i = 0; i < KVM_NR_BUSES; i++)
		kfree(p->bus[i].next);
}

/**
 * kvmfd_bus_prepare() - have memory for an edit
 * @p: the attachment, pinned
 * @idx: the bus
 * @nr: how many ranges are to be added
 *
 * Without kvm->slots_lock.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_bus_prepare(struct kvmfd *p, enum kvm_bus idx, int nr)
{
	struct kvmfd_bus *b = &p->bus[idx];
	const struct kvm_io_bus *bus;
	struct kvm_io_bus *next;
	int srcu, room;

	lockdep_assert_held(&p->lock);

	srcu = srcu_read_lock(&p->kvm->srcu);
	bus = srcu_dereference(p->kvm->buses[idx], &p->kvm->srcu);
	room = bus ? bus->dev_count + nr : 0;
	srcu_read_unlock(&p->kvm->srcu, srcu);

	if (b->next && b->next_room >= room)
		return 0;

	/* Not kvmalloc(), not a cache: KVM will kfree() it. */
	next = kmalloc(struct_size(next, range, room), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!next)
		return -ENOMEM;

	kfree(b->next);
	b->next = next;
	b->next_room = room;
	return 0;
}

/**
 * kvmfd_bus_may_add() - can ranges be added now?
 * @p: the attachment, pinned, kvm->slots_lock held
 * @idx: the bus
 * @nr: how many, as prepared
 *
 * Return: 0; -ENOMEM (KVM has lost the bus), -ENOSPC (KVM's limit on devices
 * other than ioeventfds has been passed), -EAGAIN (KVM has added some meanwhile:
 * prepare again).
 */
int kvmfd_bus_may_add(struct kvmfd *p, enum kvm_bus idx, int nr)
{
	const struct kvm_io_bus *bus = bus_get(p->kvm, idx);

	if (!bus)
		return -ENOMEM;
	if (bus->dev_count - bus->ioeventfd_count > NR_IOBUS_DEVS - 1)
		return -ENOSPC;

	return bus->dev_count + nr > p->bus[idx].next_room ? -EAGAIN : 0;
}

/* @nr is less than 0 if ranges go. */
static void ranges_changed(struct kvmfd_bus *b, int nr)
{
	struct kvmfd *p = b->owner;

	lockdep_assert_held(&p->state_lock);

	b->nr_ranges += nr;
	p->nr_ranges += nr;
	if (!p->nr_ranges)
		wake_up(&p->ranges_gone);
}

/**
 * kvmfd_bus_range_destroyed() - KVM has dropped a range of ours
 * @b: the bus that it was on
 *
 * From the device's destructor: the VM is going away, or KVM has lost the bus,
 * which it does when it cannot shrink it (then kvm->slots_lock is held).  With
 * the last range of all the attachment may go as soon as the lock is free.
 */
void kvmfd_bus_range_destroyed(struct kvmfd_bus *b)
{
	struct kvmfd *p = b->owner;
	u64 cursor = 0;

	spin_lock(&p->state_lock);
	if (b->nr_ranges == 1) {
		b->lost = true;
		while (kvmfd_ioeventfd_unlist(b, &cursor)) {
			spin_unlock(&p->state_lock);
			cond_resched();
			spin_lock(&p->state_lock);
		}
	}
	ranges_changed(b, -1);
	spin_unlock(&p->state_lock);
}

static struct kvm_io_bus *edit_begin(struct kvmfd_bus *b, const struct kvm_io_bus *old)
{
	struct kvm_io_bus *new = b->next;

	*new = *old;
	new->dev_count = 0;
	return new;
}

static void append(struct kvm_io_bus *new, const struct kvm_io_range *ranges, int nr)
{
	memcpy(&new->range[new->dev_count], ranges, nr * sizeof(*ranges));
	new->dev_count += nr;
}

/* Appends old->range[from..to) to @new, all but the tombstones. */
static void append_old(struct kvmfd_bus *b, struct kvm_io_bus *new,
		       const struct kvm_io_bus *old, int from, int to)
{
	if (!b->buried) {
		append(new, &old->range[from], to - from);
		return;
	}

	for (; from < to; from++) {
		if (old->range[from].dev == &tombstone) {
			/* Our caller's open file keeps the module here. */
			module_put(THIS_MODULE);
			new->ioeventfd_count--;
		} else {
			append(new, &old->range[from], 1);
		}
	}
}

/* @nr ranges more, or fewer if less than 0. */
static void edit_end(struct kvmfd *p, enum kvm_bus idx, struct kvm_io_bus *old, int nr)
{
	struct kvmfd_bus *b = &p->bus[idx];

	spin_lock(&p->state_lock);
	ranges_changed(b, nr);
	spin_unlock(&p->state_lock);

	/* Counted as KVM counts its own: not against NR_IOBUS_DEVS. */
	b->next->ioeventfd_count += nr;
	rcu_assign_pointer(p->kvm->buses[idx], b->next);
	kvmfd_retire(p, old, struct_size(old, range, old->dev_count), b);
	b->next = NULL;
	b->next_room = 0;
	b->buried = false;
}

/**
 * kvmfd_bus_add() - add ranges
 * @p: the attachment, pinned, kvm->slots_lock held, kvmfd_bus_may_add() said 0
 * @idx: the bus
 * @ranges: sorted by address and length, none of them on the bus, all with the
 *	bus's device
 * @nr: how many
 *
 * kvmfd_settle_lazily() must follow, without kvm->slots_lock.
 */
void kvmfd_bus_add(struct kvmfd *p, enum kvm_bus idx, const struct kvm_io_range *ranges,
		   int nr)
{
	struct kvm_io_bus *old = bus_get(p->kvm, idx), *new;
	struct kvmfd_bus *b = &p->bus[idx];
	int i = 0, n, done = 0;

	lockdep_assert_held(&p->lock);

	new = edit_begin(b, old);
	for (n = 0; n < nr; n++) {
		while (i < old->dev_count &&
		       !range_before(ranges[n].addr, ranges[n].len, &old->range[i]))
			i++;
		append_old(b, new, old, done, i);
		append(new, &ranges[n], 1);
		done = i;
	}
	append_old(b, new, old, done, old->dev_count);
	edit_end(p, idx, old, nr);
}

/* The place of a range of ours, or NULL. */
static struct kvm_io_range *find_range(struct kvmfd_bus *b, struct kvm_io_bus *bus,
				       u64 addr, u32 len)
{
	int low = 0, high = bus->dev_count, i;
	struct kvm_io_range *r;

	while (low < high) {
		int mid = low + (high - low) / 2;

		if (range_before(addr, len, &bus->range[mid]))
			high = mid;
		else
			low = mid + 1;
	}

	/* From the beginning if it is not there: KVM's ranges need not be sorted. */
	for (i = 0; i <= bus->dev_count; i++) {
		r = &bus->range[i ? i - 1 : low];
		if (r < &bus->range[bus->dev_count] && r->dev == &b->dev &&
		    r->addr == addr && r->len == len)
			return r;
	}

	return NULL;
}

/* Needs no memory: readers see the one device or the other. */
static void bury(struct kvmfd_bus *b, struct kvm_io_range *r)
{
	struct kvmfd *p = b->owner;

	WRITE_ONCE(r->dev, &tombstone);
	__module_get(THIS_MODULE);
	b->buried = true;
	spin_lock(&p->state_lock);
	ranges_changed(b, -1);
	spin_unlock(&p->state_lock);
}

/* If there was memory for it. */
static void drop_tombstones(struct kvmfd *p, enum kvm_bus idx, struct kvm_io_bus *old)
{
	struct kvmfd_bus *b = &p->bus[idx];

	if (b->buried && old->dev_count <= b->next_room) {
		append_old(b, edit_begin(b, old), old, 0, old->dev_count);
		edit_end(p, idx, old, 0);
	}
}

/**
 * kvmfd_bus_remove() - nothing is left at an address and length
 * @p: the attachment, pinned, kvm->slots_lock held
 * @idx: the bus
 * @addr: the address
 * @len: the length
 *
 * Cannot fail, and needs no memory, but does better if kvmfd_bus_prepare() got
 * some.  A bus that KVM has lost is fine: the range went with it.
 */
void kvmfd_bus_remove(struct kvmfd *p, enum kvm_bus idx, u64 addr, u32 len)
{
	struct kvm_io_bus *bus = bus_get(p->kvm, idx), *new;
	struct kvmfd_bus *b = &p->bus[idx];
	struct kvm_io_range *r;
	int i;

	lockdep_assert_held(&p->lock);

	r = bus ? find_range(b, bus, addr, len) : NULL;
	if (!r)
		return;

	if (b->buried || bus->dev_count > b->next_room) {
		bury(b, r);
		drop_tombstones(p, idx, bus);
		return;
	}

	i = r - bus->range;
	new = edit_begin(b, bus);
	append(new, bus->range, i);
	append(new, r + 1, bus->dev_count - i - 1);
	edit_end(p, idx, bus, -1);
}

/**
 * kvmfd_bus_remove_all() - remove all that an attachment has on a bus
 * @p: the attachment, pinned, kvm->slots_lock held
 * @idx: the bus
 */
void kvmfd_bus_remove_all(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvm_io_bus *bus = bus_get(p->kvm, idx);
	struct kvmfd_bus *b = &p->bus[idx];
	int i;

	lockdep_assert_held(&p->lock);

	if (!bus || !b->nr_ranges)
		return;
	for (i = 0; i < bus->dev_count; i++)
		if (bus->range[i].dev == &b->dev)
			bury(b, &bus->range[i]);
	drop_tombstones(p, idx, bus);
}
