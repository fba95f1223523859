// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd run: options, and who becomes what. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "run.h"

struct options options = { .kinds = { true, true } };

static void show_help(FILE *to)
{
	fputs("usage: kvmfd run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	      "\n"
	      "Runs a VMM whose KVM_IOEVENTFD and KVM_IRQFD are carried out by kvmfd, as long as it\n"
	      "or a process that it made is there.  Ends when COMMAND does, as COMMAND does.\n"
	      "\n"
	      "  --only ioeventfd|irqfd  leave the other kind to KVM\n"
	      "  --fallback              let KVM serve a VM that kvmfd cannot\n"
	      "  --report FILE           write what was done, as JSON, when all is over\n"
	      "\n"
	      "Exit status: that of COMMAND, or 125 if kvmfd run fails, 126 if COMMAND cannot\n"
	      "be run, 127 if it is not found.\n",
	      to);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "only", required_argument, NULL, 'o' },
		{ "fallback", no_argument, NULL, 'f' },
		{ "report", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			options.kinds[IOEVENTFD] = !strcmp(optarg, "ioeventfd");
			options.kinds[IRQFD] = !strcmp(optarg, "irqfd");
			if (!options.kinds[IOEVENTFD] && !options.kinds[IRQFD])
				die("--only wants ioeventfd or irqfd, not '%s'", optarg);
			break;
		case 'f':
			options.fallback = true;
			break;
		case 'r':
			options.report = optarg;
			break;
		case 'h':
			show_help(stdout);
			exit(0);
		default:
			bad_option(c, argv);
		}
	}
	options.command = argv + optind;
	if (!options.command[0])
		die("no command (see kvmfd run --help)");
}

/* Before anything is started: a command must not find out in the middle. */
static void check(void)
{
	int err = vm_try();

	if (err && options.fallback)
		say("KVM serves what kvmfd cannot: %s", strerror(err));
	else if (err == EPERM)
		die("/dev/kvmfd: may not attach to another process's VM (see kvmfd-run(1))");
	else if (err)
		die("/dev/kvmfd: %s", strerror(err));
}

int run_command(void)
{
	sigset_t all;
	int socket;
	pid_t pid;

	check();
	/* If it is ignored nobody tells us how the command has ended. */
	options.children_ignored = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &options.signals);
	/* If the supervisor is killed, the command becomes the front's child. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork_with_socket(&socket);
	if (!pid)
		supervise(socket);
	front(pid, socket);
}

int cmd_run(int argc, char **argv)
{
	parse(argc, argv);
	return run_command();
}
