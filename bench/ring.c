// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest of two vCPUs, each with a thread of its own, that write or wait for interrupts
 * until they are told to stop.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "apic.h"
#include "processor.h"

#include "bench.h"

#define GUEST_PAGE 4096

/* In guest memory, at the same address for guest and host code. */
static struct ring_job jobs[RING_VCPUS];

static struct runner {
	struct kvm_vcpu *vcpu;
	unsigned int nr;
	pthread_t thread;
} runners[RING_VCPUS];

/* --- in the guest --------------------------------------------------------- */

static void write_on(struct ring_job *job)
{
	uint64_t now, last = rdtsc();

	while (!job->stop) {
		if (job->space == SPACE_MMIO)
			*(volatile uint32_t *)job->addr = job->value;
		else
			asm volatile("outw %w0, %w1"
				     :
				     : "a"(job->value), "d"(job->addr));
		now = rdtsc();
		if (now - last > job->longest)
			job->longest = now - last;
		last = now;
		job->done++;
	}
}

static void spin_on(struct ring_job *job)
{
	asm volatile("sti"
		     :
		     :
		     : "memory");
	while (!job->stop)
		asm volatile("pause"
			     :
			     :
			     : "memory");
	asm volatile("cli"
		     :
		     :
		     : "memory");
}

/* Whoever tells it to stop sends an interrupt, too. */
static void halt_on(struct ring_job *job)
{
	while (!job->stop)
		asm volatile("sti; hlt; cli"
			     :
			     :
			     : "memory");
}

static void guest_code(uint64_t nr)
{
	struct ring_job *job = &jobs[nr];

	x2apic_enable();
	for (;;) {
		switch (job->what) {
		case RING_NOTHING:
			break;
		case RING_WRITE:
			write_on(job);
			break;
		case RING_SPIN:
			spin_on(job);
			break;
		case RING_HALT:
			halt_on(job);
			break;
		}
		asm volatile("outb %%al, %w0"
			     :
			     : "d"(DONE_PORT)
			     : "memory");
	}
}

/* All go to the first vCPU. */
static void handler(struct ex_regs *regs)
{
	jobs[0].heard = rdtsc();
	jobs[0].done++;
	x2apic_write_reg(APIC_EOI, 0);
}

/* --- outside -------------------------------------------------------------- */

static void run(struct kvm_vcpu *vcpu)
{
	do {
		if (__vcpu_run(vcpu))
			require(false, "KVM_RUN: %s", strerror(errno));
	} while (vcpu->run->exit_reason != KVM_EXIT_IO || vcpu->run->io.port != DONE_PORT);
}

static void *run_thread(void *arg)
{
	struct runner *r = arg;

	stay_on_cpu(r->nr);
	run(r->vcpu);
	return NULL;
}

struct ring_job *ring_job(unsigned int nr)
{
	return addr_gva2hva(current.backend->guest.vm, (vm_vaddr_t)&jobs[nr]);
}

void ring_begin(unsigned int nr, const struct ring_job *job)
{
	struct runner *r = &runners[nr];

	*ring_job(nr) = *job;
	r->vcpu = current.backend->vcpus[nr];
	r->nr = nr;
	require(!pthread_create(&r->thread, NULL, run_thread, r), "cannot make a thread");
}

void ring_end(unsigned int nr)
{
	ring_job(nr)->stop = true;
	pthread_join(runners[nr].thread, NULL);
}

/* Its clock is the host's. */
static void clock_of_host(struct kvm_vcpu *vcpu)
{
	uint64_t none = 0;

	vcpu_device_attr_set(vcpu, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &none);
}

void ring_create(struct backend *b)
{
	unsigned int i;

	b->guest.vm = vm_create_with_vcpus(RING_VCPUS, guest_code, b->vcpus);
	b->guest.vcpu = b->vcpus[0];
	virt_map(b->guest.vm, GUEST_MMIO_BASE, GUEST_MMIO_BASE, GUEST_MMIO_SIZE / GUEST_PAGE);
	vm_init_descriptor_tables(b->guest.vm);
	for (i = 0; i < RING_VCPUS; i++) {
		vcpu_init_descriptor_tables(b->vcpus[i]);
		vcpu_args_set(b->vcpus[i], 1, (uint64_t)i);
		clock_of_host(b->vcpus[i]);
	}
	vm_install_exception_handler(b->guest.vm, GUEST_VECTOR, handler);
	irqfds_setup(&b->guest);

	/* Until its local APIC is on, a guest gets no interrupts. */
	for (i = 0; i < RING_VCPUS; i++)
		run(b->vcpus[i]);
}
