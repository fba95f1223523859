// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process that the user started.  To whoever sent it a signal, and to whoever waits
 * for it, it is the command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/*
 * What stops a job stops the front as well: the shell looks at it.  What a fault of our own
 * raises ends us, in the set or not.
 */
static const int not_for_us[] = {
	SIGCHLD,
	SIGCONT,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
};

static int open_signals(void)
{
	unsigned int i;
	sigset_t set;
	int fd;

	sigfillset(&set);
	for (i = 0; i < ARRAY_SIZE(not_for_us); i++)
		sigdelset(&set, not_for_us[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd: %s", strerror(errno));
	return fd;
}

/*
 * What the terminal sends, it sends to the command, too, but for the end of the session,
 * which is told to its leader.
 */
static bool command_has_it(const struct signalfd_siginfo *info)
{
	if (info->ssi_code <= 0)
		return false;
	switch (info->ssi_signo) {
	case SIGINT:
	case SIGQUIT:
	case SIGWINCH:
		return true;
	case SIGHUP:
		return getsid(0) != getpid();
	default:
		return false;
	}
}

static void hand_on(int signals, int command)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) == sizeof(info) && !command_has_it(&info))
		pidfd_send_signal(command, info.ssi_signo, NULL, 0);
}

/* As the command did: what waitpid() told of it. */
static void __attribute__((noreturn)) end_like(int status)
{
	sigset_t set;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));

	/* The command has left its core already, if any, be it to a program. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

/* Without it the command goes on, as our child. */
static void supervisor_lost(int signals, pid_t pid, int command)
{
	struct pollfd fds[] = {
		{ .fd = command, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	int status;

	say("the supervisor was killed: doorbells and interrupts go on, changes of them fail");
	while (!fds[0].revents)
		if (poll(fds, ARRAY_SIZE(fds), -1) > 0 && fds[1].revents)
			hand_on(signals, command);
	if (waitpid(pid, &status, 0) == pid)
		end_like(status);
}

void front(pid_t supervisor, int socket)
{
	struct pollfd fds[] = {
		{ .fd = socket, .events = POLLIN },
		{ .fd = open_signals(), .events = POLLIN },
	};
	struct news news = {};
	int status, fd, command = -1;

	for (;;) {
		/* Nobody is there to hand a signal to, at first. */
		if (poll(fds, command >= 0 ? 2 : 1, -1) < 0)
			continue;
		if (fds[0].revents) {
			if (fd_receive(socket, &fd, &news, sizeof(news), 0) != sizeof(news))
				break;
			if (fd >= 0)
				command = fd;
			if (news.ended)
				end_like(news.status);
		}
		if (fds[1].revents)
			hand_on(fds[1].fd, command);
	}

	if (waitpid(supervisor, &status, 0) == supervisor && WIFEXITED(status))
		exit(WEXITSTATUS(status));
	if (command >= 0)
		supervisor_lost(fds[1].fd, news.command, command);
	exit(STATUS_FAILED);
}
