// SPDX-License-Identifier: GPL-2.0-only
/* The report: what was taken over, and what came of it. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"

/* Any errno of a call. */
#define ERRNOS   200
/* Entries of a VM, some 100 bytes each: a guest can have many made, and taken away. */
#define TOLD_MAX 65536

static struct {
	uint64_t assigns;
	uint64_t deassigns;
	uint64_t native;
	uint64_t refused[ERRNOS];
} counts[KINDS];

/**
 * struct record - a VM that is no more
 * @next: the one that went after it
 * @attachment: its attachment's id
 * @pid: the process that it belonged to
 * @comm: its name
 * @own: that process used kvmfd by itself
 * @told: its entries
 * @nr: how many
 * @forgotten: and how many were not kept
 */
struct record {
	struct record *next;
	uint64_t attachment;
	pid_t pid;
	char comm[COMM_SIZE];
	bool own;
	struct told *told;
	size_t nr;
	uint64_t forgotten;
};

static const char *const names[] = { [IOEVENTFD] = "ioeventfd", [IRQFD] = "irqfd" };
static const char *const requests[] = { [IOEVENTFD] = "KVM_IOEVENTFD", [IRQFD] = "KVM_IRQFD" };
static struct record *records;
static struct timespec began;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool report_wanted(void)
{
	return options.report || options.stat;
}

void report_begin(void)
{
	clock_gettime(CLOCK_MONOTONIC, &began);
}

static double elapsed(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec - began.tv_sec + (t.tv_nsec - began.tv_nsec) / 1e9;
}

