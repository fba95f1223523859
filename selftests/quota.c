// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's quota of devices on a bus: kvmfd's doorbells do not eat it, and past it there
 * are none.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define PIO      KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

#define PORT 0x2000

#define QUOTA          1000 /* KVM's NR_IOBUS_DEVS */
#define MANY_DOORBELLS 2000
#define DOORBELLS      (GUEST_MMIO_BASE + 0x4000)
#define ZONES          (GUEST_MMIO_BASE + GUEST_MMIO_SIZE)

static int zone(struct guest *guest, unsigned long request, unsigned int i)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = ZONES + i * 32, .size = 16 };

	return do_ioctl(guest->vm->fd, request, &zone);
}

/* Until KVM takes no more, or as many as @max.  Returns how many it took. */
static unsigned int fill_with_zones(struct guest *guest, unsigned int max)
{
	unsigned int n;
	int err = 0;

	for (n = 0; n < max && !err; n++)
		err = zone(guest, KVM_REGISTER_COALESCED_MMIO, n);
	TEST_ASSERT(!err || err == ENOSPC, "coalesced zone: %s", strerror(err));
	return err ? n - 1 : n;
}

FIXTURE(quota)
{
	struct guest guest, other;
	int fd;
	int efd;
};

FIXTURE_SETUP(quota)
{
	guest_create(&self->guest);
	guest_create(&self->other);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(quota)
{
	close(self->fd);
	close(self->efd);
	kvm_vm_free(self->guest.vm);
	kvm_vm_free(self->other.vm);
}

static int doorbells(int fd, int efd, uint32_t flags)
{
	int i, err = 0;

	for (i = 0; i < MANY_DOORBELLS && !err; i++)
		err = ioeventfd(fd, efd, DOORBELLS + 8 * i, 4, flags, 0);
	return err;
}

TEST_F(quota, doorbells_do_not_eat_it)
{
	unsigned int without = fill_with_zones(&self->other, 2 * QUOTA), with;

	ASSERT_EQ(0, doorbells(self->fd, self->efd, 0));
	with = fill_with_zones(&self->guest, 2 * QUOTA);
	EXPECT_EQ(without, with);
	/* The IOAPIC is there, too. */
	EXPECT_EQ(QUOTA - 1, with);

	/* They can go while the bus is full, and leave no more room than there was. */
	EXPECT_EQ(0, doorbells(self->fd, self->efd, DEASSIGN));
	EXPECT_EQ(0, fill_with_zones(&self->guest, 1));
}

TEST_F(quota, doorbells_have_none_of_their_own)
{
	ASSERT_EQ(QUOTA - 2, fill_with_zones(&self->guest, QUOTA - 2));
	EXPECT_EQ(0, doorbells(self->fd, self->efd, 0));
	EXPECT_EQ(MANY_DOORBELLS, device_info(self->fd).nr_ioeventfds);
}

/* As KVM. */
TEST_F(quota, past_it_there_are_no_doorbells)
{
	int kvm = self->guest.vm->fd;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, DOORBELLS, 0, 0, 0));
	ASSERT_EQ(QUOTA - 1, fill_with_zones(&self->guest, QUOTA));

	EXPECT_EQ(ENOSPC, ioeventfd(kvm, self->efd, DOORBELLS + 8, 4, 0, 0));
	EXPECT_EQ(ENOSPC, ioeventfd(self->fd, self->efd, DOORBELLS + 8, 4, 0, 0));
	EXPECT_EQ(1, device_info(self->fd).nr_ioeventfds);
	EXPECT_EQ(1, guest_write(&self->guest, SPACE_MMIO, DOORBELLS + 8, 4, 0));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, DOORBELLS, 4, 0));
	EXPECT_EQ(1, eventfd_take(self->efd));
	/* Other buses have room. */
	EXPECT_EQ(0, ioeventfd(self->fd, self->efd, PORT, 4, PIO, 0));

	ASSERT_EQ(0, zone(&self->guest, KVM_UNREGISTER_COALESCED_MMIO, 0));
	EXPECT_EQ(0, ioeventfd(self->fd, self->efd, DOORBELLS + 8, 4, 0, 0));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, DOORBELLS + 8, 4, 0));
	EXPECT_EQ(1, eventfd_take(self->efd));
}

TEST_HARNESS_MAIN
