// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on demand: what is struck does not come, comes later, or twice, so often as was
 * asked for; and what is not struck comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "fail.h"
#include "guest.h"
#include "harness.h"
#include "user.h"

#define FAULTS     "/sys/kernel/debug/kvmfd/faults"
#define ADDR       (GUEST_MMIO_BASE + 0x1000)
#define GSI        24
#define VECTOR     (GUEST_VECTOR + 1)
#define MAX_FAULTS 64
#define MAX_HELD   64

FIXTURE(faults)
{
	struct guest guest;
	int fd;
	int efd;
	uint64_t attachment;
};

FIXTURE_SETUP(faults)
{
	if (access(FAULTS, F_OK))
		SKIP(return, "no debugfs");
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->attachment = device_info(self->fd).attachment;
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(faults)
{
	if (!self->attachment)
		return;
	close(self->efd);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

/* An errno. */
static int try_write(const char *path, const char *text)
{
	int err = 0, fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* An errno.  @how is "" or "!". */
static int ask(const char *how, uint64_t attachment, uint64_t id)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%lu:%lu\n", how, attachment, id);
	return try_write(FAULTS "/inject", text);
}

static void set(uint64_t attachment, uint64_t id, const char *knob, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "/%lu:%lu/%s", attachment, id, knob);
	file_write(path, value);
}

static long knob(uint64_t attachment, uint64_t id, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "/%lu:%lu/%s", attachment, id, name);
	return file_number(path);
}

/* What entry 1 does next comes, or comes again, after @ms. */
static void postpone(uint64_t attachment, const char *action, const char *ms)
{
	set(attachment, 1, "action", action);
	set(attachment, 1, "delay", ms);
	set(attachment, 1, "probability", "100");
}

/* The same when the fault ends, and not before. */
static void hold(uint64_t attachment, const char *action)
{
	postpone(attachment, action, "1000000");
}

#define SET(id, name, value)   set(self->attachment, id, name, value)
#define EXPECT_STRUCK(n, id)   EXPECT_EQ(n, knob(self->attachment, id, "struck"))
#define INJECT(id)             ASSERT_EQ(0, ask("", self->attachment, id))
#define RING()                 EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR, 4, 1))
#define EXPECT_SIGNALS(n, efd) EXPECT_EQ(n, eventfd_take(efd))

static bool await_signal(int efd)
{
	struct pollfd fd = { .fd = efd, .events = POLLIN };

	return poll(&fd, 1, PATIENCE_MS) == 1;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* One is struck, the next is not: that is how the knobs are at first, but for one. */
TEST_F(faults, drops_a_signal)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	RING();
	EXPECT_SIGNALS(1, self->efd);
	SET(1, "probability", "100");
	RING();
	EXPECT_SIGNALS(0, self->efd);
	EXPECT_STRUCK(1, 1);
	EXPECT_EQ(0, knob(self->attachment, 1, "times"));
	RING();
	EXPECT_SIGNALS(1, self->efd);
	EXPECT_STRUCK(1, 1);
	/* The guest has rung so often. */
	EXPECT_EQ(3, device_only_entry(self->fd).hits);
}

TEST_F(faults, of_one_doorbell)
{
	int other = new_eventfd();

	ASSERT_EQ(0, ioeventfd(self->fd, other, ADDR + 8, 4, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(2);
	SET(2, "probability", "100");
	SET(2, "times", "-1");
	guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 1, 5);
	guest_write_often(&self->guest, SPACE_MMIO, ADDR + 8, 4, 1, 7);
	EXPECT_SIGNALS(0, self->efd);
	EXPECT_SIGNALS(7, other);
	EXPECT_STRUCK(5, 2);
	close(other);
}

/* Every way in which a doorbell is found. */
TEST_F(faults, every_form)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, KVM_IOEVENTFD_FLAG_DATAMATCH, 1));
	ASSERT_EQ(0, masked_ioeventfd(self->fd, self->efd, ADDR, 4,
				      KVM_IOEVENTFD_FLAG_DATAMATCH, 0x20, 0xff0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 0x100, 0, 0, 0));
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, 0xe0, 2, KVM_IOEVENTFD_FLAG_PIO, 0));
	for (uint64_t id = 1; id <= 4; id++) {
		INJECT(id);
		SET(id, "probability", "100");
	}
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR, 4, 1));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR, 4, 0x2f));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_MMIO, ADDR + 0x100, 2, 7));
	EXPECT_EQ(0, guest_write(&self->guest, SPACE_PIO, 0xe0, 2, 7));
	for (uint64_t id = 1; id <= 4; id++)
		EXPECT_STRUCK(1, id);
	EXPECT_SIGNALS(0, self->efd);
}

