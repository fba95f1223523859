// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "test_util.h"

#include "burst.h"
#include "client.h"

#define PAGE 4096

/* In guest memory, each within a page; the host has its own address for it. */
struct burst {
	volatile unsigned int current;
	volatile unsigned int n;
	struct burst_write writes[BURST_MAX];
} __attribute__((aligned(PAGE)));

static struct burst bursts[BURST_VCPUS];

static void guest_mmio_write(const struct burst_write *w)
{
	switch (w->len) {
	case 1:
		*(volatile uint8_t *)w->addr = w->value;
		break;
	case 2:
		*(volatile uint16_t *)w->addr = w->value;
		break;
	case 4:
		*(volatile uint32_t *)w->addr = w->value;
		break;
	case 8:
		*(volatile uint64_t *)w->addr = w->value;
		break;
	}
}

static void guest_pio_write(const struct burst_write *w)
{
	uint16_t port = w->addr;

	switch (w->len) {
	case 1:
		asm volatile("outb %0, %1"
			     :
			     : "a"((uint8_t)w->value), "Nd"(port));
		break;
	case 2:
		asm volatile("outw %0, %1"
			     :
			     : "a"((uint16_t)w->value), "Nd"(port));
		break;
	case 4:
		asm volatile("outl %0, %1"
			     :
			     : "a"((uint32_t)w->value), "Nd"(port));
		break;
	}
}

static void guest_code(unsigned int cpu)
{
	struct burst *burst = &bursts[cpu];

	for (;;) {
		for (burst->current = 0; burst->current < burst->n; burst->current++) {
			const struct burst_write *w = &burst->writes[burst->current];

			if (w->space == SPACE_MMIO)
				guest_mmio_write(w);
			else
				guest_pio_write(w);
		}
		GUEST_SYNC(0);
	}
}

static void note_exit(struct burst_vcpu *v)
{
	struct kvm_run *run = v->vcpu->run;
	struct burst_exit *e = &v->exits[v->nr_exits++];

	TEST_ASSERT(v->nr_exits <= ARRAY_SIZE(v->exits), "more exits than writes have pieces");
	*e = (struct burst_exit) { .write = v->shared->current };
	if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write) {
		e->space = SPACE_MMIO;
		e->addr = run->mmio.phys_addr;
		e->len = run->mmio.len;
		memcpy(&e->value, run->mmio.data, e->len);
	} else if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT) {
		e->space = SPACE_PIO;
		e->addr = run->io.port;
		e->len = run->io.size;
		memcpy(&e->value, (uint8_t *)run + run->io.data_offset, e->len);
	} else {
		TEST_FAIL("exit reason %u is no write", run->exit_reason);
	}
}

/* KVM waits long when another thread than the last runs a vCPU: each has one. */
static void *vcpu_thread(void *arg)
{
	struct burst_vcpu *v = arg;
	struct ucall uc;

	stay_on_cpu(0);
	for (;;) {
		sem_wait(&v->go);
		for (;;) {
			vcpu_run(v->vcpu);
			if (get_ucall(v->vcpu, &uc) == UCALL_SYNC)
				break;
			note_exit(v);
		}
		sem_post(&v->done);
	}
	return NULL;
}

void burst_create(struct burst_vm *vm)
{
	unsigned int i;
	int err;

	vm->vm = ____vm_create(VM_MODE_DEFAULT, 1024);
	kvm_vm_elf_load(vm->vm, program_invocation_name);
	virt_map(vm->vm, GUEST_MMIO_BASE, GUEST_MMIO_BASE, GUEST_MMIO_SIZE / PAGE);

	for (i = 0; i < BURST_VCPUS; i++) {
		struct burst_vcpu *v = &vm->vcpus[i];

		v->vcpu = vm_vcpu_add(vm->vm, i, guest_code);
		vcpu_args_set(v->vcpu, 1, i);
		v->shared = addr_gva2hva(vm->vm, (vm_vaddr_t)&bursts[i]);
		sem_init(&v->go, 0, 0);
		sem_init(&v->done, 0, 0);
		err = pthread_create(&v->thread, NULL, vcpu_thread, v);
		TEST_ASSERT(!err, "pthread_create: %s", strerror(err));
	}
}

void burst_start(struct burst_vcpu *v, const struct burst_write *writes, unsigned int n)
{
	memcpy(v->shared->writes, writes, n * sizeof(*writes));
	v->shared->n = n;
	v->nr_exits = 0;
	sem_post(&v->go);
}

void burst_wait(struct burst_vcpu *v)
{
	sem_wait(&v->done);
}
