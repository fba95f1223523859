/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupts that can be set with interrupts off: for inject.c, of whose wake-up each
 * instruction is one of every call's.
 */
#ifndef KVMFD_X86_H
#define KVMFD_X86_H

#include "kvmfd.h"

/* What an 8-bit destination says to reach everyone; with x2APIC it has 32. */
#define XAPIC_BROADCAST  0xff
#define X2APIC_BROADCAST 0xffffffff

/* Where an MSI's address has its destination: the low part, and with x2APIC more. */
#define MSI_DEST(lo)        ((lo) >> 12 & 0xff)
#define MSI_DEST_X2APIC(hi) ((hi) & ~0xffU)
#define MSI_DEST_LOGICAL    BIT(2)

static inline bool msi_is_broadcast(struct kvm *kvm, const struct kvm_apic_map *map, u32 dest)
{
	if (dest == X2APIC_BROADCAST)
		return true;
	if (dest != XAPIC_BROADCAST)
		return false;

	/* Unless the VMM has opted out, 255 reaches all even with x2APIC. */
	return !kvm->arch.x2apic_broadcast_quirk_disabled ||
	       kvmfd_apic_logical_mode(map) != KVM_APIC_MODE_X2APIC;
}

static inline bool map_has_logical(const struct kvm_apic_map *map)
{
	switch (kvmfd_apic_logical_mode(map)) {
	case KVM_APIC_MODE_XAPIC_FLAT:
	case KVM_APIC_MODE_XAPIC_CLUSTER:
	case KVM_APIC_MODE_X2APIC:
		return true;
	default:
		return false;
	}
}

/*
 * KVM delivers an MSI by a look-up that yields at most 16 local APICs, or, if
 * that does not apply, by asking every vCPU in turn.  Is it the former?
 *
 * The map stays, for the wait queue's lock is held: interrupts are off, or with PREEMPT_RT
 * the lock makes its holder a reader of RCU.
 */
static inline bool msi_by_lookup(struct kvm *kvm, const struct kvm_kernel_irq_routing_entry *e)
{
	const struct kvm_apic_map *map = rcu_dereference_check(kvm->arch.apic_map,
							       irqs_disabled());
	bool logical = e->msi.address_lo & MSI_DEST_LOGICAL;
	u32 dest = MSI_DEST(e->msi.address_lo);

	if (kvm->arch.x2apic_format)
		dest |= MSI_DEST_X2APIC(e->msi.address_hi);

	return map && !msi_is_broadcast(kvm, map, dest) && (!logical || map_has_logical(map));
}

/**
 * kvmfd_arch_set_irq_inline() - raise an interrupt from within a wake-up
 * @kvm: the VM
 * @e: the only routing entry of the GSI; the caller is within kvm->irq_srcu
 *
 * Interrupts are off: no sleeping, no lock that is taken with them on (as those
 * of IOAPIC and PIC are), and no walk over all vCPUs.
 *
 * Return: whether it was raised; if not, it needs a worker.
 */
static inline bool kvmfd_arch_set_irq_inline(struct kvm *kvm,
					     struct kvm_kernel_irq_routing_entry *e)
{
	if (e->type != KVM_IRQ_ROUTING_MSI || !msi_by_lookup(kvm, e))
		return false;

	e->set(e, kvm, KVM_USERSPACE_IRQ_SOURCE_ID, 1, false);
	return true;
}

#endif /* KVMFD_X86_H */
