// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfd: routes that lead neither to an MSI nor to a pin, but to Hyper-V's synthetic
 * interrupts and Xen's event channels, for kvmfd and, in the same words, for KVM.
 */
#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define GSI          24
#define OTHER_VECTOR (GUEST_VECTOR + 1)

/* A synthetic interrupt of Hyper-V's, and the registers that its guest sets it up by. */
#define SINT         2
#define MSR_SCONTROL 0x40000080
#define MSR_SINT     (0x40000090 + SINT)
#define SINT_MASKED  (1 << 16)

/* An event channel of Xen's. */
#define PORT 15

FIXTURE(routes)
{
	struct level level;
};

FIXTURE_VARIANT(routes)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(routes, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(routes, kvm) { .kvmfd = false };

FIXTURE_SETUP(routes)
{
	level_setup(&self->level, variant->kvmfd);
}

FIXTURE_TEARDOWN(routes)
{
	level_teardown(&self->level);
}

#define RING()   eventfd_ring(self->level.source.call)
#define ASSIGN() ASSERT_EQ(0, irqfd(self->level.fd, self->level.source.call, GSI, 0))

/* What has gone to the workqueue has been set when the irqfd's deassign returns. */
#define FLUSH_AND_DEASSIGN() \
	ASSERT_EQ(0, deassign(self->level.fd, &self->level.source, GSI))

/* Whoever raises it: there is one, and then no other. */
#define ASSERT_ARRIVES(vector)                                                   \
	do {                                                                     \
		ASSERT_EQ(1, guest_await_interrupt(&self->level.guest, vector)); \
		EXPECT_INTERRUPTS(0, vector);                                    \
	} while (0)

#define EXPECT_NOTHING_ARRIVES(vector)        \
	do {                                  \
		RING();                       \
		FLUSH_AND_DEASSIGN();         \
		EXPECT_INTERRUPTS(0, vector); \
		ASSIGN();                     \
	} while (0)

static void route_sint(struct guest *guest, uint32_t vcpu, uint32_t sint)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = GSI,
		.type = KVM_IRQ_ROUTING_HV_SINT,
		.u.hv_sint = { .vcpu = vcpu, .sint = sint },
	};

	guest_set_routing(guest, &entry, 1);
}

/* The vCPU gets a controller for synthetic interrupts; what its SINT is set to. */
static void synic_enable(struct guest *guest, uint64_t sint)
{
	vcpu_enable_cap(guest->vcpu, KVM_CAP_HYPERV_SYNIC, 0);
	vcpu_set_msr(guest->vcpu, MSR_SCONTROL, 1);
	vcpu_set_msr(guest->vcpu, MSR_SINT, sint);
}

TEST_F(routes, sint)
{
	int i;

	synic_enable(&self->level.guest, VECTOR);
	route_sint(&self->level.guest, 0, SINT);
	ASSIGN();
	for (i = 0; i < 3; i++) {
		RING();
		ASSERT_ARRIVES(VECTOR);
	}
	EXPECT_EQ(0, eventfd_take(self->level.source.call));
	if (variant->kvmfd)
		EXPECT_EQ(3, device_only_entry(self->level.fd).deferred_calls);

	/* What counts is what the guest has set it to in the end. */
	vcpu_set_msr(self->level.guest.vcpu, MSR_SINT, OTHER_VECTOR);
	RING();
	ASSERT_ARRIVES(OTHER_VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);
}

TEST_F(routes, sint_that_is_masked)
{
	synic_enable(&self->level.guest, VECTOR | SINT_MASKED);
	route_sint(&self->level.guest, 0, SINT);
	ASSIGN();
	EXPECT_NOTHING_ARRIVES(VECTOR);

	/* It is not kept for later. */
	vcpu_set_msr(self->level.guest.vcpu, MSR_SINT, VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);
	RING();
	ASSERT_ARRIVES(VECTOR);
}

TEST_F(routes, sint_without_a_controller)
{
	route_sint(&self->level.guest, 0, SINT);
	ASSIGN();
	EXPECT_NOTHING_ARRIVES(VECTOR);
	synic_enable(&self->level.guest, VECTOR);
	RING();
	ASSERT_ARRIVES(VECTOR);
}

TEST_F(routes, sint_of_nobody)
{
	synic_enable(&self->level.guest, VECTOR);
	ASSIGN();
	route_sint(&self->level.guest, 7, SINT);
	EXPECT_NOTHING_ARRIVES(VECTOR);
	route_sint(&self->level.guest, UINT32_MAX, SINT);
	EXPECT_NOTHING_ARRIVES(VECTOR);
	route_sint(&self->level.guest, 0, UINT32_MAX);
	EXPECT_NOTHING_ARRIVES(VECTOR);
}

TEST_F(routes, sint_comes_and_goes)
{
	struct kvm_irq_routing_entry msi = route_msi(GSI, 0, OTHER_VECTOR);

	synic_enable(&self->level.guest, VECTOR);
	ASSIGN();
	EXPECT_NOTHING_ARRIVES(VECTOR);
	route_sint(&self->level.guest, 0, SINT);
	RING();
	ASSERT_ARRIVES(VECTOR);

	guest_set_routing(&self->level.guest, &msi, 1);
	RING();
	ASSERT_ARRIVES(OTHER_VECTOR);
	EXPECT_INTERRUPTS(0, VECTOR);

	route_sint(&self->level.guest, 0, SINT);
	FLUSH_AND_DEASSIGN();
	RING();
	EXPECT_INTERRUPTS(0, VECTOR);
	/* It is pending then. */
	ASSIGN();
	ASSERT_ARRIVES(VECTOR);
}

