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
#define KVMFD_ABI_VERSION 5

#define KVMFD_IOC_MAGIC 0xBF

/*
 * The structs grow, so their sizes are not part of the request numbers: each
 * struct carries its own.
 *
 * Errors that every request on an attached fd can give:
 *   ENOTCONN  the fd is not attached to a VM
 *   ENODEV    the VM has been closed
 *   EIO       the caller is neither the process that the VM belongs to nor the
 *             one that attached, or KVM has declared the VM dead (what KVM's own
 *             ioctls answer), or the VM's process has ended
 *   ECONNRESET  the VM's process has ended the attachment with KVMFD_EVICT
 *   EFAULT    an argument could not be read or written
 *   ENOTTY    no such request
 */
#define KVMFD_GET_INFO  _IO(KVMFD_IOC_MAGIC, 0x00)
#define KVMFD_ATTACH_VM _IO(KVMFD_IOC_MAGIC, 0x01)
#define KVMFD_FIND_VM   _IO(KVMFD_IOC_MAGIC, 0x02)
#define KVMFD_LIST      _IO(KVMFD_IOC_MAGIC, 0x03)
#define KVMFD_IOEVENTFD _IO(KVMFD_IOC_MAGIC, 0x04) /* since ABI 2 */
#define KVMFD_BATCH     _IO(KVMFD_IOC_MAGIC, 0x05) /* since ABI 2 */
#define KVMFD_EVICT     _IO(KVMFD_IOC_MAGIC, 0x06) /* since ABI 3 */
#define KVMFD_LATENCY   _IO(KVMFD_IOC_MAGIC, 0x07) /* since ABI 5 */

/* struct kvmfd_info, features */
#define KVMFD_FEATURE_IOEVENTFD (1ULL << 0)  /* KVM_IOEVENTFD, every form of KVM's */
#define KVMFD_FEATURE_IRQFD     (1ULL << 1)  /* KVM_IRQFD */
#define KVMFD_FEATURE_LIST      (1ULL << 2)  /* KVMFD_LIST and /proc/PID/fdinfo */
#define KVMFD_FEATURE_MASK      (1ULL << 3)  /* KVMFD_IOEVENTFD with a mask of data */
#define KVMFD_FEATURE_BATCH     (1ULL << 4)  /* KVMFD_BATCH */
#define KVMFD_FEATURE_RESAMPLE  (1ULL << 5)  /* KVM_IRQFD with resample */
#define KVMFD_FEATURE_FOREIGN   (1ULL << 6)  /* KVMFD_VM_FOREIGN and KVMFD_EVICT */
#define KVMFD_FEATURE_REMOVED   (1ULL << 7)  /* KVMFD_ATTACH_REMEMBER, KVMFD_LIST_REMOVED */
#define KVMFD_FEATURE_POLL      (1ULL << 8)  /* poll() tells when it is over */
#define KVMFD_FEATURE_ROUTE     (1ULL << 9)  /* KVMFD_LIST tells an irqfd's route */
#define KVMFD_FEATURE_LATENCY   (1ULL << 10) /* KVMFD_LATENCY */

/* struct kvmfd_info, state */
#define KVMFD_STATE_DETACHED 0 /* not attached yet */
#define KVMFD_STATE_ATTACHED 1 /* the VM is there */
#define KVMFD_STATE_GONE     2 /* the VM has been closed */
#define KVMFD_STATE_EVICTED  3 /* the VM's process has ended the attachment; since ABI 3 */

/* Flags of KVMFD_ATTACH_VM and KVMFD_FIND_VM: the VM may be another process's. */
#define KVMFD_VM_FOREIGN (1U << 0) /* since ABI 3 */

/* Flag of KVMFD_ATTACH_VM: entries that are no more can be listed with their counters. */
#define KVMFD_ATTACH_REMEMBER (1U << 1) /* since ABI 4 */

/* Flag of KVMFD_LIST: those. */
#define KVMFD_LIST_REMOVED (1U << 0) /* since ABI 4 */

