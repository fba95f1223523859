// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches that take long: who makes one can be killed, and its VM closed.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

/* Each has an eventfd of its own, which takes its time to come and to go. */
#define MANY_IRQFDS 16000
#define LIMIT_MS    60000

typedef void make_changes(struct kvmfd_change *changes, unsigned int nr);

/* Of two masks that overlap, so that each is compared with all that are there. */
static void make_doorbells(struct kvmfd_change *changes, unsigned int nr)
{
	int efd = new_eventfd();
	unsigned int i;

	for (i = 0; i < nr; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
			.addr = GUEST_MMIO_BASE,
			.data = (uint64_t)i << 2,
			.mask = i % 2 ? ~1ULL : ~2ULL,
			.len = 4,
			.fd = efd,
		};
}

/* With resample, so that each GSI is looked for among all that are there. */
static void make_irqfds(struct kvmfd_change *changes, unsigned int nr)
{
	const struct rlimit limit = { .rlim_cur = nr + 64, .rlim_max = nr + 64 };
	int resamplefd = new_eventfd();
	unsigned int i;

	TEST_ASSERT(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	for (i = 0; i < nr; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IRQFD,
			.flags = KVM_IRQFD_FLAG_RESAMPLE,
			.gsi = i,
			.fd = new_eventfd(),
			.resamplefd = resamplefd,
		};
}

/* How long a process has been in the kernel, in ticks of 10 ms. */
static unsigned int kernel_ticks(pid_t pid)
{
	const char *fields = "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %u";
	unsigned int ticks;
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	TEST_ASSERT(f && fscanf(f, fields, &ticks) == 1, "cannot read %s", path);
	fclose(f);
	return ticks;
}

FIXTURE(long_batch)
{
	struct kvm_vm *vm;
	int fd;
};

FIXTURE_VARIANT(long_batch)
{
	make_changes *make;
	unsigned int most;
};

FIXTURE_VARIANT_ADD(long_batch, doorbells) { .make = make_doorbells, .most = UINT32_MAX };
FIXTURE_VARIANT_ADD(long_batch, irqfds) { .make = make_irqfds, .most = MANY_IRQFDS };

FIXTURE_SETUP(long_batch)
{
	self->vm = vm_create_barebones();
	vm_create_irqchip(self->vm);
	self->fd = device_open_attached(self->vm->fd);
}

FIXTURE_TEARDOWN(long_batch)
{
	close(self->fd);
	kvm_vm_free(self->vm);
}

/**
 * struct maker - a process that makes a batch
 * @make: what is in it
 * @fd: the attachment
 * @vm: its VM, which the process has no other fd of
 * @nr: how many
 * @ready: an eventfd: the batch comes next
 * @stack: the process's
 * @pid: the process
 * @pidfd: the process, too
 */
struct maker {
	make_changes *make;
	int fd;
	int vm;
	unsigned int nr;
	int ready;
	char *stack;
	pid_t pid;
	int pidfd;
};

/* In a process with our memory, as a VM's calls are made by. */
static int make_batch(void *arg)
{
	const struct maker *m = arg;
	struct kvmfd_change *changes = calloc(m->nr, sizeof(*changes));

	TEST_ASSERT(changes, "out of memory");
	m->make(changes, m->nr);
	close(m->vm);
	eventfd_ring(m->ready);
	_exit(-kvmfd_batch(m->fd, changes, m->nr, NULL));
}

static bool has_exited(const struct maker *m, int ms)
{
	struct pollfd exited = { .fd = m->pidfd, .events = POLLIN };

	return poll(&exited, 1, ms) == 1;
}

/* When it returns, the batch is under way, for so many ticks, and far from its end. */
static void maker_start(struct maker *m, unsigned int ticks)
{
	struct pollfd ready = { .events = POLLIN };
	unsigned int begin;

	m->ready = new_eventfd();
	m->stack = malloc(65536);
	TEST_ASSERT(m->stack, "out of memory");
	m->pid = clone(make_batch, m->stack + 65536, CLONE_VM | SIGCHLD, m);
	TEST_ASSERT(m->pid > 0, "clone: %m");
	m->pidfd = syscall(SYS_pidfd_open, m->pid, 0);
	TEST_ASSERT(m->pidfd >= 0, "pidfd_open: %m");
	ready.fd = m->ready;
	TEST_ASSERT(poll(&ready, 1, LIMIT_MS) == 1, "it does not begin");
	/* Nobody tells how far a call has come. */
	begin = kernel_ticks(m->pid);
	while (kernel_ticks(m->pid) - begin < ticks)
		TEST_ASSERT(!has_exited(m, 10), "it has ended");
}

/* Its status, or -1 if it does not end. */
static int maker_end(struct maker *m)
{
	int status = -1;

	if (has_exited(m, LIMIT_MS))
		waitpid(m->pid, &status, 0);
	close(m->pidfd);
	close(m->ready);
	free(m->stack);
	return status;
}

TEST_F(long_batch, can_be_killed)
{
	unsigned int max = device_info(self->fd).max_batch;
	struct maker maker = {
		.make = variant->make,
		.fd = self->fd,
		.vm = self->vm->fd,
		.nr = max < variant->most ? max : variant->most,
	};
	int status;

	maker_start(&maker, 10);
	ASSERT_EQ(0, kill(maker.pid, SIGKILL));
	status = maker_end(&maker);
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
	EXPECT_EQ(0, device_info(self->fd).nr_irqfds);
	/* Nor has there been anything. */
	maker.ready = new_eventfd();
	ASSERT_EQ(0, irqfd(self->fd, maker.ready, 0, 0));
	EXPECT_EQ(1, device_only_entry(self->fd).id);
	close(maker.ready);
}

/* What would have been assigned then is given up together. */
TEST(irqfds_outlive_their_vm)
{
	struct kvm_vm *vm = vm_create_barebones();
	struct maker maker = { .make = make_irqfds, .nr = MANY_IRQFDS / 2, .vm = vm->fd };

	vm_create_irqchip(vm);
	maker.fd = device_open_attached(vm->fd);
	maker_start(&maker, 2);
	kvm_vm_free(vm);
	ASSERT_EQ(0, maker_end(&maker));
	EXPECT_EQ(0, device_info(maker.fd).nr_irqfds);
	close(maker.fd);
}

TEST_HARNESS_MAIN
