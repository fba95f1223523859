// SPDX-License-Identifier: GPL-2.0-only
/*
 * The irqfds of a batch.
 *
 * All deassigns are staged before all assigns: an irqfd that is going to leave can
 * have a successor, whose hook in the eventfd's wait queue is there beside its own.
 */
#include <linux/eventfd.h>

#include "edit.h"

static bool is_irqfd(const struct kvmfd_change *change)
{
	return change->kind == KVMFD_ENTRY_IRQFD;
}

static bool is_deassign(const struct kvmfd_change *change)
{
	return change->flags & KVM_IRQFD_FLAG_DEASSIGN;
}

/* A deassign is staged by saying so to the irqfd, if there is one; or taken back. */
static void mark_leaving(struct kvmfd *p, struct eventfd_ctx *eventfd, u32 gsi,
			 bool leaving)
{
	struct kvmfd_irqfd *irqfd;

	spin_lock_irq(&p->irqfd_lock);
	irqfd = kvmfd_irqfd_find(p, eventfd);
	if (irqfd && irqfd->gsi == gsi) {
		irqfd->leaving = leaving;
		irqfd->succeeded = false;
	}
	spin_unlock_irq(&p->irqfd_lock);
}

static int stage(struct kvmfd *p, const struct kvmfd_change *change,
		 union kvmfd_staged *staged)
{
	const struct kvm_irqfd args = {
		.fd = change->fd,
		.gsi = change->gsi,
		.flags = change->flags,
		.resamplefd = change->resamplefd,
	};
	struct eventfd_ctx *eventfd;
	struct kvmfd_irqfd *irqfd;

	if (!is_deassign(change)) {
		irqfd = kvmfd_irqfd_prepare(p, &args, true);
		if (IS_ERR(irqfd))
			return PTR_ERR(irqfd);
		staged->irqfd = irqfd;
		return 0;
	}

	eventfd = eventfd_ctx_fdget(change->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	mark_leaving(p, eventfd, change->gsi, true);
	staged->eventfd = eventfd;
	return 0;
}

static int stage_all(struct kvmfd_edit *e, bool deassigns)
{
	int ret;
	u32 i;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];

		if (!(i % KVMFD_AT_A_TIME)) {
			/* Each GSI with resample is looked for among the others. */
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
		if (!is_irqfd(change) || is_deassign(change) != deassigns)
			continue;
		ret = -EINVAL;
		if (kvmfd_irqfd_flags_valid(change->flags))
			ret = stage(e->p, change, &e->staged[i]);
		if (ret) {
			e->failed = i;
			return ret;
		}
	}

	return 0;
}

/**
 * kvmfd_irqfd_stage() - all of an edit's irqfds, as far as it can fail
 * @e: the edit
 *
 * kvmfd_irqfd_abort() must follow if it fails.
 *
 * Return: what kvmfd_irqfd() does.
 */
int kvmfd_irqfd_stage(struct kvmfd_edit *e)
{
	int ret = 0;

	if (e->irqfds)
		ret = stage_all(e, true) ?: stage_all(e, false);

	return ret;
}

/**
 * kvmfd_irqfd_abort() - undo what has been staged
 * @e: the edit
 */
void kvmfd_irqfd_abort(struct kvmfd_edit *e)
{
	LIST_HEAD(assigned);
	u32 i;

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];
		union kvmfd_staged *staged = &e->staged[i];

		if (!is_irqfd(change) || !staged->eventfd)
			continue;
		if (is_deassign(change)) {
			mark_leaving(e->p, staged->eventfd, change->gsi, false);
			eventfd_ctx_put(staged->eventfd);
		} else {
			list_add_tail(&staged->irqfd->link, &assigned);
		}
	}
	kvmfd_irqfd_forget(e->p, &assigned);
}

/*
 * Some deassigns from @i on, so many that interrupts are not off for long.  Together:
 * else the worker would be woken for each.  Returns where to go on.
 */
static u32 commit_deassigns(struct kvmfd_edit *e, u32 i)
{
	struct kvmfd *p = e->p;
	struct kvmfd_irqfd *irqfd;
	u32 end = min(i + KVMFD_AT_A_TIME, e->count);

	spin_lock_irq(&p->irqfd_lock);
	for (; i < end; i++) {
		if (!is_irqfd(&e->changes[i]) || !is_deassign(&e->changes[i]))
			continue;
		irqfd = kvmfd_irqfd_find(p, e->staged[i].eventfd);
		/* Its successor sees to it, if there is one. */
		if (irqfd && irqfd->leaving && !irqfd->succeeded)
			kvmfd_irqfd_deactivate(irqfd);
	}
	spin_unlock_irq(&p->irqfd_lock);

	return i;
}

/**
 * kvmfd_irqfd_commit() - make the changes
 * @e: the edit
 *
 * Returns when no more interrupt comes of what has been deassigned.  If the VM's file
 * has been closed meanwhile, what has been assigned goes with it.
 */
void kvmfd_irqfd_commit(struct kvmfd_edit *e)
{
	bool wait = false;
	LIST_HEAD(late);
	u32 i;

	if (!e->irqfds)
		return;

	for (i = 0; i < e->count; i = commit_deassigns(e, i))
		cond_resched();

	for (i = 0; i < e->count; i++) {
		const struct kvmfd_change *change = &e->changes[i];
		struct kvmfd_irqfd *irqfd;

		if (!is_irqfd(change))
			continue;
		if (is_deassign(change)) {
			eventfd_ctx_put(e->staged[i].eventfd);
			wait = true;
		} else {
			irqfd = e->staged[i].irqfd;
			if (kvmfd_irqfd_activate(irqfd))
				list_add_tail(&irqfd->link, &late);
		}
		cond_resched();
	}

	if (!list_empty(&late)) {
		kvmfd_irqfd_forget(e->p, &late);
		/* What they were to succeed the release of the VM may not have come to yet. */
		kvmfd_irqfd_remove_all(e->p);
	} else if (wait) {
		flush_work(&e->p->reap);
	}
}
