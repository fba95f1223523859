/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, events/kvmfd/ in tracefs.
 *
 * Each tells the attachment's id and, as pid, the process whose VM it is: a filter takes
 * one VM out of many.  Off, each is a jump that is not taken; those of a guest's writes
 * share one with the faults, and so do those of a wake-up.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvmfd

#if !defined(KVMFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KVMFD_TRACE_H

#include <linux/jump_label.h>
#include <linux/tracepoint.h>

#include "kvmfd.h"

#ifndef KVMFD_TRACE_ONCE
#define KVMFD_TRACE_ONCE

/* On while anybody looks at guests' writes, or has faults in them; the same for wake-ups. */
DECLARE_STATIC_KEY_FALSE(kvmfd_writes_watched);
DECLARE_STATIC_KEY_FALSE(kvmfd_calls_watched);

int kvmfd_watch_writes(void);
void kvmfd_unwatch_writes(void);
int kvmfd_watch_calls(void);
void kvmfd_unwatch_calls(void);

/* Why an interrupt is a worker's. */
enum kvmfd_deferral {
	KVMFD_DEFER_NO_ROUTE,
	KVMFD_DEFER_MSI,
	KVMFD_DEFER_PIN,
	KVMFD_DEFER_OTHER,
	KVMFD_DEFER_PENDING,
};
#endif

/* perf and trace-cmd know the formats, but not our enums. */
TRACE_DEFINE_ENUM(KVMFD_DEFER_NO_ROUTE);
TRACE_DEFINE_ENUM(KVMFD_DEFER_MSI);
TRACE_DEFINE_ENUM(KVMFD_DEFER_PIN);
TRACE_DEFINE_ENUM(KVMFD_DEFER_OTHER);
TRACE_DEFINE_ENUM(KVMFD_DEFER_PENDING);

#define kvmfd_kinds \
	{ KVMFD_ENTRY_IOEVENTFD, "ioeventfd" }, { KVMFD_ENTRY_IRQFD, "irqfd" }

#define kvmfd_deferrals                                                                    \
	{ KVMFD_DEFER_NO_ROUTE, "no route" },                                              \
	{ KVMFD_DEFER_MSI, "MSI that KVM cannot look up" },                                \
	{ KVMFD_DEFER_PIN, "pin" },                                                        \
	{ KVMFD_DEFER_OTHER, "neither MSI nor pin" },                                      \
	{ KVMFD_DEFER_PENDING, "pending at assign" }

DECLARE_EVENT_CLASS(kvmfd_write,
	TP_PROTO(const struct kvmfd *p, bool port, u64 addr, int len, u64 value),
	TP_ARGS(p, port, addr, len, value),

	TP_STRUCT__entry(
		__field(u64, attachment)
		__field(pid_t, pid)
		__field(bool, port)
		__field(u64, addr)
		__field(int, len)
		__field(u64, value)
	),

	TP_fast_assign(
		__entry->attachment = p->id;
		__entry->pid = p->vm_pid;
		__entry->port = port;
		__entry->addr = addr;
		__entry->len = len;
		__entry->value = value;
	),

	TP_printk("attachment=%llu pid=%d %s=0x%llx len=%d value=0x%llx",
		  __entry->attachment, __entry->pid, __entry->port ? "port" : "mmio",
		  __entry->addr, __entry->len, __entry->value)
);

/* A write that has signalled a doorbell's eventfd.  Length 0: by fast MMIO, without a value. */
DEFINE_EVENT_FN(kvmfd_write, kvmfd_hit,
	TP_PROTO(const struct kvmfd *p, bool port, u64 addr, int len, u64 value),
	TP_ARGS(p, port, addr, len, value),
	kvmfd_watch_writes, kvmfd_unwatch_writes
);

/* One at a doorbell's address that has not: another length, or another value. */
DEFINE_EVENT_FN(kvmfd_write, kvmfd_miss,
	TP_PROTO(const struct kvmfd *p, bool port, u64 addr, int len, u64 value),
	TP_ARGS(p, port, addr, len, value),
	kvmfd_watch_writes, kvmfd_unwatch_writes
);

