// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmfd's own requests: what they tell, and all that they refuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

#define PAGE 4096

/* Every struct of ours begins with these. */
struct header {
	uint32_t size;
	uint32_t flags;
};

FIXTURE(abi)
{
	struct kvm_vm *vm;
	int fd;
};

FIXTURE_SETUP(abi)
{
	self->vm = vm_create_barebones();
	self->fd = device_open();
}

FIXTURE_TEARDOWN(abi)
{
	close(self->fd);
	kvm_vm_free(self->vm);
}

TEST_F(abi, info_of_a_new_fd)
{
	struct kvmfd_info info = device_info(self->fd);

	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(KVMFD_ABI_VERSION, info.abi_version);
	EXPECT_EQ(KVMFD_STATE_DETACHED, info.state);
	EXPECT_EQ(KVMFD_FEATURE_IOEVENTFD | KVMFD_FEATURE_IRQFD | KVMFD_FEATURE_LIST |
			  KVMFD_FEATURE_MASK | KVMFD_FEATURE_BATCH |
			  KVMFD_FEATURE_RESAMPLE | KVMFD_FEATURE_FOREIGN |
			  KVMFD_FEATURE_REMOVED | KVMFD_FEATURE_POLL |
			  KVMFD_FEATURE_ROUTE | KVMFD_FEATURE_LATENCY,
		  info.features);
	EXPECT_EQ(0, info.attachment);
	EXPECT_EQ(0, info.nr_ioeventfds);
	EXPECT_EQ(0, info.nr_irqfds);
	EXPECT_EQ(0, info.retired_hits);
	EXPECT_EQ(0, info.retired_inline_calls);
	EXPECT_EQ(0, info.retired_deferred_calls);
	EXPECT_LE(65536, info.max_ioeventfds);
	EXPECT_LE(2, info.max_masks);
	EXPECT_EQ(65536U, info.max_batch);
	EXPECT_EQ(0, info.attacher);
	EXPECT_EQ(0, info.attach_flags);
	EXPECT_EQ(0, info.owner);
	EXPECT_EQ(0, info.reserved);
}

TEST_F(abi, device_is_for_group_kvm)
{
	struct stat st;

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0660, st.st_mode & 0777);
}

TEST_F(abi, unknown_requests)
{
	char arg[256] = {};

	EXPECT_EQ(ENOTTY, do_ioctl(self->fd, _IO(KVMFD_IOC_MAGIC, 0x7f), arg));
	EXPECT_EQ(ENOTTY, do_ioctl(self->fd, _IOW(KVMFD_IOC_MAGIC, 0, struct kvmfd_info), arg));
	EXPECT_EQ(ENOTTY, do_ioctl(self->fd, KVM_CREATE_VCPU, arg));
	EXPECT_EQ(ENOTTY, do_ioctl(self->fd, KVM_SET_GSI_ROUTING, arg));
}

FIXTURE(sized)
{
	struct kvm_vm *vm;
	int fd;
	/* Two pages, and nothing behind them. */
	char *memory;
	struct header *arg;
};

FIXTURE_VARIANT(sized)
{
	unsigned long request;
	size_t size;
	size_t first_size; /* of the struct's first version, if it has grown */
	uint32_t known_flags;
	bool only_read;
};

FIXTURE_VARIANT_ADD(sized, get_info) {
	.request = KVMFD_GET_INFO,
	.size = sizeof(struct kvmfd_info),
	.first_size = offsetof(struct kvmfd_info, max_ioeventfds),
};

FIXTURE_VARIANT_ADD(sized, attach_vm) {
	.request = KVMFD_ATTACH_VM,
	.size = sizeof(struct kvmfd_attach),
	.known_flags = KVMFD_VM_FOREIGN | KVMFD_ATTACH_REMEMBER,
};

FIXTURE_VARIANT_ADD(sized, find_vm) {
	.request = KVMFD_FIND_VM,
	.size = sizeof(struct kvmfd_find),
	.first_size = offsetof(struct kvmfd_find, attacher),
	.known_flags = KVMFD_VM_FOREIGN,
};

