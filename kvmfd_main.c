// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmfd: KVM's ioeventfd and irqfd as a loadable module.
 *
 * The device, its requests and their arguments.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kvmfd.h"

static int kvmfd_open(struct inode *inode, struct file *file)
{
	struct kvmfd *p = kvmfd_create();

	if (!p)
		return -ENOMEM;

	file->private_data = p;
	return 0;
}

static int kvmfd_release(struct inode *inode, struct file *file)
{
	struct kvmfd *p = file->private_data;

	if (p->id) {
		kvmfd_detach(p);
		kvmfd_faults_forget(p);
	}
	kvmfd_put(p);
	return 0;
}

/*
 * Our own structs: the caller's size comes first, and what is beyond the size
 * that we know must be 0.  Structs grow: @first is the size of the first version.
 */
static int copy_in(void *to, size_t size, size_t first, const void __user *from,
		   u32 *user_size)
{
	if (get_user(*user_size, (const u32 __user *)from))
		return -EFAULT;
	if (*user_size < first)
		return -EINVAL;
	if (*user_size > PAGE_SIZE)
		return -E2BIG;

	return copy_struct_from_user(to, size, from, *user_size);
}

/* Of what the caller has room for beyond our size, nothing is written. */
static int copy_out(void __user *to, const void *from, size_t size, u32 user_size)
{
	return copy_to_user(to, from, min_t(size_t, size, user_size)) ? -EFAULT : 0;
}

static int ioctl_get_info(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_info info;
	u32 user_size;
	int ret;

	ret = copy_in(&info, sizeof(info), offsetof(struct kvmfd_info, max_ioeventfds), arg,
		      &user_size);
	if (ret)
		return ret;
	if (info.flags)
		return -EINVAL;

	memset(&info, 0, sizeof(info));
	kvmfd_info(p, task_active_pid_ns(current), &info);
	return copy_out(arg, &info, sizeof(info), user_size);
}

static int ioctl_attach_vm(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_attach attach;
	u32 user_size;
	int ret;

	ret = copy_in(&attach, sizeof(attach), sizeof(attach), arg, &user_size);
	if (ret)
		return ret;
	if (attach.flags & ~(KVMFD_VM_FOREIGN | KVMFD_ATTACH_REMEMBER))
		return -EINVAL;

	/* An attach cannot be taken back: see first that it can be told. */
	attach.attachment = 0;
	ret = copy_out(arg, &attach, sizeof(attach), user_size);
	if (ret)
		return ret;

	ret = mutex_lock_killable(&p->lock);
	if (ret)
		return ret;
	ret = kvmfd_attach(p, &attach);
	mutex_unlock(&p->lock);
	if (ret)
		return ret;

	attach.attachment = p->id;
	return copy_out(arg, &attach, sizeof(attach), user_size);
}

static int ioctl_find_vm(void __user *arg)
{
	struct kvmfd_find find;
	u32 user_size;
	int ret;

	ret = copy_in(&find, sizeof(find), offsetof(struct kvmfd_find, attacher), arg,
		      &user_size);
	if (ret)
		return ret;
	if (find.flags & ~KVMFD_VM_FOREIGN)
		return -EINVAL;

	ret = kvmfd_find(&find);
	if (ret)
		return ret;

	return copy_out(arg, &find, sizeof(find), user_size);
}

static int ioctl_evict(void __user *arg)
{
	struct kvmfd_evict evict;
	u32 user_size;
	int ret;

	ret = copy_in(&evict, sizeof(evict), sizeof(evict), arg, &user_size);
	if (ret)
		return ret;
	if (evict.flags || evict.reserved)
		return -EINVAL;

	return kvmfd_evict(evict.vm_fd);
}

static int ioctl_list(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_list list;
	u32 user_size;
	int ret;

	ret = copy_in(&list, sizeof(list), sizeof(list), arg, &user_size);
	if (ret)
		return ret;
	if (list.flags & ~KVMFD_LIST_REMOVED)
		return -EINVAL;

	ret = kvmfd_list(p, &list);
	if (ret)
		return ret;

	return copy_out(arg, &list, sizeof(list), user_size);
}

/* A call that fails has changed nothing: what can be told is told first. */
static int ioctl_latency(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_latency latency;
	u32 user_size;
	int ret;

	ret = copy_in(&latency, sizeof(latency), sizeof(latency), arg, &user_size);
	if (ret)
		return ret;
	if (latency.flags & ~(KVMFD_LATENCY_START | KVMFD_LATENCY_STOP) ||
	    latency.flags == (KVMFD_LATENCY_START | KVMFD_LATENCY_STOP))
		return -EINVAL;

	if (latency.flags & KVMFD_LATENCY_START)
		memset_after(&latency, 0, id);
	else
		ret = kvmfd_latency_tell(p, &latency);
	if (!ret)
		ret = copy_out(arg, &latency, sizeof(latency), user_size);
	if (ret)
		return ret;

	if (latency.flags & KVMFD_LATENCY_START)
		return kvmfd_latency_start(p, latency.id);
	if (latency.flags & KVMFD_LATENCY_STOP)
		kvmfd_latency_stop(p, latency.id);
	return 0;
}

