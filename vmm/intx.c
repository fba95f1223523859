// SPDX-License-Identifier: GPL-2.0
/* INTx: a device's level-triggered interrupt, for drivers that do not use MSI-X. */
#include <linux/virtio_pci.h>
#include <sys/eventfd.h>

#include "intx.h"

#define PIN_INTA  1
#define ISR_QUEUE 1 /* a queue has been used */

/* While the call is masked, only @wanted remembers. */
static void ring(struct intx *x)
{
	if (!x->wanted || !x->call.unmasked)
		return;
	x->raised++;
	call_raise(x->notify, &x->call);
}

void intx_update(struct intx *x, bool msix_enabled)
{
	bool on = !msix_enabled &&
		  !(pci_get16(x->pci, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);

	pthread_mutex_lock(&x->lock);
	x->in_use = !msix_enabled;
	if (on && !x->call.unmasked) {
		call_unmask(x->notify, &x->call);
		ring(x);
	} else if (!on && x->call.unmasked) {
		call_mask(x->notify, &x->call);
	}
	pthread_mutex_unlock(&x->lock);
}

static void count_resamples(struct intx *x)
{
	eventfd_t count;

	if (!eventfd_read(x->call.resample_fd, &count))
		x->resamples += count;
}

void intx_close(struct intx *x)
{
	pthread_mutex_lock(&x->lock);
	if (x->call.unmasked)
		call_mask(x->notify, &x->call);
	count_resamples(x);
	pthread_mutex_unlock(&x->lock);
}

bool intx_raise(struct intx *x)
{
	bool in_use;

	pthread_mutex_lock(&x->lock);
	in_use = x->in_use;
	/* If it is wanted already, the guest has not been there yet. */
	if (in_use && !x->wanted) {
		x->wanted = true;
		ring(x);
	}
	pthread_mutex_unlock(&x->lock);
	return in_use;
}

/*
 * The acknowledgment has lowered the line.  If the driver has not read the ISR status
 * yet, or requests have been completed since it has, the line has to be up.
 */
void intx_resample(struct intx *x)
{
	pthread_mutex_lock(&x->lock);
	count_resamples(x);
	ring(x);
	pthread_mutex_unlock(&x->lock);
}

uint8_t intx_read_isr(struct intx *x)
{
	bool wanted;

	pthread_mutex_lock(&x->lock);
	wanted = x->wanted;
	x->wanted = false;
	call_lower(x->notify, &x->call);
	pthread_mutex_unlock(&x->lock);
	return wanted ? ISR_QUEUE : 0;
}

void intx_init(struct intx *x, struct notify *notify, struct pci_dev *pci)
{
	x->notify = notify;
	x->pci = pci;
	pthread_mutex_init(&x->lock, NULL);
	pci->config[PCI_INTERRUPT_PIN] = PIN_INTA;
	/* We are the firmware, too: this byte is for the system to remember. */
	pci->config[PCI_INTERRUPT_LINE] = INTX_GSI;
	pci->writable[PCI_INTERRUPT_LINE] = 0xff;
	call_open_level(&x->call, INTX_GSI);
	intx_update(x, false);
}
