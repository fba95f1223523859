// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: guest writes that ring and guest writes that must not, for kvmfd
 * and, in the same words, for KVM.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "fast.h"
#include "guest.h"
#include "harness.h"

/* Within a page: a write that crosses pages is two writes. */
#define ADDR  (GUEST_MMIO_BASE + 0x1800)
#define PORT  0x2000
#define VALUE 0x1122334455667788ULL

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

/* @fd serves the requests: the VM's, or a /dev/kvmfd's that is attached to it. */
struct bell {
	struct guest guest;
	int fd;
	bool kvmfd;
};

static void bell_create(struct bell *bell, bool kvmfd)
{
	guest_create(&bell->guest);
	bell->kvmfd = kvmfd;
	bell->fd = kvmfd ? device_open_attached(bell->guest.vm->fd) : bell->guest.vm->fd;
}

static void bell_destroy(struct bell *bell)
{
	if (bell->kvmfd)
		close(bell->fd);
	kvm_vm_free(bell->guest.vm);
}

static uint64_t truncated(unsigned int len, uint64_t value)
{
	return len == 8 ? value : value & ((1ULL << 8 * len) - 1);
}

/* --- each form of doorbell ---------------------------------------------- */

FIXTURE(form)
{
	struct bell bell;
	uint64_t addr;
	uint64_t data;
	uint32_t flags;
	int efd;
};

FIXTURE_VARIANT(form)
{
	bool kvmfd;
	enum space space;
	uint32_t len;
	bool datamatch;
};

