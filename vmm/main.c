// SPDX-License-Identifier: GPL-2.0
/* kvmfd-vmm: boots Linux with one virtio disk, to exercise kick and call. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "stats.h"

#define CMDLINE "console=ttyS0 quiet panic=-1 reboot=k tsc=reliable " \
		"no_timer_check mitigations=off nokaslr"

/**
 * struct options - the command line
 * @kernel: bzImage
 * @initrd: initramfs, may be NULL
 * @append: added to CMDLINE, may be NULL
 * @disk: image
 * @stats: where the report goes, may be NULL
 * @memory: MiB
 * @cpus: number of vCPUs
 * @queues: number of queues, 0: one for each vCPU
 * @ops: who serves doorbells and calls
 * @form: what the doorbells look like
 * @apic_physical: the guest is to use physical destinations
 * @change_routes: KVM's interrupt routing, all the time
 */
struct options {
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *disk;
	const char *stats;
	unsigned int memory;
	unsigned int cpus;
	unsigned int queues;
	const struct notify_ops *ops;
	const struct doorbell_form *form;
	bool apic_physical;
	bool change_routes;
};

static const char help[] =
	"Usage: kvmfd-vmm --kernel BZIMAGE --disk IMAGE [OPTION]...\n"
	"Boot Linux in a VM with one virtio disk, its console on standard output.\n"
	"\n"
	"  --kernel BZIMAGE   kernel to boot\n"
	"  --initrd FILE      initramfs\n"
	"  --append ARGS      added to the kernel command line, which begins with\n"
	"                     " CMDLINE "\n"
	"  --disk IMAGE       raw image file or block device\n"
	"  --memory MIB       guest memory (256)\n"
	"  --cpus N           vCPUs, 1 to 16 (1)\n"
	"  --queues N         queues of the disk, 1 to 8 (one for each vCPU)\n"
	"  --eventfd WHO      who serves ioeventfd and irqfd (kvmfd):\n"
	"                     kvmfd, kvm, or off: every kick is an exit to user space\n"
	"  --notify FORM      the doorbells (address):\n"
	"                     address    an address for each queue, 2 bytes\n"
	"                     datamatch  one address, 2 bytes, the value tells the queue\n"
	"                     any        an address for each queue, any length\n"
	"  --apic-physical    have a guest without x2APIC send interrupts to one CPU's id,\n"
	"                     not to a set of CPUs\n"
	"  --change-routes    set KVM's interrupt routing anew all the time\n"
	"  --stats FILE       write counters to FILE at the end, as JSON\n"
	"  --help             print this and exit\n"
	"\n"
	"Exit status: 0 when the guest powers off or reboots, 1 on failure,\n"
	"128 and the signal's number when SIGINT or SIGTERM ended it.\n";

void die(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "kvmfd-vmm: %s\n", line);
	exit(1);
}

static void __attribute__((noreturn, format(printf, 1, 2))) usage(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "kvmfd-vmm: %s\nTry 'kvmfd-vmm --help' for the options.\n", line);
	exit(1);
}

static unsigned int parse_number(const char *option, const char *arg,
				 unsigned int min, unsigned int max)
{
	unsigned long val;
	char *end;

	errno = 0;
	val = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || val < min || val > max)
		usage("--%s takes a number from %u to %u, not '%s'", option,
		      min, max, arg);
	return val;
}

enum {
	OPT_KERNEL,
	OPT_INITRD,
	OPT_APPEND,
	OPT_DISK,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_QUEUES,
	OPT_EVENTFD,
	OPT_NOTIFY,
	OPT_APIC_PHYSICAL,
	OPT_CHANGE_ROUTES,
	OPT_STATS,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "eventfd", required_argument, NULL, OPT_EVENTFD },
	{ "notify", required_argument, NULL, OPT_NOTIFY },
	{ "apic-physical", no_argument, NULL, OPT_APIC_PHYSICAL },
	{ "change-routes", no_argument, NULL, OPT_CHANGE_ROUTES },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 }
};

