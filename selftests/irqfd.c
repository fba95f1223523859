// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfd: signals of an eventfd that become interrupts in a guest, for kvmfd and,
 * in the same words, for KVM.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "client.h"
#include "guest.h"
#include "harness.h"

#define DEASSIGN KVM_IRQFD_FLAG_DEASSIGN
#define RESAMPLE KVM_IRQFD_FLAG_RESAMPLE

#define GSI          24
#define PIC_GSI      5
#define VECTOR       GUEST_VECTOR
#define OTHER_VECTOR (GUEST_VECTOR + 1)

/* APIC IDs as an MSI's destination */
#define THE_VCPU  0
#define BROADCAST 0xff

/* A register of the local APIC: what it answers to as a logical destination. */
#define APIC_LDR 0xd0

FIXTURE(irqfd)
{
	struct guest guest;
	/* Serves the requests: the VM's, or a /dev/kvmfd's attached to it. */
	int fd;
	int efd;
};

FIXTURE_VARIANT(irqfd)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(irqfd, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(irqfd, kvm) { .kvmfd = false };

static void route(struct guest *guest, uint32_t dest, unsigned int vector)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, dest, vector);

	guest_set_routing(guest, &entry, 1);
}

FIXTURE_SETUP(irqfd)
{
	guest_create(&self->guest);
	self->fd = variant->kvmfd ? device_open_attached(self->guest.vm->fd)
				  : self->guest.vm->fd;
	self->efd = new_eventfd();
	/* Its local APIC comes to life. */
	guest_take_interrupts(&self->guest);
}

FIXTURE_TEARDOWN(irqfd)
{
	if (variant->kvmfd)
		close(self->fd);
	kvm_vm_free(self->guest.vm);
	close(self->efd);
}

/* Asserts how many have arrived; what is still deferred must be flushed before. */
#define EXPECT_INTERRUPTS(n, vector)                                  \
	do {                                                          \
		guest_take_interrupts(&self->guest);                  \
		EXPECT_EQ(n, guest_interrupts(&self->guest, vector)); \
	} while (0)

/* What has gone to the workqueue has been set when the irqfd's deassign returns. */
#define FLUSH_AND_DEASSIGN() \
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, DEASSIGN))

static void expect_counts(struct __test_metadata *_metadata, int fd,
			  uint64_t inline_calls, uint64_t deferred_calls)
{
	struct kvmfd_entry entry = device_only_entry(fd);

	EXPECT_EQ(KVMFD_ENTRY_IRQFD, entry.kind);
	EXPECT_EQ(inline_calls, entry.inline_calls);
	EXPECT_EQ(deferred_calls, entry.deferred_calls);
	EXPECT_EQ(0, entry.hits);
}

TEST_F(irqfd, msi_arrives)
{
	struct kvmfd_entry entry;
	int i;

	route(&self->guest, THE_VCPU, VECTOR);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));

	for (i = 0; i < 10; i++) {
		eventfd_ring(self->efd);
		EXPECT_INTERRUPTS(1, VECTOR);
	}
	/* The irqfd has taken the signals: nobody else sees them. */
	EXPECT_EQ(0, eventfd_take(self->efd));
	EXPECT_INTERRUPTS(0, VECTOR);

	if (!variant->kvmfd)
		return;
	expect_counts(_metadata, self->fd, 10, 0);
	entry = device_only_entry(self->fd);
	EXPECT_EQ(GSI, entry.gsi);
	EXPECT_EQ(0, entry.flags);
}

TEST_F(irqfd, msi_logical_destination)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 1, VECTOR);

	/* Bit 2 of the address; with x2APIC, bit 0 of cluster 0 is the vCPU. */
	entry.u.msi.address_lo |= 1 << 2;
	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, VECTOR);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 1, 0);
}

TEST_F(irqfd, msi_to_all_is_deferred)
{
	route(&self->guest, BROADCAST, VECTOR);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 0, 1);
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(1, VECTOR);
	if (variant->kvmfd)
		EXPECT_EQ(1, device_info(self->fd).retired_deferred_calls);
}

TEST_F(irqfd, msi_to_nobody)
{
	route(&self->guest, 7, VECTOR);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(0, VECTOR);
}

