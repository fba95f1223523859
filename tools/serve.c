// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls and their answers.
 *
 * A call can wait for the guest, as in KVM, and the guest for another call of the same
 * VMM: so there is always one more thread than there are calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run.h"

/* Since Linux 6.6. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static int listener;
static struct seccomp_notif_sizes sizes;
static unsigned int idle;
static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;

/* The answer is KVM's. */
#define CONTINUE 1

/*
 * The caller's eventfd under a number of ours.  What is none of its fds is none here
 * either: kvmfd finds that out when it is KVM's turn to.
 */
static int fetch(const struct call *call, int fd, int *ours)
{
	*ours = client_fd(call->client, call->n->pid, fd);
	if (*ours >= 0)
		return 0;
	/* There is one, which we cannot have: KVM would not lack an fd, but can lack memory. */
	if (*ours != -EBADF)
		return -ENOMEM;
	*ours = -1;
	return 0;
}

static void drop(int fd)
{
	if (fd >= 0)
		close(fd);
}

bool call_is_valid(const struct call *call)
{
	return !ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->n->id);
}

int call_add_fd(const struct call *call, int fd, int number)
{
	struct seccomp_notif_addfd add = {
		.id = call->n->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = fd,
		.newfd = number,
		.newfd_flags = O_CLOEXEC,
	};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
}

static int request(const struct call *call, unsigned long number, void *arg)
{
	if (!call_is_valid(call))
		return 0;
	return ioctl(call->vm->fd, number, arg) ? -errno : 0;
}

static int serve_ioeventfd(const struct call *call)
{
	struct kvm_ioeventfd arg;
	int err = client_read(call->n->pid, call->n->data.args[2], &arg, sizeof(arg)), fd;

	if (err)
		return err;
	report_call(IOEVENTFD, !(arg.flags & KVM_IOEVENTFD_FLAG_DEASSIGN));
	err = fetch(call, (int)arg.fd, &fd);
	if (err)
		return err;
	arg.fd = fd;
	err = request(call, KVM_IOEVENTFD, &arg);
	drop(fd);
	return err;
}

static int serve_irqfd(const struct call *call)
{
	struct kvm_irqfd arg;
	int err = client_read(call->n->pid, call->n->data.args[2], &arg, sizeof(arg));
	int fd, resamplefd = -1;
	bool resample;

	if (err)
		return err;
	report_call(IRQFD, !(arg.flags & KVM_IRQFD_FLAG_DEASSIGN));
	/* Else it can be anything. */
	resample = arg.flags & KVM_IRQFD_FLAG_RESAMPLE;
	err = fetch(call, (int)arg.fd, &fd);
	if (!err && resample)
		err = fetch(call, (int)arg.resamplefd, &resamplefd);
	arg.fd = fd;
	if (resample)
		arg.resamplefd = resamplefd;
	if (!err)
		err = request(call, KVM_IRQFD, &arg);
	drop(fd);
	drop(resamplefd);
	return err;
}

/* A call on an fd, which may be a VM's, and could be fetched or not: CONTINUE, 0 or -errno. */
static int serve_vm(struct call *call, int vm_fd)
{
	int err = vm_fd < 0 ? vm_unknown(call, -vm_fd) : vm_find(call, vm_fd);

	if (err) {
		report_refused(call->kind, err);
		/* The only one that KVM could give, too. */
		return -ENOMEM;
	}
	if (!call->vm)
		return CONTINUE;

	err = call->kind == IOEVENTFD ? serve_ioeventfd(call) : serve_irqfd(call);
	if (err)
		report_refused(call->kind, -err);
	report_removed(call->vm);
	vm_put(call->vm);
	return err;
}

/*
 * For kvmfd stat: the attach that a process has asked for is made by us, so that what is
 * removed is remembered, and we have the attachment open, too.  CONTINUE: the process has
 * to make it itself, and be told what is wrong with it.
 */
