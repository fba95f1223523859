// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "hostile/world.h"

#define PAGE      4096
#define CODE_ADDR 0x1000

static enum kind kinds[SLOTS];
/* Nobody has put anything there since the world began. */
static bool intact[SLOTS];

static const enum kind first_kinds[SLOTS] = {
	[SLOT_VM] = KIND_VM,
	[SLOT_VCPU] = KIND_VCPU,
	[SLOT_BARE_VM] = KIND_BARE_VM,
	[SLOT_KVMFD] = KIND_KVMFD,
	[SLOT_KVMFD + 1] = KIND_KVMFD,
	[SLOT_KVMFD + 2] = KIND_KVMFD,
	[SLOT_EVENTFD] = KIND_EVENTFD,
	[SLOT_EVENTFD + 1] = KIND_EVENTFD,
	[SLOT_EVENTFD + 2] = KIND_EVENTFD,
	[SLOT_EVENTFD + 3] = KIND_EVENTFD,
	[10] = KIND_KVM,
	[11] = KIND_PIPE,
	[12] = KIND_FILE,
	[13] = KIND_DIRECTORY,
	[14] = KIND_EPOLL,
	[15] = KIND_TIMERFD,
	[16] = KIND_SOCKET,
	[17] = KIND_CLOSED,
	[18] = KIND_KVMFD,
	[19] = KIND_EVENTFD,
};

/*
 * In real mode, for ever: writes of each width to WORLD_MMIO and WORLD_PORT, one that
 * may cross two doorbells, and a read.
 */
static const unsigned char code[] = {
	0xb8, 0x01, 0x00,       /* mov $1, %ax */
	0xa2, 0x00, 0xd0,       /* mov %al, 0xd000 */
	0xa3, 0x00, 0xd0,       /* mov %ax, 0xd000 */
	0x66, 0xa3, 0x00, 0xd0, /* mov %eax, 0xd000 */
	0xa3, 0x04, 0xd0,       /* mov %ax, 0xd004 */
	0xe6, 0xe0,             /* out %al, $0xe0 */
	0xe7, 0xe0,             /* out %ax, $0xe0 */
	0x66, 0xe7, 0xe0,       /* out %eax, $0xe0 */
	0xe6, 0xe1,             /* out %al, $0xe1 */
	0xa0, 0x00, 0xd0,       /* mov 0xd000, %al */
	0xeb, 0xe2,             /* jmp to the beginning */
};

static int open_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	TEST_ASSERT(kvm >= 0, "open /dev/kvm: %s", strerror(errno));
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(vm >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	close(kvm);
	return vm;
}

static int open_vm_with_memory(void)
{
	static unsigned char page[PAGE] __attribute__((aligned(PAGE)));
	const struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_ADDR,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)page,
	};
	int vm = open_vm();
	bool done;

	memcpy(page, code, sizeof(code));
	done = !ioctl(vm, KVM_CREATE_IRQCHIP, 0) &&
	       !ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	TEST_ASSERT(done, "a VM with memory: %s", strerror(errno));
	return vm;
}

/* Of a VM that has none yet; where there is none, another VM's vCPU. */
static int open_vcpu(void)
{
	struct kvm_regs regs = { .rip = CODE_ADDR, .rflags = 2 };
	int vm = world_kind(SLOT_VM) == KIND_VM ? dup(SLOT_FD(SLOT_VM)) : -1;
	struct kvm_sregs sregs;
	int vcpu;

	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0) {
		close(vm);
		vm = open_vm_with_memory();
		vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	}
	close(vm);
	TEST_ASSERT(vcpu >= 0 && !ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_CREATE_VCPU: %s",
		    strerror(errno));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	TEST_ASSERT(!ioctl(vcpu, KVM_SET_SREGS, &sregs) && !ioctl(vcpu, KVM_SET_REGS, &regs),
		    "the vCPU's registers: %s", strerror(errno));
	return vcpu;
}

