// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wake-up of an irqfd, and raising interrupts, within it or by a worker.
 *
 * The interrupt's route is looked up at each event, under kvm->irq_srcu, which
 * KVM waits for when routes change: no copy can go stale, and an irqfd need not
 * be told.
 */
#include "kvmfd.h"
#include "trace.h"
#include "x86.h"

/*
 * Not the queue that irqfds are torn down by: a tear-down waits for injections, and
 * were they to share the queue's workers, enough tear-downs could keep all injections
 * from running.
 */
static struct workqueue_struct *inject_wq;

/* Of a GSI; NULL if it has none. */
static inline struct hlist_node *first_route(struct kvm *kvm, u32 gsi)
{
	struct kvm_irq_routing_table *table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);

	/* NULL on older kernels before there is an interrupt controller. */
	return table && gsi < table->nr_rt_entries ? table->map[gsi].first : NULL;
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
	struct hlist_node *node;
	int n = 0;

	for (node = first_route(kvm, gsi); node && n < KVM_NR_IRQCHIPS; node = node->next)
		routes[n++] = hlist_entry(node, struct kvm_kernel_irq_routing_entry, link);

	return n;
}

/**
 * kvmfd_irq_describe_route() - where does an interrupt lead now?
 * @kvm: the VM
 * @entry: of an irqfd; its route is filled in
 */
void kvmfd_irq_describe_route(struct kvm *kvm, struct kvmfd_entry *entry)
{
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS], *e;
	int idx, i, n;

	BUILD_BUG_ON(ARRAY_SIZE(entry->pins) < KVM_NR_IRQCHIPS);

	idx = srcu_read_lock(&kvm->irq_srcu);
	n = kvmfd_irq_routes(kvm, entry->gsi, routes);
	entry->route = n ? KVMFD_ROUTE_OTHER : KVMFD_ROUTE_NONE;
	for (i = 0; i < n; i++) {
		e = routes[i];
		if (e->type == KVM_IRQ_ROUTING_MSI) {
			entry->route = KVMFD_ROUTE_MSI;
			entry->msi_addr = (u64)e->msi.address_hi << 32 | e->msi.address_lo;
			entry->msi_data = e->msi.data;
		} else if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
			entry->route = KVMFD_ROUTE_PINS;
			entry->chips |= 1U << e->irqchip.irqchip;
			entry->pins[e->irqchip.irqchip] = kvmfd_arch_pin(e);
		}
	}
	srcu_read_unlock(&kvm->irq_srcu, idx);
}

/* What has the interrupt's route against the wake-up? */
static void tell_deferred(const struct kvmfd_irqfd *irqfd)
{
	struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS];
	struct kvm *kvm = irqfd->owner->kvm;
	enum kvmfd_deferral why = KVMFD_DEFER_OTHER;
	int idx, n;

	idx = srcu_read_lock(&kvm->irq_srcu);
	n = kvmfd_irq_routes(kvm, irqfd->gsi, routes);
	if (!n)
		why = KVMFD_DEFER_NO_ROUTE;
	else if (routes[0]->type == KVM_IRQ_ROUTING_MSI)
		why = KVMFD_DEFER_MSI;
	else if (routes[0]->type == KVM_IRQ_ROUTING_IRQCHIP)
		why = KVMFD_DEFER_PIN;
	srcu_read_unlock(&kvm->irq_srcu, idx);
	trace_kvmfd_deferred(irqfd, why);
}

static void inject_deferred(struct kvmfd_irqfd *irqfd)
{
	atomic64_inc(&irqfd->deferred_calls);
	if (rcu_access_pointer(irqfd->measured))
		kvmfd_latency_note(irqfd);
	queue_work(inject_wq, &irqfd->inject);
}

/**
 * kvmfd_inject_pending() - an event was there before the irqfd
 * @irqfd: the irqfd
 *
 * A worker raises the interrupt.
 */
