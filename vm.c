// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hold on a VM: attach, detach, and what lies between them.
 *
 * kvmfd keeps a VM alive for the length of an ioctl only.  Two callbacks tell of
 * its end, as KVM tells its own irqfds and ioeventfds:
 *
 *  - An irqfd of ours that no eventfd drives, the sentinel, is on KVM's list.
 *    When the VM's file is released KVM queues its shutdown work, and waits for
 *    it before it goes on.  Until the work has run, the VM cannot go away.
 *  - When struct kvm itself goes, KVM calls the destructor of the device of each
 *    range on its buses.  As long as one of ours is left, it is still there.
 *
 * So kvmfd.kvm may be used while it has not ended, or while there are ranges, with
 * state_lock held, just long enough to take a reference.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "kvmfd.h"

/* Of all attachments that serve an open VM: one for each VM. */
static LIST_HEAD(attachments);
static u64 last_attachment;
static DEFINE_SPINLOCK(attachments_lock);

/**
 * kvmfd_create() - for a newly opened /dev/kvmfd
 *
 * Return: what kvmfd_put() will free, or NULL.
 */
struct kvmfd *kvmfd_create(void)
{
	struct kvmfd *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);

	if (!p)
		return NULL;

	refcount_set(&p->refs, 1);
	mutex_init(&p->lock);
	spin_lock_init(&p->state_lock);
	init_waitqueue_head(&p->over);
	INIT_LIST_HEAD(&p->link);
	p->items = RB_ROOT;
	kvmfd_doorbell_setup(p);
	kvmfd_irqfd_setup(p);
	return p;
}

/**
 * kvmfd_put() - the open file is no more, an eviction is over, or a fault
 * @p: detached or never attached, if it is the file
 */
void kvmfd_put(struct kvmfd *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;

	kvmfd_doorbell_free_all(p);
	kvmfd_attacher_put(p);
	kvmfd_removed_free(p->removed);
	mutex_destroy(&p->resample_lock);
	mutex_destroy(&p->lock);
	kfree(p);
}

static struct kvmfd *attachment_of(struct kvm *kvm)
{
	struct kvmfd *p;

	lockdep_assert_held(&attachments_lock);

	list_for_each_entry(p, &attachments, link)
		if (p->kvm == kvm)
			return p;

	return NULL;
}

/**
 * kvmfd_get() - the attachment with an id
 * @id: the id
 *
 * Return: the attachment, which serves an open VM, for kvmfd_put(); or NULL.
 */
struct kvmfd *kvmfd_get(u64 id)
{
	struct kvmfd *p;

	spin_lock(&attachments_lock);
	list_for_each_entry(p, &attachments, link) {
		if (p->id == id) {
			refcount_inc(&p->refs);
			spin_unlock(&attachments_lock);
			return p;
		}
	}
	spin_unlock(&attachments_lock);

	return NULL;
}

static void attachment_forget(struct kvmfd *p)
{
	spin_lock(&attachments_lock);
	list_del_init(&p->link);
	spin_unlock(&attachments_lock);
}

static bool is_over(const struct kvmfd *p)
{
	lockdep_assert_held(&p->state_lock);

	/* A request that began before can make a doorbell yet. */
	return p->ended && !p->nr_pins && !p->nr_ranges && !p->nr_doorbells && !p->nr_irqfds;
}

/**
 * kvmfd_is_over() - has the attachment ended, and nothing of it is left?
 * @p: an open /dev/kvmfd
 *
 * Return: true if so.
 */
bool kvmfd_is_over(struct kvmfd *p)
{
	bool over;

	spin_lock(&p->state_lock);
	over = is_over(p);
	spin_unlock(&p->state_lock);

	return over;
}

/**
 * kvmfd_tell_over() - those who poll for the end are told, if it is the end
 * @p: an attachment of which something has just gone
 */
void kvmfd_tell_over(struct kvmfd *p)
{
	lockdep_assert_held(&p->state_lock);

	if (is_over(p))
		wake_up_poll(&p->over, EPOLLHUP);
}

/* The attachment has ended.  Those who poll for it wait for its doorbells yet, if any. */
static void end_irqfds(struct kvmfd *p)
{
	kvmfd_irqfd_remove_all(p);

	spin_lock(&p->state_lock);
	kvmfd_tell_over(p);
	spin_unlock(&p->state_lock);
}

/*
 * The sentinel's shutdown work: the VM's file is being released, and KVM waits
 * for us.  So does every other VM of the host that is closed meanwhile.
 */
static void kvmfd_vm_released(struct work_struct *work)
{
	struct kvmfd *p = container_of(work, struct kvmfd, sentinel.shutdown);

	spin_lock(&p->state_lock);
	WRITE_ONCE(p->ended, -ENODEV);
	spin_unlock(&p->state_lock);

	attachment_forget(p);
	end_irqfds(p);
}

/*
 * KVM compares the sentinel's eventfd, NULL, with others', and looks up the
 * route of its GSI, which is past every table.
 */
