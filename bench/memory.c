// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel memory that the benchmark's cgroup is charged with, by the page: so it is
 * measured with many.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

/* bench/l1-bench has put the benchmark there. */
#define STAT "/cgroup/bench/memory.stat"

static double charged(const char *what)
{
	unsigned long long bytes;
	char line[64], name[32];
	FILE *f;

	f = fopen(STAT, "r");
	require(f, "cannot open " STAT);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s %llu", name, &bytes) == 2 && !strcmp(name, what)) {
			fclose(f);
			return bytes;
		}
	}
	require(false, STAT " has no %s", what);
	return 0;
}

struct memory memory_now(void)
{
	double percpu = charged("percpu");

	return (struct memory) { .kernel = charged("kernel") - percpu, .percpu = percpu };
}
