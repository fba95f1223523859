// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nomem.h"

void must(int err, const char *what)
{
	TEST_ASSERT(!err, "%s: %s", what, strerror(err));
}

static struct kvm_irq_routing_entry route_pin(uint32_t pin)
{
	return (struct kvm_irq_routing_entry) {
		.gsi = pin,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC,
		.u.irqchip.pin = pin,
	};
}

/* Alone at its address, beside another one, on another bus; an edge and a line. */
static void assign_what_stays(struct nomem *s)
{
	s->fd = device_open_attached(s->guest.vm->fd);
	must(ioeventfd(s->fd, s->kick, STAYS, 4, 0, 0), "assign");
	must(ioeventfd(s->fd, s->kick, STAYS_DATA, 4, DATAMATCH, 1), "assign");
	must(ioeventfd(s->fd, s->kick, STAYS_DATA, 4, DATAMATCH, 2), "assign");
	must(ioeventfd(s->fd, s->kick, CALL_PORT + 8, 4, PIO, 0), "assign");
	must(irqfd(s->fd, s->call, STAYS_GSI, 0), "assign of an irqfd");
	must(assign(s->fd, &s->source, PIN), "assign of a resampled irqfd");
}

static void assign_natively(struct nomem *s)
{
	int i;

	must(irqfd(s->guest.vm->fd, s->native_call, NATIVE_GSI, 0), "KVM's own irqfd");
	/* So many that an array for fewer is too small. */
	for (i = 0; i < NR_NATIVE; i++)
		must(ioeventfd(s->guest.vm->fd, s->native_kick, NATIVE_ADDR + 8 * i, 4, 0, 0),
		     "KVM's own doorbell");
}

static void replace(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

void nomem_setup(struct nomem *s)
{
	struct kvm_irq_routing_entry routes[] = {
		route_msi(STAYS_GSI, 0, STAYS_VECTOR),
		route_msi(NATIVE_GSI, 0, NATIVE_VECTOR),
		route_msi(CALL_GSI, 0, CALL_VECTOR),
		route_pin(PIN),
		route_pin(EDGE_PIN),
	};

	/* Before it could inherit what is about to be opened. */
	s->owner = peer_start();
	guest_create(&s->guest);
	/* Its local APIC comes to life. */
	guest_take_interrupts(&s->guest);
	guest_set_routing(&s->guest, routes, ARRAY_SIZE(routes));
	guest_program_ioapic(&s->guest, PIN, CALL_VECTOR, LEVEL);
	guest_program_ioapic(&s->guest, EDGE_PIN, CALL_VECTOR, EDGE);

	s->kick = new_eventfd();
	s->call = new_eventfd();
	s->source = new_source();
	s->native_kick = new_eventfd();
	s->native_call = new_eventfd();
	assign_natively(s);

	s->any = -1;
	s->vm = -1;
	s->efd = new_eventfd();
	s->resamplefd = new_eventfd();
	assign_what_stays(s);
}

void nomem_reset(struct nomem *s)
{
	replace(&s->any, device_open());
	replace(&s->vm, -1);
	replace(&s->efd, new_eventfd());
	replace(&s->resamplefd, new_eventfd());
	s->change.fd = s->efd;
	if (s->change.flags & KVM_IRQFD_FLAG_RESAMPLE &&
	    s->change.kind == KVMFD_ENTRY_IRQFD)
		s->change.resamplefd = s->resamplefd;
	/* Nothing is left over that would spare a call an allocation. */
	close(s->fd);
	assign_what_stays(s);
}

void nomem_teardown(struct nomem *s)
{
	replace(&s->any, -1);
	replace(&s->vm, -1);
	peer_kill(&s->owner);
	close(s->fd);
	close(s->efd);
	close(s->resamplefd);
	close(s->kick);
	close(s->call);
	close(s->native_kick);
	close(s->native_call);
	close_source(&s->source);
	kvm_vm_free(s->guest.vm);
}

const char *others_wrong(struct nomem *s)
{
	guest_interrupts(&s->guest, STAYS_VECTOR);
	guest_interrupts(&s->guest, NATIVE_VECTOR);
	eventfd_take(s->kick);
	eventfd_take(s->native_kick);

	if (guest_write(&s->guest, SPACE_MMIO, STAYS, 4, 0) || eventfd_take(s->kick) != 1)
		return "a doorbell";
	if (guest_write(&s->guest, SPACE_MMIO, NATIVE_ADDR, 4, 0) ||
	    eventfd_take(s->native_kick) != 1)
		return "a doorbell of KVM's own";

	eventfd_ring(s->call);
	eventfd_ring(s->native_call);
	guest_take_interrupts(&s->guest);
	if (guest_interrupts(&s->guest, STAYS_VECTOR) != 1)
		return "an irqfd";
	if (guest_interrupts(&s->guest, NATIVE_VECTOR) != 1)
		return "an irqfd of KVM's own";

	return NULL;
}

static int new_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	TEST_ASSERT(kvm >= 0, "/dev/kvm: %s", strerror(errno));
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(vm >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	must(do_ioctl(vm, KVM_CREATE_IRQCHIP, NULL), "KVM_CREATE_IRQCHIP");
	close(kvm);
	return vm;
}

/* In the peer. */
static int new_vm_of_peer(void)
{
	static int vm = -1;

	if (vm >= 0)
		close(vm);
	return vm = new_vm();
}

void prepare_vm(struct nomem *s)
{
	s->vms = count_vms();
	s->vm = new_vm();
}

void prepare_foreign_vm(struct nomem *s)
{
	s->vm = peer_fd(&s->owner, peer_call(&s->owner, new_vm_of_peer));
}

void assign_both(struct nomem *s)
{
	must(ioeventfd(s->any, s->efd, CALL_ADDR, 4, 0, 0), "assign");
	must(irqfd(s->any, s->efd, 0, 0), "assign of an irqfd");
}

void prepare_attached(struct nomem *s)
{
	prepare_vm(s);
	must(-kvmfd_attach_vm(s->any, s->vm, 0, 0, NULL), "attach");
	assign_both(s);
}

void prepare_attached_foreign(struct nomem *s)
{
	prepare_foreign_vm(s);
	must(-kvmfd_attach_vm(s->any, s->vm, KVMFD_VM_FOREIGN, 0, NULL), "attach");
	assign_both(s);
}

void prepare_native(struct nomem *s)
{
	prepare_attached(s);
	must(ioeventfd(s->any, s->efd, CALL_ADDR + WILDCARD, 0, 0, 0), "assign");
	must(ioeventfd(s->vm, s->native_kick, NATIVE_ADDR, 0, 0, 0), "KVM's own assign");
}