static void sentinel_init(struct kvmfd *p, struct kvm *kvm)
{
	struct kvm_kernel_irqfd *sentinel = &p->sentinel;

	sentinel->kvm = kvm;
	sentinel->gsi = -1;
	seqcount_spinlock_init(&sentinel->irq_entry_sc, &kvm->irqfds.lock);
	INIT_LIST_HEAD(&sentinel->list);
	INIT_LIST_HEAD(&sentinel->resampler_link);
	INIT_WORK(&sentinel->shutdown, kvmfd_vm_released);
}

/*
 * Takes the sentinel back, and a reference on the VM for it, unless KVM has
 * already begun to release the VM's file.
 */
static bool sentinel_unlink(struct kvmfd *p)
{
	struct kvm *kvm = p->kvm;
	bool linked;

	lockdep_assert_held(&p->state_lock);

	/* If its work has run the VM may be gone, and its lock with it. */
	if (p->ended)
		return false;

	spin_lock_irq(&kvm->irqfds.lock);
	linked = !list_empty(&p->sentinel.list);
	if (linked) {
		kvm_get_kvm(kvm);
		list_del_init(&p->sentinel.list);
	}
	spin_unlock_irq(&kvm->irqfds.lock);

	return linked;
}

static int attach_kvm(struct kvmfd *p, struct kvm *kvm, struct kvmfd_removed *removed)
{
	lockdep_assert_held(&p->lock);

	spin_lock(&attachments_lock);
	if (attachment_of(kvm)) {
		spin_unlock(&attachments_lock);
		return -EBUSY;
	}

	sentinel_init(p, kvm);
	spin_lock(&p->state_lock);
	p->kvm = kvm;
	p->removed = removed;
	kvmfd_attacher_set(p);
	p->id = ++last_attachment;
	list_add(&p->link, &attachments);
	spin_lock_irq(&kvm->irqfds.lock);
	list_add_tail(&p->sentinel.list, &kvm->irqfds.items);
	spin_unlock_irq(&kvm->irqfds.lock);
	spin_unlock(&p->state_lock);
	spin_unlock(&attachments_lock);
	return 0;
}

