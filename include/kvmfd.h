/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmfd: what its files share.
 *
 * Lock order, outermost first:
 *
 *   kvmfd.lock > kvm->slots_lock > kvmfd.state_lock > kvm->irqfds.lock
 *                                                   > kvmfd.irqfd_lock
 *   attachments_lock (vm.c) > kvmfd.state_lock
 *   eventfd's wait queue lock > kvmfd.irqfd_lock
 *
 * KVM holds kvm->srcu while it calls a doorbell, and kvm->irq_srcu is held
 * while an interrupt is set: whoever waits for one of the two grace periods may
 * hold kvmfd.lock and nothing that a callback could want.
 *
 * The release of the VM's file waits for kvmfd_vm_released(), on a workqueue
 * that all VMs of the host share.  Nothing that runs there may take kvmfd.lock,
 * under which an ioctl can wait for the guest.
 */
#ifndef KVMFD_H
#define KVMFD_H

#include <linux/kvm_host.h>
#include <linux/kvm_irqfd.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <kvm/iodev.h>

#include <linux/kvmfd.h>

/* Limits, told by KVMFD_GET_INFO. */
#define KVMFD_MAX_IOEVENTFDS SZ_1M
#define KVMFD_MAX_MASKS      4

struct kvmfd;
struct kvmfd_index;

/**
 * struct kvmfd_bus - kvmfd's hold on one of the VM's buses
 * @owner: the attachment that this is part of
 * @dev: the device of all ranges that are kvmfd's
 * @index: what is in them, NULL if nothing ever was.  Changed under kvmfd.lock,
 *	read by vCPU threads under kvm->srcu.
 * @nr_ranges: ranges on the bus, under kvmfd.state_lock.  The attachment does not
 *	go before them.
 * @lost: KVM has dropped the bus; what is in @index is no more.  Under
 *	kvmfd.state_lock.
 * @buried: there may be tombstones on the bus, see io_bus.c
 * @next: an array for the next edit, or NULL.  Where one has been retired, the
 *	next removal needs no memory.
 * @next_room: ranges that fit into @next
 *
 * All from @buried on under kvmfd.lock.
 */
struct kvmfd_bus {
	struct kvmfd *owner;
	struct kvm_io_device dev;
	struct kvmfd_index __rcu *index;
	u32 nr_ranges;
	bool lost;
	bool buried;
	struct kvm_io_bus *next;
	int next_room;
};

/**
 * struct kvmfd_retired - what is to be freed after a grace period
 * @mem: for kvfree()
 * @bus: where it comes from if it is an array of KVM's, else NULL
 */
struct kvmfd_retired {
	void *mem;
	struct kvmfd_bus *bus;
};

/**
 * struct kvmfd_item - what doorbells and irqfds have in common
 * @node: in &kvmfd.items, empty if it has been taken out
 * @id: its place there
 * @kind: KVMFD_ENTRY_*
 */
struct kvmfd_item {
	struct rb_node node;
	u64 id;
	u32 kind;
};

/**
 * struct kvmfd - one open /dev/kvmfd and, once attached, its hold on a VM
 * @lock: for attaching, and for one change of doorbells at a time; protects @bus
 *	and @counters
 * @state_lock: protects what is grouped below it.  KVM's destructors and the
 *	workers take it, so it is never held across anything that waits.
 * @id: id of the attachment, 0 before there is one
 * @kvm: the VM.  Not a reference: only usable within kvmfd_pin(), and by the
 *	callbacks that KVM itself keeps the VM alive for.
 * @vendor: kvm-amd or kvm-intel, held from attach to the end: since 6.12 it is
 *	pinned by KVM's open files alone, not by the VM
 * @closed: the VM's file has been released, or this file is being released
 * @nr_ranges: sum of &kvmfd_bus.nr_ranges
 * @nr_doorbells: doorbells in @items
 * @nr_irqfds: irqfds that are not yet torn down
 * @items: &kvmfd_item.node, by id
 * @last_id: the newest item's id
 * @retired: counters of the items that are no more
 * @link: place in the list of attachments, under its lock
 * @sentinel: an irqfd that never fires, on KVM's own list: KVM runs its
 *	shutdown work, and waits for it, when the VM's file is released
 * @ranges_gone: woken when @nr_ranges becomes 0
 * @bus: by enum kvm_bus
 * @retired_mem: arrays and indexes that vCPUs may still be in, see grace.c
 * @nr_retired: how many
 * @retired_bytes: their size
 * @counters: &kvmfd_counters.link, those with free counters first
 * @irqfd_lock: irq-safe, protects @irqfds, @dying and &kvmfd_irqfd.dying
 * @irqfds: &kvmfd_irqfd.link of those that are active
 * @dying: &kvmfd_irqfd.link of those that @reap has to tear down
 * @reap: tears down all of @dying
 */
