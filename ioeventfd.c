// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: a guest write that hits a doorbell signals an eventfd.
 *
 * The rules of what collides, what hits and what a deassign must name are KVM's,
 * to the errno.
 *
 * Changes are staged first, all that can fail, and then committed or aborted.  A
 * batch is staged in a copy of the index of each bus that it is about, in which
 * the deassigns go before the assigns: so a change is judged by what will be there
 * in the end, and a write finds all of the bus as it was or as it will be.  An
 * assign that comes alone goes into the index as it is, when nothing can fail any
 * more.  A deassign that comes alone is made at once: once the doorbell has been
 * found nothing can fail, and it needs no memory.
 */
#include <linux/eventfd.h>
#include <linux/sched/signal.h>

#include "edit.h"

static bool is_doorbell(const struct kvmfd_change *change)
{
	return change->kind == KVMFD_ENTRY_IOEVENTFD;
}

static bool is_deassign(const struct kvmfd_change *change)
{
	return change->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
}

static enum kvm_bus bus_of(const struct kvmfd_change *change)
{
	return kvmfd_bus_of_flags(change->flags);
}

/* What the bus will have. */
static struct kvmfd_index *next_index(struct kvmfd_edit *e, enum kvm_bus idx)
{
	return e->bus[idx].index ?: kvmfd_bus_index(e->p, idx);
}

static bool assign_valid(const struct kvmfd_change *change)
{
	bool datamatch = change->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	switch (change->len) {
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

	return change->addr + change->len >= change->addr && datamatch == !!change->mask &&
	       !(change->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK);
}

static int stage_assign(struct kvmfd_edit *e, const struct kvmfd_change *change,
			struct kvmfd_doorbell **staged)
{
	enum kvm_bus idx = bus_of(change);
	struct kvmfd_bus_edit *be = &e->bus[idx];
	struct kvmfd_index *ix = next_index(e, idx), *now = kvmfd_bus_index(e->p, idx);
	u64 addr = change->addr, mask = change->mask;
	struct kvmfd_neighbours found;
	struct kvmfd_doorbell *db;
	u32 len = change->len;

	if (!assign_valid(change))
		return -EINVAL;

	kvmfd_index_look(ix, addr, len, mask, change->data, &found);
	db = kvmfd_doorbell_create(e->p, change, found.key);
	if (IS_ERR(db))
		return PTR_ERR(db);

	if (found.collides || (!found.key && found.masks >= KVMFD_MAX_MASKS)) {
		kvmfd_doorbell_free(e->p, db);
		return found.collides ? -EEXIST : -ENOSPC;
	}

	/* The first at an address and length: the bus does not know of them yet. */
	if (!found.masks && !(e->old_doorbells && kvmfd_index_has(now, addr, len)))
		kvmfd_range_note(e, idx, addr, len, be->add, &be->nr_add);

	if (be->index)
		kvmfd_index_insert(be->index, db);
	*staged = db;
	return 0;
}

static struct kvmfd_doorbell *find_assigned(const struct kvmfd_index *ix,
					    const struct kvmfd_change *change)
{
	struct eventfd_ctx *eventfd;
	struct kvmfd_doorbell *db;

	eventfd = eventfd_ctx_fdget(change->fd);
	if (IS_ERR(eventfd))
		return ERR_CAST(eventfd);
	db = kvmfd_index_doorbell(ix, change->addr, change->len, change->mask, change->data);
	eventfd_ctx_put(eventfd);
	if (!db || db->eventfd != eventfd ||
	    !!change->mask != !!(change->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return ERR_PTR(-ENOENT);

	return db;
}

/* Returns whether nothing is left at its address and length. */
static bool take_out(struct kvmfd_index *ix, struct kvmfd_doorbell *db)
{
	const struct kvmfd_key *key = db->key;

	kvmfd_index_remove(ix, db);
	/* Beside a wildcard there is nothing anyhow. */
	return !key->mask || (!key->nr && !kvmfd_index_has(ix, key->addr, key->len));
}

static int stage_deassign(struct kvmfd_edit *e, const struct kvmfd_change *change,
			  struct kvmfd_doorbell **staged)
{
	enum kvm_bus idx = bus_of(change);
	struct kvmfd_bus_edit *be = &e->bus[idx];
	struct kvmfd_doorbell *db;

	db = find_assigned(be->index, change);
	if (IS_ERR(db))
		return PTR_ERR(db);

	if (take_out(be->index, db))
		kvmfd_range_note(e, idx, change->addr, change->len, be->drop, &be->nr_drop);
	*staged = db;
	return 0;
}

static int stage_all(struct kvmfd_edit *e, bool deassigns)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];

		if (!(i % KVMFD_AT_A_TIME)) {
			/* Masks that overlap can make a long batch take long. */
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
		if (!is_doorbell(change) || is_deassign(change) != deassigns)
			continue;
		if (deassigns)
			ret = stage_deassign(e, change, &e->staged[i].doorbell);
		else
			ret = stage_assign(e, change, &e->staged[i].doorbell);
		if (ret) {
			e->failed = i;
			break;
		}
	}

	return ret;
}

static int prepare_index(struct kvmfd_edit *e, enum kvm_bus idx, u32 nr_new, u32 nr_old)
{
	const struct kvmfd_index *now;

	kvmfd_doorbell_drop_lost(e->p, idx);
	now = kvmfd_bus_index(e->p, idx);
	if (nr_old || e->count > 1 || !kvmfd_index_has_room(now, nr_new)) {
		e->bus[idx].index = kvmfd_index_copy(now, nr_new);
		if (!e->bus[idx].index)
			return -ENOMEM;
	}

	return 0;
}

/* Where the ranges go, and which buses get a new index. */
static int prepare_buses(struct kvmfd_edit *e)
{
	u32 nr[KVM_NR_BUSES][2] = {}, i, idx;
	struct kvm_io_range *room = e->ranges;
	int ret;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];

		if (!is_doorbell(change)) {
			e->irqfds++;
			continue;
		}
		nr[bus_of(change)][is_deassign(change)]++;
	}

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		/* Fast MMIO shares MMIO's index. */
		bool fast = idx == KVM_FAST_MMIO_BUS;
		u32 *n = nr[fast ? KVM_MMIO_BUS : idx];

		if (!n[0] && !n[1])
			continue;
		e->bus[idx].add = room;
		e->bus[idx].drop = room + n[0];
		room += n[0] + n[1];
		if (fast)
			continue;

		ret = prepare_index(e, idx, n[0], n[1]);
		if (ret)
			return ret;
		e->new_doorbells += n[0];
		e->old_doorbells += n[1];
	}

	if (READ_ONCE(e->p->nr_doorbells) + e->new_doorbells >
	    KVMFD_MAX_IOEVENTFDS + e->old_doorbells)
		return -ENOSPC;

	return 0;
}

