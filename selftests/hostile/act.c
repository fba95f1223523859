// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "hostile/act.h"
#include "hostile/judge.h"
#include "hostile/tally.h"
#include "hostile/world.h"

#define PAGE 4096

/* An actor's memory: pages for the struct, one that nobody may touch, and those for arrays. */
#define ARG_PAGES    2
#define HOLE         (ARG_PAGES * PAGE)
#define ARRAY        (HOLE + PAGE)
#define ARRAY_SPACE  (4 * PAGE)
#define MEMORY       (ARRAY + ARRAY_SPACE)
#define KERNEL_PLACE 0xffff888000001000UL

/* What can have been written, or is looked at. */
#define ARG_SPACE 512

void actor_begin(struct actor *actor)
{
	actor->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	TEST_ASSERT(actor->memory != MAP_FAILED, "out of memory");
	TEST_ASSERT(!mprotect(actor->memory + HOLE, PAGE, PROT_NONE), "mprotect: %s",
		    strerror(errno));
	actor->fail = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

void actor_end(struct actor *actor)
{
	munmap(actor->memory, MEMORY);
	close(actor->fail);
}

/* --- requests ------------------------------------------------------------- */

static void set_failure(const struct actor *actor, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* If this is the n-th to fail, then once. */
	if (pwrite(actor->fail, text, len, 0) != len)
		(void)!pwrite(actor->fail, text, len, 0);
}

/* Where the argument is to be; *@space, if not 0, is how much of it can be there. */
static unsigned char *place(const struct actor *actor, const struct call *call, size_t *space)
{
	*space = 0;
	switch (call->place) {
	case PLACE_GOOD:
	case PLACE_READ_ONLY:
		*space = ARG_SPACE;
		return actor->memory;
	case PLACE_CUT:
		*space = call->request->size / 2;
		return actor->memory + HOLE - *space;
	case PLACE_FORBIDDEN:
		return actor->memory + HOLE;
	case PLACE_NULL:
		return NULL;
	case PLACE_KERNEL:
		return (void *)KERNEL_PLACE;
	}
	return NULL;
}

/* Each at its stride, as far as they fit. */
static void put_changes(const struct actor *actor, const struct call *call)
{
	size_t i, stride = call->batch.change_size;

	memset(actor->memory + ARRAY, 0, ARRAY_SPACE);
	if (stride < sizeof(struct kvmfd_change))
		stride = sizeof(struct kvmfd_change);
	for (i = 0; i < CHANGES_MAX && (i + 1) * stride <= ARRAY_SPACE; i++)
		memcpy(actor->memory + ARRAY + i * stride, &call->changes[i],
		       sizeof(call->changes[i]));
}

/* The id of an irqfd that there is, or 0. */
static uint64_t any_irqfd(int fd)
{
	struct kvmfd_entry entries[32];
	uint64_t cursor = 0;
	int i, n = kvmfd_list(fd, 0, &cursor, entries, ARRAY_SIZE(entries));

	for (i = 0; i < n; i++)
		if (entries[i].kind == KVMFD_ENTRY_IRQFD)
			return entries[i].id;
	return 0;
}

static void put_arg(const struct actor *actor, const struct call *call, unsigned char *arg)
{
	const uint64_t array = (uintptr_t)actor->memory + ARRAY;
	struct call copy = *call;

	/* If they have been twisted they lead somewhere else. */
	if (call->request->number == KVMFD_BATCH) {
		put_changes(actor, call);
		copy.batch.changes ^= array;
	} else if (call->request->number == KVMFD_LIST) {
		copy.list.entries ^= array;
	} else if (call->request->number == KVMFD_LATENCY) {
		copy.latency.id ^= any_irqfd(SLOT_FD(call->slot));
	}
	memset(arg, 0, ARG_SPACE);
	memcpy(arg, copy.arg, call->request->size);
	if (call->tail && call->request->first)
		arg[call->request->size] = 1;
}

/* How much of the argument may be another afterwards. */
static size_t answer_size(const struct call *call)
{
	size_t size = call->request->answer;

	/* That of another request. */
	if (call->number != call->request->number)
		return ARG_SPACE;
	return size < call->size ? size : call->size;
}

static uint64_t count_doorbells(const struct call *call)
{
	return device_info(SLOT_FD(call->slot)).nr_ioeventfds;
}

/* Without signals: it could be the frame of one that cannot be written then. */
static int ioctl_that_fails(const struct actor *actor, const struct call *call, void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	set_failure(actor, call->fail);
	err = do_ioctl(SLOT_FD(call->slot), call->number, arg);
	set_failure(actor, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static void do_request(const struct actor *actor, const struct call *call)
{
	struct answer answer = {
		.by_kvmfd = actor->alone && world_kind(call->slot) == KIND_KVMFD,
	};
	unsigned char content[ARG_SPACE], *arg;
	size_t space, changed;

	arg = place(actor, call, &space);
	put_arg(actor, call, content);
	if (space)
		memcpy(arg, content, space);
	if (call->place == PLACE_READ_ONLY)
		mprotect(arg, PAGE, PROT_READ);
	if (answer.by_kvmfd)
		answer.before = count_doorbells(call);

	if (call->fail)
		answer.err = ioctl_that_fails(actor, call, arg);
	else
		answer.err = do_ioctl(SLOT_FD(call->slot), call->number, arg);
	if (answer.by_kvmfd)
		answer.after = count_doorbells(call);
	if (call->place == PLACE_READ_ONLY)
		mprotect(arg, PAGE, PROT_READ | PROT_WRITE);
	changed = answer_size(call);
	if (space > changed)
		answer.stray = memcmp(arg + changed, content + changed, space - changed);
	judge(call, &answer);
}

/* --- the rest ------------------------------------------------------------- */

/* Nothing can be read from /dev/kvmfd, or mapped. */
static void refused(const struct actor *actor, const struct call *call, const char *what,
		    bool done)
{
	if (done && actor->alone && world_kind(call->slot) == KIND_KVMFD)
		complain("%s of /dev/kvmfd succeeded", what);
}

static void do_signal(const struct actor *actor, const struct call *call)
{
	uint64_t value = call->choice % 8 ? 1 : UINT64_MAX - 1;
	int fd = SLOT_FD(call->slot);

	if (call->choice >> 8 & 1)
		refused(actor, call, "write", write(fd, &value, sizeof(value)) >= 0);
	else
		refused(actor, call, "read", read(fd, &value, sizeof(value)) >= 0);
}

static void do_mmap(const struct actor *actor, const struct call *call)
{
	size_t size = PAGE * (1 + call->choice % 4);
	void *p = mmap(NULL, size, call->choice >> 2 & 7,
		       call->choice & 32 ? MAP_SHARED : MAP_PRIVATE, SLOT_FD(call->slot),
		       call->choice >> 6 & 1 ? 0 : PAGE);

	refused(actor, call, "mmap", p != MAP_FAILED);
	if (p != MAP_FAILED)
		munmap(p, size);
}

static void do_dup(const struct call *call)
{
	if (dup3(SLOT_FD(call->slot), SLOT_FD(call->other), O_CLOEXEC) >= 0)
		world_put(call->other, world_kind(call->slot));
}

/* In flight for a moment, or until its socket, which may be with it, is closed. */
static void do_pass(const struct call *call)
{
	int sockets[2], fds[2], n = 1 + (call->choice & 1);
	char byte = 0, control[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = {};
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *cmsg = (void *)control;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets))
		return;
	fds[0] = SLOT_FD(call->slot);
	fds[1] = sockets[1];
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	sendmsg(sockets[0], &msg, 0);

	if (call->choice & 2 && recvmsg(sockets[1], &msg, MSG_CMSG_CLOEXEC) == 1 &&
	    msg.msg_controllen >= CMSG_LEN(n * sizeof(int))) {
		memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
		if (dup3(fds[0], SLOT_FD(call->other), O_CLOEXEC) >= 0)
			world_put(call->other, world_kind(call->slot));
		while (n--)
			close(fds[n]);
	}
	close(sockets[0]);
	close(sockets[1]);
}

static void do_wait(const struct call *call)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd poll_fd = { .fd = SLOT_FD(call->slot), .events = POLLIN | POLLOUT };
	int epoll = SLOT_FD(call->other);

	poll(&poll_fd, 1, 0);
	epoll_ctl(epoll, call->choice & 1 ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, SLOT_FD(call->slot),
		  &event);
	epoll_wait(epoll, &event, 1, 0);
}

static void do_fdinfo(const struct call *call)
{
	char path[64], text[8192];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", SLOT_FD(call->slot));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void do_control(const struct call *call)
{
	int fd = SLOT_FD(call->slot), on = call->choice >> 8 & 1;

	switch (call->choice % 6) {
	case 0:
		ioctl(fd, FIONBIO, &on);
		break;
	case 1:
		ioctl(fd, FIOASYNC, &on);
		break;
	case 2:
		lseek(fd, call->choice >> 8, SEEK_SET);
		break;
	case 3:
		(void)!ftruncate(fd, PAGE);
		break;
	case 4:
		/* More than the number of another request: with its size and direction. */
		ioctl(fd, (KVMFD_IOC_MAGIC << 8) + (call->choice >> 8 & 0xff), &on);
		break;
	case 5:
		ioctl(fd, KVM_CREATE_IRQCHIP, 0);
		break;
	}
}

static void do_run(const struct call *call)
{
	int fd = SLOT_FD(call->choice & 15 ? SLOT_VCPU : call->slot);
	unsigned int i, exits = 1 + (call->choice >> 4) % 12;

	for (i = 0; i < exits && !ioctl(fd, KVM_RUN, 0); i++)
		;
}

static void do_routes(const struct call *call)
{
	static const uint32_t gsis[] = { 0, 1, 4, 5, 24, 25, 26 };
	struct {
		struct kvm_irq_routing table;
		struct kvm_irq_routing_entry entries[ARRAY_SIZE(gsis)];
	} routes = { .table.nr = call->choice % (ARRAY_SIZE(gsis) + 1) };
	unsigned int i;

	for (i = 0; i < routes.table.nr; i++) {
		struct kvm_irq_routing_entry *e = &routes.entries[i];

		e->gsi = gsis[i];
		if (call->choice >> (8 + i) & 1) {
			e->type = KVM_IRQ_ROUTING_MSI;
			e->u.msi.address_lo = 0xfee00000 | (call->choice >> 16 & 0xff) << 12;
			e->u.msi.data = call->choice >> 24 & 0xffff;
		} else {
			e->type = KVM_IRQ_ROUTING_IRQCHIP;
			e->u.irqchip.irqchip = call->choice >> 40 & 3;
			e->u.irqchip.pin = call->choice >> 44 & 7;
		}
	}
	ioctl(SLOT_FD(SLOT_VM), KVM_SET_GSI_ROUTING, &routes);
}

static void do_line(const struct call *call)
{
	struct kvm_irq_level line = { .irq = call->choice % 27, .level = call->choice >> 8 & 1 };

	ioctl(SLOT_FD(SLOT_VM), KVM_IRQ_LINE, &line);
}

void act(struct actor *actor, const struct call *call)
{
	tally_add(&tally->calls);
	switch (call->act) {
	case ACT_REQUEST:
		do_request(actor, call);
		break;
	case ACT_SIGNAL:
		do_signal(actor, call);
		break;
	case ACT_CLOSE:
		close(SLOT_FD(call->slot));
		world_put(call->slot, KIND_CLOSED);
		break;
	case ACT_REOPEN:
		world_reopen(call->slot);
		break;
	case ACT_DUP:
		do_dup(call);
		break;
	case ACT_PASS:
		do_pass(call);
		break;
	case ACT_MMAP:
		do_mmap(actor, call);
		break;
	case ACT_WAIT:
		do_wait(call);
		break;
	case ACT_FDINFO:
		do_fdinfo(call);
		break;
	case ACT_CONTROL:
		do_control(call);
		break;
	case ACT_RUN:
		do_run(call);
		break;
	case ACT_ROUTES:
		do_routes(call);
		break;
	case ACT_LINE:
		do_line(call);
		break;
	case ACT_FORK:
		break;
	}
}
