// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd: the command line of /dev/kvmfd. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "list", cmd_list, "the VMs on kvmfd, their doorbells and irqfds" },
	{ "top", cmd_top, "who rings what, how often" },
	{ "latency", cmd_latency, "how long interrupts take" },
	{ "metrics", cmd_metrics, "counters for Prometheus" },
	{ "run", cmd_run, "run a VMM whose ioeventfds and irqfds are kvmfd's" },
	{ "stat", cmd_stat, "the same, with a table of what it did" },
};

/* The command's name, once it is known. */
static const char *doing;

static void say_args(const char *format, va_list args)
{
	fflush(stdout);
	fputs("kvmfd: ", stderr);
	if (doing)
		fprintf(stderr, "%s: ", doing);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
	exit(STATUS_FAILED);
}

void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("out of memory");
	return p;
}

void *must_resize(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die("out of memory");
	return p;
}

void bad_option(int c, char **argv)
{
	if (c == ':')
		die("%s needs a value", argv[optind - 1]);
	/* Of letters behind one dash the word is not over yet; --json=x is one that is. */
	if (optopt && !strchr(argv[optind - 1], '='))
		die("no such option: -%c (see kvmfd %s --help)", optopt, doing);
	die("no such option: %s (see kvmfd %s --help)", argv[optind - 1], doing);
}

void no_arguments(int argc, char **argv)
{
	if (optind < argc)
		die("what is '%s'? (see kvmfd %s --help)", argv[optind], doing);
}

int output_done(void)
{
	if (fflush(stdout) || ferror(stdout))
		die("cannot write: %s", strerror(errno));
	return 0;
}

static void show_help(FILE *to)
{
	unsigned int i;

	fputs("usage: kvmfd COMMAND [ARGUMENT]...\n\n", to);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].what);
	fputs("\nkvmfd COMMAND --help tells more.\n", to);
}

/*
 * What we open must not become 0, 1 or 2 if we were started without.  Using these fails as
 * it would have, and a command is started without them, too.
 */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_CLOEXEC | (fcntl(0, F_GETFD) < 0 ? O_WRONLY : O_RDONLY));
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	unsigned int i;

	fill_standard_fds();
	if (argc > 1 && !strcmp(argv[1], "--help")) {
		show_help(stdout);
		return 0;
	}
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		doing = commands[i].name;
		return commands[i].run(argc - 1, argv + 1);
	}

	if (argc > 1)
		say("no such command: %s", argv[1]);
	show_help(stderr);
	return STATUS_FAILED;
}
