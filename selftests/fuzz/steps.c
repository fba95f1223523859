// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "test_util.h"

#include "chance.h"
#include "round.h"
#include "steps.h"
#include "threeway.h"

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define CCW       KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

#define ADDRS 12

struct step_counts step_counts;

static const struct kind *kind;
static unsigned int steps_left;
/* Until kvmfd has answered something wrong. */
static bool in_step;
/* How many doorbells there tend to be. */
static unsigned int crowd;
static uint64_t mmio_addrs[ADDRS], pio_addrs[ADDRS];
static struct call last_deassign;

static void take_steps(unsigned int n)
{
	steps_left -= n;
	round_step(n);
}

/* --- what can be chosen ------------------------------------------------- */

static enum space any_space(void)
{
	if (kind->mmio && kind->pio)
		return chance(50) ? SPACE_MMIO : SPACE_PIO;
	return kind->mmio ? SPACE_MMIO : SPACE_PIO;
}

/* Mostly so close together that doorbells overlap. */
static void choose_addrs(uint64_t *addrs, uint64_t centre)
{
	static const uint64_t far[] = {
		0,
		0x500,
		1ULL << 31,
		1ULL << 32,
		1ULL << 63,
		UINT64_MAX - 8,
		UINT64_MAX,
	};
	unsigned int i;

	addrs[0] = any_of(far);
	addrs[1] = centre + 0x100 * (1 + chance_below(8));
	for (i = 2; i < ADDRS; i++)
		addrs[i] = centre - 12 + chance_below(24);
}

static uint64_t any_addr(enum space space)
{
	return (space == SPACE_MMIO ? mmio_addrs : pio_addrs)[chance_below(ADDRS)];
}

/* Can a guest write there?  One of the ports is how it talks to its host. */
static bool reachable(enum space space, uint64_t addr)
{
	if (space == SPACE_MMIO)
		return addr >= GUEST_MMIO_BASE && addr <= GUEST_MMIO_BASE + GUEST_MMIO_SIZE - 8;
	return addr <= UINT16_MAX && addr / 16 != 0x1000 / 16;
}

static unsigned int widest(enum space space)
{
	return space == SPACE_MMIO ? 8 : 4;
}

static unsigned int any_width(enum space space)
{
	return 1 << chance_below(space == SPACE_MMIO ? 4 : 3);
}

/* Some have bits that a narrow write has not. */
static uint64_t any_value(void)
{
	static const uint64_t values[] = {
		0,
		1,
		0x80,
		0xff,
		0x1ff,
		0x10001,
		0xffffffff,
		0x100000001,
		0xffffffffffffff80,
		UINT64_MAX,
	};

	return any_of(values);
}

/*
 * More than there may be at one place.  Most have the bits in common in which the
 * values above differ, or there would be few that do not collide.
 */
static uint64_t any_mask(void)
{
	static const uint64_t masks[] = {
		0x1,
		0xf0,
		0xff,
		0x1ff,
		0xffff,
		0x100ff,
		0xffffffff,
		0x1000000ff,
		UINT64_MAX,
	};

	return any_of(masks);
}

static const struct doorbell *any_bell(void)
{
	const struct model *m = threeway_model();

	return m->n ? m->bells[chance_below(m->n)] : NULL;
}

/* --- writes ------------------------------------------------------------- */

static struct burst_write any_write(void)
{
	struct burst_write w = { .space = any_space() };

	do
		w.addr = any_addr(w.space) - 8 + chance_below(17);
	while (!reachable(w.space, w.addr));
	w.len = any_width(w.space);
	w.value = any_value();
	return w;
}

/* Hits a doorbell, or would if its width or its value were not wrong. */
static struct burst_write aimed_write(void)
{
	const struct doorbell *bell = any_bell();
	struct burst_write w = any_write();
	enum space space;

	if (!bell || bell->bus == MODEL_CCW)
		return w;
	space = bell->bus == MODEL_MMIO ? SPACE_MMIO : SPACE_PIO;
	if (!reachable(space, bell->addr))
		return w;

	w.space = space;
	w.addr = bell->addr;
	w.len = any_width(space);
	if (bell->len && bell->len <= widest(space) && chance(90))
		w.len = bell->len;
	if (chance(80))
		w.value = bell->data | (w.value & ~bell->mask);
	return w;
}

static unsigned int burst_length(void)
{
	/* vCPUs must have time to meet each other, and calls. */
	unsigned int most = kind->vcpus > 1 || chance(10) ? BURST_MAX : 12;
	unsigned int n = 1 + chance_below(most);

	return n < steps_left ? n : steps_left;
}

static void guest_steps(void (*meanwhile)(void))
{
	static struct bursts bursts;
	unsigned int cpu, i, n;

	for (cpu = 0; cpu < kind->vcpus; cpu++) {
		n = burst_length();
		take_steps(n);
		step_counts.writes += n;
		bursts.n[cpu] = n;
		for (i = 0; i < n; i++)
			bursts.writes[cpu][i] = chance(60) ? aimed_write() : any_write();
	}
	for (; cpu < BURST_VCPUS; cpu++)
		bursts.n[cpu] = 0;
	threeway_burst(&bursts, meanwhile);
}

/* --- calls -------------------------------------------------------------- */

/* Masks have to meet: often where the oldest is. */
static void choose_mask(struct call *call)
{
	const struct model *m = threeway_model();
	unsigned int i = 0;

	while (i < m->n && !m->bells[i]->mask)
		i++;
	if (i < m->n && chance(70)) {
		call->addr = m->bells[i]->addr;
		call->len = m->bells[i]->len;
		call->flags = m->bells[i]->flags;
	}
	call->masked = chance(90);
	if (call->flags & DATAMATCH)
		call->mask = any_mask();
}

