// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters: what entries did is never lost, however they end.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR     GUEST_MMIO_BASE
#define GSI      24
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(counters)
{
	struct guest guest;
	int fd;
	int efd;
};

FIXTURE_SETUP(counters)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(counters)
{
	close(self->efd);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

#define EXPECT_COUNTS(h, c)                                            \
	do {                                                           \
		struct device_counts counts = device_counts(self->fd); \
		EXPECT_EQ(h, counts.hits);                             \
		EXPECT_EQ(c, counts.calls);                            \
	} while (0)

static void close_vcpu(struct guest *guest)
{
	munmap(guest->vcpu->run, ioctl(guest->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL));
	close(guest->vcpu->fd);
}

TEST_F(counters, no_count_is_lost)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);
	uint64_t hits = 0, calls = 0;
	int i, j, call[4];

	guest_take_interrupts(&self->guest);
	guest_set_routing(&self->guest, &entry, 1);
	for (i = 0; i < 4; i++) {
		call[i] = new_eventfd();
		ASSERT_EQ(0, irqfd(self->fd, call[i], GSI, 0));
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 8 * i, 4, 0, 0));
		for (j = 0; j <= i; j++, hits++, calls++) {
			ASSERT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR + 8 * i, 4, 0));
			eventfd_ring(call[i]);
		}
	}
	EXPECT_COUNTS(hits, calls);
	EXPECT_EQ(0, device_info(self->fd).retired_hits);
	EXPECT_EQ(0, device_info(self->fd).retired_inline_calls);

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 8 * 3, 4, DEASSIGN, 0));
	ASSERT_EQ(0, irqfd(self->fd, call[3], GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_COUNTS(hits, calls);
	EXPECT_EQ(4, device_info(self->fd).retired_hits);
	EXPECT_EQ(4, device_info(self->fd).retired_inline_calls);

	/* What comes in its place begins at 0. */
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 8 * 3, 4, 0, 0));
	ASSERT_EQ(0, irqfd(self->fd, call[3], GSI, 0));
	EXPECT_COUNTS(hits, calls);

	/* The deassign waits for what the closing has begun. */
	close(call[2]);
	ASSERT_EQ(0, irqfd(self->fd, call[3], GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_COUNTS(hits, calls);
	EXPECT_EQ(7, device_info(self->fd).retired_inline_calls);

	/* The irqfds end with the VM's file, the doorbells with its last vCPU. */
	close(self->guest.vm->fd);
	EXPECT_COUNTS(hits, calls);
	EXPECT_EQ(calls, device_info(self->fd).retired_inline_calls);
	EXPECT_EQ(4, device_info(self->fd).retired_hits);
	close_vcpu(&self->guest);
	EXPECT_EQ(hits, device_info(self->fd).retired_hits);
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);

	guest_create(&self->guest);
}

#define WRITES 1000

static void *write_thread(void *arg)
{
	struct guest *guest = arg;
	int i;

	for (i = 0; i < WRITES; i++)
		guest_write(guest, SPACE_MMIO, ADDR, 4, 0);
	return NULL;
}

/* A hit that is on its way when its doorbell is removed has been counted by then. */
TEST_F(counters, hits_meanwhile_are_counted)
{
	struct pollfd hit = { .fd = self->efd, .events = POLLIN };
	pthread_t thread;
	int rounds = 0;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_thread, &self->guest));
	ASSERT_EQ(1, poll(&hit, 1, PATIENCE_MS));
	do {
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, DEASSIGN, 0));
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
		rounds++;
	} while (pthread_tryjoin_np(thread, NULL));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, DEASSIGN, 0));

	TH_LOG("%llu hits, %d rounds",
	       (unsigned long long)device_info(self->fd).retired_hits, rounds);
	EXPECT_LT(0, device_info(self->fd).retired_hits);
	EXPECT_EQ(eventfd_take(self->efd), device_info(self->fd).retired_hits);
}

TEST_HARNESS_MAIN
