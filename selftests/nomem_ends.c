// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nomem.h"

/* --- what ends entries ------------------------------------------------------- */

/* The other VM's attachment still has what it had, or nothing. */
static const char *wrong_count(struct nomem *s, unsigned int state, unsigned int doorbells,
			       unsigned int irqfds)
{
	struct kvmfd_info info = device_info(s->any);

	if (info.state != state)
		return "the state";
	if (info.nr_ioeventfds != doorbells)
		return "the number of doorbells";
	return info.nr_irqfds == irqfds ? NULL : "the number of irqfds";
}

int make_evict(struct nomem *s)
{
	return -kvmfd_evict(s->fd, s->vm);
}

const char *wrong_evicted(struct nomem *s, int err)
{
	if (err)
		return wrong_count(s, KVMFD_STATE_ATTACHED, 1, 1);

	return wrong_count(s, KVMFD_STATE_EVICTED, 0, 0);
}

int make_close_attachment(struct nomem *s)
{
	int fd = s->any;

	s->any = -1;
	return close(fd) ? errno : 0;
}

const char *wrong_closed_attachment(struct nomem *s, int err)
{
	if (err || make_find(s) != ENOENT)
		return "the attachment";
	/* And the eventfd is free. */
	s->any = device_open();
	must(-kvmfd_attach_vm(s->any, s->vm, 0, 0, NULL), "another attach");
	assign_both(s);
	return NULL;
}

int make_close_eventfd(struct nomem *s)
{
	int fd = s->efd;

	s->efd = -1;
	return close(fd) ? errno : 0;
}

const char *wrong_closed_eventfd(struct nomem *s, int err)
{
	/* Finds nothing, and waits for what is under way. */
	must(irqfd(s->any, s->call, 0, KVM_IRQFD_FLAG_DEASSIGN), "deassign");
	return err ? "close" : wrong_count(s, KVMFD_STATE_ATTACHED, 1, 0);
}

int make_close_vm(struct nomem *s)
{
	int fd = s->vm;

	s->vm = -1;
	return close(fd) ? errno : 0;
}

const char *wrong_closed_vm(struct nomem *s, int err)
{
	if (err || count_vms() != s->vms)
		return "the VM";
	return wrong_count(s, KVMFD_STATE_GONE, 0, 0);
}

/* --- signals ------------------------------------------------------------------ */

int make_signal(struct nomem *s)
{
	return eventfd_write(s->efd, 1) ? errno : 0;
}

const char *wrong_signal(struct nomem *s, int err)
{
	if (!err)
		return guest_await_interrupt(&s->guest, CALL_VECTOR) == 1 ? NULL : "no interrupt";

	guest_take_interrupts(&s->guest);
	return guest_interrupts(&s->guest, CALL_VECTOR) ? "an interrupt" : NULL;
}

/* --- KVM's own removal, which can lose a bus --------------------------------- */

int make_native_deassign(struct nomem *s)
{
	return ioeventfd(s->vm, s->native_kick, NATIVE_ADDR, 0, KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
}

/* KVM says so only when something is to be added. */
static bool is_lost(struct nomem *s, uint32_t len)
{
	uint64_t addr = NATIVE_ADDR + (len ? 8 : 16);

	return ioeventfd(s->vm, s->native_kick, addr, len, 0, 0) == ENOMEM;
}

const char *wrong_native(struct nomem *s, int err)
{
	bool mmio, fast;
	int removed, added;

	if (err)
		return wrong_count(s, KVMFD_STATE_ATTACHED, 2, 1);
	mmio = is_lost(s, 4);
	fast = !mmio && is_lost(s, 0);
	s->lost[0] += mmio;
	s->lost[1] += fast;

	if (wrong_count(s, KVMFD_STATE_ATTACHED, mmio ? 0 : 2, 1))
		return "the list of what is left";
	removed = ioeventfd(s->any, s->efd, CALL_ADDR + WILDCARD, 0,
			    KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
	if (removed != (mmio ? ENOENT : 0))
		return "a deassign";
	added = ioeventfd(s->any, s->efd, CALL_ADDR + WILDCARD, 0, 0, 0);
	if (added != (mmio || fast ? ENOMEM : 0))
		return "an assign";
	if (ioeventfd(s->any, s->efd, CALL_PORT, 2, KVM_IOEVENTFD_FLAG_PIO, 0))
		return "an assign on another bus";
	return NULL;
}
