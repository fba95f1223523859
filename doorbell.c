// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doorbell's life.
 *
 * Made by an assign, it goes into the index of its bus and is listed; a deassign
 * or the end of the attachment takes it out and frees it when no vCPU can have it
 * any more.  When KVM loses a bus, its doorbells leave the list at once and are
 * freed by the next request, or with the attachment.
 */
#include <linux/eventfd.h>

#include "edit.h"

static void doorbell_destructor(struct kvm_io_device *dev)
{
	kvmfd_bus_range_destroyed(container_of(dev, struct kvmfd_bus, dev));
}

static const struct kvm_io_device_ops doorbell_ops = {
	.write = kvmfd_doorbell_write,
	.destructor = doorbell_destructor,
};

/**
 * kvmfd_doorbell_setup() - the part of kvmfd_create() that is about doorbells
 * @p: all 0
 */
void kvmfd_doorbell_setup(struct kvmfd *p)
{
	int i;

	INIT_LIST_HEAD(&p->blocks);
	for (i = 0; i < KVM_NR_BUSES; i++) {
		p->bus[i].owner = p;
		p->bus[i].indexed_by = &p->bus[i == KVM_FAST_MMIO_BUS ? KVM_MMIO_BUS : i];
		/* What an earlier attachment may have left on it. */
		p->bus[i].buried = true;
		RCU_INIT_POINTER(p->bus[i].index, &kvmfd_no_index);
		kvm_iodevice_init(&p->bus[i].dev, &doorbell_ops);
	}
}

static struct kvmfd_index *index_or_null(struct kvmfd_index *ix)
{
	return ix == &kvmfd_no_index ? NULL : ix;
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
	return index_or_null(rcu_dereference_protected(p->bus[idx].index,
						       lockdep_is_held(&p->lock)));
}

/**
 * kvmfd_bus_of_flags() - where a doorbell is
 * @flags: KVM_IOEVENTFD_FLAG_*
 *
 * Return: the bus that has its index.
 */
enum kvm_bus kvmfd_bus_of_flags(u32 flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return KVM_PIO_BUS;
	if (flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return KVM_VIRTIO_CCW_NOTIFY_BUS;
	return KVM_MMIO_BUS;
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
	entry->hits = kvmfd_doorbell_hits(db);
	entry->datamatch = db->data;
	entry->mask = db->key->mask;
}

/**
 * kvmfd_doorbell_create() - make a doorbell
 * @p: the attachment, &kvmfd.lock held
 * @change: an assign whose arguments are valid
 * @key: the key to use, that of other doorbells, or NULL for its own
 *
 * Return: what kvmfd_doorbell_free() frees, or -ENOMEM, -EBADF, -EINVAL (not an
 * eventfd).
 */
struct kvmfd_doorbell *kvmfd_doorbell_create(struct kvmfd *p,
					     const struct kvmfd_change *change,
					     struct kvmfd_key *key)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(change->fd);
	struct kvmfd_doorbell *db;

	if (IS_ERR(eventfd))
		return ERR_CAST(eventfd);

	db = kvmfd_pool_get(p);
	if (!db) {
		eventfd_ctx_put(eventfd);
		return ERR_PTR(-ENOMEM);
	}

	RB_CLEAR_NODE(&db->item.node);
	db->flags = change->flags;
	db->data = change->data & change->mask;
	db->eventfd = eventfd;
	db->refs = 1;
	if (key) {
		container_of(key, struct kvmfd_doorbell, own_key)->refs++;
		db->key = key;
	} else {
		db->own_key.addr = change->addr;
		db->own_key.len = change->len;
		db->own_key.mask = change->mask;
		db->key = &db->own_key;
	}

	return db;
}

/**
 * kvmfd_doorbell_list() - a doorbell gets its id and is listed
 * @p: the attachment
 * @db: the doorbell, which can be hit already
 *
 * From here on the end of its bus can take it off the list, too.
 */
void kvmfd_doorbell_list(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	spin_lock(&p->state_lock);
	if (!p->bus[kvmfd_bus_of_flags(db->flags)].lost) {
		p->nr_doorbells++;
		kvmfd_item_add(p, &db->item, KVMFD_ENTRY_IOEVENTFD);
	}
	spin_unlock(&p->state_lock);
}

/**
 * kvmfd_doorbell_unlist() - a doorbell is no more, but for its memory
 * @p: the attachment, &kvmfd.state_lock held
 * @db: the doorbell; the end of its bus may have taken it off the list before
 */
