// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for vCPUs and who does not: what takes a doorbell away does, and nothing
 * else.
 *
 * A vCPU is held where KVM holds kvm->srcu for it: it reads a page that userfaultfd
 * does not hand out.  Its interrupts are off, so KVM cannot put the fault aside for
 * a worker (asynchronous page faults).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define LONE   (GUEST_MMIO_BASE + 0x1800)
#define SHARED (LONE + 8)
#define NEW    (LONE + 16)
#define PAGE   (GUEST_MMIO_BASE + 0x8000)
#define GSI    24
#define ROUNDS 20

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

struct held;

/* A call that may wait, and so has a thread of its own. */
struct call {
	struct held *held;
	int (*make)(struct held *held);
	pthread_t thread;
	bool unfinished;
	atomic_int tid;
	int err;
};

/* A VM whose vCPU is held, with doorbells; @fd serves the requests. */
struct held {
	struct guest guest;
	int fd;
	int uffd;
	int kick;
	struct source source;
	struct call vcpu;
	struct call removal;
	struct call quick;
};

static void *call_thread(void *arg)
{
	struct call *call = arg;

	call->tid = gettid();
	call->err = call->make(call->held);
	return NULL;
}

static void call_start(struct call *call, struct held *held, int (*make)(struct held *held))
{
	int err;

	call->held = held;
	call->make = make;
	err = pthread_create(&call->thread, NULL, call_thread, call);
	TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
	call->unfinished = true;
}

/* The call's errno, or ETIMEDOUT: it goes on. */
static int call_finish(struct call *call)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += PATIENCE_MS / 1000;
	if (call->unfinished)
		call->unfinished = pthread_timedjoin_np(call->thread, NULL, &limit);
	return call->unfinished ? ETIMEDOUT : call->err;
}

/* Is that thread, if there is one, in a function of the kernel's? */
static bool is_in(int tid, const char *function)
{
	char name[64], stack[4096];
	ssize_t n = 0;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stack", tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, stack, sizeof(stack) - 1);
		close(fd);
	}
	stack[n > 0 ? n : 0] = 0;
	return strstr(stack, function);
}

/* Waits for vCPUs. */
static bool in_grace_period(int tid)
{
	return is_in(tid, "synchronize_srcu");
}

/* False if the call returns, or hangs elsewhere. */
static bool call_waits(struct call *call)
{
	int ms;

	for (ms = 0; ms < PATIENCE_MS; ms++) {
		if (!pthread_tryjoin_np(call->thread, NULL)) {
			call->unfinished = false;
			return false;
		}
		if (in_grace_period(call->tid))
			return true;
		/* Nobody tells that a thread has gone to sleep. */
		poll(NULL, 0, 1);
	}
	return false;
}

/* errno of a call that should not wait; ETIMEDOUT if it does. */
static int call_quick(struct held *held, int (*make)(struct held *held))
{
	call_start(&held->quick, held, make);
	return call_finish(&held->quick);
}

static int read_page(struct held *held)
{
	uint32_t value;

	return guest_read(&held->guest, SPACE_MMIO, PAGE, &value) ? EIO : 0;
}

static void hold_vcpu(struct held *held)
{
	vm_userspace_mem_region_add(held->guest.vm, VM_MEM_SRC_ANONYMOUS, PAGE, 1, 1, 0);
	held->uffd = hold_page(addr_gpa2hva(held->guest.vm, PAGE));
	call_start(&held->vcpu, held, read_page);
	await_page(held->uffd);
}

/* Without its userfaultfd the page is one like all others. */
static void release_vcpu(struct held *held)
{
	close(held->uffd);
	held->uffd = -1;
}

static void held_create(struct held *held, bool kvmfd)
{
	int err;

	guest_create(&held->guest);
	held->fd = kvmfd ? device_open_attached(held->guest.vm->fd) : held->guest.vm->fd;
	held->kick = new_eventfd();
	held->source = new_source();
	err = ioeventfd(held->fd, held->kick, LONE, 4, 0, 0);
	if (!err)
		err = ioeventfd(held->fd, held->kick, SHARED, 4, DATAMATCH, 1);
	if (!err)
		err = ioeventfd(held->fd, held->kick, SHARED, 4, DATAMATCH, 2);
	TEST_ASSERT(!err, "assign: %s", strerror(err));
	hold_vcpu(held);
}

