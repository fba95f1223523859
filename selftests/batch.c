// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVMFD_BATCH: many changes together, or none of them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR      GUEST_MMIO_BASE
#define PORT      0x2000
#define GSI       24
#define OTHER_GSI 25
#define VECTOR    GUEST_VECTOR

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

#define NR_EVENTFDS 4
#define MANY        256

/* Changes of doorbells; the short ones are of wildcards of 4 bytes. */
#define CHANGE(efd, where, length, more, ...)                                \
	{                                                                    \
		.kind = KVMFD_ENTRY_IOEVENTFD, .fd = (efd), .addr = (where), \
		.len = (length), .flags = (more), ##__VA_ARGS__              \
	}
#define BELL(efd, where)    CHANGE(efd, where, 4, 0)
#define NO_BELL(efd, where) CHANGE(efd, where, 4, DEASSIGN)
#define MATCH(value)        .data = (value), .mask = ~0ULL
#define CALL(efd, irq)                                               \
	{                                                            \
		.kind = KVMFD_ENTRY_IRQFD, .fd = (efd), .gsi = (irq) \
	}
#define NO_CALL(efd, irq)                                             \
	{                                                             \
		.kind = KVMFD_ENTRY_IRQFD, .fd = (efd), .gsi = (irq), \
		.flags = KVM_IRQFD_FLAG_DEASSIGN                      \
	}

#define CHANGES(...)                                              \
	(const struct kvmfd_change[]) { __VA_ARGS__ },            \
		sizeof((struct kvmfd_change[]) { __VA_ARGS__ }) / \
			sizeof(struct kvmfd_change)

FIXTURE(batch)
{
	struct guest guest;
	int fd;
	int efd[NR_EVENTFDS];
	unsigned int failed;
};

