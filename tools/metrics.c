// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd metrics: the counters of all VMs on kvmfd, as text for Prometheus and its like. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

/**
 * struct metric - a family of samples
 * @name: of a counter without what its samples end with, _total
 * @help: what it is
 * @kind: there is one for each entry of this kind; 0: for each VM
 * @gauge: it is no counter
 * @value: where it is, in struct kvmfd_entry or struct kvmfd_info
 */
struct metric {
	const char *name;
	const char *help;
	uint32_t kind;
	bool gauge;
	size_t value;
};

#define OF_ENTRY(field) offsetof(struct kvmfd_entry, field)
#define OF_VM(field)    offsetof(struct kvmfd_info, field)

static const struct metric metrics[] = {
	{ "kvmfd_doorbell_hits", "Guest writes that signalled the eventfd of a doorbell.",
	  KVMFD_ENTRY_IOEVENTFD, false, OF_ENTRY(hits) },
	{ "kvmfd_irqfd_inline", "Interrupts set within the wake-up of the eventfd of an irqfd.",
	  KVMFD_ENTRY_IRQFD, false, OF_ENTRY(inline_calls) },
	{ "kvmfd_irqfd_deferred", "Wake-ups of the eventfd of an irqfd handed to a worker.",
	  KVMFD_ENTRY_IRQFD, false, OF_ENTRY(deferred_calls) },
	{ "kvmfd_retired_doorbell_hits", "Hits of the doorbells of a VM that are no more.", 0,
	  false, OF_VM(retired_hits) },
	{ "kvmfd_retired_irqfd_inline", "Inline interrupts of its irqfds that are no more.", 0,
	  false, OF_VM(retired_inline_calls) },
	{ "kvmfd_retired_irqfd_deferred", "Deferred wake-ups of its irqfds that are no more.", 0,
	  false, OF_VM(retired_deferred_calls) },
	{ "kvmfd_doorbells", "Doorbells of a VM.", 0, true, OF_VM(nr_ioeventfds) },
	{ "kvmfd_doorbells_limit", "How many it can have.", 0, true, OF_VM(max_ioeventfds) },
	{ "kvmfd_irqfds", "Its irqfds.", 0, true, OF_VM(nr_irqfds) },
};

static void show_help(void)
{
	puts("usage: kvmfd metrics [--prometheus | --listen ADDRESS:PORT]\n"
	     "\n"
	     "Writes the counters of all VMs on kvmfd that the caller may look at, in OpenMetrics'\n"
	     "text format.\n"
	     "\n"
	     "  --prometheus           in Prometheus' older format, 0.0.4\n"
	     "  --listen ADDRESS:PORT  serve them by HTTP as /metrics, on a loopback address: in\n"
	     "                         OpenMetrics' format to who accepts it, else in the other");
}

/* A name can have any character that is printed. */
static void put_label(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
}

static void put_vm(FILE *to, const struct seen *vm)
{
	fprintf(to, "{pid=\"%d\",comm=\"", vm->pid);
	put_label(to, vm->comm);
	fprintf(to, "\",attachment=\"%llu\"", vm->info.attachment);
}

static void put_entry(FILE *to, const struct kvmfd_entry *e)
{
	fprintf(to, ",id=\"%llu\"", e->id);
	if (e->kind == KVMFD_ENTRY_IRQFD) {
		fprintf(to, ",gsi=\"%u\"", e->gsi);
		return;
	}
	fprintf(to, ",bus=\"%s\",addr=\"%#llx\",len=\"%u\"", entry_bus(e), e->addr, e->len);
	if (e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		fprintf(to, ",data=\"%#llx\"", e->datamatch);
	if (entry_is_masked(e))
		fprintf(to, ",mask=\"%#llx\"", e->mask);
}

/* The 64 bits at @offset of a struct. */
static unsigned long long value_at(const void *of, size_t offset)
{
	__u64 value;

	memcpy(&value, (const char *)of + offset, sizeof(value));
	return value;
}

static void put_samples(FILE *to, const struct metric *m, const struct seen *vm)
{
	const char *suffix = m->gauge ? "" : "_total";
	size_t i;

	if (!m->kind) {
		fprintf(to, "%s%s", m->name, suffix);
		put_vm(to, vm);
		fprintf(to, "} %llu\n", value_at(&vm->info, m->value));
		return;
	}
	for (i = 0; i < vm->nr; i++) {
		if (vm->entries[i].kind != m->kind)
			continue;
		fprintf(to, "%s%s", m->name, suffix);
		put_vm(to, vm);
		put_entry(to, &vm->entries[i]);
		fprintf(to, "} %llu\n", value_at(&vm->entries[i], m->value));
	}
}

static void put_head(FILE *to, const char *name, const char *suffix, const char *type,
		     const char *help)
{
	fprintf(to, "# TYPE %s%s %s\n# HELP %s%s %s\n", name, suffix, type, name, suffix, help);
}

static void put_all(FILE *to, const struct look *l, enum format format)
{
	const struct metric *m;
	size_t i;

	for (m = metrics; m < metrics + ARRAY_SIZE(metrics); m++) {
		/* To OpenMetrics a counter is named without what its samples end with. */
		put_head(to, m->name, m->gauge || format == OPENMETRICS ? "" : "_total",
			 m->gauge ? "gauge" : "counter", m->help);
		for (i = 0; i < l->nr; i++)
			put_samples(to, m, &l->vms[i]);
	}
	put_head(to, "kvmfd_unseen_processes", "", "gauge",
		 "Processes that could not be looked at.");
	fprintf(to, "kvmfd_unseen_processes %u\n", l->refused);
	if (format == OPENMETRICS)
		fputs("# EOF\n", to);
}

const char *metrics_type(enum format format)
{
	if (format == OPENMETRICS)
		return "application/openmetrics-text; version=1.0.0; charset=utf-8";
	return "text/plain; version=0.0.4; charset=utf-8";
}

char *metrics_text(enum format format)
{
	const struct pids all = {};
	struct look l;
	size_t size;
	char *text;
	FILE *to;

	if (look(&l, &all, NULL))
		return NULL;
	to = open_memstream(&text, &size);
	if (!to)
		die("out of memory");
	put_all(to, &l, format);
	if (fclose(to))
		die("out of memory");
	look_free(&l);
	return text;
}

static void print_once(enum format format)
{
	const struct pids all = {};
	struct look l;

	look_first(&l, &all, NULL);
	put_all(stdout, &l, format);
	look_free(&l);
}

int cmd_metrics(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "prometheus", no_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	enum format format = OPENMETRICS;
	const char *listen = NULL;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			format = PROMETHEUS;
			break;
		case 'l':
			listen = optarg;
			break;
		case 'h':
			show_help();
			return 0;
		default:
			bad_option(c, argv);
		}
	}
	no_arguments(argc, argv);
	if (listen && format == PROMETHEUS)
		die("with --listen the client chooses the format, not --prometheus");

	if (listen)
		http_serve(listen);
	else
		print_once(format);
	return output_done();
}
