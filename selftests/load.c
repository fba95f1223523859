// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is loaded while memory is short: it says so and leaves nothing, or is
 * there.  Of all that loading takes, its own part comes last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "harness.h"

#define MODULE "/kvmfd.ko"

/* More than there are, and how many of the last are tried. */
#define MANY_SITES 1000000
#define TRIED      120

static void unload(void)
{
	int err = syscall(SYS_delete_module, "kvmfd", O_NONBLOCK) ? errno : 0;

	TEST_ASSERT(!err, "unloading kvmfd: %s", strerror(err));
}

static int load(int file)
{
	return syscall(SYS_finit_module, file, "", 0) ? errno : 0;
}

/* How many it takes. */
static int count_sites(int file)
{
	int left, err;

	unload();
	fail_nth(MANY_SITES);
	err = load(file);
	left = fail_nth_left();
	TEST_ASSERT(!err, "loading kvmfd: %s", strerror(err));
	return MANY_SITES - left;
}

TEST(without_memory)
{
	int file, n, err, sites, refused = 0;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	fail_setup();
	file = open(MODULE, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, file);
	sites = count_sites(file);
	for (n = sites; n > sites - TRIED; n--) {
		unload();
		fail_nth(n);
		err = load(file);
		fail_nth_left();
		if (!err)
			continue;
		EXPECT_EQ(ENOMEM, err);
		refused++;
		ASSERT_EQ(0, load(file));
	}
	TH_LOG("%d in all, refused: %d of the last %d", sites, refused, TRIED);
	/* The queues, and the device. */
	EXPECT_LE(3, refused);
	close(file);
}

TEST_HARNESS_MAIN
