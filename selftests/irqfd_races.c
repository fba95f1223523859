// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfds, and all that can happen to one at the same time: no event is lost or counted
 * twice, no interrupt comes too late, nothing is left behind.
 */
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "harness.h"
#include "race.h"

FIXTURE(races)
{
	struct race race;
};

FIXTURE_VARIANT(races)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(races, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(races, kvm) { .kvmfd = false };

FIXTURE_SETUP(races)
{
	TELL_KNOBS(&self->race);
	race_setup(&self->race, variant->kvmfd);
}

FIXTURE_TEARDOWN(races)
{
	race_teardown(&self->race);
}

/* KVM's had been given to the eventfd, and so to its closing, before it was complete. */
TEST_F(races, assign_and_eventfd_close)
{
	struct race *race = &self->race;
	unsigned int won = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		TOGETHER(race, do_assign, do_close_eventfd);
		won += !race->err[0];
		if (race->err[0])
			ASSERT_EQ(EBADF, race->err[0]);
		race->efd = new_eventfd();
		ASSERT_GONE();
	}
	TH_LOG("assigned in %u of %u rounds", won, race->rounds);
}

/* CVE-2024-46762: an assign went on with an irqfd that a deassign had freed. */
TEST_F(races, assign_and_deassign)
{
	struct race *race = &self->race;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		/* What is pending is the last that an assign looks at. */
		if (race->round & 1)
			eventfd_ring(race->efd);
		TOGETHER(race, do_assign, do_deassign);
		ASSERT_EQ(0, race->err[0]);
		ASSERT_EQ(0, race->err[1]);
		ASSERT_GONE();
		ASSERT_USABLE();
	}
}

/* ACRN's and vfio's (b68e7fa879cd) was torn down, and freed, once by each of them. */
TEST_F(races, deassigns_and_eventfd_close)
{
	struct race *race = &self->race;
	unsigned int found = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		race->gsi = race->round & 2 ? OTHER_GSI : GSI;
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_deassign, do_close_eventfd, do_deassign);
		found += !race->err[0] + !race->err[2];
		if (race->err[0])
			ASSERT_EQ(EBADF, race->err[0]);
		if (race->err[2])
			ASSERT_EQ(EBADF, race->err[2]);
		race->efd = new_eventfd();
		ASSERT_GONE();
	}
	TH_LOG("%u of %u deassigns came before the close", found, 2 * race->rounds);
}

/* mshv (2b4246153e21) left what came too late to the eventfd's next user. */
TEST_F(races, deassign_and_signal)
{
	struct race *race = &self->race;
	uint64_t before = 0, left, too_late = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		race->gsi = race->round & 1 ? OTHER_GSI : GSI;
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_deassign_and_take, do_signal_often);
		ASSERT_EQ(0, race->err[0]);
		ASSERT_EQ(0, race_interrupts(race, VECTOR));
		left = eventfd_take(race->efd);
		ASSERT_GE(SIGNALS, left);
		too_late += left;
		if (variant->kvmfd) {
			ASSERT_EQ(0, device_info(race->fd).nr_irqfds);
			ASSERT_EQ(SIGNALS, race_calls(race) - before + left);
			before = race_calls(race);
		}
	}
	TH_LOG("%lu of %u signals came after the deassign", too_late, race->rounds * SIGNALS);
}

/* CVE-2026-23198: a deassign left the route that routing changes passed by. */
TEST_F(races, deassign_routing_and_signal)
{
	struct race *race = &self->race;
	unsigned int was, is;
	uint64_t before = 0;

	for (race->round = 0; race->round < race->rounds / 2 + 1; race->round++) {
		was = VECTOR + (race->round & 1);
		is = VECTOR + !(race->round & 1);
		race->gsi = race->round & 2 ? OTHER_GSI : GSI;
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_deassign, do_change_routes, do_signal_often);
		ASSERT_EQ(0, race->err[0]);
		if (variant->kvmfd) {
			ASSERT_EQ(SIGNALS, race_calls(race) - before + eventfd_take(race->efd));
			before = race_calls(race) + 1;
		} else {
			eventfd_take(race->efd);
		}
		race_interrupts(race, was);
		guest_interrupts(&race->guest, is);

		/* From now on by the new route alone. */
		ASSERT_EQ(0, do_assign(race));
		eventfd_ring(race->efd);
		ASSERT_GONE();
		ASSERT_EQ(1, race_interrupts(race, is));
		ASSERT_EQ(0, guest_interrupts(&race->guest, was));
	}
}

TEST_F(races, two_assigns)
{
	struct race *race = &self->race;
	unsigned int first = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		TOGETHER(race, do_assign, do_assign);
		ASSERT_EQ(EBUSY, race->err[0] + race->err[1]);
		ASSERT_TRUE(!race->err[0] || !race->err[1]);
		first += !race->err[0];
		eventfd_ring(race->efd);
		ASSERT_EQ(1, race_interrupts(race, VECTOR));
		ASSERT_GONE();
	}
	TH_LOG("the first of two has won %u of %u", first, race->rounds);
}

TEST_HARNESS_MAIN
