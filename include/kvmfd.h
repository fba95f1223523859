/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmfd: what its files share.
 *
 * Lock order, outermost first:
 *
 *   kvmfd.lock > kvmfd.irqfd_calls > kvmfd.resample_lock
 *   kvmfd.lock > kvm->slots_lock > kvmfd.state_lock > kvm->irqfds.lock
 *                                                   > kvmfd.irqfd_lock
 *   attachments_lock (vm.c) > kvmfd.state_lock
 *   kvmfd.state_lock > eventfd's wait queue lock > kvmfd.irqfd_lock
 *   kvmfd.resample_lock > kvm->irq_lock
 *   faults_lock (faults.c) > kvmfd.state_lock
 *   eventfd's wait queue lock > kvmfd_fault.lock
 *
 * KVM holds kvm->srcu while it calls a doorbell, and kvm->irq_srcu is held
 * while an interrupt is set or its end is told: whoever waits for one of the two
 * grace periods may hold kvmfd.lock and kvmfd.resample_lock, and nothing that a
 * callback could want.
 *
 * The release of the VM's file waits for kvmfd_vm_released(), on a workqueue
 * that all VMs of the host share.  Nothing that runs there may take kvmfd.lock,
 * under which an ioctl can wait for the guest.  It does take kvmfd.resample_lock:
 * its holders wait for irq_srcu and irq_lock, under which nobody waits for a
 * guest, and not for memory.
 */
#ifndef KVMFD_H
#define KVMFD_H

#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/kvm_irqfd.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <kvm/iodev.h>

#include <linux/kvmfd.h>

/* Limits, told by KVMFD_GET_INFO. */
#define KVMFD_MAX_IOEVENTFDS SZ_1M
#define KVMFD_MAX_MASKS      4
#define KVMFD_MAX_BATCH      SZ_64K

/* So many entries that are no more are remembered, of an attachment that wants it. */
#define KVMFD_MAX_REMOVED 4096

/* So many doorbells or irqfds at a time while a spinlock is held. */
#define KVMFD_AT_A_TIME 64

/* An attachment's irqfds are in so many lists, by eventfd. */
#define KVMFD_IRQFD_HASH_BITS 8

/*
 * What the lines of resampled irqfds are to the pins, a bit of their state.  KVM
 * gives out the lowest that is free, to its timer at most, and never gets here.
 */
#define KVMFD_RESAMPLE_SOURCE_ID (BITS_PER_LONG - 1)

struct kvmfd;
struct kvmfd_removed;
struct kvmfd_index;
struct kvmfd_resampler;
struct kvmfd_latencies;

/**
 * struct kvmfd_spare - an array of KVM's that is not in use
 * @array: the array, for kfree(), or NULL
 * @room: ranges that fit into it, 0 if there is none
 */
struct kvmfd_spare {
	struct kvm_io_bus *array;
	int room;
};

/**
 * struct kvmfd_bus - kvmfd's hold on one of the VM's buses
 * @owner: the attachment that this is part of
 * @dev: the device of all ranges that are kvmfd's
 * @index: what is in them; kvmfd_no_index if nothing ever was.  Changed under
 *	kvmfd.lock, read by vCPU threads under kvm->srcu.
 * @indexed_by: the bus that has the index: fast MMIO shares MMIO's
 * @nr_ranges: ranges on the bus, under kvmfd.state_lock.  The attachment does not
 *	go before them.
 * @lost: KVM has dropped the bus; what is in @index is no more.  Under
 *	kvmfd.state_lock.
 * @buried: there may be tombstones on the bus, see io_bus.c
 * @spare: arrays for the next edits, the first one's first.  Adding a range and
 *	removing it again use up two, and retire two.
 *
 * All from @buried on under kvmfd.lock.
 */
