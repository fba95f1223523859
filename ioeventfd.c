// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: a guest write that hits a doorbell signals an eventfd.
 *
 * The rules of what collides, what hits and what a deassign must name are KVM's,
 * to the errno.
 */
#include <linux/eventfd.h>
#include <linux/slab.h>

#include "kvmfd.h"

/* So many doorbells at a time, a spinlock held. */
#define UNLIST_BATCH 64

/**
 * kvmfd_doorbell_ring() - count a hit and signal
 * @db: a doorbell from an index; the caller is within kvm->srcu
 */
void kvmfd_doorbell_ring(struct kvmfd_doorbell *db)
{
	this_cpu_inc(*db->hits);
	kvmfd_eventfd_signal(db->eventfd);
}

static int doorbell_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev,
			  gpa_t addr, int len, const void *val)
{
	struct kvmfd_bus *b = container_of(dev, struct kvmfd_bus, dev);
	struct kvmfd_index *ix = srcu_dereference(b->index, &vcpu->kvm->srcu);
	struct kvmfd_doorbell *db = ix ? kvmfd_index_hit(ix, addr, len, val) : NULL;

	if (!db)
		return -EOPNOTSUPP;

	kvmfd_doorbell_ring(db);
	return 0;
}

static void doorbell_destructor(struct kvm_io_device *dev)
{
	kvmfd_bus_range_destroyed(container_of(dev, struct kvmfd_bus, dev));
}

static const struct kvm_io_device_ops doorbell_ops = {
	.write = doorbell_write,
	.destructor = doorbell_destructor,
};

/**
 * kvmfd_ioeventfd_setup() - the part of kvmfd_create() that is about doorbells
 * @p: all 0
 */
void kvmfd_ioeventfd_setup(struct kvmfd *p)
{
	int i;

	INIT_LIST_HEAD(&p->counters);
	for (i = 0; i < KVM_NR_BUSES; i++) {
		p->bus[i].owner = p;
		/* What an earlier attachment may have left on it. */
		p->bus[i].buried = true;
		kvm_iodevice_init(&p->bus[i].dev, &doorbell_ops);
	}
	kvm_iodevice_init(&p->bus[KVM_FAST_MMIO_BUS].dev, &kvmfd_fast_mmio_ops);
}

/**
 * kvmfd_bus_index() - what is on a bus
 * @p: the attachment, &kvmfd.lock held
 * @idx: the bus
 *
 * Return: the index, or NULL.
 */
struct kvmfd_index *kvmfd_bus_index(struct kvmfd *p, enum kvm_bus idx)
{
	return rcu_dereference_protected(p->bus[idx].index, lockdep_is_held(&p->lock));
}

/* Readers see the one or the other. */
static void index_replace(struct kvmfd *p, enum kvm_bus idx, struct kvmfd_index *new)
{
	struct kvmfd_index *old = kvmfd_bus_index(p, idx);

	rcu_assign_pointer(p->bus[idx].index, new);
	if (old)
		kvmfd_retire(p, old, kvmfd_index_size(old), NULL);
}

