// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test_util.h"

#include "model.h"

static enum model_bus bus_of(uint32_t flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return MODEL_PIO;
	if (flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return MODEL_CCW;
	return MODEL_MMIO;
}

static struct doorbell bell_of(const struct kvm_ioeventfd *args, int eventfd)
{
	bool wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);

	return (struct doorbell) {
		.bus = bus_of(args->flags),
		.addr = args->addr,
		.len = args->len,
		.wildcard = wildcard,
		.datamatch = wildcard ? 0 : args->datamatch,
		.flags = args->flags,
		.eventfd = eventfd,
	};
}

static bool valid(const struct kvm_ioeventfd *args)
{
	if (args->len != 0 && args->len != 1 && args->len != 2 && args->len != 4 &&
	    args->len != 8)
		return false;
	if (args->addr > UINT64_MAX - args->len)
		return false;
	if (args->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK)
		return false;
	/* Any width means any value. */
	return args->len || !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
}

/* Could one write ring both? */
static bool collide(const struct doorbell *a, const struct doorbell *b)
{
	if (a->bus != b->bus || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len &&
	       (a->wildcard || b->wildcard || a->datamatch == b->datamatch);
}

static bool same(const struct doorbell *a, const struct doorbell *b)
{
	return a->bus == b->bus && a->addr == b->addr && a->len == b->len &&
	       a->wildcard == b->wildcard && a->datamatch == b->datamatch &&
	       a->eventfd == b->eventfd;
}

int model_assign(struct model *m, const struct kvm_ioeventfd *args, int eventfd,
		 struct doorbell **bell)
{
	struct doorbell new = bell_of(args, eventfd);
	unsigned int i;

	if (!valid(args))
		return -EINVAL;
	if (eventfd < 0)
		return eventfd;
	for (i = 0; i < m->n; i++)
		if (collide(m->bells[i], &new))
			return -EEXIST;

	TEST_ASSERT(m->n < MODEL_MAX, "the model is full");
	*bell = malloc(sizeof(new));
	TEST_ASSERT(*bell, "out of memory");
	**bell = new;
	m->bells[m->n++] = *bell;
	return 0;
}

int model_deassign(struct model *m, const struct kvm_ioeventfd *args, int eventfd,
		   struct doorbell **bell)
{
	struct doorbell wanted = bell_of(args, eventfd);
	unsigned int i;

	if (eventfd < 0)
		return eventfd;
	for (i = 0; i < m->n; i++) {
		if (!same(m->bells[i], &wanted))
			continue;
		*bell = m->bells[i];
		m->n--;
		memmove(m->bells + i, m->bells + i + 1, (m->n - i) * sizeof(*m->bells));
		return 0;
	}
	return -ENOENT;
}

bool doorbell_rings(const struct doorbell *bell, uint64_t addr, unsigned int len,
		    uint64_t value)
{
	if (bell->addr != addr)
		return false;
	if (!bell->len)
		return true;
	return bell->len == len && (bell->wildcard || bell->datamatch == value);
}

struct doorbell *model_hit(const struct model *m, enum model_bus bus, uint64_t addr,
			   unsigned int len, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->bells[i]->bus == bus && doorbell_rings(m->bells[i], addr, len, value))
			return m->bells[i];
	return NULL;
}
