// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removing needs no memory: every allocation of this task fails meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define DEBUGFS "/sys/kernel/debug"
#define MANY    1000000000L

/* Distinct addresses, and the first data values of one more. */
#define NR_DOORBELLS 2000
#define NR_VALUES    100
#define DATA_ADDR    (GUEST_MMIO_BASE + 0x8000)
#define NR_NATIVE    50
#define NATIVE_ADDR  (GUEST_MMIO_BASE + 0xc000)

static void put(const char *dir, const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	TEST_ASSERT(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value),
		    "cannot write %s: %s", path, strerror(errno));
	close(fd);
}

static long get(const char *dir, const char *name)
{
	char path[128];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	TEST_ASSERT(f && fscanf(f, "%ld", &value) == 1, "cannot read %s", path);
	fclose(f);
	return value;
}

static const char *const injectors[] = {
	DEBUGFS "/failslab",
	DEBUGFS "/fail_page_alloc",
};

static void prepare_failures(void)
{
	char many[16];
	unsigned int i;

	snprintf(many, sizeof(many), "%ld", MANY);
	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		put(injectors[i], "task-filter", "Y");
		put(injectors[i], "ignore-gfp-wait", "N");
		put(injectors[i], "probability", "100");
		put(injectors[i], "times", many);
		put(injectors[i], "verbose", "0");
	}
	put(injectors[1], "min-order", "0");
	put(DEBUGFS "/fail_usercopy", "verbose", "0");
}

/* An open file of /proc/self: to open it takes memory, which is not to be had then. */
static int open_control(const char *path)
{
	int fd = open(path, O_WRONLY);

	TEST_ASSERT(fd >= 0, "cannot open %s: %s", path, strerror(errno));
	return fd;
}

static void control(int fd, int value)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", value);

	TEST_ASSERT(pwrite(fd, text, len, 0) == len, "/proc/self: %s", strerror(errno));
}

static long failures(void)
{
	return 2 * MANY - get(injectors[0], "times") - get(injectors[1], "times");
}

FIXTURE(nomem)
{
	struct guest guest;
	int native;
	int efd;
	int fd;
	int fail_all;
	int fail_nth;
	bool can_fail;
};

#define NO_FAILURES "the kernel injects no failures (make check-debug)"

FIXTURE_SETUP(nomem)
{
	int i;

	if (access(injectors[0], F_OK))
		return;

	self->can_fail = true;
	prepare_failures();
	self->fail_all = open_control("/proc/self/make-it-fail");
	self->fail_nth = open_control("/proc/self/fail-nth");
	guest_create(&self->guest);
	self->fd = kvmfd_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
	self->native = new_eventfd();

	for (i = 0; i < NR_DOORBELLS; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE + 8 * i, 4, 0, 0));
	for (i = 0; i < NR_VALUES; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, self->efd, DATA_ADDR, 4,
				       KVM_IOEVENTFD_FLAG_DATAMATCH, i));
	/* An array that was kept is too small now. */
	for (i = 0; i < NR_NATIVE; i++)
		ASSERT_EQ(0, ioeventfd(self->guest.vm->fd, self->native, NATIVE_ADDR + 8 * i,
				       4, 0, 0));
}

FIXTURE_TEARDOWN(nomem)
{
	if (!self->can_fail)
		return;
	close(self->fd);
	close(self->efd);
	close(self->native);
	close(self->fail_all);
	close(self->fail_nth);
	kvm_vm_free(self->guest.vm);
}

#define EXPECT_RING(ours, theirs, addr, value)                                    \
	do {                                                                      \
		EXPECT_EQ(!((ours) + (theirs)),                                   \
			  guest_write(&self->guest, SPACE_MMIO, addr, 4, value)); \
		EXPECT_EQ(ours, eventfd_take(self->efd));                         \
		EXPECT_EQ(theirs, eventfd_take(self->native));                    \
	} while (0)

