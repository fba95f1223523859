// SPDX-License-Identifier: GPL-2.0
/* The disk's requests: checked, handed to the host's kernel, answered. */
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "blk.h"

#define SECTOR_SHIFT 9
#define MAX_DATA     (1U << 30) /* io_uring tells lengths as int32_t */

static const char disk_id[VIRTIO_BLK_ID_BYTES] = "kvmfd-vmm";

/* Nothing goes on before the driver resets the device. */
static void break_device(struct blk *blk)
{
	unsigned int i;

	blk->broken = true;
	for (i = 0; i < blk->count; i++)
		blk->queues[i].virtq.running = false;
}

/* Cut @len bytes from the front of the device-readable buffers into @to. */
static bool cut_front(struct virtq_chain *chain, void *to, size_t len)
{
	struct iovec *iov = chain->iov;
	unsigned int i;
	size_t n;

	for (i = 0; i < chain->out && len; i++) {
		n = iov[i].iov_len < len ? iov[i].iov_len : len;
		memcpy(to, iov[i].iov_base, n);
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + n;
		iov[i].iov_len -= n;
		to = (uint8_t *)to + n;
		len -= n;
	}
	return !len;
}

/* Cut the last byte from the device-writable buffers. */
static uint8_t *cut_last_byte(struct virtq_chain *chain)
{
	struct iovec *iov = chain->iov + chain->out;
	unsigned int i = chain->in;

	while (i--)
		if (iov[i].iov_len)
			return (uint8_t *)iov[i].iov_base + --iov[i].iov_len;
	return NULL;
}

/* Hand a request back with @written bytes of data in it. */
static void finish(struct blk *blk, struct virtq *q, struct blk_request *r,
		   uint8_t status, uint32_t written)
{
	r->busy = false;
	if (status == VIRTIO_BLK_S_IOERR)
		blk->errors++;
	*r->status = status;
	virtq_push(q, r->head, written + 1);
}

static void give_id(struct blk *blk, struct virtq *q, struct blk_request *r)
{
	struct iovec *iov = r->chain.iov + r->chain.out;
	uint32_t done = 0, n;
	unsigned int i;

	for (i = 0; i < r->chain.in && done < sizeof(disk_id); i++) {
		n = sizeof(disk_id) - done;
		if (n > iov[i].iov_len)
			n = iov[i].iov_len;
		memcpy(iov[i].iov_base, disk_id + done, n);
		done += n;
	}
	finish(blk, q, r, VIRTIO_BLK_S_OK, done);
}

/* Does the request's data lie on the disk? */
static bool set_length(const struct blk *blk, struct blk_request *r,
		       const struct iovec *iov, unsigned int count,
		       uint64_t sector)
{
	uint64_t len = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		len += iov[i].iov_len;
	r->len = len;
	return len <= MAX_DATA && !(len & ((1U << SECTOR_SHIFT) - 1)) &&
	       sector <= blk->capacity &&
	       len >> SECTOR_SHIFT <= blk->capacity - sector;
}

static void submit(struct blk *blk, unsigned int queue, struct blk_request *r,
		   uint64_t sector)
{
	struct virtq *q = &blk->queues[queue].virtq;
	bool in = r->type == VIRTIO_BLK_T_IN;
	struct iovec *iov = r->chain.iov + (in ? r->chain.out : 0);
	unsigned int count = in ? r->chain.in : r->chain.out;
	struct io_uring_sqe *sqe;

	r->len = 0;
	if (r->type != VIRTIO_BLK_T_FLUSH &&
	    !set_length(blk, r, iov, count, sector)) {
		finish(blk, q, r, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	sqe = blk_sqe(blk);
	if (r->type == VIRTIO_BLK_T_FLUSH)
		io_uring_prep_fsync(sqe, blk->fd, IORING_FSYNC_DATASYNC);
	else if (in)
		io_uring_prep_readv(sqe, blk->fd, iov, count,
				    sector << SECTOR_SHIFT);
	else
		io_uring_prep_writev(sqe, blk->fd, iov, count,
				     sector << SECTOR_SHIFT);
	io_uring_sqe_set_data64(sqe, blk_tag(BLK_DONE, queue, r->head));
	blk->in_flight++;
}

/* False: the request is so wrong that it cannot even be answered. */
static bool start(struct blk *blk, unsigned int queue, struct blk_request *r)
{
	struct virtq *q = &blk->queues[queue].virtq;
	struct virtio_blk_outhdr header;

	r->status = cut_last_byte(&r->chain);
	if (!r->status || !cut_front(&r->chain, &header, sizeof(header)))
		return false;
	q->stats.requests++;
	r->busy = true;
	r->type = header.type;
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_FLUSH:
		submit(blk, queue, r, header.sector);
		break;
	case VIRTIO_BLK_T_GET_ID:
		give_id(blk, q, r);
		break;
	default:
		finish(blk, q, r, VIRTIO_BLK_S_UNSUPP, 0);
	}
	return true;
}

void blk_take(struct blk *blk, unsigned int queue)
{
	struct blk_queue *bq = &blk->queues[queue];
	struct blk_request *r;
	int head;

	while (bq->virtq.running) {
		head = virtq_pop(&bq->virtq);
		if (head == VIRTQ_EMPTY)
			return;
		r = head == VIRTQ_BROKEN ? NULL : &bq->requests[head];
		/* A head may not be used again before it has been handed back. */
		if (!r || r->busy ||
		    !virtq_read_chain(&bq->virtq, blk->vm, head, &r->chain) ||
		    !start(blk, queue, r))
			break_device(blk);
	}
}

void blk_complete(struct blk *blk, unsigned int queue, unsigned int head,
		  int32_t result)
{
	struct blk_queue *bq = &blk->queues[queue];
	struct blk_request *r = &bq->requests[head];
	struct virtq *q = &bq->virtq;
	bool ok = result >= 0 && (uint32_t)result == r->len;

	if (ok && r->type == VIRTIO_BLK_T_IN)
		q->stats.bytes_read += r->len;
	if (ok && r->type == VIRTIO_BLK_T_OUT)
		q->stats.bytes_written += r->len;
	if (!--blk->in_flight)
		pthread_cond_broadcast(&blk->idle);
	if (!q->running) { /* reset meanwhile: the driver has forgotten it */
		r->busy = false;
		return;
	}
	finish(blk, q, r, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
	       ok && r->type == VIRTIO_BLK_T_IN ? r->len : 0);
}

static bool call_driver(struct blk *blk, const struct virtq *q)
{
	if (intx_raise(blk->intx))
		return true;
	if (q->vector == VIRTIO_MSI_NO_VECTOR)
		return false;
	msix_raise(blk->msix, q->vector);
	return true;
}

void blk_call(struct blk *blk)
{
	struct virtq *q;
	unsigned int i;

	for (i = 0; i < blk->count; i++) {
		q = &blk->queues[i].virtq;
		if (!q->completed || !q->running)
			continue;
		q->completed = false;
		if (virtq_wants_call(q) && call_driver(blk, q))
			q->stats.calls++;
	}
}
