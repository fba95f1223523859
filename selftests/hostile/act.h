/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls being made.
 */
#ifndef SELFTESTS_HOSTILE_ACT_H
#define SELFTESTS_HOSTILE_ACT_H

#include <stdbool.h>
#include <sys/types.h>

#include "hostile/call.h"

/**
 * struct actor - who makes calls: a thread, or another process
 * @memory: where its arguments are, see act.c
 * @fail: says which allocation of this task fails; -1 if the kernel injects no failures
 * @alone: nobody else makes calls
 */
struct actor {
	unsigned char *memory;
	int fail;
	bool alone;
};

/* As the task that is to act. */
void actor_begin(struct actor *actor);
void actor_end(struct actor *actor);
/* Any call but ACT_FORK. */
void act(struct actor *actor, const struct call *call);

#endif /* SELFTESTS_HOSTILE_ACT_H */