/* Flags of KVMFD_LATENCY. */
#define KVMFD_LATENCY_START (1U << 0) /* measure from now on */
#define KVMFD_LATENCY_STOP  (1U << 1) /* no more */

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
 * @max_batch: out: limit of &kvmfd_batch.count, since ABI 2
 * @attacher: out: id of the process that attached, in the pid namespace of the caller;
 *	0 before KVMFD_ATTACH_VM, if that process has ended, or if the namespace does
 *	not have it; since ABI 3
 * @attach_flags: out: KVMFD_VM_FOREIGN if the VM is not that process's own, since ABI 3;
 *	KVMFD_ATTACH_REMEMBER if the attach had it
 * @owner: out: id of the process that the VM belongs to, 0 in the same cases as
 *	@attacher; since ABI 5
 * @reserved: out: 0; since ABI 5
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
	__u32 max_batch;
	__s32 attacher;
	__u32 attach_flags;
	__s32 owner;
	__u32 reserved;
};

/**
 * struct kvmfd_attach - argument of KVMFD_ATTACH_VM
 * @size: in: sizeof(struct kvmfd_attach) of the caller
 * @flags: in: KVMFD_VM_FOREIGN, KVMFD_ATTACH_REMEMBER
 * @vm_fd: in: the fd that KVM_CREATE_VM returned, or a duplicate of it
 * @owner: in: 0, or the id of a thread in the caller's pid namespace: the VM has to be its
 *	process's, since ABI 4
 * @attachment: out: id of the new attachment
 *
 * Ties the /dev/kvmfd fd to the VM, once for the fd's life.  The attachment
 * does not keep the VM alive: closing the last fd of the VM ends its irqfds at
 * once, as in KVM, and from then on this fd answers ENODEV.  The doorbells go
 * on for as long as the VM's vCPU fds keep it in being, or until this fd is
 * closed.
 *
 * A VM belongs to the process that made it, and to any other its fd is of no use.  For
 * a supervisor there is KVMFD_VM_FOREIGN: the policy of the module (its parameter
 * foreign_attach) says whether the caller may.  Afterwards two processes can make
 * requests on the fd: the one that attached, and the VM's own; to a third that comes by
 * the fd they are EIO.  (A process is an address space here: execve() makes another
 * of it.)  Eventfds are always fds of the process that makes the request.  Memory
 * is charged to the VM's process, and when that has ended requests of the other are EIO.
 * The attachment lasts as long as anybody has the fd open, or until KVMFD_EVICT.
 *
 * poll() says POLLHUP when it is over: the VM has been closed, or the attachment
 * evicted, and nothing of it is left: no doorbell can be hit any more, and the
 * counters are final.
 *
 * With KVMFD_ATTACH_REMEMBER the newest 4096 entries that were removed, in whatever way,
 * can be listed until the fd is closed.  The caller pays for the memory.
 *
 * Errors: EINVAL (@size, @flags, not a VM fd), E2BIG, EFAULT, EBADF
 * (no such fd), EBUSY (the fd is attached already, or another fd is attached to
 * this VM), EIO (another process's VM and not KVMFD_VM_FOREIGN, or that process has
 * ended; not @owner's; a dead VM), EPERM (another process's VM, and the policy says no), ENOMEM.
 */
struct kvmfd_attach {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__s32 owner;
	__u64 attachment;
};

/**
 * struct kvmfd_find - argument of KVMFD_FIND_VM
 * @size: in: sizeof(struct kvmfd_find) of the caller
 * @flags: in: 0 or KVMFD_VM_FOREIGN
 * @vm_fd: in: a VM fd
 * @owner: in: 0, or the id of a thread in the caller's pid namespace: the VM has to be its
 *	process's, since ABI 4
 * @attachment: out: id of the attachment that serves this VM
 * @attacher: out: as in struct kvmfd_info, since ABI 3
 * @attach_flags: out: as in struct kvmfd_info, since ABI 3
 *
 * Which attachment does a VM fd belong to?  A number of an fd is used again
 * after close() and an fd can be duplicated; the attachment's id tells VMs
 * apart.  Works on every /dev/kvmfd fd, attached or not.  Who has attached to another
 * process's VM can ask for that one whatever @flags and the policy say.
 *
 * Errors: EINVAL (@size, @flags, not a VM fd), E2BIG, EFAULT, EBADF,
 * EIO and EPERM as KVMFD_ATTACH_VM, ENOENT (no attachment serves this VM).
 */
