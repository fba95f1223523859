// SPDX-License-Identifier: GPL-2.0-only
/* The command, under the filter. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* What the command's process tells before it is the command's. */
struct message {
	int err;
};

static void become_command(int socket)
{
	struct message m = {};
	int listener = filter_install(options.kinds, options.stat);

	if (listener < 0) {
		m.err = errno;
		send(socket, &m, sizeof(m), MSG_NOSIGNAL);
		_exit(STATUS_FAILED);
	}
	fd_send(socket, listener, &m, sizeof(m));
	close(listener);
	if (options.children_ignored)
		signal(SIGCHLD, SIG_IGN);
	sigprocmask(SIG_SETMASK, &options.signals, NULL);
	execvp(options.command[0], options.command);
	m.err = errno;
	send(socket, &m, sizeof(m), MSG_NOSIGNAL);
	_exit(STATUS_NOT_RUN);
}

pid_t launch(int *listener)
{
	struct message m;
	int socket;
	pid_t pid = fork_with_socket(&socket);

	if (!pid)
		become_command(socket);

	if (fd_receive(socket, listener, &m, sizeof(m), 0) != sizeof(m))
		die("the command has vanished");
	if (m.err)
		die("seccomp: %s", strerror(m.err));
	/* The other end's last copy is closed by execve(). */
	if (recv(socket, &m, sizeof(m), 0) == sizeof(m)) {
		waitpid(pid, NULL, 0);
		say("%s: %s", options.command[0], strerror(m.err));
		exit(m.err == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN);
	}
	close(socket);
	return pid;
}
