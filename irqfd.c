// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfd: a signal of an eventfd raises an interrupt in the guest.
 *
 * Life of an irqfd: hooked into the wait queue, armed, then in &kvmfd.irqfds, then,
 * once, moved to &kvmfd.dying by whoever comes first of a deassign, the closing
 * of the eventfd and the end of the attachment; torn down by &kvmfd.reap.  The
 * closing of an eventfd tells us with interrupts off and the wait queue's lock
 * held, where the hook cannot be taken out: hence the worker.
 *
 * Until it is armed it leaves events alone, so a batch can still be given up, and it
 * holds the eventfd's file, so nobody can close it.
 *
 * The wait queue's lock is what synchronizes with wake-ups.  Once the hook is
 * out, none runs and none will, so no grace period is needed.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "kvmfd.h"
#include "trace.h"

static struct workqueue_struct *reap_wq;

/**
 * kvmfd_irqfd_deactivate() - an irqfd begins to go
 * @irqfd: an active irqfd, &kvmfd.irqfd_lock held
 *
 * Whoever flushes &kvmfd.reap after that finds it gone.
 */
void kvmfd_irqfd_deactivate(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;

	lockdep_assert_held(&p->irqfd_lock);

	irqfd->dying = true;
	hash_del(&irqfd->node);
	/* Within the lock: who finds it in dying, finds the work queued too. */
	if (list_empty(&p->dying))
		queue_work(reap_wq, &p->reap);
	list_add_tail(&irqfd->link, &p->dying);
}

/**
 * kvmfd_irqfd_closed() - an irqfd's eventfd has been closed
 * @irqfd: the irqfd, the wait queue's lock held and interrupts off
 */
void kvmfd_irqfd_closed(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;
	unsigned long flags;

	spin_lock_irqsave(&p->irqfd_lock, flags);
	/* Or else a deassign is about to wait for our lock to unhook us. */
	if (!irqfd->dying)
		kvmfd_irqfd_deactivate(irqfd);
	spin_unlock_irqrestore(&p->irqfd_lock, flags);
}

/* The last part of every irqfd's life. */
static void irqfd_unhook(struct kvmfd_irqfd *irqfd)
{
	u64 count;

	/*
	 * Also reads the counter once, as KVM does: an event that came too late
	 * to be injected is not left to the eventfd's next user.
	 */
	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	flush_work(&irqfd->inject);
}

static void irqfd_free(struct kvmfd_irqfd *irqfd)
{
	if (irqfd->resamplefd)
		eventfd_ctx_put(irqfd->resamplefd);
	eventfd_ctx_put(irqfd->eventfd);
	kvmfd_latency_free(irqfd);
	kfree(irqfd);
}

/*
 * Nobody who may wait for a guest is waited for here, and so not &kvmfd.lock: the
 * release of the VM waits for this, in a queue that it shares with other VMs.
 */
static void irqfd_reap(struct work_struct *work)
{
	struct kvmfd *p = container_of(work, struct kvmfd, reap);
	struct kvmfd_irqfd *irqfd, *next;
	LIST_HEAD(dying);

	spin_lock_irq(&p->irqfd_lock);
	list_splice_init(&p->dying, &dying);
	spin_unlock_irq(&p->irqfd_lock);

	list_for_each_entry(irqfd, &dying, link) {
		trace_kvmfd_shutdown(irqfd);
		irqfd_unhook(irqfd);
		cond_resched();
	}
	kvmfd_resample_leave(p, &dying);

	list_for_each_entry_safe(irqfd, next, &dying, link) {
		spin_lock(&p->state_lock);
		kvmfd_item_retire(p, &irqfd->item);
		p->nr_irqfds--;
		spin_unlock(&p->state_lock);

		irqfd_free(irqfd);
		cond_resched();
	}
}

/**
 * kvmfd_irqfd_describe() - fill in a line of the list
 * @irqfd: the irqfd
 * @entry: all 0
 */
void kvmfd_irqfd_describe(struct kvmfd_irqfd *irqfd, struct kvmfd_entry *entry)
{
	entry->flags = irqfd->flags;
	entry->gsi = irqfd->gsi;
	entry->inline_calls = READ_ONCE(irqfd->inline_calls);
	entry->deferred_calls = atomic64_read(&irqfd->deferred_calls);
}

/**
 * kvmfd_irqfd_find() - the active irqfd of an eventfd
 * @p: the attachment, &kvmfd.irqfd_lock held
 * @eventfd: the eventfd
 *
 * Return: the only one that there can be, or NULL.
 */