/**
 * kvmfd_ioeventfd_stage() - all of an edit's doorbells, as far as it can fail
 * @e: the edit
 *
 * kvmfd_ioeventfd_abort() must follow if it fails.
 *
 * Return: 0; assign: -EINVAL, -EBADF, -EEXIST, -ENOSPC, -ENOMEM; deassign:
 * -EBADF, -EINVAL (not an eventfd), -ENOENT, -ENOMEM.
 */
int kvmfd_ioeventfd_stage(struct kvmfd_edit *e)
{
	int ret;

	lockdep_assert_held(&e->p->lock);

	ret = prepare_buses(e);
	if (ret)
		return ret;

	if (e->old_doorbells)
		ret = stage_all(e, true);
	if (e->new_doorbells && !ret)
		ret = stage_all(e, false);
	if (e->nr_ranges && !ret)
		kvmfd_ranges_finish(e);

	return ret;
}

/**
 * kvmfd_ioeventfd_abort() - undo what has been staged
 * @e: the edit
 */
void kvmfd_ioeventfd_abort(struct kvmfd_edit *e)
{
	u32 i, idx;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];
		struct kvmfd_doorbell *db = e->staged[i].doorbell;
		bool in_copy = e->bus[bus_of(change)].index;

		if (!is_doorbell(change) || !db)
			continue;
		if (is_deassign(change)) {
			db->key->nr++;
		} else {
			db->key->nr -= in_copy;
			kvmfd_doorbell_free(e->p, db);
		}
	}

	for (idx = 0; idx < KVM_NR_BUSES; idx++)
		kvmfd_index_free(e->bus[idx].index);
}

