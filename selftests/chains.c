// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains of irqfds: the end of one's interrupt signals the eventfd of another, or its
 * own.  Each link works once per signal, for kvmfd and, in the same words, for KVM.
 *
 * An eventfd's wake-up raises interrupts and ends none, so one never leads to another:
 * the kernel, which would drop such a signal with a warning, has nothing to drop.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define GSI    24
#define LINKS  100
#define ROUNDS 20

/* Two VMs, and what serves the requests of each. */
FIXTURE(chains)
{
	struct guest guest[2];
	int fd[2];
	int efd[2];
};

FIXTURE_VARIANT(chains)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(chains, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(chains, kvm) { .kvmfd = false };

FIXTURE_SETUP(chains)
{
	int i;

	for (i = 0; i < 2; i++) {
		guest_create(&self->guest[i]);
		self->fd[i] = self->guest[i].vm->fd;
		if (variant->kvmfd)
			self->fd[i] = device_open_attached(self->fd[i]);
		/* Its local APIC comes to life. */
		guest_take_interrupts(&self->guest[i]);
		guest_program_ioapic(&self->guest[i], PIN, VECTOR, LEVEL);
		self->efd[i] = new_eventfd();
	}
}

FIXTURE_TEARDOWN(chains)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (variant->kvmfd)
			close(self->fd[i]);
		kvm_vm_free(self->guest[i].vm);
		close(self->efd[i]);
	}
}

static bool wait_pin(struct guest *guest)
{
	int ms;

	/* A worker raises it, and tells nobody. */
	for (ms = 0; ms < PATIENCE_MS && !pin_is_up(guest, PIN); ms++)
		poll(NULL, 0, 1);

	return ms < PATIENCE_MS;
}

static uint64_t take(struct guest *guest, unsigned int vector)
{
	guest_take_interrupts(guest);
	return guest_interrupts(guest, vector);
}

/* The level stays up: each end of an interrupt is the beginning of the next. */
TEST_F(chains, to_itself)
{
	struct source source = { .call = self->efd[0], .resample = self->efd[0] };
	struct guest *guest = &self->guest[0];
	unsigned int ended;

	ASSERT_EQ(0, assign(self->fd[0], &source, PIN));
	eventfd_ring(source.call);
	for (ended = 0; ended < LINKS; ended++) {
		ASSERT_TRUE(wait_pin(guest));
		guest_take_one(guest);
		ASSERT_EQ(1, guest_interrupts(guest, VECTOR));
	}
	ASSERT_TRUE(wait_pin(guest));
	if (variant->kvmfd)
		EXPECT_EQ(ended + 1, device_counts(self->fd[0]).calls);

	ASSERT_EQ(0, deassign(self->fd[0], &source, PIN));
	EXPECT_FALSE(pin_is_up(guest, PIN));
	take(guest, VECTOR);
	EXPECT_EQ(0, take(guest, VECTOR));
	EXPECT_EQ(0, eventfd_take(source.call));
}

/* From one VM's level to an edge in the other, raised where the vCPU ends the first. */
TEST_F(chains, to_an_edge_of_another_vm)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, VECTOR + 1);
	struct source source = { .call = self->efd[0], .resample = self->efd[1] };
	int i;

	guest_set_routing(&self->guest[1], &entry, 1);
	ASSERT_EQ(0, assign(self->fd[0], &source, PIN));
	ASSERT_EQ(0, irqfd(self->fd[1], source.resample, GSI, 0));
	for (i = 0; i < LINKS; i++) {
		ASSERT_TRUE(raise_pin(&self->guest[0], &source, PIN));
		ASSERT_EQ(0, take(&self->guest[1], VECTOR + 1));
		ASSERT_EQ(1, take(&self->guest[0], VECTOR));
		ASSERT_EQ(1, take(&self->guest[1], VECTOR + 1));
	}
	EXPECT_EQ(0, eventfd_take(source.resample));
	if (!variant->kvmfd)
		return;
	EXPECT_EQ(LINKS, device_counts(self->fd[0]).calls);
	EXPECT_EQ(LINKS, device_only_entry(self->fd[1]).inline_calls);
}

/* The end of each one's interrupt raises the other's. */
TEST_F(chains, round_two_vms)
{
	struct source there = { .call = self->efd[0], .resample = self->efd[1] };
	struct source back = { .call = self->efd[1], .resample = self->efd[0] };
	int i;

	ASSERT_EQ(0, assign(self->fd[0], &there, PIN));
	ASSERT_EQ(0, assign(self->fd[1], &back, PIN));
	eventfd_ring(there.call);
	for (i = 0; i < LINKS; i++) {
		ASSERT_TRUE(wait_pin(&self->guest[i % 2]));
		ASSERT_FALSE(pin_is_up(&self->guest[(i + 1) % 2], PIN));
		ASSERT_EQ(1, take(&self->guest[i % 2], VECTOR));
	}
	ASSERT_TRUE(wait_pin(&self->guest[0]));
	if (!variant->kvmfd)
		return;
	EXPECT_EQ(LINKS / 2 + 1, device_counts(self->fd[0]).calls);
	EXPECT_EQ(LINKS / 2, device_counts(self->fd[1]).calls);
}

struct loop {
	struct guest *guest;
	bool done;
};

static void *take_for_ever(void *arg)
{
	struct loop *loop = arg;

	while (!__atomic_load_n(&loop->done, __ATOMIC_ACQUIRE))
		guest_take_interrupts(loop->guest);
	return NULL;
}

/* It is broken by a deassign, however fast it turns. */
TEST_F(chains, to_itself_while_the_guest_runs)
{
	struct source source = { .call = self->efd[0], .resample = self->efd[0] };
	struct loop loop = { .guest = &self->guest[0] };
	pthread_t thread;
	int i, ms;

	ASSERT_EQ(0, pthread_create(&thread, NULL, take_for_ever, &loop));
	for (i = 0; i < ROUNDS; i++) {
		guest_interrupts(loop.guest, VECTOR);
		ASSERT_EQ(0, assign(self->fd[0], &source, PIN));
		eventfd_ring(source.call);
		for (ms = 0; ms < PATIENCE_MS && !guest_interrupts(loop.guest, VECTOR); ms++)
			poll(NULL, 0, 1);
		EXPECT_GT(PATIENCE_MS, ms);
		ASSERT_EQ(0, deassign(self->fd[0], &source, PIN));
		EXPECT_FALSE(pin_is_up(loop.guest, PIN));
		/* An end that was told between the two halves of the deassign, as in KVM. */
		EXPECT_GE(1, eventfd_take(source.call));
	}
	__atomic_store_n(&loop.done, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);

	/* What the local APIC had already. */
	take(loop.guest, VECTOR);
	EXPECT_EQ(0, take(loop.guest, VECTOR));
	if (variant->kvmfd)
		EXPECT_EQ(0, device_info(self->fd[0]).nr_irqfds);
}

TEST_HARNESS_MAIN
