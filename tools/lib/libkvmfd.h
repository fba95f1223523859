/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libkvmfd: the requests of /dev/kvmfd as functions, see libkvmfd(7).
 *
 * All return -errno if they fail, and leave errno alone.  None has state of its own or
 * allocates anything, so any thread can call any of them at any time.
 */
#ifndef LIBKVMFD_H
#define LIBKVMFD_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/kvm.h>
#include <linux/kvmfd.h>

/* An fd of /dev/kvmfd, which execve() closes. */
int kvmfd_open(void);

int kvmfd_get_info(int fd, struct kvmfd_info *info);

/*
 * @flags: KVMFD_VM_FOREIGN, KVMFD_ATTACH_REMEMBER.
 * @owner: a thread, whose process's the VM has to be, or 0.
 * @attachment: gets its id, can be NULL.
 */
int kvmfd_attach_vm(int fd, int vm_fd, uint32_t flags, pid_t owner, uint64_t *attachment);
/* @flags: KVMFD_VM_FOREIGN or 0. */
int kvmfd_find_vm(int fd, int vm_fd, uint32_t flags, pid_t owner, struct kvmfd_find *found);
int kvmfd_evict(int fd, int vm_fd);

/*
 * How many of the next @count entries there were: fewer than @count at the end.
 * @flags: KVMFD_LIST_REMOVED or 0.  @cursor: 0 at first.
 */
int kvmfd_list(int fd, uint32_t flags, uint64_t *cursor, struct kvmfd_entry *entries,
	       uint32_t count);

/* @flags: KVMFD_LATENCY_START, KVMFD_LATENCY_STOP or 0.  @id: an irqfd's. */
int kvmfd_latency(int fd, uint32_t flags, uint64_t id, struct kvmfd_latency *latency);

/* KVM's own two: @fd can be a VM's as well, which KVM serves. */
int kvmfd_ioeventfd(int fd, const struct kvm_ioeventfd *args);
int kvmfd_irqfd(int fd, const struct kvm_irqfd *args);

/* A doorbell that looks at the bits in @mask only. */
int kvmfd_masked_ioeventfd(int fd, const struct kvm_ioeventfd *args, uint64_t mask);

/*
 * All of @changes or none.  @failed: if it fails, gets the index of the change that
 * could not be made, or @count if that was no single one; can be NULL.
 */
int kvmfd_batch(int fd, const struct kvmfd_change *changes, uint32_t count,
		uint32_t *failed);

#endif /* LIBKVMFD_H */