struct kvmfd_irqfd *kvmfd_irqfd_find(struct kvmfd *p, const struct eventfd_ctx *eventfd)
{
	struct kvmfd_irqfd *irqfd;

	lockdep_assert_held(&p->irqfd_lock);

	hash_for_each_possible(p->irqfds, irqfd, node, (unsigned long)eventfd)
		if (irqfd->eventfd == eventfd)
			return irqfd;

	return NULL;
}

/*
 * Will our batch take the eventfd from the irqfd that has it, and give it to us?  Then
 * our hook joins the other's, which may go before the batch is done: nobody else is to
 * find the eventfd free.
 */
static bool irqfd_hook_successor(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;
	struct kvmfd_irqfd *old;
	bool ret = false;

	spin_lock_irq(&irqfd->wqh->lock);
	spin_lock(&p->irqfd_lock);
	old = kvmfd_irqfd_find(p, irqfd->eventfd);
	if (old && old->leaving && !old->succeeded) {
		old->succeeded = true;
		irqfd->wait.flags |= WQ_FLAG_EXCLUSIVE | WQ_FLAG_PRIORITY;
		/* In its place: KVM's own irqfd may be behind it, and must not be before us. */
		list_add(&irqfd->wait.entry, &old->wait.entry);
		ret = true;
	}
	spin_unlock(&p->irqfd_lock);
	spin_unlock_irq(&irqfd->wqh->lock);

	return ret;
}

static void irqfd_hook(struct file *file, wait_queue_head_t *wqh, poll_table *poll)
{
	struct kvmfd_irqfd *irqfd = container_of(poll, struct kvmfd_irqfd, poll);

	irqfd->wqh = wqh;
	irqfd->hook_error = 0;
	if (!irqfd->in_batch || !irqfd_hook_successor(irqfd))
		irqfd->hook_error = kvmfd_add_wait_queue_priority_exclusive(wqh,
									    &irqfd->wait);
}

static struct kvmfd_irqfd *irqfd_create(struct kvmfd *p, const struct kvm_irqfd *args,
					struct file *file, bool in_batch)
{
	struct kvmfd_irqfd *irqfd;
	struct eventfd_ctx *eventfd;
	int ret;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return ERR_PTR(-ENOMEM);

	eventfd = eventfd_ctx_fileget(file);
	if (IS_ERR(eventfd)) {
		kfree(irqfd);
		return ERR_CAST(eventfd);
	}

	irqfd->eventfd = eventfd;
	irqfd->owner = p;
	irqfd->gsi = args->gsi;
	irqfd->flags = args->flags;
	irqfd->in_batch = in_batch;
	irqfd->file = file;
	INIT_WORK(&irqfd->inject, kvmfd_inject_work);
	init_waitqueue_func_entry(&irqfd->wait, kvmfd_irqfd_wakeup);
	init_poll_funcptr(&irqfd->poll, irqfd_hook);

	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		ret = kvmfd_resample_join(irqfd, args->resamplefd);
		if (ret) {
			irqfd_free(irqfd);
			return ERR_PTR(ret);
		}
	}

	return irqfd;
}

/* What has been created and is not to be, hooked no more. */
static void discard(struct kvmfd *p, struct list_head *irqfds)
{
	struct kvmfd_irqfd *irqfd, *next;

	kvmfd_resample_leave(p, irqfds);
	list_for_each_entry_safe(irqfd, next, irqfds, link) {
		irqfd_free(irqfd);
		cond_resched();
	}
}

/* Takes the reference on @file with it if it succeeds. */
static struct kvmfd_irqfd *irqfd_create_hooked(struct kvmfd *p,
					       const struct kvm_irqfd *args,
					       struct file *file, bool in_batch)
{
	struct kvmfd_irqfd *irqfd = irqfd_create(p, args, file, in_batch);
	LIST_HEAD(failed);
	int ret;

	if (IS_ERR(irqfd))
		return irqfd;

	vfs_poll(file, &irqfd->poll);
	if (irqfd->hook_error && in_batch) {
		/*
		 * What the batch deassigns may be on its way out: another thread was first.
		 * If it is somebody else's there is nothing to wait for, or not for long.
		 */
		flush_work(&p->reap);
		vfs_poll(file, &irqfd->poll);
	}
	ret = irqfd->hook_error;
	if (ret) {
		list_add(&irqfd->link, &failed);
		discard(p, &failed);
		return ERR_PTR(ret);
	}

	return irqfd;
}

