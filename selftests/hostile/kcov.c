// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kcov.h>
#include <unistd.h>

#include "test_util.h"

#include "hostile/kcov.h"

#define DEVICE "/sys/kernel/debug/kcov"
/*
 * Nothing but kvmfd is traced, and few programs execute more of it.  What has more pages is
 * copied page by page in each fork: 8 MiB each took a third of all time.
 */
#define WORDS  (1UL << 16)

struct lane {
	int fd;
	/* The number of addresses, then the addresses. */
	uint64_t *words;
};

static struct lane lanes[KCOV_LANES];
static bool opened;
static uint64_t base, size;
/* By the distance from the base.  Not a static array: KVM's library copies those. */
static bool *reached;
static unsigned int places;

static void find_module(void)
{
	char name[64];
	FILE *f = fopen("/proc/modules", "r");
	bool found = false;

	TEST_ASSERT(f, "/proc/modules: %s", strerror(errno));
	while (!found && fscanf(f, "%63s %lu %*s %*s %*s %lx%*[^\n]", name, &size, &base) == 3)
		found = !strcmp(name, "kvmfd");
	fclose(f);
	TEST_ASSERT(found && base, "where is kvmfd?");
}

static void lane_open(struct lane *lane)
{
	lane->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	TEST_ASSERT(lane->fd >= 0 && !ioctl(lane->fd, KCOV_INIT_TRACE, WORDS), DEVICE ": %s",
		    strerror(errno));
	lane->words = mmap(NULL, WORDS * sizeof(*lane->words), PROT_READ | PROT_WRITE,
			   MAP_SHARED, lane->fd, 0);
	TEST_ASSERT(lane->words != MAP_FAILED, "mmap " DEVICE ": %s", strerror(errno));
}

bool kcov_open(void)
{
	unsigned int i;

	if (access(DEVICE, F_OK))
		return false;
	find_module();
	reached = calloc(size, sizeof(*reached));
	TEST_ASSERT(reached, "out of memory");
	for (i = 0; i < KCOV_LANES; i++)
		lane_open(&lanes[i]);
	opened = true;
	return true;
}

void kcov_begin(unsigned int lane)
{
	/* It fails if another task has the lane. */
	if (opened)
		ioctl(lanes[lane].fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

void kcov_end(unsigned int lane)
{
	if (opened)
		ioctl(lanes[lane].fd, KCOV_DISABLE, 0);
}

static unsigned int lane_collect(struct lane *lane)
{
	uint64_t i, n = __atomic_exchange_n(lane->words, 0, __ATOMIC_RELAXED);
	unsigned int first = 0;

	for (i = 1; i <= n; i++) {
		uint64_t at = lane->words[i] - base;

		if (at >= size || reached[at])
			continue;
		reached[at] = true;
		first++;
	}
	places += first;
	return first;
}

unsigned int kcov_collect(void)
{
	unsigned int i, first = 0;

	for (i = 0; opened && i < KCOV_LANES; i++)
		first += lane_collect(&lanes[i]);
	return first;
}

unsigned int kcov_places(void)
{
	return places;
}
