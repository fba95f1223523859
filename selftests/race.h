/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that are made at the same time, each in a thread on a CPU of its own.
 *
 * ROUNDS and SEED, both from the environment, say how often and with which delays.
 */
#ifndef SELFTESTS_RACE_H
#define SELFTESTS_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

/* ROUNDS can be many: what hangs is ended by the test host. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 7200

/* To the vCPU, raised within the wake-up; and to all that there are, by a worker. */
#define GSI       24
#define OTHER_GSI 25
#define VECTOR    GUEST_VECTOR

#define SIGNALS   20
#define MAX_PARTS 3

struct race {
	struct guest guest;
	/* Serves the requests: the VM's, or a /dev/kvmfd's attached to it. */
	int fd;
	int efd;
	int spare;
	uint32_t gsi;
	/* What do_batch_replace() does to its doorbell next. */
	uint32_t bell;
	unsigned int round;
	unsigned int rounds;
	/* Threads that have not begun, and what the calls of each said. */
	int missing;
	int err[MAX_PARTS];
};

/* Reads the knobs; returns the seed, to be told. */
unsigned int race_knobs(struct race *race);
void race_setup(struct race *race, bool kvmfd);
void race_teardown(struct race *race);

typedef int (*part_fn)(struct race *race);

/* All parts at the same time. */
void race_run(struct race *race, const part_fn *parts, int n);

#define TOGETHER(race, ...)                                  \
	race_run(race, (const part_fn[]) { __VA_ARGS__ },    \
		 sizeof((const part_fn[]) { __VA_ARGS__ }) / \
			 sizeof(part_fn))

#define TELL_KNOBS(race)                                            \
	do {                                                        \
		unsigned int _seed = race_knobs(race);              \
		TH_LOG("ROUNDS=%u SEED=%u", (race)->rounds, _seed); \
	} while (0)

/* Both GSIs lead to this vector. */
void race_set_routes(struct race *race, unsigned int vector);
/* Those that have arrived since this was asked last. */
uint64_t race_interrupts(struct race *race, unsigned int vector);
/* All that kvmfd has ever raised. */
uint64_t race_calls(struct race *race);

int do_assign(struct race *race);
int do_deassign(struct race *race);
int do_assign_elsewhere(struct race *race);
int do_signal_often(struct race *race);
int do_signal_both_often(struct race *race);
int do_close_eventfd(struct race *race);
/* What comes after the return is for the test to find. */
int do_deassign_and_take(struct race *race);
int do_change_routes(struct race *race);
int do_batch_replace(struct race *race);
int do_batch_fail(struct race *race);

/* Between the rounds.  Also waits for tear-downs that are under way. */
#define ASSERT_GONE()                                                       \
	do {                                                                \
		ASSERT_EQ(0, do_deassign(&self->race));                     \
		if (self->race.fd != self->race.guest.vm->fd)               \
			ASSERT_EQ(0, device_info(self->race.fd).nr_irqfds); \
	} while (0)

/* An irqfd can be made of it, and works. */
#define ASSERT_USABLE()                                             \
	do {                                                        \
		self->race.gsi = GSI;                               \
		ASSERT_EQ(0, eventfd_take(self->race.efd));         \
		race_interrupts(&self->race, VECTOR);               \
		ASSERT_EQ(0, do_assign(&self->race));               \
		eventfd_ring(self->race.efd);                       \
		ASSERT_EQ(1, race_interrupts(&self->race, VECTOR)); \
		ASSERT_GONE();                                      \
	} while (0)

#endif /* SELFTESTS_RACE_H */
