// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of doorbells and irqfds, one or many: all of them, or none.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "edit.h"

/* If it succeeds nothing can fail any more. */
static int stage(struct kvmfd_edit *e)
{
	int ret;

	ret = kvmfd_ioeventfd_stage(e);
	if (ret)
		goto abort_ioeventfds;
	ret = kvmfd_irqfd_stage(e);
	if (ret)
		goto abort_irqfds;
	ret = kvmfd_ranges_lock(e);
	if (ret)
		goto abort_irqfds;

	return 0;

abort_irqfds:
	kvmfd_irqfd_abort(e);
abort_ioeventfds:
	kvmfd_ioeventfd_abort(e);
	return ret;
}

/* An eviction can have come between kvmfd_pin() and the lock. */
static int has_ended(struct kvmfd *p)
{
	lockdep_assert_held(&p->lock);
	return READ_ONCE(p->ended);
}

static int edit(struct kvmfd_edit *e)
{
	int ret;

	e->failed = e->count;

	/* Who is before can take long. */
	ret = mutex_lock_killable(&e->p->lock);
	if (ret)
		return ret;
	ret = has_ended(e->p) ?: stage(e);
	if (!ret) {
		kvmfd_ioeventfd_commit(e);
		kvmfd_irqfd_commit(e);
	}
	mutex_unlock(&e->p->lock);

	return ret;
}

static int edit_one(struct kvmfd *p, const struct kvmfd_change *change)
{
	union kvmfd_staged staged = {};
	struct kvm_io_range ranges[2];
	struct kvmfd_edit e = {
		.p = p,
		.changes = change,
		.staged = &staged,
		.ranges = ranges,
		.count = 1,
	};

	return edit(&e);
}

/**
 * kvmfd_change() - one change of a doorbell: KVM_IOEVENTFD and KVMFD_IOEVENTFD
 * @p: the attachment, pinned
 * @change: the change
 *
 * Return: what kvmfd_ioeventfd_stage(), kvmfd_ranges_lock() and
 * kvmfd_ioeventfd_deassign() do, -ENODEV, -ECONNRESET as kvmfd_pin(), and -EINTR if the
 * caller is being killed.
 */
int kvmfd_change(struct kvmfd *p, const struct kvmfd_change *change)
{
	int ret;

	if (!(change->flags & KVM_IOEVENTFD_FLAG_DEASSIGN))
		return edit_one(p, change);

	ret = mutex_lock_killable(&p->lock);
	if (ret)
		return ret;
	ret = has_ended(p) ?: kvmfd_ioeventfd_deassign(p, change);
	mutex_unlock(&p->lock);
	return ret;
}

static bool change_valid(const struct kvmfd_change *change)
{
	switch (change->kind) {
	case KVMFD_ENTRY_IOEVENTFD:
		return !change->gsi && !change->resamplefd &&
		       !(change->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK);
	case KVMFD_ENTRY_IRQFD:
		return !change->addr && !change->data && !change->mask && !change->len;
	default:
		return false;
	}
}

static int copy_changes(struct kvmfd_change *changes, struct kvmfd_batch *args)
{
	const void __user *from = u64_to_user_ptr(args->changes);
	int ret = 0;
	u32 i;

	if (args->change_size == sizeof(*changes))
		ret = copy_from_user(changes, from, args->count * sizeof(*changes)) ? -EFAULT : 0;
	else
		for (i = 0; i < args->count && !ret; i++, from += args->change_size)
			ret = copy_struct_from_user(&changes[i], sizeof(*changes), from,
						    args->change_size);
	if (ret)
		return ret;

	for (i = 0; i < args->count; i++) {
		if (!change_valid(&changes[i])) {
			args->failed = i;
			return -EINVAL;
		}
	}

	return 0;
}

/**
 * kvmfd_batch() - KVMFD_BATCH
 * @p: the attachment, pinned
 * @args: as the caller gave them; failed is set
 *
 * Return: 0; -EINVAL, -E2BIG, -EFAULT, -ENOSPC, -ENOMEM, -ENODEV, -ECONNRESET, -EINTR, and
 * what changes alone return.
 */
int kvmfd_batch(struct kvmfd *p, struct kvmfd_batch *args)
{
	struct kvmfd_edit e = {
		.p = p,
		.count = args->count,
	};
	/* The caller says how much, and hears of it: the kernel's log need not. */
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	struct kvmfd_change *changes = NULL;
	int ret = -ENOMEM;

	args->failed = args->count;
	if (args->change_size < sizeof(*changes))
		return -EINVAL;
	if (args->change_size > PAGE_SIZE)
		return -E2BIG;
	if (args->count > KVMFD_MAX_BATCH)
		return -ENOSPC;

	changes = kvmalloc_array(args->count, sizeof(*changes), gfp);
	e.changes = changes;
	e.staged = kvcalloc(args->count, sizeof(*e.staged), gfp);
	e.ranges = kvmalloc_array(2 * args->count, sizeof(*e.ranges), gfp);
	if (!changes || !e.staged || !e.ranges)
		goto free;

	ret = copy_changes(changes, args);
	if (!ret) {
		ret = edit(&e);
		args->failed = e.failed;
	}

free:
	kvfree(e.ranges);
	kvfree(e.staged);
	kvfree(changes);
	return ret;
}
