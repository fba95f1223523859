// SPDX-License-Identifier: GPL-2.0
/* The VM: its file descriptors, its memory, and the vCPUs' run loop. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

/* Only to interrupt KVM_RUN: the handler has nothing to do. */
#define KICK_SIGNAL  SIGUSR1
#define JOIN_SECONDS 40 /* more than any wait that a thread may be in */

static void kick_handler(int sig)
{
	(void)sig;
}

void vm_need(struct vm *vm, int cap, const char *name)
{
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, cap) <= 0)
		die("this KVM is too old: it has no %s", name);
}

static void vm_add_ram(struct vm *vm, uint32_t slot, uint64_t gpa,
		       uint64_t offset, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)vm->ram + offset,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		die("cannot give the guest its memory: %s", strerror(errno));
}

static void vm_init_ram(struct vm *vm)
{
	vm->low_ram = vm->ram_size < PCI_WINDOW ? vm->ram_size : PCI_WINDOW;
	vm->ram = mmap(NULL, vm->ram_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->ram == MAP_FAILED)
		die("no %llu MiB of memory for the guest: %s",
		    (unsigned long long)vm->ram_size >> 20, strerror(errno));
	vm_add_ram(vm, 0, 0, 0, vm->low_ram);
	if (vm->ram_size > vm->low_ram)
		vm_add_ram(vm, 1, HIGH_RAM, vm->low_ram,
			   vm->ram_size - vm->low_ram);
}

void *vm_ram(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	uint64_t offset, end;

	if (gpa < HIGH_RAM) {
		offset = gpa;
		end = vm->low_ram;
	} else {
		offset = gpa - HIGH_RAM + vm->low_ram;
		end = vm->ram_size;
	}
	if (offset > end || len > end - offset)
		return NULL;
	return vm->ram + offset;
}

static void vm_init_vcpu(struct vm *vm, unsigned int index, size_t run_size)
{
	struct vcpu *vcpu = &vm->vcpus[index];

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0)
		die("cannot create vCPU %u: %s", index, strerror(errno));
	vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		die("cannot map vCPU %u: %s", index, strerror(errno));
	cpu_setup(vcpu);
}

void vm_create(struct vm *vm, unsigned int cpus, uint64_t ram_size)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = KVM_IDENTITY_MAP;
	unsigned int i;
	int run_size;

	vm->cpus = cpus;
	vm->ram_size = ram_size;
	pthread_mutex_init(&vm->bus_lock, NULL);
	vm->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (vm->stop_fd < 0)
		die("eventfd: %s", strerror(errno));

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		die("/dev/kvm: %s", strerror(errno));
	if (ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		die("/dev/kvm: not KVM's API version %d", KVM_API_VERSION);
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0UL);
	if (vm->fd < 0)
		die("cannot create a VM: %s", strerror(errno));

	vm_need(vm, KVM_CAP_IRQCHIP, "interrupt controllers");
	vm_need(vm, KVM_CAP_PIT2, "timer");
	vm_need(vm, KVM_CAP_IRQ_ROUTING, "interrupt routing");
	vm_need(vm, KVM_CAP_IMMEDIATE_EXIT, "immediate exit");
	vm_need(vm, KVM_CAP_SET_IDENTITY_MAP_ADDR, "identity map address");
	vm_need(vm, KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadline timer");

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)KVM_TSS))
		die("cannot place KVM's own pages: %s", strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		die("cannot create the interrupt controllers: %s",
		    strerror(errno));
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
		die("cannot create the timer: %s", strerror(errno));

	vm_init_ram(vm);
	run_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_size < 0)
		die("cannot tell the size of a vCPU: %s", strerror(errno));
	for (i = 0; i < cpus; i++)
		vm_init_vcpu(vm, i, run_size);
}

static void vcpu_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct bus *bus = &vcpu->vm->pio;
	uint64_t val;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN) {
			val = bus_read(bus, run->io.port, run->io.size);
			memcpy(data, &val, run->io.size);
		} else {
			val = 0;
			memcpy(&val, data, run->io.size);
			bus_write(bus, run->io.port, run->io.size, val);
		}
	}
}

static void vcpu_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct bus *bus = &vcpu->vm->mmio;
	uint64_t val = 0;

	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, run->mmio.len);
		bus_write(bus, run->mmio.phys_addr, run->mmio.len, val);
	} else {
		val = bus_read(bus, run->mmio.phys_addr, run->mmio.len);
		memcpy(run->mmio.data, &val, run->mmio.len);
	}
}

static void vcpu_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		pthread_mutex_lock(&vm->bus_lock);
		vcpu_pio(vcpu);
		pthread_mutex_unlock(&vm->bus_lock);
		break;
	case KVM_EXIT_MMIO:
		pthread_mutex_lock(&vm->bus_lock);
		vcpu_mmio(vcpu);
		pthread_mutex_unlock(&vm->bus_lock);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_stop(vm, 1, "vCPU %u: triple fault", vcpu->index);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vm_stop(vm, 1, "vCPU %u: KVM internal error %u", vcpu->index,
			run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vm_stop(vm, 1, "vCPU %u: the CPU refuses to enter the guest, reason 0x%llx",
			vcpu->index, run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		vm_stop(vm, 1, "vCPU %u: unexpected KVM exit %u", vcpu->index,
			run->exit_reason);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;

	while (!atomic_load(&vm->stopped)) {
		if (!ioctl(vcpu->fd, KVM_RUN, 0))
			vcpu_exit(vcpu);
		else if (errno != EINTR && errno != EAGAIN)
			vm_stop(vm, 1, "vCPU %u: KVM_RUN: %s", vcpu->index,
				strerror(errno));
	}
	return NULL;
}

void vm_start(struct vm *vm)
{
	struct sigaction kick = { .sa_handler = kick_handler };
	unsigned int i;
	int err;

	sigaction(KICK_SIGNAL, &kick, NULL);
	for (i = 0; i < vm->cpus; i++) {
		err = pthread_create(&vm->vcpus[i].thread, NULL, vcpu_thread,
				     &vm->vcpus[i]);
		if (err)
			die("cannot start vCPU %u: %s", i, strerror(err));
	}
}

void vm_stop(struct vm *vm, int status, const char *fmt, ...)
{
	bool first = !atomic_exchange(&vm->stopped, true);
	int fine = 0;
	char line[256];
	va_list ap;

	/* The first error is told, also if it comes after a good end. */
	if (status ? !atomic_compare_exchange_strong(&vm->status, &fine, status) : !first)
		return;
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(line, sizeof(line), fmt, ap);
		va_end(ap);
		fprintf(stderr, "kvmfd-vmm: %s\n", line);
	}
	eventfd_write(vm->stop_fd, 1);
}

void thread_join(pthread_t thread, const char *what)
{
	struct timespec limit;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += JOIN_SECONDS;
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &limit))
		die("%s does not end", what);
}

void vm_join(struct vm *vm)
{
	unsigned int i;

	/*
	 * A signal that comes before KVM_RUN would be lost: immediate_exit makes
	 * that KVM_RUN return, too.
	 */
	for (i = 0; i < vm->cpus; i++) {
		__atomic_store_n(&vm->vcpus[i].run->immediate_exit, 1,
				 __ATOMIC_SEQ_CST);
		pthread_kill(vm->vcpus[i].thread, KICK_SIGNAL);
	}
	for (i = 0; i < vm->cpus; i++)
		thread_join(vm->vcpus[i].thread, "a vCPU's thread");
}
