// SPDX-License-Identifier: GPL-2.0-only
/* VMs that kvmfd serves.  A VM is known by its attachment: fds are closed and used again. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

static struct vm *vms;
static unsigned int nr_vms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t remember(void)
{
	return report_wanted() ? KVMFD_ATTACH_REMEMBER : 0;
}

/* An fd of /dev/kvmfd that is attached now, or -errno. */
static int attach(int vm_fd, pid_t owner, uint64_t *id)
{
	uint32_t flags = KVMFD_VM_FOREIGN | remember();
	int err, fd = kvmfd_open();

	if (fd < 0)
		return fd;
	err = kvmfd_attach_vm(fd, vm_fd, flags, owner, id);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* A process with a VM: what the command will be. */
static void __attribute__((noreturn)) make_vm(int socket)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	char byte = 0;

	if (vm >= 0 && !fd_send(socket, vm, &byte, sizeof(byte)))
		recv(socket, &byte, sizeof(byte), 0);
	_exit(0);
}

int vm_try(void)
{
	int socket, vm, fd = kvmfd_open(), err = 0;
	uint64_t id;
	pid_t pid;
	char byte;

	if (fd < 0)
		return -fd;
	close(fd);

	pid = fork_with_socket(&socket);
	if (!pid)
		make_vm(socket);
	/* Without KVM there is nothing to serve, and the command can say so itself. */
	if (fd_receive(socket, &vm, &byte, sizeof(byte), 0) > 0 && vm >= 0) {
		fd = attach(vm, pid, &id);
		close(vm);
		if (fd < 0)
			err = -fd;
		else
			close(fd);
	}
	close(socket);
	waitpid(pid, NULL, 0);
	return err;
}

/* The attachment that serves a VM: 0 or an errno. */
static int find(int vm_fd, pid_t owner, uint64_t *id)
{
	static int device = -1;
	struct kvmfd_find found;
	int err;

	if (device < 0)
		device = kvmfd_open();
	if (device < 0)
		return -device;
	err = kvmfd_find_vm(device, vm_fd, KVMFD_VM_FOREIGN, owner, &found);
	if (!err)
		*id = found.attachment;
	return -err;
}

/* A VM whose process uses kvmfd by itself has KVM answer what it asks of KVM. */
static struct vm *known(uint64_t id)
{
	struct vm *vm;

	for (vm = vms; vm; vm = vm->next)
		if (vm->attachment == id && !vm->own)
			return vm;
	return NULL;
}

/* Of the client's VMs that we serve, *@nr of them; to be freed. */
static int *fds_of(const struct client *c, unsigned int *nr)
{
	int *fds = must_alloc((nr_vms + 1) * sizeof(*fds));
	struct vm *vm;

	*nr = 0;
	for (vm = vms; vm; vm = vm->next)
		if (vm->client == c && !vm->own)
			fds[(*nr)++] = vm->fd;
	return fds;
}

static struct vm *create(struct client *c, int fd, uint64_t id)
{
	struct vm *vm = must_alloc(sizeof(*vm));

	client_ref(c);
	vm->refs = 1;
	vm->fd = fd;
	vm->attachment = id;
	vm->client = c;
	process_name(c->pid, vm->comm);
	vm->next = vms;
	vms = vm;
	nr_vms++;
	watch_vm(fd);
	return vm;
}

/* 0 or an errno; the call has no VM yet if it is another's to serve. */
static int serve_new(struct call *call, int vm_fd)
{
	struct client *c = call->client;
	uint64_t id = 0;
	unsigned int nr;
	int *fds, fd;

	if (!call_is_valid(call))
		return 0;
	fd = attach(vm_fd, call->n->pid, &id);
	if (fd < 0)
		return fd == -EBUSY ? 0 : -fd;
	fds = fds_of(c, &nr);
	call->vm = create(c, fd, id);
	client_keep(call, fd, fds, nr);
	free(fds);
	return 0;
}

int vm_attach_own(const struct call *call, int fd, int vm_fd, const struct kvmfd_attach *asked,
		  uint64_t *id)
{
	uint32_t flags = asked->flags | KVMFD_VM_FOREIGN | remember();
	int err = ESRCH;

	/* What we may, and the process may not, is not for it: the VM has to be its own. */
	pthread_mutex_lock(&lock);
	if (call_is_valid(call))
		err = -kvmfd_attach_vm(fd, vm_fd, flags, call->n->pid, id);
	if (!err)
		create(call->client, fd, *id)->own = true;
	pthread_mutex_unlock(&lock);
	return err;
}

static int refuse(struct client *c, int err)
{
	if (c->native)
		return 0;
	say("process %d: kvmfd cannot serve a VM: %s%s", c->pid, strerror(err),
	    options.fallback ? "; KVM does" : "");
	if (!options.fallback)
		return err;
	/* From now on, so that each VM is either KVM's or kvmfd's. */
	c->native = true;
	return 0;
}

int vm_unknown(struct call *call, int err)
{
	pthread_mutex_lock(&lock);
	err = refuse(call->client, err);
	if (!err)
		report_native(call->kind);
	pthread_mutex_unlock(&lock);
	return err;
}

int vm_find(struct call *call, int vm_fd)
{
	bool is_vm = true;
	uint64_t id = 0;
	int err;

	pthread_mutex_lock(&lock);
	err = find(vm_fd, call->n->pid, &id);
	switch (err) {
	case 0:
		call->vm = known(id);
		break;
	case ENOENT:
		err = call->client->native ? 0 : serve_new(call, vm_fd);
		break;
	case EBADF:
	case EINVAL:
	case EIO:
		/* No VM, or not the caller's: KVM says so. */
		is_vm = false;
		err = 0;
		break;
	}
	if (err)
		err = refuse(call->client, err);
	if (call->vm)
		call->vm->refs++;
	else if (is_vm && !err)
		report_native(call->kind);
	pthread_mutex_unlock(&lock);
	return err;
}

void vm_put(struct vm *vm)
{
	bool last;

	pthread_mutex_lock(&lock);
	last = !--vm->refs;
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	report_vm(vm);
	close(vm->fd);
	client_put(vm->client);
	free(vm);
}

void vm_over(int fd)
{
	struct vm **link, *vm = NULL;
	unsigned int nr;
	int *fds;

	pthread_mutex_lock(&lock);
	for (link = &vms; *link; link = &(*link)->next) {
		if ((*link)->fd != fd)
			continue;
		vm = *link;
		*link = vm->next;
		nr_vms--;
		break;
	}
	if (vm) {
		fds = fds_of(vm->client, &nr);
		client_keep_only(vm->client, fds, nr);
		free(fds);
	}
	pthread_mutex_unlock(&lock);
	if (vm)
		vm_put(vm);
}

void vm_look_at_own(void)
{
	struct vm *vm;

	pthread_mutex_lock(&lock);
	for (vm = vms; vm; vm = vm->next)
		if (vm->own)
			report_removed(vm);
	pthread_mutex_unlock(&lock);
}

void vm_all_over(void)
{
	while (vms)
		vm_over(vms->fd);
}
