// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "race.h"

#define DEASSIGN  KVM_IRQFD_FLAG_DEASSIGN
#define ADDR      GUEST_MMIO_BASE
#define BROADCAST 0xff

struct part {
	pthread_t thread;
	struct race *race;
	part_fn run;
	int cpu;
	unsigned int delay;
};

unsigned int race_knobs(struct race *race)
{
	unsigned int seed = from_environment("SEED", time(NULL));

	srand(seed);
	race->rounds = from_environment("ROUNDS", 60);
	return seed;
}

/* On a CPU of its own, as far as there are so many. */
static void *part_thread(void *arg)
{
	struct part *part = arg;
	struct race *race = part->race;
	volatile unsigned int delay;

	stay_on_cpu(part->cpu);
	__atomic_sub_fetch(&race->missing, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&race->missing, __ATOMIC_ACQUIRE))
		sched_yield();
	for (delay = part->delay; delay; delay--)
		;
	race->err[part->cpu] = part->run(race);
	return NULL;
}

void race_run(struct race *race, const part_fn *parts, int n)
{
	struct part threads[MAX_PARTS];
	int i, err;

	race->missing = n;
	for (i = 0; i < n; i++) {
		threads[i] = (struct part) {
			.race = race,
			.run = parts[i],
			.cpu = i,
			.delay = rand() % 4096,
		};
		err = pthread_create(&threads[i].thread, NULL, part_thread, &threads[i]);
		TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
	}
	for (i = 0; i < n; i++)
		pthread_join(threads[i].thread, NULL);
}

void race_set_routes(struct race *race, unsigned int vector)
{
	struct kvm_irq_routing_entry routes[] = {
		route_msi(GSI, 0, vector),
		route_msi(OTHER_GSI, BROADCAST, vector),
	};

	guest_set_routing(&race->guest, routes, ARRAY_SIZE(routes));
}

void race_setup(struct race *race, bool kvmfd)
{
	guest_create(&race->guest);
	race->fd = kvmfd ? device_open_attached(race->guest.vm->fd) : race->guest.vm->fd;
	race->efd = new_eventfd();
	race->spare = new_eventfd();
	race->gsi = GSI;
	race_set_routes(race, VECTOR);
	/* Its local APIC comes to life. */
	guest_take_interrupts(&race->guest);
}

void race_teardown(struct race *race)
{
	if (race->fd != race->guest.vm->fd)
		close(race->fd);
	close(race->efd);
	close(race->spare);
	kvm_vm_free(race->guest.vm);
}

uint64_t race_interrupts(struct race *race, unsigned int vector)
{
	guest_take_interrupts(&race->guest);
	return guest_interrupts(&race->guest, vector);
}

uint64_t race_calls(struct race *race)
{
	return device_counts(race->fd).calls;
}

/* --- parts ---------------------------------------------------------------- */

int do_assign(struct race *race)
{
	return irqfd(race->fd, race->efd, race->gsi, 0);
}

int do_deassign(struct race *race)
{
	return irqfd(race->fd, race->efd, race->gsi, DEASSIGN);
}

int do_assign_elsewhere(struct race *race)
{
	return irqfd(race->fd, race->efd, OTHER_GSI + 1, 0);
}

int do_signal_often(struct race *race)
{
	int i;

	for (i = 0; i < SIGNALS; i++)
		eventfd_ring(race->efd);
	return 0;
}

int do_signal_both_often(struct race *race)
{
	int i;

	for (i = 0; i < SIGNALS; i++) {
		eventfd_ring(race->efd);
		eventfd_ring(race->spare);
	}
	return 0;
}

int do_close_eventfd(struct race *race)
{
	if (race->round & 1)
		eventfd_ring(race->efd);
	close(race->efd);
	return 0;
}

int do_deassign_and_take(struct race *race)
{
	int err = do_deassign(race);

	race_interrupts(race, VECTOR);
	return err;
}

int do_change_routes(struct race *race)
{
	race_set_routes(race, VECTOR + !(race->round & 1));
	return 0;
}

static struct kvmfd_change change(int efd, uint32_t gsi, uint32_t flags)
{
	return (struct kvmfd_change) {
		.kind = KVMFD_ENTRY_IRQFD,
		.fd = efd,
		.gsi = gsi,
		.flags = flags,
	};
}

/* Changes of no effect, but they take time. */
#define FILLERS 200

/*
 * With much to do between the taking away and the giving back; and with a doorbell,
 * which comes and goes: KVM's bus is edited between the moment from which nothing can
 * fail any more and the one in which the irqfd is replaced.
 */
int do_batch_replace(struct race *race)
{
	struct kvmfd_change changes[FILLERS + 3];
	int i, err;

	changes[0] = change(race->efd, GSI, DEASSIGN);
	for (i = 1; i <= FILLERS; i++)
		changes[i] = change(race->spare, GSI, DEASSIGN);
	changes[i++] = change(race->efd, OTHER_GSI, 0);
	changes[i++] = (struct kvmfd_change) {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.fd = race->spare,
		.addr = ADDR,
		.len = 4,
		.flags = race->bell,
	};

	err = -kvmfd_batch(race->fd, changes, i, NULL);
	if (!err)
		race->bell ^= KVM_IOEVENTFD_FLAG_DEASSIGN;
	return err;
}

int do_batch_fail(struct race *race)
{
	const struct kvmfd_change changes[] = {
		change(race->efd, GSI, DEASSIGN),
		change(race->efd, OTHER_GSI, 0),
		change(race->spare, GSI, 0),
		change(-1, GSI, 0),
	};
	int i, err = EBADF;

	for (i = 0; i < SIGNALS && err == EBADF; i++)
		err = -kvmfd_batch(race->fd, changes, ARRAY_SIZE(changes), NULL);
	return err;
}