#define FORM(backend, sp, length, match, suffix)                        \
	FIXTURE_VARIANT_ADD(form, backend##_##sp##_##length##_##suffix) \
	{                                                               \
		.kvmfd = backend, .space = SPACE_##sp, .len = length,   \
		.datamatch = match,                                     \
	}

#define FORMS(backend)                      \
	FORM(backend, MMIO, 1, false, any); \
	FORM(backend, MMIO, 2, false, any); \
	FORM(backend, MMIO, 4, false, any); \
	FORM(backend, MMIO, 8, false, any); \
	FORM(backend, MMIO, 1, true, data); \
	FORM(backend, MMIO, 2, true, data); \
	FORM(backend, MMIO, 4, true, data); \
	FORM(backend, MMIO, 8, true, data); \
	FORM(backend, MMIO, 0, false, any); \
	FORM(backend, PIO, 1, false, any);  \
	FORM(backend, PIO, 2, false, any);  \
	FORM(backend, PIO, 4, false, any);  \
	FORM(backend, PIO, 1, true, data);  \
	FORM(backend, PIO, 2, true, data);  \
	FORM(backend, PIO, 4, true, data);  \
	FORM(backend, PIO, 0, false, any)

enum {
	kvm,
	kvmfd,
};

FORMS(kvmfd);
FORMS(kvm);

FIXTURE_SETUP(form)
{
	bell_create(&self->bell, variant->kvmfd);
	self->efd = new_eventfd();
	self->addr = variant->space == SPACE_PIO ? PORT : ADDR;
	self->data = truncated(variant->len, VALUE);
	self->flags = (variant->space == SPACE_PIO ? PIO : 0) |
		      (variant->datamatch ? DATAMATCH : 0);
	ASSERT_EQ(0, ioeventfd(self->bell.fd, self->efd, self->addr, variant->len,
			       self->flags, self->data));
}

FIXTURE_TEARDOWN(form)
{
	bell_destroy(&self->bell);
	close(self->efd);
}

/* Does the write end in the kernel, and with a signal, exactly if it is to? */
#define EXPECT_RINGS(rings, addr, len, value)                                                  \
	do {                                                                                   \
		unsigned int exits = guest_write(&self->bell.guest, variant->space,            \
						 addr, len, value);                            \
		uint64_t rung = eventfd_take(self->efd);                                       \
		EXPECT_EQ(rings, rung);                                                        \
		EXPECT_EQ(!(rings), !!exits);                                                  \
		if (rung != (rings))                                                           \
			TH_LOG("write of %u bytes at %#llx, value %#llx", (unsigned int)(len), \
			       (unsigned long long)(addr), (unsigned long long)(value));       \
	} while (0)

/* Widths that the guest can write to the space. */
#define for_each_width(width) \
	for (width = 1; width <= (variant->space == SPACE_PIO ? 4 : 8); width *= 2)

/* A VM takes its time here, so each test asks one VM several things. */

TEST_F(form, rings_when_hit)
{
	unsigned int len = variant->len ?: 4;
	struct kvmfd_entry entry;

	EXPECT_RINGS(1, self->addr, len, VALUE);
	EXPECT_RINGS(1, self->addr, len, VALUE);

	/* Signals add up in the eventfd while nobody looks. */
	EXPECT_EQ(0, guest_write(&self->bell.guest, variant->space, self->addr, len, VALUE));
	EXPECT_EQ(0, guest_write(&self->bell.guest, variant->space, self->addr, len, VALUE));
	EXPECT_EQ(2, eventfd_take(self->efd));

	if (variant->kvmfd) {
		entry = device_only_entry(self->bell.fd);
		EXPECT_EQ(KVMFD_ENTRY_IOEVENTFD, entry.kind);
		EXPECT_EQ(self->flags, entry.flags);
		EXPECT_EQ(self->addr, entry.addr);
		EXPECT_EQ(variant->len, entry.len);
		EXPECT_EQ(variant->datamatch ? self->data : 0, entry.datamatch);
		EXPECT_EQ(variant->datamatch ? UINT64_MAX : 0, entry.mask);
		EXPECT_EQ(4, entry.hits);
	}

	/* With nobody left to hear it, the write still ends in the kernel. */
	close(self->efd);
	EXPECT_EQ(0, guest_write(&self->bell.guest, variant->space, self->addr, len, VALUE));
	if (variant->kvmfd)
		EXPECT_EQ(5, device_only_entry(self->bell.fd).hits);
	self->efd = new_eventfd();
}

TEST_F(form, silent_when_missed)
{
	enum space other = variant->space == SPACE_PIO ? SPACE_MMIO : SPACE_PIO;
	unsigned int len = variant->len ?: 4;
	int bit, offset;
	uint32_t value;
	bool rings;

	for (bit = 0; bit < 8 * len; bit++)
		EXPECT_RINGS(!variant->datamatch, self->addr, len, VALUE ^ 1ULL << bit);

	for_each_width(len)
		EXPECT_RINGS(!variant->len || len == variant->len, self->addr, len, VALUE);

	for (offset = -8; offset <= 8; offset++)
		for_each_width(len)
			if (offset)
				EXPECT_RINGS(0, self->addr + offset, len, VALUE);

	EXPECT_NE(0, guest_write(&self->bell.guest, other,
				 other == SPACE_PIO ? PORT : ADDR, 4, VALUE));
	EXPECT_EQ(0, eventfd_take(self->efd));

	/* Fast MMIO does not tell a read from a write. */
	rings = variant->space == SPACE_MMIO && !variant->len && has_fast_mmio();
	EXPECT_EQ(!rings, guest_read(&self->bell.guest, variant->space, self->addr, &value));
	EXPECT_EQ(rings, eventfd_take(self->efd));
}

/* Bao's deassign went on into an assign. */
TEST_F(form, comes_and_goes)
{
	unsigned int len = variant->len ?: 4;

	EXPECT_RINGS(1, self->addr, len, VALUE);
	ASSERT_EQ(0, ioeventfd(self->bell.fd, self->efd, self->addr, variant->len,
			       self->flags | DEASSIGN, self->data));
	EXPECT_RINGS(0, self->addr, len, VALUE);
	EXPECT_EQ(ENOENT, ioeventfd(self->bell.fd, self->efd, self->addr, variant->len,
				    self->flags | DEASSIGN, self->data));
	if (variant->kvmfd) {
		EXPECT_EQ(0, device_info(self->bell.fd).nr_ioeventfds);
		EXPECT_EQ(1, device_info(self->bell.fd).retired_hits);
	}

	/* The place is free again. */
	ASSERT_EQ(0, ioeventfd(self->bell.fd, self->efd, self->addr, variant->len,
			       self->flags, self->data));
	EXPECT_RINGS(1, self->addr, len, VALUE);
	if (!variant->kvmfd)
		return;

	/* Closing the file takes it away too. */
	close(self->bell.fd);
	EXPECT_RINGS(0, self->addr, len, VALUE);
	self->bell.fd = device_open_attached(self->bell.guest.vm->fd);
	ASSERT_EQ(0, ioeventfd(self->bell.fd, self->efd, self->addr, variant->len,
			       self->flags, self->data));
	EXPECT_RINGS(1, self->addr, len, VALUE);
}

/* --- rules -------------------------------------------------------------- */

FIXTURE(rules)
{
	struct bell bell;
	int a, b;
};

FIXTURE_VARIANT(rules)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(rules, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(rules, kvm) { .kvmfd = false };

FIXTURE_SETUP(rules)
{
	bell_create(&self->bell, variant->kvmfd);
	self->a = new_eventfd();
	self->b = new_eventfd();
}

FIXTURE_TEARDOWN(rules)
{
	bell_destroy(&self->bell);
	close(self->a);
	close(self->b);
}

#define CALL(efd, addr, len, flags, data) \
	ioeventfd(self->bell.fd, efd, addr, len, flags, data)

#define WRITE(space, addr, len, value) \
	guest_write(&self->bell.guest, SPACE_##space, addr, len, value)

TEST_F(rules, lengths)
{
	unsigned int len;

	for (len = 0; len < 20; len++) {
		bool good = len == 0 || len == 1 || len == 2 || len == 4 || len == 8;

		EXPECT_EQ(good ? 0 : EINVAL, CALL(self->a, ADDR + 32 * len, len, 0, 0));
		EXPECT_EQ(good ? 0 : EINVAL, CALL(self->a, PORT + 32 * len, len, PIO, 0));
	}
	EXPECT_EQ(EINVAL, CALL(self->a, ADDR, UINT32_MAX, 0, 0));
	EXPECT_EQ(EINVAL, CALL(self->a, ADDR, 1U << 31, 0, 0));
}

TEST_F(rules, overflow)
{
	EXPECT_EQ(EINVAL, CALL(self->a, UINT64_MAX, 1, 0, 0));
	EXPECT_EQ(EINVAL, CALL(self->a, UINT64_MAX - 6, 8, 0, 0));
	EXPECT_EQ(EINVAL, CALL(self->a, UINT64_MAX - 7, 8, 0, 0));
	EXPECT_EQ(0, CALL(self->a, UINT64_MAX - 8, 8, 0, 0));
	EXPECT_EQ(0, CALL(self->a, UINT64_MAX, 0, 0, 0));
	EXPECT_EQ(0, CALL(self->a, UINT64_MAX, 0, PIO, 0));
}

TEST_F(rules, flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (1U << bit == DEASSIGN)
			continue;
		EXPECT_EQ((1U << bit & KVM_IOEVENTFD_VALID_FLAG_MASK) ? 0 : EINVAL,
			  CALL(self->a, ADDR + 8 * bit, 4, 1U << bit, 0));
	}
	EXPECT_EQ(EINVAL, CALL(self->a, ADDR, 0, DATAMATCH, 0));
	EXPECT_EQ(EINVAL, CALL(self->a, PORT, 0, PIO | DATAMATCH, 0));
	/* What an assign refuses is merely not found by a deassign. */
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR, 3, DEASSIGN | 1U << 31, 0));
}