static enum kvm_bus bus_of_flags(u32 flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return KVM_PIO_BUS;
	if (flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return KVM_VIRTIO_CCW_NOTIFY_BUS;
	return KVM_MMIO_BUS;
}

/* Takes any write, and by MMIO: it has a range on the fast bus, too. */
static bool is_fast(const struct kvmfd_doorbell *db)
{
	return !db->key->len && bus_of_flags(db->flags) == KVM_MMIO_BUS;
}

/**
 * kvmfd_doorbell_describe() - fill in a line of the list
 * @db: the doorbell
 * @entry: all 0
 */
void kvmfd_doorbell_describe(struct kvmfd_doorbell *db, struct kvmfd_entry *entry)
{
	entry->flags = db->flags;
	entry->addr = db->key->addr;
	entry->len = db->key->len;
	entry->hits = kvmfd_counter_sum(db);
	entry->datamatch = db->data;
	entry->mask = db->key->mask;
}

/* Once listed, a doorbell can be taken off the list by the end of its bus, too. */
static void doorbell_list(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	spin_lock(&p->state_lock);
	if (!p->bus[bus_of_flags(db->flags)].lost) {
		p->nr_doorbells++;
		kvmfd_item_add(p, &db->item, KVMFD_ENTRY_IOEVENTFD);
	}
	spin_unlock(&p->state_lock);
}

static void doorbell_unlist(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	lockdep_assert_held(&p->state_lock);

	if (RB_EMPTY_NODE(&db->item.node))
		return;
	kvmfd_item_del(p, &db->item);
	p->nr_doorbells--;
	p->retired.hits += kvmfd_counter_sum(db);
}

/* It cannot be hit any more.  Frees its key, too, if it is the last to have it. */
static void doorbell_free(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	spin_lock(&p->state_lock);
	doorbell_unlist(p, db);
	spin_unlock(&p->state_lock);

	eventfd_ctx_put(db->eventfd);
	kvmfd_counter_put(p, db);
	if (db->key->mask && !db->key->nr)
		kfree(db->key);
	kfree(db);
}

static void index_free_all(struct kvmfd *p, struct kvmfd_index *ix)
{
	struct kvmfd_doorbell *db;
	u32 cursor = 0;

	while ((db = kvmfd_index_next(ix, &cursor))) {
		kvmfd_index_remove(ix, db);
		doorbell_free(p, db);
		cond_resched();
	}
	kvmfd_index_free(ix);
}

/* No write finds it any more, once kvmfd_settle() has returned. */
static struct kvmfd_index *index_unpublish(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvmfd_index *ix = kvmfd_bus_index(p, idx);

	RCU_INIT_POINTER(p->bus[idx].index, NULL);
	return ix;
}

/**
 * kvmfd_ioeventfd_unlist() - some of a bus's doorbells are no more
 * @b: a bus that KVM has lost; &kvmfd.state_lock is held
 * @cursor: 0, then as left by the last call
 *
 * They stay in memory until the next request comes, or the attachment goes.
 *
 * Return: whether there may be more.
 */
bool kvmfd_ioeventfd_unlist(struct kvmfd_bus *b, u64 *cursor)
{
	struct kvmfd *p = b->owner;
	struct kvmfd_doorbell *db;
	struct kvmfd_item *item;
	int i;

	for (i = 0; i < UNLIST_BATCH; i++) {
		item = kvmfd_item_after(p, *cursor);
		if (!item)
			return false;
		*cursor = item->id;
		if (item->kind != KVMFD_ENTRY_IOEVENTFD)
			continue;
		db = container_of(item, struct kvmfd_doorbell, item);
		if (&p->bus[bus_of_flags(db->flags)] == b)
			doorbell_unlist(p, db);
	}

	return true;
}

static void drop_lost(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvmfd_bus *b = &p->bus[idx];
	struct kvmfd_index *ix;
	bool lost;

	spin_lock(&p->state_lock);
	lost = b->lost;
	b->lost = false;
	spin_unlock(&p->state_lock);

	if (lost) {
		/* MMIO's is read by the fast bus, too, which may be there still. */
		ix = index_unpublish(p, idx);
		kvmfd_settle(p);
		index_free_all(p, ix);
	}
}

/* Takes the key of others, if there are any, or makes one. */
static int doorbell_set_key(struct kvmfd_index *ix, struct kvmfd_doorbell *db, u64 addr,
			    u32 len, u64 mask)
{
	struct kvmfd_key *key = db->own_key;

	if (mask) {
		db->key = kvmfd_index_key(ix, addr, len, &mask);
		if (db->key)
			return 0;
		key = kzalloc(sizeof(*key), GFP_KERNEL_ACCOUNT);
		if (!key)
			return -ENOMEM;
	}

	key->addr = addr;
	key->len = len;
	key->mask = mask;
	db->key = key;
	return 0;
}

static struct kvmfd_doorbell *doorbell_create(struct kvmfd *p,
					      const struct kvmfd_ioeventfd *args)
{
	struct kvmfd_index *ix = kvmfd_bus_index(p, bus_of_flags(args->flags));
	struct kvmfd_doorbell *db;
	int ret;

	db = kzalloc(struct_size(db, own_key, args->mask ? 0 : 1), GFP_KERNEL_ACCOUNT);
	if (!db)
		return ERR_PTR(-ENOMEM);

	RB_CLEAR_NODE(&db->item.node);
	db->flags = args->flags;
	db->data = args->data & args->mask;
	db->eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(db->eventfd)) {
		ret = PTR_ERR(db->eventfd);
		goto free;
	}

	ret = kvmfd_counter_get(p, db);
	if (ret)
		goto put_eventfd;

	ret = doorbell_set_key(ix, db, args->addr, args->len, args->mask);
	if (ret)
		goto put_counter;

	return db;

put_counter:
	kvmfd_counter_put(p, db);
put_eventfd:
	eventfd_ctx_put(db->eventfd);
free:
	kfree(db);
	return ERR_PTR(ret);
}

