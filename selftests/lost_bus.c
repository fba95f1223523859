// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM loses a bus: it cannot shrink it for want of memory when an ioeventfd of its own
 * goes, and destroys everything that is there, kvmfd's doorbells included.  For the life
 * of the VM nothing can be there again.
 */
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "guest.h"
#include "harness.h"

/* On the bus that is lost, one of them of any length; KVM's own; on another bus. */
#define NR_LOST     80
#define ADDR(i)     (GUEST_MMIO_BASE + 8 * (i))
#define ANY_LENGTH  (GUEST_MMIO_BASE + 0x1000)
#define NATIVE_ADDR (GUEST_MMIO_BASE + 0x2000)
#define PORT        0x5600

#define PIO      KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(lost)
{
	struct guest guest;
	int fd;
	int efd;
	int native;
};

FIXTURE_SETUP(lost)
{
	int i, vm;

	if (!fail_possible())
		return;
	fail_setup();
	guest_create(&self->guest);
	vm = self->guest.vm->fd;
	self->fd = device_open_attached(vm);
	self->efd = new_eventfd();
	self->native = new_eventfd();
	for (i = 0; i < NR_LOST; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR(i), 4, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ANY_LENGTH, 0, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, PORT, 4, PIO, 0));
	for (i = 0; i < NR_LOST; i++)
		ASSERT_EQ(0, ioeventfd(vm, self->native, NATIVE_ADDR + 8 * i, 4, 0, 0));
	ASSERT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR(0), 4, 0));
	ASSERT_EQ(1, eventfd_take(self->efd));

	fail_all(true);
	/* Leaves its place behind, which is destroyed, too. */
	EXPECT_EQ(0, ioeventfd(self->fd, self->efd, ADDR(1), 4, DEASSIGN, 0));
	EXPECT_EQ(0, ioeventfd(vm, self->native, NATIVE_ADDR, 4, DEASSIGN, 0));
	fail_all(false);
}

FIXTURE_TEARDOWN(lost)
{
	if (!fail_possible())
		return;
	close(self->fd);
	close(self->efd);
	close(self->native);
	kvm_vm_free(self->guest.vm);
	EXPECT_EQ(0, module_users());
}

#define EXPECT_NO_RING(addr)                                                     \
	do {                                                                     \
		EXPECT_EQ(1, guest_write(&self->guest, SPACE_MMIO, addr, 4, 0)); \
		EXPECT_EQ(0, eventfd_take(self->efd));                           \
		EXPECT_EQ(0, eventfd_take(self->native));                        \
	} while (0)

#define EXPECT_PORT(rings)                                                   \
	do {                                                                 \
		EXPECT_EQ(!(rings),                                          \
			  guest_write(&self->guest, SPACE_PIO, PORT, 4, 0)); \
		EXPECT_EQ(rings, eventfd_take(self->efd));                   \
	} while (0)

/* Another attachment has what is left of the VM. */
#define EXPECT_ANOTHER(fd)                                                     \
	do {                                                                   \
		EXPECT_PORT(0);                                                \
		EXPECT_EQ(ENOMEM, ioeventfd(fd, self->efd, ADDR(0), 4, 0, 0)); \
		EXPECT_EQ(0, ioeventfd(fd, self->efd, PORT, 4, PIO, 0));       \
		EXPECT_PORT(1);                                                \
	} while (0)

TEST_F(lost, leaves_the_list)
{
	struct kvmfd_info info;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	info = device_info(self->fd);
	EXPECT_EQ(1, info.nr_ioeventfds);
	EXPECT_EQ(1, info.retired_hits);
	EXPECT_EQ(PORT, device_only_entry(self->fd).addr);
	EXPECT_EQ(1, module_users());
}

TEST_F(lost, rings_nothing)
{
	int i;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	for (i = 0; i < NR_LOST; i++)
		EXPECT_NO_RING(ADDR(i));
	EXPECT_NO_RING(ANY_LENGTH);
	for (i = 0; i < NR_LOST; i++)
		EXPECT_NO_RING(NATIVE_ADDR + 8 * i);
	EXPECT_PORT(1);
}

TEST_F(lost, cannot_be_had_again)
{
	const struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.fd = self->efd,
		.addr = ADDR(0),
		.len = 4,
	};
	unsigned int failed = 0;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	EXPECT_EQ(ENOENT, ioeventfd(self->fd, self->efd, ADDR(0), 4, DEASSIGN, 0));
	EXPECT_EQ(ENOENT, ioeventfd(self->fd, self->efd, ANY_LENGTH, 0, DEASSIGN, 0));
	EXPECT_EQ(ENOMEM, ioeventfd(self->fd, self->efd, ADDR(0), 4, 0, 0));
	EXPECT_EQ(ENOMEM, ioeventfd(self->fd, self->efd, ANY_LENGTH, 0, 0, 0));
	EXPECT_EQ(ENOMEM, ioeventfd(self->guest.vm->fd, self->native, NATIVE_ADDR, 4, 0, 0));
	EXPECT_EQ(-ENOMEM, kvmfd_batch(self->fd, &change, 1, &failed));
	EXPECT_EQ(1, failed);

	/* The others are as they were. */
	EXPECT_EQ(0, ioeventfd(self->fd, self->efd, PORT + 4, 4, PIO, 0));
	EXPECT_EQ(0, ioeventfd(self->fd, self->efd, PORT + 4, 4, PIO | DEASSIGN, 0));
	EXPECT_EQ(1, device_info(self->fd).nr_ioeventfds);
	EXPECT_PORT(1);
}

TEST_F(lost, survives_a_detach)
{
	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	close(self->fd);
	EXPECT_EQ(0, module_users());
	self->fd = device_open_attached(self->guest.vm->fd);
	EXPECT_ANOTHER(self->fd);
}

TEST_F(lost, survives_an_eviction)
{
	int any;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	EXPECT_EQ(0, kvmfd_evict(self->fd, self->guest.vm->fd));
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
	any = device_open_attached(self->guest.vm->fd);
	EXPECT_ANOTHER(any);
	close(any);
}

TEST_HARNESS_MAIN
