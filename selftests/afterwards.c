// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of entries that are no more, and of an attachment that is over.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR   GUEST_MMIO_BASE
#define GSI    24
/* What is remembered. */
#define NEWEST 4096
/* The end of what a poll waits for, in ms. */
#define LIMIT  10000

FIXTURE(afterwards)
{
	struct guest guest;
	int fd;
	int kick;
	int call;
};

FIXTURE_SETUP(afterwards)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);

	guest_create(&self->guest);
	guest_set_routing(&self->guest, &entry, 1);
	self->kick = new_eventfd();
	self->call = new_eventfd();
	self->fd = device_open();
	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->guest.vm->fd, KVMFD_ATTACH_REMEMBER, 0, NULL));
	EXPECT_EQ(KVMFD_ATTACH_REMEMBER, device_info(self->fd).attach_flags);
}

FIXTURE_TEARDOWN(afterwards)
{
	close(self->fd);
	close(self->kick);
	close(self->call);
	kvm_vm_free(self->guest.vm);
}

/* Up to @n entries, on from where the last one was. */
#define LIST_REMOVED(n) kvmfd_list(self->fd, KVMFD_LIST_REMOVED, &cursor, entries, n)

static int doorbell(int fd, int kick, unsigned int i, uint32_t flags)
{
	return ioeventfd(fd, kick, ADDR + 8 * i, 4, KVM_IOEVENTFD_FLAG_DATAMATCH | flags, i);
}

static void use_all(struct __test_metadata *_metadata, FIXTURE_DATA(afterwards) * self)
{
	ASSERT_EQ(0, doorbell(self->fd, self->kick, 0, 0));
	ASSERT_EQ(0, doorbell(self->fd, self->kick, 1, 0));
	ASSERT_EQ(0, irqfd(self->fd, self->call, GSI, 0));
	ASSERT_EQ(0, guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 0, 3));
	ASSERT_EQ(0, guest_write_often(&self->guest, SPACE_MMIO, ADDR + 8, 4, 1, 5));
	eventfd_ring(self->call);
	eventfd_ring(self->call);
}

static bool is_doorbell(const struct kvmfd_entry *e, unsigned int i, uint64_t hits)
{
	return e->kind == KVMFD_ENTRY_IOEVENTFD && e->addr == ADDR + 8 * i && e->len == 4 &&
	       e->datamatch == i && e->hits == hits;
}

static bool is_irqfd(const struct kvmfd_entry *e, uint64_t calls)
{
	return e->kind == KVMFD_ENTRY_IRQFD && e->gsi == GSI &&
	       e->inline_calls + e->deferred_calls == calls;
}

TEST_F(afterwards, removed_one_by_one)
{
	struct kvmfd_entry entries[4];
	uint64_t cursor = 0;

	use_all(_metadata, self);
	EXPECT_EQ(0, LIST_REMOVED(4));
	EXPECT_EQ(0, cursor);

	ASSERT_EQ(0, doorbell(self->fd, self->kick, 1, KVM_IOEVENTFD_FLAG_DEASSIGN));
	ASSERT_EQ(1, LIST_REMOVED(4));
	EXPECT_TRUE(is_doorbell(&entries[0], 1, 5));
	EXPECT_EQ(2, entries[0].id);

	/* On from there; that one is known. */
	ASSERT_EQ(0, irqfd(self->fd, self->call, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	ASSERT_EQ(0, doorbell(self->fd, self->kick, 0, KVM_IOEVENTFD_FLAG_DEASSIGN));
	ASSERT_EQ(1, LIST_REMOVED(1));
	EXPECT_TRUE(is_irqfd(&entries[0], 2));
	EXPECT_EQ(2, cursor);
	ASSERT_EQ(1, LIST_REMOVED(4));
	EXPECT_TRUE(is_doorbell(&entries[0], 0, 3));

	/* That is not the list of those in being. */
	EXPECT_EQ(0, device_entries(self->fd, entries, 4));
}

TEST_F(afterwards, removed_by_close)
{
	struct pollfd poll_fd = { .fd = self->fd };
	struct kvmfd_entry entries[4];
	uint64_t cursor = 0;

	use_all(_metadata, self);
	/* A worker takes it away. */
	close(self->call);
	while (device_info(self->fd).nr_irqfds)
		ASSERT_EQ(0, poll(&poll_fd, 1, 1));
	ASSERT_EQ(1, LIST_REMOVED(4));
	EXPECT_TRUE(is_irqfd(&entries[0], 2));
}

/* The vCPU's file is also kept by the mapping of its run area. */
static void close_vcpu(struct guest *guest)
{
	munmap(guest->vcpu->run, ioctl(guest->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL));
	close(guest->vcpu->fd);
}

TEST_F(afterwards, vm_ends)
{
	struct pollfd poll_fd = { .fd = self->fd, .events = POLLIN };
	struct kvmfd_entry entries[4];
	uint64_t cursor = 0;

	use_all(_metadata, self);
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));

	/* The irqfd goes with the VM's file; the doorbells stay with the vCPU. */
	close(self->guest.vm->fd);
	EXPECT_EQ(KVMFD_STATE_GONE, device_info(self->fd).state);
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR, 4, 0));

	close_vcpu(&self->guest);
	ASSERT_EQ(1, poll(&poll_fd, 1, LIMIT));
	EXPECT_EQ(POLLHUP, poll_fd.revents);
	ASSERT_EQ(3, LIST_REMOVED(4));
	EXPECT_TRUE(is_irqfd(&entries[0], 2));
	EXPECT_TRUE(is_doorbell(&entries[1], 0, 4));
	EXPECT_TRUE(is_doorbell(&entries[2], 1, 5));

	/* For the teardown. */
	guest_create(&self->guest);
}