/* The other end is gone. */
static int open_pipe(void)
{
	int ends[2];

	TEST_ASSERT(!pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe: %s", strerror(errno));
	close(ends[1]);
	return ends[0];
}

static int open_kind(enum kind kind)
{
	switch (kind) {
	case KIND_VM:
		return open_vm_with_memory();
	case KIND_BARE_VM:
		return open_vm();
	case KIND_VCPU:
		return open_vcpu();
	case KIND_KVM:
		return open("/dev/kvm", O_RDWR | O_CLOEXEC);
	case KIND_KVMFD:
		return device_open();
	case KIND_EVENTFD:
		return new_eventfd();
	case KIND_PIPE:
		return open_pipe();
	case KIND_FILE:
		return memfd_create("hostile", MFD_CLOEXEC);
	case KIND_DIRECTORY:
		return open("/", O_RDONLY | O_CLOEXEC);
	case KIND_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case KIND_TIMERFD:
		return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	case KIND_SOCKET:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	case KIND_CLOSED:
		break;
	}
	return -1;
}

void world_put(unsigned int slot, enum kind kind)
{
	__atomic_store_n(&kinds[slot], kind, __ATOMIC_RELAXED);
	__atomic_store_n(&intact[slot], false, __ATOMIC_RELAXED);
}

enum kind world_kind(unsigned int slot)
{
	return __atomic_load_n(&kinds[slot], __ATOMIC_RELAXED);
}

void world_reopen(unsigned int slot)
{
	sigset_t ticks;
	int fd;

	/* To make a VM takes longer than from one to the next, and is broken off by them. */
	sigemptyset(&ticks);
	sigaddset(&ticks, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &ticks, NULL);
	fd = open_kind(first_kinds[slot]);
	pthread_sigmask(SIG_UNBLOCK, &ticks, NULL);

	if (first_kinds[slot] == KIND_CLOSED) {
		close(SLOT_FD(slot));
	} else {
		TEST_ASSERT(fd >= 0, "slot %u: %s", slot, strerror(errno));
		/* EBUSY: another thread opens something right now. */
		dup3(fd, SLOT_FD(slot), O_CLOEXEC);
		close(fd);
	}
	world_put(slot, first_kinds[slot]);
}

/* The vCPU is of the VM, or both are made anew. */
static bool stays(unsigned int slot)
{
	if (slot == SLOT_BARE_VM)
		return intact[slot];
	return slot <= SLOT_VCPU && intact[SLOT_VM] && intact[SLOT_VCPU];
}

void world_begin(void)
{
	bool stay[SLOTS];
	unsigned int slot;
	int err;

	for (slot = 0; slot < SLOTS; slot++)
		stay[slot] = stays(slot);
	for (slot = 0; slot < SLOTS; slot++) {
		if (!stay[slot])
			world_reopen(slot);
		intact[slot] = true;
	}
	err = -kvmfd_attach_vm(SLOT_FD(SLOT_KVMFD), SLOT_FD(SLOT_VM), 0, 0, NULL);
	/* An attached fd is in flight, in a socket that the kernel has not collected yet. */
	if (err == EBUSY && !kvmfd_evict(SLOT_FD(SLOT_KVMFD), SLOT_FD(SLOT_VM)))
		err = -kvmfd_attach_vm(SLOT_FD(SLOT_KVMFD), SLOT_FD(SLOT_VM), 0, 0, NULL);
	TEST_ASSERT(!err, "KVMFD_ATTACH_VM: %s", strerror(err));
}

void world_end(unsigned long order, bool all)
{
	unsigned int i, chosen, slot, left[SLOTS];

	for (i = 0; i < SLOTS; i++)
		left[i] = i;
	for (i = SLOTS; i; order /= i--) {
		chosen = order % i;
		slot = left[chosen];
		left[chosen] = left[i - 1];
		if (!all && stays(slot))
			continue;
		close(SLOT_FD(slot));
		world_put(slot, KIND_CLOSED);
	}
}
