// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "round.h"

/* A debug kernel takes a few seconds. */
#define LIMIT_SECONDS 60

struct complaint {
	unsigned int count;
	unsigned int size;
	char example[4096];
};

static struct complaint complaints[SIDES][FAULTS];

static const char *const headings[FAULTS] = {
	[MISSED] = "missed a write that rings a doorbell",
	[TOOK] = "took a write that is nobody's",
	[STRAYED] = "sent a write to user space that nobody made",
	[MISCOUNTED] = "signalled other eventfds than the writes ring",
	[ANSWERED] = "answered a call other than KVM does",
	[LISTED] = "lists other doorbells than there are",
};

/* How to see the round again; empty between rounds. */
static char replay[128];
static unsigned int step;

static void tell_replay(void)
{
	if (write(STDOUT_FILENO, replay, strlen(replay)) < 0)
		_exit(1);
}

static void overdue(int signal)
{
	static const char message[] = "# a round that does not end\n";

	if (write(STDOUT_FILENO, message, strlen(message)) < 0)
		_exit(1);
	tell_replay();
	_exit(1);
}

void round_begin(uint64_t seed, unsigned int steps)
{
	static bool prepared;

	if (!prepared) {
		signal(SIGALRM, overdue);
		atexit(tell_replay);
		prepared = true;
	}
	snprintf(replay, sizeof(replay), "# again: make fuzz SEED=%llu STEPS=%u\n",
		 (unsigned long long)seed, steps);
	step = 0;
	alarm(LIMIT_SECONDS);
}

void round_end(void)
{
	alarm(0);
	replay[0] = 0;
}

void round_step(unsigned int n)
{
	step += n;
}

void complain(enum side side, enum fault fault, unsigned int size, const char *format, ...)
{
	struct complaint *c = &complaints[side][fault];
	va_list args;
	int n;

	if (c->count++ && c->size <= size)
		return;
	c->size = size;
	va_start(args, format);
	n = vsnprintf(c->example, sizeof(c->example), format, args);
	va_end(args);
	if (n < sizeof(c->example))
		snprintf(c->example + n, sizeof(c->example) - n, "\n#   step %u, %s", step,
			 replay + strlen("# "));
}

bool round_verdict(void)
{
	enum fault fault;
	bool clean = true;
	enum side side;

	for (side = 0; side < SIDES; side++) {
		for (fault = 0; fault < FAULTS; fault++) {
			const struct complaint *c = &complaints[side][fault];

			if (!c->count)
				continue;
			printf("# %s %s: %u times\n#   %s", side == KVM ? "KVM" : "kvmfd",
			       headings[fault], c->count, c->example);
			clean = false;
		}
	}
	memset(complaints, 0, sizeof(complaints));
	return clean;
}
