/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must come of guest writes, by the rules, and whether it has.
 *
 * Calls may be made while the guest writes: whatever was right before, between or
 * after them is right then.
 */
#ifndef SELFTESTS_FUZZ_EXPECT_H
#define SELFTESTS_FUZZ_EXPECT_H

#include "burst.h"
#include "kvm_search.h"
#include "model.h"
#include "slots.h"

/* What is there by the rules, and where KVM has it. */
struct rules {
	struct model model;
	struct kvm_search search[MODEL_BUSES];
};

/* What has been seen, of writes while no call was made. */
struct expect_counts {
	unsigned long hits;
	unsigned long misses_foreseen;
	unsigned long misses;
};

extern struct expect_counts expect_counts;

/* Expects these writes and nothing else. */
void expect_writes(const struct bursts *bursts);
/* For each state that there is until the writes are done. */
void expect_by(const struct rules *rules);

/*
 * When they are done: have those pieces exited that should?  Adds to the doorbells'
 * hits what kvmfd has to count.
 */
void expect_exits(enum side side, struct burst_vcpu *vcpus, const struct rules *rules);
/* Then: have the others signalled the right eventfds?  Takes their counters. */
bool expect_signals(enum side side);
/* If not, and if one write alone was expected: complains of it. */
void expect_blame(enum side side, const struct rules *rules);

#endif /* SELFTESTS_FUZZ_EXPECT_H */
