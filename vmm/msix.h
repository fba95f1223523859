/* SPDX-License-Identifier: GPL-2.0 */
/* MSI-X: a device's table of interrupts. */
#ifndef MSIX_H
#define MSIX_H

#include "notify.h"
#include "pci.h"

#define MSIX_MAX_VECTORS 9 /* MAX_QUEUES and one for the configuration */

/**
 * struct msix_vector - an entry of the table
 * @addr: and
 * @data: the message
 * @masked: the vector control's mask bit
 * @call: delivers it
 */
struct msix_vector {
	uint64_t addr;
	uint32_t data;
	bool masked;
	struct call call;
};

/**
 * struct msix - a device's MSI-X
 * @notify: delivers the calls
 * @pci: the device
 * @cap: offset of the capability
 * @count: number of vectors
 * @lock: held while a call is masked, unmasked or raised, so that kvmfd's
 *	counters, read before a mask, miss nothing
 * @vectors: the table
 */
struct msix {
	struct notify *notify;
	struct pci_dev *pci;
	unsigned int cap;
	unsigned int count;
	pthread_mutex_t lock;
	struct msix_vector vectors[MSIX_MAX_VECTORS];
};

/**
 * msix_init() - append the capability
 * @m: the MSI-X, all 0
 * @notify: delivers the calls
 * @pci: the device
 * @count: number of vectors
 * @bar: which BAR has the table and the pending bits
 * @table: and
 * @pba: their offsets in it
 */
void msix_init(struct msix *m, struct notify *notify, struct pci_dev *pci,
	       unsigned int count, unsigned int bar, uint32_t table,
	       uint32_t pba);

/** msix_enabled() - does the driver use it? */
bool msix_enabled(const struct msix *m);

/** msix_update() - the capability's control register may have changed */
void msix_update(struct msix *m);

/** msix_close() - mask all vectors, so that their counters are final */
void msix_close(struct msix *m);

void msix_raise(struct msix *m, unsigned int vector);

uint64_t msix_read_table(struct msix *m, uint64_t off, unsigned int len);
void msix_write_table(struct msix *m, uint64_t off, unsigned int len,
		      uint64_t val);
uint64_t msix_read_pba(struct msix *m, uint64_t off);

#endif /* MSIX_H */
