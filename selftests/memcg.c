// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom kvmfd's memory is charged to: the memory cgroup of the VM's owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define CGROUPS "/tmp/cgroups"
#define OWNER   CGROUPS "/kvmfd-owner"
#define OTHER   CGROUPS "/kvmfd-other"

#define DOORBELLS 10000
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN

/*
 * What a doorbell is charged with at least, half of what it has; and what may be charged
 * for other things, or not be given back yet: a CPU keeps pages that are charged already,
 * 64 at most.
 */
#define LEAST_EACH 64
#define SLACK      (512 * 1024L)

static long charged(const char *cgroup)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	return file_number(path);
}

/* The caller moves there; what it has already stays where it is charged. */
static void enter(const char *cgroup)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	file_write(path, "0");
}

FIXTURE(memcg)
{
	struct kvm_vm *vm;
	int fd;
	int efd;
};

FIXTURE_SETUP(memcg)
{
	mkdir(CGROUPS, 0755);
	ASSERT_EQ(0, mount("cgroup", CGROUPS, "cgroup2", 0, NULL));
	file_write(CGROUPS "/cgroup.subtree_control", "+memory");
	ASSERT_EQ(0, mkdir(OWNER, 0755));
	ASSERT_EQ(0, mkdir(OTHER, 0755));

	/* On one CPU, so that only its pages add to what is measured. */
	stay_on_cpu(0);
	enter(OWNER);
	self->vm = vm_create_barebones();
	self->fd = device_open_attached(self->vm->fd);
	self->efd = new_eventfd();
}

FIXTURE_TEARDOWN(memcg)
{
	close(self->fd);
	close(self->efd);
	kvm_vm_free(self->vm);
	enter(CGROUPS);
	rmdir(OWNER);
	rmdir(OTHER);
	umount(CGROUPS);
}

/* The first @n. */
static int doorbells(int fd, int efd, int n, uint32_t flags)
{
	int i, err = 0;

	for (i = 0; i < n && !err; i++)
		err = ioeventfd(fd, efd, GUEST_MMIO_BASE, 4, DATAMATCH | flags, i);
	return err;
}

TEST_F(memcg, doorbells_are_charged_and_given_back)
{
	long before = charged(OWNER), other = charged(OTHER), there, half;

	ASSERT_EQ(0, doorbells(self->fd, self->efd, DOORBELLS, 0));
	there = charged(OWNER);
	EXPECT_LT(DOORBELLS * LEAST_EACH, there - before);

	ASSERT_EQ(0, doorbells(self->fd, self->efd, DOORBELLS / 2, DEASSIGN));
	half = charged(OWNER);
	EXPECT_LT(DOORBELLS / 2 * LEAST_EACH, there - half);

	close(self->fd);
	TH_LOG("%ld bytes, %ld without half of them, %ld without all", there - before,
	       half - before, charged(OWNER) - before);
	EXPECT_GT(SLACK, charged(OWNER) - before);
	EXPECT_EQ(other, charged(OTHER));
	self->fd = device_open();
}

/* Were they to be had, they would be the owner's. */
static void try_from_another_cgroup(int fd, int efd)
{
	long before;
	int i, err;

	enter(OTHER);
	before = charged(OTHER);
	for (i = 0; i < DOORBELLS; i++) {
		err = ioeventfd(fd, efd, GUEST_MMIO_BASE, 4, DATAMATCH, i);
		TEST_ASSERT(err == EIO, "another process's assign: %s", strerror(err));
	}
	TEST_ASSERT(charged(OTHER) - before < SLACK, "%ld bytes are charged to the caller",
		    charged(OTHER) - before);
}

TEST_F(memcg, another_process_gets_and_pays_nothing)
{
	long before = charged(OWNER);
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		try_from_another_cgroup(self->fd, self->efd);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_GT(SLACK, charged(OWNER) - before);
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
}

/* Whoever calls, it is the owner's. */
static void pay_from_another_cgroup(int vm_fd, int efd)
{
	int fd = device_open(), err = -kvmfd_attach_vm(fd, vm_fd, KVMFD_VM_FOREIGN, 0, NULL);
	long owners = charged(OWNER), there, others;

	TEST_ASSERT(!err, "attach: %s", strerror(err));
	enter(OTHER);
	others = charged(OTHER);
	err = doorbells(fd, efd, DOORBELLS, 0);
	TEST_ASSERT(!err, "assign: %s", strerror(err));
	there = charged(OWNER);
	TEST_ASSERT(there - owners > DOORBELLS * LEAST_EACH, "the owner is charged %ld bytes",
		    there - owners);
	TEST_ASSERT(charged(OTHER) - others < SLACK, "%ld bytes are charged to the caller",
		    charged(OTHER) - others);

	err = doorbells(fd, efd, DOORBELLS / 2, DEASSIGN);
	TEST_ASSERT(!err, "deassign: %s", strerror(err));
	TEST_ASSERT(there - charged(OWNER) > DOORBELLS / 2 * LEAST_EACH,
		    "the owner gets back %ld bytes", there - charged(OWNER));
}

TEST_F(memcg, another_process_that_may_pays_nothing)
{
	long before = charged(OWNER);
	int status;
	pid_t pid;

	close(self->fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pay_from_another_cgroup(self->vm->fd, self->efd);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_GT(SLACK, charged(OWNER) - before);
	self->fd = device_open();
}

/* The evicted can keep his fd for as long as he likes, but not the memory. */
TEST_F(memcg, eviction_gives_back)
{
	long before = charged(OWNER);

	ASSERT_EQ(0, doorbells(self->fd, self->efd, DOORBELLS, 0));
	EXPECT_LT(DOORBELLS * LEAST_EACH, charged(OWNER) - before);
	ASSERT_EQ(0, kvmfd_evict(self->fd, self->vm->fd));
	EXPECT_GT(SLACK, charged(OWNER) - before);
}

TEST_HARNESS_MAIN
