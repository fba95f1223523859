/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers that are the same for the same seed, everywhere.
 */
#ifndef SELFTESTS_FUZZ_CHANCE_H
#define SELFTESTS_FUZZ_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

void chance_seed(uint64_t seed);
uint64_t chance_bits(void);
/* 0 to @n - 1 */
unsigned int chance_below(unsigned int n);
/* True @percent times of 100. */
bool chance(unsigned int percent);

#define any_of(array) ((array)[chance_below(ARRAY_SIZE(array))])

#endif /* SELFTESTS_FUZZ_CHANCE_H */