FIXTURE_SETUP(batch)
{
	struct kvm_irq_routing_entry routes[] = {
		route_msi(GSI, 0, VECTOR),
		route_msi(OTHER_GSI, 0, VECTOR + 1),
	};
	int i;

	guest_create(&self->guest);
	guest_set_routing(&self->guest, routes, 2);
	guest_take_interrupts(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	for (i = 0; i < NR_EVENTFDS; i++)
		self->efd[i] = new_eventfd();
}

FIXTURE_TEARDOWN(batch)
{
	int i;

	for (i = 0; i < NR_EVENTFDS; i++)
		close(self->efd[i]);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

#define BATCH(...) kvmfd_batch(self->fd, CHANGES(__VA_ARGS__), &self->failed)

/* The write rings eventfd @which, or none if that is -1, and then leaves the kernel. */
#define EXPECT_RINGS(which, space, addr, len, value)                                   \
	do {                                                                           \
		int _which = (which), _i;                                              \
		EXPECT_EQ(_which < 0,                                                  \
			  guest_write(&self->guest, SPACE_##space, addr, len, value)); \
		for (_i = 0; _i < NR_EVENTFDS; _i++)                                   \
			EXPECT_EQ(_i == _which, eventfd_take(self->efd[_i]));          \
	} while (0)

#define EXPECT_INTERRUPTS(n, vector)                                  \
	do {                                                          \
		guest_take_interrupts(&self->guest);                  \
		EXPECT_EQ(n, guest_interrupts(&self->guest, vector)); \
	} while (0)

#define EXPECT_NOTHING_THERE()                                   \
	do {                                                     \
		struct kvmfd_info _info = device_info(self->fd); \
		EXPECT_EQ(0, _info.nr_ioeventfds);               \
		EXPECT_EQ(0, _info.nr_irqfds);                   \
	} while (0)

TEST_F(batch, makes_all_kinds)
{
	int *efd = self->efd;

	ASSERT_EQ(0, BATCH(BELL(efd[0], ADDR), CHANGE(efd[1], ADDR + 8, 4, DATAMATCH, MATCH(7)),
			   CHANGE(efd[1], ADDR + 16, 0, 0), CHANGE(efd[2], PORT, 4, PIO),
			   CALL(efd[3], GSI)));

	EXPECT_RINGS(0, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(1, MMIO, ADDR + 8, 4, 7);
	EXPECT_RINGS(-1, MMIO, ADDR + 8, 4, 8);
	EXPECT_RINGS(1, MMIO, ADDR + 16, 2, 1);
	EXPECT_RINGS(2, PIO, PORT, 4, 1);
	eventfd_ring(efd[3]);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_EQ(4, device_info(self->fd).nr_ioeventfds);
	EXPECT_EQ(1, device_info(self->fd).nr_irqfds);

	ASSERT_EQ(0, BATCH(NO_CALL(efd[3], GSI), NO_BELL(efd[0], ADDR),
			   CHANGE(efd[1], ADDR + 8, 4, DATAMATCH | DEASSIGN, MATCH(7)),
			   CHANGE(efd[1], ADDR + 16, 0, DEASSIGN),
			   CHANGE(efd[2], PORT, 4, PIO | DEASSIGN)));
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(-1, MMIO, ADDR + 8, 4, 7);
	EXPECT_RINGS(-1, MMIO, ADDR + 16, 2, 1);
	EXPECT_RINGS(-1, PIO, PORT, 4, 1);
	eventfd_ring(efd[3]);
	EXPECT_INTERRUPTS(0, VECTOR);
	EXPECT_EQ(1, eventfd_take(efd[3]));
	EXPECT_NOTHING_THERE();
}

/* What must fail stands between two changes that could be made, and after an irqfd. */
#define EXPECT_FAILS(err, ...)                                                     \
	do {                                                                       \
		EXPECT_EQ(-(err), BATCH(CALL(self->efd[3], GSI),                   \
					BELL(self->efd[1], ADDR + 8), __VA_ARGS__, \
					BELL(self->efd[1], ADDR + 16)));           \
		EXPECT_EQ(2, self->failed);                                        \
		EXPECT_RINGS(0, MMIO, ADDR, 4, 1);                                 \
		EXPECT_RINGS(-1, MMIO, ADDR + 8, 4, 1);                            \
		EXPECT_RINGS(-1, MMIO, ADDR + 16, 4, 1);                           \
		eventfd_ring(self->efd[3]);                                        \
		EXPECT_INTERRUPTS(0, VECTOR);                                      \
		EXPECT_EQ(1, eventfd_take(self->efd[3]));                          \
		EXPECT_EQ(1, device_info(self->fd).nr_ioeventfds);                 \
		EXPECT_EQ(1, device_info(self->fd).nr_irqfds);                     \
	} while (0)

TEST_F(batch, all_or_none)
{
	int *efd = self->efd, not_eventfd = self->fd;

	ASSERT_EQ(0, BATCH(BELL(efd[0], ADDR), CALL(efd[2], GSI)));

	EXPECT_FAILS(EBADF, BELL(-1, ADDR + 32));
	EXPECT_FAILS(EINVAL, BELL(not_eventfd, ADDR + 32));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 3, 0));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 4, 0, .mask = 1));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 4, DATAMATCH));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 4, 1U << 31));
	EXPECT_FAILS(EINVAL, BELL(efd[1], -2));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 4, 0, .gsi = 1));
	EXPECT_FAILS(EINVAL, CHANGE(efd[1], ADDR + 32, 4, 0, .resamplefd = 1));
	EXPECT_FAILS(EINVAL, { .kind = 0, .fd = efd[1], .addr = ADDR + 32, .len = 4 });
	EXPECT_FAILS(EINVAL, { .kind = 3, .fd = efd[1], .addr = ADDR + 32, .len = 4 });
	EXPECT_FAILS(EEXIST, BELL(efd[1], ADDR));
	EXPECT_FAILS(EEXIST, CHANGE(efd[1], ADDR, 0, 0));
	EXPECT_FAILS(EEXIST, BELL(efd[1], ADDR + 8));
	EXPECT_FAILS(ENOENT, NO_BELL(efd[0], ADDR + 4));
	EXPECT_FAILS(ENOENT, NO_BELL(efd[1], ADDR));
	EXPECT_FAILS(ENOENT, NO_BELL(efd[1], ADDR + 8));
	EXPECT_FAILS(EBADF, NO_BELL(-1, ADDR));
	EXPECT_FAILS(EINVAL, NO_BELL(not_eventfd, ADDR));
	EXPECT_FAILS(EBUSY, CALL(efd[2], OTHER_GSI));
	EXPECT_FAILS(EBUSY, CALL(efd[3], OTHER_GSI));
	EXPECT_FAILS(EBADF, CALL(-1, OTHER_GSI));
	EXPECT_FAILS(EINVAL, CALL(not_eventfd, OTHER_GSI));
	EXPECT_FAILS(EBADF, NO_CALL(-1, OTHER_GSI));
	EXPECT_FAILS(EINVAL, NO_CALL(not_eventfd, OTHER_GSI));
	EXPECT_FAILS(EINVAL, { .kind = KVMFD_ENTRY_IRQFD, .fd = efd[1], .flags = 1U << 31 });
	EXPECT_FAILS(EINVAL, { .kind = KVMFD_ENTRY_IRQFD, .fd = efd[1], .addr = 1 });
	EXPECT_FAILS(EINVAL, { .kind = KVMFD_ENTRY_IRQFD, .fd = efd[1], .data = 1 });
	EXPECT_FAILS(EINVAL, { .kind = KVMFD_ENTRY_IRQFD, .fd = efd[1], .mask = 1 });
	EXPECT_FAILS(EINVAL, { .kind = KVMFD_ENTRY_IRQFD, .fd = efd[1], .len = 1 });
}

