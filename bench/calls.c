// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that are none of kvmfd's, with and without the filter of `kvmfd run`, which
 * looks at each.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"
#include "filter.h"

/* Done before the timer's next interrupt, see clock.c. */
#define CALLS 64

/* The one with the least work of its own. */
void call_ioctl(void)
{
	ioctl(current.backend->fd, KVM_CHECK_EXTENSION, 0);
}

void call_getppid(void)
{
	(void)getppid();
}

static double make_calls(unsigned int count)
{
	double begin = clock_begin();

	while (count--)
		current.c->call();
	return clock_end(begin);
}

/* What the filter is there for is seen: with nobody to ask, the kernel says ENOSYS. */
static void require_filter(bool expected)
{
	int err = ioeventfd(current.backend->fd, -1, GUEST_MMIO_BASE, 4, 0, 0);

	require(err == (expected ? ENOSYS : EBADF), "KVM_IOEVENTFD without an eventfd: %s",
		strerror(err));
}

/* A thread is under a filter to its end. */
static void *measure(void *unused)
{
	const bool all_kinds[KINDS] = { true, true };
	double none, all;

	if (current.backend->is_filtered) {
		int listener = filter_install(all_kinds, false);

		require(listener >= 0, "seccomp: %s", strerror(errno));
		close(listener);
	}

	/* The first time does not count: page faults. */
	make_calls(1);
	none = make_calls(0);
	all = make_calls(CALLS);
	record("call", "insn", (all - none) / CALLS);
	require_filter(current.backend->is_filtered);
	return NULL;
}

void bench_call(void)
{
	pthread_t thread;

	require(!pthread_create(&thread, NULL, measure, NULL), "cannot make a thread");
	pthread_join(thread, NULL);
}
