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
 * Inserting is reserve (can fail), then insert (cannot).  Removing cannot fail
 * and needs no memory: the copy is made in the array that the last edit retired.
 * Should KVM have grown the bus beyond that meanwhile and no memory be left,
 * the entry stays in the array and its pointer goes to a device that never
 * matches, until a later edit drops it.
 *
 * An edit has taken effect when kvmfd_bus_settle() returns.
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

/* Makes the spare hold at least @room ranges.  Leaves it alone when it cannot. */
static int bus_make_spare(struct kvmfd_bus *b, int room)
{
	struct kvm_io_bus *spare;

	if (b->spare && b->spare_room >= room)
		return 0;

	/* Not kvmalloc(), not a cache: KVM will kfree() it. */
	spare = kmalloc(struct_size(spare, range, room),
			GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!spare)
		return -ENOMEM;

	kfree(b->spare);
	b->spare = spare;
	b->spare_room = room;
	return 0;
}

/* The index of the first range above (@addr, @len). */
static int bus_position(const struct kvm_io_bus *bus, gpa_t addr, int len)
{
	int low = 0, high = bus->dev_count;

	while (low < high) {
		int mid = low + (high - low) / 2;
		const struct kvm_io_range *r = &bus->range[mid];

		if (r->addr < addr || (r->addr == addr && r->len <= len))
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

/* Appends old->range[from..to) to @new, all but the tombstones. */
static void bus_append(struct kvm_io_bus *new, const struct kvm_io_bus *old,
		       int from, int to)
{
	int i;

	for (i = from; i < to; i++) {
		if (old->range[i].dev == &tombstone) {
			/* Our caller's open file keeps the module here. */
			module_put(THIS_MODULE);
			new->ioeventfd_count--;
			continue;
		}
		new->range[new->dev_count++] = old->range[i];
	}
}

/* Makes the spare an empty copy of @old, to be filled and published. */
static struct kvm_io_bus *bus_begin(struct kvmfd_bus *b, const struct kvm_io_bus *old)
{
	struct kvm_io_bus *new = b->spare;

	*new = *old;
	new->dev_count = 0;
	return new;
}

static void bus_publish(struct kvmfd *p, enum kvm_bus idx, struct kvm_io_bus *old)
{
	struct kvmfd_bus *b = &p->bus[idx];

	WARN_ON_ONCE(b->retired);
	rcu_assign_pointer(p->kvm->buses[idx], b->spare);
	b->spare = NULL;
	b->spare_room = 0;
	b->retired = old;
	b->edited = true;
}

/**
 * kvmfd_bus_reserve() - make sure that one device can be inserted
 * @p: the attachment, pinned
 * @idx: the bus
 *
 * Holds until kvm->slots_lock is dropped.  Nothing needs to be undone if the
 * device is not inserted after all.
 *
 * Return: 0, -ENOMEM (also when KVM has lost the bus), -ENOSPC (KVM's limit on
 * devices other than ioeventfds has been passed).
 */
int kvmfd_bus_reserve(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvm_io_bus *bus;

	lockdep_assert_held(&p->lock);

	bus = bus_get(p->kvm, idx);
	if (!bus)
		return -ENOMEM;
	if (bus->dev_count - bus->ioeventfd_count > NR_IOBUS_DEVS - 1)
		return -ENOSPC;

	return bus_make_spare(&p->bus[idx], bus->dev_count + 1);
}

/**
 * kvmfd_bus_insert() - put a device on a bus
 * @p: the attachment, pinned
 * @idx: the bus, on which kvmfd_bus_reserve() has succeeded
 * @addr: first address, in bytes or ports
 * @len: bytes or ports
 * @dev: the device
 *
 * kvmfd_bus_settle() must follow, without kvm->slots_lock.
 */
void kvmfd_bus_insert(struct kvmfd *p, enum kvm_bus idx, gpa_t addr, int len,
		      struct kvm_io_device *dev)
{
	struct kvm_io_bus *old = bus_get(p->kvm, idx), *new;
	int pos = bus_position(old, addr, len);

	lockdep_assert_held(&p->lock);

	new = bus_begin(&p->bus[idx], old);
	bus_append(new, old, 0, pos);
	new->range[new->dev_count++] = (struct kvm_io_range) {
		.addr = addr,
		.len = len,
		.dev = dev,
	};
	/* Counted as KVM counts its own: not against NR_IOBUS_DEVS. */
	new->ioeventfd_count++;
	bus_append(new, old, pos, old->dev_count);
	bus_publish(p, idx, old);
}

/**
 * kvmfd_bus_remove() - take a device, or all of an attachment's, off a bus
 * @p: the attachment, pinned
 * @idx: the bus
 * @dev: the device, or NULL for every doorbell of @p's
 *
 * Cannot fail.  A bus that KVM has lost, or a device that is not there, is fine:
 * its destructor has run.  kvmfd_bus_settle() must follow, without
 * kvm->slots_lock, before the device is freed.
 */
void kvmfd_bus_remove(struct kvmfd *p, enum kvm_bus idx, struct kvm_io_device *dev)
{
	struct kvm_io_bus *bus = bus_get(p->kvm, idx);
	struct kvmfd_bus *b = &p->bus[idx];
	int i, stay = 0;
	bool found = false;

	lockdep_assert_held(&p->lock);

	if (!bus)
		return;

	for (i = 0; i < bus->dev_count; i++) {
		struct kvm_io_device **entry = &bus->range[i].dev;

		if (dev ? *entry == dev : kvmfd_doorbell_owns(p, *entry)) {
			/* Readers see the one or the other. */
			WRITE_ONCE(*entry, &tombstone);
			__module_get(THIS_MODULE);
			found = true;
		} else if (*entry != &tombstone) {
			stay++;
		}
	}
	if (!found)
		return;

	b->edited = true;
	if (bus_make_spare(b, stay))
		return;

	bus_append(bus_begin(b, bus), bus, 0, bus->dev_count);
	bus_publish(p, idx, bus);
}

/**
 * kvmfd_bus_settle() - wait until no vCPU can be in what the edits replaced
 * @p: the attachment, pinned
 *
 * Waits for a grace period of kvm->srcu, within which a vCPU can be for as long
 * as a page fault takes, so kvm->slots_lock must not be held.
 */
void kvmfd_bus_settle(struct kvmfd *p)
{
	bool edited = false;
	int i;

	lockdep_assert_held(&p->lock);

	for (i = 0; i < KVM_NR_BUSES; i++)
		edited |= p->bus[i].edited;
	if (!edited)
		return;

	synchronize_srcu_expedited(&p->kvm->srcu);

	for (i = 0; i < KVM_NR_BUSES; i++) {
		struct kvmfd_bus *b = &p->bus[i];

		b->edited = false;
		if (!b->retired)
			continue;
		b->spare = b->retired;
		b->spare_room = b->retired->dev_count;
		b->retired = NULL;
	}
}

/**
 * kvmfd_bus_free() - free what is kept for further edits
 * @p: the attachment, settled
 */
void kvmfd_bus_free(struct kvmfd *p)
{
	int i;

	for (i = 0; i < KVM_NR_BUSES; i++)
		kfree(p->bus[i].spare);
}
