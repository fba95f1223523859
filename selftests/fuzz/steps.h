/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a fuzzer's round does: random calls and bursts of guest writes.
 */
#ifndef SELFTESTS_FUZZ_STEPS_H
#define SELFTESTS_FUZZ_STEPS_H

#include <stdbool.h>

/* What there is in a round. */
struct kind {
	bool mmio, pio;
	unsigned int vcpus;
	bool calls_meanwhile;
	bool masks;
};

struct step_counts {
	unsigned long writes;
	unsigned long answers[64]; /* of calls, by errno */
	unsigned long others;      /* eventfds that come or go, attach, detach */
};

extern struct step_counts step_counts;

/* From nothing to nothing; fewer steps if kvmfd answers a call wrongly. */
void steps_run(const struct kind *kind, unsigned int steps);

#endif /* SELFTESTS_FUZZ_STEPS_H */
