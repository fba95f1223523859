// SPDX-License-Identifier: GPL-2.0
/* Doorbells and calls: their state, whoever serves them (backend.c). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

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

static void add_irqchip_route(struct kvm_irq_routing *table, uint32_t gsi,
			      uint32_t chip, uint32_t pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/*
 * Setting a table replaces KVM's own, so the interrupts of the PICs and the I/O
 * APIC have to be in it.  The MSIs are there from the start: KVM says early if
 * it has no room for them.
 */
static void init_routes(struct notify *n, unsigned int calls)
{
	size_t routes = IOAPIC_PINS + PIC_PINS + calls;
	struct kvm_irq_routing *table;
	uint32_t i;

	table = calloc(1, sizeof(*table) + routes * sizeof(table->entries[0]));
	if (!table)
		die("out of memory");
	for (i = 0; i < IOAPIC_PINS; i++)
		add_irqchip_route(table, i, KVM_IRQCHIP_IOAPIC, i);
	for (i = 0; i < PIC_PINS; i++)
		add_irqchip_route(table, i,
				  i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				  i % 8);
	n->fixed_routes = table->nr;
	for (i = 0; i < calls; i++)
		table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
			.gsi = FIRST_MSI_GSI + i,
			.type = KVM_IRQ_ROUTING_MSI,
		};
	n->routes = table;
	if (ioctl(n->vm->fd, KVM_SET_GSI_ROUTING, table))
		die("KVM_SET_GSI_ROUTING: %s", strerror(errno));
}

void notify_open(struct notify *n, struct vm *vm, const struct notify_ops *ops,
		 const struct doorbell_form *form, unsigned int calls)
{
	n->vm = vm;
	n->ops = ops;
	n->form = form;
	n->fd = ops->open(vm);
	init_routes(n, calls);
}

void doorbell_open(struct notify *n, struct doorbell *d, unsigned int queue)
{
	d->form = n->form;
	d->queue = queue;
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->fd < 0)
		die("eventfd: %s", strerror(errno));
}

void doorbell_assign(struct notify *n, struct doorbell *d, uint64_t addr)
{
	d->addr = addr;
	d->assigned = !n->ops->doorbell(n, d, true);
	if (!d->assigned)
		vm_stop(n->vm, 1, "cannot assign queue %u's doorbell: %s",
			d->queue, strerror(errno));
}

void doorbell_deassign(struct notify *n, struct doorbell *d)
{
	d->assigned = false;
	if (n->ops->doorbell(n, d, false))
		vm_stop(n->vm, 1, "cannot deassign queue %u's doorbell: %s",
			d->queue, strerror(errno));
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
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0)
		die("eventfd: %s", strerror(errno));
}

static int call_route(struct notify *n, struct call *c, uint64_t addr,
		      uint32_t data)
{
	struct kvm_irq_routing_entry *entry =
		&n->routes->entries[n->fixed_routes + c->gsi - FIRST_MSI_GSI];

	if (addr == c->addr && data == c->data)
		return 0;
	c->addr = addr;
	c->data = data;
	entry->u.msi.address_lo = addr;
	entry->u.msi.address_hi = addr >> 32;
	entry->u.msi.data = data;
	return ioctl(n->vm->fd, KVM_SET_GSI_ROUTING, n->routes);
}

void call_unmask(struct notify *n, struct call *c, uint64_t addr, uint32_t data)
{
	if (call_route(n, c, addr, data)) {
		vm_stop(n->vm, 1, "KVM_SET_GSI_ROUTING: %s", strerror(errno));
		return;
	}
	c->unmasked = !n->ops->call(n, c, true);
	if (!c->unmasked)
		vm_stop(n->vm, 1, "cannot assign the irqfd of GSI %u: %s",
			c->gsi, strerror(errno));
}

void call_mask(struct notify *n, struct call *c)
{
	c->unmasked = false;
	if (n->ops->call(n, c, false))
		vm_stop(n->vm, 1, "cannot deassign the irqfd of GSI %u: %s",
			c->gsi, strerror(errno));
}

void call_raise(struct notify *n, struct call *c)
{
	n->ops->raise(n, c);
}

bool call_pending(const struct call *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}
