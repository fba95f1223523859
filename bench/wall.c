// SPDX-License-Identifier: GPL-2.0-only
/*
 * By the clock on the wall, with two CPUs: what instructions do not tell, for they do not
 * wait, meet or wake anybody.  The machine is an emulated one still: it has no caches, and
 * all of it is slow, but for what its host does to it.  So backends take turns, and of each
 * figure the median and the spread are told.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bench.h"

/* One to warm up, which does not count, and those that do. */
#define ROUNDS       10
#define ROUNDS_QUICK 4

/* How long doorbells are rung, and how often an eventfd is. */
#define RING_MS 60
#define CALLS   101
#define WAIT_S  10

#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

static const struct bench_case cases[] = {
	{ "pio-wildcard", wall_write, { 1 }, PIO_WILDCARD, .vcpus = 1 },
	{ "pio-datamatch", wall_write, { 1 }, PIO_DATAMATCH, .vcpus = 1 },
	{ "mmio-wildcard", wall_write, { 1 }, MMIO_WILDCARD, .vcpus = 1 },
	{ "mmio-any-length", wall_write, { 1 }, MMIO_ANY_LENGTH, .vcpus = 1 },
	{ "two-vcpus-shared", wall_write, { 1 }, MMIO_WILDCARD, .vcpus = 2 },
	{ "two-vcpus-apart", wall_write, { 2 }, MMIO_WILDCARD, .vcpus = 2 },
	{ "idle", wall_change, { 100 }, MMIO_WILDCARD },
	{ "ringing", wall_change, { 100 }, MMIO_WILDCARD, .vcpus = 1 },
	{ "idle-batch", wall_change, { 100 }, MMIO_WILDCARD, .batch = true },
	{ "ringing-batch", wall_change, { 100 }, MMIO_WILDCARD, .vcpus = 1, .batch = true },
	{ "running", wall_msi, { 1 }, .vcpus = 1 },
	{ "halted", wall_msi, { 1 }, .vcpus = 1, .halted = true },
};

static struct backend backends[] = {
	{ "kvm" },
	{ "kvmfd", .is_kvmfd = true },
	{ "exit" },
};

static double ticks_per_us;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void pass_ms(unsigned int ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000L };

	nanosleep(&t, NULL);
}

static void learn_ticks(void)
{
	double begin = now_us();
	uint64_t ticks = rdtsc();

	pass_ms(RING_MS);
	ticks_per_us = (rdtsc() - ticks) / (now_us() - begin);
}

/* Until a vCPU has done so much. */
static void await_done(const struct ring_job *job, uint64_t done)
{
	double limit = now_us() + WAIT_S * 1e6;

	while (__atomic_load_n(&job->done, __ATOMIC_ACQUIRE) < done)
		require(now_us() < limit, "the guest has not got to %lu", done);
}

/* --- doorbells ------------------------------------------------------------ */

/* The vCPUs write to doorbell @first, or to one after the other from there on. */
static void begin_writes(unsigned int first, bool each)
{
	struct ring_job job = { .what = RING_WRITE };
	unsigned int i;

	for (i = 0; i < current.c->vcpus; i++) {
		doorbell_target(each ? first + i : first, &job.space, &job.addr, &job.value);
		ring_begin(i, &job);
	}
	for (i = 0; i < current.c->vcpus; i++)
		await_done(ring_job(i), 1);
}

static uint64_t end_writes(void)
{
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < current.c->vcpus; i++) {
		ring_end(i);
		done += ring_job(i)->done;
	}
	return done;
}

static uint64_t rung(unsigned int first, unsigned int n)
{
	uint64_t sum = 0;

	while (n--)
		sum += eventfd_take(eventfds[first + n]);
	return sum;
}

void wall_write(void)
{
	bool served = current.backend->fd >= 0;
	double begin, end;
	uint64_t done;

	require(!served || !change_doorbells(0), "cannot assign");
	begin_writes(0, current.n > 1);
	begin = now_us();
	pass_ms(RING_MS);
	done = end_writes();
	end = now_us();
	/* Those before the begin are few. */
	record("write", "ns", (end - begin) * 1000 * current.c->vcpus / done);

	require(rung(0, current.n) == (served ? done : 0), "not all writes rang");
	require_counted(served ? current.n : 0, done, 0);
	require(!served || !change_doorbells(DEASSIGN), "cannot deassign");
}

