/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of ioeventfd, in so many words: a list of doorbells, and what each
 * call and each write makes of it.  KVM's own form is one of two masks: all bits
 * of the value count, or none.
 */
#ifndef SELFTESTS_FUZZ_MODEL_H
#define SELFTESTS_FUZZ_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

#define MODEL_MAX 256

enum model_bus {
	MODEL_MMIO,
	MODEL_PIO,
	MODEL_CCW,
	MODEL_BUSES,
};

/* KVM_IOEVENTFD, or KVMFD_IOEVENTFD if @masked; @slot stands for the eventfd's fd. */
struct call {
	int slot;
	uint64_t addr;
	uint32_t len;
	uint32_t flags;
	uint64_t data;
	uint64_t mask;
	bool masked;
};

struct doorbell {
	enum model_bus bus;
	uint64_t addr;
	uint32_t len;
	/* Of the value, the bits that count, and what they must be. */
	uint64_t mask;
	uint64_t data;
	uint32_t flags;
	/* The caller's number for it: which eventfd, not which fd. */
	int eventfd;
	/* The caller's to count. */
	uint64_t hits;
};

struct model {
	struct doorbell *bells[MODEL_MAX];
	unsigned int n;
	/* Different ones at an address and length. */
	unsigned int max_masks;
};

/*
 * 0 or a negative errno.  @eventfd is what is in the call's slot: an eventfd's
 * number, or -EBADF or -EINVAL if it is no fd or not an eventfd's.  @bell becomes
 * the doorbell that has come, and which is the model's, or that has gone, and
 * which the caller has to free.
 */
int model_assign(struct model *m, const struct call *call, int eventfd,
		 struct doorbell **bell);
int model_deassign(struct model *m, const struct call *call, int eventfd,
		   struct doorbell **bell);

/* @value has no bits beyond @len. */
bool doorbell_rings(const struct doorbell *bell, uint64_t addr, unsigned int len,
		    uint64_t value);

/* The doorbell that a write rings; NULL if it is nobody's. */
struct doorbell *model_hit(const struct model *m, enum model_bus bus, uint64_t addr,
			   unsigned int len, uint64_t value);

#endif /* SELFTESTS_FUZZ_MODEL_H */
