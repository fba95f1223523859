/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * kvmfd: KVM's ioeventfd and irqfd as a loadable module, /dev/kvmfd.
 *
 * A process opens /dev/kvmfd, ties the new fd to one of its VMs with
 * KVMFD_ATTACH_VM, and from then on issues KVM_IOEVENTFD and KVM_IRQFD (KVM's
 * own numbers and structs, see <linux/kvm.h>) on that fd instead of the VM fd.
 *
 * Every struct defined here begins with its own size, as the caller's compiler
 * saw it.  A caller may be older than the module (its struct is shorter: fields
 * it does not know read as 0) or newer (its struct is longer: bytes that the
 * module does not know must be 0, else -E2BIG).  A size below that of the first
 * ABI is refused with -EINVAL, and so is an unknown flag or a reserved field
 * that is not 0.
 */
#ifndef _UAPI_LINUX_KVMFD_H
#define _UAPI_LINUX_KVMFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** KVMFD_ABI_VERSION - raised when something is added; nothing is taken away. */
#define KVMFD_ABI_VERSION 2

#define KVMFD_IOC_MAGIC 0xBF

/*
 * The structs grow, so their sizes are not part of the request numbers: each
 * struct carries its own.
 *
 * Errors that every request on an attached fd can give:
 *   ENOTCONN  the fd is not attached to a VM
 *   ENODEV    the VM has been closed
 *   EIO       the caller is not the process that the VM belongs to, or KVM has
 *             declared the VM dead (what KVM's own ioctls answer)
 *   EFAULT    an argument could not be read or written
 *   ENOTTY    no such request
 */
#define KVMFD_GET_INFO  _IO(KVMFD_IOC_MAGIC, 0x00)
#define KVMFD_ATTACH_VM _IO(KVMFD_IOC_MAGIC, 0x01)
#define KVMFD_FIND_VM   _IO(KVMFD_IOC_MAGIC, 0x02)
#define KVMFD_LIST      _IO(KVMFD_IOC_MAGIC, 0x03)
#define KVMFD_IOEVENTFD _IO(KVMFD_IOC_MAGIC, 0x04) /* since ABI 2 */

/* struct kvmfd_info, features */
#define KVMFD_FEATURE_IOEVENTFD (1ULL << 0) /* KVM_IOEVENTFD, every form of KVM's */
#define KVMFD_FEATURE_IRQFD     (1ULL << 1) /* KVM_IRQFD without resample */
#define KVMFD_FEATURE_LIST      (1ULL << 2) /* KVMFD_LIST and /proc/PID/fdinfo */
#define KVMFD_FEATURE_MASK      (1ULL << 3) /* KVMFD_IOEVENTFD with a mask of data */

/* struct kvmfd_info, state */
#define KVMFD_STATE_DETACHED 0 /* not attached yet */
#define KVMFD_STATE_ATTACHED 1 /* the VM is there */
#define KVMFD_STATE_GONE     2 /* the VM has been closed */

/**
 * struct kvmfd_info - argument of KVMFD_GET_INFO
 * @size: in: sizeof(struct kvmfd_info) of the caller; out: of the module
 * @flags: in: must be 0
 * @abi_version: out: KVMFD_ABI_VERSION of the module
 * @state: out: KVMFD_STATE_*
 * @features: out: KVMFD_FEATURE_*
 * @attachment: out: id of this fd's attachment, 0 before KVMFD_ATTACH_VM.  Ids
 *	begin with 1 and are not used twice while the module is loaded.
 * @nr_ioeventfds: out: doorbells assigned now
 * @nr_irqfds: out: irqfds assigned now
 * @retired_hits: out: sum of the hits of the doorbells removed so far
 * @retired_inline_calls: out: sum of the inline calls of the irqfds removed so
 *	far
 * @retired_deferred_calls: out: the same for deferred calls
 * @max_ioeventfds: out: limit of @nr_ioeventfds, since ABI 2
 * @max_masks: out: limit of different masks at one address and length, since ABI 2
 * @reserved: out: 0
 *
 * Works in every state, and for every process that has the fd.  The retired sums
 * together with the counters of KVMFD_LIST are all that ever happened.  What the
 * module knows beyond the caller's @size is cut off; what the caller has room
 * for beyond the module's stays 0.
 *
 * Errors: EINVAL (@size too small, @flags), E2BIG, EFAULT.
 */
struct kvmfd_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 state;
	__u64 features;
	__u64 attachment;
	__u64 nr_ioeventfds;
	__u64 nr_irqfds;
	__u64 retired_hits;
	__u64 retired_inline_calls;
	__u64 retired_deferred_calls;
	__u64 max_ioeventfds;
	__u32 max_masks;
	__u32 reserved;
};

/**
 * struct kvmfd_attach - argument of KVMFD_ATTACH_VM
 * @size: in: sizeof(struct kvmfd_attach) of the caller
 * @flags: in: must be 0
 * @vm_fd: in: the fd that KVM_CREATE_VM returned, or a duplicate of it
 * @reserved: in: must be 0
 * @attachment: out: id of the new attachment
 *
 * Ties the /dev/kvmfd fd to the VM, once for the fd's life.  The attachment
 * does not keep the VM alive: closing the last fd of the VM ends its irqfds at
 * once, as in KVM, and from then on this fd answers ENODEV.  The doorbells go
 * on for as long as the VM's vCPU fds keep it in being, or until this fd is
 * closed.
 *
 * Errors: EINVAL (@size, @flags, @reserved, not a VM fd), E2BIG, EFAULT, EBADF
 * (no such fd), EBUSY (the fd is attached already, or another fd is attached to
 * this VM), EIO (another process's VM, or a dead one).
 */
