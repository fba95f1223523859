// SPDX-License-Identifier: GPL-2.0
/* KVM's routing table: which pin, or which message, an interrupt's number stands for. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "routes.h"

#define PAUSE_MS 5

static void add_irqchip_route(struct kvm_irq_routing *table, uint32_t gsi,
			      uint32_t chip, uint32_t pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static void set_table(struct routes *r)
{
	if (ioctl(r->vm->fd, KVM_SET_GSI_ROUTING, r->table))
		vm_stop(r->vm, 1, "KVM_SET_GSI_ROUTING: %s", strerror(errno));
}

/*
 * Setting a table replaces KVM's own, so the interrupts of the PICs and the I/O
 * APIC have to be in it.  The MSIs are there from the start: KVM says early if
 * it has no room for them.
 */
void routes_open(struct routes *r, struct vm *vm, unsigned int calls)
{
	size_t entries = IOAPIC_PINS + PIC_PINS + calls + 1;
	struct kvm_irq_routing *table;
	uint32_t i;

	table = calloc(1, sizeof(*table) + entries * sizeof(table->entries[0]));
	if (!table)
		die("out of memory");
	for (i = 0; i < IOAPIC_PINS; i++)
		add_irqchip_route(table, i, KVM_IRQCHIP_IOAPIC, i);
	for (i = 0; i < PIC_PINS; i++)
		add_irqchip_route(table, i,
				  i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				  i % 8);
	for (i = 0; i <= calls; i++)
		table->entries[table->nr++] = (struct kvm_irq_routing_entry) {
			.gsi = FIRST_MSI_GSI + i,
			.type = KVM_IRQ_ROUTING_MSI,
		};
	r->vm = vm;
	r->table = table;
	pthread_mutex_init(&r->lock, NULL);
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, table))
		die("KVM_SET_GSI_ROUTING: %s", strerror(errno));
	r->used = --table->nr;
}

void routes_set_message(struct routes *r, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_entry *entry =
		&r->table->entries[IOAPIC_PINS + PIC_PINS + gsi - FIRST_MSI_GSI];

	pthread_mutex_lock(&r->lock);
	entry->u.msi.address_lo = addr;
	entry->u.msi.address_hi = addr >> 32;
	entry->u.msi.data = data;
	set_table(r);
	pthread_mutex_unlock(&r->lock);
}

/* It pauses without the lock, so that whoever wants it gets it. */
static void *change_routes(void *arg)
{
	struct routes *r = arg;
	struct pollfd stop = { .fd = r->vm->stop_fd, .events = POLLIN };

	while (poll(&stop, 1, PAUSE_MS) <= 0) {
		pthread_mutex_lock(&r->lock);
		r->table->nr = r->table->nr == r->used ? r->used + 1 : r->used;
		set_table(r);
		pthread_mutex_unlock(&r->lock);
		r->changes++;
	}
	return NULL;
}

void routes_start_changing(struct routes *r)
{
	int err = pthread_create(&r->changer, NULL, change_routes, r);

	if (err)
		die("cannot start the thread that changes routes: %s", strerror(err));
	r->changing = true;
}

void routes_stop_changing(struct routes *r)
{
	if (r->changing)
		thread_join(r->changer, "the changing of routes");
}
