// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fast MMIO: length-0 doorbells, once more.
 *
 * Where the processor tells the address of a faulting write but not its width
 * and value, KVM asks KVM_FAST_MMIO_BUS before it decodes the instruction, with
 * a length of 0 and no value.  A doorbell that takes any write at its address
 * therefore has a range on that bus as well; the write reaches one of the two.
 * They share the index of the MMIO bus, see &kvmfd_bus.indexed_by.
 */
#include "edit.h"

static void copy(struct kvmfd_edit *e, const struct kvm_io_range *from, int nr_from,
		 struct kvm_io_range *to, int *nr)
{
	int i;

	for (i = 0; i < nr_from; i++)
		if (!from[i].len)
			kvmfd_range_note(e, KVM_FAST_MMIO_BUS, from[i].addr, 0, to, nr);
}

/**
 * kvmfd_fast_mmio_note() - an edit's ranges on the MMIO bus are final
 * @e: the edit, which gets those of length 0 on the fast bus, too
 */
void kvmfd_fast_mmio_note(struct kvmfd_edit *e)
{
	struct kvmfd_bus_edit *mmio = &e->bus[KVM_MMIO_BUS];
	struct kvmfd_bus_edit *fast = &e->bus[KVM_FAST_MMIO_BUS];

	copy(e, mmio->add, mmio->nr_add, fast->add, &fast->nr_add);
	copy(e, mmio->drop, mmio->nr_drop, fast->drop, &fast->nr_drop);
}
