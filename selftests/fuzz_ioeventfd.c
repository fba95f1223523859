// SPDX-License-Identifier: GPL-2.0-only
/*
 * A differential fuzzer of ioeventfd: random calls and guest writes, for KVM, kvmfd
 * and a model of the rules.
 *
 * A run is rounds of ROUND_STEPS steps, each a call or a guest write.  All of a round
 * follows from its seed, which is the run's for the first and then counts up: any
 * round is the only one of a short run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_util.h"
#include "kselftest.h"

#include "fuzz/chance.h"
#include "fuzz/expect.h"
#include "fuzz/round.h"
#include "fuzz/slots.h"
#include "fuzz/steps.h"
#include "fuzz/threeway.h"

#define ROUND_STEPS 500
/* So many rounds cannot but see something of everything. */
#define MANY_ROUNDS 50

static const struct {
	const char *name;
	struct kind kind;
} phases[] = {
	{ "MMIO", { .mmio = true, .vcpus = 1 } },
	{ "PIO", { .pio = true, .vcpus = 1 } },
	{ "MMIO and PIO", { .mmio = true, .pio = true, .vcpus = 1 } },
	{ "two vCPUs", { .mmio = true, .pio = true, .vcpus = 2 } },
	{ "two vCPUs, calls meanwhile",
	  { .mmio = true, .pio = true, .vcpus = 2, .calls_meanwhile = true } },
};

#define PHASES ARRAY_SIZE(phases)

static void run_round(const struct kind *kind, uint64_t seed, unsigned int steps)
{
	round_begin(seed, steps);
	chance_seed(seed);
	burst_stay_on(kind->calls_meanwhile);
	slots_fill();
	threeway_attach();
	steps_begin(kind, steps);
	while (steps_go())
		;
	if (threeway_attached())
		threeway_detach();
	slots_clear();
	round_end();
}

/* The rounds of a run whose seeds ask for a phase, all others left out. */
static void run_phase(unsigned int phase, uint64_t seed, uint64_t steps)
{
	static uint64_t done;
	uint64_t left;
	unsigned int n;

	for (left = steps; left; left -= n, seed++) {
		n = left < ROUND_STEPS ? left : ROUND_STEPS;
		if (seed % PHASES != phase)
			continue;
		run_round(&phases[phase].kind, seed, n);
		done += n;
		if (done % 10000 < n)
			ksft_print_msg("%lu of %lu steps\n", done, steps);
	}
}

static void tell_counts(void)
{
	const struct step_counts *s = &step_counts;
	const struct expect_counts *e = &expect_counts;

	ksft_print_msg("%lu writes, %lu other steps; ", s->writes, s->others);
	printf("calls: %lu good, %lu EEXIST, %lu ENOENT, %lu EINVAL, %lu EBADF\n", s->answers[0],
	       s->answers[EEXIST], s->answers[ENOENT], s->answers[EINVAL], s->answers[EBADF]);
	ksft_print_msg("%lu hits while no call was made, %lu of them missed by KVM's search ",
		       e->hits, e->misses);
	printf("(%lu foreseen)\n", e->misses_foreseen);
}

static uint64_t parse(const char *option, const char *text)
{
	uint64_t n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "fuzz_ioeventfd: %s wants a number, not '%s'\n", option, text);
		exit(KSFT_FAIL);
	}
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "steps", required_argument, NULL, 'n' },
		{},
	};
	uint64_t seed = 1, steps = 50000, rounds;
	unsigned int phase;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = parse("--seed", optarg);
			break;
		case 'n':
			steps = parse("--steps", optarg);
			break;
		default:
			return KSFT_FAIL;
		}
	}
	if (optind < argc || !steps) {
		fprintf(stderr, "usage: fuzz_ioeventfd [--seed N] [--steps N]\n");
		return KSFT_FAIL;
	}
	rounds = (steps - 1) / ROUND_STEPS + 1;

	/* What has been found is told, however the program ends. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan((rounds < PHASES ? rounds : PHASES) + (rounds >= MANY_ROUNDS));
	threeway_create();
	for (phase = 0; phase < PHASES; phase++) {
		/* A short run has no round of some. */
		if ((phase + PHASES - seed % PHASES) % PHASES >= rounds)
			continue;
		run_phase(phase, seed, steps);
		ksft_test_result(round_verdict(), "%s\n", phases[phase].name);
	}
	tell_counts();
	if (rounds >= MANY_ROUNDS)
		ksft_test_result(expect_counts.hits && expect_counts.misses,
				 "has hit, and has seen KVM miss\n");
	ksft_finished();
}
