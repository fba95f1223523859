// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches that replace an irqfd, and what others do with its eventfd meanwhile.
 */
#include <errno.h>

#include "client.h"
#include "harness.h"
#include "race.h"

static int move_elsewhere(struct race *race)
{
	do_deassign(race);
	return do_assign_elsewhere(race);
}

/* For as long as the batch is under way, and longer. */
static int assign_elsewhere_often(struct race *race)
{
	int i, err = EBUSY;

	for (i = 0; i < 10 * SIGNALS && err == EBUSY; i++)
		err = do_assign_elsewhere(race);
	return err;
}

FIXTURE(batches)
{
	struct race race;
};

FIXTURE_SETUP(batches)
{
	TELL_KNOBS(&self->race);
	race_setup(&self->race, true);
}

FIXTURE_TEARDOWN(batches)
{
	race_teardown(&self->race);
}

/* Whichever of them there is, and there is one at most. */
#define ASSERT_ONE_LEAVES()                                         \
	do {                                                        \
		ASSERT_GE(1, device_info(self->race.fd).nr_irqfds); \
		self->race.gsi = OTHER_GSI + 1;                     \
		ASSERT_EQ(0, do_deassign(&self->race));             \
		self->race.gsi = OTHER_GSI;                         \
		ASSERT_GONE();                                      \
		ASSERT_USABLE();                                    \
	} while (0)

TEST_F(batches, replace_and_deassign)
{
	struct race *race = &self->race;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_batch_replace, do_deassign);
		/* Whoever is first, and if the one before is just on its way out. */
		ASSERT_EQ(0, race->err[0]);
		ASSERT_EQ(0, race->err[1]);
		ASSERT_ONE_LEAVES();
	}
}

TEST_F(batches, replace_and_assign)
{
	struct race *race = &self->race;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_batch_replace, assign_elsewhere_often);
		/* It is never free. */
		ASSERT_EQ(0, race->err[0]);
		ASSERT_EQ(EBUSY, race->err[1]);
		ASSERT_ONE_LEAVES();
	}
}

TEST_F(batches, replace_and_move)
{
	struct race *race = &self->race;
	unsigned int replaced = 0, assigned = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		ASSERT_EQ(0, do_assign(race));
		TOGETHER(race, do_batch_replace, move_elsewhere);
		if (race->err[0])
			ASSERT_EQ(EBUSY, race->err[0]);
		if (race->err[1])
			ASSERT_EQ(EBUSY, race->err[1]);
		/* Never both. */
		ASSERT_TRUE(race->err[0] || race->err[1]);
		replaced += !race->err[0];
		assigned += !race->err[1];
		ASSERT_ONE_LEAVES();
	}
	TH_LOG("replaced in %u, assigned in %u of %u rounds", replaced, assigned, race->rounds);
}

/* What fails has not heard anything, nor kept the one that was there from hearing it. */
TEST_F(batches, fail_and_signal)
{
	struct race *race = &self->race;
	uint64_t before = 0;

	ASSERT_EQ(0, do_assign(race));
	for (race->round = 0; race->round < race->rounds; race->round++) {
		TOGETHER(race, do_batch_fail, do_signal_both_often);
		ASSERT_EQ(EBADF, race->err[0]);
		ASSERT_EQ(SIGNALS, race_calls(race) - before);
		before = race_calls(race);
		ASSERT_EQ(0, eventfd_take(race->efd));
		ASSERT_EQ(SIGNALS, eventfd_take(race->spare));
	}
	ASSERT_GONE();
	ASSERT_USABLE();
}

TEST_HARNESS_MAIN
