/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests that write in bursts: many writes in one go, by one or by two vCPUs, each
 * with a thread of its own, and each exit to user space put down to its write.
 */
#ifndef SELFTESTS_FUZZ_BURST_H
#define SELFTESTS_FUZZ_BURST_H

#include <pthread.h>
#include <semaphore.h>

#include "guest.h"

#define BURST_VCPUS 2
#define BURST_MAX   64

struct burst_write {
	uint64_t addr;
	uint64_t value;
	enum space space;
	uint32_t len;
};

/* What each vCPU writes, the first n[cpu] of it. */
struct bursts {
	unsigned int n[BURST_VCPUS];
	struct burst_write writes[BURST_VCPUS][BURST_MAX];
};

/* A piece of a write that nothing in the kernel took. */
struct burst_exit {
	unsigned int write;
	enum space space;
	uint64_t addr;
	uint64_t value;
	unsigned int len;
};

struct burst_vcpu {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	sem_t go, done;
	struct burst *shared;
	struct burst_exit exits[2 * BURST_MAX];
	unsigned int nr_exits;
};

/* Without an interrupt controller, whose devices would be on the buses as well. */
struct burst_vm {
	struct kvm_vm *vm;
	struct burst_vcpu vcpus[BURST_VCPUS];
};

/* Lives until the program ends, and so do its threads: all vCPUs run on the first CPU. */
void burst_create(struct burst_vm *vm);

/* Has a vCPU write, up to BURST_MAX times; it has when burst_wait() returns. */
void burst_start(struct burst_vcpu *vcpu, const struct burst_write *writes, unsigned int n);
void burst_wait(struct burst_vcpu *vcpu);

#endif /* SELFTESTS_FUZZ_BURST_H */
