/* SPDX-License-Identifier: GPL-2.0 */
/* PCI bus 0: configuration space through I/O ports 0xcf8 and 0xcfc. */
#ifndef PCI_H
#define PCI_H

#include <linux/pci_regs.h>

#include "vmm.h"

#define PCI_CONFIG_SIZE 256
#define PCI_SLOTS       2 /* 0: host bridge, 1: block device */

/**
 * struct pci_dev - a function's configuration space
 * @config: the registers
 * @writable: the bits of @config that the guest may change
 * @written: called after the guest has written @len bytes at @off, may be NULL
 * @dev: handed to @written
 * @last_cap: offset of the last capability, 0 if there is none
 * @cap_end: first free offset after the capabilities
 */
struct pci_dev {
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	void (*written)(void *dev, unsigned int off, unsigned int len);
	void *dev;
	uint8_t last_cap;
	uint8_t cap_end;
};

/**
 * struct pci_id - what a function is
 * @vendor: and
 * @device: who made it
 * @subsystem: id of the subsystem, its vendor is @vendor
 * @class: class, subclass, programming interface
 * @revision: of the device
 */
struct pci_id {
	uint16_t vendor, device, subsystem;
	uint32_t class;
	uint8_t revision;
};

/** pci_init() - the configuration ports, and a host bridge in slot 0 */
void pci_init(struct vm *vm);
void pci_add(unsigned int slot, struct pci_dev *dev, const struct pci_id *id);

/**
 * pci_add_cap() - append a capability
 * @dev: the device
 * @id: PCI_CAP_ID_*
 * @cap: its registers; the first two are filled in here
 * @len: how many there are
 *
 * Return: its offset.
 */
unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, const void *cap,
			 uint8_t len);

uint16_t pci_get16(const struct pci_dev *dev, unsigned int off);
uint32_t pci_get32(const struct pci_dev *dev, unsigned int off);
void pci_put16(uint8_t *space, unsigned int off, uint16_t val);
void pci_put32(uint8_t *space, unsigned int off, uint32_t val);

#endif /* PCI_H */