FIXTURE_VARIANT_ADD(sized, evict) {
	.request = KVMFD_EVICT,
	.size = sizeof(struct kvmfd_evict),
	.only_read = true,
};

FIXTURE_VARIANT_ADD(sized, list) {
	.request = KVMFD_LIST,
	.size = sizeof(struct kvmfd_list),
	.known_flags = KVMFD_LIST_REMOVED,
};

FIXTURE_VARIANT_ADD(sized, ioeventfd) {
	.request = KVMFD_IOEVENTFD,
	.size = sizeof(struct kvmfd_ioeventfd),
	.known_flags = KVM_IOEVENTFD_VALID_FLAG_MASK,
	.only_read = true,
};

FIXTURE_VARIANT_ADD(sized, latency) {
	.request = KVMFD_LATENCY,
	.size = sizeof(struct kvmfd_latency),
	.known_flags = KVMFD_LATENCY_START | KVMFD_LATENCY_STOP,
};

/* A good argument, which a test then spoils, or the same one for a newer ABI. */
static void sized_fill(struct header *arg, unsigned long request, size_t size, int vm_fd)
{
	memset(arg, 0, size);
	arg->size = size;

	if (request == KVMFD_ATTACH_VM) {
		((struct kvmfd_attach *)arg)->vm_fd = vm_fd;
	} else if (request == KVMFD_FIND_VM) {
		((struct kvmfd_find *)arg)->vm_fd = vm_fd;
	} else if (request == KVMFD_EVICT) {
		((struct kvmfd_evict *)arg)->vm_fd = vm_fd;
	} else if (request == KVMFD_LIST) {
		static struct kvmfd_entry entry;
		struct kvmfd_list *list = (struct kvmfd_list *)arg;

		list->entries = (uintptr_t)&entry;
		list->entry_size = sizeof(entry);
		list->count = 1;
	} else if (request == KVMFD_IOEVENTFD) {
		((struct kvmfd_ioeventfd *)arg)->len = 4;
		((struct kvmfd_ioeventfd *)arg)->fd = new_eventfd();
	} else if (request == KVMFD_LATENCY) {
		((struct kvmfd_latency *)arg)->id = 1;
	}
}

FIXTURE_SETUP(sized)
{
	self->vm = vm_create_barebones();
	self->fd = device_open();
	self->memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	ASSERT_EQ(0, munmap(self->memory + 2 * PAGE, PAGE));
	self->arg = (struct header *)self->memory;

	/* What the other requests need in order to succeed. */
	if (variant->request != KVMFD_GET_INFO && variant->request != KVMFD_ATTACH_VM)
		ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	if (variant->request == KVMFD_LATENCY) {
		struct kvmfd_latency begun;

		ASSERT_EQ(0, do_ioctl(self->vm->fd, KVM_CREATE_IRQCHIP, NULL));
		ASSERT_EQ(0, irqfd(self->fd, new_eventfd(), 24, 0));
		ASSERT_EQ(0, kvmfd_latency(self->fd, KVMFD_LATENCY_START, 1, &begun));
	}
}

FIXTURE_TEARDOWN(sized)
{
	munmap(self->memory, 2 * PAGE);
	close(self->fd);
	kvm_vm_free(self->vm);
}

TEST_F(sized, good_at_the_edge_of_memory)
{
	struct header *arg = (void *)(self->memory + 2 * PAGE - variant->size);

	sized_fill(arg, variant->request, variant->size, self->vm->fd);
	EXPECT_EQ(0, do_ioctl(self->fd, variant->request, arg));
}

TEST_F(sized, newer_caller_that_asks_nothing_new)
{
	sized_fill(self->arg, variant->request, variant->size + 64, self->vm->fd);
	EXPECT_EQ(0, do_ioctl(self->fd, variant->request, self->arg));
}

TEST_F(sized, newer_caller_that_asks_something_new)
{
	sized_fill(self->arg, variant->request, variant->size + 64, self->vm->fd);
	self->memory[variant->size + 63] = 1;
	EXPECT_EQ(E2BIG, do_ioctl(self->fd, variant->request, self->arg));
}

