/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands that watch: kvmfd list, top, metrics and latency.
 */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include "tool.h"

/**
 * struct pids - the processes that were named, by --pid
 * @pids: their ids
 * @nr: how many; all processes are meant if none is named
 */
struct pids {
	pid_t *pids;
	size_t nr;
};

/**
 * struct seen - a VM on kvmfd
 * @pid: the process that it belongs to or, if the kernel cannot name that, one that has its
 *	attachment open
 * @comm: its name
 * @info: of the attachment
 * @entries: the doorbells and irqfds, by their ids
 * @nr: how many
 * @wanted: it is one of a process that was named
 */
struct seen {
	pid_t pid;
	char comm[COMM_SIZE];
	struct kvmfd_info info;
	struct kvmfd_entry *entries;
	size_t nr;
	bool wanted;
};

/**
 * struct look - what there was at one moment, or nearly so
 * @vms: by the ids of their attachments
 * @nr: how many
 * @refused: processes that could not be looked at
 */
struct look {
	struct seen *vms;
	size_t nr;
	unsigned int refused;
};

/* --- vms.c */

void pids_add(struct pids *pids, const char *text);

/* Called for each VM while there is an fd of its attachment. */
typedef void (*look_visit)(int fd, const struct seen *vm);

/*
 * Looks at all VMs of these processes that the caller may see.  Nothing is held of them when
 * it returns: a duplicate of an fd would keep the attachment in being.  @visit can be NULL.
 * 0, or -errno: there is no kvmfd.
 */
int look(struct look *l, const struct pids *pids, look_visit visit);
/* The same, or the end; says what could not be seen. */
void look_first(struct look *l, const struct pids *pids, look_visit visit);
/* The same, or the end. */
void look_again(struct look *l, const struct pids *pids, look_visit visit);
/* look() has: says why, and ends. */
void __attribute__((noreturn)) look_failed(int err);
void look_free(struct look *l);

/* --- wait.c: until something happens */

/* Signals that end us become events, and with @screen those that a screen is about. */
void wait_prepare(bool screen);
#define INPUT (-1)
/* The signal that has come, INPUT if there is some, or 0 after so many seconds. */
int wait_for(double seconds, int input);
double now(void);
/* The value of an option, above 0. */
double seconds_argument(const char *option, const char *text);

/* --- metrics.c */

enum format {
	PROMETHEUS,
	OPENMETRICS,
};

/* To be freed; NULL if there is no kvmfd. */
char *metrics_text(enum format format);
const char *metrics_type(enum format format);

/* --- http.c */

/* Serves them there, until a signal comes. */
void http_serve(const char *where);

#endif /* TOOLS_WATCH_H */
