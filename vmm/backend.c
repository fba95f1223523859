// SPDX-License-Identifier: GPL-2.0
/*
 * Who serves doorbells and calls:
 *   kvmfd	KVM_IOEVENTFD and KVM_IRQFD on /dev/kvmfd, and its counters
 *   kvm	the same two on the VM
 *   off	nobody: doorbells exit to us, calls are KVM_SIGNAL_MSI or KVM_IRQ_LINE
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "libkvmfd.h"
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

	return kvmfd_ioeventfd(n->fd, &arg);
}

static uint32_t call_flags(const struct call *c)
{
	return c->resample_fd >= 0 ? KVM_IRQFD_FLAG_RESAMPLE : 0;
}

static int kernel_call(struct notify *n, struct call *c, bool unmask)
{
	struct kvm_irqfd arg = {
		.fd = c->fd,
		.gsi = c->gsi,
		.flags = unmask ? call_flags(c) : KVM_IRQFD_FLAG_DEASSIGN,
		.resamplefd = c->resample_fd,
	};

	return kvmfd_irqfd(n->fd, &arg);
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
	vm_need(vm, KVM_CAP_IRQFD_RESAMPLE, "irqfd of level-triggered interrupts");
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

static int attached_open(struct vm *vm)
{
	int fd = kvmfd_open(), err;

	if (fd < 0)
		die("/dev/kvmfd: %s", strerror(-fd));
	err = kvmfd_attach_vm(fd, vm->fd, 0, 0, NULL);
	if (err)
		die("/dev/kvmfd: cannot attach the VM: %s", strerror(-err));
	return fd;
}

/*
 * Replace @entry by the listed one that looks like it.  Counters go with their
 * entry, so they are read right before it is removed.  Gives 0 or -errno.
 */
static int find_entry(struct notify *n, struct kvmfd_entry *entry)
{
	struct kvmfd_entry entries[32], *e;
	uint64_t cursor = 0;
	int listed;

	do {
		listed = kvmfd_list(n->fd, 0, &cursor, entries, ARRAY_SIZE(entries));
		if (listed < 0)
			return listed;
		for (e = entries; e < entries + listed; e++) {
			if (e->kind == entry->kind && e->gsi == entry->gsi &&
			    e->addr == entry->addr && e->len == entry->len &&
			    e->flags == entry->flags &&
			    e->datamatch == entry->datamatch) {
				*entry = *e;
				return 0;
			}
		}
	} while (listed == ARRAY_SIZE(entries));
	return -ENOENT;
}

static int counted_doorbell(struct notify *n, struct doorbell *d, bool assign)
{
	struct kvmfd_entry entry = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.flags = doorbell_flags(d),
		.addr = d->addr,
		.len = d->form->len,
		.datamatch = doorbell_value(d),
	};
	int err;

	if (!assign) {
		err = find_entry(n, &entry);
		if (err)
			return err;
		d->hits += entry.hits;
	}
	return kernel_doorbell(n, d, assign);
}

static int counted_call(struct notify *n, struct call *c, bool unmask)
{
	struct kvmfd_entry entry = {
		.kind = KVMFD_ENTRY_IRQFD,
		.flags = call_flags(c),
		.gsi = c->gsi,
	};
	int err;

	if (!unmask) {
		err = find_entry(n, &entry);
		if (err)
			return err;
		c->inline_calls += entry.inline_calls;
		c->deferred_calls += entry.deferred_calls;
	}
	return kernel_call(n, c, unmask);
}

const struct notify_ops notify_kvmfd = {
	.name = "kvmfd",
	.counts = true,
	.open = attached_open,
	.doorbell = counted_doorbell,
	.call = counted_call,
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

static void off_set_line(struct notify *n, struct call *c, uint32_t level)
{
	struct kvm_irq_level line = { .irq = c->gsi, .level = level };

	ioctl(n->vm->fd, KVM_IRQ_LINE, &line);
}

static void off_lower(struct notify *n, struct call *c)
{
	off_set_line(n, c, 0);
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
	if (!unmask && c->resample_fd >= 0)
		off_lower(n, c);
	return 0;
}

static void off_raise(struct notify *n, struct call *c)
{
	if (!c->unmasked)
		eventfd_write(c->fd, 1);
	else if (c->resample_fd >= 0)
		off_set_line(n, c, 1);
	else
		off_signal(n, c);
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
	.lower = off_lower,
	.write = off_write,
};
