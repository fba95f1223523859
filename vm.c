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
 * So kvmfd.kvm may be used while !closed, or while there are ranges, with
 * state_lock held, just long enough to take a reference.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "kvmfd.h"

/* Of all attachments whose VM is open: one for each VM. */
static LIST_HEAD(attachments);
static u64 last_attachment;
static DEFINE_SPINLOCK(attachments_lock);

/**
 * kvmfd_create() - for a newly opened /dev/kvmfd
 *
 * Return: what kvmfd_destroy() will free, or NULL.
 */
struct kvmfd *kvmfd_create(void)
{
	struct kvmfd *p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);

	if (!p)
		return NULL;

	mutex_init(&p->lock);
	spin_lock_init(&p->state_lock);
	init_waitqueue_head(&p->ranges_gone);
	INIT_LIST_HEAD(&p->link);
	p->items = RB_ROOT;
	kvmfd_ioeventfd_setup(p);
	kvmfd_irqfd_setup(p);
	return p;
}

/**
 * kvmfd_destroy() - the open file is no more
 * @p: detached, or never attached
 */
void kvmfd_destroy(struct kvmfd *p)
{
	kvmfd_ioeventfd_free_all(p);
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

static void attachment_forget(struct kvmfd *p)
{
	spin_lock(&attachments_lock);
	list_del_init(&p->link);
	spin_unlock(&attachments_lock);
}

/*
 * The sentinel's shutdown work: the VM's file is being released, and KVM waits
 * for us.  So does every other VM of the host that is closed meanwhile.
 */
static void kvmfd_vm_released(struct work_struct *work)
{
	struct kvmfd *p = container_of(work, struct kvmfd, sentinel.shutdown);

	spin_lock(&p->state_lock);
	p->closed = true;
	spin_unlock(&p->state_lock);

	attachment_forget(p);
	kvmfd_irqfd_remove_all(p);
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

	/* Its work has run: the VM may be gone, and its lock with it. */
	if (p->closed)
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

static int attach_kvm(struct kvmfd *p, struct kvm *kvm)
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
	WRITE_ONCE(p->id, ++last_attachment);
	list_add(&p->link, &attachments);
	spin_lock_irq(&kvm->irqfds.lock);
	list_add_tail(&p->sentinel.list, &kvm->irqfds.items);
	spin_unlock_irq(&kvm->irqfds.lock);
	spin_unlock(&p->state_lock);
	spin_unlock(&attachments_lock);
	return 0;
}

static int attach_file(struct kvmfd *p, struct file *file)
{
	struct kvm *kvm;
	int ret;

	if (!kvmfd_file_is_vm(file))
		return -EINVAL;

	kvm = file->private_data;
	if (kvm->mm != current->mm || kvm->vm_dead)
		return -EIO;

	/* Until the VM's file is put, its vendor module is there to be had. */
	if (!try_module_get(file->f_op->owner))
		return -EINVAL;

	ret = attach_kvm(p, kvm);
	if (ret)
		module_put(file->f_op->owner);
	else
		p->vendor = file->f_op->owner;

	return ret;
}

/**
 * kvmfd_attach() - KVMFD_ATTACH_VM
 * @p: an open /dev/kvmfd, &kvmfd.lock held
 * @vm_fd: the caller's fd of the VM
 *
 * Return: 0, -EBUSY, -EBADF, -EINVAL (not a VM), -EIO (another process's VM, or
 * a dead one).
 */
int kvmfd_attach(struct kvmfd *p, int vm_fd)
{
	struct file *file;
	int ret;

	lockdep_assert_held(&p->lock);

	if (p->id)
		return -EBUSY;

	file = fget(vm_fd);
	if (!file)
		return -EBADF;
	ret = attach_file(p, file);
	fput(file);
	return ret;
}

/**
 * kvmfd_find() - KVMFD_FIND_VM
 * @vm_fd: the caller's fd of a VM
 * @id: where the attachment's id goes
 *
 * Return: 0, -EBADF, -EINVAL (not a VM), -ENOENT.
 */
int kvmfd_find(int vm_fd, u64 *id)
{
	struct kvmfd *p = NULL;
	struct file *file;
	int ret = -EINVAL;

	file = fget(vm_fd);
	if (!file)
		return -EBADF;

	if (kvmfd_file_is_vm(file)) {
		spin_lock(&attachments_lock);
		p = attachment_of(file->private_data);
		if (p)
			*id = p->id;
		spin_unlock(&attachments_lock);
		ret = p ? 0 : -ENOENT;
	}

	fput(file);
	return ret;
}

/**
 * kvmfd_pin() - keep the VM for the length of an ioctl
 * @p: an open /dev/kvmfd
 *
 * Return: 0, -ENOTCONN, -ENODEV (the VM has been closed), -EIO (the caller is
 * another process than the VM's, or the VM is dead).
 */
int kvmfd_pin(struct kvmfd *p)
{
	int ret = 0;

	spin_lock(&p->state_lock);
	if (!p->id)
		ret = -ENOTCONN;
	else if (p->closed)
		ret = -ENODEV;
	else if (p->kvm->mm != current->mm || p->kvm->vm_dead)
		ret = -EIO;
	else
		kvm_get_kvm(p->kvm);
	spin_unlock(&p->state_lock);

	return ret;
}

/**
 * kvmfd_unpin() - the counterpart of kvmfd_pin()
 * @p: the attachment
 *
 * May be what ends the VM, with all its destructors: no lock is held.
 */
void kvmfd_unpin(struct kvmfd *p)
{
	kvm_put_kvm(p->kvm);
}

static bool ranges_gone(struct kvmfd *p)
{
	bool gone;

	spin_lock(&p->state_lock);
	gone = !p->nr_ranges;
	spin_unlock(&p->state_lock);

	return gone;
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

	spin_lock(&p->state_lock);
	pinned = sentinel_unlink(p);
	if (pinned)
		p->closed = true;
	spin_unlock(&p->state_lock);

	if (pinned) {
		kvmfd_irqfd_remove_all(p);
	} else {
		flush_work(&p->sentinel.shutdown);

		/* The file is gone; vCPUs may keep the VM, and its doorbells. */
		spin_lock(&p->state_lock);
		if (p->nr_ranges)
			pinned = kvm_get_kvm_safe(p->kvm);
		spin_unlock(&p->state_lock);
	}

	if (pinned) {
		mutex_lock(&p->lock);
		kvmfd_ioeventfd_remove_all(p);
		mutex_unlock(&p->lock);
		attachment_forget(p);
		kvm_put_kvm(p->kvm);
	} else {
		/* Another task is in the middle of the VM's destruction. */
		wait_event(p->ranges_gone, ranges_gone(p));
	}

	/* After the reference: the VM's destruction may have been ours to run. */
	module_put(p->vendor);
}
