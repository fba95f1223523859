// SPDX-License-Identifier: GPL-2.0-only
/*
 * A differential fuzzer of ioeventfd: random calls and guest writes, for KVM, kvmfd
 * and a model of the rules.
 *
 * A run is rounds of ROUND_STEPS steps, each a call or a guest write.  All of a round,
 * its phase as well, follows from its seed, which is the run's for the first and then
 * counts up: any round is the only one of a short run.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_util.h"
#include "kselftest.h"

#include "client.h"
#include "fuzz/chance.h"
#include "fuzz/expect.h"
#include "fuzz/round.h"
#include "fuzz/steps.h"
#include "fuzz/threeway.h"

#define ROUND_STEPS 1000
/* So many rounds cannot but see something of everything. */
#define MANY_ROUNDS 30

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
	{ "masks, which KVM has not", { .mmio = true, .pio = true, .vcpus = 1, .masks = true } },
};

#define PHASES ARRAY_SIZE(phases)

static void run_round(const struct kind *kind, uint64_t seed, unsigned int steps)
{
	round_begin(seed, steps);
	chance_seed(seed);
	stay_on_cpu(kind->calls_meanwhile);
	steps_run(kind, steps);
	round_end();
}

/* The rounds of a run whose seeds ask for a phase.  Returns how many there are. */
static unsigned int run_phase(unsigned int phase, uint64_t seed, uint64_t steps)
{
	static unsigned int rounds_done;
	unsigned int rounds = 0, n;
	uint64_t left;

	for (left = steps; left; left -= n, seed++) {
		n = left < ROUND_STEPS ? left : ROUND_STEPS;
		if (seed % PHASES != phase)
			continue;
		run_round(&phases[phase].kind, seed, n);
		rounds++;
		if (++rounds_done % 20 == 0)
			ksft_print_msg("%u rounds done\n", rounds_done);
	}
	return rounds;
}

static void tell_counts(void)
{
	const struct step_counts *s = &step_counts;
	const struct expect_counts *e = &expect_counts;

	ksft_print_msg("%lu writes, %lu other steps; ", s->writes, s->others);
	printf("calls: %lu good, %lu EEXIST, %lu ENOENT, %lu EINVAL, %lu EBADF, %lu ENOSPC\n",
	       s->answers[0], s->answers[EEXIST], s->answers[ENOENT], s->answers[EINVAL],
	       s->answers[EBADF], s->answers[ENOSPC]);
	ksft_print_msg("%lu hits while no call was made, %lu of them missed by KVM's search ",
		       e->hits, e->misses);
	printf("(%lu foreseen)\n", e->misses_foreseen);
}

static bool seen_everything(void)
{
	const unsigned long *answers = step_counts.answers;

	return answers[0] && answers[EEXIST] && answers[ENOENT] && answers[EINVAL] &&
	       answers[EBADF] && expect_counts.hits && expect_counts.misses;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "steps", required_argument, NULL, 'n' },
		{},
	};
	uint64_t seed = from_environment("SEED", 1), steps = 50000;
	unsigned int phase, rounds = 0, n;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = number_argument("--seed", optarg);
			break;
		case 'n':
			steps = number_argument("--steps", optarg);
			break;
		default:
			return KSFT_FAIL;
		}
	}
	if (optind < argc || !steps) {
		fprintf(stderr, "usage: fuzz_ioeventfd [--seed N] [--steps N]\n");
		return KSFT_FAIL;
	}

	/* What has been found is told, however the program ends. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(PHASES + 1);
	threeway_create();
	for (phase = 0; phase < PHASES; phase++) {
		n = run_phase(phase, seed, steps);
		rounds += n;
		if (n)
			ksft_test_result(round_verdict(), "%s\n", phases[phase].name);
		else
			ksft_test_result_skip("%s: no seed of a short run\n", phases[phase].name);
	}
	tell_counts();
	if (rounds < MANY_ROUNDS)
		ksft_test_result_skip("has seen something of everything: a short run\n");
	else
		ksft_test_result(seen_everything(), "has seen something of everything\n");
	ksft_finished();
}
