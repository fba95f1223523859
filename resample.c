// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resample: irqfds of level-triggered interrupts.
 *
 * A signal of the eventfd raises the line of the GSI, and it stays up until the
 * guest acknowledges the interrupt.  Then the resamplefds are signalled, and who
 * still wants the interrupt signals his eventfd again.
 *
 * All irqfds of a GSI share one line.  At the pins it is a source of its own
 * beside those of user space and of KVM's irqfds: a pin is high as long as any of
 * its sources is, and lowering one leaves the others alone.
 *
 * KVM's own list of resamplers is not for ours: an irqfd of KVM's on the same GSI
 * would join the one that it finds there, and free it in the end.
 */
#include <linux/eventfd.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "kvmfd.h"
#include "trace.h"

/**
 * struct kvmfd_resampler - the line of a GSI, as far as it is kvmfd's
 * @kvm: the VM
 * @link: in &kvmfd.resamplers
 * @irqfds: &kvmfd_irqfd.resample_link, never empty outside of the lock.  Changed
 *	under &kvmfd.resample_lock, walked within kvm->irq_srcu.
 * @notifier: on KVM's list, called within kvm->irq_srcu; holds the GSI
 */
struct kvmfd_resampler {
	struct kvm *kvm;
	struct list_head link;
	struct list_head irqfds;
	struct kvm_irq_ack_notifier notifier;
};

/* Within irq_srcu.  Lowering never sleeps, wherever the route leads. */
static void line_lower(struct kvmfd_resampler *resampler)
{
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS];
	struct kvm *kvm = resampler->kvm;
	int i, n;

	n = kvmfd_irq_routes(kvm, resampler->notifier.gsi, routes);
	for (i = 0; i < n; i++)
		routes[i]->set(routes[i], kvm, KVMFD_RESAMPLE_SOURCE_ID, 0, false);
}

/* Of a vCPU, within irq_srcu. */
static void resampler_acked(struct kvm_irq_ack_notifier *notifier)
{
	struct kvmfd_resampler *resampler =
		container_of(notifier, struct kvmfd_resampler, notifier);
	struct kvmfd_irqfd *irqfd;

	/* Once, and first: whoever has been told may raise the line again. */
	line_lower(resampler);
	list_for_each_entry_srcu(irqfd, &resampler->irqfds, resample_link,
				 srcu_read_lock_held(&resampler->kvm->irq_srcu))
		if (READ_ONCE(irqfd->armed)) {
			trace_kvmfd_resample(irqfd);
			kvmfd_eventfd_signal(irqfd->resamplefd);
		}
}

static struct kvmfd_resampler *resampler_create(struct kvm *kvm, u32 gsi)
{
	struct kvmfd_resampler *resampler;

	resampler = kzalloc(sizeof(*resampler), GFP_KERNEL_ACCOUNT);
	if (!resampler)
		return NULL;

	resampler->kvm = kvm;
	resampler->notifier.gsi = gsi;
	resampler->notifier.irq_acked = resampler_acked;
	INIT_LIST_HEAD(&resampler->irqfds);
	return resampler;
}

static struct kvmfd_resampler *resampler_find(struct kvmfd *p, u32 gsi)
{
	struct kvmfd_resampler *resampler;

	lockdep_assert_held(&p->resample_lock);

	list_for_each_entry(resampler, &p->resamplers, link)
		if (resampler->notifier.gsi == gsi)
			return resampler;

	return NULL;
}

static void resampler_add(struct kvmfd *p, struct kvmfd_resampler *resampler)
{
	struct kvm *kvm = resampler->kvm;

	lockdep_assert_held(&p->resample_lock);

	list_add(&resampler->link, &p->resamplers);
	mutex_lock(&kvm->irq_lock);
	hlist_add_head_rcu(&resampler->notifier.link, &kvm->irq_ack_notifier_list);
	mutex_unlock(&kvm->irq_lock);
}

static void resampler_del(struct kvmfd *p, struct kvmfd_resampler *resampler)
{
	struct kvm *kvm = resampler->kvm;

	lockdep_assert_held(&p->resample_lock);

	list_del(&resampler->link);
	mutex_lock(&kvm->irq_lock);
	hlist_del_rcu(&resampler->notifier.link);
	mutex_unlock(&kvm->irq_lock);
}

/**
 * kvmfd_resample_join() - give an irqfd its place at the line of its GSI
 * @irqfd: an irqfd that is not hooked into its eventfd yet; the VM is pinned
 * @fd: the caller's resamplefd
 *
 * No grace period is needed: an acknowledgment that does not see the irqfd yet
 * has begun, and lowered the line, before the irqfd could raise it.
 *
 * Return: 0, -EBADF, -EINVAL (not an eventfd), -ENOMEM.
 */
int kvmfd_resample_join(struct kvmfd_irqfd *irqfd, int fd)
{
	struct kvmfd *p = irqfd->owner;
	struct kvmfd_resampler *resampler, *fresh;
	struct eventfd_ctx *resamplefd;

	resamplefd = eventfd_ctx_fdget(fd);
	if (IS_ERR(resamplefd))
		return PTR_ERR(resamplefd);

	/* Nobody waits for memory with the lock held, see kvmfd.h. */
	fresh = resampler_create(p->kvm, irqfd->gsi);
	if (!fresh) {
		eventfd_ctx_put(resamplefd);
		return -ENOMEM;
	}

	mutex_lock(&p->resample_lock);
	resampler = resampler_find(p, irqfd->gsi);
	if (!resampler) {
		swap(resampler, fresh);
		resampler_add(p, resampler);
		kvmfd_arch_ack_notifiers_changed(p->kvm);
	}
	irqfd->resamplefd = resamplefd;
	irqfd->resampler = resampler;
	list_add_tail_rcu(&irqfd->resample_link, &resampler->irqfds);
	mutex_unlock(&p->resample_lock);

	kfree(fresh);
	return 0;
}

/**
 * kvmfd_resample_leave() - the counterpart of kvmfd_resample_join()
 * @p: the attachment; the VM is pinned or being released
 * @irqfds: &kvmfd_irqfd.link of some that raise nothing any more, whether or not
 *	they have joined
 *
 * Lowers the line of each GSI that has none left.  One grace period serves all; it
 * is over before anyone can join anew: an acknowledgment that is still under way
 * would lower the line and tell those who have left.
 */
void kvmfd_resample_leave(struct kvmfd *p, struct list_head *irqfds)
{
	struct kvmfd_resampler *resampler, *next;
	struct kvm *kvm = p->kvm;
	struct kvmfd_irqfd *irqfd;
	LIST_HEAD(unused);
	bool any = false;
	int idx;

	mutex_lock(&p->resample_lock);
	list_for_each_entry(irqfd, irqfds, link) {
		resampler = irqfd->resampler;
		if (!resampler)
			continue;
		any = true;
		list_del_rcu(&irqfd->resample_link);
		if (list_empty(&resampler->irqfds)) {
			resampler_del(p, resampler);
			list_add(&resampler->link, &unused);
		}
	}
	if (any)
		synchronize_srcu_expedited(&kvm->irq_srcu);
	if (!list_empty(&unused))
		kvmfd_arch_ack_notifiers_changed(kvm);
	list_for_each_entry_safe(resampler, next, &unused, link) {
		idx = srcu_read_lock(&kvm->irq_srcu);
		line_lower(resampler);
		srcu_read_unlock(&kvm->irq_srcu, idx);
		kfree(resampler);
		cond_resched();
	}
	mutex_unlock(&p->resample_lock);
}
