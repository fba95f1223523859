// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that writes many times without a word to its host.
 *
 * The difference between many writes and none is the price of the writes: what
 * entering and leaving the guest costs is in both.  The guest's loop, of six or
 * seven instructions besides the write, is left in.
 */
#include <errno.h>
#include <string.h>

#include "apic.h"
#include "test_util.h"

#include "bench.h"

/* In guest memory, at the same address for guest and host code. */
static struct burst order;

static void guest_code(void)
{
	struct burst todo;

	x2apic_enable();

	for (;;) {
		todo = order;
		for (; todo.count; todo.count--) {
			if (todo.space == SPACE_MMIO)
				*(volatile uint32_t *)todo.addr = todo.value;
			else
				asm volatile("outw %w0, %w1"
					     :
					     : "a"(todo.value), "d"(todo.addr));
			todo.addr += todo.addr_step;
			todo.value += todo.value_step;
		}
		/* The instruction after sti is still shielded. */
		asm volatile("sti; nop; nop; cli"
			     :
			     :
			     : "memory");
		asm volatile("outb %%al, %w0"
			     :
			     : "d"(DONE_PORT)
			     : "memory");
	}
}

void burst_order(struct guest *guest, const struct burst *burst)
{
	order = *burst;
	sync_global_to_guest(guest->vm, order);
}

unsigned int burst_run(struct guest *guest)
{
	uint32_t expected = order.space == SPACE_MMIO ? KVM_EXIT_MMIO : KVM_EXIT_IO;
	const struct kvm_run *run = guest->vcpu->run;
	unsigned int exits;

	for (exits = 0;; exits++) {
		if (__vcpu_run(guest->vcpu))
			require(false, "KVM_RUN: %s", strerror(errno));
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == DONE_PORT)
			return exits;
		require(exits < order.count && run->exit_reason == expected,
			"the guest left with exit reason %u", run->exit_reason);
	}
}

void burst_create(struct guest *guest)
{
	static const struct burst nothing;
	struct kvm_regs regs;

	guest_create(guest);
	vcpu_regs_get(guest->vcpu, &regs);
	regs.rip = (uintptr_t)guest_code;
	vcpu_regs_set(guest->vcpu, &regs);

	/* Until its local APIC is on, a guest gets no interrupts. */
	burst_order(guest, &nothing);
	burst_run(guest);
}
