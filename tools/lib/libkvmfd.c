// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

#include "libkvmfd.h"

/*
 * Programs are linked with functions that know these structs by their size.  One that
 * grows needs new versions of the functions that take it (libkvmfd.map), beside the
 * present ones, which go on with this size.
 */
static_assert(sizeof(struct kvmfd_info) == 104, "kvmfd_get_info()");
static_assert(sizeof(struct kvmfd_find) == 32, "kvmfd_find_vm()");
static_assert(sizeof(struct kvmfd_entry) == 96, "kvmfd_list()");
static_assert(sizeof(struct kvmfd_change) == 48, "kvmfd_batch()");
static_assert(sizeof(struct kvmfd_latency) == 296, "kvmfd_latency()");

static int request(int fd, unsigned long number, const void *args)
{
	int ret = 0, saved = errno;

	if (ioctl(fd, number, args) < 0) {
		ret = -errno;
		errno = saved;
	}
	return ret;
}

int kvmfd_open(void)
{
	int fd, saved = errno;

	fd = open("/dev/kvmfd", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
		errno = saved;
	}
	return fd;
}

int kvmfd_get_info(int fd, struct kvmfd_info *info)
{
	*info = (struct kvmfd_info) { .size = sizeof(*info) };
	return request(fd, KVMFD_GET_INFO, info);
}

int kvmfd_attach_vm(int fd, int vm_fd, uint32_t flags, pid_t owner, uint64_t *attachment)
{
	struct kvmfd_attach args = {
		.size = sizeof(args),
		.flags = flags,
		.vm_fd = vm_fd,
		.owner = owner,
	};
	int ret = request(fd, KVMFD_ATTACH_VM, &args);

	if (!ret && attachment)
		*attachment = args.attachment;
	return ret;
}

int kvmfd_find_vm(int fd, int vm_fd, uint32_t flags, pid_t owner, struct kvmfd_find *found)
{
	*found = (struct kvmfd_find) {
		.size = sizeof(*found),
		.flags = flags,
		.vm_fd = vm_fd,
		.owner = owner,
	};
	return request(fd, KVMFD_FIND_VM, found);
}

int kvmfd_evict(int fd, int vm_fd)
{
	const struct kvmfd_evict args = { .size = sizeof(args), .vm_fd = vm_fd };

	return request(fd, KVMFD_EVICT, &args);
}

int kvmfd_list(int fd, uint32_t flags, uint64_t *cursor, struct kvmfd_entry *entries,
	       uint32_t count)
{
	struct kvmfd_list args = {
		.size = sizeof(args),
		.flags = flags,
		.cursor = *cursor,
		.entries = (uintptr_t)entries,
		.entry_size = sizeof(*entries),
		.count = count,
	};
	int ret;

	/* What is returned has to be told from an error. */
	if (count > INT_MAX)
		return -EINVAL;
	ret = request(fd, KVMFD_LIST, &args);
	if (ret)
		return ret;
	*cursor = args.cursor;
	return args.count;
}

int kvmfd_latency(int fd, uint32_t flags, uint64_t id, struct kvmfd_latency *latency)
{
	*latency = (struct kvmfd_latency) {
		.size = sizeof(*latency),
		.flags = flags,
		.id = id,
	};
	return request(fd, KVMFD_LATENCY, latency);
}

int kvmfd_ioeventfd(int fd, const struct kvm_ioeventfd *args)
{
	return request(fd, KVM_IOEVENTFD, args);
}

int kvmfd_irqfd(int fd, const struct kvm_irqfd *args)
{
	return request(fd, KVM_IRQFD, args);
}

int kvmfd_masked_ioeventfd(int fd, const struct kvm_ioeventfd *args, uint64_t mask)
{
	const struct kvmfd_ioeventfd masked = {
		.size = sizeof(masked),
		.flags = args->flags,
		.addr = args->addr,
		.data = args->datamatch,
		.mask = mask,
		.len = args->len,
		.fd = args->fd,
	};

	return request(fd, KVMFD_IOEVENTFD, &masked);
}

int kvmfd_batch(int fd, const struct kvmfd_change *changes, uint32_t count,
		uint32_t *failed)
{
	struct kvmfd_batch args = {
		.size = sizeof(args),
		.changes = (uintptr_t)changes,
		.change_size = sizeof(*changes),
		.count = count,
		/* Not all errors have it set. */
		.failed = count,
	};
	int ret = request(fd, KVMFD_BATCH, &args);

	if (ret && failed)
		*failed = args.failed;
	return ret;
}
