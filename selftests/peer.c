// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_util.h"

#include "peer.h"

static void obey(int socket)
{
	peer_fn fn;
	int result;

	while (read(socket, &fn, sizeof(fn)) == sizeof(fn)) {
		result = fn();
		if (write(socket, &result, sizeof(result)) != sizeof(result))
			break;
	}
}

struct peer peer_start(void)
{
	struct peer peer;
	int sockets[2], err;

	err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets);
	TEST_ASSERT(!err, "socketpair: %s", strerror(errno));
	peer.pid = fork();
	TEST_ASSERT(peer.pid >= 0, "fork: %s", strerror(errno));
	if (!peer.pid) {
		close(sockets[0]);
		obey(sockets[1]);
		_exit(0);
	}
	close(sockets[1]);
	peer.socket = sockets[0];
	return peer;
}

void peer_begin(struct peer *peer, peer_fn fn)
{
	ssize_t n = write(peer->socket, &fn, sizeof(fn));

	TEST_ASSERT(n == sizeof(fn), "the peer is gone");
}

int peer_end(struct peer *peer)
{
	int result;
	ssize_t n = read(peer->socket, &result, sizeof(result));

	TEST_ASSERT(n == sizeof(result), "the peer is gone");
	return result;
}

int peer_call(struct peer *peer, peer_fn fn)
{
	peer_begin(peer, fn);
	return peer_end(peer);
}

int peer_fd(struct peer *peer, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, peer->pid, 0), ours;

	TEST_ASSERT(pidfd >= 0, "pidfd_open: %s", strerror(errno));
	ours = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	TEST_ASSERT(ours >= 0, "pidfd_getfd: %s", strerror(errno));
	close(pidfd);
	return ours;
}

void peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, NULL, 0);
	close(peer->socket);
}

int in_another_process(peer_fn fn)
{
	struct peer peer = peer_start();
	int result = peer_call(&peer, fn);

	peer_kill(&peer);
	return result;
}
