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

static struct doorbell bell_of(const struct call *call, int eventfd)
{
	uint64_t mask = 0;

	if (call->masked)
		mask = call->mask;
	else if (call->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		mask = UINT64_MAX;
	return (struct doorbell) {
		.bus = bus_of(call->flags),
		.addr = call->addr,
		.len = call->len,
		.mask = mask,
		.data = call->data & mask,
		.flags = call->flags,
		.eventfd = eventfd,
	};
}

static bool known(uint32_t flags)
{
	return !(flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK);
}

static bool valid(const struct doorbell *bell)
{
	bool datamatch = bell->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	if (bell->len != 0 && bell->len != 1 && bell->len != 2 && bell->len != 4 &&
	    bell->len != 8)
		return false;
	if (bell->addr > UINT64_MAX - bell->len)
		return false;
	if (!known(bell->flags) || datamatch != !!bell->mask)
		return false;
	/* Any width means any value. */
	return bell->len || !datamatch;
}

static bool same_place(const struct doorbell *a, const struct doorbell *b)
{
	return a->bus == b->bus && a->addr == b->addr && a->len == b->len;
}

/* Could one value ring both? */
static bool collide(const struct doorbell *a, const struct doorbell *b)
{
	if (a->bus == b->bus && a->addr == b->addr && (!a->len || !b->len))
		return true;
	return same_place(a, b) && !((a->data ^ b->data) & a->mask & b->mask);
}

static bool same(const struct doorbell *a, const struct doorbell *b)
{
	return same_place(a, b) && a->mask == b->mask && a->data == b->data &&
	       a->eventfd == b->eventfd &&
	       !((a->flags ^ b->flags) & KVM_IOEVENTFD_FLAG_DATAMATCH);
}

/* Has one of the first @n at its place its mask? */
static bool has_mask(const struct model *m, unsigned int n, const struct doorbell *bell)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (same_place(m->bells[i], bell) && m->bells[i]->mask == bell->mask)
			return true;
	return false;
}

static unsigned int count_masks(const struct model *m, const struct doorbell *place)
{
	unsigned int i, n = 0;

	for (i = 0; i < m->n; i++)
		if (same_place(m->bells[i], place) && !has_mask(m, i, m->bells[i]))
			n++;
	return n;
}

int model_assign(struct model *m, const struct call *call, int eventfd,
		 struct doorbell **bell)
{
	struct doorbell new = bell_of(call, eventfd);
	unsigned int i;

	if (!valid(&new))
		return -EINVAL;
	if (eventfd < 0)
		return eventfd;
	for (i = 0; i < m->n; i++)
		if (collide(m->bells[i], &new))
			return -EEXIST;
	if (!has_mask(m, m->n, &new) && count_masks(m, &new) >= m->max_masks)
		return -ENOSPC;

	TEST_ASSERT(m->n < MODEL_MAX, "the model is full");
	*bell = malloc(sizeof(new));
	TEST_ASSERT(*bell, "out of memory");
	**bell = new;
	m->bells[m->n++] = *bell;
	return 0;
}

int model_deassign(struct model *m, const struct call *call, int eventfd,
		   struct doorbell **bell)
{
	struct doorbell wanted = bell_of(call, eventfd);
	unsigned int i;

	/* KVM_IOEVENTFD does not look here. */
	if (call->masked && !known(call->flags))
		return -EINVAL;
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
	return bell->len == len && !((bell->data ^ value) & bell->mask);
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
