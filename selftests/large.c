// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for what is large.  The kernel has a second way to it where the first one fails,
 * so that no allocation fails alone: a call fails if there is not enough from some moment
 * on, and then says so to its caller, not to the kernel's log.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "guest.h"
#include "harness.h"

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

/* Of a batch: data values at each of the addresses. */
#define NR_ADDRS  100
#define NR_VALUES 20
#define CHANGES   (NR_ADDRS * NR_VALUES)
#define ADDR(i)   (GUEST_MMIO_BASE + 8 * (i))

/* In so many steps from nothing to what is enough. */
#define STEPS 8

FIXTURE(large)
{
	struct guest guest;
	int fd;
	int efd;
};

FIXTURE_SETUP(large)
{
	if (!fail_possible())
		return;
	fail_setup();
	guest_create(&self->guest);
	self->fd = device_open();
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(large)
{
	if (!fail_possible())
		return;
	close(self->fd);
	close(self->efd);
	kvm_vm_free(self->guest.vm);
	EXPECT_EQ(0, module_users());
}

/* With so much memory.  Returns the errno. */
static int with_memory(int bytes, int pages, int (*call)(int fd, int arg), int fd, int arg)
{
	int err;

	fail_leave(bytes, pages);
	fail_all(true);
	err = call(fd, arg);
	fail_all(false);
	return err;
}

static int attach(int fd, int vm)
{
	return -kvmfd_attach_vm(fd, vm, KVMFD_ATTACH_REMEMBER, 0, NULL);
}

TEST_F(large, attach_that_remembers)
{
	int vm;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	vm = self->guest.vm->fd;
	EXPECT_EQ(ENOMEM, with_memory(0, 0, attach, self->fd, vm));
	EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(self->fd).state);
	/* One page is not enough, nor is what is no page. */
	EXPECT_EQ(ENOMEM, with_memory(FAIL_MUCH, 1, attach, self->fd, vm));
	EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(self->fd).state);

	EXPECT_EQ(0, with_memory(FAIL_MUCH, FAIL_MUCH, attach, self->fd, vm));
	EXPECT_EQ(KVMFD_ATTACH_REMEMBER, device_info(self->fd).attach_flags);
}

static struct kvmfd_change changes[CHANGES];

static void fill_changes(int efd, uint32_t flags)
{
	int i;

	for (i = 0; i < CHANGES; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.flags = DATAMATCH | flags,
			.addr = ADDR(i / NR_VALUES),
			.len = 4,
			.data = i % NR_VALUES,
			.mask = ~0ULL,
			.fd = efd,
		};
}

static int batch(int fd, int count)
{
	return -kvmfd_batch(fd, changes, count, NULL);
}

static int doorbells(int fd)
{
	return device_info(fd).nr_ioeventfds;
}

static void make_all(struct __test_metadata *_metadata, int fd, int efd)
{
	if (doorbells(fd))
		return;
	fill_changes(efd, 0);
	ASSERT_EQ(0, batch(fd, CHANGES));
}

/*
 * A batch is made with each share of what it takes, bytes or pages.  It may do with less,
 * as what is free in slabs differs, but not without any.  If it fails nothing has changed.
 */
static void expect_all_or_none(struct __test_metadata *_metadata, int fd, int efd,
			       uint32_t flags)
{
	int before = doorbells(fd), after = CHANGES - before;
	int bytes, pages, i, err, failed = 0;

	fill_changes(efd, flags);
	ASSERT_EQ(ENOMEM, with_memory(0, 0, batch, fd, CHANGES));
	ASSERT_EQ(before, doorbells(fd));
	ASSERT_EQ(0, with_memory(FAIL_MUCH, FAIL_MUCH, batch, fd, CHANGES));
	ASSERT_EQ(after, doorbells(fd));
	bytes = fail_taken_bytes();
	pages = fail_taken_pages();

	for (i = 0; i < 2 * STEPS; i++) {
		if (doorbells(fd) != before) {
			fill_changes(efd, flags ^ DEASSIGN);
			ASSERT_EQ(0, batch(fd, CHANGES));
			fill_changes(efd, flags);
		}
		if (i % 2)
			err = with_memory(FAIL_MUCH, i / 2 * pages / STEPS, batch, fd, CHANGES);
		else
			err = with_memory(i / 2 * bytes / STEPS, FAIL_MUCH, batch, fd, CHANGES);
		if (err)
			ASSERT_EQ(ENOMEM, err);
		ASSERT_EQ(err ? before : after, doorbells(fd));
		failed += !!err;
	}
	EXPECT_LT(0, failed);
	TH_LOG("%d bytes and %d pages; %d of %d shares were not enough", bytes, pages, failed,
	       2 * STEPS);
}

TEST_F(large, batch_of_doorbells)
{
	int i;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	ASSERT_EQ(0, -kvmfd_attach_vm(self->fd, self->guest.vm->fd, 0, 0, NULL));
	expect_all_or_none(_metadata, self->fd, self->efd, 0);

	make_all(_metadata, self->fd, self->efd);
	expect_all_or_none(_metadata, self->fd, self->efd, DEASSIGN);

	make_all(_metadata, self->fd, self->efd);
	for (i = 0; i < CHANGES; i += 101) {
		EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR(i / NR_VALUES), 4,
					 i % NR_VALUES));
		EXPECT_EQ(1, eventfd_take(self->efd));
	}
}

TEST_HARNESS_MAIN
