// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: a guest write that hits a doorbell signals an eventfd.
 *
 * The rules of what collides, what hits and what a deassign must name are KVM's,
 * to the errno.
 */
#include <linux/eventfd.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "kvmfd.h"

static struct kvmfd_doorbell *doorbell_of(struct kvm_io_device *dev)
{
	return container_of(dev, struct kvmfd_doorbell, dev);
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

static bool doorbell_hit(const struct kvmfd_doorbell *db, gpa_t addr, int len,
			 const void *val)
{
	/* The bus finds every range that the write touches; only this one rings. */
	if (addr != db->addr)
		return false;
	if (!db->len)
		return true;
	if (len != db->len)
		return false;

	return db->wildcard || written_value(len, val) == db->datamatch;
}

/**
 * kvmfd_doorbell_ring() - count a hit and signal
 * @db: a doorbell on a bus; the caller is within kvm->srcu
 */
void kvmfd_doorbell_ring(struct kvmfd_doorbell *db)
{
	this_cpu_inc(*db->hits);
	kvmfd_eventfd_signal(db->eventfd);
}

static int doorbell_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev,
			  gpa_t addr, int len, const void *val)
{
	struct kvmfd_doorbell *db = doorbell_of(dev);

	if (!doorbell_hit(db, addr, len, val))
		return -EOPNOTSUPP;

	kvmfd_doorbell_ring(db);
	return 0;
}

static void doorbell_destructor(struct kvm_io_device *dev)
{
	kvmfd_doorbell_destroyed(doorbell_of(dev));
}

static const struct kvm_io_device_ops doorbell_ops = {
	.write = doorbell_write,
	.destructor = doorbell_destructor,
};

static u64 doorbell_hits(const struct kvmfd_doorbell *db)
{
	u64 hits = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		hits += READ_ONCE(*per_cpu_ptr(db->hits, cpu));

	return hits;
}

/**
 * kvmfd_doorbell_describe() - fill in a line of the list
 * @db: the doorbell
 * @entry: all 0
 */
void kvmfd_doorbell_describe(struct kvmfd_doorbell *db, struct kvmfd_entry *entry)
{
	entry->flags = db->flags;
	entry->addr = db->addr;
	entry->len = db->len;
	entry->hits = doorbell_hits(db);
	if (!db->wildcard) {
		entry->datamatch = db->datamatch;
		entry->mask = ~0ULL;
	}
}

/**
 * kvmfd_doorbell_owns() - is a device one of an attachment's doorbells?
 * @p: the attachment
 * @dev: any device on a bus
 *
 * Return: whether it is.
 */
bool kvmfd_doorbell_owns(struct kvmfd *p, struct kvm_io_device *dev)
{
	if (dev->ops == &doorbell_ops)
		return doorbell_of(dev)->owner == p;
	if (dev->ops == &kvmfd_fast_mmio_ops)
		return container_of(dev, struct kvmfd_doorbell, fast)->owner == p;

	return false;
}

static enum kvm_bus bus_of_flags(u32 flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return KVM_PIO_BUS;
	if (flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return KVM_VIRTIO_CCW_NOTIFY_BUS;
	return KVM_MMIO_BUS;
}

static void doorbell_free(struct kvmfd_doorbell *db)
{
	eventfd_ctx_put(db->eventfd);
	free_percpu(db->hits);
	kvmfd_put(db->owner);
	kfree(db);
}

static struct kvmfd_doorbell *doorbell_create(struct kvmfd *p,
					      const struct kvm_ioeventfd *args)
{
	struct kvmfd_doorbell *db;
	int ret;

	db = kzalloc(sizeof(*db), GFP_KERNEL_ACCOUNT);
	if (!db)
		return ERR_PTR(-ENOMEM);

	db->eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(db->eventfd)) {
		ret = PTR_ERR(db->eventfd);
		goto free;
	}

	db->hits = alloc_percpu_gfp(u64, GFP_KERNEL_ACCOUNT);
	if (!db->hits) {
		ret = -ENOMEM;
		goto put_eventfd;
	}

	ret = kvmfd_item_reserve(p, &db->item, KVMFD_ENTRY_IOEVENTFD);
	if (ret)
		goto free_hits;

	db->bus = bus_of_flags(args->flags);
	db->addr = args->addr;
	db->len = args->len;
	db->wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	db->datamatch = args->datamatch;
	db->flags = args->flags;
	kvm_iodevice_init(&db->dev, &doorbell_ops);
	kvm_iodevice_init(&db->fast, &kvmfd_fast_mmio_ops);
	db->owner = p;
	kvmfd_get(p);
	return db;

free_hits:
	free_percpu(db->hits);
put_eventfd:
	eventfd_ctx_put(db->eventfd);
free:
	kfree(db);
	return ERR_PTR(ret);
}

