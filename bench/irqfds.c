// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfds: from the write to the eventfd to the interrupt, making and unmaking.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/* A pin of the IOAPIC. */
#define PIN 20

static const struct burst interrupts_only;

static void set_routes(struct guest *guest)
{
	const struct kvm_irq_routing_entry routes[] = {
		route_msi(IRQFD_GSI, 0, GUEST_VECTOR),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIN },
		},
	};

	guest_set_routing(guest, routes, 2);
}

void irqfds_setup(struct guest *guest)
{
	set_routes(guest);
	guest_program_ioapic(guest, PIN, GUEST_VECTOR + 1, LEVEL);
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
				.gsi = IRQFD_GSI,
				.fd = eventfds[i],
			};
		return -kvmfd_batch(fd, changes, current.n, NULL);
	}

	for (i = 0; i < current.n && !err; i++)
		err = irqfd(fd, eventfds[i], IRQFD_GSI, flags);

	return err;
}

/*
 * Has there been an interrupt since the last time?  One in some twenty thousand,
 * of KVM's as of kvmfd's, is handled twice: the emulator's doing, when the host's
 * timer comes in the moment of injection.
 */
static void require_interrupt(unsigned int vector, bool expected)
{
	uint64_t handled = guest_interrupts(&current.backend->guest, vector);

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
		require_interrupt(GUEST_VECTOR, heard);
		require(eventfd_take(eventfds[i]) == !heard,
			"eventfd %u should %shave been read", i, heard ? "" : "not ");
	}
}

/* By the last of n. */
void bench_msi(void)
{
	struct guest *guest = &current.backend->guest;
	int eventfd = eventfds[current.n - 1];
	double begin;

	require(!change_irqfds(0), "cannot assign");
	burst_order(guest, &interrupts_only);

	begin = clock_begin();
	eventfd_ring(eventfd);
	record("signal", "insn", clock_end(begin));
	burst_run(guest);
	require_interrupt(GUEST_VECTOR, true);

	begin = clock_begin();
	eventfd_ring(eventfd);
	burst_run(guest);
	record("handle", "insn", clock_end(begin));
	require_interrupt(GUEST_VECTOR, true);

	require_counted(current.n, 0, 2);
	require(!change_irqfds(KVM_IRQFD_FLAG_DEASSIGN), "cannot deassign");
}

/*
 * A level-triggered interrupt from the signal to that of the other eventfd.  Both backends
 * have a worker raise the pin, which runs when this thread sleeps: the sleep is in it.
 */
void bench_resample(void)
{
	struct guest *guest = &current.backend->guest;
	int fd = current.backend->fd, call = eventfds[0], resample = eventfds[1];
	static const struct timespec shortest = { .tv_nsec = 1 };
	struct stretch s;
	int err;

	err = resampled_irqfd(fd, call, PIN, KVM_IRQFD_FLAG_RESAMPLE, resample);
	require(!err, "cannot assign: %s", strerror(err));
	burst_order(guest, &interrupts_only);

	stretch_begin(&s);
	eventfd_ring(call);
	nanosleep(&shortest, NULL);
	burst_run(guest);
	stretch_end(&s);
	require_interrupt(GUEST_VECTOR + 1, true);
	require(eventfd_take(resample) == 1, "the end of the interrupt was not told");
	record("cycle", "insn", s.caller);
	record("cycle", "insn-all", s.caller + s.others);

	err = irqfd(fd, call, PIN, KVM_IRQFD_FLAG_DEASSIGN);
	require(!err, "cannot deassign: %s", strerror(err));
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

/* KVM's own irqfds are told of each change, one after the other. */
void bench_routes(void)
{
	struct stretch s;

	require(!change_irqfds(0), "cannot assign");
	stretch_begin(&s);
	set_routes(&current.backend->guest);
	stretch_end(&s);
	/* Of all n: it is one call. */
	record("routes", "insn", s.caller);
	record("routes", "insn-all", s.caller + s.others);
	record("routes", "us", s.us);
	require(!change_irqfds(KVM_IRQFD_FLAG_DEASSIGN), "cannot deassign");
}

void bench_irqfd_memory(void)
{
	struct memory before, after;

	before = memory_now();
	require(!change_irqfds(0), "cannot assign");
	after = memory_now();
	record("memory", "bytes", (after.kernel - before.kernel) / current.n);
	require(!change_irqfds(KVM_IRQFD_FLAG_DEASSIGN), "cannot deassign");
}
