/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Level-triggered interrupts: the pins, and the eventfds that drive them.
 */
#ifndef SELFTESTS_LEVEL_H
#define SELFTESTS_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

/* A GSI that is a pin of the IOAPIC alone, and one that is the PIC's as well. */
#define PIN     20
#define PIC_PIN 3

/* The PIC's vectors are numbered as its pins are, from a multiple of 8. */
#define VECTOR     GUEST_VECTOR
#define PIC_VECTOR (GUEST_VECTOR + PIC_PIN)

/* What raises interrupts: an eventfd, and one that tells of their end. */
struct source {
	int call;
	int resample;
};

struct source new_source(void);
void close_source(struct source *source);
int assign(int fd, const struct source *source, uint32_t gsi);
int deassign(int fd, const struct source *source, uint32_t gsi);

/* A guest whose PIN is programmed, and two sources that are not assigned. */
struct level {
	struct guest guest;
	/* Serves the requests: the VM's, or a /dev/kvmfd's attached to it. */
	int fd;
	struct source source;
	struct source other;
};

void level_setup(struct level *level, bool kvmfd);
void level_teardown(struct level *level);

/* The guest itself programs a pin, once its IOAPIC is mapped for it. */
void ioapic_map(struct guest *guest);
void ioapic_write_pin(struct guest *guest, unsigned int pin, unsigned int vector,
		      enum trigger trigger);
/* Behind the guest's back. */
void ioapic_mask_pin(struct guest *guest, unsigned int pin);
void pic_program(struct guest *guest, bool auto_eoi);
/* The pin of a level-triggered GSI, or-ed over all that drive it. */
bool pin_is_up(struct guest *guest, uint32_t gsi);
/* False if it does not come up. */
bool await_pin(struct guest *guest, uint32_t gsi);
/* Signals the source first. */
bool raise_pin(struct guest *guest, const struct source *source, uint32_t gsi);

/* --- for tests with a struct level in their fixture ----------------------- */

#define ASSERT_RAISE(source, gsi) ASSERT_TRUE(raise_pin(&self->level.guest, source, gsi))

/* The guest takes and ends what there is. */
#define EXPECT_INTERRUPTS(n, vector)                                        \
	do {                                                                \
		guest_take_interrupts(&self->level.guest);                  \
		EXPECT_EQ(n, guest_interrupts(&self->level.guest, vector)); \
	} while (0)

#define EXPECT_RESAMPLED(n, source) EXPECT_EQ(n, eventfd_take((source)->resample))
#define EXPECT_UP(gsi)              EXPECT_TRUE(pin_is_up(&self->level.guest, gsi))
#define EXPECT_DOWN(gsi)            EXPECT_FALSE(pin_is_up(&self->level.guest, gsi))

#endif /* SELFTESTS_LEVEL_H */
