// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backends, cases and rounds.  Leaves results.csv and spread.log in the working
 * directory; with --uncounted, for a module that does not count, uncounted.csv and
 * uncounted-spread.log, of writes only.  With --quick there are fewer rounds, and what takes
 * longest is left out.  With --wall, see there, it leaves wall.csv and wall-spread.log.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

/* One to warm up, which does not count, and those that do. */
#define ROUNDS       4
#define ROUNDS_QUICK 2

/*
 * How often what is uneven is measured in each round: an n of 1, of which some samples are
 * 142 instructions longer than others, a percent, and the end of a VM, now and then 4 %.
 */
#define TRIES_OF_UNEVEN 4

/*
 * How often what kvmfd's index has a part in is.  It is hashed anew in each attachment, which
 * makes a batch of few longer or shorter by some percent, and a larger one by less; values
 * that follow one another fall into it in one of few patterns.
 */
#define FEW             64
#define TRIES_OF_FEW    64
#define TRIES_OF_VALUES 12
#define TRIES_OF_MANY   4
#define TRIES_IF_ONCE   4

static const struct bench_case cases[] = {
	{ "pio-wildcard", bench_write, { 1 }, PIO_WILDCARD },
	{ "pio-datamatch", bench_write, { 1 }, PIO_DATAMATCH },
	{ "pio-any-length", bench_write, { 1 }, PIO_ANY_LENGTH },
	{ "mmio-wildcard", bench_write, { 1 }, MMIO_WILDCARD },
	{ "mmio-datamatch", bench_write, { 1 }, MMIO_DATAMATCH },
	{ "mmio-any-length", bench_write, { 1 }, MMIO_ANY_LENGTH },
	{ "pio-datamatch", bench_write_among, { 1, 64, 1000 }, PIO_DATAMATCH },
	{ "mmio-datamatch", bench_write_among, { 1, 64, 1000, 65536 }, MMIO_DATAMATCH },
	{ "mmio-datamatch", bench_write_among, { 8000 }, MMIO_DATAMATCH, .once = true },
	{ "mmio-wildcard", bench_write_among, { 1, 64, 1000 }, MMIO_WILDCARD },
	{ "mmio-wildcard", bench_write_among, { 8000 }, MMIO_WILDCARD, .once = true },
	{ "mmio-any-length", bench_write_among, { 1, 64, 1000 }, MMIO_ANY_LENGTH },
	{ "mmio-wildcard", bench_doorbells, { 1, 64, 1000 }, MMIO_WILDCARD },
	{ "mmio-datamatch", bench_doorbells, { 1, 64, 1000 }, MMIO_DATAMATCH },
	{ "mmio-any-length", bench_doorbells, { 1, 64, 1000 }, MMIO_ANY_LENGTH },
	{ "mmio-wildcard", bench_doorbells, { 8000 }, MMIO_WILDCARD, .once = true },
	{ "mmio-wildcard-batch", bench_doorbells, { 1, 64, 1000 }, MMIO_WILDCARD, .batch = true },
	{ "mmio-datamatch-batch", bench_doorbells, { 1, 64, 1000 }, MMIO_DATAMATCH, .batch = true },
	{ "mmio-any-batch", bench_doorbells, { 1, 64, 1000 }, MMIO_ANY_LENGTH, .batch = true },
	{ "mmio-wildcard-first", bench_doorbells, { 1000 }, MMIO_WILDCARD, .first = true },
	{ "mmio-datamatch-first", bench_doorbells, { 1000 }, MMIO_DATAMATCH, .first = true },
	{ "mmio-any-first", bench_doorbells, { 1000 }, MMIO_ANY_LENGTH, .first = true },
	{ "mmio", bench_hold, { 1, 1000 }, MMIO_WILDCARD },
	{ "mmio-batch", bench_hold, { 1, 1000 }, MMIO_WILDCARD, .batch = true },
	{ "mmio-batch", bench_hold, { 8000 }, MMIO_WILDCARD, .once = true, .batch = true },
	{ "mmio-wildcard-batch", bench_doorbells, { 8000 }, MMIO_WILDCARD, true, .batch = true },
	{ "mmio-wildcard", bench_memory, { 1000, 10000 }, MMIO_WILDCARD, true },
	{ "mmio-datamatch", bench_memory, { 1000, 10000 }, MMIO_DATAMATCH, true },
	{ "irqfd", bench_irqfd_memory, { 1000 } },
	{ "msi", bench_msi, { 1, 1000 } },
	{ "resample", bench_resample, { 1 } },
	{ "irqfd", bench_irqfds, { 1, 64, 1000 } },
	{ "irqfd-batch", bench_irqfds, { 1, 64, 1000 }, .batch = true },
	{ "irqfds", bench_routes, { 1, 1000 } },
	{ "vm", bench_teardown, { 1, 1000 } },
	{ "ioctl", bench_call, { 1 }, .call = call_ioctl },
	{ "getppid", bench_call, { 1 }, .call = call_getppid },
};