/* Readers see the one or the other. */
static void index_replace(struct kvmfd *p, enum kvm_bus idx, struct kvmfd_index *new)
{
	struct kvmfd_index *old = kvmfd_bus_index(p, idx);

	rcu_assign_pointer(p->bus[idx].index, new);
	if (old)
		kvmfd_retire(p, old, kvmfd_index_size(old), NULL);
}

static void publish(struct kvmfd_edit *e)
{
	struct kvmfd *p = e->p;
	int idx;

	/*
	 * Before the ranges: if some go and others come at an address, a write
	 * finds one of them all the time.
	 */
	for (idx = 0; idx < KVM_NR_BUSES; idx++)
		if (e->bus[idx].index)
			index_replace(p, idx, e->bus[idx].index);

	if (!e->nr_ranges)
		return;
	for (idx = 0; idx < KVM_NR_BUSES; idx++)
		if (e->bus[idx].nr_add || e->bus[idx].nr_drop)
			kvmfd_bus_change(p, idx, &e->bus[idx]);
	mutex_unlock(&p->kvm->slots_lock);
}

static void list_assigned(struct kvmfd_edit *e)
{
	u32 i;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];
		struct kvmfd_doorbell *db = e->staged[i].doorbell;

		if (!is_doorbell(change) || is_deassign(change))
			continue;
		kvmfd_doorbell_list(e->p, db);
		if (!e->bus[bus_of(change)].index)
			kvmfd_index_insert(kvmfd_bus_index(e->p, bus_of(change)), db);
	}
}

static void free_deassigned(struct kvmfd_edit *e)
{
	u32 i, end, k;

	for (i = 0; i < e->count; i = end) {
		end = min(i + KVMFD_AT_A_TIME, e->count);

		spin_lock(&e->p->state_lock);
		for (k = i; k < end; k++)
			if (is_doorbell(&e->changes[k]) && is_deassign(&e->changes[k]))
				kvmfd_doorbell_unlist(e->p, e->staged[k].doorbell);
		spin_unlock(&e->p->state_lock);

		for (k = i; k < end; k++)
			if (is_doorbell(&e->changes[k]) && is_deassign(&e->changes[k]))
				kvmfd_doorbell_free(e->p, e->staged[k].doorbell);
		cond_resched();
	}
}

/**
 * kvmfd_ioeventfd_commit() - make the changes
 * @e: the edit; kvmfd_ranges_lock() has succeeded
 *
 * Returns when no more signal comes of what has been deassigned.
 */
void kvmfd_ioeventfd_commit(struct kvmfd_edit *e)
{
	publish(e);

	if (e->new_doorbells)
		list_assigned(e);

	if (e->old_doorbells) {
		kvmfd_settle(e->p);
		free_deassigned(e);
	} else {
		kvmfd_settle_lazily(e->p);
	}
}

/**
 * kvmfd_ioeventfd_deassign() - a deassign that comes alone
 * @p: the attachment, pinned, &kvmfd.lock held
 * @change: the deassign
 *
 * Returns when no more signal comes of the doorbell.
 *
 * Return: 0, -EBADF, -EINVAL (not an eventfd), -ENOENT.
 */
int kvmfd_ioeventfd_deassign(struct kvmfd *p, const struct kvmfd_change *change)
{
	enum kvm_bus idx = bus_of(change);
	struct kvmfd_doorbell *db;
	struct kvmfd_index *ix;

	lockdep_assert_held(&p->lock);

	kvmfd_doorbell_drop_lost(p, idx);
	ix = kvmfd_bus_index(p, idx);
	db = find_assigned(ix, change);
	if (IS_ERR(db))
		return PTR_ERR(db);

	if (take_out(ix, db)) {
		kvmfd_range_remove(p, idx, change->addr, change->len);
		if (idx == KVM_MMIO_BUS && !change->len)
			kvmfd_range_remove(p, KVM_FAST_MMIO_BUS, change->addr, 0);
	}
	kvmfd_settle(p);

	spin_lock(&p->state_lock);
	kvmfd_doorbell_unlist(p, db);
	spin_unlock(&p->state_lock);
	kvmfd_doorbell_free(p, db);
	return 0;
}
