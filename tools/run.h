/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmfd run, and kvmfd stat, which is that with a table at the end: what their files share.
 *
 * Three processes.  The front is what the user started: it hands signals on to the
 * command, waits, and ends as the command did.  The supervisor, its child, answers the
 * calls; it goes on for as long as anybody is there to make one.  The command is the
 * supervisor's child, so that what it leaves behind becomes the supervisor's, too.
 */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "filter.h"
#include "tool.h"

/* What `kvmfd run` ends with, besides STATUS_FAILED, as env does. */
#define STATUS_NOT_RUN   126
#define STATUS_NOT_FOUND 127

/**
 * struct options - the command line of kvmfd run, or of kvmfd stat
 * @kinds: which of the two are taken over
 * @fallback: KVM may serve what kvmfd does not
 * @report: file for the report, or NULL
 * @stat: where kvmfd stat writes to, or NULL
 * @json: in JSON
 * @command: with its arguments, NULL at the end
 * @signals: that were blocked when we were started, and are for the command
 * @children_ignored: SIGCHLD was ignored, and is to be by the command
 */
struct options {
	bool kinds[KINDS];
	bool fallback;
	const char *report;
	FILE *stat;
	bool json;
	char **command;
	sigset_t signals;
	bool children_ignored;
};

extern struct options options;

/**
 * struct call - a call that is being answered
 * @n: the call; whoever makes it waits for the answer
 * @kind: what is called
 * @attach: it is neither of those, but KVMFD_ATTACH_VM
 * @client: the process that makes it
 * @vm: on this VM
 */
struct call {
	const struct seccomp_notif *n;
	enum kind kind;
	bool attach;
	struct client *client;
	struct vm *vm;
};

/* --- run.c */

/* Runs options.command, and ends as it does. */
int run_command(void);

/* --- front.c: from here on the caller is the front */

/**
 * struct news - what the supervisor tells the front, the first time with a pidfd of the command
 * @command: the pid of the command, which has been started
 * @ended: it has ended
 * @status: as waitpid() told it
 */
struct news {
	pid_t command;
	bool ended;
	int status;
};

void front(pid_t supervisor, int socket) __attribute__((noreturn));

/* --- launch.c */

/* The command, under the filter: its pid.  *@listener gets the calls. */
pid_t launch(int *listener);

/* --- pass.c: sockets between our processes */

/* fork(), each with an end of a socket to the other. */
pid_t fork_with_socket(int *socket);
/* 0, or -1 with errno set. */
int fd_send(int socket, int fd, const void *data, size_t size);
/* What recvmsg() returns, with @flags; *@fd is -1 if the message has none. */
ssize_t fd_receive(int socket, int *fd, void *data, size_t size, int flags);

/* --- supervise.c */

void supervise(int front_socket) __attribute__((noreturn));
/* vm_over() is called when nothing is left of what this fd is attached to. */
void watch_vm(int fd);
/* client_over() is called when the process has ended. */
void watch_client(int pidfd);

/* --- client.c: processes that make calls */

/**
 * struct client - a process that makes calls
 * @next: in the list of all
 * @refs: that list, its VMs, and each worker that answers one of its calls
 * @pid: its id
 * @pidfd: the same
 * @keeper: a socket; fds that are sent here stay in its peer's queue
 * @kept: that peer, which the process has as well: what is in the queue lives as long
 *	as the process, whatever becomes of us.  Both -1 before the first.
 * @kept_there: the number that it has in the process
 * @nr_kept: fds in the queue
 * @native: KVM serves those of its VMs that kvmfd does not serve already
 *
 * All but the ids under the list's lock.
 */
struct client {
	struct client *next;
	unsigned int refs;
	pid_t pid;
	int pidfd;
	int keeper;
	int kept;
	int kept_there;
	unsigned int nr_kept;
	bool native;
};

/*
 * Of the thread that makes a call, with a reference; or NULL with errno set, ENOENT or ESRCH
 * if it is gone.
 */
struct client *client_get(pid_t tid);
void client_ref(struct client *c);
void client_put(struct client *c);
void client_over(int pidfd);
/* Is there one that has not ended? */
bool client_any(void);
/* A duplicate of what is @fd to a thread of it, or -errno. */
int client_fd(const struct client *c, pid_t tid, int fd);
/* 0 or -errno */
int client_read(pid_t tid, uint64_t address, void *to, size_t size);
/* Into the caller's memory, if it still waits for the answer. */
int client_write(const struct call *call, uint64_t address, const void *from, size_t size);
/*
 * The process that makes the call keeps @fd, and, if it has lost what it kept before,
 * @others too.
 */
void client_keep(const struct call *call, int fd, const int *others, unsigned int nr_others);
/* It keeps these only. */
void client_keep_only(struct client *c, const int *fds, unsigned int nr);

/* --- vm.c: VMs that kvmfd serves */

/**
 * struct told - an entry, for the report
 * @entry: with what it had counted
 * @removed: it is no more
 */
struct told {
	struct kvmfd_entry entry;
	bool removed;
};

/**
 * struct vm - a VM that kvmfd serves
 * @next: in the list of all
 * @refs: that list, and each worker that makes a call on it
 * @fd: of /dev/kvmfd
 * @attachment: its id
 * @client: the process that it belongs to
 * @comm: its name
 * @own: the process uses kvmfd by itself: none of its calls are ours to answer
 * @told: its entries, for the report
 * @nr_told: how many
 * @cursor: of what is no more, how many have been listed, or forgotten
 * @forgotten: how many of those are not in @told
 */
struct vm {
	struct vm *next;
	unsigned int refs;
	int fd;
	uint64_t attachment;
	struct client *client;
	char comm[COMM_SIZE];
	bool own;
	struct told *told;
	size_t nr_told;
	uint64_t cursor;
	uint64_t forgotten;
};

/* Can VMs be served?  0, or an errno that says why not. */
int vm_try(void);
/*
 * Sets the VM of a call, attached to if it was not, with a reference; NULL if the call is
 * KVM's to answer.  @vm_fd is ours.  0, or an errno: kvmfd does not serve it, and should.
 */
int vm_find(struct call *call, int vm_fd);
/*
 * Attaches @fd, which is of /dev/kvmfd and becomes ours, to a VM as the process has asked
 * for it.  0, or an errno: it can be the process's own call.
 */
int vm_attach_own(const struct call *call, int fd, int vm_fd, const struct kvmfd_attach *asked,
		  uint64_t *id);
/* vm_find() if the fd could not be fetched, for this reason. */
int vm_unknown(struct call *call, int err);
void vm_put(struct vm *vm);
/* Nothing is left of what this fd is attached to. */
void vm_over(int fd);
void vm_all_over(void);
/* Notes what is gone of VMs whose processes use kvmfd by themselves. */
void vm_look_at_own(void);

/* --- serve.c */

/* Starts the threads that answer. */
void serve(int listener);
/*
 * Does the caller still wait?  If not, what was fetched since the call came may have been
 * another process's, which has the same number now.
 */
bool call_is_valid(const struct call *call);
/* The caller has a copy of our fd then, with this number; -1 if it cannot have it. */
int call_add_fd(const struct call *call, int fd, int number);

/* --- report.c */

/* Has anybody asked for one? */
bool report_wanted(void);
/* The command begins. */
void report_begin(void);
void report_call(enum kind kind, bool assign);
void report_native(enum kind kind);
void report_refused(enum kind kind, int err);
/* What is gone since the last time. */
void report_removed(struct vm *vm);
void report_vm(struct vm *vm);
void report_write(void);

#endif /* TOOLS_RUN_H */
