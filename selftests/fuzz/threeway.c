// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "expect.h"
#include "round.h"
#include "threeway.h"

static struct burst_vm vms[SIDES];
static int kvmfd = -1;
/* KVM, or kvmfd if that is alone with the rules. */
static enum side first_side;
static struct rules rules;
static bool guests_write;
/* kvmfd's: not after a wrong answer. */
static bool in_step;
/* Each doorbell's: not if one has come or gone while the guests wrote. */
static bool hits_known;

void threeway_create(void)
{
	burst_create(&vms[KVM]);
	burst_create(&vms[KVMFD]);
}

const struct model *threeway_model(void)
{
	return &rules.model;
}

static void rules_changed(void)
{
	if (guests_write) {
		expect_by(&rules);
		hits_known = false;
	}
}

/* --- calls -------------------------------------------------------------- */

bool threeway_attached(void)
{
	return kvmfd >= 0;
}

void threeway_attach(bool without_kvm)
{
	kvmfd = device_open_attached(vms[KVMFD].vm->fd);
	rules.model.max_masks = device_info(kvmfd).max_masks;
	first_side = without_kvm ? KVMFD : KVM;
	in_step = true;
	hits_known = !guests_write;
}

static void check_entry(const struct kvmfd_entry *e, const struct doorbell *bell)
{
	if (e->kind != KVMFD_ENTRY_IOEVENTFD || e->flags != bell->flags ||
	    e->addr != bell->addr || e->len != bell->len || e->datamatch != bell->data ||
	    e->mask != bell->mask)
		complain(KVMFD, LISTED, rules.model.n,
			 "(%#llx, %u), flags %#x, data %#llx, mask %#llx; "
			 "is (%#lx, %u), flags %#x, data %#lx, mask %#lx",
			 e->addr, e->len, e->flags, e->datamatch, e->mask, bell->addr, bell->len,
			 bell->flags, bell->data, bell->mask);
	else if (hits_known && e->hits != bell->hits)
		complain(KVMFD, LISTED, rules.model.n, "(%#lx, %u) with %llu hits; had %lu",
			 bell->addr, bell->len, e->hits, bell->hits);
}

/* Both are in the order in which the doorbells came. */
static void check_list(void)
{
	static struct kvmfd_entry entries[MODEL_MAX];
	unsigned int n = device_entries(kvmfd, entries, MODEL_MAX);
	unsigned int i;

	if (n != rules.model.n) {
		complain(KVMFD, LISTED, rules.model.n, "%u; are %u", n, rules.model.n);
		return;
	}
	for (i = 0; i < n; i++)
		check_entry(&entries[i], rules.model.bells[i]);
}

static void kvm_deassign(const struct doorbell *bell)
{
	int err = ioeventfd(vms[KVM].vm->fd, eventfd_fd(KVM, bell->eventfd), bell->addr,
			    bell->len, bell->flags | KVM_IOEVENTFD_FLAG_DEASSIGN, bell->data);

	TEST_ASSERT(!err, "KVM does not let go of (%#lx, %u): %s", bell->addr, bell->len,
		    strerror(err));
}

void threeway_detach(void)
{
	struct model *m = &rules.model;

	if (in_step)
		check_list();
	close(kvmfd);
	kvmfd = -1;

	while (m->n) {
		struct doorbell *bell = m->bells[--m->n];

		if (first_side == KVM)
			kvm_deassign(bell);
		kvm_search_remove(&rules.search[bell->bus], bell);
		free(bell);
	}
	rules_changed();
}

static int model_call(const struct call *call)
{
	int eventfd = slots_eventfd(call->slot);
	struct doorbell *bell;
	int err;

	if (call->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		err = model_deassign(&rules.model, call, eventfd, &bell);
		if (!err) {
			kvm_search_remove(&rules.search[bell->bus], bell);
			free(bell);
		}
	} else {
		err = model_assign(&rules.model, call, eventfd, &bell);
		if (!err)
			kvm_search_insert(&rules.search[bell->bus], bell);
	}
	rules_changed();
	return err;
}

static int real_call(enum side side, const struct call *call)
{
	int fd = side == KVM ? vms[KVM].vm->fd : kvmfd;
	int eventfd = slots_fd(side, call->slot);

	if (call->masked)
		return masked_ioeventfd(fd, eventfd, call->addr, call->len, call->flags,
					call->data, call->mask);
	return ioeventfd(fd, eventfd, call->addr, call->len, call->flags, call->data);
}

bool threeway_call(const struct call *call, int *answer)
{
	int kvms = first_side == KVM ? real_call(KVM, call) : 0;
	int ours = real_call(KVMFD, call);
	int right = -model_call(call);

	TEST_ASSERT(first_side != KVM || kvms == right,
		    "KVM says %s, the model %s: (%#lx, %u), flags %#x, data %#lx", strerror(kvms),
		    strerror(right), call->addr, call->len, call->flags, call->data);
	*answer = right;
	if (ours == right)
		return true;

	in_step = false;
	complain(KVMFD, ANSWERED, rules.model.n,
		 "%s; is %s: (%#lx, %u), flags %#x, data %#lx, mask %#lx", strerror(ours),
		 strerror(right), call->addr, call->len, call->flags, call->data, call->mask);
	return false;
}

/* --- writes ------------------------------------------------------------- */

static void start(enum side side, const struct bursts *bursts)
{
	unsigned int cpu;

	for (cpu = 0; cpu < BURST_VCPUS; cpu++)
		if (bursts->n[cpu])
			burst_start(&vms[side].vcpus[cpu], bursts->writes[cpu], bursts->n[cpu]);
}

static void wait(enum side side, const struct bursts *bursts)
{
	unsigned int cpu;

	for (cpu = 0; cpu < BURST_VCPUS; cpu++)
		if (bursts->n[cpu])
			burst_wait(&vms[side].vcpus[cpu]);
}

static bool right_alone(enum side side, const struct burst_write *write)
{
	static struct bursts alone = { .n = { 1 } };

	alone.writes[0][0] = *write;
	expect_writes(&alone);
	expect_by(&rules);
	start(side, &alone);
	wait(side, &alone);
	expect_exits(side, vms[side].vcpus, &rules);
	return expect_signals(side);
}

/* Together, what a side's writes have signalled is wrong: which of them is? */
static void find_culprit(enum side side, const struct bursts *bursts)
{
	unsigned int cpu, i;

	for (cpu = 0; cpu < BURST_VCPUS; cpu++) {
		for (i = 0; i < bursts->n[cpu]; i++) {
			if (!right_alone(side, &bursts->writes[cpu][i])) {
				expect_blame(side, &rules);
				return;
			}
		}
	}
	complain(side, MISCOUNTED, UINT_MAX, "%u and %u writes, each of them right alone",
		 bursts->n[0], bursts->n[1]);
}

void threeway_burst(const struct bursts *bursts, void (*meanwhile)(void))
{
	bool right[SIDES] = {};
	enum side side;

	expect_writes(bursts);
	expect_by(&rules);
	for (side = first_side; side < SIDES; side++)
		start(side, bursts);
	if (meanwhile) {
		guests_write = true;
		meanwhile();
		guests_write = false;
	}
	for (side = first_side; side < SIDES; side++)
		wait(side, bursts);

	for (side = first_side; side < SIDES; side++) {
		expect_exits(side, vms[side].vcpus, &rules);
		right[side] = expect_signals(side);
	}
	for (side = first_side; side < SIDES; side++)
		if (!right[side])
			find_culprit(side, bursts);
}
