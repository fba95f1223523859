// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile callers: anything that can be done with a /dev/kvmfd, by a user of group kvm
 * and by root.
 *
 * Programs of calls are made at random; with KCOV, which tells where in kvmfd a program
 * got, most of them are made of those that got somewhere first.  Programs are noted, from
 * those VMs on that they run with, so they can be run again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_util.h"
#include "kselftest.h"

#include "client.h"
#include "fail.h"
#include "fuzz/chance.h"
#include "guest.h"
#include "hostile/judge.h"
#include "hostile/kcov.h"
#include "hostile/kernel_log.h"
#include "hostile/run.h"
#include "hostile/tally.h"
#include "user.h"

/* A run tells how far it is, and has to get on meanwhile. */
#define BEAT_MS   20000
#define BEATS_MAX 15

/* So many programs, at most, have the same VMs. */
#define PROGRAMS_MAX 32
/* So many cannot but have each request granted. */
#define MANY_CALLS   20000
/* It may take threads that meet. */
#define REPLAYS      20

static struct {
	uint64_t seed;
	uint64_t calls;
	bool unguided;
	const char *note;
	const char *programs;
} options = { .calls = 6000 };

static int note = -1;
/* Instead of new ones. */
static struct program *replayed;
static unsigned int nr_replayed;

/* --- calls ---------------------------------------------------------------- */

static void run_noted(const struct program *program, bool first, bool last)
{
	char text[PROGRAM_TEXT];

	if (first)
		TEST_ASSERT(!ftruncate(note, 0), "note: %s", strerror(errno));
	program_tell(program, text);
	dprintf(note, "%s\n", text);
	run_program(program, last);
	kernel_log_look();
}

/* As root: the file may be nobody else's. */
static void read_programs(void)
{
	FILE *f = fopen(options.programs, "re");
	char text[PROGRAM_TEXT + 1];

	replayed = calloc(PROGRAMS_MAX, sizeof(*replayed));
	TEST_ASSERT(f && replayed, "%s: %s", options.programs, strerror(errno));
	for (; nr_replayed < PROGRAMS_MAX && fgets(text, sizeof(text), f); nr_replayed++) {
		text[strcspn(text, "\n")] = 0;
		TEST_ASSERT(program_of_text(text, &replayed[nr_replayed]), "%s: no program: %s",
			    options.programs, text);
	}
	fclose(f);
}

static void replay(void)
{
	unsigned int i, times;

	for (times = 0; times < REPLAYS; times++)
		for (i = 0; i < nr_replayed && !tally->faults; i++)
			run_noted(&replayed[i], i == 0, i == nr_replayed - 1);
}

static void explore(uint64_t seed)
{
	static struct program program;
	unsigned int i;

	for (i = 0; tally->calls < options.calls / 2 && !tally->faults; i++) {
		chance_seed(seed + i);
		program_choose(&program, !options.unguided);
		run_noted(&program, i % PROGRAMS_MAX == 0,
			  i % PROGRAMS_MAX == PROGRAMS_MAX - 1);
		if (kcov_collect())
			program_keep(&program);
		tally->places = kcov_places();
		tally->kept = programs_kept();
	}
}

/* --- who makes them ------------------------------------------------------- */

static void be_user(void)
{
	become(USER, KVM_GROUP, 0);
}

static void be_root(void)
{
}

static const struct role {
	const char *name;
	void (*be)(void);
} roles[] = {
	{ "calls of a user in group kvm", be_user },
	{ "calls of root", be_root },
};

#define ROLES ARRAY_SIZE(roles)

static void play(unsigned int role)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	roles[role].be();
	/* A change of user takes it away. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_prepare();
	if (options.programs)
		replay();
	else
		explore(options.seed + ((uint64_t)role << 40));
	_exit(tally->faults ? KSFT_FAIL : KSFT_PASS);
}

static void tell_progress(void)
{
	ksft_print_msg("%lu calls in %lu programs; places in kvmfd: %lu, programs kept: %lu\n",
		       tally->calls, tally->programs, tally->places, tally->kept);
}

/* Until the process has ended, or does not get on. */
static void supervise(pid_t pid)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	uint64_t calls = 0;
	int status, beats = 0;

	TEST_ASSERT(end.fd >= 0, "pidfd_open: %s", strerror(errno));
	while (!poll(&end, 1, BEAT_MS)) {
		tell_progress();
		beats = calls == tally->calls ? beats + 1 : 0;
		calls = tally->calls;
		if (beats < BEATS_MAX)
			continue;
		complain("a program does not get on");
		kill(pid, SIGKILL);
	}
	close(end.fd);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
	tell_progress();
	if (status && !tally->faults)
		complain("the process ended with status %#x", status);
}

