// SPDX-License-Identifier: GPL-2.0-only
/*
 * One doorbell and one MSI: does kvmfd work at all on this kernel?
 */
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define GSI      24
#define THE_VCPU 0

FIXTURE(smoke)
{
	struct guest guest;
	int fd;
	int efd;
};

FIXTURE_SETUP(smoke)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(smoke)
{
	close(self->efd);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

TEST_F(smoke, doorbell)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, GUEST_MMIO_BASE, 4, 1));
	EXPECT_EQ(1, eventfd_take(self->efd));
	EXPECT_EQ(1, device_only_entry(self->fd).hits);

	/* Nobody else took the write: without the doorbell it leaves the kernel. */
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4,
			       KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	EXPECT_EQ(1, guest_write(&self->guest, SPACE_MMIO, GUEST_MMIO_BASE, 4, 1));
	EXPECT_EQ(0, eventfd_take(self->efd));
}

TEST_F(smoke, msi)
{
	struct kvm_irq_routing_entry route = route_msi(GSI, THE_VCPU, GUEST_VECTOR);

	/* The guest's local APIC comes to life. */
	guest_take_interrupts(&self->guest);
	guest_set_routing(&self->guest, &route, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	EXPECT_EQ(1, device_only_entry(self->fd).inline_calls);
	guest_take_interrupts(&self->guest);
	EXPECT_EQ(1, guest_interrupts(&self->guest, GUEST_VECTOR));
}

TEST_HARNESS_MAIN
