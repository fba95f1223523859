// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that is not generic KVM: the mode of the interrupt controller, which
 * interrupts can be set with interrupts off, and of which KVM sees the end.
 */
#include <linux/smp.h>

#include "kvmfd.h"

/* What an 8-bit destination says to reach everyone; with x2APIC it has 32. */
#define XAPIC_BROADCAST  0xff
#define X2APIC_BROADCAST 0xffffffff

/* Where an MSI's address has its destination: the low part, and with x2APIC more. */
#define MSI_DEST(lo)        ((lo) >> 12 & 0xff)
#define MSI_DEST_X2APIC(hi) ((hi) & ~0xffU)
#define MSI_DEST_LOGICAL    BIT(2)

/**
 * kvmfd_arch_irqfd_allowed() - can the VM have such irqfds at all?
 * @kvm: the VM
 * @flags: KVM_IRQFD_FLAG_*
 *
 * Return: whether the kernel plays its interrupt controller, or at least the
 * local APICs, which is not enough for resample: who has the pins learns of the
 * end of an interrupt.
 */
bool kvmfd_arch_irqfd_allowed(struct kvm *kvm, u32 flags)
{
	enum kvm_irqchip_mode mode = READ_ONCE(kvm->arch.irqchip_mode);

	/* Pairs with KVM's smp_wmb(): the mode is set when all is in place. */
	smp_rmb();
	if (mode == KVM_IRQCHIP_SPLIT)
		return !(flags & KVM_IRQFD_FLAG_RESAMPLE);

	return mode != KVM_IRQCHIP_NONE;
}

static void do_nothing(void *unused)
{
}

/**
 * kvmfd_arch_ack_notifiers_changed() - KVM's list of ack notifiers has changed
 * @kvm: the VM, with the whole interrupt controller in the kernel
 *
 * Each vCPU keeps which vectors it has to see the end of.  That of an
 * edge-triggered pin is one of them only if a notifier wants to know.  When this
 * returns, no vCPU is in the guest with what it kept before.
 *
 * KVM has a function that does this to all vCPUs; newer kernels keep it to KVM.
 */
void kvmfd_arch_ack_notifiers_changed(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int cpu;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		kvm_make_request(KVM_REQ_SCAN_IOAPIC, vcpu);
		if (kvm_vcpu_exiting_guest_mode(vcpu) == OUTSIDE_GUEST_MODE)
			continue;
		/* If it is not there any more, it has left the guest to move. */
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu >= 0)
			smp_call_function_single(cpu, do_nothing, NULL, 1);
	}
}

static bool msi_is_broadcast(struct kvm *kvm, const struct kvm_apic_map *map, u32 dest)
{
	if (dest == X2APIC_BROADCAST)
		return true;
	if (dest != XAPIC_BROADCAST)
		return false;

	/* Unless the VMM has opted out, 255 reaches all even with x2APIC. */
	return !kvm->arch.x2apic_broadcast_quirk_disabled ||
	       kvmfd_apic_logical_mode(map) != KVM_APIC_MODE_X2APIC;
}

static bool map_has_logical(const struct kvm_apic_map *map)
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
 */
static bool msi_by_lookup(struct kvm *kvm, const struct kvm_kernel_irq_routing_entry *e)
{
	bool logical = e->msi.address_lo & MSI_DEST_LOGICAL;
	u32 dest = MSI_DEST(e->msi.address_lo);
	const struct kvm_apic_map *map;
	bool ret;

	if (kvm->arch.x2apic_format)
		dest |= MSI_DEST_X2APIC(e->msi.address_hi);

	rcu_read_lock();
	map = rcu_dereference(kvm->arch.apic_map);
	ret = map && !msi_is_broadcast(kvm, map, dest) &&
	      (!logical || map_has_logical(map));
	rcu_read_unlock();

	return ret;
}

/**
 * kvmfd_arch_set_irq_sleeps() - may setting an interrupt wait for the VMM?
 * @e: a routing entry
 *
 * Return: whether it may, and so must not be done within kvm->irq_srcu.
 */
bool kvmfd_arch_set_irq_sleeps(const struct kvm_kernel_irq_routing_entry *e)
{
	/* Faults the VMM's memory in, and once took kvm->lock. */
	return e->type == KVM_IRQ_ROUTING_XEN_EVTCHN;
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
bool kvmfd_arch_set_irq_inline(struct kvm *kvm, struct kvm_kernel_irq_routing_entry *e)
{
	if (e->type != KVM_IRQ_ROUTING_MSI || !msi_by_lookup(kvm, e))
		return false;

	e->set(e, kvm, KVM_USERSPACE_IRQ_SOURCE_ID, 1, false);
	return true;
}
