// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where kvmfd is not as KVM, and is meant not to be: a test for each row of the table
 * in docs/abi.md, of what it says of KVM and of what it says of kvmfd.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"
#include "peer.h"

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

#define ADDR GUEST_MMIO_BASE
#define GSI  24

/* The same guest twice: KVM serves the one, kvmfd the other. */
FIXTURE(sides)
{
	struct guest guest, other;
	int kvm;
	int kvmfd;
	int a, b;
};

FIXTURE_SETUP(sides)
{
	guest_create(&self->guest);
	guest_create(&self->other);
	self->kvm = self->guest.vm->fd;
	self->kvmfd = device_open_attached(self->other.vm->fd);
	self->a = new_eventfd();
	self->b = new_eventfd();
}

FIXTURE_TEARDOWN(sides)
{
	close(self->kvmfd);
	close(self->a);
	close(self->b);
	kvm_vm_free(self->guest.vm);
	kvm_vm_free(self->other.vm);
}

/*
 * The table's rows.  One that has no body below is an error of the compiler, and so is
 * a body that has no row.
 */
#define DIFFERENCE(name)                                                                 \
	static void name(struct __test_metadata *_metadata, FIXTURE_DATA(sides) * self); \
	TEST_F(sides, name)                                                              \
	{                                                                                \
		name(_metadata, self);                                                   \
	}
#include "differences.h"
#undef DIFFERENCE

#define DIFFERENCE(name) \
	static void name(struct __test_metadata *_metadata, FIXTURE_DATA(sides) * self)

/* The interrupts when a guest unmasks a pin that is up. */
static uint64_t interrupts_of_unmasked(struct guest *guest, int fd, struct source *source)
{
	ioapic_map(guest);
	guest_program_ioapic(guest, PIN, VECTOR, LEVEL);
	ioapic_mask_pin(guest, PIN);
	TEST_ASSERT(!assign(fd, source, PIN), "cannot assign");
	TEST_ASSERT(raise_pin(guest, source, PIN), "the pin does not come up");

	ioapic_write_pin(guest, PIN, VECTOR, LEVEL);
	guest_take_interrupts(guest);
	return guest_interrupts(guest, VECTOR);
}

DIFFERENCE(unmasked_pin)
{
	struct source source = new_source();
	uint64_t n = interrupts_of_unmasked(&self->guest, self->kvm, &source);

	/* KVM's comes at once, and its end is told; or not, and that is told. */
	EXPECT_GE(1, n);
	EXPECT_EQ(1, eventfd_take(source.resample));
	close_source(&source);

	source = new_source();
	EXPECT_EQ(1, interrupts_of_unmasked(&self->other, self->kvmfd, &source));
	close_source(&source);
}

static void route(struct guest *guest)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);

	/* Its local APIC comes to life. */
	guest_take_interrupts(guest);
	guest_set_routing(guest, &entry, 1);
}

static uint64_t interrupts(struct guest *guest)
{
	guest_take_interrupts(guest);
	return guest_interrupts(guest, GUEST_VECTOR);
}

