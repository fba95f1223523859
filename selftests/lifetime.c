// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who lives how long: closing in every order, killing, racing.  Nothing may be
 * left behind, and no VM may live longer than KVM alone would let it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define ADDR   (GUEST_MMIO_BASE + 0x1800)
#define GSI    24
#define ROUNDS 50

/*
 * One of each: a doorbell, which rings @kick, an irqfd, driven by @call, and one
 * that is resampled, with its line raised or about to be.
 */
struct whole {
	struct guest guest;
	int fd;
	int kick;
	int call;
	struct source level;
};

static void whole_create(struct whole *whole)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);
	int err;

	guest_create(&whole->guest);
	guest_set_routing(&whole->guest, &entry, 1);
	whole->fd = device_open_attached(whole->guest.vm->fd);
	whole->kick = new_eventfd();
	whole->call = new_eventfd();
	whole->level = new_source();
	err = ioeventfd(whole->fd, whole->kick, ADDR, 0, 0, 0);
	if (!err)
		err = irqfd(whole->fd, whole->call, GSI, 0);
	if (!err)
		err = assign(whole->fd, &whole->level, PIN);
	TEST_ASSERT(!err, "assign: %s", strerror(err));
	eventfd_ring(whole->level.call);
}

/* What the guest rings, and what interrupts it. */
static void close_kick(struct whole *whole)
{
	close(whole->kick);
	close(whole->level.resample);
}

static void close_call(struct whole *whole)
{
	close(whole->call);
	close(whole->level.call);
}

/* The vCPU's file is also kept by the mapping of its run area. */
static void close_vcpu(struct guest *guest)
{
	munmap(guest->vcpu->run, ioctl(guest->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL));
	close(guest->vcpu->fd);
}

TEST(vm_ends_with_its_last_fd)
{
	unsigned int vms = count_vms();
	struct whole whole;

	whole_create(&whole);
	EXPECT_EQ(vms + 1, count_vms());
	/* The attachment stays open, and does not keep the VM. */
	close_vcpu(&whole.guest);
	EXPECT_EQ(vms + 1, count_vms());
	close(whole.guest.vm->fd);
	EXPECT_EQ(vms, count_vms());
	EXPECT_EQ(KVMFD_STATE_GONE, device_info(whole.fd).state);
	EXPECT_EQ(0, device_info(whole.fd).nr_ioeventfds);
	EXPECT_EQ(0, device_info(whole.fd).nr_irqfds);
	close(whole.fd);
}

