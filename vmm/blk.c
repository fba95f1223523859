// SPDX-License-Identifier: GPL-2.0
/*
 * The disk's I/O thread.  It waits in one place, for kicks, for finished I/O and for
 * acknowledged interrupts alike: io_uring always polls the eventfd of each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "blk.h"

#define SECTOR       512
#define IDLE_SECONDS 30

/* What a completion is about goes through io_uring in its 64-bit user data. */
uint64_t blk_tag(enum blk_event event, unsigned int queue, unsigned int head)
{
	return (uint64_t)event << 32 | queue << 16 | head;
}

/*
 * Never NULL: the ring has room for all requests of all queues, their kicks, the
 * resample and the stop, each of which is there at most once.
 */
struct io_uring_sqe *blk_sqe(struct blk *blk)
{
	return io_uring_get_sqe(&blk->ring);
}

static void poll_fd(struct blk *blk, int fd, uint64_t tag)
{
	struct io_uring_sqe *sqe = blk_sqe(blk);

	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, tag);
}

static void poll_kick(struct blk *blk, unsigned int queue)
{
	poll_fd(blk, blk->queues[queue].virtq.doorbell.fd,
		blk_tag(BLK_KICK, queue, 0));
}

static void poll_resample(struct blk *blk)
{
	poll_fd(blk, blk->intx->call.resample_fd, blk_tag(BLK_RESAMPLE, 0, 0));
}

static void read_kick(struct virtq *q)
{
	eventfd_t count;

	if (!eventfd_read(q->doorbell.fd, &count)) {
		q->stats.kicks++;
		q->stats.kick_sum += count;
	}
}

/* The doorbells are off: what is in the eventfds now is the last of the count. */
static void handle_stop(struct blk *blk)
{
	unsigned int i;

	blk->stopping = true;
	for (i = 0; i < blk->count; i++)
		read_kick(&blk->queues[i].virtq);
}

static void handle_event(struct blk *blk, const struct io_uring_cqe *cqe)
{
	uint64_t tag = io_uring_cqe_get_data64(cqe);
	unsigned int queue = tag >> 16 & 0xffff;

	switch ((enum blk_event)(tag >> 32)) {
	case BLK_KICK:
		read_kick(&blk->queues[queue].virtq);
		blk_take(blk, queue);
		poll_kick(blk, queue);
		break;
	case BLK_DONE:
		blk_complete(blk, queue, tag & 0xffff, cqe->res);
		break;
	case BLK_RESAMPLE:
		intx_resample(blk->intx);
		poll_resample(blk);
		break;
	case BLK_STOP:
		handle_stop(blk);
		break;
	}
}

static void *io_thread(void *arg)
{
	struct blk *blk = arg;
	struct io_uring_cqe *cqe;
	unsigned int head, i, n;
	bool end = false;
	int err;

	poll_fd(blk, blk->stop_fd, blk_tag(BLK_STOP, 0, 0));
	poll_resample(blk);
	for (i = 0; i < blk->count; i++)
		poll_kick(blk, i);
	while (!end) {
		err = io_uring_submit_and_wait(&blk->ring, 1);
		if (err < 0 && err != -EINTR) {
			vm_stop(blk->vm, 1, "io_uring: %s", strerror(-err));
			break;
		}
		pthread_mutex_lock(&blk->lock);
		n = 0;
		io_uring_for_each_cqe(&blk->ring, head, cqe) {
			handle_event(blk, cqe);
			n++;
		}
		io_uring_cq_advance(&blk->ring, n);
		blk_call(blk);
		end = blk->stopping && !blk->in_flight;
		pthread_mutex_unlock(&blk->lock);
	}
	return NULL;
}

static void open_image(struct blk *blk, const char *path)
{
	uint64_t size;
	struct stat st;

	blk->fd = open(path, O_RDWR | O_CLOEXEC);
	if (blk->fd < 0 || fstat(blk->fd, &st))
		die("%s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(blk->fd, BLKGETSIZE64, &size))
			die("%s: cannot tell its size: %s", path,
			    strerror(errno));
	} else if (S_ISREG(st.st_mode)) {
		size = st.st_size;
	} else {
		die("%s: neither a file nor a block device", path);
	}
	blk->capacity = size / SECTOR;
	if (!blk->capacity)
		die("%s: smaller than a sector", path);
}

void blk_open(struct blk *blk, struct vm *vm, struct intx *intx, struct msix *msix,
	      struct notify *notify, const char *path, unsigned int queues)
{
	pthread_condattr_t attr;
	unsigned int i, head;
	int err;

	blk->vm = vm;
	blk->intx = intx;
	blk->msix = msix;
	blk->count = queues;
	pthread_mutex_init(&blk->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&blk->idle, &attr);
	open_image(blk, path);

	blk->queues = calloc(queues, sizeof(blk->queues[0]));
	if (!blk->queues)
		die("out of memory");
	for (i = 0; i < queues; i++) {
		doorbell_open(notify, &blk->queues[i].virtq.doorbell, i);
		blk->queues[i].virtq.last_vector = VIRTIO_MSI_NO_VECTOR;
		for (head = 0; head < QUEUE_SIZE; head++)
			blk->queues[i].requests[head].head = head;
	}
	blk->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (blk->stop_fd < 0)
		die("eventfd: %s", strerror(errno));
	err = io_uring_queue_init(queues * (QUEUE_SIZE + 1) + 2, &blk->ring, 0);
	if (err)
		die("io_uring: %s", strerror(-err));
}

void blk_start_io(struct blk *blk)
{
	int err = pthread_create(&blk->thread, NULL, io_thread, blk);

	if (err)
		die("cannot start the I/O thread: %s", strerror(err));
}

void blk_stop_io(struct blk *blk)
{
	eventfd_write(blk->stop_fd, 1);
	thread_join(blk->thread, "the disk's I/O");
}

void blk_activate(struct blk *blk)
{
	unsigned int i;

	pthread_mutex_lock(&blk->lock);
	for (i = 0; i < blk->count; i++)
		if (blk->queues[i].virtq.enabled &&
		    !virtq_start(&blk->queues[i].virtq, blk->vm))
			blk->broken = true;
	pthread_mutex_unlock(&blk->lock);
}

void blk_reset(struct blk *blk)
{
	struct timespec limit;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += IDLE_SECONDS;
	pthread_mutex_lock(&blk->lock);
	for (i = 0; i < blk->count; i++)
		blk->queues[i].virtq.running = false;
	while (blk->in_flight) {
		if (pthread_cond_timedwait(&blk->idle, &blk->lock, &limit)) {
			vm_stop(blk->vm, 1, "the disk has not finished its requests within %d s",
				IDLE_SECONDS);
			break;
		}
	}
	blk->broken = false;
	pthread_mutex_unlock(&blk->lock);
}

bool blk_needs_reset(struct blk *blk)
{
	bool broken;

	pthread_mutex_lock(&blk->lock);
	broken = blk->broken;
	pthread_mutex_unlock(&blk->lock);
	return broken;
}

void blk_set_vector(struct blk *blk, struct virtq *q, uint16_t vector)
{
	pthread_mutex_lock(&blk->lock);
	q->vector = vector;
	if (vector != VIRTIO_MSI_NO_VECTOR)
		q->last_vector = vector;
	pthread_mutex_unlock(&blk->lock);
}