static void take_option(struct options *o, int opt)
{
	switch (opt) {
	case OPT_KERNEL:
		o->kernel = optarg;
		break;
	case OPT_INITRD:
		o->initrd = optarg;
		break;
	case OPT_APPEND:
		o->append = optarg;
		break;
	case OPT_DISK:
		o->disk = optarg;
		break;
	case OPT_MEMORY:
		o->memory = parse_number("memory", optarg, 16, 1 << 20);
		break;
	case OPT_CPUS:
		o->cpus = parse_number("cpus", optarg, 1, MAX_CPUS);
		break;
	case OPT_QUEUES:
		o->queues = parse_number("queues", optarg, 1, MAX_QUEUES);
		break;
	case OPT_EVENTFD:
		o->ops = notify_find_ops(optarg);
		if (!o->ops)
			usage("--eventfd takes kvmfd, kvm or off, not '%s'",
			      optarg);
		break;
	case OPT_NOTIFY:
		o->form = notify_find_form(optarg);
		if (!o->form)
			usage("--notify takes address, datamatch or any, not '%s'",
			      optarg);
		break;
	case OPT_APIC_PHYSICAL:
		o->apic_physical = true;
		break;
	case OPT_CHANGE_ROUTES:
		o->change_routes = true;
		break;
	case OPT_STATS:
		o->stats = optarg;
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(fflush(stdout) ? 1 : 0);
	case ':':
		usage("--%s needs an argument", long_options[optopt].name);
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:", long_options, NULL)) >= 0) {
		if (opt == '?' && optopt && !strchr(argv[optind - 1], '='))
			usage("bad option '-%c'", optopt);
		if (opt == '?')
			usage("bad option '%s'", argv[optind - 1]);
		take_option(o, opt);
	}
	if (optind < argc)
		usage("unexpected argument '%s'", argv[optind]);
	if (!o->kernel)
		usage("--kernel is missing");
	if (!o->disk)
		usage("--disk is missing");
	if (!o->queues)
		o->queues = o->cpus < MAX_QUEUES ? o->cpus : MAX_QUEUES;
}

/*
 * SIGINT and SIGTERM are taken from a file descriptor, so that main() waits for
 * them and for the guest's end alike.  Called before there are other threads:
 * they inherit the mask.
 */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* a console that nobody reads */
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd: %s", strerror(errno));
	return fd;
}

/* Until the guest ends, however long it takes: a limit is the caller's matter. */
static void wait_for_end(struct vm *vm, int signal_fd)
{
	struct pollfd fds[] = {
		{ .fd = vm->stop_fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			die("poll: %s", strerror(errno));
	if (fds[1].revents && read(signal_fd, &info, sizeof(info)) > 0)
		vm_stop(vm, 128 + info.ssi_signo, NULL);
}

static void build_machine(struct vm *vm, struct notify *notify,
			  struct virtio_pci *disk, const struct options *o)
{
	char cmdline[4096];
	int len;

	len = snprintf(cmdline, sizeof(cmdline), "%s%s%s", CMDLINE,
		       o->append ? " " : "", o->append ? o->append : "");
	if (len >= (int)sizeof(cmdline))
		die("the kernel command line is longer than %zu bytes",
		    sizeof(cmdline));

	vm_create(vm, o->cpus, (uint64_t)o->memory << 20);
	boot_load(vm, o->kernel, o->initrd, cmdline);
	acpi_build(vm, o->apic_physical);
	cpu_setup_boot(&vm->vcpus[0]);
	power_init(vm);
	serial_init(vm);
	pci_init(vm);
	notify_open(notify, vm, o->ops, o->form, o->queues + 1);
	virtio_pci_init(disk, vm, notify, o->disk, o->queues);
}

/* What is open is closed, and what is allocated is freed, by the exit. */
int main(int argc, char **argv)
{
	static struct virtio_pci disk;
	static struct notify notify;
	static struct vm vm;
	struct options o = {
		.memory = 256,
		.cpus = 1,
		.ops = notify_find_ops("kvmfd"),
		.form = notify_find_form("address"),
	};
	FILE *stats = NULL;
	int signal_fd;

	parse(&o, argc, argv);
	signal_fd = open_signals();
	if (o.stats) {
		stats = fopen(o.stats, "we");
		if (!stats)
			die("%s: %s", o.stats, strerror(errno));
	}
	build_machine(&vm, &notify, &disk, &o);
	vm_start(&vm);
	if (o.change_routes)
		routes_start_changing(&notify.routes);
	wait_for_end(&vm, signal_fd);
	vm_join(&vm);
	routes_stop_changing(&notify.routes);
	virtio_pci_stop(&disk);
	if (stats && !stats_write(stats, &disk))
		die("%s: %s", o.stats, strerror(errno));
	return vm.status;
}