TEST_F(rules, not_an_eventfd)
{
	int closed = dup(self->a);

	close(closed);
	EXPECT_EQ(EBADF, CALL(-1, ADDR, 4, 0, 0));
	EXPECT_EQ(EBADF, CALL(closed, ADDR, 4, 0, 0));
	EXPECT_EQ(EINVAL, CALL(self->bell.guest.vm->fd, ADDR, 4, 0, 0));
	EXPECT_EQ(EINVAL, CALL(self->bell.guest.vcpu->fd, ADDR, 4, 0, 0));
	EXPECT_EQ(EBADF, CALL(-1, ADDR, 4, DEASSIGN, 0));
	EXPECT_EQ(EINVAL, CALL(self->bell.guest.vm->fd, ADDR, 4, DEASSIGN, 0));
	/* The arguments are looked at first. */
	EXPECT_EQ(EINVAL, CALL(-1, ADDR, 3, 0, 0));
}

TEST_F(rules, collisions)
{
	/* Whatever the eventfd. */
	ASSERT_EQ(0, CALL(self->a, ADDR, 4, DATAMATCH, 1));
	EXPECT_EQ(EEXIST, CALL(self->a, ADDR, 4, DATAMATCH, 1));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR, 4, DATAMATCH, 1));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR, 4, 0, 0));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR, 0, 0, 0));
	/* All 64 bits of the data count, also those that no write can have. */
	EXPECT_EQ(0, CALL(self->b, ADDR, 4, DATAMATCH, 1ULL << 32 | 1));
	EXPECT_EQ(0, CALL(self->b, ADDR, 4, DATAMATCH, 2));
	EXPECT_EQ(0, CALL(self->b, ADDR, 2, DATAMATCH, 1));
	EXPECT_EQ(0, CALL(self->b, ADDR, 8, 0, 0));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR, 8, DATAMATCH, 7));
	EXPECT_EQ(0, CALL(self->b, ADDR + 1, 4, DATAMATCH, 1));
	EXPECT_EQ(0, CALL(self->b, ADDR, 4, DATAMATCH | PIO, 1));

	ASSERT_EQ(0, CALL(self->a, ADDR + 64, 0, 0, 0));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR + 64, 0, 0, 0));
	EXPECT_EQ(EEXIST, CALL(self->b, ADDR + 64, 1, DATAMATCH, 9));
	EXPECT_EQ(0, CALL(self->b, ADDR + 65, 0, 0, 0));

	/* What was refused has left nothing behind. */
	EXPECT_EQ(0, CALL(self->a, ADDR, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_EQ(ENOENT, CALL(self->b, ADDR, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_NE(0, WRITE(MMIO, ADDR, 4, 1));
	EXPECT_EQ(0, eventfd_take(self->a));
	EXPECT_EQ(0, eventfd_take(self->b));
}

TEST_F(rules, deassign_matches_every_key)
{
	ASSERT_EQ(0, CALL(self->a, ADDR, 4, DATAMATCH, 1));

	EXPECT_EQ(ENOENT, CALL(self->b, ADDR, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR + 4, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR, 8, DATAMATCH | DEASSIGN, 1));
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR, 4, DATAMATCH | DEASSIGN, 2));
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR, 4, DEASSIGN, 1));
	EXPECT_EQ(ENOENT, CALL(self->a, ADDR, 4, DATAMATCH | DEASSIGN | PIO, 1));

	EXPECT_EQ(0, WRITE(MMIO, ADDR, 4, 1));
	EXPECT_EQ(1, eventfd_take(self->a));
	EXPECT_EQ(0, CALL(self->a, ADDR, 4, DATAMATCH | DEASSIGN, 1));
}

