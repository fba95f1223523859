// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVMFD_IOEVENTFD: doorbells that look at some bits of the value only.
 */
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR      GUEST_MMIO_BASE
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(mask)
{
	struct guest guest;
	int fd;
	int a;
	int b;
};

FIXTURE_SETUP(mask)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->a = new_eventfd();
	self->b = new_eventfd();
}

FIXTURE_TEARDOWN(mask)
{
	close(self->a);
	close(self->b);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

#define CALL(efd, flags, data, mask) \
	masked_ioeventfd(self->fd, efd, ADDR, 4, flags, data, mask)
#define ASSIGN(efd, data, mask)   CALL(efd, DATAMATCH, data, mask)
#define UNASSIGN(efd, data, mask) CALL(efd, DATAMATCH | DEASSIGN, data, mask)

/* The write rings @a, @b or neither of them, and then it leaves the kernel. */
#define EXPECT_RINGS(on_a, on_b, value)                                           \
	do {                                                                      \
		EXPECT_EQ(!((on_a) + (on_b)),                                     \
			  guest_write(&self->guest, SPACE_MMIO, ADDR, 4, value)); \
		EXPECT_EQ(on_a, eventfd_take(self->a));                           \
		EXPECT_EQ(on_b, eventfd_take(self->b));                           \
	} while (0)

TEST_F(mask, only_the_bits_of_the_mask_count)
{
	ASSERT_EQ(0, ASSIGN(self->a, 0xabcd0003, 0xffff));
	ASSERT_EQ(0, ASSIGN(self->b, 0x4, 0xffff));
	EXPECT_RINGS(1, 0, 0x3);
	EXPECT_RINGS(1, 0, 0xffff0003);
	EXPECT_RINGS(0, 1, 0x10004);
	EXPECT_RINGS(0, 0, 0x5);
	EXPECT_RINGS(0, 0, 0x30000);
}

TEST_F(mask, full_is_kvms_own_form)
{
	ASSERT_EQ(0, ASSIGN(self->a, 7, UINT64_MAX));
	EXPECT_EQ(EEXIST, ioeventfd(self->fd, self->b, ADDR, 4, DATAMATCH, 7));
	EXPECT_RINGS(1, 0, 7);
	EXPECT_RINGS(0, 0, 8);
	EXPECT_EQ(0, ioeventfd(self->fd, self->a, ADDR, 4, DATAMATCH | DEASSIGN, 7));
	EXPECT_EQ(0, ioeventfd(self->fd, self->a, ADDR, 4, 0, 0));
	EXPECT_EQ(0, CALL(self->a, DEASSIGN, 0, 0));
}

TEST_F(mask, goes_with_datamatch_only)
{
	EXPECT_EQ(EINVAL, ASSIGN(self->a, 1, 0));
	EXPECT_EQ(EINVAL, CALL(self->a, 0, 0, 1));
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
}

/* Collisions: whenever some value would hit both. */
TEST_F(mask, collides_with_a_wildcard)
{
	ASSERT_EQ(0, ASSIGN(self->a, 1, 0xff));
	EXPECT_EQ(EEXIST, ioeventfd(self->fd, self->b, ADDR, 4, 0, 0));
	EXPECT_EQ(EEXIST, ioeventfd(self->fd, self->b, ADDR, 0, 0, 0));
	EXPECT_EQ(0, ioeventfd(self->fd, self->b, ADDR, 8, 0, 0));
}

TEST_F(mask, collides_when_one_is_within_the_other)
{
	ASSERT_EQ(0, ASSIGN(self->a, 0x01, 0xff));
	EXPECT_EQ(EEXIST, ASSIGN(self->b, 0x0101, 0xffff));
	ASSERT_EQ(0, ASSIGN(self->b, 0x0102, 0xffff));
	EXPECT_EQ(EEXIST, ASSIGN(self->a, 0x02, 0xff));
	EXPECT_RINGS(1, 0, 0x0101);
	EXPECT_RINGS(0, 1, 0x0102);
	EXPECT_RINGS(0, 0, 0x0002);
}

TEST_F(mask, collides_when_neither_is_within_the_other)
{
	ASSERT_EQ(0, ASSIGN(self->a, 0x1, 0x3));
	EXPECT_EQ(EEXIST, ASSIGN(self->b, 0x0, 0x6));
	EXPECT_EQ(EEXIST, ASSIGN(self->b, 0x20, 0xf0));
	ASSERT_EQ(0, ASSIGN(self->b, 0x2, 0x6));
	EXPECT_RINGS(1, 0, 0x1);
	EXPECT_RINGS(1, 0, 0x5);
	EXPECT_RINGS(0, 1, 0x2);
	EXPECT_RINGS(0, 1, 0x3);
	EXPECT_RINGS(0, 0, 0x4);
}

TEST_F(mask, deassign_names_it)
{
	ASSERT_EQ(0, ASSIGN(self->a, 0x1, 0xff));
	EXPECT_EQ(ENOENT, UNASSIGN(self->a, 0x1, 0xffff));
	EXPECT_EQ(ENOENT, UNASSIGN(self->a, 0x2, 0xff));
	EXPECT_EQ(ENOENT, UNASSIGN(self->b, 0x1, 0xff));
	EXPECT_EQ(ENOENT, CALL(self->a, DEASSIGN, 0, 0));
	EXPECT_EQ(ENOENT, CALL(self->a, DEASSIGN, 0x1, 0xff));
	EXPECT_RINGS(1, 0, 0x1);
	EXPECT_EQ(0, UNASSIGN(self->a, 0xff01, 0xff));
	EXPECT_EQ(ENOENT, UNASSIGN(self->a, 0x1, 0xff));
	EXPECT_RINGS(0, 0, 0x1);
}

TEST_F(mask, as_many_as_the_limit)
{
	unsigned int i, max = device_info(self->fd).max_masks;

	/* Bit 0 tells the first from the others, bit 1 the second, and so on. */
	for (i = 0; i < max; i++)
		ASSERT_EQ(0, ASSIGN(self->a, 1ULL << i, (2ULL << i) - 1));
	EXPECT_EQ(ENOSPC, ASSIGN(self->b, 1ULL << max, (2ULL << max) - 1));
	/* It is not max_ioeventfds that has been reached. */
	EXPECT_EQ(max, device_info(self->fd).nr_ioeventfds);
	EXPECT_LT(max, device_info(self->fd).max_ioeventfds);
	EXPECT_EQ(0, masked_ioeventfd(self->fd, self->b, ADDR + 8, 4, DATAMATCH, 0, 0x30));
	for (i = 0; i < max; i++)
		EXPECT_RINGS(1, 0, 1U << i);
	EXPECT_RINGS(0, 0, 1U << max);

	/* A mask that is there costs nothing; one that goes makes room. */
	EXPECT_EQ(0, ASSIGN(self->b, 0, (1ULL << max) - 1));
	EXPECT_RINGS(0, 1, 1U << max);
	EXPECT_EQ(0, UNASSIGN(self->a, 1, 1));
	EXPECT_EQ(EEXIST, ASSIGN(self->a, 1ULL << max, (2ULL << max) - 1));
	EXPECT_EQ(0, ASSIGN(self->a, 1, 0xf0000001));
	EXPECT_RINGS(1, 0, 0xf);
	EXPECT_RINGS(0, 0, 0x8000000f);
}

TEST_F(mask, is_listed)
{
	struct kvmfd_entry entry;

	ASSERT_EQ(0, ASSIGN(self->a, 0x1234, 0xff));
	entry = device_only_entry(self->fd);
	EXPECT_EQ(0x34, entry.datamatch);
	EXPECT_EQ(0xff, entry.mask);
	EXPECT_EQ(DATAMATCH, entry.flags);
}

TEST_HARNESS_MAIN