void kvmfd_doorbell_unlist(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	lockdep_assert_held(&p->state_lock);

	if (RB_EMPTY_NODE(&db->item.node))
		return;
	kvmfd_item_retire(p, &db->item);
	p->nr_doorbells--;
	kvmfd_tell_over(p);
}

static void doorbell_unref(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	if (!--db->refs)
		kvmfd_pool_put(p, db);
}

/**
 * kvmfd_doorbell_free() - the end of a doorbell
 * @p: the attachment, &kvmfd.lock held, or nobody else has it
 * @db: a doorbell that cannot be hit any more, and is not listed
 */
void kvmfd_doorbell_free(struct kvmfd *p, struct kvmfd_doorbell *db)
{
	struct kvmfd_doorbell *key_owner = container_of(db->key, struct kvmfd_doorbell,
							own_key);

	eventfd_ctx_put(db->eventfd);
	if (key_owner != db)
		doorbell_unref(p, key_owner);
	doorbell_unref(p, db);
}

static void index_free_all(struct kvmfd *p, struct kvmfd_index *ix)
{
	struct kvmfd_doorbell *db;
	u32 cursor = 0;

	while ((db = kvmfd_index_next(ix, &cursor))) {
		kvmfd_index_remove(ix, db);
		spin_lock(&p->state_lock);
		kvmfd_doorbell_unlist(p, db);
		spin_unlock(&p->state_lock);
		kvmfd_doorbell_free(p, db);
		cond_resched();
	}
	kvmfd_index_free(ix);
}

/* No write finds it any more, once kvmfd_settle() has returned. */
static struct kvmfd_index *index_unpublish(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvmfd_index *ix = kvmfd_bus_index(p, idx);

	RCU_INIT_POINTER(p->bus[idx].index, &kvmfd_no_index);
	return ix;
}

/**
 * kvmfd_doorbell_unlist_some() - some of a bus's doorbells are no more
 * @b: a bus that KVM has lost; &kvmfd.state_lock is held
 * @cursor: 0, then as left by the last call
 *
 * They stay in memory until the next request comes, or the attachment goes.
 *
 * Return: whether there may be more.
 */
bool kvmfd_doorbell_unlist_some(struct kvmfd_bus *b, u64 *cursor)
{
	struct kvmfd *p = b->owner;
	struct kvmfd_doorbell *db;
	struct kvmfd_item *item;
	int i;

	for (i = 0; i < KVMFD_AT_A_TIME; i++) {
		item = kvmfd_item_after(p, *cursor);
		if (!item)
			return false;
		*cursor = item->id;
		if (item->kind != KVMFD_ENTRY_IOEVENTFD)
			continue;
		db = container_of(item, struct kvmfd_doorbell, item);
		if (&p->bus[kvmfd_bus_of_flags(db->flags)] == b)
			kvmfd_doorbell_unlist(p, db);
	}

	return true;
}

/**
 * kvmfd_doorbell_drop_lost() - free what KVM has lost
 * @p: the attachment, pinned, &kvmfd.lock held
 * @idx: a bus
 */
void kvmfd_doorbell_drop_lost(struct kvmfd *p, enum kvm_bus idx)
{
	struct kvmfd_bus *b = &p->bus[idx];
	struct kvmfd_index *ix;

	if (!READ_ONCE(b->lost))
		return;

	spin_lock(&p->state_lock);
	b->lost = false;
	spin_unlock(&p->state_lock);

	/* MMIO's is read by the fast bus, too, which may be there still. */
	ix = index_unpublish(p, idx);
	kvmfd_settle(p);
	index_free_all(p, ix);
}

/**
 * kvmfd_doorbell_remove_all() - take every doorbell of an attachment away
 * @p: the attachment, pinned, &kvmfd.lock held
 */
void kvmfd_doorbell_remove_all(struct kvmfd *p)
{
	static const struct kvmfd_bus_edit nothing_added;
	struct kvmfd_index *ix[KVM_NR_BUSES];
	int i;

	lockdep_assert_held(&p->lock);

	for (i = 0; i < KVM_NR_BUSES; i++)
		kvmfd_bus_prepare(p, i, &nothing_added);
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
 * kvmfd_doorbell_free_all() - free what went down with the VM, and all that was kept
 * @p: an attachment that has ended; &kvmfd.lock is held, or nobody else has it any more
 */
void kvmfd_doorbell_free_all(struct kvmfd *p)
{
	int i;

	for (i = 0; i < KVM_NR_BUSES; i++)
		index_free_all(p, index_or_null(rcu_dereference_protected(p->bus[i].index,
									  true)));
	kvmfd_pool_free(p);
	kvmfd_free_retired(p);
	kvmfd_bus_free(p);
}
