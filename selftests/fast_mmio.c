// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast MMIO, for kvmfd and, in the same words, for KVM: who needs no more of a write
 * than its address is served before KVM knows more.
 */
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "fast.h"
#include "guest.h"
#include "harness.h"

#define ADDR     (GUEST_MMIO_BASE + 0x1800)
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

#define SHARE  50
#define VALUES 5
#define WIDTHS 4
#define WRITES (SHARE * VALUES * WIDTHS)

FIXTURE(fast_mmio)
{
	struct guest guest;
	/* Serves the requests: the VM's, or a /dev/kvmfd's attached to it. */
	int fd;
	int efd;
	bool there;
	/* Counters. */
	int here;
	int anywhere;
};

FIXTURE_VARIANT(fast_mmio)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(fast_mmio, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(fast_mmio, kvm) { .kvmfd = false };

FIXTURE_SETUP(fast_mmio)
{
	guest_create(&self->guest);
	self->fd = variant->kvmfd ? device_open_attached(self->guest.vm->fd)
				  : self->guest.vm->fd;
	self->efd = new_eventfd();
	self->there = has_fast_mmio();
	self->here = count_fast(ADDR);
	self->anywhere = count_fast(0);
}

FIXTURE_TEARDOWN(fast_mmio)
{
	if (variant->kvmfd)
		close(self->fd);
	kvm_vm_free(self->guest.vm);
	close(self->efd);
	close(self->here);
	close(self->anywhere);
}

#define CALL(addr, len, flags) ioeventfd(self->fd, self->efd, addr, len, flags, 0)
#define WRITE(addr)            guest_write(&self->guest, SPACE_MMIO, addr, 4, 0)

/* WRITES writes of all widths and several values; those that left the kernel. */
static unsigned int write_all(struct guest *guest, uint64_t addr)
{
	static const uint64_t values[VALUES] = { 0, 1, 0x80, 0x1122334455667788, UINT64_MAX };
	unsigned int exits = 0, width, i;

	for (width = 1; width <= 8; width *= 2)
		for (i = 0; i < VALUES; i++)
			exits += guest_write_often(guest, SPACE_MMIO, addr, width, values[i],
						   SHARE);
	return exits;
}

TEST_F(fast_mmio, any_write_rings_without_its_value)
{
	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	make_known(&self->guest, ADDR);
	ASSERT_EQ(0, CALL(ADDR, 0, 0));

	EXPECT_EQ(0, write_all(&self->guest, ADDR));
	EXPECT_EQ(WRITES, eventfd_take(self->efd));
	EXPECT_EQ(WRITES, counted(self->here));
	EXPECT_EQ(WRITES, counted(self->anywhere));
	if (variant->kvmfd) {
		EXPECT_EQ(WRITES, device_only_entry(self->fd).hits);
		/* It is not KVM's own that has rung. */
		EXPECT_EQ(ENOENT, ioeventfd(self->guest.vm->fd, self->efd, ADDR, 0, DEASSIGN,
					    0));
	}

	/* Nobody is left on either bus. */
	ASSERT_EQ(0, CALL(ADDR, 0, DEASSIGN));
	EXPECT_EQ(WRITES, write_all(&self->guest, ADDR));
	EXPECT_EQ(0, eventfd_take(self->efd));
	EXPECT_EQ(0, counted(self->anywhere));
}

TEST_F(fast_mmio, first_write_to_a_page)
{
	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	ASSERT_EQ(0, CALL(ADDR, 0, 0));

	/* With its value, so it is for the doorbell's other half. */
	EXPECT_EQ(0, WRITE(ADDR));
	EXPECT_EQ(1, eventfd_take(self->efd));
	EXPECT_EQ(0, counted(self->here));

	EXPECT_EQ(0, WRITE(ADDR));
	EXPECT_EQ(1, eventfd_take(self->efd));
	EXPECT_EQ(1, counted(self->here));
	if (variant->kvmfd)
		EXPECT_EQ(2, device_only_entry(self->fd).hits);
}

/* That is more than can be told of an access: whether it is a write. */
TEST_F(fast_mmio, read_rings_too)
{
	uint32_t value;

	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	make_known(&self->guest, ADDR);
	ASSERT_EQ(0, CALL(ADDR, 0, 0));
	EXPECT_EQ(0, guest_read(&self->guest, SPACE_MMIO, ADDR, &value));
	EXPECT_EQ(1, eventfd_take(self->efd));
	EXPECT_EQ(1, counted(self->here));
	if (variant->kvmfd)
		EXPECT_EQ(1, device_only_entry(self->fd).hits);
}

/* Who wants to know the width must not be asked there. */
TEST_F(fast_mmio, not_with_a_width)
{
	unsigned int width;

	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	make_known(&self->guest, ADDR);
	for (width = 1; width <= 8; width *= 2) {
		ASSERT_EQ(0, CALL(ADDR, width, 0));
		EXPECT_EQ(WRITES - WRITES / WIDTHS, write_all(&self->guest, ADDR));
		EXPECT_EQ(WRITES / WIDTHS, eventfd_take(self->efd));
		if (variant->kvmfd)
			EXPECT_EQ(WRITES / WIDTHS, device_only_entry(self->fd).hits);
		ASSERT_EQ(0, CALL(ADDR, width, DEASSIGN));
	}
	EXPECT_EQ(0, counted(self->anywhere));
}

#define MANY     24
#define PLACE(i) (ADDR + 8 * (i))

/* Each third one has a width. */
static uint32_t length_of(int i)
{
	return i % 3 ? 0 : 4;
}

TEST_F(fast_mmio, many_come_and_go)
{
	int efd[MANY], i;

	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	make_known(&self->guest, ADDR);
	for (i = 0; i < MANY; i++) {
		efd[i] = new_eventfd();
		ASSERT_EQ(0, ioeventfd(self->fd, efd[i], PLACE(i), length_of(i), 0, 0));
	}
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, WRITE(PLACE(i)));
		EXPECT_EQ(1, eventfd_take(efd[i]));
		EXPECT_EQ(!length_of(i), counted(self->anywhere));
	}

	for (i = 0; i < MANY; i += 2)
		ASSERT_EQ(0, ioeventfd(self->fd, efd[i], PLACE(i), length_of(i), DEASSIGN, 0));
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(!(i % 2), WRITE(PLACE(i)));
		EXPECT_EQ(i % 2, eventfd_take(efd[i]));
		EXPECT_EQ(i % 2 && !length_of(i), counted(self->anywhere));
		close(efd[i]);
	}
}

