// SPDX-License-Identifier: GPL-2.0
/* MSI-X: a device's table of interrupts. */
#include "msix.h"

bool msix_enabled(const struct msix *m)
{
	return pci_get16(m->pci, m->cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE;
}

/* Is a message of this vector to be sent now? */
static bool vector_on(const struct msix *m, const struct msix_vector *v)
{
	uint16_t control = pci_get16(m->pci, m->cap + PCI_MSIX_FLAGS);

	return msix_enabled(m) && !(control & PCI_MSIX_FLAGS_MASKALL) && !v->masked;
}

static void vector_update(struct msix *m, struct msix_vector *v)
{
	bool on = vector_on(m, v);

	/* A message changed without a mask: KVM's route has to follow. */
	if (v->call.unmasked &&
	    (!on || v->addr != v->call.addr || v->data != v->call.data))
		call_mask(m->notify, &v->call);
	if (on && !v->call.unmasked) {
		call_set_message(m->notify, &v->call, v->addr, v->data);
		call_unmask(m->notify, &v->call);
	}
}

void msix_update(struct msix *m)
{
	unsigned int i;

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < m->count; i++)
		vector_update(m, &m->vectors[i]);
	pthread_mutex_unlock(&m->lock);
}

void msix_close(struct msix *m)
{
	unsigned int i;

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < m->count; i++)
		if (m->vectors[i].call.unmasked)
			call_mask(m->notify, &m->vectors[i].call);
	pthread_mutex_unlock(&m->lock);
}

void msix_raise(struct msix *m, unsigned int vector)
{
	pthread_mutex_lock(&m->lock);
	call_raise(m->notify, &m->vectors[vector].call);
	pthread_mutex_unlock(&m->lock);
}

static uint32_t vector_read(const struct msix_vector *v, unsigned int reg)
{
	switch (reg) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return v->addr;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return v->addr >> 32;
	case PCI_MSIX_ENTRY_DATA:
		return v->data;
	default:
		return v->masked;
	}
}

static void vector_write(struct msix_vector *v, unsigned int reg, uint32_t val)
{
	switch (reg) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		v->addr = (v->addr & ~0xffffffffULL) | val;
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		v->addr = (uint32_t)v->addr | (uint64_t)val << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		v->data = val;
		break;
	default:
		v->masked = val & PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

/* The table may be accessed by aligned 4 or 8 bytes, nothing else. */
static struct msix_vector *vector_at(struct msix *m, uint64_t off,
				     unsigned int len)
{
	if ((len != 4 && len != 8) || off % len ||
	    off / PCI_MSIX_ENTRY_SIZE >= m->count)
		return NULL;
	return &m->vectors[off / PCI_MSIX_ENTRY_SIZE];
}

uint64_t msix_read_table(struct msix *m, uint64_t off, unsigned int len)
{
	struct msix_vector *v = vector_at(m, off, len);
	unsigned int reg = off % PCI_MSIX_ENTRY_SIZE;
	uint64_t val;

	if (!v)
		return 0;
	val = vector_read(v, reg);
	if (len == 8)
		val |= (uint64_t)vector_read(v, reg + 4) << 32;
	return val;
}

void msix_write_table(struct msix *m, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct msix_vector *v = vector_at(m, off, len);
	unsigned int reg = off % PCI_MSIX_ENTRY_SIZE;

	if (!v)
		return;
	vector_write(v, reg, val);
	if (len == 8)
		vector_write(v, reg + 4, val >> 32);
	pthread_mutex_lock(&m->lock);
	vector_update(m, v);
	pthread_mutex_unlock(&m->lock);
}

uint64_t msix_read_pba(struct msix *m, uint64_t off)
{
	uint64_t bits = 0;
	unsigned int i;

	/* At most 9 vectors: all bits are in the first quadword. */
	if (off >= 8)
		return 0;
	for (i = 0; i < m->count; i++)
		if (call_pending(&m->vectors[i].call))
			bits |= 1ULL << i;
	return bits >> off * 8;
}

void msix_init(struct msix *m, struct notify *notify, struct pci_dev *pci,
	       unsigned int count, unsigned int bar, uint32_t table,
	       uint32_t pba)
{
	uint8_t cap[PCI_CAP_MSIX_SIZEOF] = { 0 };
	unsigned int i;

	m->notify = notify;
	m->pci = pci;
	m->count = count;
	pthread_mutex_init(&m->lock, NULL);

	pci_put16(cap, PCI_MSIX_FLAGS, count - 1);
	pci_put32(cap, PCI_MSIX_TABLE, table | bar);
	pci_put32(cap, PCI_MSIX_PBA, pba | bar);
	m->cap = pci_add_cap(pci, PCI_CAP_ID_MSIX, cap, sizeof(cap));
	pci_put16(pci->writable, m->cap + PCI_MSIX_FLAGS,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < count; i++) {
		m->vectors[i].masked = true;
		call_open(&m->vectors[i].call, i);
	}
}