static int serve_attach(struct call *call)
{
	const uint64_t address = call->n->data.args[2];
	int fd, vm_fd, err = EBADF;
	struct kvmfd_attach asked;
	uint64_t id;

	if (client_read(call->n->pid, address, &asked, sizeof(asked)) ||
	    asked.size != sizeof(asked) || asked.owner)
		return CONTINUE;
	fd = client_fd(call->client, call->n->pid, (int)call->n->data.args[0]);
	vm_fd = client_fd(call->client, call->n->pid, asked.vm_fd);
	if (fd_is_kvmfd(fd) && vm_fd >= 0)
		err = vm_attach_own(call, fd, vm_fd, &asked, &id);
	drop(vm_fd);
	if (err) {
		drop(fd);
		return CONTINUE;
	}
	return client_write(call, address + offsetof(struct kvmfd_attach, attachment),
			    &id, sizeof(id));
}

static int serve_call(struct call *call)
{
	int vm_fd, err;

	call->client = client_get(call->n->pid);
	if (!call->client && (call->attach || errno == ENOENT || errno == ESRCH))
		return CONTINUE;
	/* Were it left to KVM, one VM would be in part KVM's and in part kvmfd's. */
	if (!call->client) {
		say("thread %d: a call cannot be served: %s", call->n->pid, strerror(errno));
		report_refused(call->kind, errno);
		return -ENOMEM;
	}
	if (call->attach) {
		err = serve_attach(call);
		client_put(call->client);
		return err;
	}
	/* Held until the call has been made: the VM cannot go before. */
	vm_fd = client_fd(call->client, call->n->pid, (int)call->n->data.args[0]);
	err = vm_fd == -EBADF ? CONTINUE : serve_vm(call, vm_fd);
	drop(vm_fd);
	client_put(call->client);
	return err;
}

static void answer(const struct seccomp_notif *n, struct seccomp_notif_resp *resp)
{
	struct call call = {
		.n = n,
		.kind = (uint32_t)n->data.args[1] == KVM_IRQFD ? IRQFD : IOEVENTFD,
		.attach = (uint32_t)n->data.args[1] == KVMFD_ATTACH_VM,
	};
	int err = serve_call(&call);

	memset(resp, 0, sizes.seccomp_notif_resp);
	resp->id = n->id;
	if (err == CONTINUE)
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		resp->error = err;
	/* Fails if the caller was killed meanwhile. */
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

static void add_thread(void);

/* Returns whether one has come. */
static bool receive(struct seccomp_notif *n)
{
	bool come, last;

	memset(n, 0, sizes.seccomp_notif);
	come = !ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, n);
	if (!come)
		return false;

	pthread_mutex_lock(&idle_lock);
	last = !--idle;
	pthread_mutex_unlock(&idle_lock);
	if (last)
		add_thread();
	return true;
}

/*
 * Until we have received a call a signal can end it, with EINTR, which KVM would not say:
 * whoever may is quick about it.
 */
static void hurry(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
}

static void *serve_calls(void *unused)
{
	struct seccomp_notif_resp *resp = must_alloc(sizes.seccomp_notif_resp);
	struct seccomp_notif *n = must_alloc(sizes.seccomp_notif);

	(void)unused;
	hurry();
	for (;;) {
		/* Withdrawn before it came; or, on newer kernels, there will be none. */
		if (!receive(n)) {
			if (errno == ENOTCONN)
				break;
			continue;
		}
		answer(n, resp);
		pthread_mutex_lock(&idle_lock);
		idle++;
		pthread_mutex_unlock(&idle_lock);
	}
	free(resp);
	free(n);
	return NULL;
}

static void add_thread(void)
{
	pthread_t thread;

	pthread_mutex_lock(&idle_lock);
	idle++;
	pthread_mutex_unlock(&idle_lock);
	/* Without it calls wait for each other. */
	if (pthread_create(&thread, NULL, serve_calls, NULL)) {
		pthread_mutex_lock(&idle_lock);
		idle--;
		pthread_mutex_unlock(&idle_lock);
		return;
	}
	pthread_detach(thread);
}

void serve(int fd)
{
	listener = fd;
	/* The caller does nothing but wait: its CPU is the best to answer on. */
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		die("seccomp: %s", strerror(errno));
	/* As large as we or the kernel have it. */
	if (sizes.seccomp_notif < sizeof(struct seccomp_notif))
		sizes.seccomp_notif = sizeof(struct seccomp_notif);
	if (sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp))
		sizes.seccomp_notif_resp = sizeof(struct seccomp_notif_resp);
	add_thread();
}
