// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resample with a guest that runs and irqfds that come and go meanwhile: no
 * interrupt is lost, and nothing is told to those who have gone.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "level.h"

#define ROUNDS 200

FIXTURE(races)
{
	struct level level;
};

FIXTURE_VARIANT(races)
{
	bool kvmfd;
};

FIXTURE_VARIANT_ADD(races, kvmfd) { .kvmfd = true };
FIXTURE_VARIANT_ADD(races, kvm) { .kvmfd = false };

FIXTURE_SETUP(races)
{
	level_setup(&self->level, variant->kvmfd);
}

FIXTURE_TEARDOWN(races)
{
	level_teardown(&self->level);
}

struct device {
	pthread_t thread;
	int fd;
	struct source source;
	/* Set by the device when it has finished. */
	bool done;
	const char *error;
};

static bool wait_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, PATIENCE_MS) == 1;
}

static void device_start(struct device *device, int fd, void *(*run)(void *))
{
	int err;

	device->fd = fd;
	device->source = new_source();
	err = pthread_create(&device->thread, NULL, run, device);
	TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
}

static bool device_done(struct device *device)
{
	return __atomic_load_n(&device->done, __ATOMIC_ACQUIRE);
}

static void *device_finish(struct device *device, const char *error)
{
	device->error = error;
	__atomic_store_n(&device->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Wants an interrupt again as soon as one has ended. */
static void *want_interrupts(void *arg)
{
	struct device *device = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		eventfd_ring(device->source.call);
		if (!wait_readable(device->source.resample))
			return device_finish(device, "an end was not told");
		if (eventfd_take(device->source.resample) != 1)
			return device_finish(device, "an end was told twice");
	}
	return device_finish(device, NULL);
}

/* Comes, wants one interrupt, sees its end, and goes. */
static void *come_and_go(void *arg)
{
	struct device *device = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (assign(device->fd, &device->source, PIN))
			return device_finish(device, "assign failed");
		eventfd_ring(device->source.call);
		if (!wait_readable(device->source.resample))
			return device_finish(device, "an end was not told");
		if (deassign(device->fd, &device->source, PIN))
			return device_finish(device, "deassign failed");
		eventfd_take(device->source.resample);
	}
	return device_finish(device, NULL);
}

/* Goes without waiting for anything. */
static void *come_and_flee(void *arg)
{
	struct device *device = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (assign(device->fd, &device->source, PIN))
			return device_finish(device, "assign failed");
		eventfd_ring(device->source.call);
		sched_yield();
		if (deassign(device->fd, &device->source, PIN))
			return device_finish(device, "deassign failed");
	}
	return device_finish(device, NULL);
}

/* Runs the guest while they have something to do; counts the interrupts. */
static uint64_t run_devices(struct __test_metadata *_metadata, struct guest *guest,
			    struct device *devices, int nr)
{
	int i, done;

	do {
		for (i = 0, done = 0; i < nr; i++)
			done += device_done(&devices[i]);
		guest_take_interrupts(guest);
	} while (done < nr);

	for (i = 0; i < nr; i++) {
		pthread_join(devices[i].thread, NULL);
		close_source(&devices[i].source);
		EXPECT_EQ(NULL, devices[i].error)
		{
			TH_LOG("device %d: %s", i, devices[i].error);
		}
	}
	return guest_interrupts(guest, VECTOR);
}

TEST_F(races, no_interrupt_is_lost)
{
	struct device device = {};

	device_start(&device, self->level.fd, want_interrupts);
	ASSERT_EQ(0, assign(self->level.fd, &device.source, PIN));
	EXPECT_EQ(ROUNDS, run_devices(_metadata, &self->level.guest, &device, 1));
	EXPECT_FALSE(pin_is_up(&self->level.guest, PIN));
}

TEST_F(races, one_comes_and_goes)
{
	struct device device = {};

	device_start(&device, self->level.fd, come_and_go);
	EXPECT_LE(ROUNDS, run_devices(_metadata, &self->level.guest, &device, 1));
	EXPECT_FALSE(pin_is_up(&self->level.guest, PIN));
}

/* CVE-2024-26812: vfio dropped an eventfd that was about to be signalled. */
TEST_F(races, many_come_and_go)
{
	struct device devices[4] = {};

	device_start(&devices[0], self->level.fd, come_and_go);
	device_start(&devices[1], self->level.fd, come_and_flee);
	device_start(&devices[2], self->level.fd, come_and_go);
	device_start(&devices[3], self->level.fd, come_and_flee);
	run_devices(_metadata, &self->level.guest, devices, 4);
	EXPECT_FALSE(pin_is_up(&self->level.guest, PIN));
	if (variant->kvmfd)
		EXPECT_EQ(0, device_info(self->level.fd).nr_irqfds);
}

TEST_HARNESS_MAIN
