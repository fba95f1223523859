/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What there is for calls to be made on: an fd of every kind, each with a number that
 * follows from its slot.
 */
#ifndef SELFTESTS_HOSTILE_WORLD_H
#define SELFTESTS_HOSTILE_WORLD_H

#include <stdbool.h>

enum kind {
	KIND_CLOSED,
	KIND_VM,      /* with an interrupt controller, and a page of memory */
	KIND_BARE_VM, /* without */
	KIND_VCPU,    /* of the VM that was made last */
	KIND_KVM,
	KIND_KVMFD,
	KIND_EVENTFD,
	KIND_PIPE,
	KIND_FILE,
	KIND_DIRECTORY,
	KIND_EPOLL,
	KIND_TIMERFD,
	KIND_SOCKET,
};

#define SLOTS         20
#define FD_BASE       100
#define SLOT_FD(slot) (FD_BASE + (int)(slot))

#define SLOT_VM      0
#define SLOT_VCPU    1
#define SLOT_BARE_VM 2
#define SLOT_KVMFD   3
#define KVMFDS       3
#define SLOT_EVENTFD 6
#define EVENTFDS     4

/* The guest writes to these, in a loop. */
#define WORLD_MMIO 0xd000
#define WORLD_PORT 0xe0

/*
 * Of each kind as many as there are slots for; the first kvmfd is attached.  VMs take the
 * longest to make: those that are still where they were made stay for the next time.
 */
void world_begin(void);
/* In any order, which @order says; all, or all but the VMs. */
void world_end(unsigned long order, bool all);
/* A slot gets what it has in the beginning, but nothing is attached. */
void world_reopen(unsigned int slot);
/* The caller has put something there. */
void world_put(unsigned int slot, enum kind kind);
enum kind world_kind(unsigned int slot);

#endif /* SELFTESTS_HOSTILE_WORLD_H */