TEST_F(afterwards, nothing_was_there)
{
	struct pollfd poll_fd = { .fd = self->fd };

	close(self->guest.vm->fd);
	EXPECT_EQ(1, poll(&poll_fd, 1, LIMIT));
	EXPECT_EQ(POLLHUP, poll_fd.revents);
	close_vcpu(&self->guest);
	guest_create(&self->guest);
}

TEST_F(afterwards, evicted)
{
	struct pollfd poll_fd = { .fd = self->fd };
	struct kvmfd_entry entries[4];
	uint64_t cursor = 0;

	use_all(_metadata, self);
	ASSERT_EQ(0, kvmfd_evict(self->fd, self->guest.vm->fd));
	EXPECT_EQ(1, poll(&poll_fd, 1, 0));
	EXPECT_EQ(POLLHUP, poll_fd.revents);
	EXPECT_EQ(3, LIST_REMOVED(4));
}

/* Who polls in this way believes what a wake-up says. */
TEST_F(afterwards, aio_is_not_told_too_early)
{
	struct iocb poll = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = self->fd,
		.aio_buf = POLLIN,
	};
	struct timespec limit = { .tv_sec = LIMIT / 1000 }, now = {};
	struct iocb *polls[] = { &poll };
	aio_context_t context = 0;
	struct io_event event;

	ASSERT_EQ(0, syscall(SYS_io_setup, 1, &context));
	ASSERT_EQ(1, syscall(SYS_io_submit, context, 1, polls));
	ASSERT_EQ(0, doorbell(self->fd, self->kick, 0, 0));
	ASSERT_EQ(0, doorbell(self->fd, self->kick, 0, KVM_IOEVENTFD_FLAG_DEASSIGN));
	EXPECT_EQ(0, syscall(SYS_io_getevents, context, 1, 1, &event, &now));

	ASSERT_EQ(0, kvmfd_evict(self->fd, self->guest.vm->fd));
	ASSERT_EQ(1, syscall(SYS_io_getevents, context, 1, 1, &event, &limit));
	EXPECT_EQ(POLLHUP, event.res);
	EXPECT_EQ(0, syscall(SYS_io_destroy, context));
}

struct waiter {
	int fd;
	int revents;
	uint64_t left;
	atomic_int tid;
};

static void *wait_for_end(void *arg)
{
	struct waiter *w = arg;
	struct pollfd poll_fd = { .fd = w->fd };

	w->tid = gettid();
	if (poll(&poll_fd, 1, LIMIT) == 1)
		w->revents = poll_fd.revents;
	return NULL;
}

/* Until it sleeps in its poll(). */
static void await_waiter(const struct waiter *w)
{
	char path[64], state = 0;
	unsigned int tries;
	FILE *f;

	for (tries = 0; state != 'S'; tries++) {
		TEST_ASSERT(tries < LIMIT, "it does not wait");
		poll(NULL, 0, 1);
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", w->tid);
		f = fopen(path, "re");
		if (!f)
			continue;
		TEST_ASSERT(fscanf(f, "%*d (%*[^)]) %c", &state) == 1, "cannot read %s", path);
		fclose(f);
	}
}

