// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory is short.  Each allocation of a call fails once, in turn, and each copy from
 * and to user space: the call says so and has changed nothing, or does without.  And
 * when no allocation at all succeeds, removing goes all the same.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "guest.h"
#include "harness.h"
#include "nomem.h"

/* --- one fails, in turn ---------------------------------------------------- */

/* Nothing but the call: who makes it, and on what, is the same for all. */
FIXTURE(call) {};

FIXTURE_VARIANT(call)
{
	struct failing_call call;
};

/* @nr of its allocations make it fail. */
#define CALL(name, nr, function, before, after, ...) \
	FIXTURE_VARIANT_ADD(call, name)              \
	{                                            \
		.call = {                            \
			.prepare = before,           \
			.make = function,            \
			.wrong = after,              \
			.change = { __VA_ARGS__ },   \
			.least = nr,                 \
		},                                   \
	}

/* A change, alone and in a batch, and the opposite of it, which by itself needs nothing. */
#define CHANGE(name, nr, nr_batch, nr_removed, ...)                                   \
	CALL(assign_##name, nr, make_change, NULL, wrong_if_changed, __VA_ARGS__);    \
	CALL(batch_assign_##name, nr_batch, make_by_batch, NULL, wrong_if_changed,    \
	     __VA_ARGS__);                                                            \
	CALL(deassign_##name, 0, unmake_change, prepare_change, wrong_unless_changed, \
	     __VA_ARGS__);                                                            \
	CALL(batch_deassign_##name, nr_removed, unmake_by_batch, prepare_change,      \
	     wrong_unless_changed, __VA_ARGS__)

CALL(open, 2, make_open, NULL, NULL);
CALL(attach, 0, make_attach, prepare_vm, wrong_if_attached);
CALL(attach_own_as_foreign, 0, make_attach_foreign, prepare_vm, wrong_if_attached);
CALL(attach_foreign, 0, make_attach_foreign, prepare_foreign_vm, wrong_if_attached);
CALL(find, 0, make_find, prepare_attached, NULL);
CALL(find_foreign, 0, make_find_foreign, prepare_attached_foreign, NULL);
CALL(info, 0, make_info, NULL, NULL);
CALL(list, 0, make_list, NULL, NULL);
CALL(measure, 1, make_measure, prepare_measure, wrong_if_measured);
CALL(fdinfo, 1, make_fdinfo, NULL, NULL);

CHANGE(doorbell, 3, 7, 4, DOORBELL(CALL_ADDR, 4, 0));
CHANGE(first_datamatch, 3, 7, 4, DOORBELL(CALL_ADDR, 4, DATAMATCH), VALUE(1, ~0ULL));
CHANGE(other_datamatch, 2, 6, 4, DOORBELL(STAYS_DATA, 4, DATAMATCH), VALUE(3, ~0ULL));
CHANGE(mask, 3, 7, 4, DOORBELL(CALL_ADDR, 4, DATAMATCH), VALUE(1, 3));
CHANGE(any_length, 4, 8, 4, DOORBELL(CALL_ADDR, 0, 0));
CHANGE(port, 3, 7, 4, DOORBELL(CALL_PORT, 4, PIO));
CHANGE(irqfd, 1, 4, 3, IRQFD(CALL_GSI, 0));
CHANGE(resampled_irqfd, 2, 5, 3, IRQFD(EDGE_PIN, RESAMPLE));
CHANGE(one_more_resampled_irqfd, 2, 5, 3, IRQFD(PIN, RESAMPLE));
CALL(batch_of_all_kinds, 20, make_many, NULL, wrong_many);
CALL(supervisor, 3, make_as_supervisor, prepare_attached_foreign, NULL, DOORBELL(8, 4, 0));

CALL(evict, 0, make_evict, prepare_attached, wrong_evicted);
CALL(close_attachment, 0, make_close_attachment, prepare_attached, wrong_closed_attachment);
CALL(close_eventfd, 0, make_close_eventfd, prepare_attached, wrong_closed_eventfd);
CALL(close_vm, 0, make_close_vm, prepare_attached, wrong_closed_vm);

CALL(signal_msi, 0, make_signal, prepare_change, wrong_signal, IRQFD(CALL_GSI, 0));
CALL(signal_pin, 0, make_signal, prepare_change, wrong_signal, IRQFD(EDGE_PIN, 0));
CALL(signal_resampled, 0, make_signal, prepare_change, wrong_signal, IRQFD(PIN, RESAMPLE));
CALL(deassign_of_kvm, 0, make_native_deassign, prepare_native, wrong_native);

FIXTURE_SETUP(call)
{
}

FIXTURE_TEARDOWN(call)
{
}

/* Now and then tools that watch the kernel let one slip through each time. */
#define MOST(nr) ((nr) - (nr) / 4)

TEST_F(call, fails_alone)
{
	const struct failing_call *call = &variant->call;
	const struct outcome *o;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	o = fail_in_turn(call);
	if (o->wrong)
		TH_LOG("failure %d: %s", o->n, o->wrong);
	ASSERT_EQ(NULL, o->wrong);
	TH_LOG("failed in turn: %d (ENOMEM %d, EFAULT %d), in all calls so far: %ld",
	       o->tally.sites, o->tally.no_memory, o->tally.no_copy, o->all_sites);
	EXPECT_LE(MOST(call->least), o->tally.no_memory);
	if (call->make == make_native_deassign) {
		EXPECT_LT(0, o->lost[0]);
		EXPECT_LT(0, o->lost[1]);
	}
}

TEST_F(call, fails_without_any_memory)
{
	const struct outcome *o;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	o = fail_all_at_once(&variant->call);
	if (o->wrong)
		TH_LOG("%s", o->wrong);
	EXPECT_EQ(NULL, o->wrong);
	EXPECT_EQ(!!variant->call.least, o->tally.no_memory);
}

/* --- all fail ---------------------------------------------------------------- */

/* Distinct addresses, and the first data values of one more. */
#define NR_DOORBELLS 2000
#define NR_VALUES    100
#define DATA_ADDR    (GUEST_MMIO_BASE + 0x8000)

FIXTURE(bus)
{
	struct guest guest;
	int fd;
	int efd;
	int native;
};

FIXTURE_SETUP(bus)
{
	static struct kvmfd_change changes[NR_DOORBELLS + NR_VALUES];
	int i;

	if (!fail_possible())
		return;

	/* Nobody else uses it. */
	ASSERT_EQ(0, caller_clean_up());
	fail_setup();
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
	self->native = new_eventfd();

	for (i = 0; i < NR_DOORBELLS; i++)
		changes[i] = (struct kvmfd_change) {
			DOORBELL(GUEST_MMIO_BASE + 8 * i, 4, 0),
			.fd = self->efd,
		};
	for (i = 0; i < NR_VALUES; i++)
		changes[NR_DOORBELLS + i] = (struct kvmfd_change) {
			DOORBELL(DATA_ADDR, 4, DATAMATCH),
			VALUE(i, ~0ULL),
			.fd = self->efd,
		};
	ASSERT_EQ(0, kvmfd_batch(self->fd, changes, ARRAY_SIZE(changes), NULL));
	/* An array that was kept is too small now. */
	for (i = 0; i < NR_NATIVE; i++)
		ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, self->native, NATIVE_ADDR + 8 * i,
				       4, 0, 0));
}

