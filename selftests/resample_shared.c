// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resample on a pin that others drive as well: irqfds of the same GSI, user space, and
 * KVM's own beside kvmfd's.
 */
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define RESAMPLE KVM_IRQFD_FLAG_RESAMPLE

FIXTURE(shared)
{
	struct level level;
};

FIXTURE_VARIANT(shared)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(shared, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(shared, kvm) { .kvmfd = false };

FIXTURE_SETUP(shared)
{
	level_setup(&self->level, variant->kvmfd);
}

FIXTURE_TEARDOWN(shared)
{
	level_teardown(&self->level);
}

TEST_F(shared, all_of_a_gsi_are_told)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIN));

	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);

	ASSERT_RAISE(&self->level.other, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);
	EXPECT_DOWN(PIN);
}

TEST_F(shared, other_gsis_are_not_told)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIN + 1));
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_DOWN(PIN + 1);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(0, &self->level.other);
}

TEST_F(shared, one_resamplefd_for_two)
{
	int resample = self->level.source.resample;

	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, resampled_irqfd(self->level.fd, self->level.other.call, PIN, RESAMPLE,
				     resample));
	ASSERT_RAISE(&self->level.other, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(2, &self->level.source);
}

TEST_F(shared, deassign_of_one_keeps_the_other)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	/* Whose line it is nobody knows: it stays up for the one that is left. */
	EXPECT_UP(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);

	eventfd_ring(self->level.source.call);
	EXPECT_EQ(1, eventfd_take(self->level.source.call));
	ASSERT_RAISE(&self->level.other, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.other);
}

TEST_F(shared, shared_with_user_space)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	kvm_irq_line(self->level.guest.vm, PIN, 1);
	guest_take_and_keep(&self->level.guest);
	EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));
	guest_end_interrupt(&self->level.guest);
	/* Ours is down, and it is for us alone to lower. */
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_UP(PIN);

	/* The other way round. */
	eventfd_ring(self->level.source.call);
	guest_take_and_keep(&self->level.guest);
	EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_UP(PIN);
	kvm_irq_line(self->level.guest.vm, PIN, 0);
	EXPECT_DOWN(PIN);
	guest_end_interrupt(&self->level.guest);
	EXPECT_INTERRUPTS(0, VECTOR);
}

TEST_F(shared, user_space_does_not_lower)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	kvm_irq_line(self->level.guest.vm, PIN, 1);
	kvm_irq_line(self->level.guest.vm, PIN, 0);
	EXPECT_UP(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_DOWN(PIN);
}

/* Who shares the GSI is told of every end, whoever raised it. */
TEST_F(shared, raised_by_others)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	kvm_irq_line(self->level.guest.vm, PIN, 1);
	guest_take_and_keep(&self->level.guest);
	kvm_irq_line(self->level.guest.vm, PIN, 0);
	EXPECT_RESAMPLED(0, &self->level.source);
	guest_end_interrupt(&self->level.guest);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));

	/* Not so without the flag, whatever the resamplefd. */
	ASSERT_EQ(0, resampled_irqfd(self->level.fd, self->level.other.call, PIN, 0,
				     self->level.other.resample));
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(0, &self->level.other);
}

/* Without the flag the eventfd tells of edges: the pin is lowered at once. */
TEST_F(shared, beside_one_that_is_not)
{
	ASSERT_EQ(0, irqfd(self->level.fd, self->level.other.call, PIN, 0));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	eventfd_ring(self->level.other.call);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.other, PIN));
	EXPECT_UP(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(1, &self->level.source);
}

/* --- what KVM has no equal of -------------------------------------------- */

FIXTURE(own)
{
	struct level level;
};

FIXTURE_SETUP(own)
{
	level_setup(&self->level, true);
}

FIXTURE_TEARDOWN(own)
{
	level_teardown(&self->level);
}

/* KVM's line of a GSI and kvmfd's are two. */
TEST_F(own, shared_with_kvm)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.guest.vm->fd, &self->level.other, PIN));

	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);
	EXPECT_DOWN(PIN);

	/* The one that goes lowers its own. */
	ASSERT_RAISE(&self->level.source, PIN);
	ASSERT_EQ(0, deassign(self->level.guest.vm->fd, &self->level.other, PIN));
	EXPECT_UP(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);

	ASSERT_EQ(0, assign(self->level.guest.vm->fd, &self->level.other, PIN));
	ASSERT_RAISE(&self->level.other, PIN);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_UP(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);
}

TEST_F(own, closed_attachment_lowers)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	close(self->level.fd);
	EXPECT_DOWN(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(0, &self->level.source);
	EXPECT_RESAMPLED(0, &self->level.other);

	/* The next one begins with a line of its own. */
	self->level.fd = device_open_attached(self->level.guest.vm->fd);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(0, &self->level.other);
}

/* As in KVM, irqfds end with the VM's fd; a vCPU that goes on tells nobody. */
TEST(closed_vm)
{
	struct source source = new_source();
	struct guest guest;
	int fd;

	guest_create(&guest);
	fd = device_open_attached(guest.vm->fd);
	guest_take_interrupts(&guest);
	guest_program_ioapic(&guest, PIN, VECTOR, LEVEL);
	ASSERT_EQ(0, assign(fd, &source, PIN));
	ASSERT_TRUE(raise_pin(&guest, &source, PIN));

	close(guest.vm->fd);
	EXPECT_EQ(0, device_info(fd).nr_irqfds);
	EXPECT_EQ(1, device_info(fd).retired_deferred_calls);
	guest_take_interrupts(&guest);
	guest_take_interrupts(&guest);
	EXPECT_EQ(1, guest_interrupts(&guest, VECTOR));
	EXPECT_EQ(0, eventfd_take(source.resample));
	eventfd_ring(source.call);
	EXPECT_EQ(1, eventfd_take(source.call));
	close(fd);
}

TEST_HARNESS_MAIN
