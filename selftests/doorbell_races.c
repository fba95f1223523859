// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells that two threads assign and deassign at the same time, with KVM and, in
 * the same words, with kvmfd.
 */
#include <errno.h>

#include "client.h"
#include "harness.h"
#include "race.h"

#define ADDR GUEST_MMIO_BASE
#define DATA 7

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

static int bell(struct race *race, int efd, uint32_t flags)
{
	return ioeventfd(race->fd, efd, ADDR, 4, KVM_IOEVENTFD_FLAG_DATAMATCH | flags, DATA);
}

static int assign_bell(struct race *race)
{
	return bell(race, race->efd, 0);
}

static int deassign_bell(struct race *race)
{
	return bell(race, race->efd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int assign_spare(struct race *race)
{
	return bell(race, race->spare, 0);
}

/* How often each of the two has been rung by a write. */
#define ASSERT_RINGS(efd_rings, spare_rings)                                          \
	do {                                                                          \
		ASSERT_EQ(!((efd_rings) + (spare_rings)),                             \
			  guest_write(&self->race.guest, SPACE_MMIO, ADDR, 4, DATA)); \
		ASSERT_EQ(efd_rings, eventfd_take(self->race.efd));                   \
		ASSERT_EQ(spare_rings, eventfd_take(self->race.spare));               \
	} while (0)

/* GenieZone looked for a collision, and then took another lock to add what it had. */
TEST_F(races, two_assigns)
{
	struct race *race = &self->race;
	unsigned int first = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		TOGETHER(race, assign_bell, assign_spare);
		ASSERT_EQ(EEXIST, race->err[0] + race->err[1]);
		ASSERT_TRUE(!race->err[0] || !race->err[1]);
		first += !race->err[0];
		ASSERT_RINGS(!race->err[0], !race->err[1]);
		ASSERT_EQ(race->err[0] ? ENOENT : 0, deassign_bell(race));
		ASSERT_EQ(race->err[1] ? ENOENT : 0,
			  bell(race, race->spare, KVM_IOEVENTFD_FLAG_DEASSIGN));
		ASSERT_RINGS(0, 0);
	}
	TH_LOG("the first of two has won %u of %u", first, race->rounds);
}

TEST_F(races, two_deassigns)
{
	struct race *race = &self->race;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		ASSERT_EQ(0, assign_bell(race));
		TOGETHER(race, deassign_bell, deassign_bell);
		ASSERT_EQ(ENOENT, race->err[0] + race->err[1]);
		ASSERT_TRUE(!race->err[0] || !race->err[1]);
		ASSERT_RINGS(0, 0);
	}
}

TEST_F(races, assign_and_deassign)
{
	struct race *race = &self->race;
	unsigned int found = 0;

	for (race->round = 0; race->round < race->rounds; race->round++) {
		TOGETHER(race, assign_bell, deassign_bell);
		ASSERT_EQ(0, race->err[0]);
		found += !race->err[1];
		if (race->err[1]) {
			ASSERT_EQ(ENOENT, race->err[1]);
			ASSERT_RINGS(1, 0);
			ASSERT_EQ(0, deassign_bell(race));
		}
		ASSERT_RINGS(0, 0);
	}
	TH_LOG("the deassign has found it in %u of %u rounds", found, race->rounds);
}

TEST_HARNESS_MAIN
