// SPDX-License-Identifier: GPL-2.0-only
/* Processes that make calls: their memory, their fds, and what they keep for us. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run.h"

/* As many threads can be getting a number each. */
#define FREE_BELOW 8

/* Since Linux 6.9: the pidfd of a thread. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static struct client *clients;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A duplicate, or -errno. */
static int fd_of(int pidfd, int fd)
{
	int ours = pidfd_getfd(pidfd, fd, 0);

	return ours < 0 ? -errno : ours;
}

/* 0 with errno set if it cannot be told. */
static pid_t process_of(pid_t tid)
{
	char path[32], line[128];
	pid_t pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!pid && fgets(line, sizeof(line), f))
		sscanf(line, "Tgid: %d", &pid);
	fclose(f);
	if (!pid)
		errno = ESRCH;
	return pid;
}

static bool has_ended(const struct client *c)
{
	return pidfd_send_signal(c->pidfd, 0, NULL, 0) && errno == ESRCH;
}

/* Its number may be another's by now, of which we have not been told yet. */
static struct client *known(pid_t pid)
{
	struct client *c;

	for (c = clients; c; c = c->next)
		if (c->pid == pid && !has_ended(c))
			return c;
	return NULL;
}

static struct client *create(pid_t pid)
{
	int pidfd = pidfd_open(pid, 0);
	struct client *c;

	if (pidfd < 0)
		return NULL;
	c = must_alloc(sizeof(*c));
	c->refs = 1;
	c->pid = pid;
	c->pidfd = pidfd;
	c->keeper = -1;
	c->kept = -1;
	c->next = clients;
	clients = c;
	watch_client(pidfd);
	return c;
}

struct client *client_get(pid_t tid)
{
	pid_t pid = process_of(tid);
	struct client *c;

	if (!pid)
		return NULL;
	pthread_mutex_lock(&lock);
	c = known(pid);
	if (!c)
		c = create(pid);
	if (c)
		c->refs++;
	pthread_mutex_unlock(&lock);
	return c;
}

void client_ref(struct client *c)
{
	pthread_mutex_lock(&lock);
	c->refs++;
	pthread_mutex_unlock(&lock);
}

static void keep_nothing(struct client *c)
{
	if (c->keeper >= 0) {
		close(c->keeper);
		close(c->kept);
	}
	c->keeper = -1;
	c->kept = -1;
	c->nr_kept = 0;
}

void client_put(struct client *c)
{
	bool last;

	pthread_mutex_lock(&lock);
	last = !--c->refs;
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	keep_nothing(c);
	close(c->pidfd);
	free(c);
}

void client_over(int pidfd)
{
	struct client **link, *c = NULL;

	pthread_mutex_lock(&lock);
	for (link = &clients; *link; link = &(*link)->next) {
		if ((*link)->pidfd != pidfd)
			continue;
		c = *link;
		*link = c->next;
		keep_nothing(c);
		break;
	}
	pthread_mutex_unlock(&lock);
	if (c)
		client_put(c);
}

bool client_any(void)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = clients;
	pthread_mutex_unlock(&lock);
	return any;
}

/*
 * A process's fds are its first thread's.  A thread that has a table of its own, or that
 * is left after the first has ended, needs a pidfd of its own.
 */
int client_fd(const struct client *c, pid_t tid, int fd)
{
	int pidfd, ours, differs = 0;

	if (tid != c->pid)
		differs = syscall(SYS_kcmp, c->pid, tid, KCMP_FILES, 0, 0);
	/* A kernel can be without kcmp(), and such threads are rare. */
	if (!differs || (differs < 0 && errno == ENOSYS))
		return fd_of(c->pidfd, fd);

	pidfd = pidfd_open(tid, PIDFD_THREAD);
	if (pidfd < 0)
		return -errno;
	ours = fd_of(pidfd, fd);
	close(pidfd);
	return ours;
}

static int open_memory(pid_t tid, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fd;
}

