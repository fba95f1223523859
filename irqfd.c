// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfd: a signal of an eventfd raises an interrupt in the guest.
 *
 * The interrupt's route is looked up at each event, under kvm->irq_srcu, which
 * KVM waits for when routes change: no copy can go stale, and an irqfd need not
 * be told.
 *
 * Life of an irqfd: hooked into the wait queue, then on &kvmfd.irqfds, then,
 * once, moved to &kvmfd.dying by whoever comes first of a deassign, the closing
 * of the eventfd and the end of the attachment; torn down by &kvmfd.reap.  The
 * closing of an eventfd tells us with interrupts off and the wait queue's lock
 * held, where the hook cannot be taken out: hence the worker.
 *
 * The wait queue's lock is what synchronizes with wake-ups.  Once the hook is
 * out, none runs and none will, so no grace period is needed.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "kvmfd.h"

/*
 * Two queues, because a tear-down waits for injections: were they to share the
 * queue's workers, enough tear-downs could keep all injections from running.
 */
static struct workqueue_struct *inject_wq;
static struct workqueue_struct *reap_wq;

static void irqfd_defer(struct kvmfd_irqfd *irqfd)
{
	atomic64_inc(&irqfd->deferred_calls);
	queue_work(inject_wq, &irqfd->inject);
}

/*
 * The routing entries of a GSI: an MSI, or a pin on each of several chips.
 * KVM_NR_IRQCHIPS is also KVM's bound on their number.
 */
static int irqfd_routes(struct kvmfd_irqfd *irqfd,
			struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS])
{
	struct kvm *kvm = irqfd->owner->kvm;
	struct kvm_irq_routing_table *table;
	struct kvm_kernel_irq_routing_entry *e;
	int n = 0;

	/* NULL on older kernels before there is an interrupt controller. */
	table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	if (!table || irqfd->gsi >= table->nr_rt_entries)
		return 0;

	hlist_for_each_entry(e, &table->map[irqfd->gsi], link)
		if (n < KVM_NR_IRQCHIPS)
			routes[n++] = e;

	return n;
}

static void irqfd_inject(struct work_struct *work)
{
	struct kvmfd_irqfd *irqfd = container_of(work, struct kvmfd_irqfd, inject);
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS], copy;
	struct kvm *kvm = irqfd->owner->kvm;
	int idx, i, n;

	idx = srcu_read_lock(&kvm->irq_srcu);
	n = irqfd_routes(irqfd, routes);
	if (n == 1 && kvmfd_arch_set_irq_sleeps(routes[0])) {
		copy = *routes[0];
		srcu_read_unlock(&kvm->irq_srcu, idx);
		copy.set(&copy, kvm, KVM_USERSPACE_IRQ_SOURCE_ID, 1, false);
		return;
	}

	/*
	 * Within irq_srcu all the same: when KVM_SET_GSI_ROUTING returns, nothing
	 * may arrive by the old route any more.
	 */
	for (i = 0; i < n; i++)
		routes[i]->set(routes[i], kvm, KVM_USERSPACE_IRQ_SOURCE_ID, 1, false);
	/* The eventfd tells of edges: lower the pins again. */
	for (i = 0; i < n; i++)
		routes[i]->set(routes[i], kvm, KVM_USERSPACE_IRQ_SOURCE_ID, 0, false);
	srcu_read_unlock(&kvm->irq_srcu, idx);
}

static bool irqfd_inject_inline(struct kvmfd_irqfd *irqfd)
{
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS];
	struct kvm *kvm = irqfd->owner->kvm;
	bool done;
	int idx;

	idx = srcu_read_lock(&kvm->irq_srcu);
	done = irqfd_routes(irqfd, routes) == 1 &&
	       kvmfd_arch_set_irq_inline(kvm, routes[0]);
	srcu_read_unlock(&kvm->irq_srcu, idx);

	return done;
}

static void irqfd_deactivate(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;

	lockdep_assert_held(&p->irqfd_lock);

	irqfd->dying = true;
	list_move_tail(&irqfd->link, &p->dying);
	/* Within the lock: who finds it in dying, finds the work queued too. */
	queue_work(reap_wq, &p->reap);
}

/* With the wait queue's lock held and interrupts off. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct kvmfd_irqfd *irqfd = container_of(wait, struct kvmfd_irqfd, wait);
	struct kvmfd *p = irqfd->owner;
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	int woken = 0;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		if (irqfd_inject_inline(irqfd))
			WRITE_ONCE(irqfd->inline_calls, irqfd->inline_calls + 1);
		else
			irqfd_defer(irqfd);
		/* The event has been taken: nobody else is to see it. */
		woken = 1;
	}

	if (events & EPOLLHUP) {
		spin_lock_irqsave(&p->irqfd_lock, flags);
		/* Or else a deassign is about to wait for our lock to unhook us. */
		if (!irqfd->dying)
			irqfd_deactivate(irqfd);
		spin_unlock_irqrestore(&p->irqfd_lock, flags);
	}

	return woken;
}

