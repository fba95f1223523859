// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM itself has on the buses that kvmfd edits: it keeps working while kvmfd's
 * doorbells come and go around it, and comes and goes as without them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

#define PAGE 4096

#define IOAPIC          0xfec00000ULL
#define IOAPIC_SIZE     0x100
#define IOAPIC_REGISTER IOAPIC
#define IOAPIC_WINDOW   (IOAPIC + 0x10)
#define IOAPIC_ROUTES   0x10
#define IOAPIC_PINS     KVM_IOAPIC_NUM_PINS

#define PIC_MASTER 0x20
#define PIC_MASK   0x21
#define PIC_SLAVE  0xa0
#define PIC_LEVELS 0x4d0

#define ZONE      (GUEST_MMIO_BASE + 0x100)
#define ZONE_PORT 0x3000
#define ZONE_SIZE 16

#define THEIR_ADDR (GUEST_MMIO_BASE + 0x200)
#define THEIR_PORT 0x4000

/* So often each neighbour is used while others edit the buses. */
#define ROUNDS 150

FIXTURE(neighbours)
{
	struct guest guest;
	int fd;
	int ours, theirs;
	struct kvm_coalesced_mmio_ring *ring;
};

static int zone(struct guest *guest, unsigned long request, uint64_t addr, bool pio)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = ZONE_SIZE, .pio = pio };

	return do_ioctl(guest->vm->fd, request, &zone);
}

static int zones(struct guest *guest, unsigned long request)
{
	return zone(guest, request, ZONE, false) ?: zone(guest, request, ZONE_PORT, true);
}

/* KVM's own doorbells. */
static int their_doorbells(struct guest *guest, int efd, uint32_t flags)
{
	int fd = guest->vm->fd;
	int err = ioeventfd(fd, efd, THEIR_ADDR, 4, flags, 0);

	return err ?: ioeventfd(fd, efd, THEIR_PORT, 2, PIO | DATAMATCH | flags, 7);
}

FIXTURE_SETUP(neighbours)
{
	struct kvm_vm *vm;
	char *run;

	guest_create(&self->guest);
	vm = self->guest.vm;
	virt_map(vm, IOAPIC - PAGE, IOAPIC - PAGE, 2);
	run = (char *)self->guest.vcpu->run;
	self->ring = (void *)(run + kvm_check_cap(KVM_CAP_COALESCED_MMIO) * PAGE);
	self->fd = device_open_attached(vm->fd);
	self->ours = new_eventfd();
	self->theirs = new_eventfd();
	ASSERT_EQ(0, zones(&self->guest, KVM_REGISTER_COALESCED_MMIO));
	ASSERT_EQ(0, their_doorbells(&self->guest, self->theirs, 0));
}

FIXTURE_TEARDOWN(neighbours)
{
	close(self->fd);
	close(self->ours);
	close(self->theirs);
	kvm_vm_free(self->guest.vm);
}

/* --- uses of KVM's devices, each of which says whether it was served ----- */

struct neighbours {
	struct guest *guest;
	struct kvm_coalesced_mmio_ring *ring;
	int efd;
};

/* A masked route, of another vector each time, is written and read back. */
static bool use_ioapic(struct neighbours *n, unsigned int round)
{
	uint32_t route = 1 << 16 | (0x20 + round % 0xc0), value;

	return !guest_write(n->guest, SPACE_MMIO, IOAPIC_REGISTER, 4,
			    IOAPIC_ROUTES + 2 * (round % IOAPIC_PINS)) &&
	       !guest_write(n->guest, SPACE_MMIO, IOAPIC_WINDOW, 4, route) &&
	       !guest_read(n->guest, SPACE_MMIO, IOAPIC_WINDOW, &value) && value == route;
}

static bool use_pic(struct neighbours *n, unsigned int round)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	if (guest_write(n->guest, SPACE_PIO, PIC_MASK, 1, round & 0xff))
		return false;
	vm_ioctl(n->guest->vm, KVM_GET_IRQCHIP, &chip);
	return chip.chip.pic.imr == (round & 0xff);
}

/* The write waits in the ring for user space, which has not been woken for it. */
static bool use_zone(struct neighbours *n, bool pio, uint64_t addr, uint32_t value)
{
	const struct kvm_coalesced_mmio *entry = &n->ring->coalesced_mmio[n->ring->first];
	unsigned int exits;
	bool served;

	exits = guest_write(n->guest, pio ? SPACE_PIO : SPACE_MMIO, addr, 4, value);
	served = !exits && n->ring->last != n->ring->first && entry->phys_addr == addr &&
		 entry->len == 4 && *(uint32_t *)entry->data == value &&
		 entry->pio == pio;
	n->ring->first = n->ring->last;
	return served;
}

static bool use_mmio_zone(struct neighbours *n, unsigned int round)
{
	return use_zone(n, false, ZONE + round % (ZONE_SIZE - 3), round);
}

