// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "expect.h"
#include "round.h"

#define PAGE 4096

/* In a set of eventfds, what stands for none. */
#define NOBODY (1ULL << EVENTFDS_MAX)

/*
 * What KVM looks up as one write: the share that a page has in it.  Who may get it is
 * a set, with one member if no call was made meanwhile.
 */
static struct piece {
	unsigned int cpu, write;
	enum model_bus bus;
	uint64_t addr, value;
	unsigned int len;
	uint64_t may;
	bool kvm_may_miss;
	/* On the side that is looked at. */
	bool exited;
} pieces[2 * BURST_VCPUS * BURST_MAX];

static unsigned int nr_pieces, nr_states;

struct expect_counts expect_counts;

static enum model_bus bus_of(enum space space)
{
	return space == SPACE_MMIO ? MODEL_MMIO : MODEL_PIO;
}

static void cut_up(unsigned int cpu, unsigned int write, const struct burst_write *w)
{
	unsigned int done, len;

	for (done = 0; done < w->len; done += len) {
		struct piece *p = &pieces[nr_pieces++];
		uint64_t addr = w->addr + done;

		len = w->len - done;
		if (w->space == SPACE_MMIO && len > PAGE - addr % PAGE)
			len = PAGE - addr % PAGE;
		*p = (struct piece) {
			.cpu = cpu,
			.write = write,
			.bus = bus_of(w->space),
			.addr = addr,
			.len = len,
		};
		memcpy(&p->value, (const uint8_t *)&w->value + done, len);
	}
}

void expect_writes(const struct bursts *bursts)
{
	unsigned int cpu, i;

	nr_pieces = 0;
	nr_states = 0;
	for (cpu = 0; cpu < BURST_VCPUS; cpu++)
		for (i = 0; i < bursts->n[cpu]; i++)
			cut_up(cpu, i, &bursts->writes[cpu][i]);
}

static struct doorbell *hit(const struct rules *rules, const struct piece *p)
{
	return model_hit(&rules->model, p->bus, p->addr, p->len, p->value);
}

void expect_by(const struct rules *rules)
{
	unsigned int i;

	nr_states++;
	for (i = 0; i < nr_pieces; i++) {
		struct piece *p = &pieces[i];
		const struct doorbell *bell = hit(rules, p);

		p->may |= bell ? 1ULL << bell->eventfd : NOBODY;
		if (kvm_search_hit(&rules->search[p->bus], p->addr, p->len, p->value) != bell)
			p->kvm_may_miss = true;
	}
}

/*
 * The fewer doorbells are on the bus the better is the example, unless they may have
 * been others when the guest wrote.
 */
static void complain_of(enum side side, enum fault fault, const struct piece *p,
			const struct model *m)
{
	char bells[3072] = "";
	unsigned int i, n = 0;
	size_t end = 0;

	for (i = 0; i < m->n; i++) {
		const struct doorbell *bell = m->bells[i];

		if (bell->bus != p->bus)
			continue;
		n++;
		if (end < sizeof(bells))
			end += snprintf(bells + end, sizeof(bells) - end,
					" (%#lx, %u, data %#lx, mask %#lx)", bell->addr, bell->len,
					bell->data, bell->mask);
	}
	complain(side, fault, nr_states > 1 ? n + MODEL_MAX : n,
		 "%s (%#lx, %u, data %#lx), doorbells%s:%s",
		 p->bus == MODEL_MMIO ? "MMIO" : "PIO", p->addr, p->len, p->value,
		 nr_states > 1 ? " after the last call" : "", bells);
}

static bool take_exit(struct burst_vcpu *v, const struct piece *p)
{
	unsigned int i;

	for (i = 0; i < v->nr_exits; i++) {
		const struct burst_exit *e = &v->exits[i];

		if (e->write == p->write && bus_of(e->space) == p->bus && e->addr == p->addr &&
		    e->len == p->len && e->value == p->value) {
			v->exits[i] = v->exits[--v->nr_exits];
			return true;
		}
	}
	return false;
}

static void check_piece(enum side side, struct piece *p, const struct rules *rules)
{
	bool may_exit = p->may & NOBODY || (side == KVM && p->kvm_may_miss);

	if (p->exited && !may_exit)
		complain_of(side, MISSED, p, &rules->model);
	if (!p->exited && p->may == NOBODY)
		complain_of(side, TOOK, p, &rules->model);

	if (nr_states > 1 || p->may == NOBODY)
		return;
	if (side == KVM) {
		expect_counts.misses_foreseen += p->kvm_may_miss;
		expect_counts.misses += p->kvm_may_miss && p->exited;
	} else if (!p->exited) {
		expect_counts.hits++;
		hit(rules, p)->hits++;
	}
}

void expect_exits(enum side side, struct burst_vcpu *vcpus, const struct rules *rules)
{
	unsigned int i;

	for (i = 0; i < nr_pieces; i++) {
		struct piece *p = &pieces[i];

		p->exited = take_exit(&vcpus[p->cpu], p);
		check_piece(side, p, rules);
	}
	for (i = 0; i < BURST_VCPUS; i++) {
		const struct burst_exit *e = vcpus[i].exits;

		if (vcpus[i].nr_exits)
			complain(side, STRAYED, 0, "(%#lx, %u, data %#lx), write %u",
				 e->addr, e->len, e->value, e->write);
		vcpus[i].nr_exits = 0;
	}
}

/*
 * Each piece that has not exited is one signal.  Where it is open to which eventfd,
 * there is a least and a most for each; what nobody can count must fit as well.
 */
bool expect_signals(enum side side)
{
	unsigned int least[EVENTFDS_MAX] = {}, most[EVENTFDS_MAX] = {};
	unsigned int signals = 0, all_least = 0, all_most = 0;
	unsigned int i, e;
	bool right = true;

	for (i = 0; i < nr_pieces; i++) {
		uint64_t may = pieces[i].may & ~NOBODY;

		if (pieces[i].exited || !may)
			continue;
		signals++;
		for (e = 0; e < nr_eventfds(); e++) {
			least[e] += may == 1ULL << e;
			most[e] += may >> e & 1;
		}
	}
	for (e = 0; e < nr_eventfds(); e++) {
		int fd = eventfd_fd(side, e);

		if (fd >= 0) {
			uint64_t count = eventfd_take(fd);

			right &= least[e] <= count && count <= most[e];
			least[e] = count;
			most[e] = count;
		}
		all_least += least[e];
		all_most += most[e];
	}
	return right && all_least <= signals && signals <= all_most;
}

void expect_blame(enum side side, const struct rules *rules)
{
	complain_of(side, MISCOUNTED, &pieces[0], &rules->model);
}
