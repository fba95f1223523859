// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"

unsigned int from_environment(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

uint64_t number_argument(const char *option, const char *text)
{
	uint64_t n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	TEST_ASSERT(!errno && end != text && !*end && *text != '-',
		    "%s wants a number, not '%s'", option, text);
	return n;
}

/* As they were before any thread was told to stay on one. */
static cpu_set_t given_cpus;

static void __attribute__((constructor)) see_given_cpus(void)
{
	int err = sched_getaffinity(0, sizeof(given_cpus), &given_cpus);

	TEST_ASSERT(!err, "sched_getaffinity: %s", strerror(errno));
}

void stay_on_cpu(unsigned int nr)
{
	unsigned int cpu = 0;
	cpu_set_t cpus;

	/* There may be only one. */
	nr %= CPU_COUNT(&given_cpus);
	while (!CPU_ISSET(cpu, &given_cpus) || nr--)
		cpu++;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(cpus), &cpus), "cannot stay on CPU %u: %s", cpu,
		    strerror(errno));
}

void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	TEST_ASSERT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		    "cannot write '%s' to %s: %s", text, path, strerror(errno));
	close(fd);
}

long file_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long value;

	TEST_ASSERT(f && fscanf(f, "%ld", &value) == 1, "cannot read %s", path);
	fclose(f);
	return value;
}

int hold_page(void *page)
{
	struct uffdio_register args = {
		.range = { .start = (uintptr_t)page, .len = getpagesize() },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int err, fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	TEST_ASSERT(fd >= 0, "userfaultfd: %s", strerror(errno));
	err = do_ioctl(fd, UFFDIO_API, &api);
	if (!err)
		err = do_ioctl(fd, UFFDIO_REGISTER, &args);
	TEST_ASSERT(!err, "userfaultfd: %s", strerror(err));
	return fd;
}

void await_page(int uffd)
{
	struct pollfd pollfd = { .fd = uffd, .events = POLLIN };

	TEST_ASSERT(poll(&pollfd, 1, PATIENCE_MS) == 1 && pollfd.revents == POLLIN,
		    "nobody has touched the page");
}

int do_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

int device_open(void)
{
	int fd = kvmfd_open();

	TEST_ASSERT(fd >= 0, "open /dev/kvmfd: %s", strerror(-fd));
	return fd;
}

int device_open_attached(int vm_fd)
{
	int fd = device_open();
	int err = kvmfd_attach_vm(fd, vm_fd, 0, 0, NULL);

	TEST_ASSERT(!err, "KVMFD_ATTACH_VM: %s", strerror(-err));
	return fd;
}

struct kvmfd_info device_info(int fd)
{
	struct kvmfd_info info;
	int err = kvmfd_get_info(fd, &info);

	TEST_ASSERT(!err, "KVMFD_GET_INFO: %s", strerror(-err));
	return info;
}

unsigned int device_entries(int fd, struct kvmfd_entry *entries, unsigned int max)
{
	uint64_t cursor = 0;
	int n = kvmfd_list(fd, 0, &cursor, entries, max);

	TEST_ASSERT(n >= 0, "KVMFD_LIST: %s", strerror(-n));
	return n;
}

struct kvmfd_entry device_only_entry(int fd)
{
	struct kvmfd_entry entries[2];
	unsigned int n = device_entries(fd, entries, 2);

	TEST_ASSERT(n == 1, "%u entries instead of one", n);
	return entries[0];
}

struct device_counts device_counts(int fd)
{
	struct kvmfd_info info = device_info(fd);
	struct device_counts sum = {
		.hits = info.retired_hits,
		.calls = info.retired_inline_calls + info.retired_deferred_calls,
	};
	struct kvmfd_entry entries[16];
	unsigned int i, n = device_entries(fd, entries, ARRAY_SIZE(entries));

	for (i = 0; i < n; i++) {
		sum.hits += entries[i].hits;
		sum.calls += entries[i].inline_calls + entries[i].deferred_calls;
	}
	return sum;
}

unsigned int module_users(void)
{
	return file_number("/sys/module/kvmfd/refcnt");
}

int new_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	TEST_ASSERT(fd >= 0, "eventfd: %s", strerror(errno));
	return fd;
}

void eventfd_ring(int fd)
{
	int err = eventfd_write(fd, 1);

	TEST_ASSERT(!err, "write to eventfd: %s", strerror(errno));
}

uint64_t eventfd_take(int fd)
{
	eventfd_t count;

	if (!eventfd_read(fd, &count))
		return count;
	TEST_ASSERT(errno == EAGAIN, "read from eventfd: %s", strerror(errno));
	return 0;
}

static struct kvm_ioeventfd ioeventfd_args(int eventfd, uint64_t addr, uint32_t len,
					   uint32_t flags, uint64_t datamatch)
{
	struct kvm_ioeventfd args = {
		.fd = eventfd,
		.addr = addr,
		.len = len,
		.flags = flags,
		.datamatch = datamatch,
	};

	/* KVM does not look at it. */
	memset(args.pad, 0xa5, sizeof(args.pad));
	return args;
}

int ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
	      uint64_t datamatch)
{
	struct kvm_ioeventfd args = ioeventfd_args(eventfd, addr, len, flags, datamatch);

	return -kvmfd_ioeventfd(fd, &args);
}

int masked_ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
		     uint64_t data, uint64_t mask)
{
	struct kvm_ioeventfd args = ioeventfd_args(eventfd, addr, len, flags, data);

	return -kvmfd_masked_ioeventfd(fd, &args, mask);
}

int resampled_irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags, int resamplefd)
{
	struct kvm_irqfd args = {
		.fd = eventfd,
		.gsi = gsi,
		.flags = flags,
		.resamplefd = resamplefd,
	};

	memset(args.pad, 0xa5, sizeof(args.pad));
	return -kvmfd_irqfd(fd, &args);
}

int irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags)
{
	/* Without the flag nobody looks at it. */
	return resampled_irqfd(fd, eventfd, gsi, flags, -1);
}
