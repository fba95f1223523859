// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <unistd.h>

#include "client.h"
#include "level.h"

#define IOAPIC                  0xfec00000ULL
#define IOAPIC_WINDOW           (IOAPIC + 0x10)
#define IOAPIC_REDIRECTION(pin) (0x10 + 2 * (pin))

struct source new_source(void)
{
	return (struct source) { .call = new_eventfd(), .resample = new_eventfd() };
}

void close_source(struct source *source)
{
	close(source->call);
	close(source->resample);
}

int assign(int fd, const struct source *source, uint32_t gsi)
{
	return resampled_irqfd(fd, source->call, gsi, KVM_IRQFD_FLAG_RESAMPLE,
			       source->resample);
}

int deassign(int fd, const struct source *source, uint32_t gsi)
{
	return irqfd(fd, source->call, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

void level_setup(struct level *level, bool kvmfd)
{
	guest_create(&level->guest);
	level->fd = kvmfd ? device_open_attached(level->guest.vm->fd) : level->guest.vm->fd;
	level->source = new_source();
	level->other = new_source();
	/* Its local APIC comes to life. */
	guest_take_interrupts(&level->guest);
	guest_program_ioapic(&level->guest, PIN, VECTOR, LEVEL);
}

void level_teardown(struct level *level)
{
	if (level->fd != level->guest.vm->fd)
		close(level->fd);
	kvm_vm_free(level->guest.vm);
	close_source(&level->source);
	close_source(&level->other);
}

void ioapic_map(struct guest *guest)
{
	virt_map(guest->vm, IOAPIC, IOAPIC, 1);
}

void ioapic_write_pin(struct guest *guest, unsigned int pin, unsigned int vector,
		      enum trigger trigger)
{
	/* Fixed, physical, not masked, as guest_program_ioapic() has it. */
	guest_write(guest, SPACE_MMIO, IOAPIC, 4, IOAPIC_REDIRECTION(pin));
	guest_write(guest, SPACE_MMIO, IOAPIC_WINDOW, 4, vector | trigger << 15);
}

void ioapic_mask_pin(struct guest *guest, unsigned int pin)
{
	struct kvm_irqchip chip = guest_irqchip(guest, KVM_IRQCHIP_IOAPIC);

	chip.chip.ioapic.redirtbl[pin].fields.mask = 1;
	vm_ioctl(guest->vm, KVM_SET_IRQCHIP, &chip);
}

void pic_program(struct guest *guest, bool auto_eoi)
{
	struct kvm_irqchip chip = guest_irqchip(guest, KVM_IRQCHIP_PIC_MASTER);

	chip.chip.pic.irq_base = PIC_VECTOR - PIC_PIN;
	chip.chip.pic.imr = 0xff ^ 1 << PIC_PIN;
	chip.chip.pic.elcr = 1 << PIC_PIN;
	chip.chip.pic.auto_eoi = auto_eoi;
	vm_ioctl(guest->vm, KVM_SET_IRQCHIP, &chip);
}

bool pin_is_up(struct guest *guest, uint32_t gsi)
{
	if (gsi == PIC_PIN)
		return guest_irqchip(guest, KVM_IRQCHIP_PIC_MASTER).chip.pic.irr & 1 << gsi;

	return guest_irqchip(guest, KVM_IRQCHIP_IOAPIC).chip.ioapic.irr & 1 << gsi;
}

bool await_pin(struct guest *guest, uint32_t gsi)
{
	int ms;

	/* A worker raises it, and tells nobody. */
	for (ms = 0; ms < PATIENCE_MS && !pin_is_up(guest, gsi); ms++)
		poll(NULL, 0, 1);

	return ms < PATIENCE_MS;
}

bool raise_pin(struct guest *guest, const struct source *source, uint32_t gsi)
{
	eventfd_ring(source->call);
	return await_pin(guest, gsi);
}
