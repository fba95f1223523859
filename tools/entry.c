// SPDX-License-Identifier: GPL-2.0-only
/* How doorbells and irqfds, and processes, are told. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "tool.h"

/* By KVM_IRQCHIP_*. */
static const char *const chips[] = { "pic", "slave pic", "ioapic" };

const char *entry_kind(const struct kvmfd_entry *e)
{
	return e->kind == KVMFD_ENTRY_IOEVENTFD ? "ioeventfd" : "irqfd";
}

const char *entry_bus(const struct kvmfd_entry *e)
{
	if (e->flags & KVM_IOEVENTFD_FLAG_PIO)
		return "pio";
	return e->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY ? "ccw" : "mmio";
}

bool entry_is_masked(const struct kvmfd_entry *e)
{
	return e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH && ~e->mask;
}

/* Ends where the text has no more room. */
static void __attribute__((format(printf, 2, 3))) append(char *text, const char *format, ...)
{
	size_t at = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + at, WHERE_SIZE - at, format, args);
	va_end(args);
}

static void doorbell_where(const struct kvmfd_entry *e, char *where)
{
	append(where, "%s %#llx/", entry_bus(e), e->addr);
	if (e->len)
		append(where, "%u", e->len);
	else
		append(where, "any");
	if (e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		append(where, " =%#llx", e->datamatch);
	if (entry_is_masked(e))
		append(where, " &%#llx", e->mask);
}

static void irqfd_where(const struct kvmfd_entry *e, char *where)
{
	const char *separator = "";
	int i;

	append(where, "gsi %u", e->gsi);
	switch (e->route) {
	case KVMFD_ROUTE_MSI:
		append(where, " msi %#llx/%#x", e->msi_addr, e->msi_data);
		break;
	case KVMFD_ROUTE_PINS:
		for (i = ARRAY_SIZE(chips) - 1; i >= 0; i--) {
			if (!(e->chips & 1U << i))
				continue;
			append(where, "%s %s %u", separator, chips[i], e->pins[i]);
			separator = ",";
		}
		break;
	case KVMFD_ROUTE_OTHER:
		append(where, " other");
		break;
	}
	if (e->flags & KVM_IRQFD_FLAG_RESAMPLE)
		append(where, " resample");
}

void entry_where(const struct kvmfd_entry *e, char where[WHERE_SIZE])
{
	*where = 0;
	if (e->kind == KVMFD_ENTRY_IOEVENTFD)
		doorbell_where(e, where);
	else
		irqfd_where(e, where);
}

uint64_t entry_total(const struct kvmfd_entry *e)
{
	return e->hits + e->inline_calls + e->deferred_calls;
}

void json_put(json_t *to, const char *name, uint64_t value)
{
	json_object_set_new(to, name, json_integer(value));
}

/* An address or a value: JSON's numbers are not made for 64 bits. */
static void put_hex(json_t *to, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)value);
	json_object_set_new(to, name, json_string(text));
}

static void put_doorbell(json_t *o, const struct kvmfd_entry *e)
{
	json_object_set_new(o, "bus", json_string(entry_bus(e)));
	put_hex(o, "addr", e->addr);
	json_put(o, "len", e->len);
	if (e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		put_hex(o, "data", e->datamatch);
	if (entry_is_masked(e))
		put_hex(o, "mask", e->mask);
	json_put(o, "hits", e->hits);
}

static void put_irqfd(json_t *o, const struct kvmfd_entry *e)
{
	static const char *const routes[] = {
		[KVMFD_ROUTE_NONE] = "none",
		[KVMFD_ROUTE_MSI] = "msi",
		[KVMFD_ROUTE_PINS] = "pins",
	};
	const char *route = e->route < ARRAY_SIZE(routes) ? routes[e->route] : "other";
	json_t *pins;
	unsigned int i;

	json_put(o, "gsi", e->gsi);
	json_object_set_new(o, "resample", json_boolean(e->flags & KVM_IRQFD_FLAG_RESAMPLE));
	json_object_set_new(o, "route", json_string(route));
	if (e->route == KVMFD_ROUTE_MSI) {
		put_hex(o, "msi_addr", e->msi_addr);
		put_hex(o, "msi_data", e->msi_data);
	} else if (e->route == KVMFD_ROUTE_PINS) {
		pins = json_object();
		for (i = 0; i < ARRAY_SIZE(chips); i++)
			if (e->chips & 1U << i)
				json_put(pins, chips[i], e->pins[i]);
		json_object_set_new(o, "pins", pins);
	}
	json_put(o, "inline", e->inline_calls);
	json_put(o, "deferred", e->deferred_calls);
}

json_t *entry_json(const struct kvmfd_entry *e)
{
	json_t *o = json_object();

	json_put(o, "id", e->id);
	json_object_set_new(o, "kind", json_string(entry_kind(e)));
	if (e->kind == KVMFD_ENTRY_IOEVENTFD)
		put_doorbell(o, e);
	else
		put_irqfd(o, e);
	return o;
}

void process_name(pid_t pid, char comm[COMM_SIZE])
{
	char path[32], *c;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f) {
		n = fread(comm, 1, COMM_SIZE - 1, f);
		fclose(f);
	}
	comm[n] = 0;
	if (n && comm[n - 1] == '\n')
		comm[n - 1] = 0;
	/* A process can call itself what it likes. */
	for (c = comm; *c; c++)
		if ((unsigned char)*c > 126 || !isprint((unsigned char)*c))
			*c = '?';
	if (!*comm)
		strcpy(comm, "?");
}