TEST_F(faults, by_count)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	SET(1, "probability", "100");
	SET(1, "interval", "3");
	SET(1, "times", "4");
	guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 1, 30);
	EXPECT_STRUCK(4, 1);
	EXPECT_SIGNALS(26, self->efd);
}

/* Outside of this it is once in more than 10^9 runs. */
TEST_F(faults, by_probability)
{
	const int n = 1000;
	long struck;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	SET(1, "probability", "30");
	SET(1, "times", "-1");
	guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 1, n);
	struck = knob(self->attachment, 1, "struck");
	EXPECT_LE(210, struck);
	EXPECT_GE(390, struck);
	EXPECT_SIGNALS(n - struck, self->efd);
	EXPECT_EQ(-1, knob(self->attachment, 1, "times"));
}

TEST_F(faults, delays_a_signal)
{
	uint64_t begin;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	postpone(self->attachment, "delay", "200");
	SET(1, "times", "2");
	begin = now_ms();
	RING();
	RING();
	ASSERT_TRUE(await_signal(self->efd));
	/* A tick may have been about to come. */
	EXPECT_LE(begin + 190, now_ms());
	while (!eventfd_take(self->efd) || knob(self->attachment, 1, "struck") != 2)
		ASSERT_GT(begin + PATIENCE_MS, now_ms());
	RING();
	EXPECT_LE(1, eventfd_take(self->efd));
}

/* One comes when it is due, and the next one later, when that is. */
TEST_F(faults, delays_each)
{
	uint64_t begin;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	postpone(self->attachment, "delay", "50");
	SET(1, "times", "2");
	begin = now_ms();
	RING();
	SET(1, "delay", "1000");
	RING();
	ASSERT_TRUE(await_signal(self->efd));
	eventfd_take(self->efd);
	ASSERT_TRUE(await_signal(self->efd));
	EXPECT_LE(begin + 990, now_ms());
	EXPECT_SIGNALS(1, self->efd);
}

/* As many as can be held, and all of them due when the first is. */
TEST_F(faults, keep_the_order)
{
	uint64_t begin, signals;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	postpone(self->attachment, "delay", "1000");
	SET(1, "times", "-1");
	begin = now_ms();
	RING();
	SET(1, "delay", "0");
	guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 1, MAX_HELD - 1);
	signals = eventfd_take(self->efd);
	EXPECT_TRUE(!signals || begin + 990 <= now_ms());
	while (signals < MAX_HELD) {
		ASSERT_TRUE(await_signal(self->efd));
		signals += eventfd_take(self->efd);
	}
	EXPECT_LE(begin + 990, now_ms());
	EXPECT_STRUCK(MAX_HELD, 1);
	RING();
	ASSERT_TRUE(await_signal(self->efd));
	EXPECT_SIGNALS(1, self->efd);
}

/* What is delayed comes when the fault ends, and no more than is bounded is held. */
TEST_F(faults, ends_delays)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	hold(self->attachment, "delay");
	SET(1, "times", "-1");
	guest_write_often(&self->guest, SPACE_MMIO, ADDR, 4, 1, MAX_HELD + 3);
	EXPECT_SIGNALS(3, self->efd);
	EXPECT_STRUCK(MAX_HELD, 1);
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	EXPECT_SIGNALS(MAX_HELD, self->efd);
	RING();
	EXPECT_SIGNALS(1, self->efd);
}

/* A signal that is under way does not outlive its doorbell. */
TEST_F(faults, delays_and_deassigns)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	hold(self->attachment, "delay");
	RING();
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	EXPECT_STRUCK(1, 1);
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	EXPECT_SIGNALS(0, self->efd);
}

TEST_F(faults, doubles_a_signal)
{
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	hold(self->attachment, "duplicate");
	RING();
	EXPECT_SIGNALS(1, self->efd);
	EXPECT_STRUCK(1, 1);
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	EXPECT_SIGNALS(1, self->efd);
}