/* From here on the doorbell is listed, and its bus devices keep it. */
static void doorbell_add(struct kvmfd *p, struct kvmfd_doorbell *db, int nr_devs)
{
	lockdep_assert_held(&p->kvm->slots_lock);

	spin_lock(&p->state_lock);
	db->nr_devs = nr_devs;
	list_add_tail(&db->link, &p->doorbells);
	p->nr_doorbells++;
	kvmfd_item_add(p, &db->item);
	spin_unlock(&p->state_lock);
}

static void doorbell_del(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	lockdep_assert_held(&p->state_lock);

	list_del(&db->link);
	p->nr_doorbells--;
	p->retired.hits += doorbell_hits(db);
	kvmfd_item_del(p, &db->item);
	if (list_empty(&p->doorbells))
		wake_up(&p->doorbells_gone);
}

/**
 * kvmfd_doorbell_destroyed() - KVM has dropped one of a doorbell's devices
 * @db: the doorbell
 *
 * From the devices' destructors: the VM is going away, or KVM has lost the bus,
 * which it does when it cannot shrink it (then kvm->slots_lock is held).  No
 * vCPU can be in the device any more.  Frees the doorbell with its last device.
 */
void kvmfd_doorbell_destroyed(struct kvmfd_doorbell *db)
{
	struct kvmfd *p = db->owner;
	bool last;

	spin_lock(&p->state_lock);
	last = !--db->nr_devs;
	if (last)
		doorbell_del(p, db);
	spin_unlock(&p->state_lock);

	if (last)
		doorbell_free(db);
}

