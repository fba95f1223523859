// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resample while the line is up and its surroundings change: the route of the GSI, or
 * what the guest says of the pin.  For kvmfd and, in the same words, for KVM, which
 * leaves it to the VMM to take the line down before it routes the GSI elsewhere.
 */
#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define NEXT_GSI     (PIN + 1)
#define NEXT_PIN     (PIN + 2)
#define OTHER_VECTOR (GUEST_VECTOR + 1)

FIXTURE(changes)
{
	struct level level;
};

FIXTURE_VARIANT(changes)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(changes, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(changes, kvm) { .kvmfd = false };

FIXTURE_SETUP(changes)
{
	level_setup(&self->level, variant->kvmfd);
	guest_program_ioapic(&self->level.guest, NEXT_PIN, OTHER_VECTOR, LEVEL);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
}

FIXTURE_TEARDOWN(changes)
{
	level_teardown(&self->level);
}

static struct kvm_irq_routing_entry to_pin(uint32_t gsi, uint32_t pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin },
	};
}

/* The only route that there is. */
static void set_route(struct level *level, struct kvm_irq_routing_entry entry)
{
	guest_set_routing(&level->guest, &entry, 1);
}

#define EXPECT_ONE(vector)                                                  \
	do {                                                                \
		guest_take_one(&self->level.guest);                         \
		EXPECT_EQ(1, guest_interrupts(&self->level.guest, vector)); \
	} while (0)

TEST_F(changes, of_other_gsis)
{
	struct kvm_irq_routing_entry entries[] = {
		to_pin(PIN, PIN),
		to_pin(NEXT_GSI, NEXT_PIN),
	};

	ASSERT_RAISE(&self->level.source, PIN);
	guest_set_routing(&self->level.guest, entries, ARRAY_SIZE(entries));
	EXPECT_UP(PIN);
	EXPECT_ONE(VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_INTERRUPTS(0, VECTOR);
}

/* The line stays where it is, and there nobody is told of an end, until it is back. */
TEST_F(changes, moved_while_up)
{
	ASSERT_RAISE(&self->level.source, PIN);
	set_route(&self->level, to_pin(PIN, NEXT_PIN));
	EXPECT_UP(PIN);
	EXPECT_DOWN(NEXT_PIN);
	EXPECT_ONE(VECTOR);
	EXPECT_UP(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);
	/* It has come at once again. */
	guest_take_and_keep(&self->level.guest);
	EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));

	set_route(&self->level, to_pin(PIN, PIN));
	guest_end_interrupt(&self->level.guest);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_INTERRUPTS(0, VECTOR);
}

/* A new event goes the new way. */
TEST_F(changes, moved_and_raised)
{
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_ONE(VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	set_route(&self->level, to_pin(PIN, NEXT_PIN));
	ASSERT_RAISE(&self->level.source, NEXT_PIN);
	EXPECT_DOWN(PIN);
	EXPECT_ONE(OTHER_VECTOR);
	EXPECT_DOWN(NEXT_PIN);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_INTERRUPTS(0, VECTOR);
}

TEST_F(changes, removed_while_up)
{
	ASSERT_RAISE(&self->level.source, PIN);
	set_route(&self->level, to_pin(NEXT_GSI, NEXT_PIN));
	/* It goes nowhere, and there is nothing to lower. */
	eventfd_ring(self->level.source.call);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_UP(PIN);
	EXPECT_ONE(VECTOR);
	EXPECT_UP(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);

	/* The next one of the GSI finds it up, and has it lowered. */
	set_route(&self->level, to_pin(PIN, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	EXPECT_UP(PIN);
	EXPECT_ONE(VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_INTERRUPTS(0, VECTOR);
}

/* Of an end at a pin those are told whose pin it is now. */
TEST_F(changes, taken_over_while_up)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, NEXT_GSI));
	ASSERT_RAISE(&self->level.source, PIN);
	set_route(&self->level, to_pin(NEXT_GSI, PIN));
	EXPECT_ONE(VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);
	EXPECT_RESAMPLED(1, &self->level.other);
	EXPECT_INTERRUPTS(0, VECTOR);
}

TEST_F(changes, to_an_msi_while_up)
{
	ASSERT_RAISE(&self->level.source, PIN);
	set_route(&self->level, route_msi(PIN, 0, OTHER_VECTOR));
	EXPECT_UP(PIN);
	/* Or it would come again and again. */
	ioapic_mask_pin(&self->level.guest, PIN);
	eventfd_ring(self->level.source.call);
	EXPECT_EQ(1, guest_await_interrupt(&self->level.guest, OTHER_VECTOR));
	EXPECT_RESAMPLED(0, &self->level.source);
}

/* --- what the guest says of the pin --------------------------------------- */

/* In the middle of an interrupt, as guests do that want the pin to forget it. */
TEST_F(changes, edge_in_service)
{
	int i;

	ioapic_map(&self->level.guest);
	for (i = 0; i < 3; i++) {
		ASSERT_RAISE(&self->level.source, PIN);
		guest_take_and_keep(&self->level.guest);
		EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));
		ioapic_write_pin(&self->level.guest, PIN, VECTOR, EDGE);
		EXPECT_UP(PIN);
		EXPECT_RESAMPLED(0, &self->level.source);
		guest_end_interrupt(&self->level.guest);
		EXPECT_DOWN(PIN);
		EXPECT_RESAMPLED(1, &self->level.source);
		ioapic_write_pin(&self->level.guest, PIN, VECTOR, LEVEL);
		EXPECT_INTERRUPTS(0, VECTOR);
	}
}

/* 77377064c3a9: in KVM the end of one led to the end of one, and never back. */
TEST_F(changes, edge_and_back_in_a_loop)
{
	struct source loop = { self->level.other.call, self->level.other.call };
	int i;

	ioapic_map(&self->level.guest);
	ASSERT_EQ(0, assign(self->level.fd, &loop, PIN));
	ASSERT_RAISE(&loop, PIN);
	for (i = 0; i < 20; i++) {
		ioapic_write_pin(&self->level.guest, PIN, VECTOR, i & 1 ? LEVEL : EDGE);
		/* Each end of an interrupt begins the next. */
		ASSERT_EQ(1, guest_await_interrupt(&self->level.guest, VECTOR));
	}
	ASSERT_EQ(0, deassign(self->level.fd, &loop, PIN));
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
	guest_take_interrupts(&self->level.guest);
	guest_interrupts(&self->level.guest, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);
}

TEST_HARNESS_MAIN