static int ioctl_ioeventfd(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_ioeventfd args;
	struct kvmfd_change change;
	u32 user_size;
	int ret;

	ret = copy_in(&args, sizeof(args), sizeof(args), arg, &user_size);
	if (ret)
		return ret;
	if (args.flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK)
		return -EINVAL;

	ret = kvmfd_pin(p);
	if (ret)
		return ret;

	change = (struct kvmfd_change) {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.flags = args.flags,
		.addr = args.addr,
		.data = args.data,
		.mask = args.mask,
		.len = args.len,
		.fd = args.fd,
	};
	ret = kvmfd_change(p, &change);
	kvmfd_unpin(p);
	return ret;
}

static int ioctl_kvm_ioeventfd(struct kvmfd *p, const struct kvm_ioeventfd *args)
{
	const struct kvmfd_change change = {
		.kind = KVMFD_ENTRY_IOEVENTFD,
		.flags = args->flags,
		.addr = args->addr,
		.data = args->datamatch,
		.mask = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH ? ~0ULL : 0,
		.len = args->len,
		.fd = args->fd,
	};

	return kvmfd_change(p, &change);
}

static int ioctl_batch(struct kvmfd *p, void __user *arg)
{
	struct kvmfd_batch batch;
	u32 user_size;
	int ret;

	ret = copy_in(&batch, sizeof(batch), sizeof(batch), arg, &user_size);
	if (ret)
		return ret;
	if (batch.flags || batch.reserved)
		return -EINVAL;

	ret = kvmfd_pin(p);
	if (ret)
		return ret;

	ret = kvmfd_batch(p, &batch);
	kvmfd_unpin(p);
	/* Only a failure has something to tell: what has been made cannot fail here. */
	if (ret)
		copy_out(arg, &batch, sizeof(batch), user_size);
	return ret;
}

/* KVM's own requests: its structs, in its order of checks. */
static int ioctl_kvm(struct kvmfd *p, unsigned int request, void __user *arg)
{
	union {
		struct kvm_ioeventfd ioeventfd;
		struct kvm_irqfd irqfd;
	} args;
	int ret;

	ret = kvmfd_pin(p);
	if (ret)
		return ret;

	if (copy_from_user(&args, arg, _IOC_SIZE(request)))
		ret = -EFAULT;
	else if (request == KVM_IRQFD)
		ret = kvmfd_irqfd(p, &args.irqfd);
	else
		ret = ioctl_kvm_ioeventfd(p, &args.ioeventfd);

	kvmfd_unpin(p);
	return ret;
}

static long kvmfd_ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	struct kvmfd *p = file->private_data;
	void __user *argp = (void __user *)arg;

	switch (request) {
	case KVMFD_GET_INFO:
		return ioctl_get_info(p, argp);
	case KVMFD_ATTACH_VM:
		return ioctl_attach_vm(p, argp);
	case KVMFD_FIND_VM:
		return ioctl_find_vm(argp);
	case KVMFD_LIST:
		return ioctl_list(p, argp);
	case KVMFD_IOEVENTFD:
		return ioctl_ioeventfd(p, argp);
	case KVMFD_BATCH:
		return ioctl_batch(p, argp);
	case KVMFD_EVICT:
		return ioctl_evict(argp);
	case KVMFD_LATENCY:
		return ioctl_latency(p, argp);
	case KVM_IOEVENTFD:
	case KVM_IRQFD:
		return ioctl_kvm(p, request, argp);
	default:
		return -ENOTTY;
	}
}

static __poll_t kvmfd_poll(struct file *file, poll_table *wait)
{
	struct kvmfd *p = file->private_data;

	poll_wait(file, &p->over, wait);
	return kvmfd_is_over(p) ? EPOLLHUP : 0;
}

static void kvmfd_fdinfo(struct seq_file *m, struct file *file)
{
	kvmfd_show_fdinfo(file->private_data, m);
}

static const struct file_operations kvmfd_fops = {
	.owner = THIS_MODULE,
	.open = kvmfd_open,
	.release = kvmfd_release,
	.unlocked_ioctl = kvmfd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = kvmfd_poll,
	.llseek = noop_llseek,
	.show_fdinfo = kvmfd_fdinfo,
};

static struct miscdevice kvmfd_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kvmfd",
	.fops = &kvmfd_fops,
	.mode = 0660,
};

static int __init kvmfd_init(void)
{
	int ret;

	kvmfd_pool_init();

	ret = kvmfd_inject_init();
	if (ret)
		return ret;

	ret = kvmfd_irqfd_init();
	if (ret)
		goto exit_inject;

	ret = misc_register(&kvmfd_device);
	if (ret)
		goto exit_irqfd;

	kvmfd_faults_init();
	return 0;

exit_irqfd:
	kvmfd_irqfd_exit();
exit_inject:
	kvmfd_inject_exit();
	return ret;
}

static void __exit kvmfd_exit(void)
{
	misc_deregister(&kvmfd_device);
	kvmfd_faults_exit();
	/*
	 * A destructor that let the last release go on may not have returned
	 * from our code yet.
	 */
	synchronize_rcu_tasks();
	kvmfd_irqfd_exit();
	kvmfd_inject_exit();
}

module_init(kvmfd_init);
module_exit(kvmfd_exit);

MODULE_DESCRIPTION("KVM's ioeventfd and irqfd as a loadable module");
MODULE_AUTHOR("The kvmfd developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(KVMFD_VERSION);
