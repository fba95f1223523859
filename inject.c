// SPDX-License-Identifier: GPL-2.0-only
/*
 * Raising interrupts, within the wake-up or by a worker.
 *
 * The interrupt's route is looked up at each event, under kvm->irq_srcu, which
 * KVM waits for when routes change: no copy can go stale, and an irqfd need not
 * be told.
 */
#include "kvmfd.h"

/*
 * Not the queue that irqfds are torn down by: a tear-down waits for injections, and
 * were they to share the queue's workers, enough tear-downs could keep all injections
 * from running.
 */
static struct workqueue_struct *inject_wq;

/**
 * kvmfd_inject_deferred() - have a worker raise the interrupt
 * @irqfd: the irqfd
 */
void kvmfd_inject_deferred(struct kvmfd_irqfd *irqfd)
{
	atomic64_inc(&irqfd->deferred_calls);
	queue_work(inject_wq, &irqfd->inject);
}

/**
 * kvmfd_irq_routes() - the routing entries of a GSI
 * @kvm: the VM; the caller is within kvm->irq_srcu
 * @gsi: the interrupt
 * @routes: where they go: an MSI, or a pin on each of several chips.
 *	KVM_NR_IRQCHIPS is also KVM's bound on their number.
 *
 * Return: their number.
 */
int kvmfd_irq_routes(struct kvm *kvm, u32 gsi,
		     struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS])
{
	struct kvm_irq_routing_table *table;
	struct kvm_kernel_irq_routing_entry *e;
	int n = 0;

	/* NULL on older kernels before there is an interrupt controller. */
	table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	if (!table || gsi >= table->nr_rt_entries)
		return 0;

	hlist_for_each_entry(e, &table->map[gsi], link)
		if (n < KVM_NR_IRQCHIPS)
			routes[n++] = e;

	return n;
}

/**
 * kvmfd_inject_work() - raise an interrupt
 * @work: &kvmfd_irqfd.inject; the VM stays, see irqfd.c
 */
void kvmfd_inject_work(struct work_struct *work)
{
	struct kvmfd_irqfd *irqfd = container_of(work, struct kvmfd_irqfd, inject);
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS], copy;
	struct kvm *kvm = irqfd->owner->kvm;
	int source = KVM_USERSPACE_IRQ_SOURCE_ID;
	int idx, i, n;

	if (irqfd->resampler)
		source = KVMFD_RESAMPLE_SOURCE_ID;

	idx = srcu_read_lock(&kvm->irq_srcu);
	n = kvmfd_irq_routes(kvm, irqfd->gsi, routes);
	if (n == 1 && kvmfd_arch_set_irq_sleeps(routes[0])) {
		copy = *routes[0];
		srcu_read_unlock(&kvm->irq_srcu, idx);
		copy.set(&copy, kvm, source, 1, false);
		return;
	}

	/*
	 * Within irq_srcu all the same: when KVM_SET_GSI_ROUTING returns, nothing
	 * may arrive by the old route any more.
	 */
	for (i = 0; i < n; i++)
		routes[i]->set(routes[i], kvm, source, 1, false);
	/* The eventfd tells of edges, unless the guest is to lower the pins. */
	if (!irqfd->resampler)
		for (i = 0; i < n; i++)
			routes[i]->set(routes[i], kvm, source, 0, false);
	srcu_read_unlock(&kvm->irq_srcu, idx);
}

/**
 * kvmfd_inject_inline() - raise an interrupt from within a wake-up
 * @irqfd: the irqfd; interrupts are off
 *
 * Return: whether it was raised; if not, it needs a worker.
 */
bool kvmfd_inject_inline(struct kvmfd_irqfd *irqfd)
{
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS];
	struct kvm *kvm = irqfd->owner->kvm;
	bool done;
	int idx;

	idx = srcu_read_lock(&kvm->irq_srcu);
	done = kvmfd_irq_routes(kvm, irqfd->gsi, routes) == 1 &&
	       kvmfd_arch_set_irq_inline(kvm, routes[0]);
	srcu_read_unlock(&kvm->irq_srcu, idx);

	return done;
}

/**
 * kvmfd_inject_init() - with the module
 *
 * Return: 0 or -ENOMEM.
 */
int kvmfd_inject_init(void)
{
	inject_wq = alloc_workqueue("kvmfd-inject", WQ_UNBOUND | WQ_HIGHPRI, 0);
	return inject_wq ? 0 : -ENOMEM;
}

/**
 * kvmfd_inject_exit() - with the module
 */
void kvmfd_inject_exit(void)
{
	destroy_workqueue(inject_wq);
}
