// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM with one vCPU that never runs, for as long as the process lives.
 *
 * KVM patches kernel code, __schedule() among it, when the first VM of the host comes
 * and when the last one goes, and for vCPUs whose local APIC is off, as every new one's
 * is.  An emulator that translates code while another of its CPUs patches it can keep
 * the breakpoint that stood there meanwhile, and both CPUs then take it for ever.  While
 * this VM is there nothing is the first or the last.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR), vm;

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	if (ioctl(vm, KVM_CREATE_IRQCHIP) || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		perror("idle-vm");
		return 1;
	}
	/* Whoever waits for a line goes on now. */
	puts("ready");
	fclose(stdout);
	for (;;)
		pause();
}