static bool use_pio_zone(struct neighbours *n, unsigned int round)
{
	return use_zone(n, true, ZONE_PORT + round % (ZONE_SIZE - 3), round);
}

static bool use_mmio_doorbell(struct neighbours *n, unsigned int round)
{
	return !guest_write(n->guest, SPACE_MMIO, THEIR_ADDR, 4, round) &&
	       eventfd_take(n->efd) == 1;
}

static bool use_pio_doorbell(struct neighbours *n, unsigned int round)
{
	return !guest_write(n->guest, SPACE_PIO, THEIR_PORT, 2, 7) && eventfd_take(n->efd) == 1;
}

/* What can be taken away. */
enum group {
	NOTHING,
	ZONE_GROUP,
	DOORBELL_GROUP,
};

static const struct {
	const char *name;
	bool (*use)(struct neighbours *n, unsigned int round);
	enum group group;
} uses[] = {
	{ "IOAPIC", use_ioapic },
	{ "PIC", use_pic },
	{ "coalesced MMIO zone", use_mmio_zone, ZONE_GROUP },
	{ "coalesced PIO zone", use_pio_zone, ZONE_GROUP },
	{ "KVM's MMIO doorbell", use_mmio_doorbell, DOORBELL_GROUP },
	{ "KVM's PIO doorbell", use_pio_doorbell, DOORBELL_GROUP },
};

/* All are used; those that are @gone must not serve. */
static void expect_served(struct __test_metadata *_metadata, struct neighbours *n,
			  unsigned int round, enum group gone)
{
	bool expected, served;
	int i;

	for (i = 0; i < ARRAY_SIZE(uses); i++) {
		expected = gone == NOTHING || uses[i].group != gone;
		served = uses[i].use(n, round);
		EXPECT_EQ(expected, served);
		if (served != expected)
			TH_LOG("%s, round %u", uses[i].name, round);
	}
}

/* --- kvmfd's doorbells around them --------------------------------------- */

/*
 * Each touches a device of KVM's, in front of it or behind.  But none of length 0 is
 * where one ends that KVM registers anew: KVM would put that behind it, and then not
 * find it, as it does where the doorbell is KVM's (docs/abi.md, where KVM misses).
 */
static const struct place {
	enum space space;
	uint64_t addr;
	uint32_t len;
	bool datamatch;
} places[] = {
	{ SPACE_MMIO, IOAPIC - 8, 8 },
	{ SPACE_MMIO, IOAPIC + IOAPIC_SIZE, 0 },
	{ SPACE_MMIO, ZONE - 4, 4 },
	{ SPACE_MMIO, ZONE + ZONE_SIZE, 4, true },
	{ SPACE_MMIO, THEIR_ADDR - 2, 2 },
	{ SPACE_MMIO, THEIR_ADDR + 4, 8 },
	{ SPACE_MMIO, THEIR_ADDR + 32, 0 },
	{ SPACE_PIO, PIC_MASTER - 1, 1 },
	{ SPACE_PIO, PIC_MASTER + 2, 4, true },
	{ SPACE_PIO, PIC_SLAVE - 2, 2 },
	{ SPACE_PIO, PIC_SLAVE + 2, 0 },
	{ SPACE_PIO, PIC_LEVELS - 4, 4 },
	{ SPACE_PIO, ZONE_PORT - 1, 1, true },
	{ SPACE_PIO, ZONE_PORT + ZONE_SIZE, 4 },
	{ SPACE_PIO, THEIR_PORT - 2, 2 },
	{ SPACE_PIO, THEIR_PORT + 2, 2, true },
};

#define PLACES ARRAY_SIZE(places)
#define VALUE  5

/* A fixed order that looks like none; the step and PLACES have no common factor. */
static const struct place *scrambled(int i)
{
	return &places[i * 7 % PLACES];
}

static int place_call(int fd, int efd, const struct place *p, uint32_t flags)
{
	if (p->space == SPACE_PIO)
		flags |= PIO;
	if (p->datamatch)
		flags |= DATAMATCH;
	return ioeventfd(fd, efd, p->addr, p->len, flags, VALUE);
}

static bool place_rings(struct guest *guest, int efd, const struct place *p)
{
	return !guest_write(guest, p->space, p->addr, p->len ?: 4, VALUE) &&
	       eventfd_take(efd) == 1;
}

#define NEIGHBOURS                     \
	(&(struct neighbours) {        \
		.guest = &self->guest, \
		.ring = self->ring,    \
		.efd = self->theirs,   \
	})

