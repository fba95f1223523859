/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KVM's own search of a bus makes of a write.
 *
 * KVM keeps the ranges of a bus in an array, and one comparison serves to place a
 * new one, to search, and to tell whether a write touches a range.  The last makes
 * it an order that is none: overlapping ranges are equal, though not each to each,
 * and whether a write lies above a range is asked of where both end, unless the
 * range has the length 0.  Depending on what else is on the bus, and on what came
 * first, the search then misses a doorbell that the write rings by the rules.
 */
#ifndef SELFTESTS_FUZZ_KVM_SEARCH_H
#define SELFTESTS_FUZZ_KVM_SEARCH_H

#include "model.h"

struct kvm_search {
	const struct doorbell *range[MODEL_MAX];
	unsigned int n;
};

void kvm_search_insert(struct kvm_search *s, const struct doorbell *bell);
void kvm_search_remove(struct kvm_search *s, const struct doorbell *bell);

/* The doorbell that KVM finds for a write, or NULL. */
const struct doorbell *kvm_search_hit(const struct kvm_search *s, uint64_t addr,
				      unsigned int len, uint64_t value);

#endif /* SELFTESTS_FUZZ_KVM_SEARCH_H */