TEST_F(sized, size_too_small)
{
	sized_fill(self->arg, variant->request, variant->size, self->vm->fd);
	self->arg->size = 0;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, variant->request, self->arg));
	self->arg->size = (variant->first_size ?: variant->size) - 1;
	EXPECT_EQ(EINVAL, do_ioctl(self->fd, variant->request, self->arg));
}

TEST_F(sized, older_caller)
{
	struct header *arg = (void *)(self->memory + 2 * PAGE - variant->first_size);

	if (!variant->first_size)
		return;
	sized_fill(arg, variant->request, variant->first_size, self->vm->fd);
	EXPECT_EQ(0, do_ioctl(self->fd, variant->request, arg));
}

TEST_F(sized, size_absurd)
{
	sized_fill(self->arg, variant->request, variant->size, self->vm->fd);
	self->arg->size = PAGE + 1;
	EXPECT_EQ(E2BIG, do_ioctl(self->fd, variant->request, self->arg));
	self->arg->size = UINT32_MAX;
	EXPECT_EQ(E2BIG, do_ioctl(self->fd, variant->request, self->arg));
}

TEST_F(sized, each_unknown_flag)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		sized_fill(self->arg, variant->request, variant->size, self->vm->fd);
		self->arg->flags = 1U << bit;
		if (self->arg->flags & variant->known_flags)
			continue;
		EXPECT_EQ(EINVAL, do_ioctl(self->fd, variant->request, self->arg));
	}
}

TEST_F(sized, unreadable)
{
	struct header *arg = (void *)(self->memory + 2 * PAGE - sizeof(*arg));

	EXPECT_EQ(EFAULT, do_ioctl(self->fd, variant->request, NULL));
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, variant->request, self->memory + 2 * PAGE));
	arg->size = variant->size;
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, variant->request, arg));
}

TEST_F(sized, unwritable)
{
	struct kvmfd_info before = device_info(self->fd), after;

	if (variant->only_read)
		return;
	sized_fill(self->arg, variant->request, variant->size, self->vm->fd);
	ASSERT_EQ(0, mprotect(self->memory, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, variant->request, self->arg));

	/* Nothing has changed. */
	after = device_info(self->fd);
	EXPECT_EQ(before.state, after.state);
	EXPECT_EQ(before.attachment, after.attachment);
}

TEST_F(abi, attach)
{
	struct kvmfd_info info;
	uint64_t attachment;

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, &attachment));
	EXPECT_NE(0, attachment);

	info = device_info(self->fd);
	EXPECT_EQ(KVMFD_STATE_ATTACHED, info.state);
	EXPECT_EQ(attachment, info.attachment);
	EXPECT_EQ(getpid(), info.attacher);
	EXPECT_EQ(0, info.attach_flags);
}

TEST_F(abi, reserved_fields)
{
	struct kvmfd_evict evict = {
		.size = sizeof(evict),
		.vm_fd = self->vm->fd,
		.reserved = 1,
	};

	EXPECT_EQ(EINVAL, do_ioctl(self->fd, KVMFD_EVICT, &evict));
}