/* IDs of 32 bits: the upper ones are in the other half of the address. */
TEST_F(irqfd, msi_wide_destination)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, BROADCAST, VECTOR);

	vm_enable_cap(self->guest.vm, KVM_CAP_X2APIC_API,
		      KVM_X2APIC_API_USE_32BIT_IDS |
			      KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	/* 255 is one of them, and nobody's. */
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(0, VECTOR);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 1, 0);

	entry.u.msi.address_hi = 0xffffff00;
	guest_set_routing(&self->guest, &entry, 1);
	eventfd_ring(self->efd);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 1, 1);
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(1, VECTOR);
}

/* KVM cannot look a logical destination up then. */
TEST_F(irqfd, msi_logical_with_mixed_modes)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 1, VECTOR);
	struct kvm_vcpu *xapic = vm_vcpu_add(self->guest.vm, 1, NULL);
	struct kvm_lapic_state state;
	uint32_t *regs = (uint32_t *)state.regs;

	/* On, in flat mode, and not the one that is meant. */
	vcpu_ioctl(xapic, KVM_GET_LAPIC, &state);
	regs[APIC_SPIV / 4] |= APIC_SPIV_APIC_ENABLED;
	regs[APIC_LDR / 4] = 1 << 1 << 24;
	vcpu_ioctl(xapic, KVM_SET_LAPIC, &state);

	entry.u.msi.address_lo |= 1 << 2;
	guest_set_routing(&self->guest, &entry, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 0, 1);
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(1, VECTOR);
}

static uint8_t pic_pending(struct guest *guest)
{
	return guest_irqchip(guest, KVM_IRQCHIP_PIC_MASTER).chip.pic.irr;
}

TEST_F(irqfd, pic_pin)
{
	/* The routing that a VM is born with: PIC and IOAPIC both. */
	ASSERT_EQ(0, pic_pending(&self->guest) & 1 << PIC_GSI);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, PIC_GSI, 0));
	eventfd_ring(self->efd);
	if (variant->kvmfd)
		expect_counts(_metadata, self->fd, 0, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, PIC_GSI, DEASSIGN));
	EXPECT_EQ(1 << PIC_GSI, pic_pending(&self->guest) & 1 << PIC_GSI);
}

TEST_F(irqfd, ioapic_pin)
{
	struct kvm_irqchip chip = guest_irqchip(&self->guest, KVM_IRQCHIP_PIC_MASTER);
	int i;

	/* The PIC, which has the same pin, is to keep quiet. */
	chip.chip.pic.imr = 0xff;
	vm_ioctl(self->guest.vm, KVM_SET_IRQCHIP, &chip);

	guest_program_ioapic(&self->guest, PIC_GSI, VECTOR, EDGE);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, irqfd(self->fd, self->efd, PIC_GSI, 0));
		eventfd_ring(self->efd);
		ASSERT_EQ(0, irqfd(self->fd, self->efd, PIC_GSI, DEASSIGN));
		EXPECT_INTERRUPTS(1, VECTOR);
	}
}

/* GenieZone lost it. */
TEST_F(irqfd, pending_at_assign)
{
	route(&self->guest, THE_VCPU, VECTOR);
	eventfd_ring(self->efd);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(1, VECTOR);
	EXPECT_EQ(0, eventfd_take(self->efd));
}

TEST_F(irqfd, deassign)
{
	route(&self->guest, THE_VCPU, VECTOR);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, DEASSIGN));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(0, VECTOR);
	/* The eventfd is an ordinary one again. */
	EXPECT_EQ(1, eventfd_take(self->efd));

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, VECTOR);
}

TEST_F(irqfd, deassign_matches_eventfd_and_gsi)
{
	int other = new_eventfd();

	route(&self->guest, THE_VCPU, VECTOR);
	/* Finding nothing is no error. */
	EXPECT_EQ(0, irqfd(self->fd, self->efd, GSI, DEASSIGN));
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_EQ(0, irqfd(self->fd, self->efd, GSI + 1, DEASSIGN));
	EXPECT_EQ(0, irqfd(self->fd, other, GSI, DEASSIGN));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, VECTOR);

	/* The resample flag is not asked for. */
	EXPECT_EQ(0, irqfd(self->fd, self->efd, GSI, DEASSIGN | RESAMPLE));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(0, VECTOR);
	close(other);
}

