// SPDX-License-Identifier: GPL-2.0-only
/*
 * Backends, cases and rounds.  Leaves results.csv and spread.log in the working
 * directory.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

/* One to warm up, which does not count, and those that do. */
#define ROUNDS 6

/*
 * How often an n of 1 is measured in each round: some samples are 142 instructions
 * longer than others, which is a percent, and averages out.
 */
#define TRIES_OF_ONE 4

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct bench_case cases[] = {
	{ "pio-wildcard", bench_write, { 1 }, true, PIO_WILDCARD },
	{ "pio-datamatch", bench_write, { 1 }, true, PIO_DATAMATCH },
	{ "pio-any-length", bench_write, { 1 }, true, PIO_ANY_LENGTH },
	{ "mmio-wildcard", bench_write, { 1 }, true, MMIO_WILDCARD },
	{ "mmio-datamatch", bench_write, { 1 }, true, MMIO_DATAMATCH },
	{ "mmio-any-length", bench_write, { 1 }, true, MMIO_ANY_LENGTH },
	{ "pio-datamatch", bench_write_last, { 1, 64, 1000 }, false, PIO_DATAMATCH },
	{ "mmio-datamatch", bench_write_last, { 1, 1000, 65536 }, false, MMIO_DATAMATCH },
	{ "mmio-wildcard", bench_write_last, { 1, 1000 }, false, MMIO_WILDCARD },
	{ "mmio-wildcard", bench_doorbells, { 1, 64, 1000 }, false, MMIO_WILDCARD },
	{ "mmio-datamatch", bench_doorbells, { 1, 64, 1000 }, false, MMIO_DATAMATCH },
	{ "mmio-any-length", bench_doorbells, { 1, 64, 1000 }, false, MMIO_ANY_LENGTH },
	{ "mmio-wildcard", bench_memory, { 1000, 10000 }, false, MMIO_WILDCARD, true },
	{ "mmio-datamatch", bench_memory, { 1000, 10000 }, false, MMIO_DATAMATCH, true },
	{ "msi", bench_msi, { 1 } },
	{ "irqfd", bench_irqfds, { 1, 64, 1000 } },
};

/* A VM each: none has a trace of another's doorbells. */
static struct backend backends[] = {
	{ "kvm" },
	{ "kvmfd", .is_kvmfd = true },
	{ "exit" },
};

struct current current;
int eventfds[MAX_N];

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
	static struct kvmfd_entry entries[MAX_N + 1];
	uint64_t inline_calls = 0, deferred_calls = 0, counted_hits = 0;
	unsigned int i, listed;

	if (!current.backend->is_kvmfd)
		return;

	listed = kvmfd_entries(current.backend->fd, entries, MAX_N + 1);
	for (i = 0; i < listed; i++) {
		counted_hits += entries[i].hits;
		inline_calls += entries[i].inline_calls;
		deferred_calls += entries[i].deferred_calls;
	}

	require(listed == n, "kvmfd lists %u entries, not %u", listed, n);
	require(counted_hits == hits, "kvmfd counted %lu hits, not %lu", counted_hits, hits);
	require(inline_calls == calls && !deferred_calls,
		"kvmfd counted %lu calls inline and %lu deferred, not %lu and 0",
		inline_calls, deferred_calls, calls);
}

static void require_unattached(int kvmfd, int vm_fd)
{
	struct kvmfd_find find = { .size = sizeof(find), .vm_fd = vm_fd };

	require(do_ioctl(kvmfd, KVMFD_FIND_VM, &find) == ENOENT,
		"the VM for KVM is attached to kvmfd");
}

void backend_renew(struct backend *b)
{
	close(b->fd);
	b->fd = kvmfd_open_attached(b->guest.vm->fd);
}

static void create_backends(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(backends); i++) {
		burst_create(&backends[i].guest);
		irqfds_setup(&backends[i].guest);
	}

	backends[0].fd = backends[0].guest.vm->fd;
	backends[1].fd = kvmfd_open_attached(backends[1].guest.vm->fd);
	backends[2].fd = -1;
	require_unattached(backends[1].fd, backends[0].fd);
}

static void create_eventfds(void)
{
	const struct rlimit limit = { 2 * MAX_N, 2 * MAX_N };
	unsigned int i;

	require(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit: %s", strerror(errno));
	for (i = 0; i < MAX_N; i++)
		eventfds[i] = new_eventfd();
}

static void run_case(const struct bench_case *c, struct backend *b, unsigned int n)
{
	unsigned int tries = n == 1 ? TRIES_OF_ONE : 1;

	current = (struct current) { c, b, n };
	while (tries--)
		c->run();
	current.c = NULL;
}

static bool is_measured(const struct bench_case *c, const struct backend *b, unsigned int n,
			int round)
{
	if (c->once && round != ROUNDS - 1)
		return false;
	if (b->fd < 0)
		return c->also_exit;

	return b->is_kvmfd || n <= MAX_N;
}

static void run_round(int round)
{
	const struct bench_case *c;
	const unsigned int *n;
	struct backend *b;

	for (c = cases; c < cases + ARRAY_LEN(cases); c++)
		for (n = c->n; *n; n++)
			for (b = backends; b < backends + ARRAY_LEN(backends); b++)
				if (is_measured(c, b, *n, round))
					run_case(c, b, *n);
}

int main(void)
{
	int round;

	clock_init();
	create_eventfds();
	create_backends();

	for (round = 0; round < ROUNDS; round++) {
		printf("round %d of %d\n", round + 1, ROUNDS);
		fflush(stdout);
		if (round == 1)
			results_forget();
		run_round(round);
	}

	results_write("results.csv", "spread.log");
	return 0;
}
