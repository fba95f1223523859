// SPDX-License-Identifier: GPL-2.0
/* What a vCPU is: CPUID, and the registers that the boot CPU begins with. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm.h"

#define MAX_CPUID 256 /* KVM's own limit */

#define CPUID1_EDX_HTT          (1U << 28)
#define CPUID1_ECX_TSC_DEADLINE (1U << 24)
#define CPUID1_ECX_HYPERVISOR   (1U << 31)

/* Bits of an APIC id that tell the vCPUs apart */
static unsigned int apic_id_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while (1U << bits < cpus)
		bits++;
	return bits;
}

static void cpuid_add_topology(struct kvm_cpuid2 *cpuid, struct vcpu *vcpu)
{
	struct kvm_cpuid_entry2 level = {
		.function = 0xb,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.edx = vcpu->index,
	};

	/* Level 0: one thread in a core; level 1: all cores in one package */
	level.ebx = 1;
	level.ecx = 1 << 8;
	cpuid->entries[cpuid->nent++] = level;
	level.index = 1;
	level.eax = apic_id_bits(vcpu->vm->cpus);
	level.ebx = vcpu->vm->cpus;
	level.ecx = 1 | 2 << 8;
	cpuid->entries[cpuid->nent++] = level;
}

/*
 * KVM tells what the host offers, with the host's topology: make it one package
 * of single-threaded cores.  False: the entry is to be left out.
 */
static bool cpuid_fix(struct kvm_cpuid_entry2 *e, struct vcpu *vcpu)
{
	unsigned int cpus = vcpu->vm->cpus, bits = apic_id_bits(cpus);

	switch (e->function) {
	case 0x1:
		e->ebx &= 0x0000ffff;
		e->ebx |= vcpu->index << 24 | 1U << bits << 16;
		e->ecx |= CPUID1_ECX_HYPERVISOR | CPUID1_ECX_TSC_DEADLINE;
		e->edx &= ~CPUID1_EDX_HTT;
		if (cpus > 1)
			e->edx |= CPUID1_EDX_HTT;
		return true;
	case 0x4:
		/* Only the last-level cache is shared. */
		e->eax &= 0x00003fff;
		if ((e->eax >> 5 & 7) == 3)
			e->eax |= ((1U << bits) - 1) << 14;
		if (e->eax & 0x1f)
			e->eax |= ((1U << bits) - 1) << 26;
		return true;
	case 0xb:
	case 0x1f:
		return false;
	case 0x80000008:
		e->ecx = bits << 12 | (cpus - 1);
		return true;
	case 0x8000001e:
		e->eax = vcpu->index;
		e->ebx = vcpu->index;
		e->ecx = 0;
		return true;
	default:
		return true;
	}
}

void cpu_setup(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;
	uint32_t i, n = 0;
	bool has_topology = false;

	/* Two entries more than KVM may give, for cpuid_add_topology() */
	cpuid = calloc(1, sizeof(*cpuid) + (MAX_CPUID + 2) * sizeof(cpuid->entries[0]));
	if (!cpuid)
		die("out of memory");
	cpuid->nent = MAX_CPUID;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid))
		die("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));

	for (i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 0xb)
			has_topology = true;
		if (cpuid_fix(&cpuid->entries[i], vcpu))
			cpuid->entries[n++] = cpuid->entries[i];
	}
	cpuid->nent = n;
	if (has_topology)
		cpuid_add_topology(cpuid, vcpu);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid))
		die("KVM_SET_CPUID2: %s", strerror(errno));
	free(cpuid);
}

/* Flat 64-bit segments, and the first 4 GiB mapped one to one by 2 MiB pages */
static void cpu_build_tables(struct vm *vm)
{
	uint64_t *gdt = vm_ram(vm, BOOT_GDT, 4 * sizeof(*gdt));
	uint64_t *pml4 = vm_ram(vm, BOOT_PML4, 6 * 4096);
	uint64_t *pdpt, *pd;
	unsigned int i;

	gdt[2] = 0x00af9b000000ffff; /* selector 0x10: code */
	gdt[3] = 0x00cf93000000ffff; /* selector 0x18: data */

	pdpt = pml4 + 512;
	pd = pdpt + 512;
	pml4[0] = (BOOT_PML4 + 4096) | 3;
	for (i = 0; i < 4; i++)
		pdpt[i] = (BOOT_PML4 + (2 + i) * 4096) | 3;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = (uint64_t)i << 21 | 0x83;
}

void cpu_setup_boot(struct vcpu *vcpu)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x10,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 0x18,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rip = vcpu->vm->entry,
		.rsi = BOOT_PARAMS,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	cpu_build_tables(vcpu->vm);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS: %s", strerror(errno));
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.gdt.base = BOOT_GDT;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.cr0 |= 0x80000001; /* PG, PE */
	sregs.cr3 = BOOT_PML4;
	sregs.cr4 |= 0x20;   /* PAE */
	sregs.efer |= 0x500; /* LMA, LME */
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
		die("KVM_SET_SREGS: %s", strerror(errno));
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs))
		die("KVM_SET_REGS: %s", strerror(errno));
}
