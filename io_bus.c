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

#include "edit.h"

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

static bool range_before(const struct kvm_io_range *range, const struct kvm_io_range *r)
{
	return range->addr < r->addr || (range->addr == r->addr && range->len <= r->len);
}

static bool is_range(const struct kvmfd_bus *b, const struct kvm_io_range *r,
		     const struct kvm_io_range *range)
{
	return r->dev == &b->dev && r->addr == range->addr && r->len == range->len;
}

static bool fits(const struct kvmfd_spare *s, int room)
{
	return s->array && s->room >= room;
}

/**
 * kvmfd_bus_recycle() - an array is at hand for another edit
 * @b: the bus
 * @array: one that was on it; no vCPU can be in it any more
 */
void kvmfd_bus_recycle(struct kvmfd_bus *b, struct kvm_io_bus *array)
{
	struct kvmfd_spare *s = &b->spare[b->spare[1].room < b->spare[0].room];

	if (fits(s, array->dev_count)) {
		kfree(array);
		return;
	}

	kfree(s->array);
	*s = (struct kvmfd_spare) { array, array->dev_count };
}

/**
 * kvmfd_bus_free() - free what is kept for further edits
 * @p: an attachment that has ended
 */
void kvmfd_bus_free(struct kvmfd *p)
{
	int i;

	for (i = 0; i < KVM_NR_BUSES; i++) {
		kfree(p->bus[i].spare[0].array);
		kfree(p->bus[i].spare[1].array);
		memset(p->bus[i].spare, 0, sizeof(p->bus[i].spare));
	}
}

/* How large an array does the edit need?  Nobody knows how many are tombstones. */
static int room_for(const struct kvmfd_bus *b, const struct kvm_io_bus *bus,
		    const struct kvmfd_bus_edit *be)
{
	return bus->dev_count + be->nr_add - (b->buried ? 0 : be->nr_drop);
}

/* Is there one for the next edit?  If so it is the first. */
static bool have_spare(struct kvmfd_bus *b, int room)
{
	if (!fits(&b->spare[0], room))
		swap(b->spare[0], b->spare[1]);

	return fits(&b->spare[0], room);
}

/**
 * kvmfd_bus_prepare() - have memory for an edit
 * @p: the attachment, pinned
 * @idx: the bus
 * @be: the edit
 *
 * Without kvm->slots_lock.
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_bus_prepare(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_bus_edit *be)
{
	struct kvmfd_bus *b = &p->bus[idx];
	const struct kvm_io_bus *bus;
	struct kvm_io_bus *array;
	int srcu, room;

	lockdep_assert_held(&p->lock);

	srcu = srcu_read_lock(&p->kvm->srcu);
	bus = srcu_dereference(p->kvm->buses[idx], &p->kvm->srcu);
	room = bus ? room_for(b, bus, be) : 0;
	srcu_read_unlock(&p->kvm->srcu, srcu);

	if (have_spare(b, room))
		return 0;

	/* Not kvmalloc(), not a cache: KVM will kfree() it. */
	array = kmalloc(struct_size(array, range, room), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!array)
		return -ENOMEM;

	kfree(b->spare[0].array);
	b->spare[0] = (struct kvmfd_spare) { array, room };
	return 0;
}

/**
 * kvmfd_bus_may_change() - can the edit be made now?
 * @p: the attachment, pinned, kvm->slots_lock held
 * @idx: the bus
 * @be: the edit
 *
 * Return: 0; -EAGAIN (kvmfd_bus_prepare() first; an edit that only removes can also
 * do without); if there are ranges to add -ENOMEM (KVM has lost the bus), -ENOSPC
 * (KVM's limit on devices other than ioeventfds has been passed).
 */
int kvmfd_bus_may_change(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_bus_edit *be)
{
	const struct kvm_io_bus *bus = bus_get(p->kvm, idx);
	struct kvmfd_bus *b = &p->bus[idx];

	if (!bus)
		return be->nr_add ? -ENOMEM : 0;
	if (be->nr_add && bus->dev_count - bus->ioeventfd_count > NR_IOBUS_DEVS - 1)
		return -ENOSPC;

	return have_spare(b, room_for(b, bus, be)) ? 0 : -EAGAIN;
}

