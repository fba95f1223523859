/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Doorbells ("kick": a guest write signals an eventfd) and calls (an eventfd
 * raises a guest interrupt), served by kvmfd, by KVM or by ourselves.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "routes.h"

/**
 * struct doorbell - a guest write that signals an eventfd
 * @fd: the eventfd
 * @form: how the write is recognised
 * @addr: guest physical address
 * @queue: the value written, where @form looks at it
 * @assigned: it is served
 * @hits: kvmfd's count of signals, up to the last deassign
 */
struct doorbell {
	int fd;
	const struct doorbell_form *form;
	uint64_t addr;
	uint16_t queue;
	bool assigned;
	uint64_t hits;
};

/**
 * struct doorbell_form - what a doorbell looks like
 * @name: to the user
 * @multiplier: distance between two queues' addresses; 0: all share one
 * @len: width of the write in bytes, 0: any
 * @datamatch: the value written must be the queue's number
 */
struct doorbell_form {
	const char *name;
	uint32_t multiplier;
	uint32_t len;
	bool datamatch;
};

/**
 * struct call - an eventfd that raises an interrupt
 * @fd: the eventfd.  While the interrupt is masked nobody reads it: its count
 *	is the pending bit.
 * @resample_fd: of a level-triggered interrupt, else -1: the eventfd that tells of the
 *	guest's acknowledgments, each of which has lowered the line
 * @gsi: KVM's number for the interrupt
 * @addr: and
 * @data: message of an MSI
 * @unmasked: it is delivered
 * @inline_calls: and
 * @deferred_calls: kvmfd's counts, up to the last mask
 */
struct call {
	int fd;
	int resample_fd;
	uint32_t gsi;
	uint64_t addr;
	uint32_t data;
	bool unmasked;
	uint64_t inline_calls;
	uint64_t deferred_calls;
};

struct notify;

/**
 * struct notify_ops - who serves doorbells and calls
 * @name: to the user
 * @counts: it counts hits, inline and deferred calls
 * @open: give the fd that takes KVM_IOEVENTFD and KVM_IRQFD, -1 if there is
 *	none; die on failure
 * @doorbell: assign or deassign
 * @call: unmask or mask; the route is set
 * @raise: raise a call
 * @lower: lower the line of a level-triggered call, NULL if the guest's acknowledgment
 *	does that
 * @write: a doorbell's write has come to us instead of being served, may be NULL
 *
 * @doorbell and @call return 0 or -errno.
 */
struct notify_ops {
	const char *name;
	bool counts;
	int (*open)(struct vm *vm);
	int (*doorbell)(struct notify *n, struct doorbell *d, bool assign);
	int (*call)(struct notify *n, struct call *c, bool unmask);
	void (*raise)(struct notify *n, struct call *c);
	void (*lower)(struct notify *n, struct call *c);
	void (*write)(struct doorbell *d);
};

/**
 * struct notify - the machine's doorbells and calls
 * @vm: the machine
 * @ops: who serves them
 * @form: what the doorbells look like
 * @fd: from @ops->open
 * @routes: where the calls lead
 */
struct notify {
	struct vm *vm;
	const struct notify_ops *ops;
	const struct doorbell_form *form;
	int fd;
	struct routes routes;
};

/* NULL if there is none of that name */
const struct notify_ops *notify_find_ops(const char *name);
const struct doorbell_form *notify_find_form(const char *name);

void notify_open(struct notify *n, struct vm *vm, const struct notify_ops *ops,
		 const struct doorbell_form *form, unsigned int calls);

/*
 * With the lock of the doorbell's or the call's owner held.  What fails here
 * ends the machine.
 */
void doorbell_open(struct notify *n, struct doorbell *d, unsigned int queue);
void doorbell_assign(struct notify *n, struct doorbell *d, uint64_t addr);
void doorbell_deassign(struct notify *n, struct doorbell *d);

/** doorbell_write() - the guest's write came to us: signal @d if it rings it */
void doorbell_write(struct notify *n, struct doorbell *d, uint64_t addr,
		    unsigned int len, uint64_t val);

/** call_open() - the MSI number @index */
void call_open(struct call *c, unsigned int index);

/** call_open_level() - the level-triggered interrupt at a pin */
void call_open_level(struct call *c, uint32_t gsi);

/** call_set_message() - of a masked MSI */
void call_set_message(struct notify *n, struct call *c, uint64_t addr, uint32_t data);
void call_unmask(struct notify *n, struct call *c);
void call_mask(struct notify *n, struct call *c);
void call_raise(struct notify *n, struct call *c);

/** call_lower() - the device does not want its level-triggered interrupt any more */
void call_lower(struct notify *n, struct call *c);

/** call_pending() - has it been raised while it was masked? */
bool call_pending(const struct call *c);

/* backend.c */
extern const struct notify_ops notify_kvmfd, notify_kvm, notify_off;

#endif /* NOTIFY_H */