/* The way in which a VMM learns that the guest has taken its message. */
TEST_F(routes, sint_whose_end_is_told)
{
	int i;

	synic_enable(&self->level.guest, VECTOR);
	route_sint(&self->level.guest, 0, SINT);
	ASSERT_EQ(0, assign(self->level.fd, &self->level.source, GSI));
	for (i = 0; i < 3; i++) {
		RING();
		ASSERT_ARRIVES(VECTOR);
		EXPECT_RESAMPLED(1, &self->level.source);
	}
}

/* Words of Xen's shared page if the guest is not in long mode; the first are vCPU 0's. */
enum {
	XEN_UPCALL_PENDING = 0,
	XEN_PENDING_SEL = 1,
	XEN_PENDING = 0x800 / 4,
	XEN_MASK = 0x880 / 4,
};

static uint32_t *xen_enable(struct guest *guest)
{
	vm_vaddr_t page = vm_vaddr_alloc_page(guest->vm);
	uint64_t gpa = addr_gva2gpa(guest->vm, page);
	struct kvm_xen_hvm_attr shared = {
		.type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
		.u.shared_info.gfn = gpa >> 12,
	};
	struct kvm_xen_vcpu_attr info = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
		.u.gpa = gpa,
	};
	struct kvm_xen_vcpu_attr vector = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
		.u.vector = VECTOR,
	};

	vm_ioctl(guest->vm, KVM_XEN_HVM_SET_ATTR, &shared);
	vcpu_ioctl(guest->vcpu, KVM_XEN_VCPU_SET_ATTR, &info);
	vcpu_ioctl(guest->vcpu, KVM_XEN_VCPU_SET_ATTR, &vector);
	return addr_gva2hva(guest->vm, page);
}

/* What a guest does that has seen an event. */
static void xen_clear(uint32_t *shared)
{
	shared[XEN_UPCALL_PENDING] = 0;
	shared[XEN_PENDING_SEL] = 0;
	shared[XEN_PENDING] = 0;
}

static bool xen_missing(void)
{
	return !(kvm_check_cap(KVM_CAP_XEN_HVM) & KVM_XEN_HVM_CONFIG_EVTCHN_SEND);
}

#define NO_XEN "this kernel's KVM has no event channels"

static void route_event(struct guest *guest)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = GSI,
		.type = KVM_IRQ_ROUTING_XEN_EVTCHN,
		.u.xen_evtchn = {
			.port = PORT,
			.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
		},
	};

	guest_set_routing(guest, &entry, 1);
}

TEST_F(routes, event_channel)
{
	uint32_t *shared;
	int i;

	if (xen_missing())
		SKIP(return, NO_XEN);
	shared = xen_enable(&self->level.guest);
	route_event(&self->level.guest);
	ASSIGN();
	for (i = 0; i < 3; i++) {
		RING();
		ASSERT_ARRIVES(VECTOR);
		EXPECT_EQ(1 << PORT, shared[XEN_PENDING]);
		EXPECT_EQ(1, shared[XEN_UPCALL_PENDING]);
		xen_clear(shared);
	}
	EXPECT_EQ(0, eventfd_take(self->level.source.call));
	if (variant->kvmfd)
		EXPECT_EQ(3, device_only_entry(self->level.fd).deferred_calls);
}

TEST_F(routes, event_channel_that_is_masked)
{
	uint32_t *shared;

	if (xen_missing())
		SKIP(return, NO_XEN);
	shared = xen_enable(&self->level.guest);
	shared[XEN_MASK] = 1 << PORT;
	route_event(&self->level.guest);
	ASSIGN();
	EXPECT_NOTHING_ARRIVES(VECTOR);
	/* The guest finds it when it unmasks the port. */
	EXPECT_EQ(1 << PORT, shared[XEN_PENDING]);
	EXPECT_EQ(0, shared[XEN_UPCALL_PENDING]);
}

TEST_F(routes, event_channel_comes_and_goes)
{
	struct kvm_irq_routing_entry msi = route_msi(GSI, 0, OTHER_VECTOR);
	uint32_t *shared;

	if (xen_missing())
		SKIP(return, NO_XEN);
	shared = xen_enable(&self->level.guest);
	ASSIGN();
	EXPECT_NOTHING_ARRIVES(VECTOR);
	route_event(&self->level.guest);
	RING();
	ASSERT_ARRIVES(VECTOR);
	xen_clear(shared);

	guest_set_routing(&self->level.guest, &msi, 1);
	RING();
	ASSERT_ARRIVES(OTHER_VECTOR);
	EXPECT_EQ(0, shared[XEN_PENDING]);

	route_event(&self->level.guest);
	FLUSH_AND_DEASSIGN();
	RING();
	EXPECT_INTERRUPTS(0, VECTOR);
	EXPECT_EQ(0, shared[XEN_PENDING]);
	/* It is pending then. */
	ASSIGN();
	ASSERT_ARRIVES(VECTOR);
}

TEST_HARNESS_MAIN
