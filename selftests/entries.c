// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kvmfd tells of its entries: KVMFD_LIST and /proc/PID/fdinfo.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define ADDR      GUEST_MMIO_BASE
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

FIXTURE(list)
{
	struct kvm_vm *vm;
	int fd;
};

FIXTURE_SETUP(list)
{
	self->vm = vm_create_barebones();
	self->fd = device_open();
}

FIXTURE_TEARDOWN(list)
{
	close(self->fd);
	kvm_vm_free(self->vm);
}

TEST_F(list, refusals)
{
	struct kvmfd_entry entry;
	struct kvmfd_list good = {
		.size = sizeof(good),
		.entries = (uintptr_t)&entry,
		.entry_size = sizeof(entry),
		.count = 1,
	};
	struct kvmfd_list list;

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	ASSERT_EQ(0, ioeventfd(self->fd, new_eventfd(), GUEST_MMIO_BASE, 4, 0, 0));

	list = good;
	list.count = 0;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, KVMFD_LIST, &list));
	list = good;
	list.entry_size = offsetof(struct kvmfd_entry, msi_addr) - 1;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, KVMFD_LIST, &list));
	list = good;
	list.entry_size = UINT32_MAX;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, KVMFD_LIST, &list));
	list = good;
	list.entries = 0;
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, KVMFD_LIST, &list));
	list.entries = UINT64_MAX - 8;
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, KVMFD_LIST, &list));
}

TEST_F(list, walk)
{
	struct {
		struct kvmfd_entry entry;
		uint64_t newer;
	} two[2];
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)two,
		.entry_size = sizeof(two[0]),
		.count = 2,
	};
	int i, seen = 0;

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, new_eventfd(), GUEST_MMIO_BASE + 8 * i, 4,
				       KVM_IOEVENTFD_FLAG_DATAMATCH, i));

	do {
		memset(two, 0xff, sizeof(two));
		list.count = 2;
		ASSERT_EQ(0, do_ioctl(self->fd, KVMFD_LIST, &list));
		for (i = 0; i < list.count; i++, seen++) {
			EXPECT_EQ(seen + 1, two[i].entry.id);
			EXPECT_EQ(KVMFD_ENTRY_IOEVENTFD, two[i].entry.kind);
			EXPECT_EQ(KVM_IOEVENTFD_FLAG_DATAMATCH, two[i].entry.flags);
			EXPECT_EQ(GUEST_MMIO_BASE + 8 * seen, two[i].entry.addr);
			EXPECT_EQ(seen, two[i].entry.datamatch);
			EXPECT_EQ(UINT64_MAX, two[i].entry.mask);
			EXPECT_EQ(4, two[i].entry.len);
			EXPECT_EQ(0, two[i].newer);
			if (i == list.count - 1)
				EXPECT_EQ(list.cursor, two[i].entry.id);
		}
	} while (list.count == 2);
	EXPECT_EQ(5, seen);
}

/* --- entries that come and go -------------------------------------------- */

FIXTURE(busy)
{
	struct guest guest;
	int fd;
	int efd;
};