static int prepare_ranges(struct kvmfd *p, enum kvm_bus idx, bool fast, int nr)
{
	int ret = kvmfd_bus_prepare(p, idx, nr);

	if (!ret && fast)
		ret = kvmfd_bus_prepare(p, KVM_FAST_MMIO_BUS, nr);

	return ret;
}

static int may_add_range(struct kvmfd *p, enum kvm_bus idx, bool fast)
{
	int ret = kvmfd_bus_may_add(p, idx, 1);

	if (!ret && fast)
		ret = kvmfd_bus_may_add(p, KVM_FAST_MMIO_BUS, 1);

	return ret;
}

/* With kvm->slots_lock held if it succeeds. */
static int lock_for_range(struct kvmfd *p, enum kvm_bus idx, bool fast)
{
	int ret;

	mutex_lock(&p->kvm->slots_lock);
	while ((ret = may_add_range(p, idx, fast)) == -EAGAIN) {
		mutex_unlock(&p->kvm->slots_lock);
		ret = prepare_ranges(p, idx, fast, 1);
		if (ret)
			return ret;
		mutex_lock(&p->kvm->slots_lock);
	}
	if (ret)
		mutex_unlock(&p->kvm->slots_lock);

	return ret;
}

static void insert_range(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_key *key)
{
	struct kvm_io_range range = {
		.addr = key->addr,
		.len = key->len,
		.dev = &p->bus[idx].dev,
	};

	kvmfd_bus_add(p, idx, &range, 1);
}

static int doorbell_insert(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	enum kvm_bus idx = bus_of_flags(db->flags);
	struct kvmfd_index *ix = kvmfd_bus_index(p, idx), *new = NULL;
	const struct kvmfd_key *key = db->key;
	int ret = 0;

	if (kvmfd_index_collides(ix, key->addr, key->len, key->mask, db->data))
		return -EEXIST;
	if (READ_ONCE(p->nr_doorbells) >= KVMFD_MAX_IOEVENTFDS ||
	    (!key->nr && kvmfd_index_masks(ix, key->addr, key->len) >= KVMFD_MAX_MASKS))
		return -ENOSPC;

	if (!kvmfd_index_has_room(ix, 1)) {
		new = kvmfd_index_copy(ix, 1);
		if (!new)
			return -ENOMEM;
	}

	/* The first at an address and length: its bus does not know of them yet. */
	if (!kvmfd_index_key(ix, key->addr, key->len, NULL)) {
		ret = lock_for_range(p, idx, is_fast(db));
		if (ret) {
			kvmfd_index_free(new);
			return ret;
		}
		insert_range(p, idx, key);
		if (is_fast(db))
			insert_range(p, KVM_FAST_MMIO_BUS, key);
		mutex_unlock(&p->kvm->slots_lock);
	}

	doorbell_list(p, db);
	kvmfd_index_insert(new ? new : ix, db);
	if (new)
		index_replace(p, idx, new);

	return 0;
}