/* @nr is less than 0 if ranges go. */
static void ranges_changed(struct kvmfd_bus *b, int nr)
{
	struct kvmfd *p = b->owner;

	lockdep_assert_held(&p->state_lock);

	b->nr_ranges += nr;
	p->nr_ranges += nr;
	/* This need not be the end.  Without a key: who polls looks, and does not believe it. */
	if (nr && !p->nr_ranges)
		wake_up(&p->over);
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
		WRITE_ONCE(b->lost, true);
		while (kvmfd_doorbell_unlist_some(b, &cursor)) {
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
	struct kvm_io_bus *new = b->spare[0].array;

	*new = *old;
	new->dev_count = 0;
	return new;
}

static void append(struct kvm_io_bus *new, const struct kvm_io_range *ranges, int nr)
{
	if (!nr)
		return;
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
	b->spare[0].array->ioeventfd_count += nr;
	rcu_assign_pointer(p->kvm->buses[idx], b->spare[0].array);
	kvmfd_retire(p, old, struct_size(old, range, old->dev_count), b);
	b->spare[0] = (struct kvmfd_spare) {};
	b->buried = false;
}

/* The place of a range of ours at or behind old->range[from], or -1: it is not there. */
static int find_range(struct kvmfd_bus *b, const struct kvm_io_bus *old, int from,
		      const struct kvm_io_range *range)
{
	int low = from, high = old->dev_count, i;

	/* Often it is the very next. */
	if (low < high && is_range(b, &old->range[low], range))
		return low;

	while (low < high) {
		int mid = low + (high - low) / 2;

		if (range_before(range, &old->range[mid]))
			high = mid;
		else
			low = mid + 1;
	}
	if (low < old->dev_count && is_range(b, &old->range[low], range))
		return low;

	/* KVM's own ranges need not be sorted. */
	for (i = from; i < old->dev_count; i++)
		if (is_range(b, &old->range[i], range))
			return i;

	return -1;
}

static bool next_is_add(const struct kvmfd_bus_edit *be, int a, int d)
{
	return a < be->nr_add &&
	       (d == be->nr_drop || range_before(&be->add[a], &be->drop[d]));
}

/* How many, from be->add[@a] on, come before @next?  What is dropped is not before it. */
static int adds_until(const struct kvmfd_bus_edit *be, int a, const struct kvm_io_range *next)
{
	int n = 1;

	if (!next)
		return be->nr_add - a;
	while (a + n < be->nr_add && range_before(&be->add[a + n], next))
		n++;

	return n;
}

/* How many, from be->drop[@d] on, are next to each other at @r?  Nothing stays between. */
static int drops_together(const struct kvmfd_bus_edit *be, int d,
			  const struct kvm_io_range *r, int room)
{
	const struct kvm_io_range *drop = &be->drop[d];
	int n = 1, max = min(be->nr_drop - d, room);

	while (n < max && r[n].addr == drop[n].addr && r[n].len == drop[n].len &&
	       r[n].dev == drop[n].dev)
		n++;

	return n;
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

/**
 * kvmfd_bus_change() - add ranges and remove others
 * @p: the attachment, pinned, kvm->slots_lock held; if there are ranges to add
 *	kvmfd_bus_may_change() said 0
 * @idx: the bus
 * @be: the ranges
 *
 * Removing needs no memory, but does better if kvmfd_bus_prepare() got some.  A bus
 * that KVM has lost is fine: the ranges went with it.
 *
 * kvmfd_settle() or kvmfd_settle_lazily() must follow, without kvm->slots_lock.
 */
void kvmfd_bus_change(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_bus_edit *be)
{
	struct kvm_io_bus *old = bus_get(p->kvm, idx), *new = NULL;
	int done = 0, to, n, nr = 0, a = 0, d = 0;
	struct kvmfd_bus *b = &p->bus[idx];

	lockdep_assert_held(&p->lock);

	if (!old)
		return;
	if (fits(&b->spare[0], room_for(b, old, be)))
		new = edit_begin(b, old);

	/*
	 * Nothing in front of a range of ours comes behind it in our order, KVM's own
	 * ranges included: so one walk does, whatever KVM's order is.
	 */
	while (a < be->nr_add || d < be->nr_drop) {
		if (next_is_add(be, a, d)) {
			for (to = done; to < old->dev_count; to++)
				if (range_before(&be->add[a], &old->range[to]))
					break;
			append_old(b, new, old, done, to);
			n = adds_until(be, a, to < old->dev_count ? &old->range[to] : NULL);
			append(new, &be->add[a], n);
			done = to;
			nr += n;
			a += n;
			continue;
		}

		n = 1;
		to = find_range(b, old, done, &be->drop[d]);
		/* It is there for as long as the bus is. */
		if (!WARN_ON_ONCE(to < 0) && new) {
			append_old(b, new, old, done, to);
			n = drops_together(be, d, &old->range[to], old->dev_count - to);
			done = to + n;
			nr -= n;
		} else if (to >= 0) {
			bury(b, &old->range[to]);
			done = to + 1;
		}
		d += n;
	}

	if (new) {
		append_old(b, new, old, done, old->dev_count);
		edit_end(p, idx, old, nr);
	}
}

/* If there are any, of whichever attachment, and there was memory for it. */
static void drop_tombstones(struct kvmfd *p, enum kvm_bus idx, struct kvm_io_bus *old)
{
	struct kvmfd_bus *b = &p->bus[idx];
	int first = 0;

	if (!b->buried)
		return;
	while (first < old->dev_count && old->range[first].dev != &tombstone)
		first++;
	if (first < old->dev_count && fits(&b->spare[0], old->dev_count)) {
		append_old(b, edit_begin(b, old), old, 0, old->dev_count);
		edit_end(p, idx, old, 0);
	}
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

	if (!bus)
		return;
	for (i = 0; b->nr_ranges && i < bus->dev_count; i++)
		if (bus->range[i].dev == &b->dev)
			bury(b, &bus->range[i]);
	drop_tombstones(p, idx, bus);
}
