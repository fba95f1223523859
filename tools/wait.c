// SPDX-License-Identifier: GPL-2.0-only
/* Time, signals and keys. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

static int signals = -1;

void wait_prepare(bool screen)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (screen) {
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGWINCH);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		die("signalfd: %s", strerror(errno));
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* What is left of the time, for poll(). */
static int left(double end)
{
	double ms = (end - now()) * 1000;

	return ms <= 0 ? 0 : ms < 1e6 ? ms + 1
				      : 1e6;
}

int wait_for(double seconds, int input)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = input, .events = POLLIN },
	};
	double end = now() + seconds;
	struct signalfd_siginfo info;

	do {
		if (poll(fds, ARRAY_SIZE(fds), left(end)) <= 0)
			continue;
		if (fds[1].revents)
			return INPUT;
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			return info.ssi_signo;
	} while (now() < end);
	return 0;
}

double seconds_argument(const char *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	/* Not what is no number either. */
	if (end == text || *end || !(value >= 0.01 && value <= 1e6))
		die("%s wants seconds, 0.01 to 1000000, not '%s'", option, text);
	return value;
}
