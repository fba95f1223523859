/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which places in kvmfd have been reached, as KCOV tells it: a kernel option.
 *
 * What is reached is told for each task by itself, each in a lane of its own.
 */
#ifndef SELFTESTS_HOSTILE_KCOV_H
#define SELFTESTS_HOSTILE_KCOV_H

#include <stdbool.h>

#define KCOV_LANES 4

/* As root, before privileges are dropped.  Returns whether the kernel has it. */
bool kcov_open(void);
/* The calling task is traced from here on, unless another one has the lane. */
void kcov_begin(unsigned int lane);
void kcov_end(unsigned int lane);
/* How many places have been reached for the first time, on all lanes since the last call. */
unsigned int kcov_collect(void);
/* All that have been reached. */
unsigned int kcov_places(void);

#endif /* SELFTESTS_HOSTILE_KCOV_H */
