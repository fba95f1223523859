// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clocks that count instructions.
 *
 * Under "-icount shift=1,sleep=off" the time stamp counter goes on by 2 with
 * every instruction, a nested guest's included, and the kernel's clocks follow
 * it.  While the processor is idle it jumps to the next timer instead.  What may
 * wait can therefore not be measured from begin to end:
 *
 *  - A thread's own clock stands still while the thread waits.
 *
 *  - But much of what waits for a grace period waits for kernel threads, whose
 *    work is not on the thread's account.  So the scheduler is asked what all
 *    threads did.  That is the caller's doing only because nothing else goes on
 *    in the machine, and is right to some thirty instructions.
 *
 *  - The time from begin to end is told in microseconds, lest a wait be taken
 *    for instructions.  They are those of a machine that executes 500 million
 *    instructions a second, which decides, for instance, whether SRCU finds the
 *    last grace period long enough ago (25 us) to hurry.
 *
 * The timer's interrupt is on the account of whom it interrupts, thousands of
 * instructions every 4 ms, that is 2 million.  All that is measured begins right
 * after one, so that what is short enough is never hit, and what is longer has
 * the same number of them in every round.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define TICKS_PER_INSTRUCTION 2
#define TICKS_PER_US          1000

/* What the clocks say of nothing: the price of reading them. */
static double clock_cost;
static struct stretch stretch_cost;

static void wait_for_timer_interrupt(void)
{
	struct timespec before, now;

	/* The coarse clock is the one that the timer's interrupt sets. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &before);
	do {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	} while (now.tv_nsec == before.tv_nsec);
}

static double clock_now(void)
{
	return (double)rdtsc() / TICKS_PER_INSTRUCTION;
}

double clock_begin(void)
{
	wait_for_timer_interrupt();
	return clock_now();
}

double clock_end(double begin)
{
	return clock_now() - begin - clock_cost;
}

static double thread_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (t.tv_sec * 1e9 + t.tv_nsec) / TICKS_PER_INSTRUCTION;
}

/*
 * All threads but this one, up to a constant.  The scheduler adds a thread's time
 * to the processor's when the thread leaves it: have this one leave, by a sleep
 * as short as there is.
 */
static double others_clock(void)
{
	static const struct timespec shortest = { .tv_nsec = 1 };
	double own = thread_clock();
	unsigned long long ns = 0;
	bool found = false;
	char line[256];
	FILE *f;

	nanosleep(&shortest, NULL);
	f = fopen("/proc/schedstat", "r");
	require(f, "cannot open /proc/schedstat");
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "cpu0 %*u %*u %*u %*u %*u %*u %llu", &ns) == 1;
	fclose(f);
	require(found, "/proc/schedstat says nothing of cpu0");

	return (double)ns / TICKS_PER_INSTRUCTION - own;
}

void stretch_begin(struct stretch *s)
{
	if (!current.unrecorded)
		wait_for_timer_interrupt();
	s->others = others_clock();
	s->caller = thread_clock();
	s->us = (double)rdtsc() / TICKS_PER_US;
}

void stretch_end(struct stretch *s)
{
	s->us = (double)rdtsc() / TICKS_PER_US - s->us - stretch_cost.us;
	s->caller = thread_clock() - s->caller - stretch_cost.caller;
	s->others = others_clock() - s->others - stretch_cost.others;
}

static void measure_loop(unsigned int instructions, double *clock, struct stretch *s)
{
	unsigned int left = instructions / 2;

	stretch_begin(s);
	*clock = clock_now();
	if (left)
		asm volatile("1: dec %0; jnz 1b"
			     : "+r"(left)
			     :
			     : "cc");
	*clock = clock_end(*clock);
	stretch_end(s);
}

/* Do they count instructions at all?  Asked of a loop that has a known number. */
void clock_init(void)
{
	const unsigned int instructions = 100000;
	struct stretch s;
	unsigned int i;
	double clock;

	/* The first times have more in them: page faults, and what else is made once. */
	for (i = 0; i < 8; i++) {
		clock_cost = 0;
		memset(&stretch_cost, 0, sizeof(stretch_cost));
		measure_loop(0, &clock, &s);
	}
	clock_cost = clock;
	stretch_cost = s;

	measure_loop(instructions, &clock, &s);
	require(clock > instructions * 0.999 && clock < instructions * 1.001,
		"the clock does not count instructions: %.0f for %u", clock, instructions);
	require(s.caller > instructions * 0.999 && s.caller < instructions * 1.001,
		"the thread's clock does not count instructions: %.0f for %u",
		s.caller, instructions);
}
