// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a call holds the VM's slots_lock, for which KVM's other calls wait.
 *
 * Probes tell when this process takes and gives back a mutex, with the clock that
 * counts instructions; a wait within is time, too.  Which mutex it is, is learned
 * from what KVM takes last before it registers a device for the VM.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define TRACING  "/sys/kernel/tracing"
#define EVENTS   TRACING "/events/bench"
#define SPARE    (GUEST_MMIO_BASE + GUEST_MMIO_SIZE - 8)
#define DEASSIGN KVM_IOEVENTFD_FLAG_DEASSIGN

#define TICKS_PER_US 1000

struct event {
	uint64_t ticks;
	uint64_t object;
	char name[16];
};

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		"cannot write %s", path);
	close(fd);
}

static void setup(void)
{
	static bool done;
	char pid[16];

	if (done)
		return;
	done = true;
	put(TRACING "/kprobe_events", "p:bench/lock mutex_lock object=%di\n");
	put(TRACING "/kprobe_events", "p:bench/unlock mutex_unlock object=%di\n");
	put(TRACING "/kprobe_events", "p:bench/device kvm_io_bus_register_dev object=%di\n");
	put(TRACING "/trace_clock", "x86-tsc");
	snprintf(pid, sizeof(pid), "%d", getpid());
	put(TRACING "/set_event_pid", pid);
}

static void trace_begin(void)
{
	int fd = open(TRACING "/trace", O_WRONLY | O_TRUNC);

	require(fd >= 0, "cannot empty " TRACING "/trace");
	close(fd);
	put(EVENTS "/enable", "1");
}

static FILE *trace_end(void)
{
	FILE *f;

	put(EVENTS "/enable", "0");
	f = fopen(TRACING "/trace", "r");
	require(f, "cannot open " TRACING "/trace");
	return f;
}

/* bench-93 [000] ..... 1234567: lock: (mutex_lock+0x0/0x30) object=0xffff888004a28008 */
static bool next_event(FILE *trace, struct event *event)
{
	const char *object;
	char line[256];

	while (fgets(line, sizeof(line), trace)) {
		object = strstr(line, " object=");
		if (object && sscanf(line, " %*s %*s %*s %lu: %15[a-z]:", &event->ticks,
				     event->name) == 2) {
			event->object = strtoull(object + strlen(" object="), NULL, 0);
			return true;
		}
	}

	fclose(trace);
	return false;
}

/* The current backend's VM's. */
static uint64_t slots_lock(void)
{
	int fd = current.backend->guest.vm->fd;
	uint64_t last = 0, found = 0;
	struct event event;
	FILE *trace;
	int err;

	trace_begin();
	err = ioeventfd(fd, eventfds[0], SPARE, 8, 0, 0);
	trace = trace_end();
	require(!err && !ioeventfd(fd, eventfds[0], SPARE, 8, DEASSIGN, 0),
		"KVM has no room for a doorbell");

	while (next_event(trace, &event)) {
		if (!strcmp(event.name, "lock"))
			last = event.object;
		else if (!strcmp(event.name, "device"))
			found = last;
	}
	require(found, "KVM took no lock to register a device");
	return found;
}

void hold_begin(struct hold *h)
{
	setup();
	h->mutex = slots_lock();
	trace_begin();
}

double hold_end(struct hold *h)
{
	FILE *trace = trace_end();
	uint64_t since = 0, longest = 0;
	struct event event;

	while (next_event(trace, &event)) {
		if (event.object != h->mutex)
			continue;
		if (!strcmp(event.name, "lock"))
			since = event.ticks;
		else if (since && event.ticks - since > longest)
			longest = event.ticks - since;
	}
	require(longest, "the VM's slots_lock was not taken");
	return (double)longest / TICKS_PER_US;
}
