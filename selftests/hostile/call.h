/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a hostile caller may do, and what he does next.
 *
 * A gene is a small number from which all of one call follows, so that calls can be
 * kept, changed, told and made again.
 */
#ifndef SELFTESTS_HOSTILE_CALL_H
#define SELFTESTS_HOSTILE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvmfd.h>

/**
 * struct gene - a call, before it is one
 * @seed: all of a call that makes sense
 * @twist: how it then is changed so that it makes less sense; 0: not at all
 * @fail: the n-th allocation or copy of the call that fails; 0: none
 * @turn: an assign becomes a deassign, and the other way round
 */
struct gene {
	uint32_t seed;
	uint16_t twist;
	uint8_t fail;
	bool turn;
};

enum act {
	ACT_REQUEST, /* of kvmfd's, on any fd */
	ACT_SIGNAL,  /* write or read, on any fd */
	ACT_CLOSE,
	ACT_REOPEN,
	ACT_DUP,
	ACT_PASS, /* to itself, through a socket */
	ACT_MMAP,
	ACT_WAIT, /* poll and epoll, which do not wait */
	ACT_FDINFO,
	ACT_CONTROL, /* what other requests there are */
	ACT_RUN,     /* the vCPU, for some exits */
	ACT_ROUTES,
	ACT_LINE, /* KVM_IRQ_LINE */
	ACT_FORK, /* the next calls also in another process */
};

/* Where the argument is. */
enum place {
	PLACE_GOOD,
	PLACE_CUT, /* its end cannot be read */
	PLACE_READ_ONLY,
	PLACE_FORBIDDEN,
	PLACE_NULL,
	PLACE_KERNEL,
};

#define ARG_MAX     320
#define CHANGES_MAX 40

/**
 * struct request - what the ABI says of one of kvmfd's requests
 * @number: of the ioctl
 * @name: for who reads it
 * @size: of its struct
 * @first: the struct's size in the first version that had it; 0: KVM's struct, which
 *	does not tell its size
 * @reserved: offset of a field that has to be 0, or 0
 * @flags: those that there are
 * @answer: bytes from the beginning of the struct that the module may write
 * @errors: those that it may answer with, behind the ones that each may
 */
struct request {
	unsigned long number;
	const char *name;
	uint16_t size;
	uint16_t first;
	uint8_t reserved;
	uint32_t flags;
	uint16_t answer;
	int errors[12];
};

#define REQUESTS 10
extern const struct request requests[REQUESTS];

/**
 * struct call - one call
 * @act: what kind
 * @slot: the fd that it is made on
 * @other: another fd
 * @choice: what is left to choose
 * @request: with ACT_REQUEST: which, whatever @number has become
 * @number: the ioctl's
 * @arg: the struct
 * @size: its first field, if it is one of ours
 * @flags: the second
 * @list: of KVMFD_LIST
 * @batch: of KVMFD_BATCH
 * @latency: of KVMFD_LATENCY
 * @changes: of a batch
 * @tail: behind the struct there is something other than 0
 * @place: where the struct is
 * @fail: as in &struct gene
 */
struct call {
	enum act act;
	unsigned int slot;
	unsigned int other;
	uint64_t choice;
	const struct request *request;
	unsigned long number;
	union {
		unsigned char arg[ARG_MAX];
		struct {
			uint32_t size;
			uint32_t flags;
		};
		struct kvmfd_list list;
		struct kvmfd_batch batch;
		struct kvmfd_latency latency;
	};
	struct kvmfd_change changes[CHANGES_MAX];
	bool tail;
	enum place place;
	unsigned int fail;
};

struct gene any_gene(void);
/* Another one, not far from it. */
void gene_mutate(struct gene *gene);
void call_of_gene(const struct gene *gene, struct call *call);

#endif /* SELFTESTS_HOSTILE_CALL_H */