/* What a failed batch was about to take away is there as before. */
TEST_F(batch, failed_removes_nothing)
{
	int *efd = self->efd;

	ASSERT_EQ(0, BATCH(CHANGE(efd[0], ADDR, 4, DATAMATCH, MATCH(1)),
			   CHANGE(efd[1], ADDR, 4, DATAMATCH, MATCH(2)), CALL(efd[2], GSI)));
	EXPECT_EQ(-ENOENT, BATCH(CHANGE(efd[0], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(1)),
				 CHANGE(efd[1], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(2)),
				 BELL(efd[3], ADDR), NO_CALL(efd[2], GSI), CALL(efd[2], OTHER_GSI),
				 NO_BELL(efd[0], ADDR)));
	EXPECT_EQ(5, self->failed);
	EXPECT_EQ(-EBADF, BATCH(CHANGE(efd[0], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(1)),
				CHANGE(efd[1], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(2)),
				BELL(efd[3], ADDR), NO_CALL(efd[2], GSI), CALL(efd[2], OTHER_GSI),
				CALL(-1, GSI)));
	EXPECT_EQ(5, self->failed);

	EXPECT_RINGS(0, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(1, MMIO, ADDR, 4, 2);
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 3);
	eventfd_ring(efd[2]);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR + 1);

	/* And can still be taken away, one by one. */
	EXPECT_EQ(0, ioeventfd(self->fd, efd[0], ADDR, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_EQ(0, ioeventfd(self->fd, efd[1], ADDR, 4, DATAMATCH | DEASSIGN, 2));
	EXPECT_EQ(0, irqfd(self->fd, efd[2], GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_NOTHING_THERE();
}

/* An assign collides with what is there after the batch, wherever it stands. */
TEST_F(batch, end_state_counts)
{
	int *efd = self->efd;

	ASSERT_EQ(0, BATCH(BELL(efd[0], ADDR), BELL(efd[1], ADDR + 8)));

	/* The same key, the eventfds swapped. */
	EXPECT_EQ(0, BATCH(BELL(efd[1], ADDR), NO_BELL(efd[0], ADDR), NO_BELL(efd[1], ADDR + 8),
			   BELL(efd[0], ADDR + 8)));
	EXPECT_RINGS(1, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(0, MMIO, ADDR + 8, 4, 1);

	/* One for all values by two for one each, and back. */
	EXPECT_EQ(0, BATCH(CHANGE(efd[0], ADDR, 4, DATAMATCH, MATCH(1)),
			   CHANGE(efd[1], ADDR, 4, DATAMATCH, MATCH(2)),
			   NO_BELL(efd[1], ADDR)));
	EXPECT_RINGS(0, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(1, MMIO, ADDR, 4, 2);
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 3);
	EXPECT_EQ(-EEXIST, BATCH(BELL(efd[2], ADDR),
				 CHANGE(efd[0], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(1))));
	EXPECT_EQ(0, self->failed);
	EXPECT_EQ(0, BATCH(BELL(efd[2], ADDR),
			   CHANGE(efd[0], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(1)),
			   CHANGE(efd[1], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(2))));
	EXPECT_RINGS(2, MMIO, ADDR, 4, 1);

	/* Another length at the address. */
	EXPECT_EQ(0, BATCH(CHANGE(efd[0], ADDR, 0, 0), NO_BELL(efd[2], ADDR)));
	EXPECT_RINGS(0, MMIO, ADDR, 2, 1);
	EXPECT_EQ(0, BATCH(CHANGE(efd[0], ADDR, 0, DEASSIGN),
			   CHANGE(efd[1], ADDR, 2, 0), BELL(efd[2], ADDR)));
	EXPECT_RINGS(1, MMIO, ADDR, 2, 1);
	EXPECT_RINGS(2, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(-1, MMIO, ADDR, 1, 1);

	/* A deassign names what is there before. */
	EXPECT_EQ(-ENOENT, BATCH(BELL(efd[3], ADDR + 32), NO_BELL(efd[3], ADDR + 32)));
	EXPECT_EQ(1, self->failed);
	EXPECT_EQ(-ENOENT, BATCH(NO_BELL(efd[2], ADDR), NO_BELL(efd[2], ADDR)));
	EXPECT_EQ(1, self->failed);
	EXPECT_EQ(3, device_info(self->fd).nr_ioeventfds);
}

/* The key that many share is the first one's, which may go before the others. */
TEST_F(batch, shared_key_outlives_its_first)
{
	int *efd = self->efd;

	ASSERT_EQ(0, BATCH(CHANGE(efd[0], ADDR, 4, DATAMATCH, MATCH(1)),
			   CHANGE(efd[1], ADDR, 4, DATAMATCH, MATCH(2))));
	ASSERT_EQ(0, ioeventfd(self->fd, efd[0], ADDR, 4, DATAMATCH | DEASSIGN, 1));
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(1, MMIO, ADDR, 4, 2);
	ASSERT_EQ(0, BATCH(CHANGE(efd[2], ADDR, 4, DATAMATCH, MATCH(3)),
			   CHANGE(efd[1], ADDR, 4, DATAMATCH | DEASSIGN, MATCH(2))));
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 2);
	EXPECT_RINGS(2, MMIO, ADDR, 4, 3);
	ASSERT_EQ(0, ioeventfd(self->fd, efd[2], ADDR, 4, DATAMATCH | DEASSIGN, 3));
	ASSERT_EQ(0, ioeventfd(self->fd, efd[3], ADDR, 4, 0, 0));
	EXPECT_RINGS(3, MMIO, ADDR, 4, 3);
}

TEST_F(batch, irqfd_keeps_its_eventfd)
{
	int *efd = self->efd;

	ASSERT_EQ(0, irqfd(self->fd, efd[0], GSI, 0));
	EXPECT_EQ(-EBUSY, BATCH(CALL(efd[0], OTHER_GSI), NO_CALL(efd[0], OTHER_GSI)));
	EXPECT_EQ(0, self->failed);
	EXPECT_EQ(-EBUSY, BATCH(NO_CALL(efd[0], GSI), CALL(efd[0], OTHER_GSI), CALL(efd[0], GSI)));
	EXPECT_EQ(2, self->failed);
	eventfd_ring(efd[0]);
	EXPECT_INTERRUPTS(1, VECTOR);

	EXPECT_EQ(0, BATCH(CALL(efd[0], OTHER_GSI), NO_CALL(efd[0], GSI)));
	eventfd_ring(efd[0]);
	EXPECT_INTERRUPTS(0, VECTOR);
	EXPECT_INTERRUPTS(1, VECTOR + 1);
	EXPECT_EQ(OTHER_GSI, device_only_entry(self->fd).gsi);

	/* By its own like, and it is still alone. */
	EXPECT_EQ(0, BATCH(NO_CALL(efd[0], OTHER_GSI), CALL(efd[0], OTHER_GSI)));
	EXPECT_EQ(EBUSY, irqfd(self->fd, efd[0], GSI, 0));
	eventfd_ring(efd[0]);
	EXPECT_INTERRUPTS(1, VECTOR + 1);
	EXPECT_EQ(0, irqfd(self->fd, efd[0], OTHER_GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_NOTHING_THERE();
}

TEST_F(batch, irqfd_hears_what_was_pending)
{
	int *efd = self->efd;

	eventfd_ring(efd[0]);
	ASSERT_EQ(-EBADF, BATCH(CALL(efd[0], GSI), CALL(-1, GSI)));
	EXPECT_EQ(1, self->failed);
	ASSERT_EQ(0, BATCH(CALL(efd[0], GSI), CALL(efd[1], OTHER_GSI)));
	/* It went by the workqueue, which the deassign waits for. */
	ASSERT_EQ(0, BATCH(NO_CALL(efd[0], GSI), NO_CALL(efd[1], OTHER_GSI)));
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR + 1);
	EXPECT_EQ(0, eventfd_take(efd[0]));
}

/* As one by one: nothing that matches is no error. */
TEST_F(batch, irqfd_deassign_of_nothing)
{
	EXPECT_EQ(0, BATCH(NO_CALL(self->efd[0], GSI), NO_CALL(self->efd[0], GSI)));
	EXPECT_NOTHING_THERE();
}

TEST_F(batch, sizes)
{
	struct larger {
		struct kvmfd_change change;
		uint64_t more;
	};
	const struct larger larger[2] = {
		{ BELL(self->efd[0], ADDR), 0 },
		{ BELL(self->efd[1], ADDR + 8), 0 },
	};
	const struct larger unknown = { BELL(self->efd[1], ADDR), 1 };
	const struct kvmfd_batch args = {
		.size = sizeof(args),
		.changes = (uintptr_t)larger,
		.change_size = sizeof(larger[0]),
		.count = 2,
	};
	struct kvmfd_batch a;

#define EXPECT_BATCH(err, ...)                                       \
	do {                                                         \
		a = args;                                            \
		__VA_ARGS__;                                         \
		EXPECT_EQ(err, do_ioctl(self->fd, KVMFD_BATCH, &a)); \
	} while (0)

	EXPECT_BATCH(E2BIG, a.changes = (uintptr_t)&unknown, a.count = 1);
	EXPECT_BATCH(EINVAL, a.size--);
	EXPECT_BATCH(EINVAL, a.flags = 1);
	EXPECT_BATCH(EINVAL, a.reserved = 1);
	EXPECT_BATCH(EINVAL, a.change_size = sizeof(struct kvmfd_change) - 1);
	EXPECT_BATCH(E2BIG, a.change_size = 4097);
	EXPECT_BATCH(EFAULT, a.changes = 8);
	EXPECT_EQ(2, a.failed);
	EXPECT_BATCH(ENOSPC, a.count = device_info(self->fd).max_batch + 1);
	EXPECT_EQ(a.count, a.failed);
	EXPECT_NOTHING_THERE();

	EXPECT_BATCH(0, a.count = 2);
	EXPECT_BATCH(0, a.count = 0);
	EXPECT_RINGS(0, MMIO, ADDR, 4, 1);
	EXPECT_RINGS(1, MMIO, ADDR + 8, 4, 1);
}

TEST_F(batch, needs_an_attachment)
{
	int fd = device_open();

	EXPECT_EQ(-ENOTCONN, kvmfd_batch(fd, CHANGES(BELL(self->efd[0], ADDR)), NULL));
	close(fd);
}

/* One that watches itself is. */
static bool kernel_is_slow(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

static void shuffle(struct kvmfd_change *changes, unsigned int n)
{
	struct kvmfd_change swap;
	unsigned int i, j;

	srand(1);
	for (i = 1; i < n; i++) {
		j = rand() % (i + 1);
		swap = changes[i];
		changes[i] = changes[j];
		changes[j] = swap;
	}
}

/* As many as a batch can take, if the kernel is not slow, in no order, among KVM's own. */
TEST_F(batch, many)
{
	unsigned int max = device_info(self->fd).max_batch / (kernel_is_slow() ? 8 : 1), i;
	struct kvmfd_change *changes;
	int native = new_eventfd();

	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, native, ADDR + 0x100 * i + 4, 4, 0, 0));

	changes = calloc(max, sizeof(*changes));
	ASSERT_NE(NULL, changes);
	for (i = 0; i < max; i++) {
		changes[i] = (struct kvmfd_change)BELL(self->efd[i % 3], ADDR + 0x100 * (i / 16));
		changes[i].flags = DATAMATCH;
		changes[i].data = i % 16;
		changes[i].mask = ~0ULL;
		/* The rest are values of the first. */
		if (i >= 16 * MANY) {
			changes[i].addr = ADDR;
			changes[i].data = i;
		}
	}
	shuffle(changes, max);
	ASSERT_EQ(0, kvmfd_batch(self->fd, changes, max, NULL));
	EXPECT_EQ(max, device_info(self->fd).nr_ioeventfds);

	for (i = 0; i < 16 * MANY; i += 331)
		EXPECT_RINGS(i % 3, MMIO, ADDR + 0x100 * (i / 16), 4, i % 16);
	EXPECT_RINGS((max - 1) % 3, MMIO, ADDR, 4, max - 1);
	EXPECT_RINGS(-1, MMIO, ADDR, 4, max);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR + 0x100 * i + 4, 4, 0));
		EXPECT_EQ(1, eventfd_take(native));
	}

	for (i = 0; i < max; i++)
		changes[i].flags |= DEASSIGN;
	shuffle(changes, max);
	ASSERT_EQ(0, kvmfd_batch(self->fd, changes, max, NULL));
	EXPECT_NOTHING_THERE();
	EXPECT_RINGS(-1, MMIO, ADDR, 4, 0);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR + 0x100 * i + 4, 4, 0));
		EXPECT_EQ(1, eventfd_take(native));
	}

	free(changes);
	close(native);
}

