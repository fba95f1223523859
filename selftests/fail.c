// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "fail.h"

#define DEBUGFS "/sys/kernel/debug"
#define MANY    1000000000L

static const char *const injectors[] = {
	DEBUGFS "/failslab",
	DEBUGFS "/fail_page_alloc",
};

/* By fail_leave(). */
static int granted[2];

/* To open them takes memory, which is not to be had then. */
static int make_it_fail;
static int nth;

static void put(const char *dir, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file_write(path, value);
}

static long get(const char *dir, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return file_number(path);
}

static int open_control(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "cannot open %s: %s", path, strerror(errno));
	return fd;
}

static void control(int fd, int value)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", value);

	/* If this is the n-th to fail, then once. */
	TEST_ASSERT(pwrite(fd, text, len, 0) == len || pwrite(fd, text, len, 0) == len,
		    "/proc/self: %s", strerror(errno));
}

bool fail_possible(void)
{
	return !access(injectors[0], F_OK);
}

void fail_setup(void)
{
	char many[16];
	unsigned int i;

	snprintf(many, sizeof(many), "%ld", MANY);
	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		put(injectors[i], "task-filter", "Y");
		put(injectors[i], "ignore-gfp-wait", "N");
		put(injectors[i], "probability", "100");
		put(injectors[i], "times", many);
		put(injectors[i], "verbose", "0");
	}
	/* What the program before this did not take would be had here. */
	fail_leave(0, 0);
	put(injectors[1], "min-order", "0");
	put(injectors[1], "ignore-gfp-highmem", "N");
	put(DEBUGFS "/fail_usercopy", "verbose", "0");
	make_it_fail = open_control("/proc/self/make-it-fail");
	nth = open_control("/proc/self/fail-nth");
}

long fail_count(void)
{
	return 2 * MANY - get(injectors[0], "times") - get(injectors[1], "times");
}

void fail_all(bool on)
{
	control(make_it_fail, on);
}

void fail_leave(int bytes, int pages)
{
	char text[16];
	unsigned int i;

	granted[0] = bytes;
	granted[1] = pages;
	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		snprintf(text, sizeof(text), "%d", granted[i]);
		put(injectors[i], "space", text);
	}
}

int fail_taken_bytes(void)
{
	return granted[0] - get(injectors[0], "space");
}

int fail_taken_pages(void)
{
	return granted[1] - get(injectors[1], "space");
}

void fail_nth(int n)
{
	control(nth, n);
}

int fail_nth_left(void)
{
	char text[16] = {};
	/* If there is one left, it can be this very read. */
	int left = pread(nth, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 1;

	control(nth, 0);
	return left;
}
