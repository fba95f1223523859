// SPDX-License-Identifier: GPL-2.0-only
/* Sockets between our processes, and fds through them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

pid_t fork_with_socket(int *socket)
{
	int sockets[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		die("socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	*socket = sockets[!pid];
	close(sockets[!!pid]);
	return pid;
}

union control {
	char buffer[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int fd_send(int socket, int fd, const void *data, size_t size)
{
	union control control = {};
	struct iovec io = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr m = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.buffer,
		.msg_controllen = sizeof(control.buffer),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

ssize_t fd_receive(int socket, int *fd, void *data, size_t size, int flags)
{
	union control control = {};
	struct iovec io = { .iov_base = data, .iov_len = size };
	struct msghdr m = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.buffer,
		.msg_controllen = sizeof(control.buffer),
	};
	ssize_t received = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | flags);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*fd = -1;
	if (received > 0 && c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return received;
}