static struct call any_assign(void)
{
	static const uint32_t lens[] = { 0, 1, 2, 4, 8 };
	enum space space = any_space();
	struct call call = {
		.slot = chance_below(SLOTS),
		.addr = any_addr(space),
		.len = any_of(lens),
		.flags = space == SPACE_PIO ? PIO : 0,
		.data = any_value(),
	};

	if (call.len && chance(kind->masks ? 80 : 40))
		call.flags |= DATAMATCH;
	if (chance(3))
		call.flags |= CCW;
	if (kind->masks)
		choose_mask(&call);
	return call;
}

static uint32_t unknown_flag(void)
{
	return 1U << (4 + chance_below(28));
}

static struct call bad_assign(void)
{
	static const uint32_t lens[] = { 3, 5, 7, 9, 16, 1U << 31, UINT32_MAX };
	struct call call = any_assign();

	switch (chance_below(7)) {
	case 0:
		call.len = any_of(lens);
		break;
	case 1:
		call.addr = UINT64_MAX - chance_below(8);
		break;
	case 2:
		call.flags |= unknown_flag();
		break;
	case 3:
		call.len = 0;
		call.flags |= DATAMATCH;
		break;
	case 4:
		call.slot = SLOT_NO_FD;
		break;
	case 5:
		call.slot = SLOT_NO_EVENTFD;
		break;
	case 6:
		call.mask = call.mask ? 0 : any_mask();
		break;
	}
	return call;
}

/* The right one, if there is a doorbell and its eventfd has not been closed. */
static struct call deassign(void)
{
	const struct doorbell *bell = any_bell();
	struct call call;

	if (!bell)
		return last_deassign;
	call = (struct call) {
		.addr = bell->addr,
		.len = bell->len,
		.flags = bell->flags | DEASSIGN,
		.data = bell->data | (any_value() & ~bell->mask),
		.mask = bell->mask,
		.masked = bell->mask && ~bell->mask,
	};
	while (call.slot < SLOTS - 1 && slots_eventfd(call.slot) != bell->eventfd)
		call.slot++;
	/* In KVM's form nobody looks at these. */
	if (chance(5))
		call.flags |= unknown_flag();
	/* KVM's masks have two forms. */
	if (kind->masks && chance(50))
		call.masked = true;
	return call;
}

static struct call wrong_deassign(void)
{
	struct call other = chance(80) ? any_assign() : bad_assign();
	struct call call = deassign();

	switch (chance_below(7)) {
	case 0:
		call.slot = other.slot;
		break;
	case 1:
		call.addr = other.addr;
		break;
	case 2:
		call.len = other.len;
		break;
	case 3:
		call.data = other.data;
		break;
	case 4:
		call.flags ^= DATAMATCH;
		break;
	case 5:
		call.flags ^= chance(50) ? PIO : CCW;
		break;
	case 6:
		call.mask = other.mask;
		break;
	}
	return call;
}

static void make_call(struct call call)
{
	int answer;

	in_step = threeway_call(&call, &answer);
	step_counts.answers[answer]++;
	if (call.flags & DEASSIGN)
		last_deassign = call;
}

static void open_or_close(void)
{
	unsigned int slot = chance_below(SLOTS);

	if (slots_eventfd(slot) < 0)
		slots_open(slot);
	else if (chance(30))
		slots_close(slot);
	step_counts.others++;
}

static void attach_or_detach(void)
{
	if (threeway_attached())
		threeway_detach();
	else
		threeway_attach(kind->masks);
	step_counts.others++;
}

static void host_step(void)
{
	bool few = threeway_model()->n < crowd;
	unsigned int dice = chance_below(200);

	take_steps(1);
	if (dice < 1 || !threeway_attached())
		attach_or_detach();
	else if (dice < 10)
		open_or_close();
	else if (dice < 20)
		make_call(bad_assign());
	else if (dice < 40)
		make_call(wrong_deassign());
	else if (dice < 45)
		make_call(last_deassign);
	else if (dice < (few ? 180 : 100))
		make_call(any_assign());
	else
		make_call(deassign());
}

static void host_steps(void)
{
	unsigned int n = 1 + chance_below(6);

	while (n-- && steps_left && in_step)
		host_step();
}

static void begin(const struct kind *k, unsigned int steps)
{
	static const unsigned int crowds[] = { 2, 4, 8, 16, 40 };
	/* Within a page, and at a page's end; low, anywhere, at the last port. */
	static const uint64_t mmio_centres[] = { 0x1800, 0x3000 };
	static const uint64_t pio_centres[] = { 0x20, 0x2000, 0xfff8 };

	kind = k;
	steps_left = steps;
	in_step = true;
	crowd = any_of(crowds);
	choose_addrs(mmio_addrs, GUEST_MMIO_BASE + any_of(mmio_centres));
	choose_addrs(pio_addrs, any_of(pio_centres));
	last_deassign = (struct call) { .flags = DEASSIGN };
	slots_fill();
	threeway_attach(kind->masks);
}

static void end(void)
{
	if (threeway_attached())
		threeway_detach();
	slots_clear();
}

void steps_run(const struct kind *k, unsigned int steps)
{
	begin(k, steps);
	while (steps_left && in_step) {
		if (chance(80))
			host_step();
		else
			guest_steps(kind->calls_meanwhile ? host_steps : NULL);
	}
	end();
}
