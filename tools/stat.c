// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd stat: kvmfd run, with a table in the end. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

static void show_help(void)
{
	puts("usage: kvmfd stat [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	     "\n"
	     "Runs a VMM as kvmfd run does, or one that uses kvmfd by itself, and tells in the\n"
	     "end, on standard error, how often each of its doorbells was rung and each of its\n"
	     "irqfds signalled.  Ends, as COMMAND did, when the last process that it made has.\n"
	     "\n"
	     "  -o FILE  write to FILE instead\n"
	     "  --json   as JSON\n"
	     "\n"
	     "Exit status: that of COMMAND, or 125 if kvmfd stat fails, 126 if COMMAND cannot\n"
	     "be run, 127 if it is not found.");
}

int cmd_stat(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const char *file = NULL;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:o:", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			file = optarg;
			break;
		case 'j':
			options.json = true;
			break;
		case 'h':
			show_help();
			return 0;
		default:
			bad_option(c, argv);
		}
	}
	options.command = argv + optind;
	if (!options.command[0])
		die("no command (see kvmfd stat --help)");
	options.stat = file ? fopen(file, "we") : stderr;
	if (!options.stat)
		die("%s: %s", file, strerror(errno));
	return run_command();
}
