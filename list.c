// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an attachment tells of itself: KVMFD_GET_INFO, KVMFD_LIST, fdinfo.
 */
#include <linux/fs.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "kvmfd.h"
#include "trace.h"

#define FDINFO_MAX_ENTRIES 100

/**
 * struct kvmfd_removed - the items that are no more, as they were last
 * @nr: how many there have been, in the attachment's life; under &kvmfd.state_lock
 * @entries: the newest of them, in a ring
 */
struct kvmfd_removed {
	u64 nr;
	struct kvmfd_entry entries[KVMFD_MAX_REMOVED];
};

/**
 * kvmfd_removed_create() - to remember items in
 *
 * Return: what kvmfd_removed_free() frees, or NULL.
 */
struct kvmfd_removed *kvmfd_removed_create(void)
{
	return kvzalloc(sizeof(struct kvmfd_removed), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

/**
 * kvmfd_removed_free() - forget them
 * @removed: may be NULL
 */
void kvmfd_removed_free(struct kvmfd_removed *removed)
{
	kvfree(removed);
}

static struct kvmfd_item *item_of(struct rb_node *node)
{
	return rb_entry(node, struct kvmfd_item, node);
}

static void item_describe(struct kvmfd_item *item, struct kvmfd_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->id = item->id;
	entry->kind = item->kind;
	if (item->kind == KVMFD_ENTRY_IOEVENTFD)
		kvmfd_doorbell_describe(container_of(item, struct kvmfd_doorbell, item), entry);
	else
		kvmfd_irqfd_describe(container_of(item, struct kvmfd_irqfd, item), entry);
}

/* By itself: who has an entry on its stack pays for that, too, when nobody looks. */
static noinline void tell_assign(const struct kvmfd *p, struct kvmfd_item *item)
{
	struct kvmfd_entry entry;

	item_describe(item, &entry);
	trace_kvmfd_assign(p, &entry);
}

/**
 * kvmfd_item_add() - list an item, and give it its id
 * @p: the attachment, &kvmfd.state_lock held
 * @item: the item
 * @kind: KVMFD_ENTRY_*
 */
void kvmfd_item_add(struct kvmfd *p, struct kvmfd_item *item, u32 kind)
{
	struct rb_node **link = &p->items.rb_node, *parent = NULL;

	lockdep_assert_held(&p->state_lock);

	item->id = ++p->last_id;
	item->kind = kind;
	/* The largest id so far. */
	while (*link) {
		parent = *link;
		link = &parent->rb_right;
	}
	rb_link_node(&item->node, parent, link);
	rb_insert_color(&item->node, &p->items);

	if (trace_kvmfd_assign_enabled())
		tell_assign(p, item);
}

/**
 * kvmfd_item_retire() - an item is no more, and counts no more
 * @p: the attachment, &kvmfd.state_lock held
 * @item: a listed item; may be freed once the lock is dropped
 */
void kvmfd_item_retire(struct kvmfd *p, struct kvmfd_item *item)
{
	struct kvmfd_removed *removed = p->removed;
	struct kvmfd_entry entry;

	lockdep_assert_held(&p->state_lock);

	item_describe(item, &entry);
	p->retired.hits += entry.hits;
	p->retired.inline_calls += entry.inline_calls;
	p->retired.deferred_calls += entry.deferred_calls;
	if (removed)
		removed->entries[removed->nr++ % KVMFD_MAX_REMOVED] = entry;
	trace_kvmfd_deassign(p, &entry);

	rb_erase(&item->node, &p->items);
	RB_CLEAR_NODE(&item->node);
}

/**
 * kvmfd_item_after() - walk the items
 * @p: the attachment, &kvmfd.state_lock held
 * @id: where to begin
 *
 * Return: the first item with a larger id, or NULL.
 */
struct kvmfd_item *kvmfd_item_after(struct kvmfd *p, u64 id)
{
	struct rb_node *node = p->items.rb_node;
	struct kvmfd_item *found = NULL;

	lockdep_assert_held(&p->state_lock);

	while (node) {
		struct kvmfd_item *item = item_of(node);

		if (item->id > id) {
			found = item;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}

	return found;
}

/**
 * kvmfd_item_find() - the item with an id
 * @p: the attachment, &kvmfd.state_lock held
 * @id: the id
 *
 * Return: the item, or NULL.
 */
struct kvmfd_item *kvmfd_item_find(struct kvmfd *p, u64 id)
{
	struct kvmfd_item *item = id ? kvmfd_item_after(p, id - 1) : NULL;

	return item && item->id == id ? item : NULL;
}

/*
 * Describes the first item behind @cursor and moves @cursor there.  One at a
 * time, so that a long list holds nobody up.
 */
static bool item_next(struct kvmfd *p, u64 *cursor, struct kvmfd_entry *entry)
{
	struct kvmfd_item *item;

	spin_lock(&p->state_lock);
	item = kvmfd_item_after(p, *cursor);
	if (item) {
		item_describe(item, entry);
		/* Of a VM that is there, and stays for as long as we have the lock. */
		if (item->kind == KVMFD_ENTRY_IRQFD && !p->ended)
			kvmfd_irq_describe_route(p->kvm, entry);
		*cursor = item->id;
	}
	spin_unlock(&p->state_lock);

	return item;
}

/* The same of those that are no more, where @cursor is how many came before. */
static bool removed_next(struct kvmfd *p, u64 *cursor, struct kvmfd_entry *entry)
{
	struct kvmfd_removed *removed = p->removed;
	bool found;

	spin_lock(&p->state_lock);
	found = *cursor < removed->nr;
	if (found) {
		if (removed->nr - *cursor > KVMFD_MAX_REMOVED)
			*cursor = removed->nr - KVMFD_MAX_REMOVED;
		*entry = removed->entries[*cursor % KVMFD_MAX_REMOVED];
		++*cursor;
	}
	spin_unlock(&p->state_lock);

	return found;
}

/**
 * kvmfd_info() - KVMFD_GET_INFO
 * @p: an open /dev/kvmfd
 * @ns: the reader's
 * @info: all 0
 */
void kvmfd_info(struct kvmfd *p, struct pid_namespace *ns, struct kvmfd_info *info)
{
	info->size = sizeof(*info);
	info->abi_version = KVMFD_ABI_VERSION;
	info->features = KVMFD_FEATURE_IOEVENTFD | KVMFD_FEATURE_IRQFD |
			 KVMFD_FEATURE_LIST | KVMFD_FEATURE_MASK | KVMFD_FEATURE_BATCH |
			 KVMFD_FEATURE_RESAMPLE | KVMFD_FEATURE_FOREIGN |
			 KVMFD_FEATURE_REMOVED | KVMFD_FEATURE_POLL |
			 KVMFD_FEATURE_ROUTE | KVMFD_FEATURE_LATENCY;
	info->max_ioeventfds = KVMFD_MAX_IOEVENTFDS;
	info->max_masks = KVMFD_MAX_MASKS;
	info->max_batch = KVMFD_MAX_BATCH;

	spin_lock(&p->state_lock);
	if (!p->id)
		info->state = KVMFD_STATE_DETACHED;
	else if (!p->ended)
		info->state = KVMFD_STATE_ATTACHED;
	else if (p->ended == -ECONNRESET)
		info->state = KVMFD_STATE_EVICTED;
	else
		info->state = KVMFD_STATE_GONE;
	if (p->id) {
		info->attacher = kvmfd_process_id(p->attacher, ns);
		info->owner = kvmfd_process_id(p->owner, ns);
	}
	info->attach_flags = kvmfd_attach_flags(p);
	info->attachment = p->id;
	info->nr_ioeventfds = p->nr_doorbells;
	info->nr_irqfds = p->nr_irqfds;
	info->retired_hits = p->retired.hits;
	info->retired_inline_calls = p->retired.inline_calls;
	info->retired_deferred_calls = p->retired.deferred_calls;
	spin_unlock(&p->state_lock);
}

static int entry_to_user(void __user *to, const struct kvmfd_entry *entry, size_t size)
{
	size_t known = min(size, sizeof(*entry));

	if (copy_to_user(to, entry, known) || clear_user(to + known, size - known))
		return -EFAULT;

	return 0;
}

/**
 * kvmfd_list() - KVMFD_LIST
 * @p: an open /dev/kvmfd
 * @args: as the caller gave them; cursor and count are updated
 *
 * Return: 0, -ENOTCONN, -EINVAL, -ENODATA (nothing is remembered), -EFAULT.
 */
int kvmfd_list(struct kvmfd *p, struct kvmfd_list *args)
{
	bool removed = args->flags & KVMFD_LIST_REMOVED;
	void __user *to = u64_to_user_ptr(args->entries);
	u32 room = args->count, done;
	bool attached, remembers, found;
	struct kvmfd_entry entry;

	spin_lock(&p->state_lock);
	attached = p->id;
	remembers = p->removed;
	spin_unlock(&p->state_lock);
	if (!attached)
		return -ENOTCONN;
	if (!room || args->entry_size < offsetof(struct kvmfd_entry, msi_addr) ||
	    args->entry_size > PAGE_SIZE)
		return -EINVAL;
	if (removed && !remembers)
		return -ENODATA;

	for (done = 0; done < room; done++, to += args->entry_size) {
		if (removed)
			found = removed_next(p, &args->cursor, &entry);
		else
			found = item_next(p, &args->cursor, &entry);
		if (!found)
			break;
		if (entry_to_user(to, &entry, args->entry_size))
			return -EFAULT;
		cond_resched();
	}

	args->count = done;
	return 0;
}

static void show_entry(struct seq_file *m, const struct kvmfd_entry *entry)
{
	const char *bus = "mmio";

	if (entry->kind == KVMFD_ENTRY_IRQFD) {
		seq_printf(m, "kvmfd-irqfd:\tid %llu gsi %u inline %llu deferred %llu\n",
			   entry->id, entry->gsi, entry->inline_calls,
			   entry->deferred_calls);
		return;
	}

	if (entry->flags & KVM_IOEVENTFD_FLAG_PIO)
		bus = "pio";
	else if (entry->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		bus = "ccw";
	seq_printf(m, "kvmfd-ioeventfd:\tid %llu %s %#llx len %u ", entry->id, bus,
		   entry->addr, entry->len);
	if (entry->mask)
		seq_printf(m, "data %#llx ", entry->datamatch);
	if (entry->mask && ~entry->mask)
		seq_printf(m, "mask %#llx ", entry->mask);
	seq_printf(m, "hits %llu\n", entry->hits);
}

/**
 * kvmfd_show_fdinfo() - /proc/PID/fdinfo/FD
 * @p: an open /dev/kvmfd
 * @m: the file to write to
 *
 * A summary and the first hundred entries: the whole is what KVMFD_LIST is for.
 */
void kvmfd_show_fdinfo(struct kvmfd *p, struct seq_file *m)
{
	static const char *const states[] = {
		[KVMFD_STATE_DETACHED] = "detached",
		[KVMFD_STATE_ATTACHED] = "attached",
		[KVMFD_STATE_GONE] = "gone",
		[KVMFD_STATE_EVICTED] = "evicted",
	};
	struct kvmfd_info info = {};
	struct kvmfd_entry entry;
	u64 cursor = 0;
	int i;

	kvmfd_info(p, proc_pid_ns(file_inode(m->file)->i_sb), &info);
	seq_printf(m, "kvmfd-state:\t%s\n", states[info.state]);
	if (info.state == KVMFD_STATE_DETACHED)
		return;

	seq_printf(m, "kvmfd-attachment:\t%llu\n", info.attachment);
	seq_printf(m, "kvmfd-attacher:\tpid %d%s\n", info.attacher,
		   info.attach_flags & KVMFD_VM_FOREIGN ? " foreign" : "");
	seq_printf(m, "kvmfd-ioeventfds:\t%llu\n", info.nr_ioeventfds);
	seq_printf(m, "kvmfd-irqfds:\t%llu\n", info.nr_irqfds);
	seq_printf(m, "kvmfd-retired:\thits %llu inline %llu deferred %llu\n",
		   info.retired_hits, info.retired_inline_calls,
		   info.retired_deferred_calls);

	for (i = 0; i < FDINFO_MAX_ENTRIES && item_next(p, &cursor, &entry); i++)
		show_entry(m, &entry);
}