/* KVM's own, 2cdd64cbf990: the interrupts of one VM were lost. */
DIFFERENCE(eventfd_of_another_vm)
{
	int kvms_other = self->other.vm->fd, ours = device_open_attached(self->kvm), err;

	route(&self->guest);
	route(&self->other);

	ASSERT_EQ(0, irqfd(self->kvm, self->a, GSI, 0));
	err = irqfd(kvms_other, self->a, GSI, 0);
	EXPECT_TRUE(!err || err == EBUSY);
	eventfd_ring(self->a);
	EXPECT_EQ(1, interrupts(&self->guest));
	EXPECT_EQ(0, interrupts(&self->other));

	ASSERT_EQ(0, irqfd(ours, self->b, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(self->kvmfd, self->b, GSI, 0));
	EXPECT_EQ(0, device_info(self->kvmfd).nr_irqfds);
	eventfd_ring(self->b);
	EXPECT_EQ(1, interrupts(&self->guest));

	/* It can be had once the other has let go of it, which closing does as well. */
	ASSERT_EQ(0, irqfd(ours, self->b, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_EQ(0, irqfd(self->kvmfd, self->b, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(ours, self->b, GSI, 0));
	close(self->kvmfd);
	EXPECT_EQ(0, irqfd(ours, self->b, GSI, 0));
	close(ours);
	self->kvmfd = device_open();
}

DIFFERENCE(eventfd_of_kvm)
{
	int same = device_open_attached(self->kvm), err;
	struct kvmfd_entry entry;

	ASSERT_EQ(0, irqfd(self->kvm, self->a, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(self->kvm, self->a, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(same, self->a, GSI, 0));
	EXPECT_EQ(EBUSY, irqfd(self->kvmfd, self->a, GSI, 0));
	ASSERT_EQ(0, irqfd(self->kvm, self->a, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	EXPECT_EQ(0, irqfd(same, self->a, GSI, 0));

	/* The other way round KVM sees none before 7.2, and gets no event. */
	err = irqfd(self->kvm, self->a, GSI, 0);
	EXPECT_TRUE(!err || err == EBUSY);
	eventfd_ring(self->a);
	entry = device_only_entry(same);
	EXPECT_EQ(1, entry.inline_calls + entry.deferred_calls);
	EXPECT_EQ(0, eventfd_take(self->a));
	close(same);
}

/* KVM has no number to tell, and takes hours to get to kvmfd's. */
DIFFERENCE(number_of_doorbells)
{
	uint64_t max = device_info(self->kvmfd).max_ioeventfds, i;
	int err = 0;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "a million objects are too many for kmemleak");
	for (i = 0; i < max && !err; i++)
		err = ioeventfd(self->kvmfd, self->a, ADDR, 4, DATAMATCH, i);
	ASSERT_EQ(0, err);
	EXPECT_EQ(ENOSPC, ioeventfd(self->kvmfd, self->b, ADDR, 4, DATAMATCH, max));
	EXPECT_EQ(ENOSPC, ioeventfd(self->kvmfd, self->b, ADDR + 8, 4, 0, 0));
	EXPECT_EQ(ENOSPC, ioeventfd(self->kvmfd, self->b, ADDR, 2, PIO, 0));
	EXPECT_EQ(max, device_info(self->kvmfd).nr_ioeventfds);
	EXPECT_EQ(0, guest_write(&self->other, SPACE_MMIO, ADDR, 4, max - 1));
	EXPECT_EQ(1, eventfd_take(self->a));
	EXPECT_EQ(1, guest_write(&self->other, SPACE_MMIO, ADDR, 4, max));

	EXPECT_EQ(0, ioeventfd(self->kvmfd, self->a, ADDR, 4, DATAMATCH | DEASSIGN, 7));
	EXPECT_EQ(0, ioeventfd(self->kvmfd, self->b, ADDR + 8, 4, 0, 0));
	EXPECT_EQ(ENOSPC, ioeventfd(self->kvmfd, self->a, ADDR, 4, DATAMATCH, 7));
}

DIFFERENCE(full_bus)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = ADDR + GUEST_MMIO_SIZE, .size = 8 };
	int err;

	ASSERT_EQ(0, ioeventfd(self->kvm, self->a, ADDR, 4, DATAMATCH, 1));
	ASSERT_EQ(0, ioeventfd(self->kvmfd, self->a, ADDR, 4, DATAMATCH, 1));
	do {
		zone.addr += zone.size;
		err = do_ioctl(self->kvm, KVM_REGISTER_COALESCED_MMIO, &zone);
		if (!err)
			err = do_ioctl(self->other.vm->fd, KVM_REGISTER_COALESCED_MMIO, &zone);
	} while (!err);
	ASSERT_EQ(ENOSPC, err);

	EXPECT_EQ(ENOSPC, ioeventfd(self->kvm, self->b, ADDR, 4, DATAMATCH, 2));
	EXPECT_EQ(0, ioeventfd(self->kvmfd, self->b, ADDR, 4, DATAMATCH, 2));
	EXPECT_EQ(0, guest_write(&self->other, SPACE_MMIO, ADDR, 4, 2));
	EXPECT_EQ(1, eventfd_take(self->b));
	EXPECT_EQ(ENOSPC, ioeventfd(self->kvmfd, self->b, ADDR, 8, DATAMATCH, 2));
}

/* Who gets the write is in beside.c. */
DIFFERENCE(key_of_kvm)
{
	ASSERT_EQ(0, ioeventfd(self->kvm, self->a, ADDR, 4, 0, 0));
	EXPECT_EQ(EEXIST, ioeventfd(self->kvm, self->b, ADDR, 4, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->other.vm->fd, self->a, ADDR, 4, 0, 0));
	EXPECT_EQ(0, ioeventfd(self->kvmfd, self->b, ADDR, 4, 0, 0));
}

DIFFERENCE(missed_writes)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} ranges[] = { { 0x400, 4 }, { 0x500, 4 }, { 0x1004, 4 }, { 0x1000, 8 } };
	int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		ASSERT_EQ(0, ioeventfd(self->kvm, self->a, ADDR + ranges[i].addr, ranges[i].len,
				       0, 0));
		ASSERT_EQ(0, ioeventfd(self->kvmfd, self->b, ADDR + ranges[i].addr,
				       ranges[i].len, 0, 0));
	}
	EXPECT_EQ(1, guest_write(&self->guest, SPACE_MMIO, ADDR + 0x1000, 8, 0));
	EXPECT_EQ(0, eventfd_take(self->a));
	EXPECT_EQ(0, guest_write(&self->other, SPACE_MMIO, ADDR + 0x1000, 8, 0));
	EXPECT_EQ(1, eventfd_take(self->b));

	ASSERT_EQ(0, ioeventfd(self->kvm, self->a, ADDR + 0x500, 4, DEASSIGN, 0));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR + 0x1000, 8, 0));
	EXPECT_EQ(1, eventfd_take(self->a));
}

static struct {
	int kvms_fd;
	int fd;
	int vm_fd;
	int eventfd;
} foreign;

static int assign_at_kvms(void)
{
	return ioeventfd(foreign.kvms_fd, foreign.eventfd, ADDR, 4, 0, 0);
}

static int attach_and_assign(void)
{
	int err = -kvmfd_attach_vm(foreign.fd, foreign.vm_fd, KVMFD_VM_FOREIGN, 0, NULL);

	return err ? err : ioeventfd(foreign.fd, foreign.eventfd, ADDR, 4, 0, 0);
}

/* Who may is in who.c. */
DIFFERENCE(vm_of_another_process)
{
	close(self->kvmfd);
	self->kvmfd = device_open();
	foreign.kvms_fd = self->kvm;
	foreign.fd = self->kvmfd;
	foreign.vm_fd = self->other.vm->fd;
	foreign.eventfd = self->a;

	EXPECT_EQ(EIO, in_another_process(assign_at_kvms));
	EXPECT_EQ(1, guest_write(&self->guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(0, in_another_process(attach_and_assign));
	EXPECT_EQ(0, guest_write(&self->other, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, eventfd_take(self->a));
}

TEST_HARNESS_MAIN
