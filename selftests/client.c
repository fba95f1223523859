// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"

int do_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

int kvmfd_open(void)
{
	int fd = open("/dev/kvmfd", O_RDWR | O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "open /dev/kvmfd: %s", strerror(errno));
	return fd;
}

int kvmfd_attach(int fd, int vm_fd)
{
	struct kvmfd_attach attach = { .size = sizeof(attach), .vm_fd = vm_fd };

	return do_ioctl(fd, KVMFD_ATTACH_VM, &attach);
}

int kvmfd_open_attached(int vm_fd)
{
	int fd = kvmfd_open();
	int err = kvmfd_attach(fd, vm_fd);

	TEST_ASSERT(!err, "KVMFD_ATTACH_VM: %s", strerror(err));
	return fd;
}

struct kvmfd_info kvmfd_info(int fd)
{
	struct kvmfd_info info = { .size = sizeof(info) };
	int err = do_ioctl(fd, KVMFD_GET_INFO, &info);

	TEST_ASSERT(!err, "KVMFD_GET_INFO: %s", strerror(err));
	return info;
}

unsigned int kvmfd_entries(int fd, struct kvmfd_entry *entries, unsigned int max)
{
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)entries,
		.entry_size = sizeof(*entries),
		.count = max,
	};
	int err = do_ioctl(fd, KVMFD_LIST, &list);

	TEST_ASSERT(!err, "KVMFD_LIST: %s", strerror(err));
	return list.count;
}

struct kvmfd_entry kvmfd_only_entry(int fd)
{
	struct kvmfd_entry entries[2];
	unsigned int n = kvmfd_entries(fd, entries, 2);

	TEST_ASSERT(n == 1, "%u entries instead of one", n);
	return entries[0];
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	TEST_ASSERT(fd >= 0, "eventfd: %s", strerror(errno));
	return fd;
}

void eventfd_ring(int fd)
{
	int err = eventfd_write(fd, 1);

	TEST_ASSERT(!err, "write to eventfd: %s", strerror(errno));
}

uint64_t eventfd_take(int fd)
{
	eventfd_t count;

	if (!eventfd_read(fd, &count))
		return count;
	TEST_ASSERT(errno == EAGAIN, "read from eventfd: %s", strerror(errno));
	return 0;
}

int ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
	      uint64_t datamatch)
{
	struct kvm_ioeventfd args = {
		.fd = eventfd,
		.addr = addr,
		.len = len,
		.flags = flags,
		.datamatch = datamatch,
	};

	/* KVM does not look at it. */
	memset(args.pad, 0xa5, sizeof(args.pad));
	return do_ioctl(fd, KVM_IOEVENTFD, &args);
}

int masked_ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t flags, uint64_t data,
		     uint64_t mask)
{
	struct kvmfd_ioeventfd args = {
		.size = sizeof(args),
		.flags = flags,
		.addr = addr,
		.data = data,
		.mask = mask,
		.len = 4,
		.fd = eventfd,
	};

	return do_ioctl(fd, KVMFD_IOEVENTFD, &args);
}

int irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags)
{
	struct kvm_irqfd args = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = flags,
		/* To be ignored without the flag. */
		.resamplefd = -1,
	};

	memset(args.pad, 0xa5, sizeof(args.pad));
	return do_ioctl(fd, KVM_IRQFD, &args);
}
