// SPDX-License-Identifier: GPL-2.0
/* PCI bus 0: configuration space through I/O ports 0xcf8 and 0xcfc. */
#include <string.h>

#include "pci.h"

#define CONFIG_PORT   0xcf8
#define CONFIG_DATA   4 /* offset of 0xcfc */
#define CONFIG_ENABLE (1U << 31)

#define FIRST_CAP 0x40

/* Linux takes a bus for real when it finds a host bridge or a display on it. */
#define VENDOR_REDHAT      0x1b36
#define DEVICE_HOST_BRIDGE 0x0008
#define CLASS_HOST_BRIDGE  0x060000

/**
 * struct pci_bus - the bus and its ports
 * @address: what the guest has written to 0xcf8
 * @slots: the functions, NULL where there is none
 * @region: where the guest finds the ports
 */
static struct pci_bus {
	uint32_t address;
	struct pci_dev *slots[PCI_SLOTS];
	struct bus_region region;
} pci_bus;

uint16_t pci_get16(const struct pci_dev *dev, unsigned int off)
{
	return dev->config[off] | dev->config[off + 1] << 8;
}

uint32_t pci_get32(const struct pci_dev *dev, unsigned int off)
{
	return pci_get16(dev, off) | (uint32_t)pci_get16(dev, off + 2) << 16;
}

void pci_put16(uint8_t *space, unsigned int off, uint16_t val)
{
	space[off] = val;
	space[off + 1] = val >> 8;
}

void pci_put32(uint8_t *space, unsigned int off, uint32_t val)
{
	pci_put16(space, off, val);
	pci_put16(space, off + 2, val >> 16);
}

/* The function that 0xcf8 points at, NULL if it points at none */
static struct pci_dev *pci_selected(const struct pci_bus *bus)
{
	unsigned int slot = bus->address >> 11 & 0x1f;

	if (!(bus->address & CONFIG_ENABLE) ||
	    bus->address & 0x00ff0700 || /* another bus or function */
	    slot >= PCI_SLOTS)
		return NULL;
	return bus->slots[slot];
}

static uint64_t pci_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pci_bus *bus = opaque;
	struct pci_dev *dev;
	uint64_t val = UINT64_MAX;

	if (off < CONFIG_DATA)
		return !off && len == 4 ? bus->address : UINT64_MAX;
	dev = pci_selected(bus);
	if (dev)
		memcpy(&val, &dev->config[(bus->address & 0xfc) + off - CONFIG_DATA], len);
	return val;
}

static void pci_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct pci_bus *bus = opaque;
	struct pci_dev *dev;
	unsigned int reg, i;
	uint8_t mask;

	if (off < CONFIG_DATA) {
		if (!off && len == 4)
			bus->address = val;
		return;
	}
	dev = pci_selected(bus);
	if (!dev)
		return;
	reg = (bus->address & 0xfc) + off - CONFIG_DATA;
	for (i = 0; i < len; i++, val >>= 8) {
		mask = dev->writable[reg + i];
		dev->config[reg + i] &= ~mask;
		dev->config[reg + i] |= val & mask;
	}
	if (dev->written)
		dev->written(dev->dev, reg, len);
}

void pci_add(unsigned int slot, struct pci_dev *dev, const struct pci_id *id)
{
	pci_put16(dev->config, PCI_VENDOR_ID, id->vendor);
	pci_put16(dev->config, PCI_DEVICE_ID, id->device);
	pci_put16(dev->config, PCI_SUBSYSTEM_VENDOR_ID, id->vendor);
	pci_put16(dev->config, PCI_SUBSYSTEM_ID, id->subsystem);
	pci_put32(dev->config, PCI_CLASS_REVISION,
		  id->class << 8 | id->revision);
	pci_put16(dev->writable, PCI_COMMAND,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	pci_bus.slots[slot] = dev;
}

unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, const void *cap,
			 uint8_t len)
{
	unsigned int off = dev->last_cap ? dev->cap_end : FIRST_CAP;

	memcpy(&dev->config[off], cap, len);
	dev->config[off + PCI_CAP_LIST_ID] = id;
	dev->config[off + PCI_CAP_LIST_NEXT] = 0;
	if (dev->last_cap)
		dev->config[dev->last_cap + PCI_CAP_LIST_NEXT] = off;
	else
		dev->config[PCI_CAPABILITY_LIST] = off;
	dev->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	dev->last_cap = off;
	dev->cap_end = (off + len + 3) & ~3U;
	return off;
}

void pci_init(struct vm *vm)
{
	static const struct pci_id host_bridge_id = {
		.vendor = VENDOR_REDHAT,
		.device = DEVICE_HOST_BRIDGE,
		.class = CLASS_HOST_BRIDGE,
	};
	static struct pci_dev host_bridge;

	pci_bus.region = (struct bus_region) {
		.base = CONFIG_PORT,
		.len = 8,
		.read = pci_read,
		.write = pci_write,
		.dev = &pci_bus,
	};
	bus_add(&vm->pio, &pci_bus.region);
	pci_add(0, &host_bridge, &host_bridge_id);
}
