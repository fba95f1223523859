// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eviction: the VM's own process ends an attachment, whatever goes on with it.
 *
 * ROUNDS from the environment says how often the races are run.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"
#include "peer.h"

/* ROUNDS can be many: what hangs is ended by the test host. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 7200

#define ADDR   GUEST_MMIO_BASE
#define GSI    24
#define ROUNDS 50

/* The owner's and the supervisor's, each with the same numbers of the same files. */
static struct guest guest;
static int vm_fd;
static int device_fd;
static int kick;
static int call;
static struct source level;
static struct source many[4];

static int attach(void)
{
	return -kvmfd_attach_vm(device_fd, vm_fd, KVMFD_VM_FOREIGN, 0, NULL);
}

static int assign_all(int fd)
{
	int err = ioeventfd(fd, kick, ADDR, 0, 0, 0);

	if (!err)
		err = irqfd(fd, call, GSI, 0);
	if (!err)
		err = assign(fd, &level, PIN);
	return err;
}

static int deassign_all(int fd)
{
	int err = ioeventfd(fd, kick, ADDR, 0, KVM_IOEVENTFD_FLAG_DEASSIGN, 0);

	if (!err)
		err = irqfd(fd, call, GSI, KVM_IRQFD_FLAG_DEASSIGN);
	if (!err)
		err = deassign(fd, &level, PIN);
	return err;
}

static int assign_all_there(void)
{
	return assign_all(device_fd);
}

static int evict(void)
{
	return -kvmfd_evict(device_fd, vm_fd);
}

static int close_device(void)
{
	close(device_fd);
	device_fd = device_open();
	return 0;
}

static int tell_device(void)
{
	return device_fd;
}

/* Doorbell and irqfd of @fd do what they are for. */
static bool works(int fd)
{
	if (assign_all(fd) || guest_write(&guest, SPACE_MMIO, ADDR, 4, 0) ||
	    eventfd_take(kick) != 1)
		return false;
	eventfd_ring(call);
	guest_take_interrupts(&guest);
	return guest_interrupts(&guest, GUEST_VECTOR) == 1 && !deassign_all(fd);
}

FIXTURE(evicted)
{
	struct peer supervisor;
	unsigned int vms;
};

FIXTURE_SETUP(evicted)
{
	struct kvm_irq_routing_entry entries[] = {
		route_msi(GSI, 0, GUEST_VECTOR),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { KVM_IRQCHIP_IOAPIC, PIN },
		},
	};
	int i;

	self->vms = count_vms();
	guest_create(&guest);
	vm_fd = guest.vm->fd;
	guest_set_routing(&guest, entries, ARRAY_SIZE(entries));
	guest_take_interrupts(&guest);
	kick = new_eventfd();
	call = new_eventfd();
	level = new_source();
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = new_source();
	device_fd = device_open();
	self->supervisor = peer_start();
	ASSERT_EQ(0, peer_call(&self->supervisor, attach));
	ASSERT_EQ(0, peer_call(&self->supervisor, assign_all_there));
}

FIXTURE_TEARDOWN(evicted)
{
	close(device_fd);
	peer_kill(&self->supervisor);
	kvm_vm_free(guest.vm);
	EXPECT_EQ(self->vms, count_vms());
}