TEST_F(abi, owner)
{
	static const pid_t nobodies[] = { 1, 0x3fffffff, -1, INT32_MIN };
	struct kvmfd_find found;
	pid_t child;
	int i;

	/* As good as the VM's, to whoever does not ask. */
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		for (;;)
			pause();
	EXPECT_EQ(-ENOENT, kvmfd_find_vm(self->fd, self->vm->fd, 0, gettid(), &found));
	EXPECT_EQ(-EIO, kvmfd_find_vm(self->fd, self->vm->fd, KVMFD_VM_FOREIGN, child, &found));
	EXPECT_EQ(-EIO, kvmfd_attach_vm(self->fd, self->vm->fd, KVMFD_VM_FOREIGN, child, NULL));
	for (i = 0; i < ARRAY_SIZE(nobodies); i++) {
		EXPECT_EQ(-EIO, kvmfd_attach_vm(self->fd, self->vm->fd, 0, nobodies[i], NULL));
		EXPECT_EQ(-EIO, kvmfd_find_vm(self->fd, self->vm->fd, 0, nobodies[i], &found));
	}
	EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(self->fd).state);

	EXPECT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, getpid(), NULL));
	EXPECT_EQ(0, kvmfd_find_vm(self->fd, self->vm->fd, 0, getpid(), &found));
	EXPECT_EQ(0, kvmfd_find_vm(self->fd, self->vm->fd, 0, 0, &found));
	EXPECT_EQ(-EIO, kvmfd_find_vm(self->fd, self->vm->fd, 0, child, &found));

	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(-EIO, kvmfd_find_vm(self->fd, self->vm->fd, 0, child, &found));
}

TEST_F(abi, attach_ids_are_not_reused)
{
	uint64_t last = 0;
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = device_open_attached(self->vm->fd);
		EXPECT_LT(last, device_info(fd).attachment);
		last = device_info(fd).attachment;
		close(fd);
	}
}

/*
 * Each fd that is not a VM's, with what is to be said of it.  The requests' structs
 * are the same as far as this goes.
 */
static void expect_refusals(struct __test_metadata *_metadata, int fd, unsigned long request)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, NULL);
	struct kvmfd_attach arg;
	int closed = dup(0), err, pipes[2];
	struct {
		int fd;
		int err;
	} wrong[] = {
		{ -1, EBADF },
		{ 1 << 20, EBADF },
		{ closed, EBADF },
		{ new_eventfd(), EINVAL },
		{ vm->kvm_fd, EINVAL },
		{ vcpu->fd, EINVAL },
		{ vm_get_stats_fd(vm), EINVAL },
		{ fd, EINVAL },
		{ open("/dev/null", O_RDWR), EINVAL },
		{ open("/", O_PATH), EBADF },
		{ pipe(pipes) ? -1 : pipes[0], EINVAL },
	};
	int i;

	close(closed);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		arg = (struct kvmfd_attach) { .size = sizeof(arg), .vm_fd = wrong[i].fd };
		err = do_ioctl(fd, request, &arg);
		EXPECT_EQ(wrong[i].err, err);
		if (err != wrong[i].err)
			TH_LOG("fd number %d of the list", i);
		EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(fd).state);
	}
}

TEST_F(abi, attach_wrong_fd)
{
	expect_refusals(_metadata, self->fd, KVMFD_ATTACH_VM);
}

TEST_F(abi, find_wrong_fd)
{
	expect_refusals(_metadata, self->fd, KVMFD_FIND_VM);
}

TEST_F(abi, evict_wrong_fd)
{
	expect_refusals(_metadata, self->fd, KVMFD_EVICT);
}

TEST_F(abi, attach_twice)
{
	struct kvm_vm *other = vm_create_barebones();
	int other_fd = device_open();

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	EXPECT_EQ(-EBUSY, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	EXPECT_EQ(-EBUSY, kvmfd_attach_vm(self->fd, other->fd, 0, 0, NULL));
	EXPECT_EQ(-EBUSY, kvmfd_attach_vm(other_fd, self->vm->fd, 0, 0, NULL));
	EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(other_fd).state);
	/* Nothing stands in the way of another VM, or of the next. */
	EXPECT_EQ(0, kvmfd_attach_vm(other_fd, other->fd, 0, 0, NULL));
	close(self->fd);
	self->fd = device_open();
	EXPECT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	close(other_fd);
	kvm_vm_free(other);
}