FIXTURE(ends) {};

FIXTURE_VARIANT(ends)
{
	bool with_doorbell;
	bool evict;
};

FIXTURE_VARIANT_ADD(ends, empty) {};
FIXTURE_VARIANT_ADD(ends, with_doorbell) { .with_doorbell = true };
FIXTURE_VARIANT_ADD(ends, empty_evicted) { .evict = true };
FIXTURE_VARIANT_ADD(ends, with_doorbell_evicted) { .with_doorbell = true, .evict = true };

FIXTURE_SETUP(ends)
{
}

FIXTURE_TEARDOWN(ends)
{
}

/* Who waits already is woken. */
TEST_F(ends, while_polled)
{
	struct waiter waiter = { .fd = device_open() };
	struct guest guest;
	pthread_t thread;

	guest_create(&guest);
	ASSERT_EQ(0, kvmfd_attach_vm(waiter.fd, guest.vm->fd, 0, 0, NULL));
	if (variant->with_doorbell)
		ASSERT_EQ(0, doorbell(waiter.fd, new_eventfd(), 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wait_for_end, &waiter));
	await_waiter(&waiter);

	if (variant->evict) {
		ASSERT_EQ(0, kvmfd_evict(waiter.fd, guest.vm->fd));
		pthread_join(thread, NULL);
		kvm_vm_free(guest.vm);
	} else {
		kvm_vm_free(guest.vm);
		pthread_join(thread, NULL);
	}
	EXPECT_EQ(POLLHUP, waiter.revents);
	close(waiter.fd);
}

/* It takes a while to free them. */
#define MANY 2000

static void *watch_for_end(void *arg)
{
	struct waiter *w = arg;
	struct pollfd poll_fd = { .fd = w->fd };

	w->tid = gettid();
	while (!poll(&poll_fd, 1, 0))
		;
	w->left = device_info(w->fd).nr_ioeventfds;
	return NULL;
}

/* And not before. */
TEST_F(afterwards, nothing_is_left)
{
	static struct kvmfd_change changes[MANY];
	struct waiter waiter = { .fd = self->fd };
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < MANY; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.addr = ADDR + 8 * i,
			.len = 4,
			.fd = self->kick,
		};
	ASSERT_EQ(0, kvmfd_batch(self->fd, changes, MANY, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, watch_for_end, &waiter));
	while (!waiter.tid)
		sched_yield();
	ASSERT_EQ(0, kvmfd_evict(self->fd, self->guest.vm->fd));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, waiter.left);
}

TEST_F(afterwards, only_the_newest)
{
	/* Guests have a copy of what is static. */
	struct kvmfd_entry *entries = calloc(NEWEST + 1, sizeof(*entries));
	unsigned int i;
	uint64_t cursor = 0;

	ASSERT_NE(NULL, entries);
	for (i = 0; i < NEWEST + 10; i++) {
		ASSERT_EQ(0, doorbell(self->fd, self->kick, i % 2, 0));
		ASSERT_EQ(0, doorbell(self->fd, self->kick, i % 2,
				      KVM_IOEVENTFD_FLAG_DEASSIGN));
	}
	EXPECT_EQ(NEWEST, LIST_REMOVED(NEWEST + 1));
	EXPECT_EQ(NEWEST + 10, cursor);
	for (i = 0; i < NEWEST; i++)
		ASSERT_EQ(11 + i, entries[i].id);
	free(entries);
}

TEST(not_remembered)
{
	struct kvm_vm *vm = vm_create_barebones();
	int fd = device_open();
	struct kvmfd_entry entry;
	uint64_t cursor = 0;

	EXPECT_EQ(-ENOTCONN, kvmfd_list(fd, KVMFD_LIST_REMOVED, &cursor, &entry, 1));
	ASSERT_EQ(0, kvmfd_attach_vm(fd, vm->fd, 0, 0, NULL));
	EXPECT_EQ(0, device_info(fd).attach_flags);
	EXPECT_EQ(-ENODATA, kvmfd_list(fd, KVMFD_LIST_REMOVED, &cursor, &entry, 1));
	close(fd);
	kvm_vm_free(vm);
}

TEST_HARNESS_MAIN