/* Of a doorbell that is not one of those that change meanwhile. */
static void change_one(uint32_t flags)
{
	unsigned int n = current.n;
	int err;

	current.n = 1;
	err = current.c->vcpus ? change_doorbells_from(n, flags) : 0;
	current.n = n;
	require(!err, "the doorbell that is rung: %s", strerror(err));
}

static void change_all(const char *what, const char *stall, uint32_t flags)
{
	uint64_t done;
	double begin;
	int err;

	if (current.c->vcpus)
		begin_writes(current.n, false);
	begin = now_us();
	err = change_doorbells(flags);
	record(what, "us", (now_us() - begin) / current.n);
	require(!err, "%s: %s", what, strerror(err));
	if (current.c->vcpus) {
		done = end_writes();
		require(rung(current.n, 1) == done, "not all writes rang");
		record(stall, "us", ring_job(0)->longest / ticks_per_us);
	}
}

/* While one is rung all the time, or nothing else goes on. */
void wall_change(void)
{
	change_one(0);
	change_all("assign", "stall-assign", 0);
	change_all("deassign", "stall-deassign", DEASSIGN);
	change_one(DEASSIGN);
}

/* --- interrupts ----------------------------------------------------------- */

/* From before the write to the eventfd to the guest's handler, in the guest's time. */
void wall_msi(void)
{
	const struct ring_job job = { .what = current.c->halted ? RING_HALT : RING_SPIN };
	struct ring_job *now = ring_job(0);
	static double samples[CALLS + 1];
	uint64_t begin, done, i;

	require(!irqfd(current.backend->fd, eventfds[0], IRQFD_GSI, 0), "cannot assign");
	ring_begin(0, &job);
	/* The first does not count: what an earlier case left pending may come before it. */
	for (i = 0; i <= CALLS; i++) {
		/* So that it has halted, and longer than KVM polls. */
		pass_ms(1);
		done = now->done;
		begin = rdtsc();
		eventfd_ring(eventfds[0]);
		await_done(now, done + 1);
		samples[i] = (now->heard - begin) / ticks_per_us;
	}
	now->stop = true;
	eventfd_ring(eventfds[0]);
	ring_end(0);

	sort_values(samples + 1, CALLS);
	record("msi", "us", samples[1 + CALLS / 2]);
	require_counted(1, 0, CALLS + 2);
	require(!irqfd(current.backend->fd, eventfds[0], IRQFD_GSI, KVM_IRQFD_FLAG_DEASSIGN),
		"cannot deassign");
}

/* --- rounds --------------------------------------------------------------- */

static void create_backends(void)
{
	struct backend *b;

	for (b = backends; b < backends + ARRAY_LEN(backends); b++) {
		ring_create(b);
		b->fd = -1;
	}
	backends[0].fd = backends[0].guest.vm->fd;
	backends[1].fd = device_open_attached(backends[1].guest.vm->fd);
}

/* What comes first has the other order in the next round. */
static void run_case(const struct bench_case *c, int round)
{
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(backends); i++) {
		struct backend *b = &backends[round % 2 ? ARRAY_LEN(backends) - 1 - i : i];

		if (b->fd < 0 && c->run != wall_write)
			continue;
		current = (struct current) { c, b, c->n[0] };
		c->run();
		current.c = NULL;
	}
}

void wall_run(bool quick)
{
	int round, rounds = quick ? ROUNDS_QUICK : ROUNDS;
	const struct bench_case *c;

	/* The vCPUs have the other CPU, or both. */
	stay_on_cpu(1);
	learn_ticks();
	create_backends();
	for (round = 0; round < rounds; round++) {
		results_begin_round(round, rounds);
		for (c = cases; c < cases + ARRAY_LEN(cases); c++)
			run_case(c, round);
	}
	results_write("wall", "wall.csv", "wall-spread.log");
}