int client_read(pid_t tid, uint64_t address, void *to, size_t size)
{
	int fd = open_memory(tid, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, to, size, address);
	close(fd);
	/* What is not mapped is EIO there, and half a struct is as good as none. */
	return n == (ssize_t)size ? 0 : -EFAULT;
}

int client_write(const struct call *call, uint64_t address, const void *from, size_t size)
{
	int fd = open_memory(call->n->pid, O_WRONLY);
	ssize_t n = size;

	if (fd < 0)
		return fd;
	/* Else what was opened can be another's, which has the same number now. */
	if (call_is_valid(call))
		n = pwrite(fd, from, size, address);
	close(fd);
	return n == (ssize_t)size ? 0 : -EFAULT;
}

/* It may have closed all that it does not know of, as daemons do. */
static bool still_keeps(const struct call *call)
{
	const struct client *c = call->client;
	struct stat its, ours;
	bool same;
	int fd;

	if (c->keeper < 0)
		return false;
	fd = client_fd(c, call->n->pid, c->kept_there);
	if (fd < 0)
		return false;
	same = !fstat(fd, &its) && !fstat(c->kept, &ours) && its.st_ino == ours.st_ino &&
	       its.st_dev == ours.st_dev;
	close(fd);
	return same;
}

/*
 * A number that no open() or dup() of the thread gives out soon, or -1: it may look at the
 * numbers that it gets, and one that it gets in this moment must not be taken from it, so
 * lower ones must be free.  Not so high that its table must grow.
 */
static int spare_number(const struct call *call)
{
	pid_t tid = call->n->pid;
	struct rlimit limit;
	int number, lower = 0, spare = -1;
	char path[48];

	if (prlimit(call->client->pid, RLIMIT_NOFILE, NULL, &limit))
		return -1;
	for (number = limit.rlim_cur < 1024 ? limit.rlim_cur : 1024; number--;) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", tid, number);
		if (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) || errno != ENOENT)
			continue;
		if (spare < 0)
			spare = number;
		else if (++lower == FREE_BELOW)
			return spare;
	}
	return -1;
}

/* Its end is a socket that it never looks at. */
static int begin_to_keep(const struct call *call)
{
	struct client *c = call->client;
	int sockets[2], there = spare_number(call);

	keep_nothing(c);
	if (there < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -1;
	if (call_add_fd(call, sockets[1], there) < 0) {
		close(sockets[0]);
		close(sockets[1]);
		return -1;
	}
	c->keeper = sockets[0];
	c->kept = sockets[1];
	c->kept_there = there;
	return 0;
}

static void keep(struct client *c, int fd)
{
	const char byte = 0;

	if (!fd_send(c->keeper, fd, &byte, sizeof(byte)))
		c->nr_kept++;
}

/* If it cannot be done all works as long as we live. */
void client_keep(const struct call *call, int fd, const int *others, unsigned int nr_others)
{
	struct client *c = call->client;
	unsigned int i;

	pthread_mutex_lock(&lock);
	if (!still_keeps(call)) {
		if (begin_to_keep(call))
			goto unlock;
		for (i = 0; i < nr_others; i++)
			keep(c, others[i]);
	}
	keep(c, fd);
unlock:
	pthread_mutex_unlock(&lock);
}

/* First in once more, then out: there is no moment without them. */
void client_keep_only(struct client *c, const int *fds, unsigned int nr)
{
	unsigned int old, i;
	ssize_t n;
	char byte;
	int fd;

	pthread_mutex_lock(&lock);
	old = c->nr_kept;
	for (i = 0; c->keeper >= 0 && i < nr; i++)
		keep(c, fds[i]);
	for (; c->keeper >= 0 && old; old--, c->nr_kept--) {
		/* It has the socket, too, and can have read what is not for it. */
		n = fd_receive(c->kept, &fd, &byte, sizeof(byte), MSG_DONTWAIT);
		if (n == sizeof(byte) && fd >= 0)
			close(fd);
	}
	pthread_mutex_unlock(&lock);
}