/* --- a guest that writes, an eventfd that is signalled, all the while ----- */

struct writer {
	struct guest *guest;
	enum space space;
	uint64_t count;
	unsigned int exits;
	bool done;
};

static void *write_often(void *arg)
{
	struct writer *w = arg;

	w->exits = guest_write_often(w->guest, w->space, w->space == SPACE_PIO ? PORT : ADDR, 2,
				     1, w->count);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

FIXTURE(replace)
{
	struct guest guest;
	int fd;
	int a;
	int b;
};

FIXTURE_VARIANT(replace)
{
	enum space space;
	uint64_t writes;
	uint64_t pace; /* writes from one replacement to the next, at least */
	struct kvmfd_change from;
	struct kvmfd_change to;
};

FIXTURE_VARIANT_ADD(replace, wildcard) {
	.space = SPACE_PIO,
	.writes = 100000,
	.pace = 5,
	.from = CHANGE(-1, PORT, 2, PIO),
	.to = CHANGE(-1, PORT, 2, PIO),
};

FIXTURE_VARIANT_ADD(replace, datamatch) {
	.space = SPACE_MMIO,
	.writes = 20000,
	.from = CHANGE(-1, ADDR, 2, DATAMATCH, MATCH(1)),
	.to = CHANGE(-1, ADDR, 2, DATAMATCH, MATCH(1)),
};

FIXTURE_VARIANT_ADD(replace, wildcard_by_datamatch) {
	.space = SPACE_MMIO,
	.writes = 20000,
	.from = CHANGE(-1, ADDR, 2, 0),
	.to = CHANGE(-1, ADDR, 2, DATAMATCH, MATCH(1)),
};

FIXTURE_VARIANT_ADD(replace, width_by_any) {
	.space = SPACE_PIO,
	.writes = 20000,
	.from = CHANGE(-1, PORT, 2, PIO),
	.to = CHANGE(-1, PORT, 0, PIO),
};

FIXTURE_SETUP(replace)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->a = new_eventfd();
	self->b = new_eventfd();
}

