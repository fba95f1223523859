/* SPDX-License-Identifier: GPL-2.0 */
/* Split virtqueues, seen from the device. */
#ifndef VIRTQ_H
#define VIRTQ_H

#include <linux/virtio_ring.h>
#include <sys/uio.h>

#include "notify.h"

#define MAX_QUEUES 8
#define QUEUE_SIZE 128 /* the most that a driver can choose */

enum {
	VIRTQ_DESC,
	VIRTQ_AVAIL,
	VIRTQ_USED,
	VIRTQ_AREAS,
};

/**
 * struct virtq_stats - what a queue has done, over all resets
 * @kicks: times that its eventfd was read
 * @kick_sum: sum of the counts read
 * @requests: requests taken from the driver
 * @bytes_read: from the disk
 * @bytes_written: to the disk
 * @calls: interrupts raised
 */
struct virtq_stats {
	uint64_t kicks;
	uint64_t kick_sum;
	uint64_t requests;
	uint64_t bytes_read;
	uint64_t bytes_written;
	uint64_t calls;
};

/**
 * struct virtq - a virtqueue
 * @size: entries, as the driver has chosen
 * @enabled: the driver has set it up
 * @area: guest physical addresses of the three areas, from the driver
 * @vector: MSI-X vector, VIRTIO_MSI_NO_VECTOR for none
 * @last_vector: the last one that was not VIRTIO_MSI_NO_VECTOR
 * @doorbell: the driver's kick
 * @running: requests may be taken; from here on for the I/O thread, under
 *	blk.lock
 * @desc: and
 * @avail: and
 * @used: the three areas
 * @avail_idx: next entry of @avail to take
 * @used_idx: next entry of @used to fill
 * @completed: requests have been completed since the last call
 * @stats: counters
 */
struct virtq {
	uint16_t size;
	bool enabled;
	uint64_t area[VIRTQ_AREAS];
	uint16_t vector;
	uint16_t last_vector;
	struct doorbell doorbell;

	bool running;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx;
	uint16_t used_idx;
	bool completed;
	struct virtq_stats stats;
};

/**
 * struct virtq_chain - a request: a chain of buffers
 * @out: number of buffers that the device reads; they come first
 * @in: number of buffers that the device writes
 * @iov: the buffers
 */
struct virtq_chain {
	unsigned int out;
	unsigned int in;
	struct iovec iov[QUEUE_SIZE];
};

/** virtq_start() - false: the areas are not in RAM or not aligned */
bool virtq_start(struct virtq *q, const struct vm *vm);

/* The driver has put nothing into the queue, or has broken the rules. */
enum {
	VIRTQ_EMPTY = -1,
	VIRTQ_BROKEN = -2,
};

/** virtq_pop() - take the next chain: its head, or one of the above */
int virtq_pop(struct virtq *q);

/** virtq_read_chain() - false: the driver has broken the rules */
bool virtq_read_chain(const struct virtq *q, const struct vm *vm,
		      unsigned int head, struct virtq_chain *chain);

/** virtq_push() - hand a chain back, @len bytes written to it */
void virtq_push(struct virtq *q, unsigned int head, uint32_t len);

/** virtq_wants_call() - after virtq_push(): does the driver want an interrupt? */
bool virtq_wants_call(const struct virtq *q);

#endif /* VIRTQ_H */
