/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Eventfds in pairs, for KVM's doorbells and for kvmfd's, and the slots that they
 * come and go in.  A slot keeps its two fd numbers; eventfds are counted, from 0.
 */
#ifndef SELFTESTS_FUZZ_SLOTS_H
#define SELFTESTS_FUZZ_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

enum side {
	KVM,
	KVMFD,
	SIDES,
};

#define SLOTS 8

/* What calls can name instead. */
#define SLOT_NO_FD      -1
#define SLOT_NO_EVENTFD -2

/* They are bits of a set, with one to spare. */
#define EVENTFDS_MAX 63

/* An eventfd in each slot; then no eventfds at all. */
void slots_fill(void);
void slots_clear(void);

void slots_close(unsigned int slot);
void slots_open(unsigned int slot);

int slots_fd(enum side side, int slot);
/* Which eventfd that is; -EBADF or -EINVAL if it is none. */
int slots_eventfd(int slot);

unsigned int nr_eventfds(void);
/*
 * An fd of an eventfd, other than its slot's.  When that is closed KVM's stays, or
 * its doorbells could not be taken away; kvmfd's becomes -1, and is really closed.
 */
int eventfd_fd(enum side side, unsigned int eventfd);

#endif /* SELFTESTS_FUZZ_SLOTS_H */
