// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting until no vCPU can be in what has been replaced or removed.
 *
 * A vCPU is within kvm->srcu for as long as a page fault takes, so the wait is
 * dear.  Only removing has to wait: it promises that no more signal comes.  What
 * adding has replaced may be freed at leisure; it is kept until somebody waits
 * anyhow, or a lot of it has come together.
 */
#include <linux/mm.h>
#include <linux/srcu.h>

#include "kvmfd.h"

/* What a call can retire: the arrays of all buses and their indexes. */
#define MOST_PER_CALL (2 * KVM_NR_BUSES)

#define MAX_RETIRED_BYTES SZ_64K

/**
 * kvmfd_retire() - free memory when no vCPU can read it any more
 * @p: the attachment, pinned, &kvmfd.lock held
 * @mem: what kvfree() can free
 * @size: its size in bytes
 * @bus: if @mem is an array of KVM's: the bus, which may use it again
 *
 * kvmfd_settle() or kvmfd_settle_lazily() must follow.
 */
void kvmfd_retire(struct kvmfd *p, void *mem, size_t size, struct kvmfd_bus *bus)
{
	struct kvmfd_retired *r = &p->retired_mem[p->nr_retired++];

	lockdep_assert_held(&p->lock);

	r->mem = mem;
	r->bus = bus;
	p->retired_bytes += size;
}

/**
 * kvmfd_free_retired() - free it now
 * @p: an attachment in whose memory no vCPU is
 */
void kvmfd_free_retired(struct kvmfd *p)
{
	while (p->nr_retired) {
		struct kvmfd_retired *r = &p->retired_mem[--p->nr_retired];

		if (r->bus)
			kvmfd_bus_recycle(r->bus, r->mem);
		else
			kvfree(r->mem);
	}
	p->retired_bytes = 0;
}

/**
 * kvmfd_settle() - wait until no vCPU can be in what was replaced or removed
 * @p: the attachment, pinned, &kvmfd.lock held, but not kvm->slots_lock
 */
void kvmfd_settle(struct kvmfd *p)
{
	lockdep_assert_held(&p->lock);

	synchronize_srcu_expedited(&p->kvm->srcu);
	kvmfd_free_retired(p);
}

/**
 * kvmfd_settle_lazily() - the same for what was replaced, if it has become too much
 * @p: the attachment, pinned, &kvmfd.lock held, but not kvm->slots_lock
 */
void kvmfd_settle_lazily(struct kvmfd *p)
{
	if (p->nr_retired + MOST_PER_CALL > ARRAY_SIZE(p->retired_mem) ||
	    p->retired_bytes > MAX_RETIRED_BYTES)
		kvmfd_settle(p);
}
