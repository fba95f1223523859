// SPDX-License-Identifier: GPL-2.0
/*
 * Who serves doorbells and calls:
 *   kvmfd	KVM_IOEVENTFD and KVM_IRQFD on /dev/kvmfd, and its counters
 *   kvm	the same two on the VM
 *   off	nobody: doorbells exit to us, calls are KVM_SIGNAL_MSI
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvmfd.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "notify.h"

static uint32_t doorbell_flags(const struct doorbell *d)
{
	return d->form->datamatch ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0;
}

static uint64_t doorbell_value(const struct doorbell *d)
{
	return d->form->datamatch ? d->queue : 0;
}

static int kernel_doorbell(struct notify *n, struct doorbell *d, bool assign)
{
	struct kvm_ioeventfd arg = {
		.datamatch = doorbell_value(d),
		.addr = d->addr,
		.len = d->form->len,
		.fd = d->fd,
		.flags = doorbell_flags(d) |
			 (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return ioctl(n->fd, KVM_IOEVENTFD, &arg);
}

static int kernel_call(struct notify *n, struct call *c, bool unmask)
{
	struct kvm_irqfd arg = {
		.fd = c->fd,
		.gsi = c->gsi,
		.flags = unmask ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return ioctl(n->fd, KVM_IRQFD, &arg);
}

/* The count cannot overflow, so this cannot fail. */
static void eventfd_raise(struct notify *n, struct call *c)
{
	(void)n;
	eventfd_write(c->fd, 1);
}

static void need_eventfds(struct vm *vm)
{
	vm_need(vm, KVM_CAP_IOEVENTFD, "ioeventfd");
	vm_need(vm, KVM_CAP_IOEVENTFD_ANY_LENGTH, "ioeventfd of any length");
	vm_need(vm, KVM_CAP_IRQFD, "irqfd");
}

static int kvm_open(struct vm *vm)
{
	need_eventfds(vm);
	return vm->fd;
}

/*
 * A write to a doorbell that is not served is left alone: a queue whose doorbell
 * does not work must be seen to hang, not limp along.
 */
const struct notify_ops notify_kvm = {
	.name = "kvm",
	.open = kvm_open,
	.doorbell = kernel_doorbell,
	.call = kernel_call,
	.raise = eventfd_raise,
};

static int kvmfd_open(struct vm *vm)
{
	struct kvmfd_attach attach = { .size = sizeof(attach), .vm_fd = vm->fd };
	int fd = open("/dev/kvmfd", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/kvmfd: %s", strerror(errno));
	if (ioctl(fd, KVMFD_ATTACH_VM, &attach))
		die("/dev/kvmfd: cannot attach the VM: %s", strerror(errno));
	return fd;
}

/*
 * Replace @entry by the listed one that looks like it.  Counters go with their
 * entry, so they are read right before it is removed.  Gives 0, or -1 with errno
 * set.
 */
static int kvmfd_find(struct notify *n, struct kvmfd_entry *entry)
{
	struct kvmfd_entry entries[32], *e;
	const uint32_t room = ARRAY_SIZE(entries);
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)entries,
		.entry_size = sizeof(entries[0]),
	};

	do {
		list.count = room;
		if (ioctl(n->fd, KVMFD_LIST, &list))
			return -1;
		for (e = entries; e < entries + list.count; e++) {
			if (e->kind == entry->kind && e->gsi == entry->gsi &&
			    e->addr == entry->addr && e->len == entry->len &&
			    e->flags == entry->flags &&
			    e->datamatch == entry->datamatch) {
				*entry = *e;
				return 0;
			}
		}
	} while (list.count == room);
	errno = ENOENT;
	return -1;
}

static int kvmfd_doorbell(struct notify *n, struct doorbell *d, bool assign)
{
	struct kvmfd_entry entry = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.flags = doorbell_flags(d),
		.addr = d->addr,
		.len = d->form->len,
		.datamatch = doorbell_value(d),
	};

	if (!assign) {
		if (kvmfd_find(n, &entry))
			return -1;
		d->hits += entry.hits;
	}
	return kernel_doorbell(n, d, assign);
}

static int kvmfd_call(struct notify *n, struct call *c, bool unmask)
{
	struct kvmfd_entry entry = {
		.kind = KVMFD_ENTRY_IRQFD,
		.gsi = c->gsi,
	};

	if (!unmask) {
		if (kvmfd_find(n, &entry))
			return -1;
		c->inline_calls += entry.inline_calls;
		c->deferred_calls += entry.deferred_calls;
	}
	return kernel_call(n, c, unmask);
}

const struct notify_ops notify_kvmfd = {
	.name = "kvmfd",
	.counts = true,
	.open = kvmfd_open,
	.doorbell = kvmfd_doorbell,
	.call = kvmfd_call,
	.raise = eventfd_raise,
};

static int off_open(struct vm *vm)
{
	vm_need(vm, KVM_CAP_SIGNAL_MSI, "MSI from user space");
	return -1;
}

static int off_doorbell(struct notify *n, struct doorbell *d, bool assign)
{
	(void)n;
	(void)d;
	(void)assign;
	return 0;
}

/* A message that no CPU takes is lost, as on hardware: not an error. */
static void off_signal(struct notify *n, struct call *c)
{
	struct kvm_msi msi = {
		.address_lo = c->addr,
		.address_hi = c->addr >> 32,
		.data = c->data,
	};

	ioctl(n->vm->fd, KVM_SIGNAL_MSI, &msi);
}

static int off_call(struct notify *n, struct call *c, bool unmask)
{
	eventfd_t pending;

	if (unmask && !eventfd_read(c->fd, &pending))
		off_signal(n, c);
	return 0;
}

static void off_raise(struct notify *n, struct call *c)
{
	if (c->unmasked)
		off_signal(n, c);
	else
		eventfd_write(c->fd, 1);
}

static void off_write(struct doorbell *d)
{
	eventfd_write(d->fd, 1);
}

const struct notify_ops notify_off = {
	.name = "off",
	.open = off_open,
	.doorbell = off_doorbell,
	.call = off_call,
	.raise = off_raise,
	.write = off_write,
};
