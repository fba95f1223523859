/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures on purpose, of the calling task: the kernel's fault injection.
 */
#ifndef SELFTESTS_FAIL_H
#define SELFTESTS_FAIL_H

#include <stdbool.h>

#define NO_FAILURES "the kernel injects no failures (make check-debug)"

bool fail_possible(void);
/* First, and once in each process. */
void fail_setup(void);
/* How many allocations have failed since. */
long fail_count(void);

/* Every allocation from here on. */
void fail_all(bool on);

/* More than any call takes. */
#define FAIL_MUCH (1 << 30)

/* What fail_all() lets be had all the same: bytes of slabs, and pages. */
void fail_leave(int bytes, int pages);
/* So much has been had of that. */
int fail_taken_bytes(void);
int fail_taken_pages(void);

/* The @n-th allocation, or copy from or to user space, from here on, and no other. */
void fail_nth(int n);
/*
 * Ends that.  How many were still to come?  With 0 it has come: but not each makes a call
 * fail, tools that watch the kernel allocate, too.
 */
int fail_nth_left(void);

#endif /* SELFTESTS_FAIL_H */