static bool args_valid(const struct kvmfd_ioeventfd *args)
{
	bool datamatch = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	switch (args->len) {
	case 0:
		/* Any width hits, so there is no value to compare. */
		if (datamatch)
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

	return args->addr + args->len >= args->addr && datamatch == !!args->mask &&
	       !(args->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK);
}

static int ioeventfd_assign(struct kvmfd *p, const struct kvmfd_ioeventfd *args)
{
	struct kvmfd_doorbell *db;
	int ret;

	if (!args_valid(args))
		return -EINVAL;

	db = doorbell_create(p, args);
	if (IS_ERR(db))
		return PTR_ERR(db);

	ret = doorbell_insert(p, db);
	if (ret)
		doorbell_free(p, db);

	kvmfd_settle_lazily(p);
	return ret;
}

static struct kvmfd_doorbell *doorbell_find(struct kvmfd *p,
					    const struct kvmfd_ioeventfd *args)
{
	struct kvmfd_index *ix = kvmfd_bus_index(p, bus_of_flags(args->flags));
	struct eventfd_ctx *eventfd;
	struct kvmfd_doorbell *db;

	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return ERR_CAST(eventfd);

	db = kvmfd_index_doorbell(ix, args->addr, args->len, args->mask, args->data);
	if (!db || db->eventfd != eventfd ||
	    !!args->mask != !!(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		db = ERR_PTR(-ENOENT);

	eventfd_ctx_put(eventfd);
	return db;
}

static void remove_range(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_key *key,
			 bool fast)
{
	/* Without memory it goes, too, but leaves its place behind. */
	prepare_ranges(p, idx, fast, 0);

	mutex_lock(&p->kvm->slots_lock);
	kvmfd_bus_remove(p, idx, key->addr, key->len);
	if (fast)
		kvmfd_bus_remove(p, KVM_FAST_MMIO_BUS, key->addr, key->len);
	mutex_unlock(&p->kvm->slots_lock);
}

static int ioeventfd_deassign(struct kvmfd *p, const struct kvmfd_ioeventfd *args)
{
	enum kvm_bus idx = bus_of_flags(args->flags);
	struct kvmfd_index *ix = kvmfd_bus_index(p, idx);
	struct kvmfd_doorbell *db;

	db = doorbell_find(p, args);
	if (IS_ERR(db))
		return PTR_ERR(db);

	kvmfd_index_remove(ix, db);
	if (!kvmfd_index_key(ix, db->key->addr, db->key->len, NULL))
		remove_range(p, idx, db->key, is_fast(db));

	kvmfd_settle(p);
	doorbell_free(p, db);
	return 0;
}

/**
 * kvmfd_ioeventfd() - KVMFD_IOEVENTFD and, with a full mask, KVM_IOEVENTFD
 * @p: the attachment, pinned
 * @args: as the caller gave them
 *
 * Return: 0; assign: -EINVAL, -EBADF, -EEXIST, -ENOSPC, -ENOMEM; deassign:
 * -EBADF, -EINVAL (not an eventfd), -ENOENT.
 */
int kvmfd_ioeventfd(struct kvmfd *p, const struct kvmfd_ioeventfd *args)
{
	int ret;

	mutex_lock(&p->lock);
	drop_lost(p, bus_of_flags(args->flags));
	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		ret = ioeventfd_deassign(p, args);
	else
		ret = ioeventfd_assign(p, args);
	mutex_unlock(&p->lock);

	return ret;
}

/**
 * kvmfd_ioeventfd_remove_all() - take every doorbell of an attachment away
 * @p: the attachment, pinned, &kvmfd.lock held
 */
void kvmfd_ioeventfd_remove_all(struct kvmfd *p)
{
	struct kvmfd_index *ix[KVM_NR_BUSES];
	int i;

	lockdep_assert_held(&p->lock);

	for (i = 0; i < KVM_NR_BUSES; i++)
		kvmfd_bus_prepare(p, i, 0);
	mutex_lock(&p->kvm->slots_lock);
	for (i = 0; i < KVM_NR_BUSES; i++)
		kvmfd_bus_remove_all(p, i);
	mutex_unlock(&p->kvm->slots_lock);

	for (i = 0; i < KVM_NR_BUSES; i++)
		ix[i] = index_unpublish(p, i);
	kvmfd_settle(p);
	for (i = 0; i < KVM_NR_BUSES; i++)
		index_free_all(p, ix[i]);
}

/**
 * kvmfd_ioeventfd_free_all() - free what went down with the VM
 * @p: the attachment, which nobody else has any more
 */
void kvmfd_ioeventfd_free_all(struct kvmfd *p)
{
	int i;

	for (i = 0; i < KVM_NR_BUSES; i++)
		index_free_all(p, rcu_dereference_protected(p->bus[i].index, true));
	kvmfd_counters_free(p);
	kvmfd_free_retired(p);
	kvmfd_bus_free(p);
}
