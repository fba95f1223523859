// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resample: level-triggered interrupts that an eventfd raises and the guest's end
 * of interrupt lowers, for kvmfd and, in the same words, for KVM.
 */
#include <errno.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define DEASSIGN KVM_IRQFD_FLAG_DEASSIGN
#define RESAMPLE KVM_IRQFD_FLAG_RESAMPLE

#define PIC_COMMAND 0x20
#define PIC_EOI     0x20

FIXTURE(resample)
{
	struct level level;
};

FIXTURE_VARIANT(resample)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(resample, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(resample, kvm) { .kvmfd = false };

FIXTURE_SETUP(resample)
{
	level_setup(&self->level, variant->kvmfd);
}

FIXTURE_TEARDOWN(resample)
{
	level_teardown(&self->level);
}

TEST_F(resample, up_until_the_end_of_interrupt)
{
	struct kvmfd_entry entry;
	int i;

	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
	for (i = 0; i < 3; i++) {
		ASSERT_RAISE(&self->level.source, PIN);
		/* The irqfd has taken the signal. */
		EXPECT_EQ(0, eventfd_take(self->level.source.call));

		guest_take_and_keep(&self->level.guest);
		EXPECT_EQ(1, guest_interrupts(&self->level.guest, VECTOR));
		EXPECT_UP(PIN);
		EXPECT_RESAMPLED(0, &self->level.source);

		guest_end_interrupt(&self->level.guest);
		EXPECT_DOWN(PIN);
		EXPECT_RESAMPLED(1, &self->level.source);
		EXPECT_INTERRUPTS(0, VECTOR);
		EXPECT_RESAMPLED(0, &self->level.source);
	}

	if (!variant->kvmfd)
		return;
	entry = device_only_entry(self->level.fd);
	EXPECT_EQ(RESAMPLE, entry.flags);
	EXPECT_EQ(PIN, entry.gsi);
	EXPECT_EQ(3, entry.deferred_calls);
	EXPECT_EQ(0, entry.inline_calls);
}

TEST_F(resample, pending_at_assign)
{
	eventfd_ring(self->level.source.call);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_TRUE(await_pin(&self->level.guest, PIN));
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_DOWN(PIN);
}

TEST_F(resample, deassign_of_the_last_lowers)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.other, PIN));
	EXPECT_UP(PIN);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
	/* It has reached the local APIC; of its end nobody is told. */
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);
	EXPECT_RESAMPLED(0, &self->level.source);
	EXPECT_RESAMPLED(0, &self->level.other);

	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
}

TEST_F(resample, closed_eventfd_lowers)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ASSERT_RAISE(&self->level.source, PIN);
	close(self->level.source.call);
	/* Waits for tear-downs that are under way. */
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.other, PIN));
	EXPECT_DOWN(PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(0, &self->level.source);
	self->level.source.call = new_eventfd();
}

TEST_F(resample, closed_resamplefd)
{
	int dupped = dup(self->level.source.resample), i;

	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	close(self->level.source.resample);
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_DOWN(PIN);
	EXPECT_EQ(1, eventfd_take(dupped));

	/* Its last fd: that makes no difference to the guest. */
	close(dupped);
	for (i = 0; i < 3; i++) {
		ASSERT_RAISE(&self->level.source, PIN);
		EXPECT_INTERRUPTS(1, VECTOR);
		EXPECT_DOWN(PIN);
	}
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	self->level.source.resample = new_eventfd();
}

/* Of an edge-triggered pin the vCPU has to be told to watch for the end. */
TEST_F(resample, edge_triggered_pin)
{
	int i;

	guest_program_ioapic(&self->level.guest, PIN, VECTOR, EDGE);
	guest_take_interrupts(&self->level.guest);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	for (i = 0; i < 3; i++) {
		eventfd_ring(self->level.source.call);
		EXPECT_EQ(1, guest_await_interrupt(&self->level.guest, VECTOR));
		EXPECT_RESAMPLED(1, &self->level.source);
	}
}

TEST_F(resample, masked_pin)
{
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	ioapic_mask_pin(&self->level.guest, PIN);
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(0, VECTOR);
	EXPECT_UP(PIN);
	EXPECT_RESAMPLED(0, &self->level.source);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
}

TEST_F(resample, pic_pin)
{
	int i;

	pic_program(&self->level.guest, false);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIC_PIN));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.other, PIC_PIN));
	for (i = 0; i < 3; i++) {
		ASSERT_RAISE(&self->level.source, PIC_PIN);
		EXPECT_INTERRUPTS(1, PIC_VECTOR);
		EXPECT_UP(PIC_PIN);
		EXPECT_RESAMPLED(0, &self->level.source);

		EXPECT_EQ(0, guest_write(&self->level.guest, SPACE_PIO, PIC_COMMAND, 1, PIC_EOI));
		EXPECT_DOWN(PIC_PIN);
		EXPECT_RESAMPLED(1, &self->level.source);
		EXPECT_RESAMPLED(1, &self->level.other);
		EXPECT_INTERRUPTS(0, PIC_VECTOR);
	}
}