struct kvmfd_find {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__s32 owner;
	__u64 attachment;
	__s32 attacher;
	__u32 attach_flags;
};

/**
 * struct kvmfd_evict - argument of KVMFD_EVICT
 * @size: in: sizeof(struct kvmfd_evict) of the caller
 * @flags: in: must be 0
 * @vm_fd: in: a VM fd
 * @reserved: in: must be 0
 *
 * Ends the attachment that serves this VM, whoever made it: only the VM's own process
 * may.  Works on every /dev/kvmfd fd.
 *
 * When it returns, all is as if the attachment's last fd had been closed, and another
 * attach can be made.  On that fd requests are ECONNRESET from then on, and those that
 * are under way have no effect any more.
 *
 * Errors: EINVAL (@size, @flags, @reserved, not a VM fd), E2BIG, EFAULT, EBADF, EIO
 * (another process's VM), ENOENT (no attachment serves this VM).
 */
struct kvmfd_evict {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__u32 reserved;
};

/* struct kvmfd_entry, kind */
#define KVMFD_ENTRY_IOEVENTFD 1
#define KVMFD_ENTRY_IRQFD     2

/* struct kvmfd_entry, route */
#define KVMFD_ROUTE_NONE  0 /* the gsi has none, or the VM has been closed */
#define KVMFD_ROUTE_MSI   1
#define KVMFD_ROUTE_PINS  2 /* of interrupt controllers */
#define KVMFD_ROUTE_OTHER 3

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
 * @hits: doorbell: guest writes that hit it, each of which signals its eventfd
 * @inline_calls: irqfd: interrupts set within the eventfd's wake-up
 * @deferred_calls: irqfd: wake-ups handed to the workqueue.  Several that come
 *	before the worker runs become one interrupt, as in KVM.
 * @msi_addr: irqfd with KVMFD_ROUTE_MSI: the address, since ABI 5
 * @msi_data: the same: the data, since ABI 5
 * @route: irqfd: where its gsi leads now, KVMFD_ROUTE_*, since ABI 5
 * @chips: irqfd with KVMFD_ROUTE_PINS: 1 << KVM_IRQCHIP_* of each chip that it leads to,
 *	since ABI 5
 * @pins: the same: the pin of each of these chips, by KVM_IRQCHIP_*, since ABI 5
 *
 * Fields of the other kind are 0; of an entry that has been removed so is the route.
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
	__u64 msi_addr;
	__u32 msi_data;
	__u32 route;
	__u32 chips;
	__u8 pins[4];
};

/**
 * struct kvmfd_list - argument of KVMFD_LIST
 * @size: in: sizeof(struct kvmfd_list) of the caller
 * @flags: in: 0 or KVMFD_LIST_REMOVED
 * @cursor: in: 0, or what the previous call left here; out: id of the last entry
 *	returned.  With KVMFD_LIST_REMOVED: how many entries had been removed when that
 *	one was; if it grows by more than @count, the difference is forgotten.
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
 * With KVMFD_LIST_REMOVED it lists those that are no more, in the order in which they
 * went, with their final counters.
 *
 * Errors: EINVAL (@size, @flags, @entry_size too small, @count 0), E2BIG
 * (@size), EFAULT, ENOTCONN, ENODATA (KVMFD_LIST_REMOVED, and the attachment does not
 * remember).
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
 * Errors: EINVAL (@size, @flags; assign: @mask, @len, @addr and @len beyond the
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

/**
 * struct kvmfd_change - one change in a batch
 * @kind: KVMFD_ENTRY_IOEVENTFD or KVMFD_ENTRY_IRQFD
 * @flags: KVM_IOEVENTFD_FLAG_* or KVM_IRQFD_FLAG_*: with the kind's own
 *	..._FLAG_DEASSIGN it is a deassign
 * @addr: doorbell: as in struct kvmfd_ioeventfd
 * @data: doorbell: as in struct kvmfd_ioeventfd
 * @mask: doorbell: as in struct kvmfd_ioeventfd
 * @len: doorbell: as in struct kvmfd_ioeventfd
 * @gsi: irqfd: as in struct kvm_irqfd
 * @fd: the eventfd
 * @resamplefd: irqfd: as in struct kvm_irqfd
 *
 * Fields of the other kind must be 0.
 */
