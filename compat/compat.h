/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that kvmfd builds for.  Forced into every
 * file by Kbuild, which finds out with compat/Kbuild.probe what the target has:
 * distributions backport, so a version says little.
 */
#ifndef KVMFD_COMPAT_H
#define KVMFD_COMPAT_H

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#ifdef KVMFD_HAVE_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* An event is one signal; once it could be more. */
static inline void kvmfd_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef KVMFD_EVENTFD_SIGNAL_COUNTS
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/*
 * Puts @wait at the head of the queue, to take every event alone: -EBUSY if
 * somebody does that already.  No two irqfds, kvmfd's or KVM's, share an eventfd
 * then.  (A kernel that does not have this does not look on KVM's behalf, either:
 * KVM's irqfd then queues up behind ours, and gets nothing.)
 */
static inline int kvmfd_add_wait_queue_priority_exclusive(wait_queue_head_t *wqh,
							  wait_queue_entry_t *wait)
{
#ifdef KVMFD_HAVE_ADD_WAIT_QUEUE_PRIORITY_EXCLUSIVE
	return add_wait_queue_priority_exclusive(wqh, wait);
#else
	wait_queue_entry_t *first;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&wqh->lock, flags);
	first = list_first_entry_or_null(&wqh->head, wait_queue_entry_t, entry);
	if (first && first->flags & WQ_FLAG_PRIORITY) {
		ret = -EBUSY;
	} else {
		wait->flags |= WQ_FLAG_EXCLUSIVE | WQ_FLAG_PRIORITY;
		__add_wait_queue(wqh, wait);
	}
	spin_unlock_irqrestore(&wqh->lock, flags);

	return ret;
#endif
}

/* Which kind of logical destination the map can look up. */
static inline int kvmfd_apic_logical_mode(const struct kvm_apic_map *map)
{
#ifdef KVMFD_APIC_MAP_HAS_LOGICAL_MODE
	return map->logical_mode;
#else
	return map->mode;
#endif
}

#ifdef KVMFD_HAVE_FILE_IS_KVM
static inline bool kvmfd_file_is_vm(struct file *file)
{
	return file_is_kvm(file);
}
#else
bool kvmfd_file_is_vm(struct file *file);
#endif

/* Whose address space it is, with a reference; NULL if that process has ended. */
static inline struct pid *kvmfd_get_mm_owner(const struct mm_struct *mm)
{
	struct pid *pid = NULL;

#ifdef CONFIG_MEMCG
	struct task_struct *task;

	rcu_read_lock();
	task = rcu_dereference(mm->owner);
	if (task)
		pid = get_task_pid(task, PIDTYPE_TGID);
	rcu_read_unlock();
#else
	if (mm == current->mm)
		pid = get_pid(task_tgid(current));
#endif

	return pid;
}

/* Does an address space still have a process, and so a memory cgroup? */
static inline bool kvmfd_mm_in_use(const struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return rcu_access_pointer(mm->owner);
#else
	return atomic_read(&mm->mm_users);
#endif
}

#endif /* KVMFD_COMPAT_H */