TEST(vm_fd_closed_first)
{
	struct whole whole;

	whole_create(&whole);
	EXPECT_EQ(0, guest_write(&whole.guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, eventfd_take(whole.kick));
	eventfd_ring(whole.call);
	EXPECT_EQ(0, eventfd_take(whole.call));

	/* As in KVM: the irqfds end, the doorbells go on with the vCPUs. */
	close(whole.guest.vm->fd);
	EXPECT_EQ(KVMFD_STATE_GONE, device_info(whole.fd).state);
	EXPECT_EQ(0, device_info(whole.fd).nr_irqfds);
	EXPECT_EQ(1, device_info(whole.fd).retired_inline_calls);
	eventfd_ring(whole.call);
	EXPECT_EQ(1, eventfd_take(whole.call));

	EXPECT_EQ(0, guest_write(&whole.guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, eventfd_take(whole.kick));
	EXPECT_EQ(2, device_only_entry(whole.fd).hits);

	/* Without the attachment there is no doorbell either. */
	close(whole.fd);
	EXPECT_EQ(1, guest_write(&whole.guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(0, eventfd_take(whole.kick));
}

TEST(vm_fd_duplicated)
{
	struct whole whole;
	int dupped;

	whole_create(&whole);
	dupped = dup(whole.guest.vm->fd);
	close(whole.guest.vm->fd);
	EXPECT_EQ(KVMFD_STATE_ATTACHED, device_info(whole.fd).state);
	EXPECT_EQ(0, irqfd(whole.fd, whole.call, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_EQ(0, irqfd(whole.fd, whole.call, GSI, 0));
	close(dupped);
	EXPECT_EQ(KVMFD_STATE_GONE, device_info(whole.fd).state);
	close(whole.fd);
}

enum thing {
	THE_VM,
	THE_VCPU,
	THE_ATTACHMENT,
	THE_KICK,
	THE_CALL,
	NR_THINGS,
};

static void close_thing(struct whole *whole, enum thing thing)
{
	switch (thing) {
	case THE_VM:
		close(whole->guest.vm->fd);
		break;
	case THE_VCPU:
		close_vcpu(&whole->guest);
		break;
	case THE_ATTACHMENT:
		close(whole->fd);
		break;
	case THE_KICK:
		close_kick(whole);
		break;
	case THE_CALL:
		close_call(whole);
		break;
	case NR_THINGS:
		break;
	}
}

/* Puts the order'th of all orders of @n things into @things. */
static void permute(int order, enum thing *things, int n)
{
	enum thing taken;
	int pick;

	for (; n > 1; things++, n--) {
		pick = order % n;
		order /= n;
		taken = things[pick];
		memmove(things + 1, things, pick * sizeof(*things));
		things[0] = taken;
	}
}

FIXTURE(close_first) {};

FIXTURE_VARIANT(close_first)
{
	enum thing first;
};

FIXTURE_VARIANT_ADD(close_first, vm) { .first = THE_VM };
FIXTURE_VARIANT_ADD(close_first, vcpu) { .first = THE_VCPU };
FIXTURE_VARIANT_ADD(close_first, attachment) { .first = THE_ATTACHMENT };
FIXTURE_VARIANT_ADD(close_first, kick) { .first = THE_KICK };
FIXTURE_VARIANT_ADD(close_first, call) { .first = THE_CALL };

FIXTURE_SETUP(close_first)
{
}

FIXTURE_TEARDOWN(close_first)
{
}

TEST_F(close_first, then_the_rest_in_every_order)
{
	unsigned int vms = count_vms(), left;
	enum thing things[NR_THINGS];
	struct whole whole;
	int order, i;

	for (order = 0; order < 4 * 3 * 2; order++) {
		for (i = 0; i < NR_THINGS; i++)
			things[i] = (variant->first + i) % NR_THINGS;
		permute(order, things + 1, NR_THINGS - 1);

		whole_create(&whole);
		for (i = 0; i < NR_THINGS; i++)
			close_thing(&whole, things[i]);
		left = count_vms();
		if (left != vms)
			TH_LOG("order %d", order);
		ASSERT_EQ(vms, left);
		close(whole.guest.vm->kvm_fd);
	}
}

static void ring_for_ever(struct whole *whole)
{
	for (;;) {
		guest_write(&whole->guest, SPACE_MMIO, ADDR, 4, 0);
		eventfd_ring(whole->call);
	}
}

/* @fd is the parent's too, and survives. */
static void attach_and_ring(int fd)
{
	struct whole whole;
	int err;

	guest_create(&whole.guest);
	whole.kick = new_eventfd();
	whole.call = new_eventfd();
	err = -kvmfd_attach_vm(fd, whole.guest.vm->fd, 0, 0, NULL);
	if (!err)
		err = ioeventfd(fd, whole.kick, ADDR, 0, 0, 0);
	if (!err)
		err = irqfd(fd, whole.call, GSI, 0);
	TEST_ASSERT(!err, "assign: %s", strerror(err));
	ring_for_ever(&whole);
}

TEST(killed_while_it_rings)
{
	unsigned int vms = count_vms();
	int status, fd = device_open();
	struct kvmfd_info info;
	struct kvmfd_entry entry;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		attach_and_ring(fd);

	/* Until the first hit has been counted. */
	do {
		sched_yield();
		ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
		info = device_info(fd);
	} while (info.state != KVMFD_STATE_ATTACHED || device_entries(fd, &entry, 1) != 1 ||
		 !entry.hits);

	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));

	/* It was another process's, and kept nothing of it alive. */
	info = device_info(fd);
	EXPECT_EQ(KVMFD_STATE_GONE, info.state);
	EXPECT_EQ(0, info.nr_ioeventfds);
	EXPECT_EQ(0, info.nr_irqfds);
	EXPECT_LT(0, info.retired_hits);
	EXPECT_EQ(vms, count_vms());
	close(fd);
}

TEST(killed_at_once)
{
	unsigned int vms = count_vms();
	struct whole whole;
	int i, status;
	pid_t pid;

	/* The whole is the child's alone: both files end with it, in exit's order. */
	for (i = 0; i < 10; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			whole_create(&whole);
			raise(SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(vms, count_vms());
	}
}

/* KVM could be unloaded under its VMs (5f6de5cbebee). */
TEST(module_in_use)
{
	struct whole whole;

	whole_create(&whole);
	EXPECT_EQ(-1, syscall(SYS_delete_module, "kvmfd", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	/* Also by an attachment without a VM. */
	kvm_vm_free(whole.guest.vm);
	EXPECT_EQ(-1, syscall(SYS_delete_module, "kvmfd", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	close(whole.fd);
}

/* --- races -------------------------------------------------------------- */

struct race {
	pthread_barrier_t start;
	struct whole whole;
};

static void *close_kvmfd(void *arg)
{
	struct race *race = arg;

	pthread_barrier_wait(&race->start);
	close(race->whole.fd);
	return NULL;
}

static void *close_calls(void *arg)
{
	struct race *race = arg;

	pthread_barrier_wait(&race->start);
	close_call(&race->whole);
	return NULL;
}

static void *assign_until_gone(void *arg)
{
	struct race *race = arg;
	struct source level = new_source();
	int efd = new_eventfd(), err = 0;

	pthread_barrier_wait(&race->start);
	while (!err) {
		err = ioeventfd(race->whole.fd, efd, ADDR + 8, 4, 0, 0);
		if (!err)
			err = irqfd(race->whole.fd, efd, GSI, 0);
		if (!err)
			err = irqfd(race->whole.fd, efd, GSI, KVM_IRQFD_FLAG_DEASSIGN);
		if (!err)
			err = assign(race->whole.fd, &level, PIN + 1);
		if (!err)
			err = deassign(race->whole.fd, &level, PIN + 1);
		if (!err)
			err = ioeventfd(race->whole.fd, efd, ADDR + 8, 4,
					KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
	}
	close_source(&level);
	close(efd);
	return (void *)(long)err;
}

/* The VM is closed here, in this thread, while @other does its part. */
static long race_against_close(struct race *race, void *(*other)(void *))
{
	pthread_t thread;
	void *result;
	int err;

	whole_create(&race->whole);
	pthread_barrier_init(&race->start, NULL, 2);
	err = pthread_create(&thread, NULL, other, race);
	TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
	pthread_barrier_wait(&race->start);
	kvm_vm_free(race->whole.guest.vm);
	pthread_join(thread, &result);
	pthread_barrier_destroy(&race->start);
	return (long)result;
}

FIXTURE(races)
{
	struct race race;
	unsigned int vms;
};

FIXTURE_SETUP(races)
{
	self->vms = count_vms();
}

FIXTURE_TEARDOWN(races)
{
}

TEST_F(races, vm_close_and_kvmfd_close)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		race_against_close(&self->race, close_kvmfd);
		close_kick(&self->race.whole);
		close_call(&self->race.whole);
		ASSERT_EQ(self->vms, count_vms());
	}
}

TEST_F(races, vm_close_and_eventfd_close)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		race_against_close(&self->race, close_calls);
		ASSERT_EQ(self->vms, count_vms());
		ASSERT_EQ(0, device_info(self->race.whole.fd).nr_irqfds);
		close(self->race.whole.fd);
		close_kick(&self->race.whole);
	}
}

TEST_F(races, vm_close_and_assign)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(ENODEV, race_against_close(&self->race, assign_until_gone));
		ASSERT_EQ(self->vms, count_vms());
		ASSERT_EQ(0, device_info(self->race.whole.fd).nr_ioeventfds);
		ASSERT_EQ(0, device_info(self->race.whole.fd).nr_irqfds);
		close(self->race.whole.fd);
		close_kick(&self->race.whole);
		close_call(&self->race.whole);
	}
}

TEST_HARNESS_MAIN