FIXTURE_SETUP(busy)
{
	guest_create(&self->guest);
	self->fd = device_open_attached(self->guest.vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(busy)
{
	close(self->efd);
	close(self->fd);
	kvm_vm_free(self->guest.vm);
}

/* Those that stay have even numbers. */
#define NUMBERS 200
#define WALKS   100

/* Some are irqfds; the others tell their number twice. */
#define IS_IRQFD(i) ((i) % 10 < 2)

static int number(int fd, const int *efds, int i, bool remove)
{
	if (IS_IRQFD(i))
		return irqfd(fd, efds[i], i, remove ? KVM_IRQFD_FLAG_DEASSIGN : 0);
	return ioeventfd(fd, efds[i], ADDR + 8 * i, 4, DATAMATCH | (remove ? DEASSIGN : 0), i);
}

static int number_of(const struct kvmfd_entry *e)
{
	if (e->kind == KVMFD_ENTRY_IRQFD)
		return e->gsi;
	return e->addr == ADDR + 8 * e->datamatch ? e->datamatch : -1;
}

struct churn {
	int fd;
	int efds[NUMBERS];
	atomic_bool stop;
	atomic_uint rounds;
};

static void *churn_thread(void *arg)
{
	struct churn *c = arg;
	int i, err = 0;

	do {
		for (i = 1; i < NUMBERS && !err; i += 2)
			err = number(c->fd, c->efds, i, true) ?: number(c->fd, c->efds, i, false);
		TEST_ASSERT(!err, "number %d: %s", i, strerror(err));
		c->rounds++;
	} while (!c->stop);
	return NULL;
}

/* How often each number is told, in steps of @count. */
static void walk(struct __test_metadata *_metadata, int fd, unsigned int count,
		 unsigned int *told)
{
	struct kvmfd_entry entries[16];
	uint64_t cursor = 0, last = 0;
	int i, n, listed;

	do {
		listed = kvmfd_list(fd, 0, &cursor, entries, count);
		ASSERT_LE(0, listed);
		for (i = 0; i < listed; i++) {
			EXPECT_LT(last, entries[i].id);
			last = entries[i].id;
			n = number_of(&entries[i]);
			ASSERT_LE(0, n);
			ASSERT_GT(NUMBERS, n);
			EXPECT_EQ(IS_IRQFD(n), entries[i].kind == KVMFD_ENTRY_IRQFD);
			told[n]++;
		}
	} while (listed == count);
}

TEST_F(busy, what_stays_is_told_once)
{
	struct churn churn = { .fd = self->fd };
	unsigned int told[NUMBERS];
	pthread_t thread;
	int i, walks;

	for (i = 0; i < NUMBERS; i++) {
		churn.efds[i] = new_eventfd();
		ASSERT_EQ(0, number(self->fd, churn.efds, i, false));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, churn_thread, &churn));

	for (walks = 0; walks < WALKS || churn.rounds < 3; walks++) {
		memset(told, 0, sizeof(told));
		walk(_metadata, self->fd, 1 + walks % 16, told);
		for (i = 0; i < NUMBERS; i += 2)
			ASSERT_EQ(1, told[i]);
	}
	churn.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%d walks, %u rounds of changes", walks, churn.rounds);

	memset(told, 0, sizeof(told));
	walk(_metadata, self->fd, 16, told);
	for (i = 0; i < NUMBERS; i++)
		EXPECT_EQ(1, told[i]);
}

/* --- fdinfo --------------------------------------------------------------- */

static bool fdinfo_has(int fd, const char *line)
{
	char path[64], text[16384];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (fgets(text, sizeof(text), f)) {
		text[strcspn(text, "\n")] = 0;
		found |= !strcmp(text, line);
	}
	fclose(f);
	return found;
}

TEST_F(list, fdinfo)
{
	const char *masked =
		"kvmfd-ioeventfd:\tid 3 mmio 0xc0000008 len 4 data 0x5 mask 0x7 hits 0";
	char line[64];

	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-state:\tdetached"));

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	ASSERT_EQ(0, ioeventfd(self->fd, new_eventfd(), 0x1234, 2,
			       KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO, 5));
	ASSERT_EQ(0, ioeventfd(self->fd, new_eventfd(), GUEST_MMIO_BASE, 0, 0, 0));

	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-state:\tattached"));
	snprintf(line, sizeof(line), "kvmfd-attachment:\t%llu",
		 (unsigned long long)device_info(self->fd).attachment);
	EXPECT_TRUE(fdinfo_has(self->fd, line));
	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-ioeventfds:\t2"));
	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-irqfds:\t0"));
	EXPECT_TRUE(fdinfo_has(self->fd,
			       "kvmfd-ioeventfd:\tid 1 pio 0x1234 len 2 data 0x5 hits 0"));
	EXPECT_TRUE(fdinfo_has(self->fd,
			       "kvmfd-ioeventfd:\tid 2 mmio 0xc0000000 len 0 hits 0"));

	vm_create_irqchip(self->vm);
	ASSERT_EQ(0, masked_ioeventfd(self->fd, new_eventfd(), ADDR + 8, 4, DATAMATCH, 5, 7));
	ASSERT_EQ(0, irqfd(self->fd, new_eventfd(), 5, 0));
	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-irqfds:\t1"));
	EXPECT_TRUE(fdinfo_has(self->fd, masked));
	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-irqfd:\tid 4 gsi 5 inline 0 deferred 0"));
}

#define MANY         65536
#define FDINFO_LINES 100

/* What the file has of it, and how long that takes. */
static void fdinfo_size(int fd, unsigned int *entries, unsigned int *bytes, uint64_t *ns)
{
	struct timespec begin, end;
	char path[64], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	*entries = 0;
	*bytes = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	f = fopen(path, "r");
	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		*bytes += strlen(line);
		*entries += !strncmp(line, "kvmfd-ioeventfd:", 16);
	}
	fclose(f);
	clock_gettime(CLOCK_MONOTONIC, &end);
	*ns = (end.tv_sec - begin.tv_sec) * 1000000000ULL + end.tv_nsec - begin.tv_nsec;
}

/* The shortest of some times: whoever else is in the machine only adds to it. */
static uint64_t fdinfo_time(int fd)
{
	unsigned int entries, bytes;
	uint64_t ns, least = UINT64_MAX;
	int i;

	for (i = 0; i < 20; i++) {
		fdinfo_size(fd, &entries, &bytes, &ns);
		least = ns < least ? ns : least;
	}
	return least;
}

TEST_F(list, fdinfo_stays_short)
{
	unsigned int entries, bytes;
	uint64_t few, many, ns;
	int i, efd = new_eventfd();

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	for (i = 0; i < FDINFO_LINES; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, efd, ADDR, 4, DATAMATCH, i));
	fdinfo_size(self->fd, &entries, &bytes, &ns);
	EXPECT_EQ(FDINFO_LINES, entries);
	few = fdinfo_time(self->fd);

	for (; i < MANY; i++)
		ASSERT_EQ(0, ioeventfd(self->fd, efd, ADDR, 4, DATAMATCH, i));
	EXPECT_TRUE(fdinfo_has(self->fd, "kvmfd-ioeventfds:\t65536"));
	fdinfo_size(self->fd, &entries, &bytes, &ns);
	EXPECT_EQ(FDINFO_LINES, entries);
	EXPECT_GT(16384, bytes);

	/* As many lines as before, each found in as good as no time. */
	many = fdinfo_time(self->fd);
	TH_LOG("%u bytes; %llu ns, %llu ns with a hundred", bytes, (unsigned long long)many,
	       (unsigned long long)few);
	EXPECT_GT(4 * few, many);
}

TEST_HARNESS_MAIN