FIXTURE_TEARDOWN(replace)
{
	close(self->a);
	close(self->b);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

/* Each write finds the one or the other. */
TEST_F(replace, loses_no_write)
{
	bool slow = kernel_is_slow();
	struct writer writer = {
		.guest = &self->guest,
		.space = variant->space,
		.count = slow ? variant->writes / 20 : variant->writes,
	};
	struct kvmfd_change there = variant->from, to = variant->to, swap;
	unsigned int replaced = 0;
	uint64_t on_a, on_b;
	pthread_t thread;

	there.fd = self->a;
	to.fd = self->b;
	ASSERT_EQ(0, kvmfd_batch(self->fd, &there, 1, NULL));

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_often, &writer));
	while (!__atomic_load_n(&writer.done, __ATOMIC_ACQUIRE)) {
		struct kvmfd_change changes[] = { to, there };

		if (device_only_entry(self->fd).hits < variant->pace)
			continue;

		changes[1].flags |= DEASSIGN;
		ASSERT_EQ(0, kvmfd_batch(self->fd, changes, 2, NULL));
		swap = there;
		there = to;
		to = swap;
		replaced++;
	}
	pthread_join(thread, NULL);

	on_a = eventfd_take(self->a);
	on_b = eventfd_take(self->b);
	TH_LOG("replaced %u times, %lu and %lu of %lu writes", replaced, on_a, on_b, writer.count);
	EXPECT_EQ(0, writer.exits);
	EXPECT_EQ(writer.count, on_a + on_b);
	EXPECT_LT(slow ? 3 : 100, replaced);
	EXPECT_LT(0, on_a);
	EXPECT_LT(0, on_b);
	EXPECT_EQ(writer.count, device_info(self->fd).retired_hits +
					device_only_entry(self->fd).hits);
}