struct kvmfd_bus {
	struct kvmfd *owner;
	struct kvm_io_device dev;
	struct kvmfd_index __rcu *index;
	struct kvmfd_bus *indexed_by;
	u32 nr_ranges;
	bool lost;
	bool buried;
	struct kvmfd_spare spare[2];
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
 * @refs: the open file, and who is evicting it or making a fault in it
 * @lock: for attaching, evicting, and for one change of doorbells at a time; protects
 *	@bus, @blocks and @nr_free_blocks
 * @state_lock: protects what is grouped below it.  KVM's destructors and the
 *	workers take it, so it is never held across anything that waits.
 * @id: id of the attachment, 0 before there is one
 * @kvm: the VM.  Not a reference: only usable within kvmfd_pin(), and by the
 *	callbacks that KVM itself keeps the VM alive for.
 * @vm_pid: the VM's process, as the kernel counts them; constant once attached
 * @vendor: kvm-amd or kvm-intel, held from attach to the end: since 6.12 it is
 *	pinned by KVM's open files alone, not by the VM
 * @mm: of the process that attached; no reference on what is in it
 * @attacher: that process, while it has this id
 * @owner: the VM's process, or NULL
 * @foreign: and the VM is another process's
 * @ended: 0 while the VM is there to be used, then why it is not: -ENODEV if its file
 *	or this one has been released, -ECONNRESET if its owner has evicted us
 * @nr_pins: requests that hold a reference on @kvm, see kvmfd_pin()
 * @nr_ranges: sum of &kvmfd_bus.nr_ranges
 * @nr_doorbells: doorbells in @items
 * @nr_irqfds: irqfds that are not yet torn down
 * @items: &kvmfd_item.node, by id
 * @last_id: the newest item's id
 * @retired: counters of the items that are no more
 * @removed: the newest of those items, or NULL; constant once attached
 * @link: place in the list of attachments, under its lock
 * @sentinel: an irqfd that never fires, on KVM's own list: KVM runs its
 *	shutdown work, and waits for it, when the VM's file is released
 * @over: woken when @nr_ranges becomes 0, and when nothing is left after the end
 * @bus: by enum kvm_bus
 * @retired_mem: arrays and indexes that vCPUs may still be in, see grace.c
 * @nr_retired: how many
 * @retired_bytes: their size
 * @blocks: &kvmfd_block.link, those with room first
 * @nr_free_blocks: how many of them have no doorbell
 * @irqfd_calls: held for reading by KVM_IRQFD; a detach or an eviction comes between two
 *	of them, the end of the VM at any time
 * @irqfd_lock: irq-safe, protects @irqfds, @dying and what &struct kvmfd_irqfd says
 * @irqfds: &kvmfd_irqfd.node of those that are active, by eventfd
 * @dying: &kvmfd_irqfd.link of those that @reap has to tear down
 * @reap: tears down all of @dying
 * @resample_lock: protects @resamplers and what they hold
 * @resamplers: one for each GSI with irqfds that are resampled, see resample.c
 */
struct kvmfd {
	refcount_t refs;

	struct mutex lock; /* attach, KVM_IOEVENTFD, bus */

	spinlock_t state_lock; /* id ... retired */
	u64 id;
	struct kvm *kvm;
	pid_t vm_pid;
	struct module *vendor;
	struct mm_struct *mm;
	struct pid *attacher;
	struct pid *owner;
	bool foreign;
	int ended;
	u32 nr_pins;
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
	struct kvmfd_removed *removed;

	struct list_head link;
	struct kvm_kernel_irqfd sentinel;
	wait_queue_head_t over;
	struct kvmfd_bus bus[KVM_NR_BUSES];
	struct kvmfd_retired retired_mem[24];
	unsigned int nr_retired;
	size_t retired_bytes;
	struct list_head blocks;
	u32 nr_free_blocks;

	struct rw_semaphore irqfd_calls;
	spinlock_t irqfd_lock; /* irqfds, dying */
	DECLARE_HASHTABLE(irqfds, KVMFD_IRQFD_HASH_BITS);
	struct list_head dying;
	struct work_struct reap;

