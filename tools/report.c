// SPDX-License-Identifier: GPL-2.0-only
/* The report: what was taken over, and what came of it. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "run.h"

/* Any errno of a call. */
#define ERRNOS 200

static struct {
	uint64_t assigns;
	uint64_t deassigns;
	uint64_t native;
	uint64_t refused[ERRNOS];
} counts[KINDS];

static const char *const names[] = { [IOEVENTFD] = "ioeventfd", [IRQFD] = "irqfd" };
static json_t *vms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

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

static json_t *told(const struct kvmfd_entry *e, bool removed)
{
	json_t *o = entry_json(e);

	json_object_set_new(o, "removed", json_boolean(removed));
	return o;
}

static void tell_list(struct vm *vm, uint32_t flags, uint64_t *cursor)
{
	struct kvmfd_entry entries[64];
	int i, listed;

	do {
		listed = kvmfd_list(vm->fd, flags, cursor, entries, ARRAY_SIZE(entries));
		for (i = 0; i < listed; i++)
			json_array_append_new(vm->told,
					      told(&entries[i], flags & KVMFD_LIST_REMOVED));
	} while (listed == ARRAY_SIZE(entries));
}

void report_removed(struct vm *vm)
{
	if (!options.report)
		return;
	pthread_mutex_lock(&lock);
	tell_list(vm, KVMFD_LIST_REMOVED, &vm->cursor);
	pthread_mutex_unlock(&lock);
}

void report_vm(struct vm *vm)
{
	json_t *o = json_object();
	uint64_t cursor = 0;

	report_removed(vm);
	pthread_mutex_lock(&lock);
	tell_list(vm, 0, &cursor);
	json_put(o, "attachment", vm->attachment);
	json_put(o, "pid", vm->client->pid);
	json_object_set_new(o, "entries", vm->told);
	if (!vms)
		vms = json_array();
	json_array_append_new(vms, o);
	pthread_mutex_unlock(&lock);
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

void report_write(void)
{
	json_t *all;

	if (!options.report)
		return;
	all = json_object();
	json_object_set_new(all, "calls", calls_made());
	json_object_set_new(all, "native",
			    json_pack("{s:I, s:I}", names[IOEVENTFD],
				      (json_int_t)counts[IOEVENTFD].native, names[IRQFD],
				      (json_int_t)counts[IRQFD].native));
	json_object_set_new(all, "refused", calls_refused());
	/* A thread whose caller was killed may have one to tell yet. */
	pthread_mutex_lock(&lock);
	json_object_set_new(all, "vms", vms ?: json_array());
	vms = NULL;
	pthread_mutex_unlock(&lock);
	if (json_dump_file(all, options.report, JSON_INDENT(2)))
		say("%s: cannot write the report", options.report);
	json_decref(all);
}