static bool doorbells_collide(const struct kvmfd_doorbell *a,
			      const struct kvmfd_doorbell *b)
{
	if (a->bus != b->bus || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	if (a->len != b->len)
		return false;

	return a->wildcard || b->wildcard || a->datamatch == b->datamatch;
}

static bool doorbell_collides(struct kvmfd *p, const struct kvmfd_doorbell *db)
{
	const struct kvmfd_doorbell *other;

	lockdep_assert_held(&p->kvm->slots_lock);

	list_for_each_entry(other, &p->doorbells, link)
		if (doorbells_collide(other, db))
			return true;

	return false;
}

static int doorbell_insert(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	bool fast = kvmfd_fast_mmio_wanted(db);
	int ret;

	lockdep_assert_held(&p->kvm->slots_lock);

	if (doorbell_collides(p, db))
		return -EEXIST;

	ret = kvmfd_bus_reserve(p, db->bus);
	if (!ret && fast)
		ret = kvmfd_bus_reserve(p, KVM_FAST_MMIO_BUS);
	if (ret)
		return ret;

	doorbell_add(p, db, fast ? 2 : 1);
	kvmfd_bus_insert(p, db->bus, db->addr, db->len, &db->dev);
	if (fast)
		kvmfd_bus_insert(p, KVM_FAST_MMIO_BUS, db->addr, db->len, &db->fast);

	return 0;
}

static bool args_valid(const struct kvm_ioeventfd *args)
{
	switch (args->len) {
	case 0:
		/* Any width hits, so there is no value to compare. */
		if (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
			return false;
		break;
	case 1:
	case 2:
	case 4:
	case 8:
		break;
	default:
		return false;
	}

	return args->addr + args->len >= args->addr &&
	       !(args->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK);
}

static int ioeventfd_assign(struct kvmfd *p, const struct kvm_ioeventfd *args)
{
	struct kvmfd_doorbell *db;
	int ret;

	if (!args_valid(args))
		return -EINVAL;

	db = doorbell_create(p, args);
	if (IS_ERR(db))
		return PTR_ERR(db);

	mutex_lock(&p->kvm->slots_lock);
	ret = doorbell_insert(p, db);
	mutex_unlock(&p->kvm->slots_lock);

	if (ret) {
		kvmfd_item_unreserve(p, &db->item);
		doorbell_free(db);
		return ret;
	}

	/* The write that follows this call must hit. */
	kvmfd_bus_settle(p);
	return 0;
}

static struct kvmfd_doorbell *doorbell_find(struct kvmfd *p,
					    const struct kvm_ioeventfd *args,
					    const struct eventfd_ctx *eventfd)
{
	bool wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	enum kvm_bus bus = bus_of_flags(args->flags);
	struct kvmfd_doorbell *db;

	lockdep_assert_held(&p->kvm->slots_lock);

	list_for_each_entry(db, &p->doorbells, link)
		if (db->bus == bus && db->eventfd == eventfd &&
		    db->addr == args->addr && db->len == args->len &&
		    db->wildcard == wildcard &&
		    (wildcard || db->datamatch == args->datamatch))
			return db;

	return NULL;
}

static int ioeventfd_deassign(struct kvmfd *p, const struct kvm_ioeventfd *args)
{
	struct eventfd_ctx *eventfd;
	struct kvmfd_doorbell *db;

	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	mutex_lock(&p->kvm->slots_lock);
	db = doorbell_find(p, args, eventfd);
	if (db) {
		kvmfd_bus_remove(p, db->bus, &db->dev);
		if (kvmfd_fast_mmio_wanted(db))
			kvmfd_bus_remove(p, KVM_FAST_MMIO_BUS, &db->fast);
	}
	mutex_unlock(&p->kvm->slots_lock);

	eventfd_ctx_put(eventfd);
	if (!db)
		return -ENOENT;

	/* Off its buses: no destructor can come for it, it is ours alone. */
	kvmfd_bus_settle(p);
	spin_lock(&p->state_lock);
	doorbell_del(p, db);
	spin_unlock(&p->state_lock);
	doorbell_free(db);
	return 0;
}

/**
 * kvmfd_ioeventfd() - KVM_IOEVENTFD
 * @p: the attachment, pinned, &kvmfd.lock held
 * @args: as the caller gave them
 *
 * When it returns from an assign, the next write hits; from a deassign, no more
 * signal comes.
 *
 * Return: 0; assign: -EINVAL, -EBADF, -EEXIST, -ENOSPC, -ENOMEM; deassign:
 * -EBADF, -EINVAL (not an eventfd), -ENOENT.
 */
int kvmfd_ioeventfd(struct kvmfd *p, const struct kvm_ioeventfd *args)
{
	lockdep_assert_held(&p->lock);

	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return ioeventfd_deassign(p, args);

	return ioeventfd_assign(p, args);
}

/**
 * kvmfd_ioeventfd_remove_all() - take every doorbell of an attachment away
 * @p: the attachment, pinned, &kvmfd.lock held
 */
void kvmfd_ioeventfd_remove_all(struct kvmfd *p)
{
	struct kvmfd_doorbell *db, *next;
	LIST_HEAD(doorbells);
	int i;

	lockdep_assert_held(&p->lock);

	mutex_lock(&p->kvm->slots_lock);
	for (i = 0; i < KVM_NR_BUSES; i++)
		kvmfd_bus_remove(p, i, NULL);
	mutex_unlock(&p->kvm->slots_lock);
	kvmfd_bus_settle(p);

	spin_lock(&p->state_lock);
	list_for_each_entry_safe(db, next, &p->doorbells, link) {
		doorbell_del(p, db);
		list_add(&db->link, &doorbells);
	}
	spin_unlock(&p->state_lock);

	list_for_each_entry_safe(db, next, &doorbells, link)
		doorbell_free(db);
}