struct kvmfd_attach {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__u32 reserved;
	__u64 attachment;
};

/**
 * struct kvmfd_find - argument of KVMFD_FIND_VM
 * @size: in: sizeof(struct kvmfd_find) of the caller
 * @flags: in: must be 0
 * @vm_fd: in: a VM fd
 * @reserved: in: must be 0
 * @attachment: out: id of the attachment that serves this VM
 *
 * Which attachment does a VM fd belong to?  A number of an fd is used again
 * after close() and an fd can be duplicated; the attachment's id tells VMs
 * apart.  Works on every /dev/kvmfd fd, attached or not.
 *
 * Errors: EINVAL (@size, @flags, @reserved, not a VM fd), E2BIG, EFAULT, EBADF,
 * ENOENT (no attachment serves this VM).
 */
struct kvmfd_find {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__u32 reserved;
	__u64 attachment;
};

/* struct kvmfd_entry, kind */
#define KVMFD_ENTRY_IOEVENTFD 1
#define KVMFD_ENTRY_IRQFD     2

/**
 * struct kvmfd_entry - one doorbell or irqfd, as KVMFD_LIST tells it
 * @id: stable, counted up from 1 within an attachment, never used twice
 * @kind: KVMFD_ENTRY_IOEVENTFD or KVMFD_ENTRY_IRQFD
 * @flags: the KVM_IOEVENTFD_FLAG_* or KVM_IRQFD_FLAG_* of the assign
 * @addr: doorbell: guest physical address, or I/O port
 * @datamatch: doorbell: the value that hits, with KVM_IOEVENTFD_FLAG_DATAMATCH
 * @mask: doorbell: the bits of the written value that count: all of them with
 *	KVM_IOEVENTFD_FLAG_DATAMATCH, none without
 * @len: doorbell: width of the write in bytes, 0 for any
 * @gsi: irqfd: the interrupt it raises
 * @hits: doorbell: guest writes that signalled its eventfd
 * @inline_calls: irqfd: interrupts set within the eventfd's wake-up
 * @deferred_calls: irqfd: wake-ups handed to the workqueue.  Several that come
 *	before the worker runs become one interrupt, as in KVM.
 *
 * Fields of the other kind are 0.
 */
struct kvmfd_entry {
	__u64 id;
	__u32 kind;
	__u32 flags;
	__u64 addr;
	__u64 datamatch;
	__u64 mask;
	__u32 len;
	__u32 gsi;
	__u64 hits;
	__u64 inline_calls;
	__u64 deferred_calls;
};

/**
 * struct kvmfd_list - argument of KVMFD_LIST
 * @size: in: sizeof(struct kvmfd_list) of the caller
 * @flags: in: must be 0
 * @cursor: in: 0, or what the previous call left here; out: id of the last entry
 *	returned
 * @entries: in: address of an array of struct kvmfd_entry
 * @entry_size: in: sizeof(struct kvmfd_entry) of the caller, the array's stride;
 *	what an element has room for beyond the module's struct is set to 0
 * @count: in: entries that fit into the array; out: entries returned
 *
 * Lists the attachment's doorbells and irqfds in the order of their ids.  The
 * list has ended when @count comes back smaller than it was.  Each entry is
 * consistent in itself; an entry that is there throughout a walk is told exactly
 * once, whatever comes and goes beside it.  Also works for another process than
 * the VM's, and after the VM has been closed.
 *
 * Errors: EINVAL (@size, @flags, @entry_size too small, @count 0), E2BIG
 * (@size), EFAULT, ENOTCONN.
 */
struct kvmfd_list {
	__u32 size;
	__u32 flags;
	__u64 cursor;
	__u64 entries;
	__u32 entry_size;
	__u32 count;
};

/**
 * struct kvmfd_ioeventfd - argument of KVMFD_IOEVENTFD
 * @size: in: sizeof(struct kvmfd_ioeventfd) of the caller
 * @flags: in: KVM_IOEVENTFD_FLAG_*
 * @addr: in: guest physical address, or I/O port
 * @data: in: with KVM_IOEVENTFD_FLAG_DATAMATCH: the value that hits
 * @mask: in: with KVM_IOEVENTFD_FLAG_DATAMATCH: the bits of the value that count,
 *	not 0; without it: must be 0
 * @len: in: width of the write in bytes: 1, 2, 4, 8, or 0 for any
 * @fd: in: the eventfd
 *
 * KVM_IOEVENTFD with a mask: a write of @len bytes at @addr hits if (value & @mask)
 * == (@data & @mask), the value zero-extended to 64 bits.  KVM's own form is the
 * one whose mask has every bit.  Two doorbells collide when some 64-bit value would
 * hit both.  A deassign must name all that the assign did, of @data the bits that
 * count.
 *
 * When it returns from an assign, a write that begins hits; from a deassign, no
 * more signal comes.
 *
 * Errors: EINVAL (@size; assign: @flags, @mask, @len, @addr and @len beyond the
 * address space, @fd is no eventfd), E2BIG, EFAULT, EBADF, ENOTCONN, ENODEV (the
 * VM has been closed), EIO (another process's VM, or a dead one), EEXIST, ENOSPC
 * (max_ioeventfds, max_masks, or KVM's own limit of devices on a bus), ENOMEM;
 * deassign: ENOENT, but not ENOMEM or ENOSPC.
 */
struct kvmfd_ioeventfd {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 data;
	__u64 mask;
	__u32 len;
	__s32 fd;
};

#endif /* _UAPI_LINUX_KVMFD_H */