struct kvmfd_change {
	__u32 kind;
	__u32 flags;
	__u64 addr;
	__u64 data;
	__u64 mask;
	__u32 len;
	__u32 gsi;
	__s32 fd;
	__s32 resamplefd;
};

/**
 * struct kvmfd_batch - argument of KVMFD_BATCH
 * @size: in: sizeof(struct kvmfd_batch) of the caller
 * @flags: in: must be 0
 * @changes: in: address of an array of struct kvmfd_change
 * @change_size: in: sizeof(struct kvmfd_change) of the caller, the array's stride;
 *	what an element has beyond the module's struct must be 0
 * @count: in: how many changes
 * @failed: out: if the request fails, but not for @size, @flags, @reserved or the
 *	attachment: the index of a change that could not be made, or @count if it failed
 *	for no single one
 * @reserved: in: must be 0
 *
 * Makes all the changes, or none.  Their order does not matter: a deassign names
 * what is there before the batch, an assign collides with what is there after it.
 * So a doorbell can be replaced by another one at the same key, or an irqfd by one
 * that has the same eventfd, and each write and each event reaches either the old
 * or the new one.  Two assigns of a batch collide as if one came after the other.
 *
 * When it returns, a write that begins hits what was assigned, and no more signal or
 * interrupt comes of what was deassigned; meanwhile the changes become visible one
 * by one.  If it fails, no event of an eventfd has been taken, and no eventfd
 * signalled.
 *
 * A batch costs far less than its changes one by one, but it needs memory for a
 * deassign, too.
 *
 * Errors: EINVAL (@size, @flags, @reserved, @change_size too small, a change's @kind
 * or a field of the other kind), E2BIG (@size, @change_size above a page, something
 * other than 0 in what the module does not know), EFAULT, ENOTCONN, ENODEV, EIO,
 * ENOMEM, ENOSPC (max_batch, max_ioeventfds, max_masks, or KVM's own limit of devices
 * on a bus), and what KVMFD_IOEVENTFD and KVM_IRQFD say of the change.
 */
struct kvmfd_batch {
	__u32 size;
	__u32 flags;
	__u64 changes;
	__u32 change_size;
	__u32 count;
	__u32 failed;
	__u32 reserved;
};

/* struct kvmfd_latency, buckets */
#define KVMFD_LATENCY_BUCKETS 32

/**
 * struct kvmfd_latency - argument of KVMFD_LATENCY
 * @size: in: sizeof(struct kvmfd_latency) of the caller
 * @flags: in: 0, KVMFD_LATENCY_START or KVMFD_LATENCY_STOP
 * @id: in: of an irqfd, as KVMFD_LIST tells it
 * @count: out: interrupts that were measured
 * @sum: out: of their latencies, in ns
 * @max: out: the largest of them, in ns
 * @buckets: out: how many took below 1 ns << i and no less than half of that; the last
 *	has all that took longer, too
 *
 * How long do an irqfd's deferred interrupts take, from the wake-up until the worker has
 * raised them?  Nobody measures it before it is asked for: KVMFD_LATENCY_START begins, or
 * begins anew, with all at 0.  Without a flag it tells what has come since, and so does
 * KVMFD_LATENCY_STOP, the last time.  Of several wake-ups that become one interrupt the
 * first counts.  An interrupt that is raised within its wake-up is not measured.
 *
 * Works for every process that has the fd, as KVMFD_LIST does; there is one measurement
 * of an irqfd, whoever began it.  Who begins it pays for the memory.
 *
 * Errors: EINVAL (@size, @flags), E2BIG, EFAULT, ENOTCONN, ENOENT (no irqfd of this
 * @id), ENODATA (it is not measured), ENOMEM.
 */
struct kvmfd_latency {
	__u32 size;
	__u32 flags;
	__u64 id;
	__u64 count;
	__u64 sum;
	__u64 max;
	__u64 buckets[KVMFD_LATENCY_BUCKETS];
};

#endif /* _UAPI_LINUX_KVMFD_H */