static void count(uint64_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

void report_call(enum kind kind, bool assign)
{
	count(assign ? &counts[kind].assigns : &counts[kind].deassigns);
}

void report_native(enum kind kind)
{
	count(&counts[kind].native);
}

void report_refused(enum kind kind, int err)
{
	if (err > 0 && err < ERRNOS)
		count(&counts[kind].refused[err]);
}

static void keep(struct vm *vm, const struct kvmfd_entry *entries, int nr, bool removed)
{
	struct told *told;
	int i;

	vm->told = must_resize(vm->told, (vm->nr_told + nr) * sizeof(*told));
	for (i = 0; i < nr; i++) {
		told = &vm->told[vm->nr_told++];
		told->entry = entries[i];
		told->removed = removed;
	}
}

static void tell_removed(struct vm *vm)
{
	struct kvmfd_entry entries[64];
	uint64_t before;
	int listed;

	do {
		before = vm->cursor;
		listed = kvmfd_list(vm->fd, KVMFD_LIST_REMOVED, &vm->cursor, entries,
				    ARRAY_SIZE(entries));
		if (listed <= 0)
			break;
		vm->forgotten += vm->cursor - before - listed;
		if (vm->nr_told + listed <= TOLD_MAX)
			keep(vm, entries, listed, true);
		else
			vm->forgotten += listed;
	} while (listed == ARRAY_SIZE(entries));
}

static void tell_those_in_being(struct vm *vm)
{
	struct kvmfd_entry entries[64];
	uint64_t cursor = 0;
	int listed;

	do {
		listed = kvmfd_list(vm->fd, 0, &cursor, entries, ARRAY_SIZE(entries));
		if (listed > 0)
			keep(vm, entries, listed, false);
	} while (listed == ARRAY_SIZE(entries));
}

void report_removed(struct vm *vm)
{
	if (!report_wanted())
		return;
	pthread_mutex_lock(&lock);
	tell_removed(vm);
	pthread_mutex_unlock(&lock);
}

void report_vm(struct vm *vm)
{
	struct record *r, **link;

	report_removed(vm);
	r = must_alloc(sizeof(*r));
	pthread_mutex_lock(&lock);
	tell_those_in_being(vm);
	r->attachment = vm->attachment;
	r->pid = vm->client->pid;
	strcpy(r->comm, vm->comm);
	r->own = vm->own;
	r->told = vm->told;
	r->nr = vm->nr_told;
	r->forgotten = vm->forgotten;
	vm->told = NULL;
	vm->nr_told = 0;
	for (link = &records; *link; link = &(*link)->next)
		;
	*link = r;
	pthread_mutex_unlock(&lock);
}

static json_t *record_json(const struct record *r)
{
	json_t *o = json_object(), *entries = json_array(), *entry;
	size_t i;

	for (i = 0; i < r->nr; i++) {
		entry = entry_json(&r->told[i].entry);
		json_object_set_new(entry, "removed", json_boolean(r->told[i].removed));
		json_array_append_new(entries, entry);
	}
	json_put(o, "attachment", r->attachment);
	json_put(o, "pid", r->pid);
	json_object_set_new(o, "comm", json_string(r->comm));
	json_object_set_new(o, "own", json_boolean(r->own));
	json_object_set_new(o, "entries", entries);
	json_put(o, "forgotten", r->forgotten);
	return o;
}

static json_t *calls_made(void)
{
	json_t *o = json_object();
	enum kind kind;

	for (kind = 0; kind < KINDS; kind++)
		json_object_set_new(o, names[kind],
				    json_pack("{s:I, s:I}", "assign",
					      (json_int_t)counts[kind].assigns, "deassign",
					      (json_int_t)counts[kind].deassigns));
	return o;
}

static json_t *calls_refused(void)
{
	json_t *all = json_array();
	enum kind kind;
	json_t *one;
	int err;

	for (kind = 0; kind < KINDS; kind++) {
		for (err = 0; err < ERRNOS; err++) {
			if (!counts[kind].refused[err])
				continue;
			one = json_object();
			json_object_set_new(one, "call", json_string(names[kind]));
			json_object_set_new(one, "errno", json_string(strerrorname_np(err)));
			json_put(one, "count", counts[kind].refused[err]);
			json_array_append_new(all, one);
		}
	}
	return all;
}

static json_t *report_json(void)
{
	json_t *all = json_object(), *vms = json_array();
	const struct record *r;

	json_object_set_new(all, "calls", calls_made());
	json_object_set_new(all, "native",
			    json_pack("{s:I, s:I}", names[IOEVENTFD],
				      (json_int_t)counts[IOEVENTFD].native, names[IRQFD],
				      (json_int_t)counts[IRQFD].native));
	json_object_set_new(all, "refused", calls_refused());
	for (r = records; r; r = r->next)
		json_array_append_new(vms, record_json(r));
	json_object_set_new(all, "vms", vms);
	json_object_set_new(all, "seconds", json_real(elapsed()));
	return all;
}

static void print_record(const struct record *r, double seconds)
{
	static const char *const headings[] = {
		">ID",
		"KIND",
		"WHERE",
		">HITS",
		">INLINE",
		">DEFERRED",
		">PER SECOND",
	};
	struct table *t = table_new(headings, ARRAY_SIZE(headings));
	const struct kvmfd_entry *e;
	char where[WHERE_SIZE];
	size_t i;

	fprintf(options.stat, "process %d %s, attachment %llu%s\n", r->pid, r->comm,
		(unsigned long long)r->attachment, r->own ? " of its own" : "");
	for (i = 0; i < r->nr; i++) {
		e = &r->told[i].entry;
		entry_where(e, where);
		table_add(t, "%llu", e->id);
		table_add(t, "%s", entry_kind(e));
		table_add(t, "%s", where);
		table_add_counts(t, e);
		table_add(t, "%.1f", entry_total(e) / seconds);
	}
	table_print(t, options.stat, UINT_MAX, UINT_MAX, "\n");
	table_free(t);
	if (r->forgotten)
		fprintf(options.stat, "and %llu that have been removed, and are not told\n",
			(unsigned long long)r->forgotten);
	fputc('\n', options.stat);
}

static void print_table(void)
{
	double seconds = elapsed();
	const struct record *r;
	enum kind kind;
	int err;

	fputc('\n', options.stat);
	if (!records)
		fputs("no VM on kvmfd\n\n", options.stat);
	for (r = records; r; r = r->next)
		print_record(r, seconds);
	for (kind = 0; kind < KINDS; kind++) {
		if (counts[kind].native)
			fprintf(options.stat, "%llu %s left to KVM\n",
				(unsigned long long)counts[kind].native, requests[kind]);
		for (err = 0; err < ERRNOS; err++)
			if (counts[kind].refused[err])
				fprintf(options.stat, "%llu %s failed: %s\n",
					(unsigned long long)counts[kind].refused[err],
					requests[kind], strerror(err));
	}
	fprintf(options.stat, "%.3f seconds\n", seconds);
}

static void free_records(void)
{
	struct record *r;

	while (records) {
		r = records;
		records = r->next;
		free(r->told);
		free(r);
	}
}

void report_write(void)
{
	json_t *all = NULL;

	/* A thread whose caller was killed may have one to tell yet. */
	pthread_mutex_lock(&lock);
	if (options.report || options.json)
		all = report_json();
	if (options.report && json_dump_file(all, options.report, JSON_INDENT(2)))
		say("%s: cannot write the report", options.report);
	if (options.stat && options.json)
		json_dumpf(all, options.stat, JSON_INDENT(2));
	else if (options.stat)
		print_table();
	if (options.stat && options.json)
		fputc('\n', options.stat);
	if (options.stat && (fflush(options.stat) || ferror(options.stat)))
		say("cannot write the table: %s", strerror(errno));
	json_decref(all);
	free_records();
	pthread_mutex_unlock(&lock);
}
