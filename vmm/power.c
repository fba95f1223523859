// SPDX-License-Identifier: GPL-2.0
/* Power off by ACPI's PM1 registers, reboot by the keyboard controller. */
#include <assert.h>

#include "vmm.h"

#define PM1_CNT_SCI_EN       (1U << 0)
#define PM1_CNT_SLP_TYP(val) ((val) >> 10 & 7)
#define PM1_CNT_SLP_EN       (1U << 13)

/**
 * struct pm1 - the PM1 event and control registers
 * @vm: the machine
 * @enable: events that the guest has enabled; none ever comes
 * @region: where the guest finds them
 */
struct pm1 {
	struct vm *vm;
	uint16_t enable;
	struct bus_region region;
};

enum {
	PM1_STATUS = 0,
	PM1_ENABLE = 2,
	PM1_CONTROL = 4,
};

static uint64_t pm1_read(void *dev, uint64_t off, unsigned int len)
{
	struct pm1 *pm1 = dev;

	(void)len;
	switch (off) {
	case PM1_ENABLE:
		return pm1->enable;
	case PM1_CONTROL:
		return PM1_CNT_SCI_EN;
	default:
		return 0;
	}
}

static void pm1_write(void *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct pm1 *pm1 = dev;

	if (len != 2)
		return;
	if (off == PM1_ENABLE)
		pm1->enable = val;
	else if (off == PM1_CONTROL && val & PM1_CNT_SLP_EN &&
		 PM1_CNT_SLP_TYP(val) == S5_SLP_TYP)
		vm_stop(pm1->vm, 0, NULL);
}

/* Idle: no byte to read, ready for a command */
static uint64_t i8042_read(void *dev, uint64_t off, unsigned int len)
{
	(void)dev;
	(void)off;
	(void)len;
	return 0;
}

static void i8042_write(void *dev, uint64_t off, unsigned int len, uint64_t val)
{
	(void)off;
	(void)len;
	if (val == RESET_VALUE)
		vm_stop(dev, 0, NULL);
}

void power_init(struct vm *vm)
{
	static struct pm1 pm1 = {
		.region = {
			.base = PM1_EVT_PORT,
			.len = 6,
			.read = pm1_read,
			.write = pm1_write,
			.dev = &pm1,
		},
	};
	static struct bus_region i8042 = {
		.base = RESET_PORT,
		.len = 1,
		.read = i8042_read,
		.write = i8042_write,
	};

	static_assert(PM1_EVT_PORT + PM1_CONTROL == PM1_CNT_PORT,
		      "the PM1 registers are one region");
	pm1.vm = vm;
	bus_add(&vm->pio, &pm1.region);
	i8042.dev = vm;
	bus_add(&vm->pio, &i8042);
}
