// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints: each tells what it is for, and nothing once it is off.  In a ring buffer
 * of the test's own, of this process's VMs alone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "harness.h"
#include "level.h"

#define TRACING  "/sys/kernel/tracing"
#define ADDR     (GUEST_MMIO_BASE + 0x1000)
#define PORT     0xe0
#define VALUE    0x1234
#define GSI      24
#define NO_ROUTE 25

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(tracing)
{
	struct level level;
	char dir[64];
	int fd;
	int efd;
};

static void trace_write(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	file_write(path, text);
}

static void forget(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/trace", dir);
	close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

/* How many events there have been that say each of @a and @b. */
static unsigned int lines(const char *dir, const char *a, const char *b)
{
	char path[128], line[1024];
	unsigned int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", dir);
	f = fopen(path, "re");
	TEST_ASSERT(f, "cannot read %s", path);
	while (fgets(line, sizeof(line), f))
		n += *line != '#' && strstr(line, a) && strstr(line, b);
	fclose(f);
	return n;
}

FIXTURE_SETUP(tracing)
{
	char filter[32];

	if (access(TRACING "/instances", F_OK))
		SKIP(return, "no tracefs");
	level_setup(&self->level, true);
	self->fd = self->level.fd;
	self->efd = new_eventfd();
	snprintf(self->dir, sizeof(self->dir), TRACING "/instances/kvmfd-%d", getpid());
	ASSERT_EQ(0, mkdir(self->dir, 0700));
	snprintf(filter, sizeof(filter), "pid == %d", getpid());
	trace_write(self->dir, "events/kvmfd/filter", filter);
	trace_write(self->dir, "events/kvmfd/enable", "1");
}

FIXTURE_TEARDOWN(tracing)
{
	if (!*self->dir)
		return;
	trace_write(self->dir, "events/kvmfd/enable", "0");
	level_teardown(&self->level);
	close(self->efd);
	EXPECT_EQ(0, rmdir(self->dir));
}

#define EXPECT_LINES(n, a, b) EXPECT_EQ(n, lines(self->dir, a, b))

TEST_F(tracing, hit_and_miss)
{
	struct guest *guest = &self->level.guest;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, DATAMATCH, VALUE));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, PORT, 2, PIO, 0));
	forget(self->dir);
	EXPECT_EQ(0, guest_write(guest, SPACE_MMIO, ADDR, 4, VALUE));
	EXPECT_EQ(1, guest_write(guest, SPACE_MMIO, ADDR, 4, VALUE + 1));
	EXPECT_EQ(0, guest_write(guest, SPACE_PIO, PORT, 2, 7));
	EXPECT_LINES(1, "kvmfd_hit:", "mmio=0xc0001000 len=4 value=0x1234");
	EXPECT_LINES(1, "kvmfd_miss:", "mmio=0xc0001000 len=4 value=0x1235");
	EXPECT_LINES(1, "kvmfd_hit:", "port=0xe0 len=2 value=0x7");
	EXPECT_LINES(3, "kvmfd_", "");
	EXPECT_EQ(2, eventfd_take(self->efd));

	/* Each by itself; then neither, and the doorbell rings as before. */
	forget(self->dir);
	trace_write(self->dir, "events/kvmfd/kvmfd_miss/enable", "0");
	EXPECT_EQ(1, guest_write(guest, SPACE_MMIO, ADDR, 4, VALUE + 1));
	EXPECT_EQ(0, guest_write(guest, SPACE_MMIO, ADDR, 4, VALUE));
	EXPECT_LINES(1, "kvmfd_", "");
	trace_write(self->dir, "events/kvmfd/kvmfd_hit/enable", "0");
	EXPECT_EQ(0, guest_write(guest, SPACE_MMIO, ADDR, 4, VALUE));
	EXPECT_LINES(1, "kvmfd_", "");
	EXPECT_EQ(2, eventfd_take(self->efd));
}

/* It comes in two parts, and the first is no longer than it says. */
TEST_F(tracing, hit_across_pages)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 0xffd, 0, 0, 0));
	guest_write(&self->level.guest, SPACE_MMIO, ADDR + 0xffd, 8, 0x1122334455667788);
	EXPECT_LINES(1, "kvmfd_hit:", "mmio=0xc0001ffd len=3 value=0x667788\n");
	EXPECT_EQ(1, eventfd_take(self->efd));
}

TEST_F(tracing, assign_and_deassign)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, DATAMATCH, VALUE));
	EXPECT_LINES(1, "kvmfd_assign:",
		     "ioeventfd id=1 flags=0x1 addr=0xc0001000 len=4 data=0x1234");
	EXPECT_EQ(0, guest_write(&self->level.guest, SPACE_MMIO, ADDR, 4, VALUE));
	EXPECT_LINES(0, "kvmfd_deassign:", "");
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, DATAMATCH | DEASSIGN, VALUE));
	EXPECT_LINES(1, "kvmfd_deassign:", "ioeventfd id=1 flags=0x1 addr=0xc0001000");
	EXPECT_LINES(1, "kvmfd_deassign:", "hits=1 ");

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_LINES(1, "kvmfd_assign:", "irqfd id=2 ");
	EXPECT_LINES(0, "kvmfd_shutdown:", "");
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_LINES(1, "kvmfd_shutdown:", "id=2 gsi=24");
	EXPECT_LINES(1, "kvmfd_deassign:", "irqfd id=2 ");
	EXPECT_LINES(2, "kvmfd_assign:", "");
	EXPECT_LINES(2, "kvmfd_deassign:", "");
}

TEST_F(tracing, interrupts)
{
	struct kvm_irq_routing_entry entries[] = {
		route_msi(GSI, 0, GUEST_VECTOR + 1),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIN },
		},
	};
	struct guest *guest = &self->level.guest;

	/* Its local APIC comes to life. */
	guest_take_interrupts(guest);
	guest_set_routing(guest, entries, 2);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	EXPECT_LINES(1, "kvmfd_inline:", "gsi=24");
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));

	ASSERT_EQ(0, irqfd(self->fd, self->efd, NO_ROUTE, 0));
	eventfd_ring(self->efd);
	EXPECT_LINES(1, "kvmfd_deferred:", "gsi=25 why=no route");
	ASSERT_EQ(0, irqfd(self->fd, self->efd, NO_ROUTE, KVM_IRQFD_FLAG_DEASSIGN));

	entries[0] = route_msi(GSI, 0xff, GUEST_VECTOR + 1);
	guest_set_routing(guest, entries, 2);
	eventfd_ring(self->efd);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_LINES(1, "kvmfd_deferred:", "id=3 gsi=24 why=pending at assign");
	eventfd_ring(self->efd);
	EXPECT_LINES(1, "kvmfd_deferred:", "gsi=24 why=MSI that KVM cannot look up");
	EXPECT_LINES(1, "kvmfd_inline:", "");
}

TEST_F(tracing, resample)
{
	struct guest *guest = &self->level.guest;

	ASSERT_EQ(0, assign(self->fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_LINES(1, "kvmfd_deferred:", "gsi=20 why=pin");
	guest_take_and_keep(guest);
	EXPECT_LINES(0, "kvmfd_resample:", "");
	guest_end_interrupt(guest);
	EXPECT_LINES(1, "kvmfd_resample:", "gsi=20");
}

TEST_HARNESS_MAIN
