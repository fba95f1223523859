// SPDX-License-Identifier: GPL-2.0-only
/*
 * The supervisor's own thread: it waits for ends.  Of the command; of all that came of
 * it, when the filter is nobody's any more; of processes that made calls; of VMs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* How often, for what is removed of VMs of which no call is ours to answer. */
#define LOOK_EVERY_MS 500

enum source {
	LISTENER,
	CHILDREN,
	VM,
	CLIENT,
};

static int ends = -1;

static void watch(int fd, enum source source, uint32_t events)
{
	struct epoll_event e = {
		.events = events,
		.data.u64 = (uint64_t)source << 32 | (uint32_t)fd,
	};

	if (epoll_ctl(ends, EPOLL_CTL_ADD, fd, &e))
		say("epoll: %s", strerror(errno));
}

/* Each of the two comes once, and is closed then. */
void watch_vm(int fd)
{
	watch(fd, VM, EPOLLONESHOT);
}

void watch_client(int pidfd)
{
	watch(pidfd, CLIENT, EPOLLIN | EPOLLONESHOT);
}

static int children(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("signalfd: %s", strerror(errno));
	return fd;
}

/* Those that have lost their parent are ours as well. */
static void reap(int signals, struct news *news)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		/* Its number can be another's afterwards. */
		if (pid != news->command || news->ended)
			continue;
		news->ended = true;
		news->status = status;
	}
}

/* Can anybody make a call yet? */
static bool is_deserted(int listener)
{
	struct pollfd fd = { .fd = listener };

	return poll(&fd, 1, 0) == 1 && fd.revents & POLLHUP;
}

/* Who has started a daemon may wait for the end of what it says. */
static void be_silent(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	for (fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	close(null);
}

/* What it has to know of the command, of which it may outlive the number. */
static void tell_begin(int front, const struct news *news)
{
	int pidfd = pidfd_open(news->command, 0);

	if (pidfd < 0)
		die("pidfd_open: %s", strerror(errno));
	fd_send(front, pidfd, news, sizeof(*news));
	close(pidfd);
}

/* The front may have been killed. */
static void tell_end(int front, const struct news *news)
{
	send(front, news, sizeof(*news), MSG_NOSIGNAL);
}

static void allow_many_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Returns when nobody is left. */
static void await_ends(int front, int listener, int signals, struct news *news)
{
	struct epoll_event e;
	bool told = false;
	int fd, n;

	/* The kernel may have taken the filter from a process that has not closed its VM. */
	while (!is_deserted(listener) || client_any()) {
		n = epoll_wait(ends, &e, 1, options.stat ? LOOK_EVERY_MS : -1);
		if (n < 0 && errno != EINTR)
			die("epoll: %s", strerror(errno));
		vm_look_at_own();
		if (n != 1)
			continue;
		fd = (uint32_t)e.data.u64;
		switch ((enum source)(e.data.u64 >> 32)) {
		case LISTENER:
			break;
		case CHILDREN:
			reap(signals, news);
			break;
		case VM:
			vm_over(fd);
			break;
		case CLIENT:
			client_over(fd);
			break;
		}
		/* If it was the last the report comes first; a table is about all of them. */
		if (news->ended && !told && !options.stat && !is_deserted(listener)) {
			be_silent();
			tell_end(front, news);
			told = true;
		}
	}
}

void supervise(int front)
{
	struct news news = {};
	int listener, signals;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ends = epoll_create1(EPOLL_CLOEXEC);
	if (ends < 0)
		die("epoll: %s", strerror(errno));
	signals = children();

	report_begin();
	news.command = launch(&listener);
	allow_many_fds();
	tell_begin(front, &news);
	/* POLLHUP needs not be asked for, and goes on for ever. */
	watch(listener, LISTENER, EPOLLONESHOT);
	watch(signals, CHILDREN, EPOLLIN);
	serve(listener);

	await_ends(front, listener, signals, &news);
	if (!news.ended) {
		waitpid(news.command, &news.status, 0);
		news.ended = true;
	}
	vm_all_over();
	report_write();
	tell_end(front, &news);
	exit(0);
}
