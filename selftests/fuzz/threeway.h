/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM, kvmfd and the rules, side by side: each call and each guest write is carried
 * out by all three, and what comes of it is compared.
 *
 * The guest of one VM rings KVM's doorbells, that of another kvmfd's.  What kvmfd
 * does wrong is complained of, and so is what KVM does, but where its search of a
 * bus is known to fail.  The program ends if KVM answers a call other than the
 * model, for then there is nothing left to compare with.
 */
#ifndef SELFTESTS_FUZZ_THREEWAY_H
#define SELFTESTS_FUZZ_THREEWAY_H

#include "burst.h"
#include "model.h"
#include "slots.h"

/* The VMs live until the program ends. */
void threeway_create(void);

/*
 * Detaching takes kvmfd's doorbells away; so the others' go as well.  KVM knows no
 * masks: calls that have some are for kvmfd and the rules alone, without it.
 */
void threeway_attach(bool without_kvm);
void threeway_detach(void);
bool threeway_attached(void);

/* The doorbells that there are. */
const struct model *threeway_model(void);

/*
 * On an attached kvmfd.  Returns whether its answer was right, for if not, it is out
 * of step; @answer is that of the rules.
 */
bool threeway_call(const struct call *call, int *answer);

/* The guests write while @meanwhile is called, which may be NULL. */
void threeway_burst(const struct bursts *bursts, void (*meanwhile)(void));

#endif /* SELFTESTS_FUZZ_THREEWAY_H */
