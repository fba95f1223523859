// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is not generic KVM: the mode of the interrupt controller, and of which interrupts
 * KVM sees the end.  See also include/x86.h.
 */
#include <linux/smp.h>

#include "kvmfd.h"

#define PINS_OF_A_PIC 8

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
 * kvmfd_arch_pin() - a pin of an interrupt controller as user space numbers it
 * @e: a routing entry that leads to one
 *
 * Return: its number at this chip.  KVM numbers the pins of both PICs in one row.
 */
u32 kvmfd_arch_pin(const struct kvm_kernel_irq_routing_entry *e)
{
	u32 pin = e->irqchip.pin;

	return e->irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE ? pin - PINS_OF_A_PIC : pin;
}