static struct file *get_vm_file(int vm_fd)
{
	struct file *file = fget(vm_fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (!kvmfd_file_is_vm(file)) {
		fput(file);
		return ERR_PTR(-EINVAL);
	}

	return file;
}

static int attach_file(struct kvmfd *p, struct file *file, const struct kvmfd_attach *args)
{
	struct kvm *kvm = file->private_data;
	struct kvmfd_removed *removed = NULL;
	int ret;

	if (!kvmfd_is_owner(file, args->owner))
		return -EIO;
	ret = kvmfd_may_use(file, args->flags);
	if (ret)
		return ret;
	if (kvm->vm_dead)
		return -EIO;

	if (args->flags & KVMFD_ATTACH_REMEMBER) {
		removed = kvmfd_removed_create();
		if (!removed)
			return -ENOMEM;
	}
	ret = attach_kvm(p, kvm, removed);
	if (ret) {
		kvmfd_removed_free(removed);
		return ret;
	}

	/* The VM's file holds its vendor module, and will be put. */
	p->vendor = file->f_op->owner;
	__module_get(p->vendor);
	return 0;
}

/**
 * kvmfd_attach() - KVMFD_ATTACH_VM
 * @p: an open /dev/kvmfd, &kvmfd.lock held
 * @args: as the caller gave them
 *
 * Return: 0, -EBUSY, -ENOMEM, -EBADF, -EINVAL (not a VM), -EIO (another process's VM, or
 * a dead one), -EPERM (another process's, and the policy says no).
 */
int kvmfd_attach(struct kvmfd *p, const struct kvmfd_attach *args)
{
	struct file *file;
	int ret;

	lockdep_assert_held(&p->lock);

	if (p->id)
		return -EBUSY;

	file = get_vm_file(args->vm_fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = attach_file(p, file, args);
	fput(file);
	return ret;
}

/**
 * kvmfd_attach_flags() - how has it been attached?
 * @p: an attachment
 *
 * Return: KVMFD_VM_FOREIGN, KVMFD_ATTACH_REMEMBER.
 */
u32 kvmfd_attach_flags(const struct kvmfd *p)
{
	return (p->foreign ? KVMFD_VM_FOREIGN : 0) |
	       (p->removed ? KVMFD_ATTACH_REMEMBER : 0);
}

/**
 * kvmfd_find() - KVMFD_FIND_VM
 * @args: as the caller gave them; the rest is filled in
 *
 * Who has attached to another process's VM may ask about it whatever the policy is.
 *
 * Return: 0, -EBADF, -EINVAL (not a VM), -EIO and -EPERM as kvmfd_attach(), -ENOENT.
 */
int kvmfd_find(struct kvmfd_find *args)
{
	struct file *file = get_vm_file(args->vm_fd);
	struct kvmfd *p;
	int ret = -ENOENT;

	if (IS_ERR(file))
		return PTR_ERR(file);

	spin_lock(&attachments_lock);
	p = attachment_of(file->private_data);
	if (p && p->mm == current->mm)
		ret = 0;
	if (p) {
		args->attachment = p->id;
		args->attacher = kvmfd_process_id(p->attacher, task_active_pid_ns(current));
		args->attach_flags = kvmfd_attach_flags(p);
	}
	spin_unlock(&attachments_lock);

	if (ret)
		ret = kvmfd_may_use(file, args->flags) ?: (p ? 0 : -ENOENT);
	if (!kvmfd_is_owner(file, args->owner))
		ret = -EIO;

	fput(file);
	return ret;
}

/* What that needs for KVM's arrays stays with the VM: its owner pays, if he lives. */
static void remove_doorbells(struct kvmfd *p)
{
	kvmfd_charge_owner(p->kvm);
	kvmfd_doorbell_remove_all(p);
	kvmfd_charge_caller();
}

/*
 * Everything of the attachment leaves the VM, unless the VM's file is being released,
 * or it has been done before.  Returns whether it was done, with a reference on the VM.
 */
static bool leave_vm(struct kvmfd *p, int why)
{
	bool pinned;

	lockdep_assert_held(&p->lock);

	spin_lock(&p->state_lock);
	pinned = sentinel_unlink(p);
	if (pinned)
		WRITE_ONCE(p->ended, why);
	spin_unlock(&p->state_lock);

	if (pinned) {
		/* The last of those that began before. */
		down_write(&p->irqfd_calls);
		up_write(&p->irqfd_calls);
		end_irqfds(p);
		remove_doorbells(p);
		attachment_forget(p);
	}

	return pinned;
}

/* A request of who is to be evicted can take long: who waits can be killed. */
static int evict(struct kvmfd *p)
{
	bool pinned;
	int ret;

	ret = mutex_lock_killable(&p->lock);
	if (ret)
		return ret;
	pinned = leave_vm(p, -ECONNRESET);
	/* The evicted can keep the fd open, but not the owner's memory. */
	if (pinned)
		kvmfd_doorbell_free_all(p);
	mutex_unlock(&p->lock);
	if (pinned)
		kvm_put_kvm(p->kvm);

	return 0;
}

/**
 * kvmfd_evict() - KVMFD_EVICT
 * @vm_fd: the caller's fd of a VM
 *
 * If the attachment is being released this waits until that is done.
 *
 * Return: 0, -EBADF, -EINVAL (not a VM), -EIO (another process's VM), -ENOENT, -EINTR (the
 * caller is being killed).
 */
int kvmfd_evict(int vm_fd)
{
	struct file *file = get_vm_file(vm_fd);
	struct kvmfd *p;
	int ret;

	if (IS_ERR(file))
		return PTR_ERR(file);

	ret = kvmfd_may_use(file, 0);
	if (ret)
		goto put_file;

	spin_lock(&attachments_lock);
	p = attachment_of(file->private_data);
	if (p)
		refcount_inc(&p->refs);
	spin_unlock(&attachments_lock);
	if (!p) {
		ret = -ENOENT;
		goto put_file;
	}

	ret = evict(p);
	kvmfd_put(p);

put_file:
	fput(file);
	return ret;
}

static bool ranges_gone(struct kvmfd *p)
{
	bool gone;

	spin_lock(&p->state_lock);
	gone = !p->nr_ranges;
	spin_unlock(&p->state_lock);

	return gone;
}

/*
 * The VM's file is gone, or going.  vCPUs may keep the VM, and its doorbells.  Returns
 * whether they did, with a reference on the VM.
 */
static bool leave_closed_vm(struct kvmfd *p)
{
	bool pinned = false;

	flush_work(&p->sentinel.shutdown);

	spin_lock(&p->state_lock);
	if (p->nr_ranges)
		pinned = kvm_get_kvm_safe(p->kvm);
	spin_unlock(&p->state_lock);

	if (pinned) {
		mutex_lock(&p->lock);
		remove_doorbells(p);
		mutex_unlock(&p->lock);
	} else {
		/* Another task is in the middle of the VM's destruction. */
		wait_event(p->over, ranges_gone(p));
	}

	return pinned;
}

/**
 * kvmfd_detach() - the last fd has been closed
 * @p: an attached /dev/kvmfd
 *
 * Must not wait for the VM's file to be released: the task that exits may hold
 * it itself, and let go of it after this one.
 */
void kvmfd_detach(struct kvmfd *p)
{
	bool pinned;

	mutex_lock(&p->lock);
	pinned = leave_vm(p, -ENODEV);
	mutex_unlock(&p->lock);

	if (pinned || leave_closed_vm(p))
		kvm_put_kvm(p->kvm);

	/* After the reference: the VM's destruction may have been ours to run. */
	module_put(p->vendor);
}
