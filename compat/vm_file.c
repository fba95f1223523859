// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a file a VM?  For kernels that keep file_is_kvm() to KVM itself.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/magic.h>
#include <linux/string.h>

#if !defined(CONFIG_KALLSYMS) || !IS_MODULE(CONFIG_KVM)
#error "without file_is_kvm(), a VM is known by the name of a function of the module kvm"
#endif

/**
 * kvmfd_file_is_vm() - what file_is_kvm() would say
 * @file: any open file
 *
 * A VM's is the only anonymous inode that the function kvm_vm_release() of the
 * module kvm releases; kallsyms knows functions by name.
 *
 * Return: whether @file->private_data is a struct kvm.
 */
bool kvmfd_file_is_vm(struct file *file)
{
	char name[sizeof("kvm_vm_release [kvm]") + 1];

	if (file_inode(file)->i_sb->s_magic != ANON_INODE_FS_MAGIC || !file->f_op->release)
		return false;

	/* One byte more than fits: a longer name is not taken for this one. */
	snprintf(name, sizeof(name), "%ps", file->f_op->release);
	return !strcmp(name, "kvm_vm_release [kvm]");
}
