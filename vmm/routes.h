/* SPDX-License-Identifier: GPL-2.0 */
/* KVM's routing table: which pin, or which message, an interrupt's number stands for. */
#ifndef ROUTES_H
#define ROUTES_H

#include "vmm.h"

#define FIRST_MSI_GSI IOAPIC_PINS /* below: the PICs and the I/O APIC */

/**
 * struct routes - the table
 * @vm: the machine
 * @lock: of @table
 * @table: as we have set it: the PICs' and the I/O APIC's entries as KVM begins with
 *	them, then one MSI for each call, and, now and then, one that nobody uses
 * @used: entries without that last one
 * @changer: see routes_start_changing()
 * @changing: it runs
 * @changes: what it has done
 */
struct routes {
	struct vm *vm;
	pthread_mutex_t lock;
	struct kvm_irq_routing *table;
	unsigned int used;
	pthread_t changer;
	bool changing;
	uint64_t changes;
};

/* What fails here after routes_open() ends the machine. */
void routes_open(struct routes *r, struct vm *vm, unsigned int calls);
void routes_set_message(struct routes *r, uint32_t gsi, uint64_t addr, uint32_t data);

/**
 * routes_start_changing() - set the table anew, again and again, until the machine ends
 * @r: the table
 *
 * Nothing that the guest uses is changed.
 */
void routes_start_changing(struct routes *r);

/** routes_stop_changing() - after vm_stop(), whether it has been started or not */
void routes_stop_changing(struct routes *r);

#endif /* ROUTES_H */
