// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfds: from the write to the eventfd to the interrupt, making and unmaking.
 */
#include <string.h>

#include "bench.h"

/* All are of one interrupt: each has an eventfd of its own. */
#define GSI 5

static const struct burst interrupts_only;

void irqfds_setup(struct guest *guest)
{
	const struct kvm_irq_routing_entry route = route_msi(GSI, 0, GUEST_VECTOR);

	guest_set_routing(guest, &route, 1);
}

static int change_irqfds(uint32_t flags)
{
	int fd = current.backend->fd, err = 0;
	unsigned int i;

	if (in_a_batch()) {
		for (i = 0; i < current.n; i++)
			changes[i] = (struct kvmfd_change) {
				.kind = KVMFD_ENTRY_IRQFD,
				.flags = flags,
				.gsi = GSI,
				.fd = eventfds[i],
			};
		return -kvmfd_batch(fd, changes, current.n, NULL);
	}

	for (i = 0; i < current.n && !err; i++)
		err = irqfd(fd, eventfds[i], GSI, flags);

	return err;
}

/*
 * Has there been an interrupt since the last time?  One in some twenty thousand,
 * of KVM's as of kvmfd's, is handled twice: the emulator's doing, when the host's
 * timer comes in the moment of injection.
 */
static void require_interrupt(bool expected)
{
	uint64_t handled = guest_interrupts(&current.backend->guest, GUEST_VECTOR);

	require((handled > 0) == expected, "the guest handled %lu interrupts", handled);
}

/* Each eventfd in turn, its interrupt handled before the next. */
static void ring_each(bool heard)
{
	unsigned int i;

	burst_order(&current.backend->guest, &interrupts_only);
	for (i = 0; i < current.n; i++) {
		eventfd_ring(eventfds[i]);
		burst_run(&current.backend->guest);
		require_interrupt(heard);
		require(eventfd_take(eventfds[i]) == !heard,
			"eventfd %u should %shave been read", i, heard ? "" : "not ");
	}
}

void bench_msi(void)
{
	struct guest *guest = &current.backend->guest;
	double begin;

	require(!change_irqfds(0), "cannot assign");
	burst_order(guest, &interrupts_only);

	begin = clock_begin();
	eventfd_ring(eventfds[0]);
	record("signal", "insn", clock_end(begin));
	burst_run(guest);
	require_interrupt(true);

	begin = clock_begin();
	eventfd_ring(eventfds[0]);
	burst_run(guest);
	record("handle", "insn", clock_end(begin));
	require_interrupt(true);

	require_counted(1, 0, 2);
	require(!change_irqfds(KVM_IRQFD_FLAG_DEASSIGN), "cannot deassign");
}

/* Unmade in the order of making, see bench_doorbells(). */
void bench_irqfds(void)
{
	struct stretch s;
	int err;

	stretch_begin(&s);
	err = change_irqfds(0);
	stretch_end(&s);
	require(!err, "cannot assign: %s", strerror(err));
	record_stretch("assign", &s);

	ring_each(true);
	require_counted(current.n, 0, current.n);

	stretch_begin(&s);
	err = change_irqfds(KVM_IRQFD_FLAG_DEASSIGN);
	stretch_end(&s);
	require(!err, "cannot deassign: %s", strerror(err));
	record_stretch("deassign", &s);

	ring_each(false);
	require_counted(0, 0, 0);
}
