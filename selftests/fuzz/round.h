/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a fuzzer's run that is under way, all of which follows from its seed,
 * and what is wrong with it.
 */
#ifndef SELFTESTS_FUZZ_ROUND_H
#define SELFTESTS_FUZZ_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "slots.h"

/* Until round_end(), a round that takes too long, or ends the program, is named. */
void round_begin(uint64_t seed, unsigned int steps);
void round_end(void);
/* Begins the next @n steps. */
void round_step(unsigned int n);

enum fault {
	MISSED,
	TOOK,
	STRAYED,
	MISCOUNTED,
	ANSWERED,
	LISTED,
	FAULTS,
};

/*
 * Thousands of writes may go wrong in the same way: of each fault, the example with
 * the smallest @size is kept.
 */
void __attribute__((format(printf, 4, 5)))
complain(enum side side, enum fault fault, unsigned int size, const char *format, ...);

/* Prints the complaints since the last time.  Returns whether there were none. */
bool round_verdict(void);

#endif /* SELFTESTS_FUZZ_ROUND_H */
