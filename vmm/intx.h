/* SPDX-License-Identifier: GPL-2.0 */
/* INTx: a device's level-triggered interrupt, for drivers that do not use MSI-X. */
#ifndef INTX_H
#define INTX_H

#include "notify.h"
#include "pci.h"

/**
 * struct intx - a device's INTA#
 * @notify: delivers the call
 * @pci: the device
 * @lock: of what follows, shared with the I/O thread; also held while the call is
 *	masked, unmasked or raised, as msix.lock is
 * @in_use: MSI-X is not enabled
 * @wanted: the device wants the interrupt; its ISR status tells the driver
 * @call: delivers it
 * @raised: how often the call has been raised
 * @resamples: how often the guest has acknowledged the interrupt
 */
struct intx {
	struct notify *notify;
	struct pci_dev *pci;
	pthread_mutex_t lock;
	bool in_use;
	bool wanted;
	struct call call;
	uint64_t raised;
	uint64_t resamples;
};

/** intx_init() - give a device, with an intx all 0, its interrupt pin */
void intx_init(struct intx *x, struct notify *notify, struct pci_dev *pci);

/** intx_update() - MSI-X or the PCI command register may have changed */
void intx_update(struct intx *x, bool msix_enabled);

/** intx_close() - mask the call, so that its counters are final */
void intx_close(struct intx *x);

/** intx_raise() - the device wants the interrupt; false: the driver uses MSI-X */
bool intx_raise(struct intx *x);

/** intx_resample() - the call's resample_fd is readable: does the device still want it? */
void intx_resample(struct intx *x);

/** intx_read_isr() - the ISR status; the device does not want the interrupt any more */
uint8_t intx_read_isr(struct intx *x);

#endif /* INTX_H */
