/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that does what it is told: one order per call, each run to its end.
 */
#ifndef SELFTESTS_GUEST_H
#define SELFTESTS_GUEST_H

#include <stdint.h>

#include "kvm_util.h"
#include "processor.h"

/* Guest physical addresses without memory, mapped for the guest one to one. */
#define GUEST_MMIO_BASE 0xc0000000ULL
#define GUEST_MMIO_SIZE 0x10000ULL

/* Vectors GUEST_VECTOR and on are counted by the guest's handlers. */
#define GUEST_VECTOR     0x40
#define GUEST_NR_VECTORS 4

enum space {
	SPACE_MMIO,
	SPACE_PIO,
};

enum trigger {
	EDGE,
	LEVEL,
};

struct guest {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
};

/* With an interrupt controller in the kernel and its local APIC in x2APIC mode. */
void guest_create(struct guest *guest);

/*
 * The guest writes @value.  Returns how many exits to user space that took: 0 if
 * something in the kernel took the write.
 */
unsigned int guest_write(struct guest *guest, enum space space, uint64_t addr,
			 unsigned int len, uint64_t value);
/* The same, @count times; the return value is the sum. */
unsigned int guest_write_often(struct guest *guest, enum space space, uint64_t addr,
			       unsigned int len, uint64_t value, uint64_t count);
/* The guest reads 4 bytes into @value; the same return value. */
unsigned int guest_read(struct guest *guest, enum space space, uint64_t addr,
			uint32_t *value);

/* The guest lets in what interrupts are pending. */
void guest_take_interrupts(struct guest *guest);
/* One at most, which it ends with interrupts off: the next can be pending then. */
void guest_take_one(struct guest *guest);
/* One at most, which stays in service. */
void guest_take_and_keep(struct guest *guest);
void guest_end_interrupt(struct guest *guest);
/* How often a vector has been handled, since the last time this was asked. */
uint64_t guest_interrupts(struct guest *guest, unsigned int vector);
/* The same, waiting for the first if there is none yet; 0 if it does not come. */
uint64_t guest_await_interrupt(struct guest *guest, unsigned int vector);

/* Routes @gsi to a vector of the guest's only vCPU, or any MSI destination. */
struct kvm_irq_routing_entry route_msi(uint32_t gsi, uint32_t dest, unsigned int vector);
void guest_set_routing(struct guest *guest, const struct kvm_irq_routing_entry *entries,
		       unsigned int n);

/* The state of one of the VM's interrupt controllers, KVM_IRQCHIP_*. */
struct kvm_irqchip guest_irqchip(struct guest *guest, uint32_t id);
/* A pin of the IOAPIC, unmasked, as a vector of the guest's only vCPU. */
void guest_program_ioapic(struct guest *guest, unsigned int pin, unsigned int vector,
			  enum trigger trigger);

/* VMs of the whole host that KVM has not destroyed, from its debugfs. */
unsigned int count_vms(void);

#endif /* SELFTESTS_GUEST_H */
