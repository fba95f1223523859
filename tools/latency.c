// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd latency: how long deferred interrupts take. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

/* Of the longest bar. */
#define BAR 40

static unsigned int started;
static unsigned int stopped;
static unsigned int told;

static void show_help(void)
{
	puts("usage: kvmfd latency [--pid PID]... [--seconds N]\n"
	     "\n"
	     "Measures how long deferred interrupts take, from the wake-up of the irqfd's eventfd\n"
	     "until a worker has raised them, and shows a histogram of each irqfd that had any.\n"
	     "^C ends the time before.\n"
	     "\n"
	     "  --pid PID    only those of this process; can be given several times\n"
	     "  --seconds N  how long (default: 10)");
}

/* It may have gone in this moment. */
static void start(int fd, const struct seen *vm)
{
	struct kvmfd_latency latency;
	size_t i;
	int err;

	if (!(vm->info.features & KVMFD_FEATURE_LATENCY))
		die("the module is too old to measure");
	for (i = 0; i < vm->nr; i++) {
		if (vm->entries[i].kind != KVMFD_ENTRY_IRQFD)
			continue;
		err = kvmfd_latency(fd, KVMFD_LATENCY_START, vm->entries[i].id, &latency);
		if (!err)
			started++;
		else if (err != -ENOENT)
			say("process %d, irqfd %llu: %s", vm->pid, vm->entries[i].id,
			    strerror(-err));
	}
}

static void time_text(char text[16], double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int unit = 0;

	while (ns >= 1000 && unit < ARRAY_SIZE(units) - 1) {
		ns /= 1000;
		unit++;
	}
	snprintf(text, 16, "%.*f %s", unit && ns < 100, ns, units[unit]);
}

static void print_bucket(const struct kvmfd_latency *l, unsigned int i, uint64_t most)
{
	char from[16], to[16];
	unsigned int n;

	time_text(from, i ? (double)(1ULL << i) / 2 : 0);
	time_text(to, 1ULL << i);
	if (i == KVMFD_LATENCY_BUCKETS - 1)
		strcpy(to, "...");
	/* What there is can be seen. */
	n = (BAR * l->buckets[i] + most - 1) / most;
	printf("%10s %10s %10llu", from, to, l->buckets[i]);
	if (n)
		printf("  %.*s", n, "########################################");
	putchar('\n');
}

static void print_histogram(const struct seen *vm, const struct kvmfd_entry *e,
			    const struct kvmfd_latency *l)
{
	unsigned int i, first = KVMFD_LATENCY_BUCKETS, last = 0;
	char where[WHERE_SIZE], mean[16], max[16];
	uint64_t most = 1;

	entry_where(e, where);
	time_text(mean, (double)l->sum / l->count);
	time_text(max, l->max);
	if (told++)
		putchar('\n');
	printf("process %d %s, irqfd %llu, %s\n%llu interrupts, on average %s, at most %s\n",
	       vm->pid, vm->comm, e->id, where, l->count, mean, max);
	for (i = 0; i < KVMFD_LATENCY_BUCKETS; i++) {
		if (!l->buckets[i])
			continue;
		if (most < l->buckets[i])
			most = l->buckets[i];
		if (first > i)
			first = i;
		last = i;
	}
	printf("%10s %10s %10s\n", "FROM", "BELOW", "COUNT");
	for (i = first; i <= last; i++)
		print_bucket(l, i, most);
}

/* Those that have come since are not measured, and those that have gone are none any more. */
static void stop(int fd, const struct seen *vm)
{
	struct kvmfd_latency latency;
	size_t i;

	for (i = 0; i < vm->nr; i++) {
		if (vm->entries[i].kind != KVMFD_ENTRY_IRQFD ||
		    kvmfd_latency(fd, KVMFD_LATENCY_STOP, vm->entries[i].id, &latency))
			continue;
		stopped++;
		if (latency.count)
			print_histogram(vm, &vm->entries[i], &latency);
	}
}

int cmd_latency(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct pids pids = {};
	double seconds = 10;
	struct look l;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			pids_add(&pids, optarg);
			break;
		case 's':
			seconds = seconds_argument("--seconds", optarg);
			break;
		case 'h':
			show_help();
			return 0;
		default:
			bad_option(c, argv);
		}
	}
	no_arguments(argc, argv);

	/* What has been begun is ended whatever comes. */
	wait_prepare(false);
	signal(SIGPIPE, SIG_IGN);
	look_first(&l, &pids, start);
	look_free(&l);
	if (started) {
		wait_for(seconds, -1);
		look_again(&l, &pids, stop);
		look_free(&l);
	}
	if (!told)
		printf("%u irqfds: no interrupt was deferred\n", stopped);
	if (stopped < started)
		printf("%u irqfds: gone, or somebody else has ended the measurement\n",
		       started - stopped);
	free(pids.pids);
	return output_done();
}
