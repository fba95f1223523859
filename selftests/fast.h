/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fast MMIO: where the processor tells the address of a faulting access and no more,
 * KVM looks for somebody who needs no more, on KVM_FAST_MMIO_BUS.  Its tracepoint
 * kvm_fast_mmio tells of each access taken there; from outside nothing else does.
 */
#ifndef SELFTESTS_FAST_H
#define SELFTESTS_FAST_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

#define NO_FAST_MMIO "KVM has no fast MMIO on this processor (make check-vmx)"

/*
 * Does KVM look on that bus at all?  It always does with Intel's EPT, so there a missing
 * event is a failure; with AMD's nested paging only from 7.2 on, and if the processor
 * tells the length of the instruction.  There KVM's own doorbell shows it, where kvmfd
 * has no part in anything.
 */
bool has_fast_mmio(void);

/*
 * KVM learns that a page has no memory from the first access to it, of which it sees
 * all.  Here one goes to the page, at a place with no doorbell.
 */
void make_known(struct guest *guest, uint64_t addr);

/* An fd that counts what of this thread's guests is taken there; with 0 at any address. */
int count_fast(uint64_t addr);
/* Since this was asked last. */
uint64_t counted(int fd);

#endif /* SELFTESTS_FAST_H */
