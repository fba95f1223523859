// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "test_util.h"

#include "hostile/call.h"

#define VM_ERRORS ENOTCONN, ENODEV, ECONNRESET, EIO

const struct request requests[REQUESTS] = {
	{
		.number = KVMFD_GET_INFO,
		.name = "KVMFD_GET_INFO",
		.size = sizeof(struct kvmfd_info),
		.first = offsetof(struct kvmfd_info, max_ioeventfds),
		.answer = sizeof(struct kvmfd_info),
		.errors = { EINVAL, E2BIG },
	},
	{
		.number = KVMFD_ATTACH_VM,
		.name = "KVMFD_ATTACH_VM",
		.size = sizeof(struct kvmfd_attach),
		.first = sizeof(struct kvmfd_attach),
		.flags = KVMFD_VM_FOREIGN | KVMFD_ATTACH_REMEMBER,
		.answer = sizeof(struct kvmfd_attach),
		.errors = { EINVAL, E2BIG, EBADF, EBUSY, EIO, EPERM, ENOMEM },
	},
	{
		.number = KVMFD_FIND_VM,
		.name = "KVMFD_FIND_VM",
		.size = sizeof(struct kvmfd_find),
		.first = offsetof(struct kvmfd_find, attacher),
		.flags = KVMFD_VM_FOREIGN,
		.answer = sizeof(struct kvmfd_find),
		.errors = { EINVAL, E2BIG, EBADF, EIO, EPERM, ENOENT },
	},
	{
		.number = KVMFD_EVICT,
		.name = "KVMFD_EVICT",
		.size = sizeof(struct kvmfd_evict),
		.first = sizeof(struct kvmfd_evict),
		.reserved = offsetof(struct kvmfd_evict, reserved),
		.errors = { EINVAL, E2BIG, EBADF, EIO, ENOENT },
	},
	{
		.number = KVMFD_LIST,
		.name = "KVMFD_LIST",
		.size = sizeof(struct kvmfd_list),
		.first = sizeof(struct kvmfd_list),
		.flags = KVMFD_LIST_REMOVED,
		.answer = sizeof(struct kvmfd_list),
		.errors = { EINVAL, E2BIG, ENOTCONN, ENODATA },
	},
	{
		.number = KVMFD_LATENCY,
		.name = "KVMFD_LATENCY",
		.size = sizeof(struct kvmfd_latency),
		.first = sizeof(struct kvmfd_latency),
		.flags = KVMFD_LATENCY_START | KVMFD_LATENCY_STOP,
		.answer = sizeof(struct kvmfd_latency),
		.errors = { EINVAL, E2BIG, ENOTCONN, ENOENT, ENODATA, ENOMEM },
	},
	{
		.number = KVMFD_IOEVENTFD,
		.name = "KVMFD_IOEVENTFD",
		.size = sizeof(struct kvmfd_ioeventfd),
		.first = sizeof(struct kvmfd_ioeventfd),
		.flags = KVM_IOEVENTFD_VALID_FLAG_MASK,
		.errors = { EINVAL, E2BIG, VM_ERRORS, EBADF, EEXIST, ENOSPC, ENOMEM, ENOENT },
	},
	{
		.number = KVMFD_BATCH,
		.name = "KVMFD_BATCH",
		.size = sizeof(struct kvmfd_batch),
		.first = sizeof(struct kvmfd_batch),
		.reserved = offsetof(struct kvmfd_batch, reserved),
		.answer = sizeof(struct kvmfd_batch),
		.errors = { EINVAL, E2BIG, VM_ERRORS, EBADF, EEXIST, ENOSPC, ENOMEM, ENOENT,
			    EBUSY },
	},
	{
		.number = KVM_IOEVENTFD,
		.name = "KVM_IOEVENTFD",
		.size = sizeof(struct kvm_ioeventfd),
		.errors = { EINVAL, VM_ERRORS, EBADF, EEXIST, ENOSPC, ENOMEM, ENOENT },
	},
	{
		.number = KVM_IRQFD,
		.name = "KVM_IRQFD",
		.size = sizeof(struct kvm_irqfd),
		.errors = { EINVAL, VM_ERRORS, EBADF, EBUSY, ENOMEM },
	},
};