/**
 * kvmfd_irqfd_forget() - irqfds are not to be, after all
 * @p: the attachment
 * @irqfds: &kvmfd_irqfd.link of some, as kvmfd_irqfd_prepare() made them; their eventfds'
 *	counters are not ours to read
 */
void kvmfd_irqfd_forget(struct kvmfd *p, struct list_head *irqfds)
{
	struct kvmfd_irqfd *irqfd;

	list_for_each_entry(irqfd, irqfds, link) {
		remove_wait_queue(irqfd->wqh, &irqfd->wait);
		fput(irqfd->file);
		cond_resched();
	}
	discard(p, irqfds);
}

/*
 * Events that come are ours from here on, and no longer those of the one before.
 * Returns whether one had come already, to nobody: only under the wait queue's lock is
 * it certain that nobody takes it in this moment.
 */
static bool irqfd_arm(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;
	struct kvmfd_irqfd *old;
	bool pending;

	spin_lock_irq(&irqfd->wqh->lock);
	spin_lock(&p->irqfd_lock);
	/* There is one only if a batch replaces it by us. */
	old = kvmfd_irqfd_find(p, irqfd->eventfd);
	if (old) {
		list_del_init(&old->wait.entry);
		kvmfd_irqfd_deactivate(old);
	}
	spin_unlock(&p->irqfd_lock);
	WRITE_ONCE(irqfd->armed, true);
	/* What has come to the one before, it has raised; its tear-down reads the counter. */
	pending = !old && vfs_poll(irqfd->file, NULL) & EPOLLIN;
	spin_unlock_irq(&irqfd->wqh->lock);

	return pending;
}

/*
 * The rest of an assign, unless the attachment has ended: then the irqfd has heard no
 * event, and the guest hears of none.  Nobody finds the irqfd before it is complete.
 */
static int irqfd_enter(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;
	int ended;

	spin_lock(&p->state_lock);
	ended = p->ended;
	if (!ended) {
		p->nr_irqfds++;
		/* It has its id when the first event comes. */
		kvmfd_item_add(p, &irqfd->item, KVMFD_ENTRY_IRQFD);
		if (irqfd_arm(irqfd))
			kvmfd_inject_pending(irqfd);
		spin_lock_irq(&p->irqfd_lock);
		hash_add(p->irqfds, &irqfd->node, (unsigned long)irqfd->eventfd);
		spin_unlock_irq(&p->irqfd_lock);
	}
	spin_unlock(&p->state_lock);

	return ended;
}

/**
 * kvmfd_irqfd_activate() - an irqfd comes to life
 * @irqfd: as kvmfd_irqfd_prepare() made it
 *
 * Return: 0; or -ENODEV, -ECONNRESET: the attachment has ended, and kvmfd_irqfd_forget()
 * has to follow.
 */
int kvmfd_irqfd_activate(struct kvmfd_irqfd *irqfd)
{
	struct file *file = irqfd->file;
	int ret;

	ret = irqfd_enter(irqfd);
	/* Whoever closes the eventfd now takes it from here. */
	if (!ret)
		fput(file);

	return ret;
}

/**
 * kvmfd_irqfd_prepare() - all that can fail of an assign
 * @p: the attachment, pinned
 * @args: as the caller gave them
 * @in_batch: &kvmfd.lock is held, and the irqfds that are leaving are the batch's
 *
 * Return: an irqfd that hears nothing yet, or what kvmfd_irqfd() says of an assign.
 */
struct kvmfd_irqfd *kvmfd_irqfd_prepare(struct kvmfd *p, const struct kvm_irqfd *args,
					bool in_batch)
{
	struct kvmfd_irqfd *irqfd;
	struct file *file;

	if (!kvmfd_arch_irqfd_allowed(p->kvm, args->flags))
		return ERR_PTR(-EINVAL);

	file = fget(args->fd);
	if (!file)
		return ERR_PTR(-EBADF);
	irqfd = irqfd_create_hooked(p, args, file, in_batch);
	if (IS_ERR(irqfd))
		fput(file);

	return irqfd;
}

static int irqfd_assign(struct kvmfd *p, const struct kvm_irqfd *args)
{
	struct kvmfd_irqfd *irqfd = kvmfd_irqfd_prepare(p, args, false);
	LIST_HEAD(late);
	int ret;

	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);

	ret = kvmfd_irqfd_activate(irqfd);
	if (ret) {
		list_add(&irqfd->link, &late);
		kvmfd_irqfd_forget(p, &late);
	}

	return ret;
}

