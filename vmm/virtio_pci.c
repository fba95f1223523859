// SPDX-License-Identifier: GPL-2.0
/* The block device on PCI: configuration space, BAR 0 and what is behind it. */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "virtio_pci.h"

#define SLOT          1
#define VENDOR_VIRTIO 0x1af4
#define DEVICE_MODERN 0x1040 /* plus VIRTIO_ID_* */
#define CLASS_STORAGE 0x018000

/* BAR 0: a page for each */
enum bar_page {
	PAGE_COMMON,
	PAGE_ISR,
	PAGE_DEVICE,
	PAGE_NOTIFY,
	PAGE_MSIX_TABLE,
	PAGE_MSIX_PBA,
	BAR_PAGES = 8, /* a power of 2 */
};

#define PAGE_SHIFT    12
#define PAGE_AT(page) ((uint32_t)(page) << PAGE_SHIFT)
#define BAR_SIZE      PAGE_AT(BAR_PAGES)

static uint64_t doorbell_addr(const struct virtio_pci *v, unsigned int queue)
{
	return v->bar.base + PAGE_AT(PAGE_NOTIFY) +
	       queue * v->notify->form->multiplier;
}

void virtio_update_doorbells(struct virtio_pci *v)
{
	bool on = v->mapped && v->status & VIRTIO_CONFIG_S_DRIVER_OK;
	struct virtq *q;
	unsigned int i;

	/* First those that go: one may stand where another is to come. */
	for (i = 0; i < v->blk.count; i++) {
		q = &v->blk.queues[i].virtq;
		if (q->doorbell.assigned &&
		    (!on || !q->enabled ||
		     q->doorbell.addr != doorbell_addr(v, i)))
			doorbell_deassign(v->notify, &q->doorbell);
	}
	for (i = 0; i < v->blk.count; i++) {
		q = &v->blk.queues[i].virtq;
		if (on && q->enabled && !q->doorbell.assigned)
			doorbell_assign(v->notify, &q->doorbell,
					doorbell_addr(v, i));
	}
}

static uint64_t device_config_read(struct virtio_pci *v, uint64_t off,
				   unsigned int len)
{
	const struct virtio_blk_config config = {
		.capacity = v->blk.capacity,
		.seg_max = QUEUE_SIZE - 2, /* less header and status */
		.blk_size = 512,
		.num_queues = v->blk.count,
	};
	uint64_t val = 0;

	if (off + len <= sizeof(config))
		memcpy(&val, (const uint8_t *)&config + off, len);
	return val;
}

static uint64_t bar_read(void *dev, uint64_t off, unsigned int len)
{
	struct virtio_pci *v = dev;
	uint64_t in_page = off & (PAGE_AT(1) - 1);

	switch (off >> PAGE_SHIFT) {
	case PAGE_COMMON:
		return virtio_common_read(v, in_page, len);
	case PAGE_ISR:
		return intx_read_isr(&v->intx);
	case PAGE_DEVICE:
		return device_config_read(v, in_page, len);
	case PAGE_MSIX_TABLE:
		return msix_read_table(&v->msix, in_page, len);
	case PAGE_MSIX_PBA:
		return msix_read_pba(&v->msix, in_page);
	default:
		return 0;
	}
}

static void notify_write(struct virtio_pci *v, uint64_t off, unsigned int len,
			 uint64_t val)
{
	unsigned int i;

	v->notify_exits++;
	for (i = 0; i < v->blk.count; i++)
		doorbell_write(v->notify, &v->blk.queues[i].virtq.doorbell,
			       v->bar.base + off, len, val);
}

static void bar_write(void *dev, uint64_t off, unsigned int len, uint64_t val)
{
	struct virtio_pci *v = dev;
	uint64_t in_page = off & (PAGE_AT(1) - 1);

	switch (off >> PAGE_SHIFT) {
	case PAGE_COMMON:
		virtio_common_write(v, in_page, len, val);
		break;
	case PAGE_NOTIFY:
		notify_write(v, off, len, val);
		break;
	case PAGE_MSIX_TABLE:
		msix_write_table(&v->msix, in_page, len, val);
		break;
	}
}

