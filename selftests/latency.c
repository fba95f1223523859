// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long deferred interrupts take, and where interrupts lead: KVMFD_LATENCY, and the
 * routes in KVMFD_LIST.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define GSI      24
#define VECTOR   (GUEST_VECTOR + 1)
#define PIN      20
#define NO_ROUTE 25

FIXTURE(latency)
{
	struct guest guest;
	int fd;
	int efd;
};

FIXTURE_SETUP(latency)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(latency)
{
	close(self->efd);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

/* Nowhere: each event is a worker's, which finds nothing to raise. */
static void route_nowhere(struct guest *guest)
{
	guest_set_routing(guest, NULL, 0);
}

/* Signals once, and awaits that it has been measured as the @n-th. */
static void ring_and_await(int fd, int efd, uint64_t n)
{
	struct kvmfd_latency l;
	int err;

	eventfd_ring(efd);
	do
		err = kvmfd_latency(fd, 0, 1, &l);
	while (!err && l.count < n);
	TEST_ASSERT(!err && l.count == n, "latency %llu: %s", l.count, strerror(-err));
}

TEST_F(latency, of_deferred_interrupts)
{
	struct kvmfd_latency l;
	uint64_t n = 0;

	route_nowhere(&self->guest);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_EQ(-ENODATA, kvmfd_latency(self->fd, 0, 1, &l));
	EXPECT_EQ(-ENODATA, kvmfd_latency(self->fd, KVMFD_LATENCY_STOP, 1, &l));
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &l));
	EXPECT_EQ(0, l.count);
	for (uint64_t i = 1; i <= 20; i++)
		ring_and_await(self->fd, self->efd, i);
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_STOP, 1, &l));
	EXPECT_EQ(20, l.count);
	for (int i = 0; i < KVMFD_LATENCY_BUCKETS; i++) {
		n += l.buckets[i];
		/* The largest is in the last that has any. */
		if (i < KVMFD_LATENCY_BUCKETS - 1 && l.buckets[i])
			EXPECT_LE(1ULL << i >> 1, l.max);
		if (1ULL << i > l.max * 2)
			EXPECT_EQ(0, l.buckets[i]);
	}
	EXPECT_EQ(20, n);
	EXPECT_LE(l.max, l.sum);
	EXPECT_GE(l.max * 20, l.sum);
	/* Nothing takes no time, and nothing as long as all that is waited for here. */
	EXPECT_LT(0, l.max);
	EXPECT_GT(PATIENCE_MS * 1000000ULL, l.max);
	EXPECT_EQ(-ENODATA, kvmfd_latency(self->fd, 0, 1, &l));
}

TEST_F(latency, begins_anew)
{
	struct kvmfd_latency l;

	route_nowhere(&self->guest);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &l));
	ring_and_await(self->fd, self->efd, 1);
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &l));
	EXPECT_EQ(0, l.count);
	ring_and_await(self->fd, self->efd, 1);
	/* The end of the irqfd is the end of it. */
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_EQ(-ENOENT, kvmfd_latency(self->fd, 0, 1, &l));
}

TEST_F(latency, not_of_those_within_the_wakeup)
{
	const struct kvm_irq_routing_entry entry = route_msi(GSI, 0, VECTOR);
	struct kvmfd_latency l;

	guest_take_interrupts(&self->guest);
	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &l));
	eventfd_ring(self->efd);
	EXPECT_EQ(1, device_only_entry(self->fd).inline_calls);
	ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_STOP, 1, &l));
	EXPECT_EQ(0, l.count);
}

TEST_F(latency, errors)
{
	struct kvmfd_latency l;
	int device = device_open();

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(-ENOENT, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 0, &l));
	EXPECT_EQ(-ENOENT, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 2, &l));
	EXPECT_EQ(-ENOENT, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 3, &l));
	EXPECT_EQ(-EINVAL, kvmfd_latency(self->fd, 4, 1, &l));
	EXPECT_EQ(-EINVAL, kvmfd_latency(self->fd, KVMFD_LATENCY_START | KVMFD_LATENCY_STOP,
					 1, &l));
	EXPECT_EQ(-ENOTCONN, kvmfd_latency(device, KVMFD_LATENCY_START, 1, &l));
	close(device);
}

/* As KVMFD_LIST does. */
TEST_F(latency, for_another_process)
{
	struct kvmfd_latency l;
	int status;
	pid_t pid;

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	pid = fork();
	if (!pid)
		_exit(kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &l) ? 1 : 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, kvmfd_latency(self->fd, 0, 1, &l));
}

#define EXPECT_ROUTE(kind) EXPECT_EQ(KVMFD_ROUTE_##kind, device_only_entry(self->fd).route)

TEST_F(latency, routes)
{
	struct kvm_irq_routing_entry entries[] = {
		route_msi(GSI, 3, VECTOR),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = 17 },
		},
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_PIC_SLAVE, .pin = 5 },
		},
	};
	struct kvmfd_entry e;

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	route_nowhere(&self->guest);
	EXPECT_ROUTE(NONE);
	guest_set_routing(&self->guest, entries, 3);
	e = device_only_entry(self->fd);
	EXPECT_EQ(KVMFD_ROUTE_MSI, e.route);
	EXPECT_EQ(entries[0].u.msi.address_lo, (uint32_t)e.msi_addr);
	EXPECT_EQ(entries[0].u.msi.address_hi, e.msi_addr >> 32);
	EXPECT_EQ(entries[0].u.msi.data, e.msi_data);
	EXPECT_EQ(0, e.chips);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));

	ASSERT_EQ(0, irqfd(self->fd, self->efd, PIN, 0));
	e = device_only_entry(self->fd);
	EXPECT_EQ(KVMFD_ROUTE_PINS, e.route);
	EXPECT_EQ(1 << KVM_IRQCHIP_IOAPIC | 1 << KVM_IRQCHIP_PIC_SLAVE, e.chips);
	EXPECT_EQ(17, e.pins[KVM_IRQCHIP_IOAPIC]);
	EXPECT_EQ(5, e.pins[KVM_IRQCHIP_PIC_SLAVE]);
	EXPECT_EQ(0, e.pins[KVM_IRQCHIP_PIC_MASTER]);
	EXPECT_EQ(0, e.msi_addr);
	EXPECT_EQ(0, e.msi_data);
}

/* As callers of ABI 4 have it. */
TEST_F(latency, routes_are_not_for_the_old)
{
	char room[2 * sizeof(struct kvmfd_entry)];
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)room,
		.entry_size = offsetof(struct kvmfd_entry, msi_addr),
		.count = 1,
	};
	const struct kvm_irq_routing_entry entry = route_msi(GSI, 0, VECTOR);

	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	memset(room, 0x5a, sizeof(room));
	ASSERT_EQ(0, do_ioctl(self->fd, KVMFD_LIST, &list));
	EXPECT_EQ(1, list.count);
	EXPECT_EQ(GSI, ((struct kvmfd_entry *)room)->gsi);
	EXPECT_EQ(0x5a, room[list.entry_size]);
	list.entry_size--;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, KVMFD_LIST, &list));
}

TEST_F(latency, owner)
{
	const struct kvm_irq_routing_entry entry = route_msi(GSI, 0, VECTOR);
	struct kvmfd_info info = device_info(self->fd);

	EXPECT_EQ(getpid(), info.owner);
	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_ROUTE(MSI);
	EXPECT_LE(5, info.abi_version);
	EXPECT_TRUE(info.features & KVMFD_FEATURE_ROUTE);
	EXPECT_TRUE(info.features & KVMFD_FEATURE_LATENCY);
}

TEST_HARNESS_MAIN
