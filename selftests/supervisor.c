// SPDX-License-Identifier: GPL-2.0-only
/*
 * A supervisor, which has attached to another process's VM: which process may make
 * calls then, and what the others see of it.  Who may attach is in who.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "peer.h"

#define ADDR GUEST_MMIO_BASE
#define GSI  24
#define USER 1001

static struct guest guest;
static int vm_fd;
static int device_fd;
static int kick;
static int call;

static int attach(void)
{
	return -kvmfd_attach_vm(device_fd, vm_fd, KVMFD_VM_FOREIGN, 0, NULL);
}

/* --- who may call --------------------------------------------------------- */

static int new_kick(void)
{
	kick = new_eventfd();
	return kick;
}

static int take_kick(void)
{
	return eventfd_take(kick);
}

static int assign_doorbell(void)
{
	return ioeventfd(device_fd, kick, ADDR, 4, 0, 0);
}

static int deassign_doorbell(void)
{
	return ioeventfd(device_fd, kick, ADDR, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
}

static int assign_masked(void)
{
	return masked_ioeventfd(device_fd, kick, ADDR + 8, 4, KVM_IOEVENTFD_FLAG_DATAMATCH,
				1, 1);
}

static int assign_irqfd(void)
{
	return irqfd(device_fd, call, GSI, 0);
}

static int deassign_irqfd(void)
{
	return irqfd(device_fd, call, GSI, KVM_IRQFD_FLAG_DEASSIGN);
}

static int batch_of_one(void)
{
	const struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.addr = ADDR + 16,
		.len = 4,
		.fd = kick,
	};

	return -kvmfd_batch(device_fd, &change, 1, NULL);
}

static const peer_fn calls[] = {
	assign_doorbell,
	assign_masked,
	assign_irqfd,
	batch_of_one,
	deassign_irqfd,
	deassign_doorbell,
};

/* What all of them are answered, if it is the same. */
static int make_calls(void)
{
	int err = calls[0](), i;

	for (i = 1; i < ARRAY_SIZE(calls); i++)
		TEST_ASSERT(calls[i]() == err, "call %d is answered another way", i);
	return err;
}

static int attach_anew(void)
{
	return -kvmfd_attach_vm(device_open(), vm_fd, 0, 0, NULL);
}

static int info_and_list(void)
{
	struct kvmfd_entry entry;

	return device_info(device_fd).state == KVMFD_STATE_ATTACHED &&
	       device_entries(device_fd, &entry, 1) == 1;
}

/* The VM is the test's; a supervisor has attached to it and given it the fd. */
FIXTURE(supervised)
{
	struct peer supervisor;
	unsigned int vms;
};

FIXTURE_SETUP(supervised)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);

	self->vms = count_vms();
	guest_create(&guest);
	guest_set_routing(&guest, &entry, 1);
	guest_take_interrupts(&guest);
	vm_fd = guest.vm->fd;
	call = new_eventfd();
	device_fd = device_open();
	self->supervisor = peer_start();
	ASSERT_EQ(0, peer_call(&self->supervisor, attach));
}

FIXTURE_TEARDOWN(supervised)
{
	close(device_fd);
	peer_kill(&self->supervisor);
	kvm_vm_free(guest.vm);
	EXPECT_EQ(self->vms, count_vms());
}