struct kvmfd {
	struct mutex lock; /* attach, KVM_IOEVENTFD, bus */

	spinlock_t state_lock; /* id ... retired */
	u64 id;
	struct kvm *kvm;
	struct module *vendor;
	bool closed;
	u32 nr_ranges;
	u64 nr_doorbells;
	u64 nr_irqfds;
	struct rb_root items;
	u64 last_id;
	struct {
		u64 hits;
		u64 inline_calls;
		u64 deferred_calls;
	} retired;

	struct list_head link;
	struct kvm_kernel_irqfd sentinel;
	wait_queue_head_t ranges_gone;
	struct kvmfd_bus bus[KVM_NR_BUSES];
	struct kvmfd_retired retired_mem[24];
	unsigned int nr_retired;
	size_t retired_bytes;
	struct list_head counters;

	spinlock_t irqfd_lock; /* irqfds, dying */
	struct list_head irqfds;
	struct list_head dying;
	struct work_struct reap;
};

/**
 * struct kvmfd_key - what doorbells that differ in their data have in common
 * @addr: the only address that hits
 * @mask: the bits of the value that count: all for a datamatch, none for a wildcard
 * @len: the only width that hits in bytes, 0 for any
 * @nr: doorbells in the index that have it; under kvmfd.lock
 *
 * Part of its doorbell if @mask is 0, else freed after a grace period of kvm->srcu.
 */
struct kvmfd_key {
	u64 addr;
	u64 mask;
	u32 len;
	u32 nr;
};

/**
 * struct kvmfd_doorbell - one ioeventfd
 * @item: its place in the list
 * @key: where and how it is hit
 * @data: the only value that hits, of the bits that count
 * @eventfd: signalled by a hit; a reference, so that closing the eventfd does
 *	not take the doorbell away
 * @hits: guest writes that hit, counted where they happen
 * @counters: what @hits is one of
 * @flags: KVM_IOEVENTFD_FLAG_* of the assign
 * @own_key: a wildcard's key, which nobody else can have
 *
 * Constant while it is in the index.  Freed after a grace period of kvm->srcu.
 */
struct kvmfd_doorbell {
	struct kvmfd_item item;
	struct kvmfd_key *key;
	u64 data;
	struct eventfd_ctx *eventfd;
	u64 __percpu *hits;
	struct kvmfd_counters *counters;
	u32 flags;
	struct kvmfd_key own_key[];
};

/**
 * struct kvmfd_irqfd - one irqfd
 * @item: its place in the list
 * @owner: the attachment.  No reference: the attachment outlives its irqfds.
 * @link: in &kvmfd.irqfds or &kvmfd.dying
 * @dying: the tear-down is queued; set once, under &kvmfd.irqfd_lock
 * @gsi: the interrupt
 * @flags: KVM_IRQFD_FLAG_* of the assign
 * @eventfd: a reference
 * @wait: our hook in the eventfd's wait queue
 * @poll: carries @wait into the wait queue
 * @hook_error: what became of that
 * @inject: sets the interrupt where the wake-up may not
 * @inline_calls: under the wait queue's lock
 * @deferred_calls: also counted by an assign that finds an event pending
 */
struct kvmfd_irqfd {
	struct kvmfd_item item;
	struct kvmfd *owner;
	struct list_head link;
	bool dying;
	u32 gsi;
	u32 flags;
	struct eventfd_ctx *eventfd;
	wait_queue_entry_t wait;
	poll_table poll;
	int hook_error;
	struct work_struct inject;
	u64 inline_calls;
	atomic64_t deferred_calls;
};

/* vm.c */
struct kvmfd *kvmfd_create(void);
void kvmfd_destroy(struct kvmfd *p);
int kvmfd_attach(struct kvmfd *p, int vm_fd);
void kvmfd_detach(struct kvmfd *p);
int kvmfd_find(int vm_fd, u64 *id);
int kvmfd_pin(struct kvmfd *p);
void kvmfd_unpin(struct kvmfd *p);

/* io_bus.c */
int kvmfd_bus_prepare(struct kvmfd *p, enum kvm_bus idx, int nr);
int kvmfd_bus_may_add(struct kvmfd *p, enum kvm_bus idx, int nr);
void kvmfd_bus_add(struct kvmfd *p, enum kvm_bus idx, const struct kvm_io_range *ranges,
		   int nr);