/*
 * What a socket had in flight, itself perhaps, goes when another one is closed; that, and
 * an irqfd, a little later, and tells nobody.
 */
static void await_end(const char *what, long before, long (*now)(void))
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int tries;

	for (tries = 0; tries < 1000 && now() != before; tries++) {
		close(socket(AF_UNIX, SOCK_STREAM, 0));
		nanosleep(&moment, NULL);
	}
	if (now() != before)
		complain("%s: %ld, and were %ld", what, now(), before);
}

static long count_references(void)
{
	return module_users();
}

static long count_machines(void)
{
	return count_vms();
}

static void tell_programs(void)
{
	char text[PROGRAM_TEXT];
	ssize_t n;
	off_t at;

	if (options.note) {
		ksft_print_msg("what led to it: --programs %s\n", options.note);
		return;
	}
	ksft_print_msg("what led to it, the lines of a file for --programs:\n");
	for (at = 0; (n = pread(note, text, sizeof(text), at)) > 0; at += n)
		fwrite(text, n, 1, stdout);
}

static bool run_role(unsigned int role)
{
	long references = count_references(), machines = count_machines();
	pid_t pid;

	memset(tally, 0, sizeof(*tally));
	kernel_log_begin();
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		play(role);
	supervise(pid);
	kernel_log_end();
	if (!from_environment("BESIDE_OTHERS", 0)) {
		await_end("references on kvmfd", references, count_references);
		await_end("VMs", machines, count_machines);
	}
	if (!tally->faults)
		return true;

	tell_programs();
	return false;
}

/* --- the run -------------------------------------------------------------- */

static void parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "calls", required_argument, NULL, 'n' },
		{ "unguided", no_argument, NULL, 'u' },
		{ "note", required_argument, NULL, 'f' },
		{ "programs", required_argument, NULL, 'p' },
		{},
	};
	bool good = true;
	int option;

	options.seed = from_environment("SEED", 1);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seed = number_argument("--seed", optarg);
			break;
		case 'n':
			options.calls = number_argument("--calls", optarg);
			break;
		case 'u':
			options.unguided = true;
			break;
		case 'f':
			options.note = optarg;
			break;
		case 'p':
			options.programs = optarg;
			break;
		default:
			good = false;
		}
	}
	if (good && optind == argc)
		return;
	fprintf(stderr, "usage: fuzz_abi [--seed N] [--calls N] [--unguided] [--note FILE]\n");
	fprintf(stderr, "                [--programs FILE]\n");
	exit(KSFT_FAIL);
}

static uint64_t granted[REQUESTS];

static void note_granted(void)
{
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		granted[i] += tally->granted[i];
		ksft_print_msg("%s: granted %lu times\n", requests[i].name, granted[i]);
	}
}

static bool all_granted(void)
{
	bool all = true;
	unsigned int i;

	for (i = 0; i < REQUESTS; i++)
		all &= !!granted[i];
	return all;
}

static void open_note(void)
{
	if (options.note)
		note = open(options.note, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	else
		note = memfd_create("note", MFD_CLOEXEC);
	TEST_ASSERT(note >= 0 && !fcntl(note, F_SETFL, O_APPEND), "cannot open the note: %s",
		    strerror(errno));
}

int main(int argc, char **argv)
{
	unsigned int role;

	parse_options(argc, argv);
	/* What has been found is told, however the program ends. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(ROLES + 1);

	open_note();
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	TEST_ASSERT(tally != MAP_FAILED, "out of memory");
	if (options.programs)
		read_programs();
	ksft_print_msg("KCOV: %s, memory that fails: %s\n", kcov_open() ? "yes" : "no",
		       fail_possible() ? "yes" : "no");
	if (fail_possible())
		fail_setup();
	give_devices_to(KVM_GROUP);
	for (role = 0; role < ROLES; role++) {
		ksft_test_result(run_role(role), "%s\n", roles[role].name);
		note_granted();
	}
	give_devices_to(0);
	if (options.programs)
		ksft_test_result_skip("each request has been granted: a replay\n");
	else if (!all_granted() && options.calls < MANY_CALLS)
		ksft_test_result_skip("each request has been granted: a short run\n");
	else
		ksft_test_result(all_granted(), "each request has been granted\n");
	ksft_finished();
}
