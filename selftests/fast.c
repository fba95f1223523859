// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "fast.h"

#define EVENT "/sys/kernel/tracing/events/kvm/kvm_fast_mmio/id"
#define PAGE  4096ULL
#define ADDR  GUEST_MMIO_BASE

int count_fast(uint64_t addr)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = file_number(EVENT),
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	char filter[32];

	TEST_ASSERT(fd >= 0, "perf_event_open: %s", strerror(errno));
	if (addr) {
		snprintf(filter, sizeof(filter), "gpa == %#lx", addr);
		TEST_ASSERT(!ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter), "filter %s: %s",
			    filter, strerror(errno));
	}
	return fd;
}

uint64_t counted(int fd)
{
	uint64_t n;

	TEST_ASSERT(read(fd, &n, sizeof(n)) == sizeof(n), "cannot read a counter: %s",
		    strerror(errno));
	TEST_ASSERT(!ioctl(fd, PERF_EVENT_IOC_RESET, 0), "cannot reset a counter: %s",
		    strerror(errno));
	return n;
}

void make_known(struct guest *guest, uint64_t addr)
{
	uint64_t nobodys = addr ^ PAGE / 2;

	TEST_ASSERT(guest_write(guest, SPACE_MMIO, nobodys, 4, 0) == 1,
		    "the write has not left the kernel");
}

bool has_fast_mmio(void)
{
	struct guest guest;
	uint64_t n;
	int efd, count;

	if (is_intel_cpu() && get_kvm_intel_param_bool("ept"))
		return true;

	guest_create(&guest);
	make_known(&guest, ADDR);
	efd = new_eventfd();
	count = count_fast(ADDR);
	TEST_ASSERT(!ioeventfd(guest.vm->fd, efd, ADDR, 0, 0, 0), "KVM has no doorbell");
	guest_write(&guest, SPACE_MMIO, ADDR, 4, 0);
	n = counted(count);
	close(count);
	close(efd);
	kvm_vm_free(guest.vm);
	return n;
}