static void route(struct guest *guest, uint32_t dest)
{
	const struct kvm_irq_routing_entry entry = route_msi(GSI, dest, VECTOR);

	/* Its local APIC comes to life. */
	guest_take_interrupts(guest);
	guest_set_routing(guest, &entry, 1);
}

TEST_F(faults, drops_an_interrupt)
{
	route(&self->guest, 0);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	INJECT(1);
	SET(1, "probability", "100");
	eventfd_ring(self->efd);
	guest_take_interrupts(&self->guest);
	EXPECT_EQ(0, guest_interrupts(&self->guest, VECTOR));
	EXPECT_STRUCK(1, 1);
	/* The event has been taken, as any other is. */
	EXPECT_SIGNALS(0, self->efd);
	EXPECT_EQ(0, device_only_entry(self->fd).inline_calls);
	eventfd_ring(self->efd);
	guest_take_interrupts(&self->guest);
	EXPECT_EQ(1, guest_interrupts(&self->guest, VECTOR));
	EXPECT_EQ(1, device_only_entry(self->fd).inline_calls);
}

TEST_F(faults, delays_an_interrupt)
{
	uint64_t begin;

	route(&self->guest, 0);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	INJECT(1);
	postpone(self->attachment, "delay", "200");
	begin = now_ms();
	eventfd_ring(self->efd);
	EXPECT_EQ(1, guest_await_interrupt(&self->guest, VECTOR));
	EXPECT_LE(begin + 190, now_ms());
	EXPECT_EQ(0, device_only_entry(self->fd).inline_calls);
	EXPECT_EQ(1, device_only_entry(self->fd).deferred_calls);
}

TEST_F(faults, doubles_an_interrupt)
{
	route(&self->guest, 0);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	INJECT(1);
	hold(self->attachment, "duplicate");
	eventfd_ring(self->efd);
	guest_take_interrupts(&self->guest);
	EXPECT_EQ(1, guest_interrupts(&self->guest, VECTOR));
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	EXPECT_EQ(1, guest_await_interrupt(&self->guest, VECTOR));
	EXPECT_EQ(1, device_only_entry(self->fd).inline_calls);
	EXPECT_EQ(1, device_only_entry(self->fd).deferred_calls);
}

/* Nothing comes of an event whose irqfd has gone. */
TEST_F(faults, delays_and_deassigns_an_irqfd)
{
	route(&self->guest, 0);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, 0));
	INJECT(1);
	hold(self->attachment, "delay");
	eventfd_ring(self->efd);
	EXPECT_STRUCK(1, 1);
	ASSERT_EQ(0, irqfd(self->fd, self->efd, GSI, KVM_IRQFD_FLAG_DEASSIGN));
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	guest_take_interrupts(&self->guest);
	EXPECT_EQ(0, guest_interrupts(&self->guest, VECTOR));
}

TEST_F(faults, refuses)
{
	void *forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[128], zeros[64];
	int fd;

	ASSERT_NE(MAP_FAILED, forbidden);
	snprintf(zeros, sizeof(zeros), "%050d:1", 1);
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	EXPECT_EQ(ENOENT, ask("", self->attachment, 2));
	EXPECT_EQ(ENOENT, ask("", self->attachment, 0));
	EXPECT_EQ(ENOENT, ask("", self->attachment + 1, 1));
	EXPECT_EQ(ENOENT, ask("!", self->attachment, 1));
	EXPECT_EQ(EINVAL, try_write(FAULTS "/inject", "1"));
	EXPECT_EQ(EINVAL, try_write(FAULTS "/inject", "1:x"));
	EXPECT_EQ(EINVAL, try_write(FAULTS "/inject", "1:1:1"));
	EXPECT_EQ(EINVAL, try_write(FAULTS "/inject", ":"));
	fd = open(FAULTS "/inject", O_WRONLY | O_CLOEXEC);
	EXPECT_EQ(-1, write(fd, forbidden, 3));
	EXPECT_EQ(EFAULT, errno);
	close(fd);
	munmap(forbidden, 4096);
	EXPECT_EQ(EINVAL, try_write(FAULTS "/inject", zeros));
	INJECT(1);
	EXPECT_EQ(EEXIST, ask("", self->attachment, 1));
	snprintf(path, sizeof(path), FAULTS "/%lu:1/action", self->attachment);
	EXPECT_EQ(EINVAL, try_write(path, "explode"));
	EXPECT_EQ(EINVAL, try_write(path, "drop, and then a long text"));
	snprintf(path, sizeof(path), FAULTS "/%lu:1/struck", self->attachment);
	EXPECT_NE(0, try_write(path, "1"));
	ASSERT_EQ(0, ask("!", self->attachment, 1));
	EXPECT_EQ(-1, access(path, F_OK));
}