void kvmfd_inject_pending(struct kvmfd_irqfd *irqfd)
{
	trace_kvmfd_deferred(irqfd, KVMFD_DEFER_PENDING);
	inject_deferred(irqfd);
}

static void inject(struct kvmfd_irqfd *irqfd)
{
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
 * kvmfd_inject_again() - an event whose interrupt has been held back, or is to come twice
 * @irqfd: a listed irqfd, &kvmfd.state_lock held
 *
 * A worker raises it, unless the irqfd is being torn down.
 */
void kvmfd_inject_again(struct kvmfd_irqfd *irqfd)
{
	struct kvmfd *p = irqfd->owner;

	lockdep_assert_held(&p->state_lock);

	spin_lock_irq(&p->irqfd_lock);
	/* Whoever tears it down waits for the worker, later than that. */
	if (!irqfd->dying)
		inject_deferred(irqfd);
	spin_unlock_irq(&p->irqfd_lock);
}

/**
 * kvmfd_inject_work() - raise an interrupt
 * @work: &kvmfd_irqfd.inject; the VM stays, see irqfd.c
 */
void kvmfd_inject_work(struct work_struct *work)
{
	struct kvmfd_irqfd *irqfd = container_of(work, struct kvmfd_irqfd, inject);
	u64 woken = kvmfd_latency_take(irqfd);

	inject(irqfd);
	if (woken)
		kvmfd_latency_end(irqfd, woken);
}

/* Returns whether the interrupt was raised; if not, it needs a worker. */
static __always_inline bool inject_inline(struct kvmfd_irqfd *irqfd)
{
	struct kvm *kvm = irqfd->owner->kvm;
	struct hlist_node *first;
	bool done;
	int idx;

	idx = srcu_read_lock(&kvm->irq_srcu);
	first = first_route(kvm, irqfd->gsi);
	/* An MSI is the only route of its GSI. */
	done = first &&
	       kvmfd_arch_set_irq_inline(kvm, hlist_entry(first,
							  struct kvm_kernel_irq_routing_entry,
							  link));
	srcu_read_unlock(&kvm->irq_srcu, idx);

	return done;
}

static __always_inline void count_inline(struct kvmfd_irqfd *irqfd)
{
	WRITE_ONCE(irqfd->inline_calls, irqfd->inline_calls + 1);
}

/*
 * An event that somebody looks at, or that may be struck.  Within the wake-up it would cost
 * that registers; for the same reason it gets the pointer that the wake-up has.
 */
static noinline void watched_event(wait_queue_entry_t *wait)
{
	struct kvmfd_irqfd *irqfd = container_of(wait, struct kvmfd_irqfd, wait);

	if (kvmfd_fault_strikes(irqfd->owner, &irqfd->item))
		return;
	if (inject_inline(irqfd)) {
		count_inline(irqfd);
		trace_kvmfd_inline(irqfd);
		return;
	}
	if (trace_kvmfd_deferred_enabled())
		tell_deferred(irqfd);
	inject_deferred(irqfd);
}

/**
 * kvmfd_irqfd_wakeup() - the eventfd has been signalled or closed
 * @wait: &kvmfd_irqfd.wait; the wait queue's lock is held and interrupts are off
 * @mode: not used
 * @sync: not used
 * @key: EPOLLIN, EPOLLHUP
 *
 * Return: 1 if the event has been taken, else 0.
 */
int kvmfd_irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct kvmfd_irqfd *irqfd = container_of(wait, struct kvmfd_irqfd, wait);
	__poll_t events = key_to_poll(key);
	int woken = 0;
	u64 count;

	if (!irqfd->armed)
		return 0;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		if (static_branch_unlikely(&kvmfd_calls_watched))
			watched_event(wait);
		else if (inject_inline(irqfd))
			count_inline(irqfd);
		else
			inject_deferred(irqfd);
		/* Nobody else is to see it. */
		woken = 1;
	}

	if (events & EPOLLHUP)
		kvmfd_irqfd_closed(irqfd);

	return woken;
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
