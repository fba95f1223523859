// SPDX-License-Identifier: GPL-2.0
/* virtio 1's common configuration: features, status and the queues' set-up. */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "virtio_pci.h"

#define FEATURES (1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_BLK_F_MQ |      \
		  1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_SEG_MAX | \
		  1ULL << VIRTIO_BLK_F_BLK_SIZE |                             \
		  1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* A register is written with its own width, or it is not written. */
#define REG(off, len) ((off) << 4 | (len))
#define REG8(name)    REG(VIRTIO_PCI_COMMON_##name, 1)
#define REG16(name)   REG(VIRTIO_PCI_COMMON_##name, 2)
#define REG32(name)   REG(VIRTIO_PCI_COMMON_##name, 4)

/* The selected queue, NULL if there is no such queue */
static struct virtq *selected(struct virtio_pci *v)
{
	if (v->queue_select >= v->blk.count)
		return NULL;
	return &v->blk.queues[v->queue_select].virtq;
}

/* The areas' addresses are three pairs of registers, 8 bytes each. */
static uint64_t *area_register(struct virtq *q, uint64_t off, unsigned int len)
{
	if (len != 4 || off % 4 || off < VIRTIO_PCI_COMMON_Q_DESCLO ||
	    off > VIRTIO_PCI_COMMON_Q_USEDHI)
		return NULL;
	return &q->area[(off - VIRTIO_PCI_COMMON_Q_DESCLO) / 8];
}

static uint64_t queue_read(struct virtio_pci *v, uint64_t off, unsigned int len)
{
	struct virtq *q = selected(v);
	uint64_t *area;

	if (!q)
		return 0;
	switch (REG(off, len)) {
	case REG16(Q_SIZE):
		return q->size;
	case REG16(Q_MSIX):
		return q->vector;
	case REG16(Q_ENABLE):
		return q->enabled;
	case REG16(Q_NOFF):
		return v->queue_select;
	}
	area = area_register(q, off, len);
	return area ? *area >> off % 8 * 8 : 0;
}

uint64_t virtio_common_read(struct virtio_pci *v, uint64_t off,
			    unsigned int len)
{
	switch (REG(off, len)) {
	case REG32(DFSELECT):
		return v->device_select;
	case REG32(DF):
		return v->device_select < 2 ? FEATURES >> 32 * v->device_select : 0;
	case REG32(GFSELECT):
		return v->driver_select;
	case REG32(GF):
		return v->driver_select < 2 ? v->features >> 32 * v->driver_select : 0;
	case REG16(MSIX):
		return v->config_vector;
	case REG16(NUMQ):
		return v->blk.count;
	case REG8(STATUS):
		return v->status |
		       (blk_needs_reset(&v->blk) ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
	case REG16(Q_SELECT):
		return v->queue_select;
	default:
		return queue_read(v, off, len);
	}
}

/* What a driver gets for a vector that does not exist: none. */
static uint16_t valid_vector(const struct virtio_pci *v, uint16_t vector)
{
	return vector < v->msix.count ? vector : VIRTIO_MSI_NO_VECTOR;
}

static void queue_write(struct virtio_pci *v, uint64_t off, unsigned int len,
			uint32_t val)
{
	struct virtq *q = selected(v);
	unsigned int shift = off % 8 * 8;
	uint64_t *area;

	if (!q)
		return;
	if (REG(off, len) == REG16(Q_MSIX)) {
		blk_set_vector(&v->blk, q, valid_vector(v, val));
		return;
	}
	/* The rest is settled when the queue is enabled, until a reset. */
	if (q->enabled || v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		return;
	switch (REG(off, len)) {
	case REG16(Q_SIZE):
		if (val && val <= QUEUE_SIZE && !(val & (val - 1)))
			q->size = val;
		return;
	case REG16(Q_ENABLE):
		q->enabled = val == 1;
		return;
	}
	area = area_register(q, off, len);
	if (area) {
		*area &= ~(0xffffffffULL << shift);
		*area |= (uint64_t)val << shift;
	}
}

static void write_features(struct virtio_pci *v, uint32_t val)
{
	unsigned int shift = 32 * v->driver_select;

	if (v->driver_select > 1 || v->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	v->features &= ~(0xffffffffULL << shift);
	v->features |= (uint64_t)val << shift;
}

static void write_status(struct virtio_pci *v, uint8_t status)
{
	uint8_t set = status & ~v->status;

	if (!status) {
		virtio_reset(v);
		return;
	}
	/* What the driver has chosen has to be possible, and has to be virtio 1. */
	if (set & VIRTIO_CONFIG_S_FEATURES_OK &&
	    (v->features & ~FEATURES ||
	     !(v->features & 1ULL << VIRTIO_F_VERSION_1)))
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	/* Bits are only ever added. */
	v->status |= status & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	if (set & VIRTIO_CONFIG_S_DRIVER_OK) {
		blk_activate(&v->blk);
		virtio_update_doorbells(v);
	}
}

void virtio_common_write(struct virtio_pci *v, uint64_t off, unsigned int len,
			 uint64_t val)
{
	switch (REG(off, len)) {
	case REG32(DFSELECT):
		v->device_select = val;
		break;
	case REG32(GFSELECT):
		v->driver_select = val;
		break;
	case REG32(GF):
		write_features(v, val);
		break;
	case REG16(MSIX):
		v->config_vector = valid_vector(v, val);
		break;
	case REG8(STATUS):
		write_status(v, val);
		break;
	case REG16(Q_SELECT):
		v->queue_select = val;
		break;
	default:
		queue_write(v, off, len, val);
	}
}

void virtio_reset(struct virtio_pci *v)
{
	struct virtq *q;
	unsigned int i;

	v->status = 0;
	v->device_select = 0;
	v->driver_select = 0;
	v->features = 0;
	v->queue_select = 0;
	v->config_vector = VIRTIO_MSI_NO_VECTOR;
	virtio_update_doorbells(v);
	blk_reset(&v->blk);
	intx_read_isr(&v->intx);
	for (i = 0; i < v->blk.count; i++) {
		q = &v->blk.queues[i].virtq;
		q->enabled = false;
		q->size = QUEUE_SIZE;
		q->area[VIRTQ_DESC] = 0;
		q->area[VIRTQ_AVAIL] = 0;
		q->area[VIRTQ_USED] = 0;
		blk_set_vector(&v->blk, q, VIRTIO_MSI_NO_VECTOR);
	}
}
