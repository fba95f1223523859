// SPDX-License-Identifier: GPL-2.0
/* The report at the end, as JSON: what each doorbell and call have done. */
#include <linux/virtio_pci.h>

#include "stats.h"

static void put(FILE *file, const char *name, unsigned long long val)
{
	fprintf(file, ", \"%s\": %llu", name, val);
}

static void put_if(FILE *file, const char *name, bool known, unsigned long long val)
{
	if (known)
		put(file, name, val);
	else
		fprintf(file, ", \"%s\": null", name);
}

/*
 * The kick's path from left to right, then the call's.  gsi, inline and deferred
 * are those of the vector: of all the queues that a driver puts on it.
 */
static void put_queue(FILE *file, const struct virtio_pci *v,
		      const struct virtq *q, unsigned int index)
{
	bool counts = v->notify->ops->counts;
	bool has_vector = q->last_vector != VIRTIO_MSI_NO_VECTOR;
	const struct call *c =
		&v->msix.vectors[has_vector ? q->last_vector : 0].call;

	fprintf(file, "    {\"queue\": %u", index);
	put_if(file, "hits", counts, q->doorbell.hits);
	put(file, "kicks_handled", q->stats.kicks);
	put(file, "kicks_counted", q->stats.kick_sum);
	put(file, "requests", q->stats.requests);
	put(file, "bytes_read", q->stats.bytes_read);
	put(file, "bytes_written", q->stats.bytes_written);
	put(file, "calls", q->stats.calls);
	put_if(file, "inline", counts && has_vector, c->inline_calls);
	put_if(file, "deferred", counts && has_vector, c->deferred_calls);
	put_if(file, "gsi", has_vector, c->gsi);
	put_if(file, "vector", has_vector, q->last_vector);
	fputs("}", file);
}

/* As above, but for all queues: how often the line was raised, then by whom. */
static void put_intx(FILE *file, const struct virtio_pci *v)
{
	bool counts = v->notify->ops->counts;
	const struct intx *x = &v->intx;

	fprintf(file, "  \"intx\": {\"gsi\": %u", x->call.gsi);
	put(file, "raised", x->raised);
	put_if(file, "inline", counts, x->call.inline_calls);
	put_if(file, "deferred", counts, x->call.deferred_calls);
	put(file, "resamples", x->resamples);
	fputs("},\n", file);
}

bool stats_write(FILE *file, const struct virtio_pci *v)
{
	unsigned int i;

	fprintf(file, "{\n  \"eventfd\": \"%s\",\n  \"notify\": \"%s\",\n",
		v->notify->ops->name, v->notify->form->name);
	fprintf(file, "  \"notify_exits\": %llu,\n", (unsigned long long)v->notify_exits);
	fprintf(file, "  \"io_errors\": %llu,\n", (unsigned long long)v->blk.errors);
	fprintf(file, "  \"route_changes\": %llu,\n",
		(unsigned long long)v->notify->routes.changes);
	put_intx(file, v);
	fputs("  \"queues\": [\n", file);
	for (i = 0; i < v->blk.count; i++) {
		put_queue(file, v, &v->blk.queues[i].virtq, i);
		fputs(i + 1 < v->blk.count ? ",\n" : "\n", file);
	}
	fputs("  ]\n}\n", file);
	return !fflush(file) && !ferror(file);
}