TEST_F(neighbours, serve_while_doorbells_come_and_go)
{
	int i, j;

	for (i = 0; i < PLACES; i++) {
		ASSERT_EQ(0, place_call(self->fd, self->ours, scrambled(i), 0));
		for (j = 0; j <= i; j++)
			EXPECT_TRUE(place_rings(&self->guest, self->ours, scrambled(j)));
		expect_served(_metadata, NEIGHBOURS, i, NOTHING);
	}
	for (i = 0; i < PLACES; i++) {
		ASSERT_EQ(0, place_call(self->fd, self->ours, scrambled(i), DEASSIGN));
		for (j = 0; j < PLACES; j++)
			EXPECT_EQ(j > i, place_rings(&self->guest, self->ours, scrambled(j)));
		expect_served(_metadata, NEIGHBOURS, i, NOTHING);
	}

	/* And when they go all at once. */
	for (i = 0; i < PLACES; i++)
		ASSERT_EQ(0, place_call(self->fd, self->ours, scrambled(i), 0));
	close(self->fd);
	expect_served(_metadata, NEIGHBOURS, 0, NOTHING);
	self->fd = device_open();
}

TEST_F(neighbours, come_and_go_while_doorbells_stay)
{
	unsigned int round;
	int i;

	for (i = 0; i < PLACES; i++)
		ASSERT_EQ(0, place_call(self->fd, self->ours, scrambled(i), 0));

	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, zones(&self->guest, KVM_UNREGISTER_COALESCED_MMIO));
		expect_served(_metadata, NEIGHBOURS, round, ZONE_GROUP);
		ASSERT_EQ(0, zones(&self->guest, KVM_REGISTER_COALESCED_MMIO));

		ASSERT_EQ(0, their_doorbells(&self->guest, self->theirs, DEASSIGN));
		expect_served(_metadata, NEIGHBOURS, round, DOORBELL_GROUP);
		EXPECT_EQ(ENOENT, their_doorbells(&self->guest, self->theirs, DEASSIGN));
		ASSERT_EQ(0, their_doorbells(&self->guest, self->theirs, 0));
		EXPECT_EQ(EEXIST, their_doorbells(&self->guest, self->theirs, 0));

		expect_served(_metadata, NEIGHBOURS, round, NOTHING);
		for (i = 0; i < PLACES; i++)
			EXPECT_TRUE(place_rings(&self->guest, self->ours, &places[i]));
	}
}

/* --- at the same time ---------------------------------------------------- */

/* Edits the buses until it is told to stop. */
struct editor {
	void (*edit)(struct editor *e);
	struct guest *guest;
	int fd, efd;
	atomic_bool stop;
	atomic_uint rounds;
	pthread_t thread;
};

static void edit_ours(struct editor *e)
{
	int i, err = 0;

	for (i = 0; i < PLACES && !err; i++)
		err = place_call(e->fd, e->efd, scrambled(i), 0);
	for (i = 0; i < PLACES && !err; i++)
		err = place_call(e->fd, e->efd, scrambled(i), DEASSIGN);
	TEST_ASSERT(!err, "kvmfd's doorbell: %s", strerror(err));
}

#define MORE_ZONES     (ZONE + 0x1000)
#define MORE_DOORBELLS (THEIR_ADDR + 0x1000)

static int zone_and_doorbell(struct editor *e, int i, unsigned long request,
			     uint32_t flags)
{
	int err = zone(e->guest, request, MORE_ZONES + 32 * i, false);

	return err ?: ioeventfd(e->guest->vm->fd, e->efd, MORE_DOORBELLS + 8 * i, 0, flags, 0);
}

static void edit_theirs(struct editor *e)
{
	int i, err = 0;

	for (i = 0; i < 4 && !err; i++)
		err = zone_and_doorbell(e, i, KVM_REGISTER_COALESCED_MMIO, 0);
	for (i = 0; i < 4 && !err; i++)
		err = zone_and_doorbell(e, i, KVM_UNREGISTER_COALESCED_MMIO, DEASSIGN);
	TEST_ASSERT(!err, "KVM's zone or doorbell: %s", strerror(err));
}

static void *editor_thread(void *arg)
{
	struct editor *e = arg;

	do {
		e->edit(e);
		e->rounds++;
	} while (!e->stop);
	return NULL;
}

static void editor_start(struct editor *e)
{
	int err = pthread_create(&e->thread, NULL, editor_thread, e);

	TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
}

static unsigned int editor_stop(struct editor *e)
{
	e->stop = true;
	pthread_join(e->thread, NULL);
	return e->rounds;
}

TEST_F(neighbours, serve_while_others_edit)
{
	struct editor ours = { .edit = edit_ours, .fd = self->fd, .efd = self->ours };
	struct editor theirs = { .edit = edit_theirs, .guest = &self->guest, .efd = self->ours };
	unsigned int round, edits;

	editor_start(&ours);
	for (round = 0; round < ROUNDS; round++)
		expect_served(_metadata, NEIGHBOURS, round, NOTHING);

	/* KVM, too: an array that kvmfd has prepared can be too small when it comes to it. */
	editor_start(&theirs);
	for (; round < 2 * ROUNDS; round++)
		expect_served(_metadata, NEIGHBOURS, round, NOTHING);

	edits = editor_stop(&ours);
	TH_LOG("%u edits of kvmfd's, %u of KVM's", edits, editor_stop(&theirs));
	EXPECT_EQ(0, eventfd_take(self->ours));
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
}

TEST_HARNESS_MAIN
