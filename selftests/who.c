// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may: which process may attach to whose VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/capability.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"
#include "peer.h"
#include "user.h"

#define POLICY "/sys/module/kvmfd/parameters/foreign_attach"

/* --- what processes become ------------------------------------------------ */

static void stay_root(void)
{
}

static void become_user(void)
{
	become(USER, KVM_GROUP, 0);
}

static void become_other_user(void)
{
	become(OTHER_USER, KVM_GROUP, 0);
}

static void become_stranger(void)
{
	become(OTHER_USER, OTHER_USER, 0);
}

static void become_tracer(void)
{
	become(OTHER_USER, KVM_GROUP, 1ULL << CAP_SYS_PTRACE);
}

static void become_administrator(void)
{
	become(OTHER_USER, KVM_GROUP, 1ULL << CAP_SYS_ADMIN);
}

/* It has all but the two. */
static void become_lesser_root(void)
{
	keep_capabilities(~(1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_ADMIN) &
			  ((1ULL << (CAP_LAST_CAP + 1)) - 1));
}

/* root, who for the time being acts for a user. */
static void become_effective_user(void)
{
	gid_t group = KVM_GROUP;

	TEST_ASSERT(!setgroups(1, &group) && !setresuid(0, USER, 0), "setresuid: %s",
		    strerror(errno));
}

static void enter_user_namespace(uid_t uid)
{
	char map[32];

	TEST_ASSERT(!unshare(CLONE_NEWUSER), "unshare: %s", strerror(errno));
	file_write("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", uid);
	file_write("/proc/self/uid_map", map);
	file_write("/proc/self/gid_map", map);
	TEST_ASSERT(getuid() == 0, "not root in the user namespace");
}

static void become_root_of_users_namespace(void)
{
	become_user();
	enter_user_namespace(USER);
}

/* --- who may attach ------------------------------------------------------- */

static const struct pair {
	const char *policy;
	void (*owner)(void);
	void (*attacher)(void);
	int err;
} pairs[] = {
	{ "capable", stay_root, stay_root, 0 },
	{ "capable", become_user, stay_root, 0 },
	{ "capable", become_user, become_tracer, 0 },
	{ "capable", become_user, become_administrator, 0 },
	{ "capable", become_user, become_lesser_root, EPERM },
	{ "capable", become_user, become_user, EPERM },
	{ "capable", become_user, become_other_user, EPERM },
	{ "capable", stay_root, become_user, EPERM },
	/* Capabilities count where the owner is; each of these has its own namespace. */
	{ "capable", become_user, become_root_of_users_namespace, EPERM },
	{ "capable", stay_root, become_root_of_users_namespace, EPERM },
	{ "capable", become_root_of_users_namespace, become_root_of_users_namespace, EPERM },
	/* But who has made one has all of them in it. */
	{ "capable", become_root_of_users_namespace, become_user, 0 },
	{ "capable", become_root_of_users_namespace, become_other_user, EPERM },

	{ "none", stay_root, stay_root, EPERM },
	{ "none", become_user, become_user, EPERM },

	{ "user", become_user, stay_root, 0 },
	{ "user", become_user, become_user, 0 },
	{ "user", become_user, become_root_of_users_namespace, 0 },
	{ "user", become_user, become_tracer, 0 },
	{ "user", become_user, become_other_user, EPERM },
	{ "user", stay_root, become_user, EPERM },
	{ "user", become_effective_user, become_user, EPERM },
	{ "user", stay_root, become_lesser_root, 0 },
};

static const struct pair *pair;
static int device_fd;
static int vm_fd;

static int own(void)
{
	int kvm, vm;

	pair->owner();
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(vm >= 0, "no VM: %s", strerror(errno));
	close(kvm);
	return vm;
}

static int attach(void)
{
	return -kvmfd_attach_vm(device_fd, vm_fd, 0, 0, NULL);
}

static int attach_foreign(void)
{
	return -kvmfd_attach_vm(device_fd, vm_fd, KVMFD_VM_FOREIGN, 0, NULL);
}

static int become_and_attach(void)
{
	pair->attacher();
	return attach_foreign();
}

FIXTURE(policy)
{
	char was[16];
};

FIXTURE_SETUP(policy)
{
	int fd = open(POLICY, O_RDONLY);

	ASSERT_LT(0, read(fd, self->was, sizeof(self->was) - 1));
	close(fd);
	give_devices_to(KVM_GROUP);
}

FIXTURE_TEARDOWN(policy)
{
	give_devices_to(0);
	file_write(POLICY, self->was);
}

TEST_F(policy, says_who)
{
	struct peer owner;
	int err;

	EXPECT_STREQ("capable\n", self->was);
	for (pair = pairs; pair < pairs + ARRAY_SIZE(pairs); pair++) {
		file_write(POLICY, pair->policy);
		owner = peer_start();
		vm_fd = peer_fd(&owner, peer_call(&owner, own));
		device_fd = device_open();

		/* Without being asked for it is KVM's answer, whoever asks. */
		EXPECT_EQ(EIO, in_another_process(attach));
		err = in_another_process(become_and_attach);
		EXPECT_EQ(pair->err, err);
		if (err != pair->err)
			TH_LOG("row %d", (int)(pair - pairs));
		EXPECT_EQ(err ? KVMFD_STATE_DETACHED : KVMFD_STATE_ATTACHED,
			  device_info(device_fd).state);
		close(device_fd);
		close(vm_fd);
		peer_kill(&owner);
	}
}

TEST_F(policy, is_not_asked_for_ones_own_vm)
{
	struct kvmfd_info info;

	file_write(POLICY, "none");
	pair = pairs;
	vm_fd = own();
	device_fd = device_open();
	EXPECT_EQ(0, attach_foreign());
	info = device_info(device_fd);
	EXPECT_EQ(0, info.attach_flags);
	EXPECT_EQ(getpid(), info.attacher);
}

TEST_F(policy, is_one_of_three)
{
	int fd = open(POLICY, O_RDWR);
	char now[16] = "";

	EXPECT_EQ(-1, write(fd, "anybody", 7));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_LT(0, read(fd, now, sizeof(now) - 1));
	EXPECT_STREQ(self->was, now);
	close(fd);
}

static int open_device(void)
{
	int fd;

	pair->attacher();
	fd = open("/dev/kvmfd", O_RDWR);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

TEST_F(policy, group_kvm_has_the_device)
{
	static const struct pair member = { .attacher = become_user };
	static const struct pair stranger = { .attacher = become_stranger };

	pair = &member;
	EXPECT_EQ(0, in_another_process(open_device));
	pair = &stranger;
	EXPECT_EQ(EACCES, in_another_process(open_device));
}

/* Where the namespace is the VM's, too. */
static int contained(void)
{
	pair = pairs;
	become_root_of_users_namespace();
	vm_fd = own();
	device_fd = device_open();
	return in_another_process(attach_foreign);
}

TEST_F(policy, of_a_container)
{
	EXPECT_EQ(0, in_another_process(contained));
}

TEST_HARNESS_MAIN
