// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells: a guest's write to one, making and unmaking them.
 */
#include <errno.h>
#include <string.h>

#include "bench.h"

/* Done before the timer's next interrupt, see clock.c. */
#define WRITES 64

#define MMIO_ADDR GUEST_MMIO_BASE
#define PIO_ADDR  0x2000

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

/* Several of a form differ in their addresses or, with datamatch, their values. */
static const struct form {
	enum space space;
	uint32_t flags;
	uint64_t addr;
	uint32_t len;
	uint64_t addr_step;
	uint64_t value_step;
} forms[] = {
	[PIO_WILDCARD] = { SPACE_PIO, PIO, PIO_ADDR, 2, .addr_step = 2 },
	[PIO_DATAMATCH] = { SPACE_PIO, PIO | DATAMATCH, PIO_ADDR, 2, .value_step = 1 },
	[PIO_ANY_LENGTH] = { SPACE_PIO, PIO, PIO_ADDR, 0, .addr_step = 2 },
	[MMIO_WILDCARD] = { SPACE_MMIO, 0, MMIO_ADDR, 4, .addr_step = 4 },
	[MMIO_DATAMATCH] = { SPACE_MMIO, DATAMATCH, MMIO_ADDR, 4, .value_step = 1 },
	[MMIO_ANY_LENGTH] = { SPACE_MMIO, 0, MMIO_ADDR, 0, .addr_step = 4 },
};

static int doorbell(int fd, unsigned int i, uint32_t flags)
{
	const struct form *form = &forms[current.c->form];

	return ioeventfd(fd, eventfds[i % MAX_N], form->addr + i * form->addr_step, form->len,
			 form->flags | flags, i * form->value_step);
}

static int batch_doorbells(unsigned int first, uint32_t flags)
{
	const struct form *form = &forms[current.c->form];
	unsigned int i;

	flags |= form->flags;
	for (i = 0; i < current.n; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.flags = flags,
			.addr = form->addr + (first + i) * form->addr_step,
			.data = (first + i) * form->value_step,
			.mask = (form->flags & DATAMATCH) ? ~0ULL : 0,
			.len = form->len,
			.fd = eventfds[first + i],
		};

	return -kvmfd_batch(current.backend->fd, changes, current.n, NULL);
}

int change_doorbells_from(unsigned int first, uint32_t flags)
{
	int fd = current.backend->fd, err = 0;
	unsigned int i;

	if (in_a_batch())
		return batch_doorbells(first, flags);

	for (i = first; i < first + current.n && !err; i++)
		err = doorbell(fd, i, flags);

	return err;
}

int change_doorbells(uint32_t flags)
{
	return change_doorbells_from(0, flags);
}

void doorbell_target(unsigned int i, enum space *space, uint64_t *addr, uint64_t *value)
{
	const struct form *form = &forms[current.c->form];

	*space = form->space;
	*addr = form->addr + i * form->addr_step;
	*value = i * form->value_step;
}

/*
 * The guest writes to doorbell @first again and again, or to one after the other
 * from there on.  Returns the instructions that it takes.
 */
static double guest_writes(unsigned int first, unsigned int count, bool each,
			   unsigned int expected_exits)
{
	const struct form *form = &forms[current.c->form];
	struct guest *guest = &current.backend->guest;
	const struct burst burst = {
		.space = form->space,
		.addr = form->addr + first * form->addr_step,
		.value = first * form->value_step,
		.addr_step = each ? form->addr_step : 0,
		.value_step = each ? form->value_step : 0,
		.count = count,
	};
	double start, instructions;
	unsigned int exits;

	burst_order(guest, &burst);
	start = clock_begin();
	exits = burst_run(guest);
	instructions = clock_end(start);

	require(exits == expected_exits, "of %u writes %u went to user space, not %u",
		count, exits, expected_exits);
	return instructions;
}

static void require_rung(unsigned int i, uint64_t expected)
{
	uint64_t count = eventfd_take(eventfds[i]);

	require(count == expected, "eventfd %u counted %lu writes, not %lu", i, count,
		expected);
}

/* The guest writes to doorbell @i; to one that is not there, if @exits. */
static void measure_writes(const char *what, unsigned int i, bool exits)
{
	double none, all;

	none = guest_writes(i, 0, false, 0);
	all = guest_writes(i, WRITES, false, exits ? WRITES : 0);
	record(what, "insn", (all - none) / WRITES);
	require_rung(i % MAX_N, exits ? 0 : WRITES);
}