TEST_F(resample, pic_pin_auto_eoi)
{
	int i;

	pic_program(&self->level.guest, true);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIC_PIN));
	for (i = 0; i < 3; i++) {
		ASSERT_RAISE(&self->level.source, PIC_PIN);
		EXPECT_RESAMPLED(0, &self->level.source);
		EXPECT_INTERRUPTS(1, PIC_VECTOR);
		EXPECT_DOWN(PIC_PIN);
		EXPECT_RESAMPLED(1, &self->level.source);
		EXPECT_INTERRUPTS(0, PIC_VECTOR);
	}
}

/* An MSI has no level, and no end that anyone is told of. */
TEST_F(resample, msi)
{
	struct kvm_irq_routing_entry entry = route_msi(PIN, 0, VECTOR);
	int i;

	guest_set_routing(&self->level.guest, &entry, 1);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	for (i = 0; i < 3; i++) {
		eventfd_ring(self->level.source.call);
		EXPECT_INTERRUPTS(1, VECTOR);
		EXPECT_RESAMPLED(0, &self->level.source);
	}
}

TEST_F(resample, any_gsi)
{
	static const uint32_t gsis[] = { 0, 23, 24, 1023, 4095, 4096, 0x7fffffff,
					 0x80000000, UINT32_MAX };
	int i;

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		EXPECT_EQ(0, assign(self->level.fd, &self->level.source, gsis[i]));
		EXPECT_EQ(0, assign(self->level.fd, &self->level.other, gsis[i]));
		eventfd_ring(self->level.source.call);
		EXPECT_EQ(0, deassign(self->level.fd, &self->level.source, gsis[i]));
		EXPECT_EQ(0, deassign(self->level.fd, &self->level.other, gsis[i]));
	}
}

/* --- errors ------------------------------------------------------------- */

TEST_F(resample, split_interrupt_controller)
{
	struct kvm_vm *vm = vm_create_barebones();
	int fd = variant->kvmfd ? device_open_attached(vm->fd) : vm->fd;

	/* Before there is any. */
	EXPECT_EQ(EINVAL, assign(fd, &self->level.source, PIN));
	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, 24);
	EXPECT_EQ(EINVAL, assign(fd, &self->level.source, PIN));
	/* Before the fds are looked at. */
	EXPECT_EQ(EINVAL, resampled_irqfd(fd, -1, PIN, RESAMPLE, -1));
	EXPECT_EQ(0, irqfd(fd, self->level.source.call, PIN, 0));
	EXPECT_EQ(0, irqfd(fd, self->level.source.call, PIN, DEASSIGN | RESAMPLE));
	if (variant->kvmfd)
		close(fd);
	kvm_vm_free(vm);
}

TEST_F(resample, wrong_resamplefd)
{
	int good = self->level.source.call, vm = self->level.guest.vm->fd, closed = dup(good);

	close(closed);
	EXPECT_EQ(EBADF, resampled_irqfd(self->level.fd, good, PIN, RESAMPLE, -1));
	EXPECT_EQ(EBADF, resampled_irqfd(self->level.fd, good, PIN, RESAMPLE, closed));
	EXPECT_EQ(EINVAL, resampled_irqfd(self->level.fd, good, PIN, RESAMPLE, vm));
	/* The eventfd is looked at first. */
	EXPECT_EQ(EBADF, resampled_irqfd(self->level.fd, -1, PIN, RESAMPLE, vm));
	EXPECT_EQ(EINVAL, resampled_irqfd(self->level.fd, vm, PIN, RESAMPLE, -1));
	if (variant->kvmfd)
		EXPECT_EQ(0, device_info(self->level.fd).nr_irqfds);

	/* Nothing was left, and a deassign does not look at it. */
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	EXPECT_EQ(0, resampled_irqfd(self->level.fd, good, PIN, DEASSIGN | RESAMPLE, -1));
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	EXPECT_EQ(0, resampled_irqfd(self->level.fd, good, PIN, DEASSIGN, vm));
}

TEST_F(resample, busy_eventfd)
{
	struct source shared = { self->level.source.call, self->level.other.resample };
	int vm = self->level.guest.vm->fd;

	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, PIN));
	/* That the resamplefd is wrong is found first. */
	EXPECT_EQ(EBADF, resampled_irqfd(self->level.fd, shared.call, PIN, RESAMPLE, -1));
	EXPECT_EQ(EINVAL, resampled_irqfd(self->level.fd, shared.call, PIN, RESAMPLE, vm));
	EXPECT_EQ(EBUSY, assign(self->level.fd, &shared, PIN));
	EXPECT_EQ(EBUSY, assign(self->level.fd, &shared, PIN + 1));
	if (variant->kvmfd)
		EXPECT_EQ(1, device_info(self->level.fd).nr_irqfds);

	/* What was refused is not told anything, and the other one is. */
	ASSERT_RAISE(&self->level.source, PIN);
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_RESAMPLED(1, &self->level.source);
	EXPECT_RESAMPLED(0, &shared);

	/* The line ends with the one that there is. */
	ASSERT_RAISE(&self->level.source, PIN);
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, PIN));
	EXPECT_DOWN(PIN);
}

TEST_HARNESS_MAIN
