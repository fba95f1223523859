// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's write: which doorbell does it hit, if any?  Count it and signal.
 *
 * Each instruction here is one of every kick's: it is one function, but for what few
 * kicks need.
 */
#include <linux/eventfd.h>

#include "index.h"
#include "trace.h"

/* The most frequent lengths first. */
static inline u64 written_value(int len, const void *val)
{
	if (likely(len == 4))
		return get_unaligned((const u32 *)val);
	if (len == 2)
		return get_unaligned((const u16 *)val);
	if (len == 1)
		return *(const u8 *)val;
	return get_unaligned((const u64 *)val);
}

/* At the address of a write, and of its length or of any. */
static __always_inline struct kvmfd_key *first_key(const struct kvmfd_index *ix, u64 addr,
						   int len)
{
	const struct table *t = &ix->keys;
	struct kvmfd_key *key;
	unsigned long i;

	for (i = first_slot(t, key_hash(ix, addr)); (key = slot(t, i)); i = next_slot(t, i)) {
		if (key->addr != addr)
			continue;
		if (likely(key->len == len))
			return key;
		/* Read once more, so that it is not what is looked at first. */
		if (!READ_ONCE(key->len))
			return key;
	}

	return NULL;
}

/* Returns 0. */
static __always_inline int ring(const struct kvmfd_bus *b, struct kvmfd_doorbell *db, bool watched)
{
	/* This thread's CPU may be another one by then. */
	atomic64_inc(&db->hits[raw_cpu_read(kvmfd_hits_at)]);
	if (watched && kvmfd_fault_strikes(b->owner, &db->item))
		return 0;
	kvmfd_eventfd_signal(db->eventfd);
	return 0;
}

/* At an address and length there are other keys than @key only with other masks. */
static noinline struct kvmfd_doorbell *find_with_masks(const struct kvmfd_index *ix,
						       const struct kvmfd_key *key, u64 value)
{
	const struct table *t = &ix->keys;
	const struct kvmfd_key *other;
	struct kvmfd_doorbell *db;
	unsigned long i;

	for (i = first_slot(t, key_hash(ix, key->addr)); (other = slot(t, i));
	     i = next_slot(t, i)) {
		if (other->addr != key->addr || other->len != key->len)
			continue;
		db = find_doorbell(ix, other, value & other->mask);
		if (db)
			return db;
	}

	return NULL;
}

static __always_inline int write(struct kvm_vcpu *vcpu, const struct kvmfd_bus *b, gpa_t addr,
				 int len, const void *val, bool watched)
{
	struct kvmfd_index *ix = srcu_dereference(b->indexed_by->index, &vcpu->kvm->srcu);
	struct kvmfd_key *key = first_key(ix, addr, len);
	struct kvmfd_doorbell *db;
	u64 value;

	if (!key)
		return -EOPNOTSUPP;
	/* By the rules of what collides, a wildcard and any length have no neighbours. */
	if (!key->mask)
		return ring(b, wildcard_of(key), watched);

	value = written_value(len, val);
	db = find_doorbell(ix, key, value & key->mask);
	if (unlikely(!db))
		db = find_with_masks(ix, key, value);
	return db ? ring(b, db, watched) : -EOPNOTSUPP;
}

static noinline int watched_write(struct kvm_vcpu *vcpu, const struct kvmfd_bus *b, gpa_t addr,
				  int len, const void *val)
{
	const struct kvmfd *p = b->owner;
	bool port = b == &p->bus[KVM_PIO_BUS];
	int ret = write(vcpu, b, addr, len, val, true);
	u64 value = 0;

	/* Of any length, other than what is looked up: a write across pages comes in parts. */
	if (len)
		memcpy(&value, val, min_t(size_t, len, sizeof(value)));
	if (ret)
		trace_kvmfd_miss(p, port, addr, len, value);
	else
		trace_kvmfd_hit(p, port, addr, len, value);
	return ret;
}

/**
 * kvmfd_doorbell_write() - a write that may be for a doorbell
 * @vcpu: the vCPU that made it, within kvm->srcu
 * @dev: &kvmfd_bus.dev of the bus
 * @addr: its address
 * @len: its length in bytes; 0 on the fast bus, where only a doorbell for any length
 *	will do
 * @val: what was written; not looked at if @len is 0
 *
 * Return: 0, or -EOPNOTSUPP if it hits none.
 */
int kvmfd_doorbell_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,
			 int len, const void *val)
{
	const struct kvmfd_bus *b = container_of(dev, struct kvmfd_bus, dev);

	if (static_branch_unlikely(&kvmfd_writes_watched))
		return watched_write(vcpu, b, addr, len, val);
	return write(vcpu, b, addr, len, val, false);
}