void bench_write(void)
{
	bool served = current.backend->fd >= 0;

	if (served)
		require(!change_doorbells(0), "cannot assign");

	measure_writes("write", 0, !served);
	if (served) {
		require_counted(1, WRITES, 0);
		require(!change_doorbells(DEASSIGN), "cannot deassign");
		guest_writes(0, 1, false, 1);
		require_rung(0, 0);
	}
}

/* What KVM is not measured with has no time to go one by one. */
static void remove_doorbells(void)
{
	if (current.n <= MAX_N)
		require(!change_doorbells(DEASSIGN), "cannot deassign");
	else
		backend_renew(current.backend);
}

/*
 * Of n values at one address, or n addresses: to the first, to the last, and to the one
 * that would come next.
 */
void bench_write_among(void)
{
	unsigned int last = current.n - 1;
	struct backend *b = current.backend;

	require(!change_doorbells(0), "cannot assign");
	measure_writes("write-first", 0, false);
	measure_writes("write-last", last, false);
	measure_writes("write-miss", current.n, true);
	if (b->is_kvmfd)
		require(device_info(b->fd).nr_ioeventfds == current.n, "not all are there");

	remove_doorbells();
	guest_writes(last, 1, false, 1);
	require_rung(last % MAX_N, 0);
}

/* KVM must not have what kvmfd is measured with. */
static void require_unknown_to_kvm(void)
{
	int vm_fd = current.backend->guest.vm->fd;
	unsigned int i;

	for (i = 0; i < current.n; i++)
		require(doorbell(vm_fd, i, DEASSIGN) == ENOENT, "KVM has doorbell %u", i);
}

/* Unmade in the order of making, in which each is the first of KVM's list. */
void bench_doorbells(void)
{
	struct stretch s;
	unsigned int i;
	int err;

	stretch_begin(&s);
	err = change_doorbells(0);
	stretch_end(&s);
	require(!err, "cannot assign: %s", strerror(err));
	record_stretch("assign", &s);

	guest_writes(0, current.n, true, 0);
	for (i = 0; i < current.n; i++)
		require_rung(i, 1);
	require_counted(current.n, current.n, 0);
	if (current.backend->is_kvmfd)
		require_unknown_to_kvm();

	stretch_begin(&s);
	err = change_doorbells(DEASSIGN);
	stretch_end(&s);
	require(!err, "cannot deassign: %s", strerror(err));
	record_stretch("deassign", &s);

	guest_writes(0, current.n, true, current.n);
	for (i = 0; i < current.n; i++)
		require_rung(i, 0);
	require_counted(0, 0, 0);
}

static void measure_hold(const char *what, uint32_t flags)
{
	struct hold hold;
	int err;

	hold_begin(&hold);
	if (in_a_batch())
		err = batch_doorbells(0, flags);
	else
		err = doorbell(current.backend->fd, current.n - 1, flags);
	require(!err, "%s: %s", what, strerror(err));
	record(what, "us", hold_end(&hold));
}

/*
 * The longest that a call holds the VM's slots_lock: of single calls the n-th, which
 * has most to go through, or a batch of all.
 */
void bench_hold(void)
{
	int fd = current.backend->fd, err = 0;
	unsigned int i, others = in_a_batch() ? 0 : current.n - 1;

	for (i = 0; i < others && !err; i++)
		err = doorbell(fd, i, 0);
	measure_hold("hold-assign", 0);
	measure_hold("hold-deassign", DEASSIGN);
	for (i = 0; i < others && !err; i++)
		err = doorbell(fd, i, DEASSIGN);
	require(!err, "cannot change: %s", strerror(err));
}

void bench_memory(void)
{
	struct memory before, after;

	/* What it has from doorbells that are gone would go here. */
	if (current.backend->is_kvmfd)
		backend_renew(current.backend);

	before = memory_now();
	require(!change_doorbells(0), "cannot assign");
	after = memory_now();
	record("memory", "bytes", (after.kernel - before.kernel) / current.n);
	record("percpu", "bytes", (after.percpu - before.percpu) / current.n);
	remove_doorbells();
}