void kvmfd_bus_remove(struct kvmfd *p, enum kvm_bus idx, u64 addr, u32 len);
void kvmfd_bus_remove_all(struct kvmfd *p, enum kvm_bus idx);
void kvmfd_bus_recycle(struct kvmfd_bus *b, struct kvm_io_bus *array);
void kvmfd_bus_free(struct kvmfd *p);
void kvmfd_bus_range_destroyed(struct kvmfd_bus *b);

/* grace.c */
void kvmfd_retire(struct kvmfd *p, void *mem, size_t size, struct kvmfd_bus *bus);
void kvmfd_free_retired(struct kvmfd *p);
void kvmfd_settle(struct kvmfd *p);
void kvmfd_settle_lazily(struct kvmfd *p);

/* index.c */
struct kvmfd_doorbell *kvmfd_index_hit(const struct kvmfd_index *ix, u64 addr, int len,
				       const void *val);
struct kvmfd_key *kvmfd_index_key(const struct kvmfd_index *ix, u64 addr, u32 len,
				  const u64 *mask);
struct kvmfd_doorbell *kvmfd_index_doorbell(const struct kvmfd_index *ix, u64 addr,
					    u32 len, u64 mask, u64 data);
bool kvmfd_index_collides(const struct kvmfd_index *ix, u64 addr, u32 len, u64 mask,
			  u64 data);
unsigned int kvmfd_index_masks(const struct kvmfd_index *ix, u64 addr, u32 len);
bool kvmfd_index_has_room(const struct kvmfd_index *ix, u32 extra);
void kvmfd_index_insert(struct kvmfd_index *ix, struct kvmfd_doorbell *db);
void kvmfd_index_remove(struct kvmfd_index *ix, struct kvmfd_doorbell *db);
struct kvmfd_index *kvmfd_index_copy(const struct kvmfd_index *old, u32 extra);
struct kvmfd_doorbell *kvmfd_index_next(const struct kvmfd_index *ix, u32 *cursor);
size_t kvmfd_index_size(const struct kvmfd_index *ix);
void kvmfd_index_free(struct kvmfd_index *ix);

/* counters.c */
int kvmfd_counter_get(struct kvmfd *p, struct kvmfd_doorbell *db);
void kvmfd_counter_put(struct kvmfd *p, struct kvmfd_doorbell *db);
void kvmfd_counters_free(struct kvmfd *p);
u64 kvmfd_counter_sum(const struct kvmfd_doorbell *db);

/* ioeventfd.c */
void kvmfd_ioeventfd_setup(struct kvmfd *p);
int kvmfd_ioeventfd(struct kvmfd *p, const struct kvmfd_ioeventfd *args);
void kvmfd_ioeventfd_remove_all(struct kvmfd *p);
void kvmfd_ioeventfd_free_all(struct kvmfd *p);
struct kvmfd_index *kvmfd_bus_index(struct kvmfd *p, enum kvm_bus idx);
bool kvmfd_ioeventfd_unlist(struct kvmfd_bus *b, u64 *cursor);
void kvmfd_doorbell_ring(struct kvmfd_doorbell *db);
void kvmfd_doorbell_describe(struct kvmfd_doorbell *db, struct kvmfd_entry *entry);

/* fast_mmio.c */
extern const struct kvm_io_device_ops kvmfd_fast_mmio_ops;

/* irqfd.c */
int kvmfd_irqfd_init(void);
void kvmfd_irqfd_exit(void);
void kvmfd_irqfd_setup(struct kvmfd *p);
int kvmfd_irqfd(struct kvmfd *p, const struct kvm_irqfd *args);
void kvmfd_irqfd_remove_all(struct kvmfd *p);
void kvmfd_irqfd_describe(struct kvmfd_irqfd *irqfd, struct kvmfd_entry *entry);

/* list.c */
struct seq_file;
void kvmfd_item_add(struct kvmfd *p, struct kvmfd_item *item, u32 kind);
void kvmfd_item_del(struct kvmfd *p, struct kvmfd_item *item);
struct kvmfd_item *kvmfd_item_after(struct kvmfd *p, u64 id);
void kvmfd_info(struct kvmfd *p, struct kvmfd_info *info);
int kvmfd_list(struct kvmfd *p, struct kvmfd_list *args);
void kvmfd_show_fdinfo(struct kvmfd *p, struct seq_file *m);

/* x86.c: all that is not generic KVM */
bool kvmfd_arch_irqfd_allowed(struct kvm *kvm);
bool kvmfd_arch_set_irq_sleeps(const struct kvm_kernel_irq_routing_entry *e);
bool kvmfd_arch_set_irq_inline(struct kvm *kvm, struct kvm_kernel_irq_routing_entry *e);

#endif /* KVMFD_H */