/* Whatever the test has left. */
static void held_destroy(struct held *held)
{
	if (held->uffd >= 0)
		release_vcpu(held);
	call_finish(&held->quick);
	call_finish(&held->removal);
	call_finish(&held->vcpu);
	close(held->kick);
	close_source(&held->source);
	if (held->fd >= 0 && held->fd != held->guest.vm->fd)
		close(held->fd);
	kvm_vm_free(held->guest.vm);
}

/* --- what waits --------------------------------------------------------- */

static int deassign_lone(struct held *held)
{
	return ioeventfd(held->fd, held->kick, LONE, 4, DEASSIGN, 0);
}

/* The other one stays, and with it the range on the bus. */
static int deassign_shared(struct held *held)
{
	return ioeventfd(held->fd, held->kick, SHARED, 4, DATAMATCH | DEASSIGN, 1);
}

static int deassign_by_batch(struct held *held)
{
	const struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.fd = held->kick,
		.flags = DEASSIGN,
		.addr = LONE,
		.len = 4,
	};

	return -kvmfd_batch(held->fd, &change, 1, NULL);
}

static int close_attachment(struct held *held)
{
	int fd = held->fd;

	held->fd = -1;
	return close(fd) ? errno : 0;
}

FIXTURE(removal)
{
	struct held held;
};

FIXTURE_VARIANT(removal)
{
	bool kvmfd;
	typeof(deassign_lone) *remove;
};

#define REMOVAL(backend, name, function)             \
	FIXTURE_VARIANT_ADD(removal, name)           \
	{                                            \
		.kvmfd = backend, .remove = function \
	}

REMOVAL(false, kvm_lone, deassign_lone);
REMOVAL(false, kvm_shared, deassign_shared);
REMOVAL(true, kvmfd_lone, deassign_lone);
REMOVAL(true, kvmfd_shared, deassign_shared);
REMOVAL(true, kvmfd_batch, deassign_by_batch);
REMOVAL(true, kvmfd_close, close_attachment);

FIXTURE_SETUP(removal)
{
	held_create(&self->held, variant->kvmfd);
}

FIXTURE_TEARDOWN(removal)
{
	held_destroy(&self->held);
}

TEST_F(removal, waits_for_vcpus)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);
	int i;

	call_start(&self->held.removal, &self->held, variant->remove);
	ASSERT_TRUE(call_waits(&self->held.removal));
	/* Not for irq_srcu: KVM does that itself here, often enough for a sleeper to wake. */
	for (i = 0; i < ROUNDS; i++)
		guest_set_routing(&self->held.guest, &entry, 1);
	ASSERT_TRUE(call_waits(&self->held.removal));

	release_vcpu(&self->held);
	EXPECT_EQ(0, call_finish(&self->held.removal));
	EXPECT_EQ(0, call_finish(&self->held.vcpu));
}

/* --- who waits for who waits -------------------------------------------- */

static int assign_new(struct held *held)
{
	return ioeventfd(held->fd, held->kick, NEW, 4, 0, 0);
}

static int evict(struct held *held)
{
	return -kvmfd_evict(held->fd, held->guest.vm->fd);
}

/* It is to be told that this has been done. */
static int attach(struct held *held)
{
	return -kvmfd_attach_vm(held->fd, held->guest.vm->fd, 0, 0, NULL);
}

FIXTURE(locked)
{
	struct held held;
};

FIXTURE_VARIANT(locked)
{
	typeof(assign_new) *make;
};

FIXTURE_VARIANT_ADD(locked, assign) { .make = assign_new };
FIXTURE_VARIANT_ADD(locked, deassign) { .make = deassign_shared };
FIXTURE_VARIANT_ADD(locked, batch) { .make = deassign_by_batch };
FIXTURE_VARIANT_ADD(locked, evict) { .make = evict };
FIXTURE_VARIANT_ADD(locked, attach) { .make = attach };