FIXTURE_TEARDOWN(bus)
{
	if (!fail_possible())
		return;
	close(self->fd);
	close(self->efd);
	close(self->native);
	kvm_vm_free(self->guest.vm);
}

#define EXPECT_RING(ours, theirs, addr, value)                                    \
	do {                                                                      \
		EXPECT_EQ(!((ours) + (theirs)),                                   \
			  guest_write(&self->guest, SPACE_MMIO, addr, 4, value)); \
		EXPECT_EQ(ours, eventfd_take(self->efd));                         \
		EXPECT_EQ(theirs, eventfd_take(self->native));                    \
	} while (0)

/*
 * KVM leaked the devices of a bus that it could not shrink (CVE-2020-36312), then freed
 * them under the vCPUs (CVE-2021-47061), and with them those of others (CVE-2021-47060).
 */
TEST_F(bus, deassign)
{
	unsigned int users = module_users();
	int i, err = 0;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	fail_all(true);
	for (i = 0; i < NR_DOORBELLS && !err; i += 2)
		err = ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE + 8 * i, 4,
				KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
	for (i = 0; i < NR_VALUES && !err; i += 2)
		err = ioeventfd(self->fd, self->efd, DATA_ADDR, 4,
				KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN, i);
	fail_all(false);
	ASSERT_EQ(0, err);
	TH_LOG("failed allocations: %ld", fail_count());
	EXPECT_LT(NR_DOORBELLS / 4, fail_count());
	EXPECT_EQ((NR_DOORBELLS + NR_VALUES) / 2, device_info(self->fd).nr_ioeventfds);

	for (i = 0; i < NR_DOORBELLS; i += 37)
		EXPECT_RING(i % 2, 0, GUEST_MMIO_BASE + 8 * i, 0);
	for (i = 0; i < NR_VALUES; i++)
		EXPECT_RING(i % 2, 0, DATA_ADDR, i);
	for (i = 0; i < NR_NATIVE; i++)
		EXPECT_RING(0, 1, NATIVE_ADDR + 8 * i, 0);

	/* With memory again, the next edit drops what has been left behind. */
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(users, module_users());
	EXPECT_RING(1, 0, GUEST_MMIO_BASE, 0);
	EXPECT_RING(0, 0, GUEST_MMIO_BASE + 16, 0);
}

/* All at once, and what is left behind goes with the VM. */
TEST_F(bus, detach)
{
	int i;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	fail_all(true);
	close(self->fd);
	fail_all(false);
	EXPECT_LT(0, fail_count());

	for (i = 0; i < NR_DOORBELLS; i += 37)
		EXPECT_RING(0, 0, GUEST_MMIO_BASE + 8 * i, 0);
	for (i = 0; i < NR_NATIVE; i++)
		EXPECT_RING(0, 1, NATIVE_ADDR + 8 * i, 0);

	/* Another attachment drops it. */
	EXPECT_LT(0, module_users());
	self->fd = device_open_attached(self->guest.vm->fd);
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(1, module_users());
	EXPECT_RING(1, 0, GUEST_MMIO_BASE, 0);
}

/* It has nothing there itself. */
TEST_F(bus, another_detach)
{
	int i;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	fail_all(true);
	close(self->fd);
	fail_all(false);
	EXPECT_LT(0, module_users());

	self->fd = device_open_attached(self->guest.vm->fd);
	close(self->fd);
	EXPECT_EQ(0, module_users());
	for (i = 0; i < NR_NATIVE; i++)
		EXPECT_RING(0, 1, NATIVE_ADDR + 8 * i, 0);
	self->fd = device_open();
}

TEST_HARNESS_MAIN
