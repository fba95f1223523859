// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches that take long: who makes one can be killed, and nothing of it is left.
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
#define MANY_IRQFDS  16000
/* In ticks. */
#define KILLED_AFTER 10
#define LIMIT_MS     60000

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

struct maker {
	make_changes *make;
	int fd;
	unsigned int nr;
	int ready;
};

/* In a process with our memory, as a VM's calls are made by. */
static int make_batch(void *arg)
{
	const struct maker *m = arg;
	struct kvmfd_change *changes = calloc(m->nr, sizeof(*changes));

	TEST_ASSERT(changes, "out of memory");
	m->make(changes, m->nr);
	eventfd_ring(m->ready);
	kvmfd_batch(m->fd, changes, m->nr, NULL);
	_exit(0);
}

TEST_F(long_batch, can_be_killed)
{
	unsigned int max = device_info(self->fd).max_batch;
	struct maker maker = {
		.make = variant->make,
		.fd = self->fd,
		.nr = max < variant->most ? max : variant->most,
		.ready = new_eventfd(),
	};
	struct pollfd ready = { .fd = maker.ready, .events = POLLIN };
	struct pollfd exited = { .events = POLLIN };
	char *stack = malloc(65536);
	unsigned int begin;
	int status;
	pid_t pid;

	ASSERT_NE(NULL, stack);
	pid = clone(make_batch, stack + 65536, CLONE_VM | SIGCHLD, &maker);
	ASSERT_LE(0, pid);
	exited.fd = syscall(SYS_pidfd_open, pid, 0);
	ASSERT_LE(0, exited.fd);
	ASSERT_EQ(1, poll(&ready, 1, LIMIT_MS));
	/* Nobody tells how far a call has come. */
	begin = kernel_ticks(pid);
	while (kernel_ticks(pid) - begin < KILLED_AFTER)
		ASSERT_EQ(0, poll(&exited, 1, 10));

	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(1, poll(&exited, 1, LIMIT_MS));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
	EXPECT_EQ(0, device_info(self->fd).nr_irqfds);
	/* Nor has there been anything. */
	ASSERT_EQ(0, irqfd(self->fd, maker.ready, 0, 0));
	EXPECT_EQ(1, device_only_entry(self->fd).id);
	close(exited.fd);
	close(maker.ready);
	free(stack);
}

TEST_HARNESS_MAIN