TEST_F(nomem, deassign)
{
	long refs = get("/sys/module/kvmfd", "refcnt");
	int i, err = 0;

	if (!self->can_fail)
		SKIP(return, NO_FAILURES);
	control(self->fail_all, 1);
	for (i = 0; i < NR_DOORBELLS && !err; i += 2)
		err = ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE + 8 * i, 4,
				KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
	for (i = 0; i < NR_VALUES && !err; i += 2)
		err = ioeventfd(self->fd, self->efd, DATA_ADDR, 4,
				KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN, i);
	control(self->fail_all, 0);
	ASSERT_EQ(0, err);
	TH_LOG("failed allocations: %ld", failures());
	EXPECT_LT(NR_DOORBELLS / 4, failures());
	EXPECT_EQ((NR_DOORBELLS + NR_VALUES) / 2, kvmfd_info(self->fd).nr_ioeventfds);

	for (i = 0; i < NR_DOORBELLS; i += 37)
		EXPECT_RING(i % 2, 0, GUEST_MMIO_BASE + 8 * i, 0);
	for (i = 0; i < NR_VALUES; i++)
		EXPECT_RING(i % 2, 0, DATA_ADDR, i);
	for (i = 0; i < NR_NATIVE; i++)
		EXPECT_RING(0, 1, NATIVE_ADDR + 8 * i, 0);

	/* With memory again, the next edit drops what has been left behind. */
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(refs, get("/sys/module/kvmfd", "refcnt"));
	EXPECT_RING(1, 0, GUEST_MMIO_BASE, 0);
	EXPECT_RING(0, 0, GUEST_MMIO_BASE + 16, 0);
}

/* All at once, and what is left behind goes with the VM. */
TEST_F(nomem, detach)
{
	int i;

	if (!self->can_fail)
		SKIP(return, NO_FAILURES);
	control(self->fail_all, 1);
	close(self->fd);
	control(self->fail_all, 0);
	EXPECT_LT(0, failures());

	for (i = 0; i < NR_DOORBELLS; i += 37)
		EXPECT_RING(0, 0, GUEST_MMIO_BASE + 8 * i, 0);
	for (i = 0; i < NR_NATIVE; i++)
		EXPECT_RING(0, 1, NATIVE_ADDR + 8 * i, 0);

	/* Another attachment drops it. */
	EXPECT_LT(0, get("/sys/module/kvmfd", "refcnt"));
	self->fd = kvmfd_open_attached(self->guest.vm->fd);
	ASSERT_EQ(0, ioeventfd(self->fd, self->efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(1, get("/sys/module/kvmfd", "refcnt"));
	EXPECT_RING(1, 0, GUEST_MMIO_BASE, 0);
}

/* Each allocation of an assign, and the reading of its argument, fails in turn. */
TEST_F(nomem, assign)
{
	int n, err = ENOMEM;
	uint64_t before;

	if (!self->can_fail)
		SKIP(return, NO_FAILURES);
	before = kvmfd_info(self->fd).nr_ioeventfds;
	for (n = 1; err; n++) {
		ASSERT_LT(n, 100);
		control(self->fail_nth, n);
		err = ioeventfd(self->fd, self->efd, DATA_ADDR + 0x100, 8,
				KVM_IOEVENTFD_FLAG_DATAMATCH, 1);
		control(self->fail_nth, 0);
		if (err) {
			/* EFAULT: reading the argument was made to fail. */
			ASSERT_TRUE(err == ENOMEM || err == EFAULT);
			EXPECT_EQ(before, kvmfd_info(self->fd).nr_ioeventfds);
			EXPECT_RING(1, 0, DATA_ADDR, 1);
			EXPECT_RING(1, 0, GUEST_MMIO_BASE, 1);
		}
	}
	TH_LOG("what failed in turn: %d", n - 2);
	EXPECT_LE(3, n);
	EXPECT_EQ(before + 1, kvmfd_info(self->fd).nr_ioeventfds);
}

TEST_HARNESS_MAIN