TEST_F(rules, data_beyond_the_width)
{
	ASSERT_EQ(0, CALL(self->a, ADDR, 2, DATAMATCH, 0x10005));
	EXPECT_EQ(1, WRITE(MMIO, ADDR, 2, 0x5));
	EXPECT_EQ(1, WRITE(MMIO, ADDR, 2, 0x10005));
	EXPECT_EQ(0, eventfd_take(self->a));
}

/* Gunyah's deassign took all of an address. */
TEST_F(rules, data_values_at_one_address)
{
	/* The queue's number as data: what virtio-mmio does. */
	int efd[16], i;

	for (i = 0; i < 16; i++) {
		efd[i] = new_eventfd();
		ASSERT_EQ(0, CALL(efd[i], ADDR + 0x50, 4, DATAMATCH, i));
	}
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(0, WRITE(MMIO, ADDR + 0x50, 4, i));
		EXPECT_EQ(1, eventfd_take(efd[i]));
	}
	EXPECT_EQ(1, WRITE(MMIO, ADDR + 0x50, 4, 16));

	/* One goes, the others stay. */
	ASSERT_EQ(0, CALL(efd[7], ADDR + 0x50, 4, DATAMATCH | DEASSIGN, 7));
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(i == 7, WRITE(MMIO, ADDR + 0x50, 4, i));
		EXPECT_EQ(i != 7, eventfd_take(efd[i]));
	}
}

