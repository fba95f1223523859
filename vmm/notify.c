// SPDX-License-Identifier: GPL-2.0
/* Doorbells and calls: their state, whoever serves them (backend.c). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "notify.h"

/* Drivers of virtio 1 ring a doorbell with 2 bytes, the queue's number. */
static const struct doorbell_form forms[] = {
	{ .name = "address", .multiplier = 4, .len = 2 },
	{ .name = "datamatch", .multiplier = 0, .len = 2, .datamatch = true },
	{ .name = "any", .multiplier = 4, .len = 0 },
};

static const struct notify_ops *const backends[] = {
	&notify_kvmfd,
	&notify_kvm,
	&notify_off,
};

const struct doorbell_form *notify_find_form(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (!strcmp(forms[i].name, name))
			return &forms[i];
	return NULL;
}

const struct notify_ops *notify_find_ops(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

void notify_open(struct notify *n, struct vm *vm, const struct notify_ops *ops,
		 const struct doorbell_form *form, unsigned int calls)
{
	n->vm = vm;
	n->ops = ops;
	n->form = form;
	n->fd = ops->open(vm);
	routes_open(&n->routes, vm, calls);
}

static int open_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		die("eventfd: %s", strerror(errno));
	return fd;
}

void doorbell_open(struct notify *n, struct doorbell *d, unsigned int queue)
{
	d->form = n->form;
	d->queue = queue;
	d->fd = open_eventfd();
}

void doorbell_assign(struct notify *n, struct doorbell *d, uint64_t addr)
{
	int err;

	d->addr = addr;
	err = n->ops->doorbell(n, d, true);
	d->assigned = !err;
	if (err)
		vm_stop(n->vm, 1, "cannot assign queue %u's doorbell: %s",
			d->queue, strerror(-err));
}

void doorbell_deassign(struct notify *n, struct doorbell *d)
{
	int err;

	d->assigned = false;
	err = n->ops->doorbell(n, d, false);
	if (err)
		vm_stop(n->vm, 1, "cannot deassign queue %u's doorbell: %s",
			d->queue, strerror(-err));
}

void doorbell_write(struct notify *n, struct doorbell *d, uint64_t addr,
		    unsigned int len, uint64_t val)
{
	if (n->ops->write && d->assigned && addr == d->addr &&
	    (!d->form->len || len == d->form->len) &&
	    (!d->form->datamatch || val == d->queue))
		n->ops->write(d);
}

void call_open(struct call *c, unsigned int index)
{
	c->gsi = FIRST_MSI_GSI + index;
	c->fd = open_eventfd();
	c->resample_fd = -1;
}

void call_open_level(struct call *c, uint32_t gsi)
{
	c->gsi = gsi;
	c->fd = open_eventfd();
	c->resample_fd = open_eventfd();
}

void call_set_message(struct notify *n, struct call *c, uint64_t addr, uint32_t data)
{
	if (addr == c->addr && data == c->data)
		return;
	c->addr = addr;
	c->data = data;
	routes_set_message(&n->routes, c->gsi, addr, data);
}

void call_unmask(struct notify *n, struct call *c)
{
	int err = n->ops->call(n, c, true);

	c->unmasked = !err;
	if (err)
		vm_stop(n->vm, 1, "cannot assign the irqfd of GSI %u: %s",
			c->gsi, strerror(-err));
}

void call_mask(struct notify *n, struct call *c)
{
	int err;

	c->unmasked = false;
	err = n->ops->call(n, c, false);
	if (err)
		vm_stop(n->vm, 1, "cannot deassign the irqfd of GSI %u: %s",
			c->gsi, strerror(-err));
}

void call_raise(struct notify *n, struct call *c)
{
	n->ops->raise(n, c);
}

void call_lower(struct notify *n, struct call *c)
{
	if (n->ops->lower && c->unmasked)
		n->ops->lower(n, c);
}

bool call_pending(const struct call *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}