	struct mutex resample_lock; /* resamplers */
	struct list_head resamplers;
};

/**
 * struct kvmfd_key - what doorbells that differ in their data have in common
 * @addr: the only address that hits
 * @mask: the bits of the value that count: all for a datamatch, none for a wildcard
 * @len: the only width that hits in bytes, 0 for any
 * @nr: doorbells that have it in the index that is being edited, or else in the
 *	one that is published; under kvmfd.lock
 */
struct kvmfd_key {
	u64 addr;
	u64 mask;
	u32 len;
	u32 nr;
};

/*
 * From a doorbell's counter to its next CPU's.  In between are those of the other
 * doorbells of its block; no cache line has those of two CPUs.
 */
#define KVMFD_HITS_STRIDE 40

/* Where this CPU's counters are, from CPU 0's. */
DECLARE_PER_CPU(unsigned long, kvmfd_hits_at);

/**
 * struct kvmfd_doorbell - one ioeventfd
 * @own_key: for itself and those that come later.  A wildcard shares it with nobody.
 *	The first, so that what marks an index's slots is a key and a doorbell in one.
 * @item: its place in the list
 * @key: where and how it is hit: its own, or that of another with the same
 * @data: the only value that hits, of the bits that count
 * @eventfd: signalled by a hit; a reference, so that closing the eventfd does
 *	not take the doorbell away
 * @hits: guest writes that hit: a counter for each CPU, see pool.c
 * @block: where its memory is from
 * @flags: KVM_IOEVENTFD_FLAG_* of the assign
 * @refs: itself, and each other doorbell that uses @own_key; under kvmfd.lock
 *
 * Constant while it is in the index.  Freed after a grace period of kvm->srcu, and
 * not before the last one that uses its key.
 */
struct kvmfd_doorbell {
	struct kvmfd_key own_key;
	struct kvmfd_item item;
	struct kvmfd_key *key;
	u64 data;
	struct eventfd_ctx *eventfd;
	atomic64_t *hits;
	struct kvmfd_block *block;
	u32 flags;
	u32 refs;
};

/**
 * struct kvmfd_irqfd - one irqfd
 * @item: its place in the list
 * @owner: the attachment.  No reference: the attachment outlives its irqfds.
 * @node: in &kvmfd.irqfds
 * @link: in &kvmfd.dying, or among those that are not to be
 * @dying: the tear-down is queued; set once, under &kvmfd.irqfd_lock
 * @leaving: a batch is about to tear it down; under &kvmfd.irqfd_lock
 * @succeeded: and has another irqfd for the same eventfd; under &kvmfd.irqfd_lock
 * @in_batch: may follow one that is @leaving; constant
 * @gsi: the interrupt
 * @flags: KVM_IRQFD_FLAG_* of the assign
 * @eventfd: a reference
 * @file: the eventfd's, held until the irqfd is active
 * @wait: our hook in the eventfd's wait queue
 * @wqh: that wait queue
 * @armed: events are ours; written under the wait queue's lock
 * @poll: carries @wait into the wait queue
 * @hook_error: what became of that
 * @inject: sets the interrupt where the wake-up may not
 * @resampler: the line of its GSI, with KVM_IRQFD_FLAG_RESAMPLE, else NULL
 * @resample_link: its place there
 * @resamplefd: a reference; signalled when the guest has acknowledged
 * @inline_calls: under the wait queue's lock
 * @deferred_calls: also counted by an assign that finds an event pending
 * @measured: what came of a measurement of its latency, or NULL; changed under
 *	&kvmfd.state_lock
 * @woken: when the first wake-up came that no worker has taken yet, in ns; 0 if none is
 *	measured
 */
struct kvmfd_irqfd {
	struct kvmfd_item item;
	struct kvmfd *owner;
	struct hlist_node node;
	struct list_head link;
	bool dying;
	bool leaving;
	bool succeeded;
	bool in_batch;
	u32 gsi;
	u32 flags;
	struct eventfd_ctx *eventfd;
	struct file *file;
	wait_queue_entry_t wait;
	wait_queue_head_t *wqh;
	bool armed;
	poll_table poll;
	int hook_error;
	struct work_struct inject;
	struct kvmfd_resampler *resampler;
	struct list_head resample_link;
	struct eventfd_ctx *resamplefd;
	u64 inline_calls;
	atomic64_t deferred_calls;
	struct kvmfd_latencies __rcu *measured;
	u64 woken;
};

/**
 * struct kvmfd_neighbours - what is there where a doorbell is to come
 * @key: the one that it can share, or NULL
 * @masks: different masks at its address and length
 * @collides: some write would hit it and another; or KVM says so: a doorbell for any
 *	length bears no other at its address
 */
struct kvmfd_neighbours {
	struct kvmfd_key *key;
	unsigned int masks;
	bool collides;
};

/* vm.c */
struct kvmfd *kvmfd_create(void);
struct kvmfd *kvmfd_get(u64 id);
void kvmfd_put(struct kvmfd *p);
int kvmfd_attach(struct kvmfd *p, const struct kvmfd_attach *args);
void kvmfd_detach(struct kvmfd *p);
int kvmfd_evict(int vm_fd);
u32 kvmfd_attach_flags(const struct kvmfd *p);
int kvmfd_find(struct kvmfd_find *args);
bool kvmfd_is_over(struct kvmfd *p);
void kvmfd_tell_over(struct kvmfd *p);

/* access.c */
bool kvmfd_is_owner(const struct file *vm, pid_t thread);
int kvmfd_may_use(const struct file *vm, u32 flags);
void kvmfd_attacher_set(struct kvmfd *p);
void kvmfd_attacher_put(struct kvmfd *p);
pid_t kvmfd_process_id(struct pid *process, struct pid_namespace *ns);
bool kvmfd_charge_owner(const struct kvm *kvm);
void kvmfd_charge_caller(void);
int kvmfd_pin(struct kvmfd *p);
void kvmfd_unpin(struct kvmfd *p);

/* io_bus.c; more in edit.h */
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
extern struct kvmfd_index kvmfd_no_index;
bool kvmfd_index_has(const struct kvmfd_index *ix, u64 addr, u32 len);
struct kvmfd_doorbell *kvmfd_index_doorbell(const struct kvmfd_index *ix, u64 addr,
					    u32 len, u64 mask, u64 data);
void kvmfd_index_look(const struct kvmfd_index *ix, u64 addr, u32 len, u64 mask, u64 data,
		      struct kvmfd_neighbours *found);
bool kvmfd_index_has_room(const struct kvmfd_index *ix, u32 extra);
void kvmfd_index_insert(struct kvmfd_index *ix, struct kvmfd_doorbell *db);
void kvmfd_index_remove(struct kvmfd_index *ix, struct kvmfd_doorbell *db);
struct kvmfd_index *kvmfd_index_copy(const struct kvmfd_index *old, u32 extra);
struct kvmfd_doorbell *kvmfd_index_next(const struct kvmfd_index *ix, u32 *cursor);
size_t kvmfd_index_size(const struct kvmfd_index *ix);
void kvmfd_index_free(struct kvmfd_index *ix);

/* hit.c */
int kvmfd_doorbell_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr,
			 int len, const void *val);