/* Where both have a doorbell at one address: docs/abi.md, "Who gets the write". */
FIXTURE(both)
{
	struct guest guest;
	int fd;
	int ours, theirs;
	bool there;
	int here;
};

FIXTURE_VARIANT(both)
{
	uint32_t our_len;
	uint32_t their_len;
};

FIXTURE_VARIANT_ADD(both, ours_0_theirs_4) { .our_len = 0, .their_len = 4 };
FIXTURE_VARIANT_ADD(both, ours_4_theirs_0) { .our_len = 4, .their_len = 0 };
FIXTURE_VARIANT_ADD(both, ours_0_theirs_0) { .our_len = 0, .their_len = 0 };

FIXTURE_SETUP(both)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->ours = new_eventfd();
	self->theirs = new_eventfd();
	self->there = has_fast_mmio();
	self->here = count_fast(ADDR);
}

FIXTURE_TEARDOWN(both)
{
	close(self->fd);
	kvm_vm_free(self->guest.vm);
	close(self->ours);
	close(self->theirs);
	close(self->here);
}

TEST_F(both, who_gets_the_write)
{
	int first;

	if (!self->there)
		SKIP(return, NO_FAST_MMIO);
	make_known(&self->guest, ADDR);
	for (first = 0; first < 2; first++) {
		if (first)
			ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, self->theirs, ADDR,
					       variant->their_len, 0, 0));
		ASSERT_EQ(0, ioeventfd(self->fd, self->ours, ADDR, variant->our_len, 0, 0));
		if (!first)
			ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, self->theirs, ADDR,
					       variant->their_len, 0, 0));

		EXPECT_EQ(0, WRITE(ADDR));
		EXPECT_EQ(!variant->our_len, eventfd_take(self->ours));
		EXPECT_EQ(!!variant->our_len, eventfd_take(self->theirs));
		EXPECT_EQ(1, counted(self->here));

		ASSERT_EQ(0, ioeventfd(self->fd, self->ours, ADDR, variant->our_len, DEASSIGN,
				       0));
		ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, self->theirs, ADDR,
				       variant->their_len, DEASSIGN, 0));
	}
}

TEST_HARNESS_MAIN
