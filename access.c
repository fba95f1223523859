// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may: the process that the VM belongs to, and who else.
 *
 * To KVM a VM belongs to an address space; in any other its fd is of no use.  So it is
 * here, but for a process that says it means another's VM, if the policy lets it: a
 * supervisor.  That is asked when it attaches.  From then on it may make calls, as may
 * the VM's own process, and nobody else who comes by the fd.
 *
 * The policy looks at the credentials that the VM was created with, which its file has.
 * A capability has to be one over them, in their user namespace, as ptrace asks for it.
 * (ptrace_may_access() itself is not for modules, and takes a task; a VM has none.)
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "kvmfd.h"

enum policy {
	POLICY_NONE,
	POLICY_CAPABLE,
	POLICY_USER,
};

static const char *const policies[] = {
	[POLICY_NONE] = "none",
	[POLICY_CAPABLE] = "capable",
	[POLICY_USER] = "user",
};

static int policy = POLICY_CAPABLE;

static int policy_set(const char *value, const struct kernel_param *kp)
{
	int choice = sysfs_match_string(policies, value);

	if (choice < 0)
		return choice;
	WRITE_ONCE(policy, choice);
	return 0;
}

static int policy_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", policies[READ_ONCE(policy)]);
}

static const struct kernel_param_ops policy_ops = {
	.set = policy_set,
	.get = policy_get,
};

module_param_cb(foreign_attach, &policy_ops, NULL, 0644);
MODULE_PARM_DESC(foreign_attach, "for another process's VM: none, capable or user (docs/abi.md)");

/* All three, as ptrace compares them: else it had, or has, another user's privileges. */
static bool is_creator(const struct cred *creator)
{
	kuid_t uid = current_euid();

	return uid_eq(uid, creator->uid) && uid_eq(uid, creator->euid) &&
	       uid_eq(uid, creator->suid);
}

static bool policy_allows(const struct file *vm)
{
	struct user_namespace *ns = vm->f_cred->user_ns;
	int now = READ_ONCE(policy);

	if (now == POLICY_NONE)
		return false;
	if (now == POLICY_USER && is_creator(vm->f_cred))
		return true;
	return ns_capable(ns, CAP_SYS_PTRACE) || ns_capable(ns, CAP_SYS_ADMIN);
}

/**
 * kvmfd_is_owner() - does a VM belong to a thread's process?
 * @vm: the VM's file
 * @thread: its id in the caller's pid namespace; 0 stands for whoever it belongs to
 *
 * Return: true if it does.
 */
bool kvmfd_is_owner(const struct file *vm, pid_t thread)
{
	const struct kvm *kvm = vm->private_data;
	struct task_struct *task;
	bool owns;

	if (!thread)
		return true;

	rcu_read_lock();
	task = pid_task(find_vpid(thread), PIDTYPE_PID);
	/* The VM has a reference on what this is compared with. */
	owns = task && READ_ONCE(task->mm) == kvm->mm;
	rcu_read_unlock();

	return owns;
}

/**
 * kvmfd_may_use() - may the caller use a VM?
 * @vm: the VM's file
 * @flags: KVMFD_VM_FOREIGN: also if it is another process's
 *
 * Return: 0, -EIO (another process's VM; or even so, for that process has ended),
 * -EPERM (the policy says no).
 */
int kvmfd_may_use(const struct file *vm, u32 flags)
{
	const struct kvm *kvm = vm->private_data;

	if (kvm->mm == current->mm)
		return 0;
	if (!(flags & KVMFD_VM_FOREIGN) || !kvmfd_mm_in_use(kvm->mm))
		return -EIO;

	return policy_allows(vm) ? 0 : -EPERM;
}

/**
 * kvmfd_attacher_set() - the caller is who attaches, to a VM that has an owner
 * @p: an open /dev/kvmfd that is being attached; &kvmfd.state_lock is held
 */
void kvmfd_attacher_set(struct kvmfd *p)
{
	lockdep_assert_held(&p->state_lock);

	mmgrab(current->mm);
	p->mm = current->mm;
	p->attacher = get_pid(task_tgid(current));
	p->foreign = p->kvm->mm != current->mm;
	p->owner = kvmfd_get_mm_owner(p->kvm->mm);
	p->vm_pid = pid_nr(p->owner);
}

/**
 * kvmfd_attacher_put() - the open file is no more
 * @p: attached once, or never
 */
void kvmfd_attacher_put(struct kvmfd *p)
{
	if (p->mm)
		mmdrop(p->mm);
	put_pid(p->attacher);
	put_pid(p->owner);
}

/**
 * kvmfd_process_id() - how is a process called?
 * @process: who has attached to a VM, or whose it is; NULL if nobody knows
 * @ns: of the reader
 *
 * Return: the process's id, or 0 if it has ended or @ns does not know it.
 */
pid_t kvmfd_process_id(struct pid *process, struct pid_namespace *ns)
{
	return process && pid_has_task(process, PIDTYPE_TGID) ? pid_nr_ns(process, ns) : 0;
}

/**
 * kvmfd_charge_owner() - memory is charged to the VM's process from here on
 * @kvm: the VM
 *
 * To its memory cgroup, whoever the caller is.  kvmfd_charge_caller() must follow.
 *
 * Return: false if the process has ended, so that it has no cgroup any more.
 */
bool kvmfd_charge_owner(const struct kvm *kvm)
{
	if (kvm->mm == current->mm)
		return true;

	set_active_memcg(get_mem_cgroup_from_mm(kvm->mm));
	/* Seen after it, so it was there to be asked for its cgroup. */
	return kvmfd_mm_in_use(kvm->mm);
}

/**
 * kvmfd_charge_caller() - the counterpart of kvmfd_charge_owner()
 *
 * A request begins and ends with no other cgroup than the caller's.
 */
void kvmfd_charge_caller(void)
{
	mem_cgroup_put(set_active_memcg(NULL));
}

/**
 * kvmfd_pin() - keep the VM for the length of an ioctl
 * @p: an open /dev/kvmfd
 *
 * And memory is charged to the VM's owner.
 *
 * Return: 0, -ENOTCONN, -ENODEV (the VM has been closed), -ECONNRESET (evicted), -EIO
 * (the caller is neither the VM's process nor the one that attached; or the VM, or its
 * process, is dead).
 */
int kvmfd_pin(struct kvmfd *p)
{
	int ret = 0;

	spin_lock(&p->state_lock);
	if (!p->id) {
		ret = -ENOTCONN;
	} else if (p->ended) {
		ret = p->ended;
	} else if ((p->kvm->mm != current->mm && p->mm != current->mm) || p->kvm->vm_dead) {
		ret = -EIO;
	} else {
		kvm_get_kvm(p->kvm);
		p->nr_pins++;
	}
	spin_unlock(&p->state_lock);
	if (ret)
		return ret;

	if (!kvmfd_charge_owner(p->kvm)) {
		kvmfd_unpin(p);
		ret = -EIO;
	}

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
	kvmfd_charge_caller();
	kvm_put_kvm(p->kvm);

	spin_lock(&p->state_lock);
	p->nr_pins--;
	kvmfd_tell_over(p);
	spin_unlock(&p->state_lock);
}
