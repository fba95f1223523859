// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#include "hostile/judge.h"
#include "hostile/kernel_log.h"

/* As the test host has it: what the kernel says when something is wrong. */
#define KERNEL_ERRORS "/etc/kernel-errors"
#define PATTERNS_MAX  32

static regex_t patterns[PATTERNS_MAX];
static unsigned int nr_patterns;
static int kmsg = -1;

static void read_patterns(void)
{
	FILE *f = fopen(KERNEL_ERRORS, "re");
	char line[128];

	while (f && nr_patterns < PATTERNS_MAX && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		TEST_ASSERT(!regcomp(&patterns[nr_patterns++], line, REG_EXTENDED | REG_NOSUB),
			    KERNEL_ERRORS ": %s", line);
	}
	if (f)
		fclose(f);
}

void kernel_log_begin(void)
{
	if (!nr_patterns)
		read_patterns();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	TEST_ASSERT(kmsg >= 0 && !lseek(kmsg, 0, SEEK_END), "/dev/kmsg: %s", strerror(errno));
}

void kernel_log_look(void)
{
	char record[2048];
	unsigned int i;
	ssize_t n;

	/* EPIPE: some were lost, there are others. */
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		record[n < 0 ? 0 : n] = 0;
		record[strcspn(record, "\n")] = 0;
		for (i = 0; i < nr_patterns; i++)
			if (!regexec(&patterns[i], record, 0, NULL, 0))
				complain("the kernel: %s", record);
	}
}

void kernel_log_end(void)
{
	close(kmsg);
}