/* Put BAR 0, with the doorbells in it, where the guest wants it. */
static void update_bar(struct virtio_pci *v)
{
	bool map = pci_get16(&v->pci, PCI_COMMAND) & PCI_COMMAND_MEMORY;
	uint32_t base = pci_get32(&v->pci, PCI_BASE_ADDRESS_0) &
			PCI_BASE_ADDRESS_MEM_MASK;

	if (map == v->mapped && base == v->bar.base)
		return;
	if (v->mapped)
		bus_remove(&v->vm->mmio, &v->bar);
	v->bar.base = base;
	v->mapped = map;
	if (v->mapped)
		bus_add(&v->vm->mmio, &v->bar);
	virtio_update_doorbells(v);
}

static void config_written(void *dev, unsigned int off, unsigned int len)
{
	struct virtio_pci *v = dev;

	(void)off;
	(void)len;
	update_bar(v);
	msix_update(&v->msix);
	intx_update(&v->intx, msix_enabled(&v->msix));
}

static void add_virtio_cap(struct virtio_pci *v, uint8_t type,
			   enum bar_page page, uint32_t length)
{
	struct virtio_pci_notify_cap cap = {
		.cap = {
			.cap_len = sizeof(cap.cap),
			.cfg_type = type,
			.bar = 0,
			.offset = PAGE_AT(page),
			.length = length,
		},
		.notify_off_multiplier = v->notify->form->multiplier,
	};

	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		cap.cap.cap_len = sizeof(cap);
	pci_add_cap(&v->pci, PCI_CAP_ID_VNDR, &cap, cap.cap.cap_len);
}

void virtio_pci_init(struct virtio_pci *v, struct vm *vm, struct notify *notify,
		     const char *disk, unsigned int queues)
{
	static const struct pci_id id = {
		.vendor = VENDOR_VIRTIO,
		.device = DEVICE_MODERN + VIRTIO_ID_BLOCK,
		.subsystem = DEVICE_MODERN + VIRTIO_ID_BLOCK,
		.class = CLASS_STORAGE,
		.revision = 1, /* no legacy interface */
	};

	v->vm = vm;
	v->notify = notify;
	blk_open(&v->blk, vm, &v->intx, &v->msix, notify, disk, queues);

	pci_add(SLOT, &v->pci, &id);
	v->pci.written = config_written;
	v->pci.dev = v;
	/* We are the firmware, too: place the BAR.  The guest may move it. */
	pci_put32(v->pci.config, PCI_BASE_ADDRESS_0, PCI_WINDOW);
	pci_put32(v->pci.writable, PCI_BASE_ADDRESS_0, ~(BAR_SIZE - 1));
	v->bar = (struct bus_region) {
		.base = PCI_WINDOW,
		.len = BAR_SIZE,
		.read = bar_read,
		.write = bar_write,
		.dev = v,
	};
	add_virtio_cap(v, VIRTIO_PCI_CAP_COMMON_CFG, PAGE_COMMON,
		       sizeof(struct virtio_pci_common_cfg));
	add_virtio_cap(v, VIRTIO_PCI_CAP_NOTIFY_CFG, PAGE_NOTIFY,
		       MAX_QUEUES * 4);
	add_virtio_cap(v, VIRTIO_PCI_CAP_ISR_CFG, PAGE_ISR, 1);
	add_virtio_cap(v, VIRTIO_PCI_CAP_DEVICE_CFG, PAGE_DEVICE,
		       sizeof(struct virtio_blk_config));
	msix_init(&v->msix, notify, &v->pci, queues + 1, 0,
		  PAGE_AT(PAGE_MSIX_TABLE), PAGE_AT(PAGE_MSIX_PBA));
	intx_init(&v->intx, notify, &v->pci);
	virtio_reset(v);
	blk_start_io(&v->blk);
}

void virtio_pci_stop(struct virtio_pci *v)
{
	virtio_reset(v);
	blk_stop_io(&v->blk);
	msix_close(&v->msix);
	intx_close(&v->intx);
}
