// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_util.h"

#include "hostile/act.h"
#include "hostile/judge.h"
#include "hostile/kcov.h"
#include "hostile/run.h"
#include "hostile/tally.h"
#include "hostile/world.h"

/* Signals break calls off, and end those that would go on for ever: a vCPU's. */
#define TICK_US 40000

#define CHILD_LANE  (KCOV_LANES - 1)
#define CHILD_CALLS 12

struct thread {
	pthread_t thread;
	struct actor actor;
	unsigned int first;
	pid_t child;
	bool kill_child;
};

static struct {
	struct call *calls;
	unsigned int n;
	unsigned int threads;
	/* That have not begun. */
	unsigned int missing;
	pid_t tids[THREADS_MAX];
} running;

/* The kernel chooses one thread; the others are to have it, too. */
static void on_tick(int signal, siginfo_t *info, void *context)
{
	int i, err = errno;

	for (i = 0; info->si_code == SI_KERNEL && i < THREADS_MAX; i++)
		if (running.tids[i])
			syscall(SYS_tgkill, getpid(), running.tids[i], signal);
	errno = err;
}

static void start_ticks(void)
{
	const struct itimerval every = {
		.it_interval.tv_usec = TICK_US,
		.it_value.tv_usec = TICK_US,
	};

	setitimer(ITIMER_REAL, &every, NULL);
}

void run_prepare(void)
{
	const struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO };

	TEST_ASSERT(!sigaction(SIGALRM, &action, NULL), "sigaction: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	running.calls = calloc(GENES_MAX, sizeof(*running.calls));
	TEST_ASSERT(running.calls, "out of memory");
	start_ticks();
}

/* --- another process ------------------------------------------------------ */

static void be_child(unsigned int i)
{
	unsigned int end = i + CHILD_CALLS * running.threads;
	struct actor actor = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_ticks();
	actor_begin(&actor);
	kcov_begin(CHILD_LANE);
	for (; i < running.n && i < end; i += running.threads)
		act(&actor, &running.calls[i]);
	_exit(0);
}

static void end_child(struct thread *thread)
{
	int status;

	if (!thread->child)
		return;
	if (thread->kill_child)
		kill(thread->child, SIGKILL);
	while (waitpid(thread->child, &status, 0) < 0)
		TEST_ASSERT(errno == EINTR, "waitpid: %s", strerror(errno));
	thread->child = 0;
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		complain("a process that made calls ended with status %#x", status);
}

/* The calls that are next come from both then. */
static void start_child(struct thread *thread, unsigned int i)
{
	end_child(thread);
	thread->actor.alone = false;
	thread->kill_child = running.calls[i].choice & 1;
	thread->child = fork();
	TEST_ASSERT(thread->child >= 0, "fork: %s", strerror(errno));
	if (!thread->child)
		be_child(i + running.threads);
}

/* --- threads -------------------------------------------------------------- */

static void *run_thread(void *arg)
{
	struct thread *thread = arg;
	unsigned int i;

	actor_begin(&thread->actor);
	running.tids[thread->first] = syscall(SYS_gettid);
	kcov_begin(thread->first);
	__atomic_sub_fetch(&running.missing, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&running.missing, __ATOMIC_ACQUIRE))
		sched_yield();

	for (i = thread->first; i < running.n; i += running.threads) {
		if (running.calls[i].act == ACT_FORK)
			start_child(thread, i);
		act(&thread->actor, &running.calls[i]);
	}

	kcov_end(thread->first);
	running.tids[thread->first] = 0;
	end_child(thread);
	actor_end(&thread->actor);
	return NULL;
}

void run_program(const struct program *program, bool last)
{
	struct thread threads[THREADS_MAX] = {};
	unsigned int i;
	int err;

	for (i = 0; i < program->n; i++)
		call_of_gene(&program->genes[i], &running.calls[i]);
	running.n = program->n;
	running.threads = program->threads;
	running.missing = program->threads;

	world_begin();
	for (i = 0; i < program->threads; i++) {
		threads[i].first = i;
		threads[i].actor.alone = program->threads == 1;
	}
	for (i = 1; i < program->threads; i++) {
		err = pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]);
		TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
	}
	run_thread(&threads[0]);
	for (i = 1; i < program->threads; i++)
		pthread_join(threads[i].thread, NULL);

	kcov_begin(0);
	world_end(program->genes[0].seed, last);
	kcov_end(0);
	tally_add(&tally->programs);
}