static void irqfd_hook(struct file *file, wait_queue_head_t *wqh, poll_table *poll)
{
	struct kvmfd_irqfd *irqfd = container_of(poll, struct kvmfd_irqfd, poll);

	irqfd->hook_error = kvmfd_add_wait_queue_priority_exclusive(wqh, &irqfd->wait);
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
	eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

static void irqfd_retire(struct kvmfd *p, const struct kvmfd_irqfd *irqfd)
{
	lockdep_assert_held(&p->state_lock);

	p->retired.inline_calls += irqfd->inline_calls;
	p->retired.deferred_calls += atomic64_read(&irqfd->deferred_calls);
}

/*
 * Nobody who holds a lock of KVM's or &kvmfd.lock is waited for here: the
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

	list_for_each_entry_safe(irqfd, next, &dying, link) {
		irqfd_unhook(irqfd);

		spin_lock(&p->state_lock);
		p->nr_irqfds--;
		irqfd_retire(p, irqfd);
		kvmfd_item_del(p, &irqfd->item);
		spin_unlock(&p->state_lock);

		irqfd_free(irqfd);
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

static int irqfd_activate(struct kvmfd *p, struct kvmfd_irqfd *irqfd)
{
	int ret = 0;

	spin_lock(&p->state_lock);
	if (p->closed) {
		ret = -ENODEV;
	} else {
		p->nr_irqfds++;
		kvmfd_item_add(p, &irqfd->item, KVMFD_ENTRY_IRQFD);
		spin_lock_irq(&p->irqfd_lock);
		list_add_tail(&irqfd->link, &p->irqfds);
		spin_unlock_irq(&p->irqfd_lock);
	}
	spin_unlock(&p->state_lock);

	return ret;
}

static struct kvmfd_irqfd *irqfd_create(struct kvmfd *p, const struct kvm_irqfd *args,
					struct file *file)
{
	struct kvmfd_irqfd *irqfd;
	struct eventfd_ctx *eventfd;

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
	INIT_WORK(&irqfd->inject, irqfd_inject);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->poll, irqfd_hook);
	return irqfd;
}

static int irqfd_assign_file(struct kvmfd *p, const struct kvm_irqfd *args,
			     struct file *file)
{
	struct kvmfd_irqfd *irqfd;
	__poll_t events;
	int ret;

	irqfd = irqfd_create(p, args, file);
	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);

	/* From here on events come; the eventfd cannot be closed under us. */
	events = vfs_poll(file, &irqfd->poll);
	ret = irqfd->hook_error;
	if (ret)
		goto free;

	/* It may have been signalled before anyone was there to hear. */
	if (events & EPOLLIN)
		irqfd_defer(irqfd);

	ret = irqfd_activate(p, irqfd);
	if (ret)
		goto unhook;

	return 0;

unhook:
	irqfd_unhook(irqfd);
	spin_lock(&p->state_lock);
	irqfd_retire(p, irqfd);
	spin_unlock(&p->state_lock);
free:
	irqfd_free(irqfd);
	return ret;
}

static int irqfd_assign(struct kvmfd *p, const struct kvm_irqfd *args)
{
	struct file *file;
	int ret;

	if (!kvmfd_arch_irqfd_allowed(p->kvm))
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		return -EOPNOTSUPP;

	file = fget(args->fd);
	if (!file)
		return -EBADF;
	ret = irqfd_assign_file(p, args, file);
	fput(file);
	return ret;
}

static int irqfd_deassign(struct kvmfd *p, const struct kvm_irqfd *args)
{
	struct kvmfd_irqfd *irqfd, *next;
	struct eventfd_ctx *eventfd;

	eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	spin_lock_irq(&p->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &p->irqfds, link)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi)
			irqfd_deactivate(irqfd);
	spin_unlock_irq(&p->irqfd_lock);

	eventfd_ctx_put(eventfd);

	/* Even if nothing matched: the eventfd may just be closing. */
	flush_work(&p->reap);
	return 0;
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
 * Return: 0; assign: -EINVAL (flags, no in-kernel interrupt controller, not an
 * eventfd), -EOPNOTSUPP (resample), -EBADF, -EBUSY (the eventfd drives an irqfd
 * already, of whatever VM, KVM's own included), -ENODEV (the VM is being
 * closed), -ENOMEM; deassign: -EINVAL, -EBADF.
 */
int kvmfd_irqfd(struct kvmfd *p, const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;

	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return irqfd_deassign(p, args);

	return irqfd_assign(p, args);
}

/**
 * kvmfd_irqfd_remove_all() - tear all irqfds of an attachment down
 * @p: the attachment, &kvmfd.closed set: none is added any more
 *
 * The VM is pinned or being released.  Returns when none is left.
 */
void kvmfd_irqfd_remove_all(struct kvmfd *p)
{
	struct kvmfd_irqfd *irqfd, *next;

	spin_lock_irq(&p->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &p->irqfds, link)
		irqfd_deactivate(irqfd);
	spin_unlock_irq(&p->irqfd_lock);

	flush_work(&p->reap);
}

/**
 * kvmfd_irqfd_setup() - prepare a new attachment for irqfds
 * @p: the attachment
 */
void kvmfd_irqfd_setup(struct kvmfd *p)
{
	spin_lock_init(&p->irqfd_lock);
	INIT_LIST_HEAD(&p->irqfds);
	INIT_LIST_HEAD(&p->dying);
	INIT_WORK(&p->reap, irqfd_reap);
}

/**
 * kvmfd_irqfd_init() - with the module
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_irqfd_init(void)
{
	inject_wq = alloc_workqueue("kvmfd-inject", WQ_UNBOUND | WQ_HIGHPRI, 0);
	if (!inject_wq)
		return -ENOMEM;

	reap_wq = alloc_workqueue("kvmfd-reap", WQ_UNBOUND, 0);
	if (!reap_wq) {
		destroy_workqueue(inject_wq);
		return -ENOMEM;
	}

	return 0;
}

/**
 * kvmfd_irqfd_exit() - with the module
 */
void kvmfd_irqfd_exit(void)
{
	destroy_workqueue(reap_wq);
	destroy_workqueue(inject_wq);
}
