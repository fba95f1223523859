/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes on their way into an attachment: for the files that stage, make and undo them.
 */
#ifndef KVMFD_EDIT_H
#define KVMFD_EDIT_H

#include "kvmfd.h"

/**
 * struct kvmfd_bus_edit - how a bus is to change
 * @index: its next index, with all changes in it, or NULL for an assign that can be
 *	made in the published one
 * @add: ranges to add, sorted by address and length, none of them on the bus
 * @drop: ranges to remove, sorted likewise
 * @nr_add: how many
 * @nr_drop: how many
 */
struct kvmfd_bus_edit {
	struct kvmfd_index *index;
	struct kvm_io_range *add;
	struct kvm_io_range *drop;
	int nr_add;
	int nr_drop;
};

/* What a staged change makes, or takes away. */
union kvmfd_staged {
	struct kvmfd_doorbell *doorbell;
	struct kvmfd_irqfd *irqfd;
	struct eventfd_ctx *eventfd; /* of the irqfd that is to go */
};

/**
 * struct kvmfd_edit - changes that are made together, or not at all
 * @p: the attachment, pinned, &kvmfd.lock held
 * @changes: the changes
 * @staged: what has been staged of each, or NULL
 * @ranges: room for two for each change
 * @count: how many changes there are
 * @failed: the one that cannot be made; @count if it is no single one
 * @new_doorbells: how many of the changes make a doorbell
 * @old_doorbells: how many take one away
 * @irqfds: how many make or take away an irqfd
 * @nr_ranges: how many ranges are to be added or removed
 * @bus: by enum kvm_bus
 */
struct kvmfd_edit {
	struct kvmfd *p;
	const struct kvmfd_change *changes;
	union kvmfd_staged *staged;
	struct kvm_io_range *ranges;
	u32 count;
	u32 failed;
	u32 new_doorbells;
	u32 old_doorbells;
	u32 irqfds;
	u32 nr_ranges;
	struct kvmfd_bus_edit bus[KVM_NR_BUSES];
};

/* io_bus.c */
int kvmfd_bus_prepare(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_bus_edit *be);
int kvmfd_bus_may_change(struct kvmfd *p, enum kvm_bus idx,
			 const struct kvmfd_bus_edit *be);
void kvmfd_bus_change(struct kvmfd *p, enum kvm_bus idx, const struct kvmfd_bus_edit *be);

/* ioeventfd.c */
int kvmfd_ioeventfd_stage(struct kvmfd_edit *e);
void kvmfd_ioeventfd_abort(struct kvmfd_edit *e);
void kvmfd_ioeventfd_commit(struct kvmfd_edit *e);

/* ranges.c */
void kvmfd_range_note(struct kvmfd_edit *e, enum kvm_bus idx, u64 addr, u32 len,
		      struct kvm_io_range *ranges, int *nr);
void kvmfd_ranges_finish(struct kvmfd_edit *e);
int kvmfd_ranges_lock(struct kvmfd_edit *e);
void kvmfd_range_remove(struct kvmfd *p, enum kvm_bus idx, u64 addr, u32 len);

/* fast_mmio.c */
void kvmfd_fast_mmio_note(struct kvmfd_edit *e);

/* irqfd_batch.c */
int kvmfd_irqfd_stage(struct kvmfd_edit *e);
void kvmfd_irqfd_abort(struct kvmfd_edit *e);
void kvmfd_irqfd_commit(struct kvmfd_edit *e);

#endif /* KVMFD_EDIT_H */
