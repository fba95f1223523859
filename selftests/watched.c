// SPDX-License-Identifier: GPL-2.0-only
/*
 * What watch_cli.sh looks at: a VM whose doorbells were rung, and whose irqfds were
 * signalled, just so often; and what a shell cannot do.
 *
 *   watched [kvm]           the VM, on kvmfd or by KVM's own calls; does what it is told
 *                           by lines of its input, and ends with that
 *   watched many            a VM of 3,000 doorbells on kvmfd, which come and go with each
 *                           line of its input
 *   watched user COMMAND    as a user who is not root, but of group kvm
 *   watched screen COMMAND  on a terminal of 10 lines of 40 columns; presses q
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "user.h"

#define ADDR      GUEST_MMIO_BASE
#define PORT      0xe0
#define GSI       24
#define PIN       20
#define DATAMATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN  KVM_IOEVENTFD_FLAG_DEASSIGN
#define PIO       KVM_IOEVENTFD_FLAG_PIO
#define MANY      3000

static struct guest guest;
static int fd;
static int call;
static int pin_call;

static void succeed(int err, const char *what)
{
	TEST_ASSERT(!err, "%s: %s", what, strerror(err));
}

static void ring(enum space space, uint64_t addr, unsigned int len, uint64_t value,
		 unsigned int times)
{
	TEST_ASSERT(!guest_write_often(&guest, space, addr, len, value, times), "an exit");
}

static void signal_pin(void)
{
	eventfd_ring(pin_call);
	TEST_ASSERT(guest_await_interrupt(&guest, GUEST_VECTOR + 1) == 1, "no interrupt");
}

static void make_guest(void)
{
	struct kvm_irq_routing_entry routes[] = {
		route_msi(GSI, 0, GUEST_VECTOR),
		{
			.gsi = PIN,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = PIN },
		},
	};

	guest_create(&guest);
	guest_set_routing(&guest, routes, 2);
	guest_take_interrupts(&guest);
	guest_program_ioapic(&guest, PIN, GUEST_VECTOR + 1, EDGE);
}

static void use_doorbells(bool kvm)
{
	int kick = new_eventfd();

	succeed(ioeventfd(fd, kick, PORT, 2, PIO | DATAMATCH, 1), "pio");
	succeed(ioeventfd(fd, kick, ADDR, 0, 0, 0), "any length");
	/* KVM has no masks. */
	if (kvm)
		succeed(ioeventfd(fd, kick, ADDR + 0x100, 4, DATAMATCH, 0x10), "data");
	else
		succeed(masked_ioeventfd(fd, kick, ADDR + 0x100, 4, DATAMATCH, 0x10, 0xf0),
			"mask");
	succeed(ioeventfd(fd, kick, ADDR + 0x200, 8, 0, 0), "short-lived");
	ring(SPACE_PIO, PORT, 2, 1, 3);
	ring(SPACE_MMIO, ADDR, 4, 7, 5);
	ring(SPACE_MMIO, ADDR + 0x100, 4, 0x10, 2);
	ring(SPACE_MMIO, ADDR + 0x200, 8, 7, 6);
	succeed(ioeventfd(fd, kick, ADDR + 0x200, 8, DEASSIGN, 0), "deassign");
}

static void use_irqfds(void)
{
	int i, short_lived = new_eventfd();

	call = new_eventfd();
	pin_call = new_eventfd();
	succeed(irqfd(fd, call, GSI, 0), "MSI");
	succeed(irqfd(fd, pin_call, PIN, 0), "pin");
	succeed(irqfd(fd, short_lived, GSI, 0), "short-lived");
	for (i = 0; i < 4; i++)
		eventfd_ring(call);
	for (i = 0; i < 2; i++)
		signal_pin();
	eventfd_ring(short_lived);
	succeed(irqfd(fd, short_lived, GSI, KVM_IRQFD_FLAG_DEASSIGN), "deassign");
}

/* Until there is something to read. */
static bool idle(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return !poll(&in, 1, 0);
}

static int be_watched(bool kvm)
{
	char line[32];

	/* Each line by itself, for poll(). */
	setvbuf(stdin, NULL, _IONBF, 0);
	make_guest();
	fd = kvm ? guest.vm->fd : device_open_attached(guest.vm->fd);
	/* A VM is one, however many fds there are. */
	TEST_ASSERT(dup(fd) >= 0, "dup: %s", strerror(errno));
	use_doorbells(kvm);
	use_irqfds();
	do {
		puts("ready");
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			break;
		while (!strcmp(line, "ring\n") && idle())
			ring(SPACE_PIO, PORT, 2, 1, 10);
		while (!strcmp(line, "signal\n") && idle())
			signal_pin();
	} while (true);
	return 0;
}

static void change_all(struct kvmfd_change changes[MANY], uint32_t flags)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		changes[i].flags = flags;
	succeed(-kvmfd_batch(fd, changes, MANY, NULL), "batch");
}

static int be_many(void)
{
	static struct kvmfd_change changes[MANY];
	struct kvm_vm *vm = vm_create_barebones();
	int kick = new_eventfd();
	char line[32];
	unsigned int i;

	fd = device_open_attached(vm->fd);
	for (i = 0; i < MANY; i++)
		changes[i] = (struct kvmfd_change) {
			.kind = KVMFD_ENTRY_IOEVENTFD,
			.addr = ADDR + 8 * i,
			.len = 4,
			.fd = kick,
		};
	while (fgets(line, sizeof(line), stdin)) {
		change_all(changes, 0);
		change_all(changes, DEASSIGN);
	}
	kvm_vm_free(vm);
	return 0;
}

static int be_user(char **command)
{
	give_devices_to(KVM_GROUP);
	become(USER, KVM_GROUP, 0);
	execv(command[0], command);
	TEST_FAIL("%s: %s", command[0], strerror(errno));
}

/* What it writes goes to our output; it is done when it has erased the rest of the screen. */
static int be_screen(char **command)
{
	const struct winsize size = { .ws_row = 10, .ws_col = 40 };
	struct termios before, after;
	char text[4096];
	int terminal, status;
	bool pressed = false, same;
	pid_t pid;
	ssize_t n;

	pid = forkpty(&terminal, NULL, NULL, &size);
	if (!pid) {
		execv(command[0], command);
		_exit(1);
	}
	TEST_ASSERT(pid > 0 && !tcgetattr(terminal, &before), "no terminal");
	/* Between its end and ours the terminal is EIO. */
	while ((n = read(terminal, text, sizeof(text) - 1)) > 0) {
		text[n] = 0;
		fputs(text, stdout);
		if (strstr(text, "\033[J") && !pressed)
			pressed = write(terminal, "q", 1) == 1;
		if (strstr(text, "\033[?1049l"))
			break;
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid && !status, "it failed");
	same = !tcgetattr(terminal, &after) && before.c_lflag == after.c_lflag;
	TEST_ASSERT(pressed && same, "the terminal is not as it was");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "user"))
		return be_user(argv + 2);
	if (argc > 2 && !strcmp(argv[1], "screen"))
		return be_screen(argv + 2);
	if (argc > 1 && !strcmp(argv[1], "many"))
		return be_many();
	return be_watched(argc > 1 && !strcmp(argv[1], "kvm"));
}
