// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_util.h"

#include "fuzz/chance.h"
#include "hostile/program.h"

#define KEPT_MAX 4096

/* Not a static array: KVM's library copies those into the guest that it has. */
static struct program *kept;
static unsigned int nr_kept;

void program_keep(const struct program *program)
{
	unsigned int i = nr_kept < KEPT_MAX ? nr_kept++ : chance_below(KEPT_MAX);

	if (!kept)
		kept = calloc(KEPT_MAX, sizeof(*kept));
	TEST_ASSERT(kept, "out of memory");
	kept[i] = *program;
}

unsigned int programs_kept(void)
{
	return nr_kept;
}

/* The newest are those that got farthest. */
static const struct program *any_kept(void)
{
	unsigned int newest = nr_kept / 4 + 1;

	return &kept[chance(50) ? nr_kept - 1 - chance_below(newest) : chance_below(nr_kept)];
}

static void insert(struct program *program, unsigned int at, const struct gene *genes,
		   unsigned int n)
{
	if (n > GENES_MAX - program->n)
		n = GENES_MAX - program->n;
	memmove(&program->genes[at + n], &program->genes[at], (program->n - at) * sizeof(*genes));
	memcpy(&program->genes[at], genes, n * sizeof(*genes));
	program->n += n;
}

static void drop(struct program *program, unsigned int at, unsigned int n)
{
	program->n -= n;
	memmove(&program->genes[at], &program->genes[at + n],
		(program->n - at) * sizeof(program->genes[0]));
}

static void mutate(struct program *program)
{
	unsigned int at = chance_below(program->n);
	const struct program *other = any_kept();
	unsigned int from = chance_below(other->n);
	struct gene gene = program->genes[at];

	switch (chance_below(8)) {
	case 0:
	case 1:
	case 2:
		gene_mutate(&program->genes[at]);
		break;
	case 3:
		gene = any_gene();
		insert(program, at, &gene, 1);
		break;
	case 4:
		/* The same again, somewhere else, or its opposite. */
		gene.turn ^= chance(50);
		insert(program, chance_below(program->n + 1), &gene, 1);
		break;
	case 5:
		insert(program, at, &other->genes[from], 1 + chance_below(other->n - from));
		break;
	case 6:
		if (program->n > 8)
			drop(program, at, 1 + chance_below(program->n - at) / 2);
		break;
	case 7:
		program->threads = 1 + chance_below(THREADS_MAX);
		break;
	}
}

void program_choose(struct program *program, bool guided)
{
	unsigned int i;

	if (guided && nr_kept && chance(85)) {
		*program = *any_kept();
		for (i = 1 + chance_below(5); i; i--)
			mutate(program);
		return;
	}

	program->threads = chance(70) ? 1 : 2 + chance_below(THREADS_MAX - 1);
	program->n = 16 + chance_below(GENES_MAX - 16);
	for (i = 0; i < program->n; i++)
		program->genes[i] = any_gene();
}

void program_tell(const struct program *program, char text[PROGRAM_TEXT])
{
	unsigned int i;

	text += sprintf(text, "%u", program->threads);
	for (i = 0; i < program->n; i++) {
		const struct gene *g = &program->genes[i];

		text += sprintf(text, ",%08x%04x%02x%x", g->seed, g->twist, g->fail, g->turn);
	}
}

bool program_of_text(const char *text, struct program *program)
{
	unsigned int turn;
	int length;

	program->n = 0;
	if (sscanf(text, "%u%n", &program->threads, &length) != 1 || !program->threads ||
	    program->threads > THREADS_MAX)
		return false;
	for (text += length; *text; text += length, program->n++) {
		struct gene *g = &program->genes[program->n];

		if (program->n == GENES_MAX ||
		    sscanf(text, ",%8x%4hx%2hhx%1x%n", &g->seed, &g->twist, &g->fail, &turn,
			   &length) != 4)
			return false;
		g->turn = turn;
	}
	return program->n;
}