/*
 * A VM each: none has a trace of another's doorbells.  But the last makes none, and has the
 * first one's.
 */
static struct backend backends[] = {
	{ "kvm" },
	{ "kvmfd", .is_kvmfd = true },
	{ "exit" },
	{ "filtered", .is_filtered = true },
};

/* In a run of its own: a module that does not count what its doorbells do. */
static struct backend uncounted[] = {
	{ "uncounted" },
};

static bool quick;

struct current current;
int eventfds[MAX_N];
struct kvmfd_change *changes;

void require(bool ok, const char *format, ...)
{
	va_list args;

	if (ok)
		return;

	fflush(stdout);
	fprintf(stderr, "bench: ");
	if (current.c)
		fprintf(stderr, "%s, n %u, %s: ", current.c->name, current.n,
			current.backend->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

void require_counted(unsigned int n, uint64_t hits, uint64_t calls)
{
	struct kvmfd_entry *entries;
	uint64_t inline_calls = 0, deferred_calls = 0, counted_hits = 0;
	unsigned int i, listed;

	if (!current.backend->is_kvmfd)
		return;

	entries = calloc(n + 1, sizeof(*entries));
	require(entries, "out of memory");
	listed = device_entries(current.backend->fd, entries, n + 1);
	for (i = 0; i < listed; i++) {
		counted_hits += entries[i].hits;
		inline_calls += entries[i].inline_calls;
		deferred_calls += entries[i].deferred_calls;
	}
	free(entries);

	require(listed == n, "kvmfd lists %u entries, not %u", listed, n);
	require(counted_hits == hits, "kvmfd counted %lu hits, not %lu", counted_hits, hits);
	require(inline_calls == calls && !deferred_calls,
		"kvmfd counted %lu calls inline and %lu deferred, not %lu and 0",
		inline_calls, deferred_calls, calls);
}

bool in_a_batch(void)
{
	return (current.c->batch || current.c->first) && current.backend->is_kvmfd;
}

static void require_unattached(int kvmfd, int vm_fd)
{
	struct kvmfd_find found;

	require(kvmfd_find_vm(kvmfd, vm_fd, 0, 0, &found) == -ENOENT,
		"the VM for KVM is attached to kvmfd");
}

void backend_renew(struct backend *b)
{
	close(b->fd);
	b->fd = device_open_attached(b->guest.vm->fd);
}

static void create_guests(struct backend *b, unsigned int n)
{
	for (; n; b++, n--) {
		burst_create(&b->guest);
		irqfds_setup(&b->guest);
	}
}

static void create_backends(void)
{
	create_guests(backends, ARRAY_LEN(backends) - 1);
	backends[0].fd = backends[0].guest.vm->fd;
	backends[1].fd = device_open_attached(backends[1].guest.vm->fd);
	backends[2].fd = -1;
	backends[3].fd = backends[0].fd;
	require_unattached(backends[1].fd, backends[0].fd);
}

static void create_uncounted(void)
{
	create_guests(uncounted, ARRAY_LEN(uncounted));
	uncounted[0].fd = device_open_attached(uncounted[0].guest.vm->fd);
}

static void create_eventfds(void)
{
	const struct rlimit limit = { 2 * MAX_N, 2 * MAX_N };
	unsigned int i;

	require(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit: %s", strerror(errno));
	for (i = 0; i < MAX_N; i++)
		eventfds[i] = new_eventfd();
}

static bool is_hashed(const struct bench_case *c, const struct backend *b, unsigned int n)
{
	return b->is_kvmfd && n <= MAX_N &&
	       (c->run == bench_doorbells || c->run == bench_write_among);
}

static unsigned int tries_of(const struct bench_case *c, const struct backend *b,
			     unsigned int n)
{
	if (!is_hashed(c, b, n))
		return n == 1 || c->run == bench_teardown ? TRIES_OF_UNEVEN : 1;
	if (c->once)
		return c->batch ? TRIES_IF_ONCE : 1;
	if (c->batch && n <= FEW)
		return TRIES_OF_FEW;
	if (c->form == PIO_DATAMATCH || c->form == MMIO_DATAMATCH)
		return TRIES_OF_VALUES;
	return TRIES_OF_MANY;
}

/* An attachment of its own, in which it has been done before unless it is about the first. */
static void run_anew(const struct bench_case *c, struct backend *b)
{
	backend_renew(b);
	current.unrecorded = true;
	if (c->run == bench_doorbells && !c->first)
		c->run();
	current.unrecorded = false;
	c->run();
}

static void run_case(const struct bench_case *c, struct backend *b, unsigned int n, int round)
{
	/* The first round does not count. */
	unsigned int tries = round ? tries_of(c, b, n) : 1;

	/* A quarter is near enough. */
	if (quick)
		tries = (tries + 3) / 4;

	current = (struct current) { c, b, n };
	while (tries--) {
		if (is_hashed(c, b, n))
			run_anew(c, b);
		else
			c->run();
	}
	current.c = NULL;
}

const struct bench_case *single_of(const struct bench_case *c, unsigned int n)
{
	const struct bench_case *single;
	const unsigned int *has;

	if (!c->batch && !c->first)
		return c;
	for (single = cases; single < cases + ARRAY_LEN(cases); single++)
		for (has = single->n; *has; has++)
			if (*has == n && single->run == c->run && single->form == c->form &&
			    !single->batch && !single->first)
				return single;

	return c;
}

static int rounds(void)
{
	return quick ? ROUNDS_QUICK : ROUNDS;
}

static bool is_measured(const struct bench_case *c, const struct backend *b, unsigned int n,
			int round)
{
	if (c->once && (quick || round != ROUNDS - 1))
		return false;
	if (b->fd < 0 || b == uncounted)
		return c->run == bench_write;
	if (c->call)
		return !b->is_kvmfd;
	if (b->is_filtered || (!b->is_kvmfd && single_of(c, n) != c))
		return false;

	return b->is_kvmfd || n <= MAX_N;
}

static void run_round(struct backend *all, unsigned int nr, int round)
{
	const struct bench_case *c;
	const unsigned int *n;
	struct backend *b;

	for (c = cases; c < cases + ARRAY_LEN(cases); c++)
		for (n = c->n; *n; n++)
			for (b = all; b < all + nr; b++)
				if (is_measured(c, b, *n, round))
					run_case(c, b, *n, round);
}

static void run_rounds(struct backend *all, unsigned int nr)
{
	int round;

	for (round = 0; round < rounds(); round++) {
		results_begin_round(round, rounds());
		run_round(all, nr, round);
	}
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "uncounted", no_argument, NULL, 'u' },
		{ "wall", no_argument, NULL, 'w' },
		{},
	};
	bool counts = true, wall = false;
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		require(option != '?', "usage: bench [--quick] [--uncounted | --wall]");
		if (option == 'q')
			quick = true;
		else if (option == 'w')
			wall = true;
		else
			counts = false;
	}

	changes = calloc(MAX_N, sizeof(*changes));
	require(changes, "out of memory");
	create_eventfds();
	if (wall) {
		wall_run(quick);
		return 0;
	}

	clock_init();
	if (counts) {
		create_backends();
		run_rounds(backends, ARRAY_LEN(backends));
		results_write("icount", "results.csv", "spread.log");
	} else {
		create_uncounted();
		run_rounds(uncounted, ARRAY_LEN(uncounted));
		require(!device_info(uncounted[0].fd).retired_hits, "the module counts");
		results_write("icount", "uncounted.csv", "uncounted-spread.log");
	}
	return 0;
}
