// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast MMIO: the second device of a length-0 doorbell.
 *
 * Where the processor tells the address of a faulting write but not its width
 * and value, KVM asks KVM_FAST_MMIO_BUS before it decodes the instruction, with
 * a length of 0 and no value.  A doorbell that takes any write at its address is
 * therefore put on that bus as well; the write reaches one of the two devices.
 */
#include "kvmfd.h"

static struct kvmfd_doorbell *doorbell_of(struct kvm_io_device *dev)
{
	return container_of(dev, struct kvmfd_doorbell, fast);
}

/* @val is NULL here. */
static int fast_mmio_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev,
			   gpa_t addr, int len, const void *val)
{
	struct kvmfd_doorbell *db = doorbell_of(dev);

	if (addr != db->addr)
		return -EOPNOTSUPP;

	kvmfd_doorbell_ring(db);
	return 0;
}

static void fast_mmio_destructor(struct kvm_io_device *dev)
{
	kvmfd_doorbell_destroyed(doorbell_of(dev));
}

const struct kvm_io_device_ops kvmfd_fast_mmio_ops = {
	.write = fast_mmio_write,
	.destructor = fast_mmio_destructor,
};

/**
 * kvmfd_fast_mmio_wanted() - does a doorbell have a device on the fast bus?
 * @db: the doorbell
 *
 * Return: whether it takes any write, and by MMIO.
 */
bool kvmfd_fast_mmio_wanted(const struct kvmfd_doorbell *db)
{
	return db->bus == KVM_MMIO_BUS && !db->len;
}