FIXTURE_SETUP(locked)
{
	held_create(&self->held, true);
}

FIXTURE_TEARDOWN(locked)
{
	held_destroy(&self->held);
}

static int make_call(void *arg)
{
	struct call *call = arg;

	return call->make(call->held);
}

/* Of a process with our memory, as a VM's calls are made by. */
TEST_F(locked, can_be_killed)
{
	struct call call = { .held = &self->held, .make = variant->make };
	char *stack = malloc(65536);
	int ms, status = 0;
	bool waits = false;
	pid_t pid;

	ASSERT_NE(NULL, stack);
	call_start(&self->held.removal, &self->held, deassign_lone);
	ASSERT_TRUE(call_waits(&self->held.removal));

	pid = clone(make_call, stack + 65536, CLONE_VM | CLONE_FILES | SIGCHLD, &call);
	ASSERT_LT(0, pid);
	for (ms = 0; ms < PATIENCE_MS && !waits; ms++) {
		waits = is_in(pid, "kvmfd_ioctl");
		/* Nobody tells that a process has gone to sleep. */
		poll(NULL, 0, 1);
	}
	EXPECT_TRUE(waits);
	kill(pid, SIGKILL);
	for (ms = 0; ms < PATIENCE_MS && !waitpid(pid, &status, WNOHANG); ms++)
		poll(NULL, 0, 1);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_TRUE(call_waits(&self->held.removal));

	release_vcpu(&self->held);
	EXPECT_EQ(0, call_finish(&self->held.removal));
	EXPECT_EQ(0, call_finish(&self->held.vcpu));
	if (!status)
		waitpid(pid, &status, 0);
	free(stack);
	/* What was killed has done nothing. */
	EXPECT_EQ(2, device_info(self->held.fd).nr_ioeventfds);
}

/* --- what does not ------------------------------------------------------ */

static int use_irqfds(struct held *held)
{
	int err;

	err = irqfd(held->fd, held->kick, GSI, 0);
	if (!err)
		err = irqfd(held->fd, held->kick, GSI, KVM_IRQFD_FLAG_DEASSIGN);
	if (!err)
		err = assign(held->fd, &held->source, PIN);
	if (!err)
		err = deassign(held->fd, &held->source, PIN);
	return err;
}

FIXTURE(irqfds)
{
	struct held held;
};

FIXTURE_VARIANT(irqfds)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(irqfds, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(irqfds, kvm) { .kvmfd = false };

FIXTURE_SETUP(irqfds)
{
	held_create(&self->held, variant->kvmfd);
}

FIXTURE_TEARDOWN(irqfds)
{
	held_destroy(&self->held);
}

/* Whoever is to provide the page may need one first. */
TEST_F(irqfds, come_and_go_during_a_removal)
{
	call_start(&self->held.removal, &self->held, deassign_lone);
	ASSERT_TRUE(call_waits(&self->held.removal));
	ASSERT_EQ(0, call_quick(&self->held, use_irqfds));
	ASSERT_TRUE(call_waits(&self->held.removal));

	release_vcpu(&self->held);
	EXPECT_EQ(0, call_finish(&self->held.removal));
	EXPECT_EQ(0, call_finish(&self->held.vcpu));
}

static int assign_doorbells(struct held *held)
{
	const struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.fd = held->kick,
		.addr = NEW + 8,
		.len = 4,
	};
	int err = ioeventfd(held->fd, held->kick, NEW, 4, 0, 0);

	return err ? err : -kvmfd_batch(held->fd, &change, 1, NULL);
}

/* KVM's assign waits on some kernels. */
TEST(assign_does_not_wait)
{
	struct held held = {};

	held_create(&held, true);
	EXPECT_EQ(0, call_quick(&held, assign_doorbells));
	/* A removal would have had to. */
	call_start(&held.removal, &held, deassign_lone);
	EXPECT_TRUE(call_waits(&held.removal));
	held_destroy(&held);
}

TEST_HARNESS_MAIN
