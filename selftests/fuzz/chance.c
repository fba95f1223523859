// SPDX-License-Identifier: GPL-2.0-only
#include "chance.h"

static uint64_t state;

void chance_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64: what follows from neighbouring seeds has nothing in common. */
uint64_t chance_bits(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned int chance_below(unsigned int n)
{
	return chance_bits() % n;
}

bool chance(unsigned int percent)
{
	return chance_below(100) < percent;
}
