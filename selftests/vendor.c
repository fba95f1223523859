// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processor's half of KVM, kvm_amd or kvm_intel, stays for as long as kvmfd has a VM:
 * what destroys that is in there.  Here only a request that is under way has it.  The VM's
 * own files, which keep the module from 6.12 on, are closed, and nobody else has a VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "harness.h"

/* A VM of the test host's, for as long as that runs. */
#define IDLE_VM "/bin/idle-vm"

static const struct vendor {
	const char *name;
	const char *refcnt;
	const char *file;
} vendors[] = {
	{ "kvm_amd", "/sys/module/kvm_amd/refcnt", "/modules/kvm-amd.ko" },
	{ "kvm_intel", "/sys/module/kvm_intel/refcnt", "/modules/kvm-intel.ko" },
};

static const struct vendor *find_vendor(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vendors); i++)
		if (!access(vendors[i].refcnt, F_OK))
			return &vendors[i];
	return NULL;
}

static int unload(const struct vendor *vendor)
{
	return syscall(SYS_delete_module, vendor->name, O_NONBLOCK) ? errno : 0;
}

static int load(const struct vendor *vendor)
{
	int file = open(vendor->file, O_RDONLY | O_CLOEXEC), err;

	err = syscall(SYS_finit_module, file, "", 0) ? errno : 0;
	close(file);
	return err;
}

/* --- the test host's own VM ---------------------------------------------- */

static void end_idle_vm(void)
{
	FILE *f = popen("pidof idle-vm", "re");
	struct pollfd end = { .events = POLLIN };
	int pid;

	TEST_ASSERT(f && fscanf(f, "%d", &pid) == 1, "the test host has no idle-vm");
	pclose(f);
	end.fd = syscall(SYS_pidfd_open, pid, 0);
	TEST_ASSERT(end.fd >= 0 && !kill(pid, SIGKILL), "idle-vm: %s", strerror(errno));
	TEST_ASSERT(poll(&end, 1, PATIENCE_MS) == 1, "idle-vm does not end");
	close(end.fd);
}

/* It outlives the test, whose process group is ended. */
static void begin_idle_vm(void)
{
	FILE *f = popen("setsid " IDLE_VM, "re");
	char line[16] = "";

	TEST_ASSERT(f && fgets(line, sizeof(line), f), "idle-vm does not begin");
}

/* --- the test ------------------------------------------------------------- */

static int new_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(vm >= 0 && !ioctl(vm, KVM_CREATE_IRQCHIP), "a VM: %s", strerror(errno));
	close(kvm);
	return vm;
}

struct call {
	int fd;
	void *arg;
	int err;
};

static void *assign(void *arg)
{
	struct call *call = arg;

	call->err = do_ioctl(call->fd, KVM_IOEVENTFD, call->arg);
	return NULL;
}

TEST(stays_while_a_request_has_the_vm)
{
	const struct vendor *vendor = find_vendor();
	struct call call = {};
	pthread_t thread;
	int vm, uffd;

	if (!vendor || access(IDLE_VM, X_OK) || access(vendor->file, R_OK))
		SKIP(return, "KVM cannot be unloaded here");
	end_idle_vm();
	EXPECT_EQ(0, file_number(vendor->refcnt));

	vm = new_vm();
	call.fd = device_open_attached(vm);
	call.arg = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, call.arg);
	uffd = hold_page(call.arg);
	ASSERT_EQ(0, pthread_create(&thread, NULL, assign, &call));
	await_page(uffd);

	close(vm);
	EXPECT_EQ(EAGAIN, unload(vendor));
	close(uffd);
	pthread_join(thread, NULL);
	/* The struct was empty: no eventfd, no length. */
	EXPECT_NE(0, call.err);
	close(call.fd);
	EXPECT_EQ(0, file_number(vendor->refcnt));
	EXPECT_EQ(0, unload(vendor));

	EXPECT_EQ(0, load(vendor));
	begin_idle_vm();
}

TEST_HARNESS_MAIN
