/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * May a request be answered like that?
 */
#ifndef SELFTESTS_HOSTILE_JUDGE_H
#define SELFTESTS_HOSTILE_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "hostile/call.h"

/**
 * struct answer - what a request did
 * @err: errno, 0 if it succeeded
 * @by_kvmfd: nobody but kvmfd can have answered, and nobody else made a request
 * @before: doorbells of the attachment before
 * @after: and after it
 * @stray: something was written where nothing may be
 */
struct answer {
	int err;
	bool by_kvmfd;
	uint64_t before;
	uint64_t after;
	bool stray;
};

/* Complains, if not, and counts it. */
void judge(const struct call *call, const struct answer *answer);
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* SELFTESTS_HOSTILE_JUDGE_H */