TEST_F(faults, refuses_too_many)
{
	for (int i = 0; i <= MAX_FAULTS; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR + 8 * i, 4, 0, 0));
	for (int i = 0; i < MAX_FAULTS; i++)
		ASSERT_EQ(0, ask("", self->attachment, i + 1));
	EXPECT_EQ(ENOSPC, ask("", self->attachment, MAX_FAULTS + 1));
	/* An empty line ends them all. */
	EXPECT_EQ(0, try_write(FAULTS "/inject", "\n"));
	EXPECT_EQ(0, ask("", self->attachment, MAX_FAULTS + 1));
}

/* With the file, whatever is under way; and the number is not used again. */
TEST_F(faults, end_with_the_attachment)
{
	char path[128];

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	hold(self->attachment, "delay");
	RING();
	snprintf(path, sizeof(path), FAULTS "/%lu:1", self->attachment);
	EXPECT_EQ(0, access(path, F_OK));
	close(self->fd);
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_SIGNALS(0, self->efd);
	EXPECT_EQ(ENOENT, ask("", self->attachment, 1));
	self->fd = device_open_attached(self->guest.vm->fd);
	EXPECT_EQ(ENOENT, ask("", self->attachment, 1));
}

/* An evicted attachment has no entries, but its fault can be taken back. */
TEST_F(faults, outlast_an_eviction)
{
	int device = device_open();

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	ASSERT_EQ(0, kvmfd_evict(device, self->guest.vm->fd));
	EXPECT_EQ(ENOENT, ask("", self->attachment, 1));
	EXPECT_EQ(0, ask("!", self->attachment, 1));
	close(device);
}

/* What is there, and what it does. */
TEST_F(faults, are_told)
{
	char path[128], text[64], name[64];
	bool told = false;
	FILE *f;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	snprintf(name, sizeof(name), "%lu:1\n", self->attachment);
	f = fopen(FAULTS "/inject", "re");
	ASSERT_NE(NULL, f);
	while (fgets(text, sizeof(text), f))
		told |= !strcmp(text, name);
	fclose(f);
	EXPECT_TRUE(told);

	SET(1, "action", "duplicate\n");
	snprintf(path, sizeof(path), FAULTS "/%lu:1/action", self->attachment);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	EXPECT_NE(NULL, fgets(text, sizeof(text), f));
	fclose(f);
	EXPECT_STREQ("duplicate\n", text);
}

/* Each of its allocations fails in turn: it is there, or not, and can be had afterwards. */
TEST_F(faults, without_memory)
{
	int n, err, no_memory = 0;
	bool came = true;

	if (!fail_possible())
		SKIP(return, NO_FAILURES);
	fail_setup();
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	for (n = 1; came; n++) {
		fail_nth(n);
		err = ask("", self->attachment, 1);
		came = !fail_nth_left();
		EXPECT_TRUE(!err || err == ENOMEM || err == EFAULT);
		no_memory += err == ENOMEM;
		EXPECT_EQ(err ? ENOENT : 0, ask("!", self->attachment, 1));
	}
	/* The fault itself, and its directory. */
	EXPECT_LE(2, no_memory);
}

TEST_F(faults, are_for_root)
{
	char path[128];
	int status, err;
	pid_t pid;

	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, ADDR, 4, 0, 0));
	INJECT(1);
	snprintf(path, sizeof(path), FAULTS "/%lu:1/probability", self->attachment);
	pid = fork();
	if (!pid) {
		become(USER, KVM_GROUP, 0);
		err = try_write(FAULTS "/inject", "") != EACCES;
		err |= try_write(path, "1") != EACCES;
		_exit(err);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, knob(self->attachment, 1, "probability"));
}

TEST_HARNESS_MAIN
