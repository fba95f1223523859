// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast MMIO: length-0 doorbells, once more.
 *
 * Where the processor tells the address of a faulting write but not its width
 * and value, KVM asks KVM_FAST_MMIO_BUS before it decodes the instruction, with
 * a length of 0 and no value.  A doorbell that takes any write at its address
 * therefore has a range on that bus as well; the write reaches one of the two.
 * They share the index of the MMIO bus.
 */
#include "kvmfd.h"

/* @val is NULL here. */
static int fast_mmio_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev,
			   gpa_t addr, int len, const void *val)
{
	struct kvmfd *p = container_of(dev, struct kvmfd_bus, dev)->owner;
	struct kvmfd_index *ix = srcu_dereference(p->bus[KVM_MMIO_BUS].index,
						  &vcpu->kvm->srcu);
	struct kvmfd_doorbell *db = ix ? kvmfd_index_hit(ix, addr, 0, NULL) : NULL;

	if (!db)
		return -EOPNOTSUPP;

	kvmfd_doorbell_ring(db);
	return 0;
}

static void fast_mmio_destructor(struct kvm_io_device *dev)
{
	kvmfd_bus_range_destroyed(container_of(dev, struct kvmfd_bus, dev));
}

const struct kvm_io_device_ops kvmfd_fast_mmio_ops = {
	.write = fast_mmio_write,
	.destructor = fast_mmio_destructor,
};