struct ringer {
	int efd;
	uint64_t count;
	bool stop;
};

static void *ring_often(void *arg)
{
	struct ringer *r = arg;

	for (; !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE); r->count++)
		eventfd_ring(r->efd);
	return NULL;
}

/* Each event is taken by the one or the other, and none is left in the eventfd. */
TEST_F(batch, replaced_irqfd_loses_no_event)
{
	struct ringer ringer = { .efd = self->efd[0] };
	unsigned int gsi = GSI, next, i;
	struct kvmfd_entry entry;
	struct kvmfd_info info;
	pthread_t thread;

	ASSERT_EQ(0, irqfd(self->fd, ringer.efd, gsi, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, ring_often, &ringer));
	for (i = 0; i < 500; i++) {
		next = GSI + OTHER_GSI - gsi;
		ASSERT_EQ(0, BATCH(NO_CALL(ringer.efd, gsi), CALL(ringer.efd, next)));
		gsi = next;
	}
	__atomic_store_n(&ringer.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);

	info = device_info(self->fd);
	entry = device_only_entry(self->fd);
	TH_LOG("%lu events", ringer.count);
	EXPECT_LT(500, ringer.count);
	EXPECT_EQ(0, eventfd_take(ringer.efd));
	EXPECT_EQ(ringer.count, info.retired_inline_calls + info.retired_deferred_calls +
					entry.inline_calls + entry.deferred_calls);
}

