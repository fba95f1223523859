/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmfd, the tool: its commands, and what all of them use.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "libkvmfd.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What a command ends with if it fails itself. */
#define STATUS_FAILED 125

int cmd_latency(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_top(int argc, char **argv);

/* --- main.c */

/* One line on stderr, of the process's own.  die() ends it, with STATUS_FAILED. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *must_alloc(size_t size);
void *must_resize(void *p, size_t size);
/* What getopt_long() has said, ':' or '?', as an error. */
void bad_option(int c, char **argv) __attribute__((noreturn));
/* Nothing but options was given. */
void no_arguments(int argc, char **argv);
/* The exit status of who has written to stdout. */
int output_done(void);

/* --- entry.c: how an entry is told, by whatever command */

/* Longer than any of them. */
#define WHERE_SIZE 160

const char *entry_kind(const struct kvmfd_entry *e);
const char *entry_bus(const struct kvmfd_entry *e);
/* Does it look at some bits of the value only? */
bool entry_is_masked(const struct kvmfd_entry *e);
/* pio 0xc050/2 =0x1; mmio 0xfe003000/any; gsi 24 msi 0xfee01000/0x4041 */
void entry_where(const struct kvmfd_entry *e, char where[WHERE_SIZE]);
/* All that it has counted. */
uint64_t entry_total(const struct kvmfd_entry *e);
json_t *entry_json(const struct kvmfd_entry *e);
void json_put(json_t *to, const char *name, uint64_t value);

/* --- entry.c: of a process's name, what a terminal and a file of text bear */

#define COMM_SIZE 16

/* "?" if it has none any more. */
void process_name(pid_t pid, char comm[COMM_SIZE]);

/* --- vms.c */

/* Is it of /dev/kvmfd, whatever that is called there? */
bool fd_is_kvmfd(int fd);

/* --- table.c */

/* A heading that begins with '>' is that of numbers: they stand on the right. */
struct table *table_new(const char *const *headings, unsigned int columns);
/* The next cell, row by row. */
void table_add(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The heading and @rows lines at most, each of @width columns at most, then @end. */
void table_print(const struct table *t, FILE *to, unsigned int width, unsigned int rows,
		 const char *end);
void table_free(struct table *t);
/* The last three columns of a table of entries: HITS, INLINE, DEFERRED. */
void table_add_counts(struct table *t, const struct kvmfd_entry *e);

#endif /* TOOLS_TOOL_H */
