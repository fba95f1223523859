// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of it all: what an irqfd depends on goes, at any moment and in any order, and
 * nothing is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "harness.h"
#include "race.h"

#define IRQFDS 64

/* As the test host has it. */
#define MODULE "/kvmfd.ko"

/* A VM without memory, which is soon made, and its irqfds. */
struct bare {
	int vm;
	int vcpu;
	int fd;
	int calls[IRQFDS];
};

/* All of them end at once. */
static struct {
	struct bare *vms;
	unsigned int nr;
	unsigned int irqfds;
} ending;

static void bare_create(struct bare *bare, unsigned int irqfds)
{
	int err, kvm = open_kvm_dev_path_or_exit();
	unsigned int i;

	bare->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(bare->vm >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	close(kvm);
	err = do_ioctl(bare->vm, KVM_CREATE_IRQCHIP, NULL);
	TEST_ASSERT(!err, "KVM_CREATE_IRQCHIP: %s", strerror(err));
	bare->vcpu = ioctl(bare->vm, KVM_CREATE_VCPU, 0);
	TEST_ASSERT(bare->vcpu >= 0, "KVM_CREATE_VCPU: %s", strerror(errno));
	bare->fd = device_open_attached(bare->vm);
	for (i = 0; i < irqfds; i++) {
		bare->calls[i] = new_eventfd();
		/* By a worker if the number is a pin's. */
		err = irqfd(bare->fd, bare->calls[i], i, 0);
		TEST_ASSERT(!err, "KVM_IRQFD: %s", strerror(err));
	}
}

static void ending_create(unsigned int nr, unsigned int irqfds)
{
	unsigned int i;

	ending.vms = calloc(nr, sizeof(*ending.vms));
	TEST_ASSERT(ending.vms, "out of memory");
	ending.nr = nr;
	ending.irqfds = irqfds;
	for (i = 0; i < nr; i++)
		bare_create(&ending.vms[i], irqfds);
}

static void ending_free(void)
{
	unsigned int i;

	for (i = 0; i < ending.nr; i++)
		close(ending.vms[i].vcpu);
	free(ending.vms);
}

static int end_vms(struct race *race)
{
	unsigned int i;

	for (i = 0; i < ending.nr; i++)
		close(ending.vms[i].vm);
	return 0;
}

static int end_attachments(struct race *race)
{
	unsigned int i;

	for (i = 0; i < ending.nr; i++)
		close(ending.vms[i].fd);
	return 0;
}

static int end_eventfds(struct race *race)
{
	unsigned int i, j;

	for (i = 0; i < ending.nr; i++) {
		for (j = 0; j < ending.irqfds; j++) {
			eventfd_ring(ending.vms[i].calls[j]);
			close(ending.vms[i].calls[j]);
		}
	}
	return 0;
}

FIXTURE(end)
{
	struct race race;
	unsigned int vms;
};

FIXTURE_SETUP(end)
{
	self->vms = count_vms();
	TELL_KNOBS(&self->race);
}

FIXTURE_TEARDOWN(end)
{
}

/* ACRN's irqfds were torn down by each of them. */
TEST_F(end, all_files_but_the_vcpus)
{
	static const part_fn parts[] = { end_vms, end_attachments, end_eventfds };
	struct race *race = &self->race;
	part_fn order[3];
	int first, swap;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		first = race->round % 3;
		swap = race->round / 3 % 2;
		order[0] = parts[first];
		order[1] = parts[(first + 1 + swap) % 3];
		order[2] = parts[(first + 2 - swap) % 3];
		ending_create(1, 4);
		race_run(race, order, 3);
		ASSERT_EQ(self->vms + 1, count_vms());
		ending_free();
		ASSERT_EQ(self->vms, count_vms());
	}
}

/* KVM's workers (2026) waited for each other when there were enough of them. */
TEST_F(end, many_vms)
{
	const struct rlimit limit = { .rlim_cur = 10000, .rlim_max = 10000 };
	bool slow = !access("/sys/kernel/debug/kmemleak", F_OK);
	struct race *race = &self->race;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (race->round = 0; race->round < race->rounds / 1000 + 1; race->round++) {
		ending_create(slow ? 10 : 100, IRQFDS);
		TOGETHER(race, end_vms, end_attachments, end_eventfds);
		ending_free();
		ASSERT_EQ(self->vms, count_vms());
	}
}

static void load_module(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	TEST_ASSERT(fd >= 0, "open " MODULE ": %s", strerror(errno));
	TEST_ASSERT(!syscall(SYS_finit_module, fd, "", 0), "finit_module: %s",
		    strerror(errno));
	close(fd);
}

/* KVM's devices (follow-ups to 7d9a0273) could outlive the code that frees them. */
TEST_F(end, module_right_after_the_last_close)
{
	struct race *race = &self->race;

	if (access(MODULE, R_OK))
		SKIP(return, "no " MODULE " to load again");
	for (race->round = 0; race->round < race->rounds / 10 + 1; race->round++) {
		ending_create(1, IRQFDS);
		TOGETHER(race, end_vms, end_attachments, end_eventfds);
		ASSERT_EQ(0, syscall(SYS_delete_module, "kvmfd", O_NONBLOCK));
		ending_free();
		load_module();
	}
}

/* Never returns. */
static void do_it_all(struct race *race)
{
	race_setup(race, true);
	for (;; race->round++) {
		TOGETHER(race, do_assign, do_signal_often, do_batch_replace);
		TOGETHER(race, do_deassign_and_take, do_change_routes, do_batch_fail);
		TOGETHER(race, do_assign_elsewhere, do_batch_replace, do_signal_both_often);
		TOGETHER(race, do_close_eventfd, do_assign, do_change_routes);
		race->efd = new_eventfd();
	}
}

TEST_F(end, killed_at_any_moment)
{
	struct race *race = &self->race;
	int status;
	pid_t pid;

	for (race->round = 0; race->round < race->rounds / 5 + 1; race->round++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			do_it_all(race);
		nanosleep(&(struct timespec) { .tv_nsec = rand() % 200000000 }, NULL);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
		ASSERT_EQ(self->vms, count_vms());
	}
}

TEST_HARNESS_MAIN
