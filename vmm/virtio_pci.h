/* SPDX-License-Identifier: GPL-2.0 */
/* The block device on PCI: virtio 1's registers in BAR 0. */
#ifndef VIRTIO_PCI_H
#define VIRTIO_PCI_H

#include "blk.h"

/**
 * struct virtio_pci - the device
 * @vm: the machine
 * @notify: its doorbells' and calls' server
 * @pci: its configuration space
 * @intx: its interrupt, unless the driver has enabled
 * @msix: and has many
 * @blk: its disk
 * @bar: BAR 0, where the guest has put it
 * @mapped: @bar is on the bus
 * @status: VIRTIO_CONFIG_S_*, as the driver has written it
 * @device_select: which half of the offered features the driver reads
 * @driver_select: which half of the accepted features the driver writes
 * @features: the accepted features
 * @queue_select: which queue the queue registers are of
 * @config_vector: vector for changes of the configuration, which never come
 * @notify_exits: doorbell writes that came to user space
 */
struct virtio_pci {
	struct vm *vm;
	struct notify *notify;
	struct pci_dev pci;
	struct intx intx;
	struct msix msix;
	struct blk blk;
	struct bus_region bar;
	bool mapped;
	uint8_t status;
	uint32_t device_select;
	uint32_t driver_select;
	uint64_t features;
	uint16_t queue_select;
	uint16_t config_vector;
	uint64_t notify_exits;
};

void virtio_pci_init(struct virtio_pci *v, struct vm *vm, struct notify *notify,
		     const char *disk, unsigned int queues);

/** virtio_pci_stop() - end all I/O and notification; the statistics are final */
void virtio_pci_stop(struct virtio_pci *v);

/* virtio_common.c: the common configuration */
uint64_t virtio_common_read(struct virtio_pci *v, uint64_t off,
			    unsigned int len);
void virtio_common_write(struct virtio_pci *v, uint64_t off, unsigned int len,
			 uint64_t val);
void virtio_reset(struct virtio_pci *v);

/** virtio_update_doorbells() - make them follow the BAR, the queues, the status */
void virtio_update_doorbells(struct virtio_pci *v);

#endif /* VIRTIO_PCI_H */