TEST_F(irqfd, closed_eventfd)
{
	int other = new_eventfd();

	route(&self->guest, THE_VCPU, VECTOR);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	close(self->efd);
	/* Waits for tear-downs that are under way. */
	ASSERT_EQ(0, irqfd(self->fd, other, GSI, DEASSIGN));
	if (variant->kvmfd)
		EXPECT_EQ(0, device_info(self->fd).nr_irqfds);

	self->efd = other;
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, VECTOR);
}

TEST_F(irqfd, routing_change)
{
	struct kvm_irq_routing_entry none = route_msi(GSI + 1, THE_VCPU, VECTOR);

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	/* Assigned before there is a route. */
	guest_set_routing(&self->guest, &none, 1);
	eventfd_ring(self->efd);
	FLUSH_AND_DEASSIGN();
	EXPECT_INTERRUPTS(0, VECTOR);

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	route(&self->guest, THE_VCPU, VECTOR);
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, VECTOR);

	route(&self->guest, THE_VCPU, OTHER_VECTOR);
	eventfd_ring(self->efd);
	EXPECT_INTERRUPTS(1, OTHER_VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);
}

/* CVE-2017-1000252: a BUG() if there was no such GSI. */
TEST_F(irqfd, any_gsi)
{
	static const uint32_t gsis[] = { 0, 23, 24, 1023, 4095, 4096, 0x7fffffff,
					 0x80000000, UINT32_MAX };
	int i;

	for (i = 0; i < ARRAY_SIZE(gsis); i++) {
		EXPECT_EQ(0, irqfd(self->fd, self->efd, gsis[i], 0));
		eventfd_ring(self->efd);
		EXPECT_EQ(0, irqfd(self->fd, self->efd, gsis[i], DEASSIGN));
	}
}

TEST_F(irqfd, one_eventfd_one_irqfd)
{
	int dupped = dup(self->efd);

	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(self->fd, self->efd, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(self->fd, self->efd, GSI + 1, 0));
	EXPECT_EQ(EBUSY, irqfd(self->fd, dupped, GSI + 1, 0));
	if (variant->kvmfd)
		EXPECT_EQ(1, device_info(self->fd).nr_irqfds);
	close(dupped);
}

TEST_F(irqfd, wrong_fd)
{
	int closed = dup(self->efd);

	close(closed);
	EXPECT_EQ(EBADF, irqfd(self->fd, -1, GSI, 0));
	EXPECT_EQ(EBADF, irqfd(self->fd, closed, GSI, 0));
	EXPECT_EQ(EINVAL, irqfd(self->fd, self->guest.vm->fd, GSI, 0));
	EXPECT_EQ(EINVAL, irqfd(self->fd, self->guest.vcpu->fd, GSI, 0));
	EXPECT_EQ(EBADF, irqfd(self->fd, -1, GSI, DEASSIGN));
	EXPECT_EQ(EINVAL, irqfd(self->fd, self->guest.vm->fd, GSI, DEASSIGN));
	if (variant->kvmfd)
		EXPECT_EQ(0, device_info(self->fd).nr_irqfds);
}

TEST_F(irqfd, flags)
{
	int bit;

	for (bit = 2; bit < 32; bit++) {
		EXPECT_EQ(EINVAL, irqfd(self->fd, self->efd, GSI, 1U << bit));
		EXPECT_EQ(EINVAL, irqfd(self->fd, self->efd, GSI, DEASSIGN | 1U << bit));
	}
	/* The flags are looked at first. */
	EXPECT_EQ(EINVAL, irqfd(self->fd, -1, GSI, 1U << 31));
}

TEST_F(irqfd, no_interrupt_controller)
{
	struct kvm_vm *vm = vm_create_barebones();
	int fd = variant->kvmfd ? device_open_attached(vm->fd) : vm->fd;

	EXPECT_EQ(EINVAL, irqfd(fd, self->efd, GSI, 0));
	/* Before the fd is looked at. */
	EXPECT_EQ(EINVAL, irqfd(fd, -1, GSI, 0));
	EXPECT_EQ(0, irqfd(fd, self->efd, GSI, DEASSIGN));
	if (variant->kvmfd)
		close(fd);
	kvm_vm_free(vm);
}

TEST_HARNESS_MAIN
