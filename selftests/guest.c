// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "test_util.h"
#include "apic.h"

#include "guest.h"

#define DEBUGFS    "/sys/kernel/debug"
#define GUEST_PAGE 4096

/* Orders that the guest carries out while something is waited for: seconds. */
#define MANY_TRIES 10000

enum order {
	ORDER_WRITE,
	ORDER_READ,
	ORDER_TAKE_INTERRUPTS,
	ORDER_TAKE_ONE,
	ORDER_END_INTERRUPT,
};

/* In guest memory, at the same address for guest and host code. */
static struct {
	enum order order;
	enum space space;
	unsigned int len;
	uint64_t addr;
	uint64_t value;
	uint64_t count;
	bool keep;
} todo;

static volatile uint64_t interrupts[GUEST_NR_VECTORS];

static void guest_mmio_write(void)
{
	switch (todo.len) {
	case 1:
		*(volatile uint8_t *)todo.addr = todo.value;
		break;
	case 2:
		*(volatile uint16_t *)todo.addr = todo.value;
		break;
	case 4:
		*(volatile uint32_t *)todo.addr = todo.value;
		break;
	case 8:
		*(volatile uint64_t *)todo.addr = todo.value;
		break;
	}
}

static void guest_pio_write(void)
{
	uint16_t port = todo.addr;

	switch (todo.len) {
	case 1:
		asm volatile("outb %0, %1"
			     :
			     : "a"((uint8_t)todo.value), "Nd"(port));
		break;
	case 2:
		asm volatile("outw %0, %1"
			     :
			     : "a"((uint16_t)todo.value), "Nd"(port));
		break;
	case 4:
		asm volatile("outl %0, %1"
			     :
			     : "a"((uint32_t)todo.value), "Nd"(port));
		break;
	}
}

static void guest_do_read(void)
{
	uint32_t value;

	if (todo.space == SPACE_MMIO)
		value = *(volatile uint32_t *)todo.addr;
	else
		asm volatile("inl %1, %0"
			     : "=a"(value)
			     : "Nd"((uint16_t)todo.addr));
	todo.value = value;
}

static void guest_do_writes(void)
{
	uint64_t i;

	for (i = 0; i < todo.count; i++) {
		if (todo.space == SPACE_MMIO)
			guest_mmio_write();
		else
			guest_pio_write();
	}
}

static void guest_open_window(void)
{
	/* The instruction after sti is still shielded. */
	asm volatile("sti; nop; nop; cli"
		     :
		     :
		     : "memory");
}

static void guest_code(void)
{
	x2apic_enable();

	for (;;) {
		switch (todo.order) {
		case ORDER_WRITE:
			guest_do_writes();
			break;
		case ORDER_READ:
			guest_do_read();
			break;
		case ORDER_TAKE_INTERRUPTS:
			guest_open_window();
			break;
		case ORDER_TAKE_ONE:
			guest_open_window();
			x2apic_write_reg(APIC_EOI, 0);
			break;
		case ORDER_END_INTERRUPT:
			x2apic_write_reg(APIC_EOI, 0);
			break;
		}
		GUEST_SYNC(0);
	}
}

#define HANDLER(n)                                     \
	static void handler##n(struct ex_regs *regs)   \
	{                                              \
		interrupts[n]++;                       \
		if (!todo.keep)                        \
			x2apic_write_reg(APIC_EOI, 0); \
	}

HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)

void guest_create(struct guest *guest)
{
	static void (*const handlers[GUEST_NR_VECTORS])(struct ex_regs *) = {
		handler0,
		handler1,
		handler2,
		handler3,
	};
	int i;

	guest->vm = vm_create_with_one_vcpu(&guest->vcpu, guest_code);
	virt_map(guest->vm, GUEST_MMIO_BASE, GUEST_MMIO_BASE, GUEST_MMIO_SIZE / GUEST_PAGE);
	vm_init_descriptor_tables(guest->vm);
	vcpu_init_descriptor_tables(guest->vcpu);
	for (i = 0; i < GUEST_NR_VECTORS; i++)
		vm_install_exception_handler(guest->vm, GUEST_VECTOR + i, handlers[i]);
}

/* Returns the exits to user space before the guest reports that it is done. */
static unsigned int guest_carry_out(struct guest *guest)
{
	struct kvm_run *run = guest->vcpu->run;
	unsigned int exits = 0;
	struct ucall uc;

	sync_global_to_guest(guest->vm, todo);
	for (;; exits++) {
		vcpu_run(guest->vcpu);
		switch (get_ucall(guest->vcpu, &uc)) {
		case UCALL_SYNC:
			return exits;
		case UCALL_NONE:
			break;
		default:
			TEST_FAIL("guest failed, ucall %lu", uc.cmd);
		}

		if (run->exit_reason == KVM_EXIT_MMIO) {
			/* A write that crosses pages comes in two halves. */
			TEST_ASSERT(todo.space == SPACE_MMIO, "MMIO exit at %#llx",
				    run->mmio.phys_addr);
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		} else {
			TEST_ASSERT(run->exit_reason == KVM_EXIT_IO, "exit reason %u",
				    run->exit_reason);
			TEST_ASSERT(todo.space == SPACE_PIO && run->io.port == todo.addr,
				    "PIO exit at %#x", run->io.port);
		}
	}
}