/* pool.c */
void kvmfd_pool_init(void);
struct kvmfd_doorbell *kvmfd_pool_get(struct kvmfd *p);
void kvmfd_pool_put(struct kvmfd *p, struct kvmfd_doorbell *db);
void kvmfd_pool_free(struct kvmfd *p);
u64 kvmfd_doorbell_hits(const struct kvmfd_doorbell *db);

/* doorbell.c */
void kvmfd_doorbell_setup(struct kvmfd *p);
struct kvmfd_index *kvmfd_bus_index(struct kvmfd *p, enum kvm_bus idx);
enum kvm_bus kvmfd_bus_of_flags(u32 flags);
void kvmfd_doorbell_describe(struct kvmfd_doorbell *db, struct kvmfd_entry *entry);
struct kvmfd_doorbell *kvmfd_doorbell_create(struct kvmfd *p,
					     const struct kvmfd_change *change,
					     struct kvmfd_key *key);
void kvmfd_doorbell_list(struct kvmfd *p, struct kvmfd_doorbell *db);
void kvmfd_doorbell_unlist(struct kvmfd *p, struct kvmfd_doorbell *db);
void kvmfd_doorbell_free(struct kvmfd *p, struct kvmfd_doorbell *db);
bool kvmfd_doorbell_unlist_some(struct kvmfd_bus *b, u64 *cursor);
void kvmfd_doorbell_drop_lost(struct kvmfd *p, enum kvm_bus idx);
void kvmfd_doorbell_remove_all(struct kvmfd *p);
void kvmfd_doorbell_free_all(struct kvmfd *p);

/* ioeventfd.c; more in edit.h */
int kvmfd_ioeventfd_deassign(struct kvmfd *p, const struct kvmfd_change *change);

