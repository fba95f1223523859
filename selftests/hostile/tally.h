/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has happened, as all processes and threads that make calls tell it.
 */
#ifndef SELFTESTS_HOSTILE_TALLY_H
#define SELFTESTS_HOSTILE_TALLY_H

#include <stdint.h>

#include "hostile/call.h"

/**
 * struct tally - shared by the processes of a run
 * @calls: made so far
 * @programs: of these many programs
 * @granted: requests that succeeded, by their place in requests[]
 * @faults: what was not as it should be
 * @places: of kvmfd that have been reached
 * @kept: programs that reached one first
 */
struct tally {
	uint64_t calls;
	uint64_t programs;
	uint64_t granted[REQUESTS];
	uint64_t faults;
	uint64_t places;
	uint64_t kept;
};

extern struct tally *tally;

static inline void tally_add(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

#endif /* SELFTESTS_HOSTILE_TALLY_H */
