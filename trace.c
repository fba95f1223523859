// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints themselves, and what switches the ways of writes and wake-ups.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"

DEFINE_STATIC_KEY_FALSE(kvmfd_writes_watched);
DEFINE_STATIC_KEY_FALSE(kvmfd_calls_watched);

/**
 * kvmfd_watch_writes() - one more looks at hits or misses, or has faults in them
 *
 * Return: 0.
 */
int kvmfd_watch_writes(void)
{
	static_branch_inc(&kvmfd_writes_watched);
	return 0;
}

/**
 * kvmfd_unwatch_writes() - and one less
 */
void kvmfd_unwatch_writes(void)
{
	static_branch_dec(&kvmfd_writes_watched);
}

/**
 * kvmfd_watch_calls() - the same for the wake-ups of irqfds
 *
 * Return: 0.
 */
int kvmfd_watch_calls(void)
{
	static_branch_inc(&kvmfd_calls_watched);
	return 0;
}

/**
 * kvmfd_unwatch_calls() - and one less
 */
void kvmfd_unwatch_calls(void)
{
	static_branch_dec(&kvmfd_calls_watched);
}
