// SPDX-License-Identifier: GPL-2.0
/*
 * Split virtqueues, seen from the device.  The guest can change its memory at
 * any time: everything is read once, then checked, then used.
 */
#include <string.h>

#include "virtq.h"

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)

/**
 * struct desc_table - where a chain's descriptors are
 * @desc: the table
 * @size: entries in it
 * @indirect: it is not the queue's own
 */
struct desc_table {
	const struct vring_desc *desc;
	unsigned int size;
	bool indirect;
};

static void *virtq_area(const struct virtq *q, const struct vm *vm,
			unsigned int area, uint64_t len, uint64_t align)
{
	if (q->area[area] % align)
		return NULL;
	return vm_ram(vm, q->area[area], len);
}

bool virtq_start(struct virtq *q, const struct vm *vm)
{
	q->desc = virtq_area(q, vm, VIRTQ_DESC,
			     sizeof(q->desc[0]) * q->size, 16);
	q->avail = virtq_area(q, vm, VIRTQ_AVAIL,
			      sizeof(*q->avail) + sizeof(q->avail->ring[0]) * q->size, 2);
	q->used = virtq_area(q, vm, VIRTQ_USED,
			     sizeof(*q->used) + sizeof(q->used->ring[0]) * q->size, 4);
	q->avail_idx = 0;
	q->used_idx = 0;
	q->completed = false;
	q->running = q->desc && q->avail && q->used;
	return q->running;
}

/* An indirect table may lie at any address, aligned or not. */
static struct vring_desc read_desc(const struct vring_desc *from)
{
	struct vring_desc desc;

	memcpy(&desc, from, sizeof(desc));
	/* The compiler may not look at *from again instead of at the copy. */
	atomic_signal_fence(memory_order_seq_cst);
	return desc;
}

static bool add_buffer(const struct vm *vm, struct virtq_chain *chain,
		       const struct vring_desc *desc)
{
	struct iovec *iov = &chain->iov[chain->out + chain->in];
	bool write = desc->flags & VRING_DESC_F_WRITE;

	iov->iov_base = vm_ram(vm, desc->addr, desc->len);
	iov->iov_len = desc->len;
	if (!iov->iov_base || (chain->in && !write))
		return false;
	if (write)
		chain->in++;
	else
		chain->out++;
	return true;
}

static bool enter_indirect(const struct vm *vm, struct desc_table *table,
			   const struct vring_desc *desc)
{
	if (table->indirect || desc->flags & VRING_DESC_F_NEXT ||
	    !desc->len || desc->len % sizeof(*desc))
		return false;
	table->desc = vm_ram(vm, desc->addr, desc->len);
	table->size = desc->len / sizeof(*desc);
	table->indirect = true;
	return table->desc;
}

bool virtq_read_chain(const struct virtq *q, const struct vm *vm,
		      unsigned int head, struct virtq_chain *chain)
{
	struct desc_table table = { .desc = q->desc, .size = q->size };
	unsigned int index = head;
	struct vring_desc desc;

	chain->out = 0;
	chain->in = 0;
	/* No chain is longer than the queue: a loop ends here, too. */
	while (chain->out + chain->in < q->size) {
		if (index >= table.size)
			return false;
		desc = read_desc(&table.desc[index]);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!enter_indirect(vm, &table, &desc))
				return false;
			index = 0;
			continue;
		}
		if (!add_buffer(vm, chain, &desc))
			return false;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		index = desc.next;
	}
	return false;
}

int virtq_pop(struct virtq *q)
{
	uint16_t idx = __atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t ready = idx - q->avail_idx;
	uint16_t head;

	if (!ready)
		return VIRTQ_EMPTY;
	head = READ_ONCE(q->avail->ring[q->avail_idx % q->size]);
	if (ready > q->size || head >= q->size)
		return VIRTQ_BROKEN;
	q->avail_idx++;
	return head;
}

void virtq_push(struct virtq *q, unsigned int head, uint32_t len)
{
	struct vring_used_elem *elem = &q->used->ring[q->used_idx % q->size];

	elem->id = head;
	elem->len = len;
	q->used_idx++;
	__atomic_store_n(&q->used->idx, q->used_idx, __ATOMIC_RELEASE);
	q->completed = true;
}

bool virtq_wants_call(const struct virtq *q)
{
	/* The driver allows interrupts, then looks at used.idx: the other way. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(READ_ONCE(q->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}