/* batch.c */
int kvmfd_change(struct kvmfd *p, const struct kvmfd_change *change);
int kvmfd_batch(struct kvmfd *p, struct kvmfd_batch *args);

/* inject.c */
int kvmfd_inject_init(void);
void kvmfd_inject_exit(void);
int kvmfd_irq_routes(struct kvm *kvm, u32 gsi,
		     struct kvm_kernel_irq_routing_entry *routes[KVM_NR_IRQCHIPS]);
void kvmfd_irq_describe_route(struct kvm *kvm, struct kvmfd_entry *entry);
void kvmfd_inject_again(struct kvmfd_irqfd *irqfd);
void kvmfd_inject_pending(struct kvmfd_irqfd *irqfd);
int kvmfd_irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key);
void kvmfd_inject_work(struct work_struct *work);

/* latency.c */
void kvmfd_latency_note(struct kvmfd_irqfd *irqfd);
u64 kvmfd_latency_take(struct kvmfd_irqfd *irqfd);
void kvmfd_latency_end(struct kvmfd_irqfd *irqfd, u64 woken);
void kvmfd_latency_free(struct kvmfd_irqfd *irqfd);
int kvmfd_latency_start(struct kvmfd *p, u64 id);
void kvmfd_latency_stop(struct kvmfd *p, u64 id);
int kvmfd_latency_tell(struct kvmfd *p, struct kvmfd_latency *args);

/* faults.c */
void kvmfd_faults_init(void);
void kvmfd_faults_exit(void);
void kvmfd_faults_forget(const struct kvmfd *p);
bool kvmfd_fault_strikes(const struct kvmfd *p, const struct kvmfd_item *item);

/* irqfd.c */
int kvmfd_irqfd_init(void);
void kvmfd_irqfd_exit(void);
void kvmfd_irqfd_setup(struct kvmfd *p);
int kvmfd_irqfd(struct kvmfd *p, const struct kvm_irqfd *args);
void kvmfd_irqfd_remove_all(struct kvmfd *p);
void kvmfd_irqfd_describe(struct kvmfd_irqfd *irqfd, struct kvmfd_entry *entry);
struct kvmfd_irqfd *kvmfd_irqfd_find(struct kvmfd *p, const struct eventfd_ctx *eventfd);
struct kvmfd_irqfd *kvmfd_irqfd_prepare(struct kvmfd *p, const struct kvm_irqfd *args,
					bool in_batch);
int kvmfd_irqfd_activate(struct kvmfd_irqfd *irqfd);
void kvmfd_irqfd_deactivate(struct kvmfd_irqfd *irqfd);
void kvmfd_irqfd_closed(struct kvmfd_irqfd *irqfd);
void kvmfd_irqfd_forget(struct kvmfd *p, struct list_head *irqfds);
bool kvmfd_irqfd_flags_valid(u32 flags);

/* resample.c */
int kvmfd_resample_join(struct kvmfd_irqfd *irqfd, int fd);
void kvmfd_resample_leave(struct kvmfd *p, struct list_head *irqfds);

/* list.c */
struct seq_file;
void kvmfd_item_add(struct kvmfd *p, struct kvmfd_item *item, u32 kind);
void kvmfd_item_retire(struct kvmfd *p, struct kvmfd_item *item);
struct kvmfd_removed *kvmfd_removed_create(void);
void kvmfd_removed_free(struct kvmfd_removed *removed);
struct kvmfd_item *kvmfd_item_after(struct kvmfd *p, u64 id);
struct kvmfd_item *kvmfd_item_find(struct kvmfd *p, u64 id);
void kvmfd_info(struct kvmfd *p, struct pid_namespace *ns, struct kvmfd_info *info);
int kvmfd_list(struct kvmfd *p, struct kvmfd_list *args);
void kvmfd_show_fdinfo(struct kvmfd *p, struct seq_file *m);

/* x86.c: what is not generic KVM */
bool kvmfd_arch_irqfd_allowed(struct kvm *kvm, u32 flags);
void kvmfd_arch_ack_notifiers_changed(struct kvm *kvm);
bool kvmfd_arch_set_irq_sleeps(const struct kvm_kernel_irq_routing_entry *e);
u32 kvmfd_arch_pin(const struct kvm_kernel_irq_routing_entry *e);

#endif /* KVMFD_H */
