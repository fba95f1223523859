/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The benchmark: KVM and kvmfd measured in turn, on VMs of the same shape.
 *
 * In mode icount it runs where the clock counts instructions, so what it finds is the
 * length of paths.  That is no latency: caches, contention and the price of a VM exit do
 * not show.  The ratio of two figures is what they are good for.  Mode wall, see wall.c,
 * has a clock that goes on by itself, and two CPUs.
 *
 * A case is a line of the table in main.c and a function, which is called in each
 * round for each n and backend.  It measures, proves that it measured what it
 * says, and leaves the backend as it found it.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "guest.h"

/* How many eventfds there are, and the largest n that KVM is measured with. */
#define MAX_N 8000

#define RING_VCPUS 2

/* Where a vCPU writes to when it has done what it was told.  Nobody lives there. */
#define DONE_PORT 0x3f0

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum doorbell_form {
	PIO_WILDCARD,
	PIO_DATAMATCH,
	PIO_ANY_LENGTH,
	MMIO_WILDCARD,
	MMIO_DATAMATCH,
	MMIO_ANY_LENGTH,
};

struct backend {
	const char *name;
	struct guest guest;
	int fd;                             /* for both ioctls; -1: nobody serves them */
	struct kvm_vcpu *vcpus[RING_VCPUS]; /* in mode wall */
	bool is_kvmfd;
	bool is_filtered; /* its callers are under the filter of `kvmfd run` */
};

struct bench_case {
	const char *name;
	void (*run)(void);
	unsigned int n[5];       /* ends with a 0 */
	enum doorbell_form form; /* of doorbells */
	bool once;               /* in the last round only: it takes long, and is exact */
	bool batch;              /* kvmfd makes all changes in one call */
	bool first;              /* the same, in the first call of an attachment */
	void (*call)(void);      /* a system call: kvmfd has no part in it */
	unsigned int vcpus;      /* in mode wall: that write meanwhile, or wait */
	bool halted;             /* they do */
};

/* What is being measured; without a case, nothing is. */
extern struct current {
	const struct bench_case *c;
	struct backend *backend;
	unsigned int n;
	bool unrecorded; /* it is done only that it has been */
} current;

/* main.c */
extern int eventfds[MAX_N];
/* Stops with a line that says what was being measured, unless all is well. */
void require(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* MAX_N, to make a batch in.  Not part of the program, all of which the guests have. */
extern struct kvmfd_change *changes;
/* Are kvmfd's changes to be made in a batch? */
bool in_a_batch(void);
/* The case that is the same for KVM, which has no batch, and has its figures; or @c. */
const struct bench_case *single_of(const struct bench_case *c, unsigned int n);

/* An attachment with nothing in it. */
void backend_renew(struct backend *b);

/*
 * If the backend is kvmfd: it has @n entries, which counted so much, and has
 * deferred no call.
 */
void require_counted(unsigned int n, uint64_t hits, uint64_t calls);

/* clock.c */
struct stretch {
	double caller; /* instructions of the calling thread */
	double others; /* instructions of all other threads */
	double us;     /* from begin to end, with what was waited for */
};

void clock_init(void);
/* For what does not wait; the end returns the instructions since the begin. */
double clock_begin(void);
double clock_end(double begin);
/* For what may wait, and have others work for it. */
void stretch_begin(struct stretch *s);
void stretch_end(struct stretch *s);

/* memory.c */
struct memory {
	double kernel; /* bytes, but for those of per-CPU counters */
	double percpu;
};

struct memory memory_now(void);

/* hold.c */
struct hold {
	uint64_t mutex;
};

/* Between them, the longest time in us that the VM's slots_lock was held. */
void hold_begin(struct hold *h);
double hold_end(struct hold *h);

/* results.c */
/* A sample of the figure whose case is called "WHAT-NAME". */
void record(const char *what, const char *unit, double value);
/* All of a stretch, for one of @current.n calls in it. */
void record_stretch(const char *what, const struct stretch *s);
/* Tells so; the samples of the first, which is to warm up, are forgotten then. */
void results_begin_round(int round, int rounds);
void sort_values(double *values, unsigned int n);
/* The figures, and how far the samples of each lie apart. */
void results_write(const char *mode, const char *csv, const char *spread);

/* burst.c: a guest that writes many times without a word to its host */
struct burst {
	enum space space; /* MMIO writes are of 4 bytes, PIO writes of 2 */
	uint64_t addr;
	uint64_t addr_step;
	uint64_t value;
	uint64_t value_step;
	uint64_t count;
};

void burst_create(struct guest *guest);
void burst_order(struct guest *guest, const struct burst *burst);
/*
 * The guest carries the order out, once more if it has before, and then takes
 * what interrupts are pending.  Returns the writes that went to user space.
 */
unsigned int burst_run(struct guest *guest);

/* ring.c: a guest of two vCPUs, each in a thread, that go on until they are stopped */
enum ring_what {
	RING_NOTHING,
	RING_WRITE,
	RING_SPIN, /* with interrupts on */
	RING_HALT,
};

struct ring_job {
	enum ring_what what;
	enum space space; /* MMIO writes are of 4 bytes, PIO writes of 2 */
	uint64_t addr;
	uint64_t value;
	volatile bool stop;
	uint64_t done;    /* writes, or interrupts */
	uint64_t longest; /* ticks from one write to the next */
	uint64_t heard;   /* the clock at the last interrupt */
};

void ring_create(struct backend *b);
/* The current backend's vCPU @nr does @job, on the CPU of that number. */
void ring_begin(unsigned int nr, const struct ring_job *job);
void ring_end(unsigned int nr);
/* Where it is done. */
struct ring_job *ring_job(unsigned int nr);

/* doorbells.c */
/* All of @current.n, or those from @first on; returns the errno. */
int change_doorbells(uint32_t flags);
int change_doorbells_from(unsigned int first, uint32_t flags);
/* What rings the @i-th. */
void doorbell_target(unsigned int i, enum space *space, uint64_t *addr, uint64_t *value);
void bench_write(void);
void bench_write_among(void);
void bench_doorbells(void);
void bench_hold(void);
void bench_memory(void);

/* irqfds.c */
/* Of an MSI, to the guest's first vCPU. */
#define IRQFD_GSI 5

void irqfds_setup(struct guest *guest);
void bench_msi(void);
void bench_resample(void);
void bench_irqfds(void);
void bench_routes(void);
void bench_irqfd_memory(void);

/* wall.c */
void wall_write(void);
void wall_change(void);
void wall_msi(void);
void wall_run(bool quick);

/* teardown.c */
void bench_teardown(void);

/* calls.c */
void bench_call(void);
void call_ioctl(void);
void call_getppid(void);

#endif /* BENCH_H */