TEST_F(abi, find)
{
	struct kvm_vm *other = vm_create_barebones();
	int any = device_open(), dupped = dup(self->vm->fd);
	struct kvmfd_find found;

	EXPECT_EQ(-ENOENT, kvmfd_find_vm(any, self->vm->fd, 0, 0, &found));
	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, dupped, 0, 0, NULL));
	ASSERT_EQ(0, kvmfd_find_vm(any, self->vm->fd, 0, 0, &found));
	EXPECT_EQ(device_info(self->fd).attachment, found.attachment);
	ASSERT_EQ(0, kvmfd_find_vm(self->fd, dupped, 0, 0, &found));
	EXPECT_EQ(device_info(self->fd).attachment, found.attachment);
	EXPECT_EQ(-ENOENT, kvmfd_find_vm(any, other->fd, 0, 0, &found));

	close(self->fd);
	EXPECT_EQ(-ENOENT, kvmfd_find_vm(any, self->vm->fd, 0, 0, &found));
	self->fd = any;
	close(dupped);
	kvm_vm_free(other);
}

TEST_F(abi, before_attach)
{
	struct kvmfd_entry entry;
	struct kvmfd_list list = {
		.size = sizeof(list),
		.entries = (uintptr_t)&entry,
		.entry_size = sizeof(entry),
		.count = 1,
	};
	int efd = new_eventfd();

	EXPECT_EQ(ENOTCONN, ioeventfd(self->fd, efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(ENOTCONN, irqfd(self->fd, efd, 0, 0));
	EXPECT_EQ(ENOTCONN, do_ioctl(self->fd, KVMFD_LIST, &list));
	EXPECT_EQ(KVMFD_STATE_DETACHED, device_info(self->fd).state);
}

TEST_F(abi, kvm_requests_unreadable)
{
	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, KVM_IOEVENTFD, NULL));
	EXPECT_EQ(EFAULT, do_ioctl(self->fd, KVM_IRQFD, NULL));
}

/* As KVM: to another process a VM's fd is of no use. */
TEST_F(abi, other_process)
{
	int efd = new_eventfd(), status;
	pid_t pid;

	ASSERT_EQ(0, kvmfd_attach_vm(self->fd, self->vm->fd, 0, 0, NULL));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct kvm_vm *vm = self->vm;
		int fresh = device_open();

		bool good = ioeventfd(self->fd, efd, GUEST_MMIO_BASE, 4, 0, 0) == EIO &&
			    irqfd(self->fd, efd, 0, 0) == EIO &&
			    ioeventfd(vm->fd, efd, GUEST_MMIO_BASE, 4, 0, 0) == EIO &&
			    kvmfd_attach_vm(fresh, vm->fd, 0, 0, NULL) == -EIO &&
			    device_info(self->fd).state == KVMFD_STATE_ATTACHED &&
			    device_entries(self->fd, &(struct kvmfd_entry) {}, 1) == 0;

		_exit(good ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, device_info(self->fd).nr_ioeventfds);
}

TEST_F(abi, after_the_vm)
{
	struct kvm_vm *vm = vm_create_barebones();
	int fd = device_open_attached(vm->fd), efd = new_eventfd();
	struct kvmfd_entry entry;

	ASSERT_EQ(0, ioeventfd(fd, efd, GUEST_MMIO_BASE, 4, 0, 0));
	kvm_vm_free(vm);

	EXPECT_EQ(KVMFD_STATE_GONE, device_info(fd).state);
	EXPECT_EQ(ENODEV, ioeventfd(fd, efd, GUEST_MMIO_BASE, 4, 0, 0));
	EXPECT_EQ(ENODEV, ioeventfd(fd, efd, GUEST_MMIO_BASE, 4,
				    KVM_IOEVENTFD_FLAG_DEASSIGN, 0));
	EXPECT_EQ(ENODEV, irqfd(fd, efd, 0, 0));
	EXPECT_EQ(ENODEV, irqfd(fd, efd, 0, KVM_IRQFD_FLAG_DEASSIGN));
	/* For its life, even if that was long. */
	EXPECT_EQ(-EBUSY, kvmfd_attach_vm(fd, self->vm->fd, 0, 0, NULL));
	EXPECT_EQ(0, device_entries(fd, &entry, 1));
	EXPECT_EQ(0, device_info(fd).nr_ioeventfds);
	close(fd);
}

TEST_HARNESS_MAIN