/* What has come before an irqfd does is left in the eventfd, and is not news to the next. */
TEST_F(batch, replaced_irqfd_has_had_its_event)
{
	int efd = self->efd[0];

	eventfd_ring(efd);
	ASSERT_EQ(0, irqfd(self->fd, efd, GSI, 0));
	ASSERT_EQ(0, BATCH(NO_CALL(efd, GSI), CALL(efd, OTHER_GSI)));
	EXPECT_EQ(0, eventfd_take(efd));
	EXPECT_EQ(0, irqfd(self->fd, efd, OTHER_GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR + 1);
}

/* If KVM lets an irqfd of its own queue up behind one of ours, it gets nothing. */
TEST_F(batch, replaced_irqfd_is_before_kvms)
{
	int efd = self->efd[0], vm = self->guest.vm->fd, err;
	struct kvmfd_entry entry;

	ASSERT_EQ(0, irqfd(self->fd, efd, GSI, 0));
	err = irqfd(vm, efd, GSI, 0);
	EXPECT_TRUE(!err || err == EBUSY);
	ASSERT_EQ(0, BATCH(NO_CALL(efd, GSI), CALL(efd, OTHER_GSI)));

	eventfd_ring(efd);
	EXPECT_INTERRUPTS(1, VECTOR + 1);
	EXPECT_INTERRUPTS(0, VECTOR);
	entry = device_only_entry(self->fd);
	EXPECT_EQ(1, entry.inline_calls + entry.deferred_calls);
	if (!err)
		EXPECT_EQ(0, irqfd(vm, efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));
}

TEST_HARNESS_MAIN
