/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs: calls that are made one after the other, by some threads.
 *
 * A program that got somewhere first is kept, and others are made of it.
 */
#ifndef SELFTESTS_HOSTILE_PROGRAM_H
#define SELFTESTS_HOSTILE_PROGRAM_H

#include <stdbool.h>

#include "hostile/call.h"

#define THREADS_MAX  3
#define GENES_MAX    160
/* Of its text. */
#define PROGRAM_TEXT (4 + 17 * GENES_MAX)

/**
 * struct program - calls, and by how many threads
 * @threads: the first makes the first call, and so on in turn
 * @n: how many genes
 * @genes: the calls
 */
struct program {
	unsigned int threads;
	unsigned int n;
	struct gene genes[GENES_MAX];
};

/* A new one; if @guided, mostly one that is near to one that was kept. */
void program_choose(struct program *program, bool guided);
void program_keep(const struct program *program);
unsigned int programs_kept(void);

void program_tell(const struct program *program, char text[PROGRAM_TEXT]);
/* False if it is the text of none. */
bool program_of_text(const char *text, struct program *program);

#endif /* SELFTESTS_HOSTILE_PROGRAM_H */