TEST_F(supervised, both_make_calls)
{
	/* The supervisor's eventfd, which is at no number of ours. */
	int its = peer_call(&self->supervisor, new_kick);

	kick = -1;
	ASSERT_EQ(0, peer_call(&self->supervisor, assign_doorbell));
	EXPECT_EQ(0, guest_write(&guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, peer_call(&self->supervisor, take_kick));
	EXPECT_EQ(EBADF, deassign_doorbell());

	kick = peer_fd(&self->supervisor, its);
	ASSERT_EQ(0, deassign_doorbell());
	ASSERT_EQ(ENOENT, peer_call(&self->supervisor, deassign_doorbell));
	ASSERT_EQ(0, make_calls());

	/* The irqfd's eventfd is the same in both. */
	ASSERT_EQ(0, peer_call(&self->supervisor, assign_irqfd));
	eventfd_ring(call);
	guest_take_interrupts(&guest);
	EXPECT_EQ(1, guest_interrupts(&guest, GUEST_VECTOR));
	ASSERT_EQ(EBUSY, assign_irqfd());
	ASSERT_EQ(0, deassign_irqfd());
}

TEST_F(supervised, a_third_process_makes_none)
{
	kick = new_eventfd();
	ASSERT_EQ(0, assign_doorbell());
	EXPECT_EQ(EIO, in_another_process(make_calls));
	EXPECT_EQ(EIO, in_another_process(attach_anew));
	EXPECT_TRUE(in_another_process(info_and_list));
	EXPECT_EQ(1, device_info(device_fd).nr_ioeventfds);
	EXPECT_EQ(0, device_info(device_fd).nr_irqfds);
}

TEST_F(supervised, outlives_the_supervisor)
{
	peer_call(&self->supervisor, new_kick);
	kick = peer_fd(&self->supervisor, peer_call(&self->supervisor, new_kick));
	ASSERT_EQ(0, peer_call(&self->supervisor, assign_doorbell));
	ASSERT_EQ(0, peer_call(&self->supervisor, assign_irqfd));
	EXPECT_EQ(self->supervisor.pid, device_info(device_fd).attacher);
	peer_kill(&self->supervisor);

	EXPECT_EQ(KVMFD_STATE_ATTACHED, device_info(device_fd).state);
	EXPECT_EQ(0, device_info(device_fd).attacher);
	EXPECT_EQ(0, guest_write(&guest, SPACE_MMIO, ADDR, 4, 0));
	EXPECT_EQ(1, eventfd_take(kick));
	eventfd_ring(call);
	guest_take_interrupts(&guest);
	EXPECT_EQ(1, guest_interrupts(&guest, GUEST_VECTOR));
	EXPECT_EQ(0, deassign_doorbell());
	EXPECT_EQ(0, deassign_irqfd());
	self->supervisor = peer_start();
}

/* --- what others see ------------------------------------------------------ */

static struct kvmfd_find found;

static int find_vm(void)
{
	return -kvmfd_find_vm(device_fd, vm_fd, 0, 0, &found);
}

static int find_foreign(void)
{
	return -kvmfd_find_vm(device_fd, vm_fd, KVMFD_VM_FOREIGN, 0, &found);
}

static int user_finds_foreign(void)
{
	TEST_ASSERT(!setresuid(USER, USER, USER), "setresuid: %s", strerror(errno));
	return find_foreign();
}

TEST_F(supervised, found_by_those_who_may)
{
	ASSERT_EQ(0, find_vm());
	EXPECT_EQ(device_info(device_fd).attachment, found.attachment);
	EXPECT_EQ(self->supervisor.pid, found.attacher);
	EXPECT_EQ(KVMFD_VM_FOREIGN, found.attach_flags);

	EXPECT_EQ(EIO, in_another_process(find_vm));
	EXPECT_EQ(0, in_another_process(find_foreign));
	EXPECT_EQ(EPERM, in_another_process(user_finds_foreign));
	/* Who has attached need not ask for leave again. */
	EXPECT_EQ(0, peer_call(&self->supervisor, find_vm));
	EXPECT_EQ(0, peer_call(&self->supervisor, user_finds_foreign));

	close(device_fd);
	device_fd = device_open();
	peer_kill(&self->supervisor);
	EXPECT_EQ(ENOENT, find_foreign());
	EXPECT_EQ(ENOENT, in_another_process(find_foreign));
	EXPECT_EQ(EPERM, in_another_process(user_finds_foreign));
	self->supervisor = peer_start();
}

static int pid_from_fdinfo(void)
{
	char path[64], line[128], foreign[16] = "";
	int pid = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", device_fd);
	f = fopen(path, "r");
	while (f && pid < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "kvmfd-attacher: pid %d %15s", &pid, foreign);
	if (f)
		fclose(f);
	return strcmp(foreign, "foreign") ? -1 : pid;
}

static int pid_from_info(void)
{
	return device_info(device_fd).attacher;
}

static int pid_from_find(void)
{
	return find_foreign() ? -1 : found.attacher;
}

/* What a process in a pid namespace of its own sees; its /proc is the old one. */
static int in_pid_namespace(peer_fn fn)
{
	int result;
	pid_t pid;

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		TEST_ASSERT(!unshare(CLONE_NEWPID), "unshare: %s", strerror(errno));
		_exit(in_another_process(fn));
	}
	TEST_ASSERT(waitpid(pid, &result, 0) == pid && WIFEXITED(result), "it died");
	return WEXITSTATUS(result);
}

static int attach_and_tell_pid(void)
{
	int err = attach();

	return err ? -err : pid_from_info();
}

TEST_F(supervised, pid_is_the_readers)
{
	pid_t pid = self->supervisor.pid;

	EXPECT_EQ(KVMFD_VM_FOREIGN, device_info(device_fd).attach_flags);
	EXPECT_EQ(pid, pid_from_info());
	EXPECT_EQ(pid, pid_from_fdinfo());
	EXPECT_EQ(pid, peer_call(&self->supervisor, pid_from_info));
	EXPECT_EQ(pid, in_another_process(pid_from_info));

	EXPECT_EQ(0, in_pid_namespace(pid_from_info));
	EXPECT_EQ(0, in_pid_namespace(pid_from_find));

	/* The first process of a namespace is number 1 there. */
	ASSERT_EQ(0, kvmfd_evict(device_fd, vm_fd));
	close(device_fd);
	device_fd = device_open();
	EXPECT_EQ(1, in_pid_namespace(attach_and_tell_pid));
	EXPECT_EQ(KVMFD_STATE_ATTACHED, device_info(device_fd).state);
	EXPECT_EQ(0, pid_from_info());
}

/* --- the owner's end ------------------------------------------------------ */

static int new_vm(void)
{
	return vm_create_barebones()->fd;
}

TEST(vm_without_its_process)
{
	unsigned int vms = count_vms();
	struct kvmfd_entry entry;
	struct peer owner = peer_start();

	vm_fd = peer_fd(&owner, peer_call(&owner, new_vm));
	device_fd = device_open();
	ASSERT_EQ(0, attach());
	kick = new_eventfd();
	call = new_eventfd();
	ASSERT_EQ(0, assign_doorbell());
	peer_kill(&owner);

	/* We have the VM's fd: it is there, and nobody's any more. */
	EXPECT_EQ(vms + 1, count_vms());
	EXPECT_EQ(KVMFD_STATE_ATTACHED, device_info(device_fd).state);
	EXPECT_EQ(EIO, make_calls());
	EXPECT_EQ(1, device_entries(device_fd, &entry, 1));
	close(device_fd);
	device_fd = device_open();
	EXPECT_EQ(EIO, attach());
	close(vm_fd);
	EXPECT_EQ(vms, count_vms());
}

TEST_HARNESS_MAIN
