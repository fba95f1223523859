// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a VM that has doorbells and irqfds still.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "bench.h"

static int open_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);

	require(vm >= 0 && !ioctl(vm, KVM_CREATE_IRQCHIP, 0), "cannot make a VM: %s",
		strerror(errno));
	close(kvm);
	return vm;
}

/* From the closing of the VM, as at the end of a VMM, to when all is gone. */
void bench_teardown(void)
{
	bool kvmfd = current.backend->is_kvmfd;
	unsigned int i, vms = count_vms();
	struct stretch s;
	int vm = open_vm(), fd = kvmfd ? device_open_attached(vm) : vm, err = 0;

	for (i = 0; i < current.n && !err; i++) {
		err = ioeventfd(fd, eventfds[i], GUEST_MMIO_BASE + 4 * i, 4, 0, 0);
		if (!err)
			err = irqfd(fd, eventfds[i], IRQFD_GSI, 0);
	}
	require(!err, "cannot assign: %s", strerror(err));

	stretch_begin(&s);
	close(vm);
	if (kvmfd)
		close(fd);
	stretch_end(&s);
	require(count_vms() == vms, "the VM is there still");
	record_stretch("teardown", &s);
}