static int irqfd_deassign(struct kvmfd *p, const struct kvm_irqfd *args)
{
	struct kvmfd_irqfd *irqfd;
	struct eventfd_ctx *eventfd;

	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	spin_lock_irq(&p->irqfd_lock);
	irqfd = kvmfd_irqfd_find(p, eventfd);
	if (irqfd && irqfd->gsi == args->gsi)
		kvmfd_irqfd_deactivate(irqfd);
	spin_unlock_irq(&p->irqfd_lock);

	eventfd_ctx_put(eventfd);

	/* Even if nothing matched: the eventfd may just be closing. */
	flush_work(&p->reap);
	return 0;
}

/**
 * kvmfd_irqfd_flags_valid() - are they all known?
 * @flags: KVM_IRQFD_FLAG_*
 *
 * Return: whether they are.
 */
bool kvmfd_irqfd_flags_valid(u32 flags)
{
	return !(flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE));
}

/**
 * kvmfd_irqfd() - KVM_IRQFD
 * @p: the attachment, pinned
 * @args: as the caller gave them
 *
 * When a deassign returns, no more interrupt comes and the eventfd has been read
 * (its counter is 0, unless it is a semaphore).  It matches by eventfd and GSI,
 * and finding nothing is no error.
 *
 * &kvmfd.lock is not wanted: who holds it may wait for a vCPU that is stopped in
 * a page fault, and the thread that resolves the fault may need an irqfd first.
 *
 * Return: 0; assign: -EINVAL (flags, no in-kernel interrupt controller, or for
 * resample not all of it, not an eventfd), -EBADF, -EBUSY (the eventfd drives an
 * irqfd already, of whatever VM, KVM's own included), -ENODEV (the VM is being
 * closed), -ECONNRESET (evicted), -ENOMEM; deassign: -EINVAL, -EBADF, -ENODEV,
 * -ECONNRESET.
 */
int kvmfd_irqfd(struct kvmfd *p, const struct kvm_irqfd *args)
{
	bool deassign = args->flags & KVM_IRQFD_FLAG_DEASSIGN;
	int ret;

	if (!kvmfd_irqfd_flags_valid(args->flags))
		return -EINVAL;

	down_read(&p->irqfd_calls);
	ret = READ_ONCE(p->ended);
	if (!ret)
		ret = deassign ? irqfd_deassign(p, args) : irqfd_assign(p, args);
	up_read(&p->irqfd_calls);

	return ret;
}

/* So many that interrupts are not off for long.  Are there more, from @bucket on? */
static bool deactivate_some(struct kvmfd *p, int *bucket)
{
	struct kvmfd_irqfd *irqfd;
	struct hlist_node *next;
	int n = 0;

	spin_lock_irq(&p->irqfd_lock);
	for (; *bucket < HASH_SIZE(p->irqfds) && n < KVMFD_AT_A_TIME; (*bucket)++) {
		hlist_for_each_entry_safe(irqfd, next, &p->irqfds[*bucket], node) {
			kvmfd_irqfd_deactivate(irqfd);
			n++;
		}
	}
	spin_unlock_irq(&p->irqfd_lock);

	return *bucket < HASH_SIZE(p->irqfds);
}

/**
 * kvmfd_irqfd_remove_all() - tear all irqfds of an attachment down
 * @p: the attachment, &kvmfd.ended set: none is added any more
 *
 * The VM is pinned or being released.  Returns when none is left.
 */
void kvmfd_irqfd_remove_all(struct kvmfd *p)
{
	int bucket = 0;

	while (deactivate_some(p, &bucket))
		cond_resched();

	flush_work(&p->reap);
}

/**
 * kvmfd_irqfd_setup() - prepare a new attachment for irqfds
 * @p: the attachment
 */
void kvmfd_irqfd_setup(struct kvmfd *p)
{
	init_rwsem(&p->irqfd_calls);
	spin_lock_init(&p->irqfd_lock);
	hash_init(p->irqfds);
	INIT_LIST_HEAD(&p->dying);
	mutex_init(&p->resample_lock);
	INIT_LIST_HEAD(&p->resamplers);
	INIT_WORK(&p->reap, irqfd_reap);
}

/**
 * kvmfd_irqfd_init() - with the module
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_irqfd_init(void)
{
	reap_wq = alloc_workqueue("kvmfd-reap", WQ_UNBOUND, 0);
	return reap_wq ? 0 : -ENOMEM;
}

/**
 * kvmfd_irqfd_exit() - with the module
 */
void kvmfd_irqfd_exit(void)
{
	destroy_workqueue(reap_wq);
}