/* ACRN, Bao and seL4 looked at the eventfd only. */
TEST_F(rules, one_eventfd_at_two_addresses)
{
	ASSERT_EQ(0, CALL(self->a, ADDR, 4, 0, 0));
	ASSERT_EQ(0, CALL(self->a, PORT, 4, PIO, 0));
	EXPECT_EQ(0, WRITE(MMIO, ADDR, 4, 1));
	EXPECT_EQ(0, WRITE(PIO, PORT, 4, 1));
	EXPECT_EQ(2, eventfd_take(self->a));

	ASSERT_EQ(0, CALL(self->a, ADDR, 4, DEASSIGN, 0));
	EXPECT_EQ(1, WRITE(MMIO, ADDR, 4, 1));
	EXPECT_EQ(0, WRITE(PIO, PORT, 4, 1));
	EXPECT_EQ(1, eventfd_take(self->a));
}

TEST_F(rules, write_across_doorbells)
{
	/* Neighbours that touch: a wider write is nobody's. */
	ASSERT_EQ(0, CALL(self->a, ADDR, 4, 0, 0));
	ASSERT_EQ(0, CALL(self->b, ADDR + 4, 4, 0, 0));
	EXPECT_EQ(1, WRITE(MMIO, ADDR, 8, 0));
	EXPECT_EQ(1, WRITE(MMIO, ADDR + 2, 4, 0));
	EXPECT_EQ(0, eventfd_take(self->a));
	EXPECT_EQ(0, eventfd_take(self->b));
	EXPECT_EQ(0, WRITE(MMIO, ADDR + 4, 4, 0));
	EXPECT_EQ(0, eventfd_take(self->a));
	EXPECT_EQ(1, eventfd_take(self->b));
}

#define MANY 48

/* A fixed order that looks like none; the step and MANY have no common factor. */
static int scrambled(int i)
{
	return i * 29 % MANY;
}

TEST_F(rules, many_in_any_order)
{
	int efd[MANY], i, j;

	for (i = 0; i < MANY; i++)
		efd[i] = new_eventfd();

	for (i = 0; i < MANY; i++) {
		j = scrambled(i);
		ASSERT_EQ(0, CALL(efd[j], ADDR + 8 * j, 4, 0, 0));
	}
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, WRITE(MMIO, ADDR + 8 * i, 4, i));
		EXPECT_EQ(1, eventfd_take(efd[i]));
	}

	/* Each other one goes; the search must find those that stay. */
	for (i = 0; i < MANY; i++) {
		j = scrambled(i);
		if (j % 2)
			ASSERT_EQ(0, CALL(efd[j], ADDR + 8 * j, 4, DEASSIGN, 0));
	}
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(i % 2, WRITE(MMIO, ADDR + 8 * i, 4, i));
		EXPECT_EQ(!(i % 2), eventfd_take(efd[i]));
	}
}

TEST_HARNESS_MAIN
