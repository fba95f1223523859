/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine: KVM, guest memory, vCPUs, the two buses and the small devices.
 *
 * Locks, outermost first:
 *   vm.bus_lock	everything that a vCPU reaches by an exit
 *   blk.lock		the running virtqueues, shared with the I/O thread
 *   intx.lock		the level-triggered interrupt, shared with the I/O thread
 *   msix.lock		which vectors are on, shared with the I/O thread
 *   routes.lock	KVM's routing table
 */
#ifndef VMM_H
#define VMM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CPUS 16

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * The guest physical address space.  The PCI window (also told in dsdt.asl)
 * begins where RAM below 4 GiB ends and reaches up to the I/O APIC; the rest of
 * RAM goes on at 4 GiB.
 */
#define ACPI_TABLES      0x000E0000U
#define ACPI_TABLES_SIZE 0x00020000U
#define PCI_WINDOW       0xC0000000U
#define IOAPIC_ADDR      0xFEC00000U
#define LAPIC_ADDR       0xFEE00000U
#define KVM_IDENTITY_MAP 0xFFFBC000U
#define KVM_TSS          0xFFFBD000U
#define HIGH_RAM         0x100000000ULL

/* Power and reset, told in the FADT; S5_SLP_TYP also in dsdt.asl */
#define PM1_EVT_PORT 0x600
#define PM1_CNT_PORT 0x604
#define S5_SLP_TYP   5
#define RESET_PORT   0x64 /* the i8042's command port */
#define RESET_VALUE  0xFE
#define SCI_IRQ      9

/* The disk's INTA#: a pin that the PICs have, too; also told in dsdt.asl */
#define INTX_GSI 10

#define IOAPIC_PINS 24
#define PIC_PINS    16

/**
 * struct bus_region - a range of addresses that a device answers
 * @base: first address
 * @len: number of addresses
 * @read: gives the value at an offset into the range
 * @write: takes a value at an offset into the range
 * @dev: handed to @read and @write
 * @next: the bus's list
 */
struct bus_region {
	uint64_t base;
	uint64_t len;
	uint64_t (*read)(void *dev, uint64_t off, unsigned int len);
	void (*write)(void *dev, uint64_t off, unsigned int len, uint64_t val);
	void *dev;
	struct bus_region *next;
};

/** struct bus - I/O ports or memory-mapped I/O: the regions, in no order */
struct bus {
	struct bus_region *regions;
};

struct vm;

/**
 * struct vcpu - one virtual CPU and its thread
 * @vm: the machine
 * @index: its number, which is also its APIC id
 * @fd: from KVM_CREATE_VCPU
 * @run: what KVM shares with us about this vCPU
 * @thread: runs it
 */
struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
};

/**
 * struct vm - the machine
 * @kvm_fd: /dev/kvm
 * @fd: from KVM_CREATE_VM
 * @ram: guest memory, in one piece
 * @ram_size: bytes in @ram
 * @low_ram: bytes of @ram below 4 GiB; the others are at HIGH_RAM
 * @entry: guest physical address of the kernel's 64-bit entry
 * @cpus: number of vCPUs
 * @vcpus: the vCPUs
 * @bus_lock: see above
 * @pio: I/O ports
 * @mmio: memory-mapped I/O
 * @stop_fd: eventfd, written once when the machine is to end
 * @stopped: somebody has called vm_stop()
 * @status: exit status that the first vm_stop() gave
 */
struct vm {
	int kvm_fd;
	int fd;
	uint8_t *ram;
	uint64_t ram_size;
	uint64_t low_ram;
	uint64_t entry;
	unsigned int cpus;
	struct vcpu vcpus[MAX_CPUS];
	pthread_mutex_t bus_lock;
	struct bus pio;
	struct bus mmio;
	int stop_fd;
	atomic_bool stopped;
	atomic_int status;
};

/* main.c */

/** die() - say what is wrong and end, where there is no VM to stop yet or no way on */
void die(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* vm.c */
void vm_create(struct vm *vm, unsigned int cpus, uint64_t ram_size);

/** vm_need() - die unless KVM has a capability, named @name to the user */
void vm_need(struct vm *vm, int cap, const char *name);

/** vm_ram() - guest memory at @gpa, NULL unless @len bytes of RAM are there */
void *vm_ram(const struct vm *vm, uint64_t gpa, uint64_t len);
void vm_start(struct vm *vm);

/**
 * vm_stop() - end the machine
 * @vm: the machine
 * @status: exit status of the program
 * @fmt: what went wrong, NULL if nothing
 *
 * From any thread; the first call decides.  Returns at once.
 */
void vm_stop(struct vm *vm, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** vm_join() - get the vCPUs out of the guest and their threads ended */
void vm_join(struct vm *vm);

/** thread_join() - pthread_join() with a limit; die naming @what if it passes */
void thread_join(pthread_t thread, const char *what);

/* bus.c: with vm.bus_lock held, or before the vCPUs run */
void bus_add(struct bus *bus, struct bus_region *region);
void bus_remove(struct bus *bus, struct bus_region *region);
uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len);
void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t val);

/* cpu.c */
void cpu_setup(struct vcpu *vcpu);

/** cpu_setup_boot() - let the boot CPU begin at vm.entry in 64-bit mode */
void cpu_setup_boot(struct vcpu *vcpu);

/* Where cpu.c and boot.c lay out what the boot CPU begins with */
#define BOOT_GDT     0x0500U
#define BOOT_PARAMS  0x7000U
#define BOOT_PML4    0x9000U /* then one PDPT and four page directories */
#define BOOT_CMDLINE 0x20000U

/* boot.c */
void boot_load(struct vm *vm, const char *kernel, const char *initrd,
	       const char *cmdline);

/**
 * acpi_build() - build the tables; the RSDP is at ACPI_TABLES
 * @vm: the machine
 * @apic_physical: interrupts are to name one CPU by its APIC id
 */
void acpi_build(struct vm *vm, bool apic_physical);

/* power.c, serial.c */
void power_init(struct vm *vm);
void serial_init(struct vm *vm);

#endif /* VMM_H */
