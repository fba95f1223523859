// SPDX-License-Identifier: GPL-2.0-only
/*
 * libkvmfd: what it says beside the answers of the module, which the other tests get
 * through it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define DOORBELLS 5

FIXTURE(library)
{
	struct kvm_vm *vm;
	int fd;
};

FIXTURE_SETUP(library)
{
	self->vm = vm_create_barebones();
	self->fd = device_open_attached(self->vm->fd);
}

FIXTURE_TEARDOWN(library)
{
	close(self->fd);
	kvm_vm_free(self->vm);
}

/* Of a call that would set errno to something else. */
#define EXPECT_ERROR(err, call)          \
	do {                             \
		errno = EXDEV;           \
		EXPECT_EQ(-(err), call); \
		EXPECT_EQ(EXDEV, errno); \
	} while (0)

TEST_F(library, errors_are_returned)
{
	const struct kvm_ioeventfd doorbell = { .fd = -1 };
	const struct kvm_irqfd call = { .fd = -1 };
	struct kvmfd_entry entry;
	struct kvmfd_find found;
	struct kvmfd_info info;
	uint64_t cursor = 0;

	EXPECT_ERROR(EBADF, kvmfd_get_info(-1, &info));
	EXPECT_ERROR(EBADF, kvmfd_attach_vm(-1, self->vm->fd, 0, 0, NULL));
	EXPECT_ERROR(EBADF, kvmfd_find_vm(-1, self->vm->fd, 0, 0, &found));
	EXPECT_ERROR(EBADF, kvmfd_evict(-1, self->vm->fd));
	EXPECT_ERROR(EBADF, kvmfd_list(-1, 0, &cursor, &entry, 1));
	EXPECT_ERROR(EBADF, kvmfd_ioeventfd(self->fd, &doorbell));
	EXPECT_ERROR(EINVAL, kvmfd_irqfd(self->fd, &call));
	EXPECT_ERROR(EINVAL, kvmfd_masked_ioeventfd(self->fd, &doorbell, 1));
	EXPECT_ERROR(EBADF, kvmfd_batch(-1, NULL, 0, NULL));
}

TEST_F(library, open)
{
	struct rlimit limit, none;
	int fd = kvmfd_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	close(fd);

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = (struct rlimit) { .rlim_max = limit.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_ERROR(EMFILE, kvmfd_open());
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

TEST_F(library, list)
{
	struct kvmfd_entry entries[DOORBELLS];
	uint64_t cursor = 0;
	unsigned int i;

	for (i = 0; i < DOORBELLS; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, new_eventfd(), GUEST_MMIO_BASE, 4,
				       KVM_IOEVENTFD_FLAG_DATAMATCH, i));

	EXPECT_EQ(2, kvmfd_list(self->fd, 0, &cursor, entries, 2));
	EXPECT_EQ(2, kvmfd_list(self->fd, 0, &cursor, entries + 2, 2));
	EXPECT_EQ(1, kvmfd_list(self->fd, 0, &cursor, entries + 4, 2));
	EXPECT_EQ(0, kvmfd_list(self->fd, 0, &cursor, entries, 2));
	for (i = 0; i < DOORBELLS; i++)
		EXPECT_EQ(i, entries[i].datamatch);

	cursor = entries[1].id;
	EXPECT_ERROR(EINVAL, kvmfd_list(self->fd, 0, &cursor, entries, 0));
	EXPECT_ERROR(EINVAL, kvmfd_list(self->fd, 0, &cursor, entries, UINT32_MAX));
	EXPECT_EQ(entries[1].id, cursor);
	EXPECT_EQ(3, kvmfd_list(self->fd, 0, &cursor, entries, DOORBELLS));
}

TEST_F(library, what_failed)
{
	const struct kvmfd_change changes[] = {
		{
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.addr = GUEST_MMIO_BASE,
			.len = 4,
			.fd = new_eventfd(),
		},
		{ .kind = KVMFD_ENTRY_IOEVENTFD, .fd = -1 },
	};
	uint32_t failed = 7;
	int other = device_open();

	EXPECT_EQ(-ENOTCONN, kvmfd_batch(other, changes, 2, &failed));
	EXPECT_EQ(2, failed);
	EXPECT_EQ(-EBADF, kvmfd_batch(self->fd, changes, 2, &failed));
	EXPECT_EQ(1, failed);
	EXPECT_EQ(-EBADF, kvmfd_batch(self->fd, changes, 2, NULL));
	failed = 7;
	EXPECT_EQ(0, kvmfd_batch(self->fd, changes, 1, &failed));
	EXPECT_EQ(7, failed);
	close(other);
}

TEST_HARNESS_MAIN
