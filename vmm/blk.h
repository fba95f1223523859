/* SPDX-License-Identifier: GPL-2.0 */
/* The disk: virtio block requests served by one I/O thread with io_uring. */
#ifndef BLK_H
#define BLK_H

#include <liburing.h>

#include "intx.h"
#include "msix.h"
#include "virtq.h"

/**
 * struct blk_request - a request of the driver's
 * @head: of its chain, and its place in blk_queue.requests
 * @busy: it has been taken and not been handed back
 * @chain: its buffers; header and status byte are cut off
 * @status: where its result goes
 * @type: VIRTIO_BLK_T_*
 * @len: bytes of data
 */
struct blk_request {
	uint16_t head;
	bool busy;
	struct virtq_chain chain;
	uint8_t *status;
	uint32_t type;
	uint32_t len;
};

/**
 * struct blk_queue - a virtqueue and its requests
 * @virtq: the queue
 * @requests: one for each descriptor that a chain can begin with
 */
struct blk_queue {
	struct virtq virtq;
	struct blk_request requests[QUEUE_SIZE];
};

/**
 * struct blk - the disk
 * @vm: the machine
 * @intx: takes the calls if the driver
 * @msix: has not enabled this
 * @fd: the image
 * @capacity: in sectors of 512 bytes
 * @count: number of queues
 * @queues: the queues
 * @ring: the I/O thread's
 * @thread: the I/O thread
 * @stop_fd: eventfd that ends the I/O thread
 * @lock: of the running queues and of what follows
 * @idle: @in_flight has become 0
 * @in_flight: requests that the host's kernel has
 * @stopping: the I/O thread is to end
 * @broken: the driver has broken the rules: nothing goes on before a reset
 * @errors: requests that ended with VIRTIO_BLK_S_IOERR
 */
struct blk {
	struct vm *vm;
	struct intx *intx;
	struct msix *msix;
	int fd;
	uint64_t capacity;
	unsigned int count;
	struct blk_queue *queues;
	struct io_uring ring;
	pthread_t thread;
	int stop_fd;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned int in_flight;
	bool stopping;
	bool broken;
	uint64_t errors;
};

void blk_open(struct blk *blk, struct vm *vm, struct intx *intx, struct msix *msix,
	      struct notify *notify, const char *path, unsigned int queues);

/** blk_start_io() - start the I/O thread */
void blk_start_io(struct blk *blk);

/** blk_stop_io() - after blk_reset(), the doorbells off: end the I/O thread */
void blk_stop_io(struct blk *blk);

/** blk_activate() - the driver is ready: take requests from its enabled queues */
void blk_activate(struct blk *blk);

/** blk_reset() - stop taking requests; returns when none is in flight */
void blk_reset(struct blk *blk);

bool blk_needs_reset(struct blk *blk);
void blk_set_vector(struct blk *blk, struct virtq *q, uint16_t vector);

/* blk_request.c: all with blk.lock held, in the I/O thread */

/** blk_take() - take all requests of a queue */
void blk_take(struct blk *blk, unsigned int queue);

/** blk_complete() - the host's kernel has finished a request */
void blk_complete(struct blk *blk, unsigned int queue, unsigned int head,
		  int32_t result);

/** blk_call() - raise the interrupts of the requests completed */
void blk_call(struct blk *blk);

/** blk_sqe() - an entry for io_uring whose completion comes back with the ids */
enum blk_event {
	BLK_KICK,
	BLK_DONE,
	BLK_RESAMPLE,
	BLK_STOP,
};

struct io_uring_sqe *blk_sqe(struct blk *blk);
uint64_t blk_tag(enum blk_event event, unsigned int queue, unsigned int head);

#endif /* BLK_H */
