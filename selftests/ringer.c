// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM whose doorbells and interrupts come in known numbers, for tools that count them
 * (testhost/check-tracing-tools has the numbers, too).
 *
 * For each line of its input it does one round, and answers with a line once all of that
 * has happened.  Between the rounds no guest runs.
 */
#include <stdio.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "level.h"

#define ADDR    (GUEST_MMIO_BASE + 0x1000)
#define MATCHED (GUEST_MMIO_BASE + 0x1010)
#define BRIEF   (GUEST_MMIO_BASE + 0x1020)
#define PORT    0xe0
#define VALUE   0x1234

#define GSI       24
#define NO_ROUTE  25
#define BROADCAST 26

#define INLINE_VECTOR    (GUEST_VECTOR + 1)
#define BROADCAST_VECTOR (GUEST_VECTOR + 2)

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

static struct level level;
static int kick, call, unrouted, broadcast;

static void must(int err, const char *what)
{
	TEST_ASSERT(!err, "%s: error %d", what, err);
}

static void write_often(enum space space, uint64_t addr, unsigned int len, uint64_t value,
			unsigned int times, unsigned int exits)
{
	unsigned int n = guest_write_often(&level.guest, space, addr, len, value, times);

	TEST_ASSERT(n == exits, "%u writes to %#lx made %u exits", times, addr, n);
}

static void set_up(void)
{
	struct kvm_irq_routing_entry entries[] = {
		route_msi(GSI, 0, INLINE_VECTOR),
		route_msi(BROADCAST, 0xff, BROADCAST_VECTOR),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIN },
		},
	};

	level_setup(&level, true);
	kick = new_eventfd();
	call = new_eventfd();
	unrouted = new_eventfd();
	broadcast = new_eventfd();
	guest_set_routing(&level.guest, entries, ARRAY_SIZE(entries));
	must(ioeventfd(level.fd, kick, ADDR, 4, 0, 0), "ioeventfd");
	must(ioeventfd(level.fd, kick, PORT, 2, PIO, 0), "ioeventfd");
	must(ioeventfd(level.fd, kick, MATCHED, 4, DATAMATCH, VALUE), "ioeventfd");
	must(irqfd(level.fd, call, GSI, 0), "irqfd");
	must(irqfd(level.fd, unrouted, NO_ROUTE, 0), "irqfd");
	must(irqfd(level.fd, broadcast, BROADCAST, 0), "irqfd");
	must(assign(level.fd, &level.source, PIN), "irqfd");
}

/* 5 hits at one address, each with another value, and answered by an interrupt. */
static void kick_and_call(void)
{
	uint64_t i;

	for (i = 1; i <= 5; i++) {
		write_often(SPACE_MMIO, ADDR, 4, i, 1, 0);
		eventfd_ring(call);
	}
	guest_take_interrupts(&level.guest);
}

/* 5 more at two others, and a miss. */
static void other_writes(void)
{
	write_often(SPACE_PIO, PORT, 2, 7, 3, 0);
	write_often(SPACE_MMIO, MATCHED, 4, VALUE, 2, 0);
	write_often(SPACE_MMIO, MATCHED, 4, VALUE + 1, 1, 1);
}

/* Interrupts that are a worker's, for each reason that there is but one. */
static void defer(void)
{
	int pending = new_eventfd();

	TEST_ASSERT(raise_pin(&level.guest, &level.source, PIN), "the pin does not come up");
	guest_take_and_keep(&level.guest);
	guest_end_interrupt(&level.guest);
	eventfd_ring(unrouted);
	eventfd_ring(unrouted);
	eventfd_ring(broadcast);
	TEST_ASSERT(guest_await_interrupt(&level.guest, BROADCAST_VECTOR) == 1,
		    "the MSI does not come");
	eventfd_ring(pending);
	must(irqfd(level.fd, pending, NO_ROUTE, 0), "irqfd");
	must(irqfd(level.fd, pending, NO_ROUTE, KVM_IRQFD_FLAG_DEASSIGN), "irqfd");
	close(pending);
}

/* A doorbell that comes, is hit once, and goes. */
static void come_and_go(void)
{
	must(ioeventfd(level.fd, kick, BRIEF, 4, 0, 0), "ioeventfd");
	write_often(SPACE_MMIO, BRIEF, 4, 9, 1, 0);
	must(ioeventfd(level.fd, kick, BRIEF, 4, DEASSIGN, 0), "ioeventfd");
}

int main(void)
{
	int c;

	set_up();
	setlinebuf(stdout);
	puts("ready");
	while ((c = getchar()) != EOF) {
		if (c != '\n')
			continue;
		defer();
		kick_and_call();
		other_writes();
		come_and_go();
		puts("done");
	}
	level_teardown(&level);
	return 0;
}
