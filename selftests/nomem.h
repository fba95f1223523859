/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that are made while memory is short: what each needs, and what has to be true
 * afterwards.
 */
#ifndef SELFTESTS_NOMEM_H
#define SELFTESTS_NOMEM_H

#include "client.h"
#include "level.h"
#include "peer.h"

/* Where a guest's writes ring: doorbells that stay, and KVM's own. */
#define STAYS       GUEST_MMIO_BASE
#define STAYS_DATA  (GUEST_MMIO_BASE + 0x100)
#define NATIVE_ADDR (GUEST_MMIO_BASE + 0xc000)
#define NR_NATIVE   50
/* Those that calls are about. */
#define CALL_ADDR   (GUEST_MMIO_BASE + 0x8000)
#define CALL_PORT   0x5600
/* From there to one that takes any length. */
#define WILDCARD    0x40

/* Interrupts: by MSI, of an irqfd that stays, of KVM's own, of the call's. */
#define STAYS_GSI  24
#define NATIVE_GSI 25
#define CALL_GSI   26
/* And by pins, all with the vector of the call's: PIN is level-triggered. */
#define EDGE_PIN   (PIN + 1)

#define STAYS_VECTOR  GUEST_VECTOR
#define NATIVE_VECTOR (GUEST_VECTOR + 1)
#define CALL_VECTOR   (GUEST_VECTOR + 2)

/* Fields of a change. */
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define RESAMPLE  KVM_IRQFD_FLAG_RESAMPLE

#define DOORBELL(where, bytes, bits) \
	.kind = KVMFD_ENTRY_IOEVENTFD, .addr = (where), .len = (bytes), .flags = (bits)
#define VALUE(value, which) .data = (value), .mask = (which)
#define IRQFD(interrupt, bits) \
	.kind = KVMFD_ENTRY_IRQFD, .gsi = (interrupt), .flags = (bits)

/* A VM with kvmfd's entries and KVM's own, and what else a call may be about. */
struct nomem {
	struct guest guest;
	int fd;
	int kick;
	int call;
	struct source source;
	int native_kick;
	int native_call;

	/* New for each call: an eventfd, a resamplefd, a /dev/kvmfd, and another VM. */
	int efd;
	int resamplefd;
	int any;
	int vm;
	unsigned int vms;
	/* Another process, which can have that VM. */
	struct peer owner;
	struct kvmfd_change change;
	/* Whose latency the call is about. */
	uint64_t irqfd;
	/* KVM's buses that were lost: MMIO, fast MMIO. */
	unsigned int lost[2];
};

struct failing_call {
	void (*prepare)(struct nomem *s);
	/* errno */
	int (*make)(struct nomem *s);
	/* What is not as it should be after make() has said @err, or NULL. */
	const char *(*wrong)(struct nomem *s, int err);
	/* With the call's eventfds. */
	struct kvmfd_change change;
	/* So many of its allocations make it fail, at least.  0: none may. */
	int least;
};

/* What came of the failures so far. */
struct tally {
	bool came;
	int sites;
	int no_memory;
	int no_copy;
};

struct outcome {
	/* What is not as it should be, or NULL. */
	const char *wrong;
	/* Which failure was the last; of the best pass, the tally. */
	int n;
	struct tally tally;
	/* As in struct nomem. */
	unsigned int lost[2];
	/* Of all calls so far. */
	long all_sites;
};

/* Each of the call's allocations and copies fails alone; or all allocations do at once. */
const struct outcome *fail_in_turn(const struct failing_call *call);
const struct outcome *fail_all_at_once(const struct failing_call *call);
/* The process that makes the calls gives up what it has.  Returns who uses the module. */
int caller_clean_up(void);

/* What is only the ground for a call; @what is for the message. */
void must(int err, const char *what);
void nomem_setup(struct nomem *s);
void nomem_teardown(struct nomem *s);
/* All as it was after the set-up, but what KVM has lost. */
void nomem_reset(struct nomem *s);
/* Of those who have no part in the call: what does not work any more, or NULL. */
const char *others_wrong(struct nomem *s);

/* The other VM gets a doorbell and an irqfd, both with the call's eventfd. */
void assign_both(struct nomem *s);

/* prepare() */
void prepare_change(struct nomem *s);
void prepare_vm(struct nomem *s);
void prepare_foreign_vm(struct nomem *s);
void prepare_attached(struct nomem *s);
void prepare_attached_foreign(struct nomem *s);
void prepare_native(struct nomem *s);
void prepare_measure(struct nomem *s);

/* make() */
int make_open(struct nomem *s);
int make_attach(struct nomem *s);
int make_attach_foreign(struct nomem *s);
int make_find(struct nomem *s);
int make_find_foreign(struct nomem *s);
int make_info(struct nomem *s);
int make_list(struct nomem *s);
int make_measure(struct nomem *s);
int make_fdinfo(struct nomem *s);
int make_change(struct nomem *s);
int unmake_change(struct nomem *s);
int make_by_batch(struct nomem *s);
int unmake_by_batch(struct nomem *s);
int make_as_supervisor(struct nomem *s);
int make_many(struct nomem *s);
int make_evict(struct nomem *s);
int make_signal(struct nomem *s);
int make_close_attachment(struct nomem *s);
int make_close_eventfd(struct nomem *s);
int make_close_vm(struct nomem *s);
int make_native_deassign(struct nomem *s);

/* wrong() */
const char *wrong_if_attached(struct nomem *s, int err);
const char *wrong_if_measured(struct nomem *s, int err);
const char *wrong_if_changed(struct nomem *s, int err);
const char *wrong_unless_changed(struct nomem *s, int err);
const char *wrong_many(struct nomem *s, int err);
const char *wrong_evicted(struct nomem *s, int err);
const char *wrong_signal(struct nomem *s, int err);
const char *wrong_closed_attachment(struct nomem *s, int err);
const char *wrong_closed_eventfd(struct nomem *s, int err);
const char *wrong_closed_vm(struct nomem *s, int err);
const char *wrong_native(struct nomem *s, int err);

#endif /* SELFTESTS_NOMEM_H */