DECLARE_EVENT_CLASS(kvmfd_entry,
	TP_PROTO(const struct kvmfd *p, const struct kvmfd_entry *item),
	TP_ARGS(p, item),

	TP_STRUCT__entry(
		__field(u64, attachment)
		__field(pid_t, pid)
		__field(u64, id)
		__field(u32, kind)
		__field(u32, flags)
		__field(u64, addr)
		__field(u32, len)
		__field(u64, data)
		__field(u64, mask)
		__field(u32, gsi)
		__field(u64, hits)
		__field(u64, inline_calls)
		__field(u64, deferred_calls)
	),

	TP_fast_assign(
		__entry->attachment = p->id;
		__entry->pid = p->vm_pid;
		__entry->id = item->id;
		__entry->kind = item->kind;
		__entry->flags = item->flags;
		__entry->addr = item->addr;
		__entry->len = item->len;
		__entry->data = item->datamatch;
		__entry->mask = item->mask;
		__entry->gsi = item->gsi;
		__entry->hits = item->hits;
		__entry->inline_calls = item->inline_calls;
		__entry->deferred_calls = item->deferred_calls;
	),

	TP_printk("attachment=%llu pid=%d %s id=%llu flags=0x%x addr=0x%llx len=%u data=0x%llx mask=0x%llx gsi=%u hits=%llu inline=%llu deferred=%llu",
		  __entry->attachment, __entry->pid,
		  __print_symbolic(__entry->kind, kvmfd_kinds), __entry->id, __entry->flags,
		  __entry->addr, __entry->len, __entry->data, __entry->mask, __entry->gsi,
		  __entry->hits, __entry->inline_calls, __entry->deferred_calls)
);

/* An entry is there and has its id. */
DEFINE_EVENT(kvmfd_entry, kvmfd_assign,
	TP_PROTO(const struct kvmfd *p, const struct kvmfd_entry *item),
	TP_ARGS(p, item)
);

/* It is no more, whoever took it away; with its last counts. */
DEFINE_EVENT(kvmfd_entry, kvmfd_deassign,
	TP_PROTO(const struct kvmfd *p, const struct kvmfd_entry *item),
	TP_ARGS(p, item)
);

DECLARE_EVENT_CLASS(kvmfd_irqfd,
	TP_PROTO(const struct kvmfd_irqfd *irqfd),
	TP_ARGS(irqfd),

	TP_STRUCT__entry(
		__field(u64, attachment)
		__field(pid_t, pid)
		__field(u64, id)
		__field(u32, gsi)
	),

	TP_fast_assign(
		__entry->attachment = irqfd->owner->id;
		__entry->pid = irqfd->owner->vm_pid;
		__entry->id = irqfd->item.id;
		__entry->gsi = irqfd->gsi;
	),

	TP_printk("attachment=%llu pid=%d id=%llu gsi=%u", __entry->attachment, __entry->pid,
		  __entry->id, __entry->gsi)
);

/* An interrupt has been set within the eventfd's wake-up. */
DEFINE_EVENT_FN(kvmfd_irqfd, kvmfd_inline,
	TP_PROTO(const struct kvmfd_irqfd *irqfd),
	TP_ARGS(irqfd),
	kvmfd_watch_calls, kvmfd_unwatch_calls
);

/* An irqfd is torn down: its eventfd or the VM's file has been closed, or it was taken away. */
DEFINE_EVENT(kvmfd_irqfd, kvmfd_shutdown,
	TP_PROTO(const struct kvmfd_irqfd *irqfd),
	TP_ARGS(irqfd)
);

/* The guest has ended a level-triggered interrupt, and the resamplefd is signalled. */
DEFINE_EVENT(kvmfd_irqfd, kvmfd_resample,
	TP_PROTO(const struct kvmfd_irqfd *irqfd),
	TP_ARGS(irqfd)
);

/* An interrupt is handed to a worker. */
TRACE_EVENT_FN(kvmfd_deferred,
	TP_PROTO(const struct kvmfd_irqfd *irqfd, enum kvmfd_deferral why),
	TP_ARGS(irqfd, why),

	TP_STRUCT__entry(
		__field(u64, attachment)
		__field(pid_t, pid)
		__field(u64, id)
		__field(u32, gsi)
		__field(u32, why)
	),

	TP_fast_assign(
		__entry->attachment = irqfd->owner->id;
		__entry->pid = irqfd->owner->vm_pid;
		__entry->id = irqfd->item.id;
		__entry->gsi = irqfd->gsi;
		__entry->why = why;
	),

	TP_printk("attachment=%llu pid=%d id=%llu gsi=%u why=%s", __entry->attachment,
		  __entry->pid, __entry->id, __entry->gsi,
		  __print_symbolic(__entry->why, kvmfd_deferrals)),

	kvmfd_watch_calls, kvmfd_unwatch_calls
);

#endif /* KVMFD_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