unsigned int guest_write_often(struct guest *guest, enum space space, uint64_t addr,
			       unsigned int len, uint64_t value, uint64_t count)
{
	todo = (typeof(todo)) {
		.order = ORDER_WRITE,
		.space = space,
		.addr = addr,
		.len = len,
		.value = value,
		.count = count,
	};
	return guest_carry_out(guest);
}

unsigned int guest_write(struct guest *guest, enum space space, uint64_t addr,
			 unsigned int len, uint64_t value)
{
	return guest_write_often(guest, space, addr, len, value, 1);
}

unsigned int guest_read(struct guest *guest, enum space space, uint64_t addr,
			uint32_t *value)
{
	unsigned int exits;

	todo = (typeof(todo)) {
		.order = ORDER_READ,
		.space = space,
		.addr = addr,
	};
	exits = guest_carry_out(guest);
	sync_global_from_guest(guest->vm, todo);
	*value = todo.value;
	return exits;
}

void guest_take_interrupts(struct guest *guest)
{
	todo = (typeof(todo)) { .order = ORDER_TAKE_INTERRUPTS };
	guest_carry_out(guest);
}

void guest_take_one(struct guest *guest)
{
	todo = (typeof(todo)) { .order = ORDER_TAKE_ONE, .keep = true };
	guest_carry_out(guest);
}

void guest_take_and_keep(struct guest *guest)
{
	todo = (typeof(todo)) { .order = ORDER_TAKE_INTERRUPTS, .keep = true };
	guest_carry_out(guest);
}

void guest_end_interrupt(struct guest *guest)
{
	todo = (typeof(todo)) { .order = ORDER_END_INTERRUPT };
	guest_carry_out(guest);
}

uint64_t guest_interrupts(struct guest *guest, unsigned int vector)
{
	volatile uint64_t *count;
	uint64_t n;

	count = addr_gva2hva(guest->vm, (vm_vaddr_t)&interrupts[vector - GUEST_VECTOR]);
	n = *count;
	*count = 0;
	return n;
}

uint64_t guest_await_interrupt(struct guest *guest, unsigned int vector)
{
	uint64_t n = 0;
	int tries;

	/* A worker raises it, and tells nobody. */
	for (tries = 0; tries < MANY_TRIES && !n; tries++) {
		guest_take_one(guest);
		n = guest_interrupts(guest, vector);
	}
	return n;
}

struct kvm_irq_routing_entry route_msi(uint32_t gsi, uint32_t dest, unsigned int vector)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = 0xfee00000 | dest << 12,
		.u.msi.data = vector,
	};
}

void guest_set_routing(struct guest *guest, const struct kvm_irq_routing_entry *entries,
		       unsigned int n)
{
	struct kvm_irq_routing *table;

	table = calloc(1, sizeof(*table) + n * sizeof(*entries));
	TEST_ASSERT(table, "out of memory");
	table->nr = n;
	memcpy(table->entries, entries, n * sizeof(*entries));
	vm_ioctl(guest->vm, KVM_SET_GSI_ROUTING, table);
	free(table);
}

struct kvm_irqchip guest_irqchip(struct guest *guest, uint32_t id)
{
	struct kvm_irqchip chip = { .chip_id = id };

	vm_ioctl(guest->vm, KVM_GET_IRQCHIP, &chip);
	return chip;
}

void guest_program_ioapic(struct guest *guest, unsigned int pin, unsigned int vector,
			  enum trigger trigger)
{
	struct kvm_irqchip chip = guest_irqchip(guest, KVM_IRQCHIP_IOAPIC);

	/* Fixed, physical destination 0, not masked: all of them 0. */
	chip.chip.ioapic.redirtbl[pin].bits = vector;
	chip.chip.ioapic.redirtbl[pin].fields.trig_mode = trigger;
	vm_ioctl(guest->vm, KVM_SET_IRQCHIP, &chip);
}

unsigned int count_vms(void)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	dir = opendir(DEBUGFS "/kvm");
	if (!dir && !mount("debugfs", DEBUGFS, "debugfs", 0, NULL))
		dir = opendir(DEBUGFS "/kvm");
	TEST_ASSERT(dir, DEBUGFS "/kvm: %s", strerror(errno));

	/* A VM's directory is named PID-FD. */
	while ((e = readdir(dir)))
		n += e->d_type == DT_DIR && e->d_name[0] != '.' && strchr(e->d_name, '-');

	closedir(dir);
	return n;
}