TEST_F(evicted, nothing_is_left)
{
	struct kvmfd_info info;
	struct kvmfd_entry entry;
	int any = device_open();

	EXPECT_EQ(0, guest_write(&guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, eventfd_take(kick));
	ASSERT_TRUE(raise_pin(&guest, &level, PIN));
	ASSERT_EQ(0, kvmfd_evict(any, vm_fd));

	EXPECT_EQ(1, guest_write(&guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(0, eventfd_take(kick));
	eventfd_ring(call);
	EXPECT_EQ(1, eventfd_take(call));
	EXPECT_FALSE(pin_is_up(&guest, PIN));

	info = device_info(device_fd);
	EXPECT_EQ(KVMFD_STATE_EVICTED, info.state);
	EXPECT_EQ(self->supervisor.pid, info.attacher);
	EXPECT_EQ(0, info.nr_ioeventfds);
	EXPECT_EQ(0, info.nr_irqfds);
	EXPECT_EQ(1, info.retired_hits);
	EXPECT_EQ(0, device_entries(device_fd, &entry, 1));
	close(any);
}

TEST_F(evicted, is_told)
{
	ASSERT_EQ(0, evict());
	EXPECT_EQ(ECONNRESET, peer_call(&self->supervisor, assign_all_there));
	EXPECT_EQ(ECONNRESET, deassign_all(device_fd));
	EXPECT_EQ(-ECONNRESET, kvmfd_batch(device_fd, NULL, 0, NULL));
	/* For its life, as after an attach that ended in another way. */
	EXPECT_EQ(EBUSY, peer_call(&self->supervisor, attach));
	EXPECT_EQ(ENOENT, evict());
}

TEST_F(evicted, does_not_stand_in_the_way)
{
	int ours = device_open();

	EXPECT_EQ(-EBUSY, kvmfd_attach_vm(ours, guest.vm->fd, 0, 0, NULL));
	ASSERT_EQ(0, evict());
	ASSERT_EQ(0, kvmfd_attach_vm(ours, guest.vm->fd, 0, 0, NULL));
	EXPECT_TRUE(works(ours));

	/* Nor do its last fds. */
	ASSERT_EQ(0, assign_all(ours));
	peer_kill(&self->supervisor);
	close(device_fd);
	ASSERT_EQ(0, deassign_all(ours));
	EXPECT_TRUE(works(ours));
	device_fd = ours;
	self->supervisor = peer_start();
}

TEST_F(evicted, by_its_own_process_too)
{
	close(device_fd);
	peer_kill(&self->supervisor);
	device_fd = device_open_attached(guest.vm->fd);
	EXPECT_EQ(0, evict());
	EXPECT_EQ(KVMFD_STATE_EVICTED, device_info(device_fd).state);
	self->supervisor = peer_start();
}

TEST_F(evicted, by_nobody_but_the_owner)
{
	EXPECT_EQ(EIO, peer_call(&self->supervisor, evict));
	EXPECT_EQ(EIO, in_another_process(evict));
	EXPECT_EQ(KVMFD_STATE_ATTACHED, device_info(device_fd).state);
	EXPECT_EQ(0, deassign_all(device_fd));
}

TEST_F(evicted, survives_the_vm)
{
	ASSERT_EQ(0, evict());
	peer_kill(&self->supervisor);
	kvm_vm_free(guest.vm);
	EXPECT_EQ(self->vms, count_vms());
	EXPECT_EQ(KVMFD_STATE_EVICTED, device_info(device_fd).state);
	guest_create(&guest);
	self->supervisor = peer_start();
}

/* The attachment is no more: another one, with another fd. */
static void supervise_anew(struct peer *supervisor)
{
	int err;

	peer_call(supervisor, close_device);
	close(device_fd);
	err = peer_call(supervisor, attach);
	TEST_ASSERT(!err, "attach: %s", strerror(err));
	device_fd = peer_fd(supervisor, peer_call(supervisor, tell_device));
}

static void nap(unsigned int most_us)
{
	struct timespec time = { .tv_nsec = rand() % most_us * 1000L };

	nanosleep(&time, NULL);
}

/* --- races ---------------------------------------------------------------- */

static int call_until_evicted(void)
{
	int err = 0;

	while (!err)
		err = deassign_all(device_fd) ?: assign_all(device_fd);
	return err;
}

static int batch_until_evicted(void)
{
	struct kvmfd_change changes[] = {
		{ .kind = KVMFD_ENTRY_IOEVENTFD, .addr = ADDR + 64, .len = 4, .fd = kick },
		{ .kind = KVMFD_ENTRY_IOEVENTFD, .addr = ADDR + 128, .len = 4, .fd = kick },
		{ .kind = KVMFD_ENTRY_IRQFD, .gsi = GSI, .fd = new_eventfd() },
	};
	int err = 0;

	while (!err) {
		err = -kvmfd_batch(device_fd, changes, ARRAY_SIZE(changes), NULL);
		changes[0].flags ^= KVM_IOEVENTFD_FLAG_DEASSIGN;
		changes[1].flags ^= KVM_IOEVENTFD_FLAG_DEASSIGN;
		changes[2].flags ^= KVM_IRQFD_FLAG_DEASSIGN;
	}
	close(changes[2].fd);
	return err;
}

/* Each time around the eventfd has an event, which an irqfd would turn into an interrupt. */
static int raise_until_evicted(void)
{
	int efd = new_eventfd(), err = 0;

	while (!err) {
		eventfd_ring(efd);
		err = irqfd(device_fd, efd, GSI, 0);
		if (!err)
			err = irqfd(device_fd, efd, GSI, KVM_IRQFD_FLAG_DEASSIGN);
	}
	close(efd);
	return err;
}

static void *resample_until_evicted(void *source)
{
	long err = 0;

	while (!err)
		err = assign(device_fd, source, PIN) ?: deassign(device_fd, source, PIN);
	return (void *)err;
}

/* Assigns wait for each other's deassigns.  What all threads were answered, or -1. */
static int many_until_evicted(void)
{
	pthread_t threads[ARRAY_SIZE(many)];
	void *err = NULL, *result;
	int i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		pthread_create(&threads[i], NULL, resample_until_evicted, &many[i]);
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		pthread_join(threads[i], &result);
		if (i && err != result)
			err = (void *)-1;
		else
			err = result;
	}
	return (long)err;
}

static int attach_and_close_often(void)
{
	int err, i;

	for (i = 0; i < 20; i++) {
		err = attach();
		TEST_ASSERT(!err || err == EBUSY, "attach: %s", strerror(err));
		close_device();
	}
	return 0;
}

static const peer_fn until_evicted[] = {
	call_until_evicted,
	batch_until_evicted,
	raise_until_evicted,
};

TEST_F(evicted, in_the_middle_of_a_call)
{
	unsigned int rounds = from_environment("ROUNDS", ROUNDS), i;
	int ours;

	for (i = 0; i < rounds; i++) {
		peer_begin(&self->supervisor, until_evicted[i % ARRAY_SIZE(until_evicted)]);
		nap(3000);
		ASSERT_EQ(0, evict());

		/* What was under way has no effect any more. */
		guest_take_interrupts(&guest);
		guest_interrupts(&guest, GUEST_VECTOR);
		ours = device_open_attached(guest.vm->fd);
		ASSERT_EQ(1, guest_write(&guest, SPACE_MMIO, ADDR, 4, 0));
		ASSERT_EQ(1, guest_write(&guest, SPACE_MMIO, ADDR + 64, 4, 0));
		eventfd_take(call);
		ASSERT_TRUE(works(ours));
		ASSERT_EQ(ECONNRESET, peer_end(&self->supervisor));
		guest_take_interrupts(&guest);
		ASSERT_EQ(0, guest_interrupts(&guest, GUEST_VECTOR));
		ASSERT_EQ(0, device_info(device_fd).nr_ioeventfds);
		ASSERT_EQ(0, device_info(device_fd).nr_irqfds);
		close(ours);

		supervise_anew(&self->supervisor);
		ASSERT_EQ(0, peer_call(&self->supervisor, assign_all_there));
	}
}

TEST_F(evicted, in_the_middle_of_irqfds)
{
	unsigned int rounds = from_environment("ROUNDS", ROUNDS), i, k;
	int ours;

	for (i = 0; i < rounds; i++) {
		peer_begin(&self->supervisor, many_until_evicted);
		nap(3000);
		ASSERT_EQ(0, evict());

		/* Their eventfds are free, and those that were under way leave them be. */
		ours = device_open_attached(vm_fd);
		for (k = 0; k < ARRAY_SIZE(many); k++)
			ASSERT_EQ(0, assign(ours, &many[k], PIN));
		ASSERT_EQ(ECONNRESET, peer_end(&self->supervisor));
		ASSERT_EQ(ARRAY_SIZE(many), device_info(ours).nr_irqfds);
		close(ours);

		supervise_anew(&self->supervisor);
	}
}

TEST_F(evicted, while_it_comes_and_goes)
{
	unsigned int rounds = from_environment("ROUNDS", ROUNDS), i, n = 0;
	int err, ours = device_open();

	close(device_fd);
	peer_call(&self->supervisor, close_device);
	device_fd = ours;
	for (i = 0; i < rounds; i++) {
		peer_begin(&self->supervisor, attach_and_close_often);
		err = evict();
		ASSERT_TRUE(!err || err == ENOENT);
		n += !err;
		nap(300);
		err = evict();
		ASSERT_TRUE(!err || err == ENOENT);
		n += !err;
		ASSERT_EQ(0, peer_end(&self->supervisor));
		ASSERT_EQ(ENOENT, evict());
	}
	TH_LOG("%u evictions in %u rounds", n, rounds);
	ASSERT_EQ(0, kvmfd_attach_vm(ours, guest.vm->fd, 0, 0, NULL));
	EXPECT_TRUE(works(ours));
}

static pthread_barrier_t start;

static void *evict_at_once(void *arg)
{
	int other = device_open();
	long err;

	pthread_barrier_wait(&start);
	err = -kvmfd_evict(other, vm_fd);
	close(other);
	return (void *)err;
}

static void *close_device_at_once(void *arg)
{
	pthread_barrier_wait(&start);
	close(device_fd);
	return NULL;
}

static void *close_vm_at_once(void *arg)
{
	pthread_barrier_wait(&start);
	kvm_vm_free(guest.vm);
	return NULL;
}

/* An eviction and two more at the same time.  Returns what it was answered. */
static int race_eviction(void *(*one)(void *), void *(*two)(void *))
{
	pthread_t threads[3];
	void *result;

	pthread_barrier_init(&start, NULL, 3);
	pthread_create(&threads[0], NULL, evict_at_once, NULL);
	pthread_create(&threads[1], NULL, one, NULL);
	pthread_create(&threads[2], NULL, two, NULL);
	pthread_join(threads[0], &result);
	pthread_join(threads[1], NULL);
	pthread_join(threads[2], NULL);
	pthread_barrier_destroy(&start);
	return (long)result;
}

TEST_F(evicted, twice_and_released)
{
	unsigned int rounds = from_environment("ROUNDS", ROUNDS), i;
	int err;

	peer_kill(&self->supervisor);
	for (i = 0; i < rounds; i++) {
		err = race_eviction(evict_at_once, close_device_at_once);
		ASSERT_TRUE(!err || err == ENOENT);
		device_fd = device_open_attached(guest.vm->fd);
		ASSERT_TRUE(works(device_fd));
		ASSERT_EQ(0, assign_all(device_fd));
	}
	self->supervisor = peer_start();
}

TEST_F(evicted, and_the_vm_closed)
{
	unsigned int rounds = from_environment("ROUNDS", ROUNDS), i;
	int err;

	peer_kill(&self->supervisor);
	for (i = 0; i < rounds; i++) {
		err = race_eviction(close_vm_at_once, close_device_at_once);
		ASSERT_TRUE(!err || err == ENOENT || err == EBADF);
		ASSERT_EQ(self->vms, count_vms());
		guest_create(&guest);
		vm_fd = guest.vm->fd;
		device_fd = device_open_attached(guest.vm->fd);
		ASSERT_EQ(0, assign_all(device_fd));
	}
	self->supervisor = peer_start();
}

TEST_HARNESS_MAIN
