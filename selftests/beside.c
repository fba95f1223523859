// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmfd's doorbells beside KVM's own, in one VM: both work, and where both have the
 * same key it is known who gets the write.
 */
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR (GUEST_MMIO_BASE + 0x1800)
#define PORT 0x2000

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(beside)
{
	struct guest guest;
	int fd;
	int ours, theirs;
};

FIXTURE_SETUP(beside)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->ours = new_eventfd();
	self->theirs = new_eventfd();
}

FIXTURE_TEARDOWN(beside)
{
	close(self->fd);
	kvm_vm_free(self->guest.vm);
	close(self->ours);
	close(self->theirs);
}

#define CALL(addr, len, flags, data) \
	ioeventfd(self->fd, self->ours, addr, len, flags, data)

#define THEIR_CALL(addr, len, flags, data) \
	ioeventfd(self->guest.vm->fd, self->theirs, addr, len, flags, data)

/* The write rings kvmfd's doorbell, KVM's, or neither, and then it leaves the kernel. */
#define EXPECT_RINGS(on_ours, on_theirs, space, addr, len, value)              \
	do {                                                                   \
		EXPECT_EQ(!((on_ours) + (on_theirs)),                          \
			  guest_write(&self->guest, space, addr, len, value)); \
		EXPECT_EQ(on_ours, eventfd_take(self->ours));                  \
		EXPECT_EQ(on_theirs, eventfd_take(self->theirs));              \
	} while (0)

TEST_F(beside, both_work_while_the_other_comes_and_goes)
{
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, CALL(ADDR + 16 * i, 4, 0, 0));
		ASSERT_EQ(0, THEIR_CALL(ADDR + 16 * i + 8, 4, 0, 0));
	}
	for (i = 0; i < 8; i++) {
		EXPECT_RINGS(1, 0, SPACE_MMIO, ADDR + 16 * i, 4, 0);
		EXPECT_RINGS(0, 1, SPACE_MMIO, ADDR + 16 * i + 8, 4, 0);
	}
	for (i = 0; i < 8; i += 2) {
		ASSERT_EQ(0, THEIR_CALL(ADDR + 16 * i + 8, 4, DEASSIGN, 0));
		ASSERT_EQ(0, CALL(ADDR + 16 * (i + 1), 4, DEASSIGN, 0));
	}
	for (i = 0; i < 8; i++) {
		EXPECT_RINGS(!(i % 2), 0, SPACE_MMIO, ADDR + 16 * i, 4, 0);
		EXPECT_RINGS(0, i % 2, SPACE_MMIO, ADDR + 16 * i + 8, 4, 0);
	}

	/* Ours all at once, by closing the file. */
	close(self->fd);
	for (i = 0; i < 8; i++) {
		EXPECT_RINGS(0, 0, SPACE_MMIO, ADDR + 16 * i, 4, 0);
		EXPECT_RINGS(0, i % 2, SPACE_MMIO, ADDR + 16 * i + 8, 4, 0);
	}
	self->fd = device_open();
}

TEST_F(beside, detach_after_the_bus_has_grown)
{
	int i;

	/* What a removal needs was set aside before KVM added to the bus. */
	ASSERT_EQ(0, CALL(ADDR, 4, 0, 0));
	for (i = 1; i <= 40; i++)
		ASSERT_EQ(0, THEIR_CALL(ADDR + 8 * i, 4, 0, 0));
	ASSERT_EQ(0, CALL(ADDR, 4, DEASSIGN, 0));

	EXPECT_RINGS(0, 0, SPACE_MMIO, ADDR, 4, 0);
	for (i = 1; i <= 40; i++)
		EXPECT_RINGS(0, 1, SPACE_MMIO, ADDR + 8 * i, 4, 0);
}

/* --- one key ------------------------------------------------------------- */

FIXTURE(same_key)
{
	struct guest guest;
	int fd;
	int ours, theirs;
};

FIXTURE_VARIANT(same_key)
{
	uint32_t our_len;
	uint32_t their_len;
	bool they_are_first;
	bool we_win; /* docs/abi.md, key_of_kvm */
};

#define SAME_KEY(ours, theirs, who, first, win)                                      \
	FIXTURE_VARIANT_ADD(same_key, ours_##ours##_theirs_##theirs##_##who##_first) \
	{                                                                            \
		.our_len = ours, .their_len = theirs, .they_are_first = first,       \
		.we_win = win,                                                       \
	}

SAME_KEY(4, 4, kvmfds, false, true);
SAME_KEY(4, 4, kvms, true, true);
SAME_KEY(0, 4, kvmfds, false, true);
SAME_KEY(0, 4, kvms, true, true);
SAME_KEY(0, 0, kvmfds, false, true);
SAME_KEY(0, 0, kvms, true, true);
SAME_KEY(4, 0, kvmfds, false, true);
SAME_KEY(4, 0, kvms, true, false);

FIXTURE_SETUP(same_key)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->ours = new_eventfd();
	self->theirs = new_eventfd();
}

FIXTURE_TEARDOWN(same_key)
{
	close(self->fd);
	kvm_vm_free(self->guest.vm);
	close(self->ours);
	close(self->theirs);
}

static void expect_winner(struct __test_metadata *_metadata,
			  FIXTURE_DATA(same_key) * self,
			  const FIXTURE_VARIANT(same_key) * variant, enum space space)
{
	uint32_t flags = space == SPACE_PIO ? PIO : 0;
	uint64_t addr = space == SPACE_PIO ? PORT : ADDR;
	bool we_win = variant->we_win;

	if (variant->they_are_first)
		ASSERT_EQ(0, THEIR_CALL(addr, variant->their_len, flags, 0));
	ASSERT_EQ(0, CALL(addr, variant->our_len, flags, 0));
	if (!variant->they_are_first)
		ASSERT_EQ(0, THEIR_CALL(addr, variant->their_len, flags, 0));

	EXPECT_RINGS(we_win, !we_win, space, addr, 4, 0);
	/* What is not for one of 4 bytes gets to that of any length. */
	EXPECT_RINGS(!variant->our_len, variant->our_len && !variant->their_len, space, addr,
		     2, 0);

	/* The one that is left has it all. */
	ASSERT_EQ(0, CALL(addr, variant->our_len, flags | DEASSIGN, 0));
	EXPECT_RINGS(0, 1, space, addr, 4, 0);
	ASSERT_EQ(0, CALL(addr, variant->our_len, flags, 0));
	ASSERT_EQ(0, THEIR_CALL(addr, variant->their_len, flags | DEASSIGN, 0));
	EXPECT_RINGS(1, 0, space, addr, 4, 0);
}

TEST_F(same_key, who_gets_the_write)
{
	expect_winner(_metadata, self, variant, SPACE_MMIO);
	expect_winner(_metadata, self, variant, SPACE_PIO);
}

/* Where the data tell them apart, each gets its own. */
TEST_F(beside, same_address_other_data)
{
	ASSERT_EQ(0, CALL(ADDR, 4, DATAMATCH, 1));
	ASSERT_EQ(0, THEIR_CALL(ADDR, 4, DATAMATCH, 2));
	ASSERT_EQ(0, CALL(ADDR, 4, DATAMATCH, 3));
	EXPECT_RINGS(1, 0, SPACE_MMIO, ADDR, 4, 1);
	EXPECT_RINGS(0, 1, SPACE_MMIO, ADDR, 4, 2);
	EXPECT_RINGS(1, 0, SPACE_MMIO, ADDR, 4, 3);
	EXPECT_RINGS(0, 0, SPACE_MMIO, ADDR, 4, 4);
}

TEST_HARNESS_MAIN
