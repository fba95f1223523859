// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd list: the VMs on kvmfd, and what each of their doorbells and irqfds did. */
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>

#include "watch.h"

static const char *const states[] = {
	[KVMFD_STATE_DETACHED] = "detached",
	[KVMFD_STATE_ATTACHED] = "attached",
	[KVMFD_STATE_GONE] = "gone",
	[KVMFD_STATE_EVICTED] = "evicted",
};

static const char *state(const struct seen *vm)
{
	return vm->info.state < ARRAY_SIZE(states) ? states[vm->info.state] : "unknown";
}

static void show_help(void)
{
	puts("usage: kvmfd list [--pid PID]... [--json]\n"
	     "\n"
	     "Shows the VMs whose ioeventfds and irqfds kvmfd serves, as far as the caller may look\n"
	     "at their processes, and of each its doorbells and irqfds with their counters.\n"
	     "\n"
	     "  --pid PID  only those of this process; can be given several times\n"
	     "  --json     as JSON");
}

static void print_vm(const struct seen *vm)
{
	static const char *const headings[] = {
		">ID",
		"KIND",
		"WHERE",
		">HITS",
		">INLINE",
		">DEFERRED",
	};
	const struct kvmfd_info *info = &vm->info;
	struct table *t = table_new(headings, ARRAY_SIZE(headings));
	char where[WHERE_SIZE];
	size_t i;

	printf("process %d %s, attachment %llu, %s", vm->pid, vm->comm, info->attachment,
	       state(vm));
	if (info->attach_flags & KVMFD_VM_FOREIGN)
		printf(" by process %d", info->attacher);
	printf("\n%llu of %llu doorbells, %llu irqfds; ", info->nr_ioeventfds,
	       info->max_ioeventfds, info->nr_irqfds);
	printf("of those removed: %llu hits, %llu inline, %llu deferred\n", info->retired_hits,
	       info->retired_inline_calls, info->retired_deferred_calls);
	for (i = 0; i < vm->nr; i++) {
		entry_where(&vm->entries[i], where);
		table_add(t, "%llu", vm->entries[i].id);
		table_add(t, "%s", entry_kind(&vm->entries[i]));
		table_add(t, "%s", where);
		table_add_counts(t, &vm->entries[i]);
	}
	if (vm->nr)
		table_print(t, stdout, UINT_MAX, UINT_MAX, "\n");
	table_free(t);
}

static json_t *vm_json(const struct seen *vm)
{
	const struct kvmfd_info *info = &vm->info;
	json_t *o = json_object(), *retired = json_object(), *entries = json_array();
	size_t i;

	json_put(o, "attachment", info->attachment);
	json_put(o, "pid", vm->pid);
	json_object_set_new(o, "comm", json_string(vm->comm));
	json_object_set_new(o, "state", json_string(state(vm)));
	json_put(o, "attacher", info->attacher);
	json_object_set_new(o, "foreign", json_boolean(info->attach_flags & KVMFD_VM_FOREIGN));
	json_put(o, "ioeventfds", info->nr_ioeventfds);
	json_put(o, "max_ioeventfds", info->max_ioeventfds);
	json_put(o, "irqfds", info->nr_irqfds);
	json_put(retired, "hits", info->retired_hits);
	json_put(retired, "inline", info->retired_inline_calls);
	json_put(retired, "deferred", info->retired_deferred_calls);
	json_object_set_new(o, "retired", retired);
	for (i = 0; i < vm->nr; i++)
		json_array_append_new(entries, entry_json(&vm->entries[i]));
	json_object_set_new(o, "entries", entries);
	return o;
}

static void print_json(const struct look *l)
{
	json_t *all = json_object(), *vms = json_array();
	size_t i;

	for (i = 0; i < l->nr; i++)
		json_array_append_new(vms, vm_json(&l->vms[i]));
	json_object_set_new(all, "vms", vms);
	json_put(all, "refused", l->refused);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int cmd_list(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	struct pids pids = {};
	bool json = false;
	struct look l;
	size_t i;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			pids_add(&pids, optarg);
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			show_help();
			return 0;
		default:
			bad_option(c, argv);
		}
	}
	no_arguments(argc, argv);

	look_first(&l, &pids, NULL);
	if (json)
		print_json(&l);
	for (i = 0; !json && i < l.nr; i++) {
		if (i)
			putchar('\n');
		print_vm(&l.vms[i]);
	}
	look_free(&l);
	free(pids.pids);
	return output_done();
}
