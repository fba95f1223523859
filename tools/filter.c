// SPDX-License-Identifier: GPL-2.0-only
/* The filter: two requests of ioctl(), and nothing else. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/kvmfd.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define NR_IOCTL_I386 54

#define LOAD(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define VERDICT(action)    BPF_STMT(BPF_RET | BPF_K, action)

/*
 * Run for every system call, so it is short: what is not asked about is not compared.  A
 * jump is told by how many steps it skips.
 * A request is 32 bits, whatever the other half of its register has.
 */
int filter_install(const bool kinds[KINDS], bool attach)
{
	const __u32 first = kinds[IOEVENTFD] ? KVM_IOEVENTFD : KVM_IRQFD;
	const __u32 second = kinds[IRQFD] ? KVM_IRQFD : KVM_IOEVENTFD;
	struct sock_filter code[] = {
		LOAD(arch),
		IS(AUDIT_ARCH_X86_64, 0, 2),
		LOAD(nr),
		IS(__NR_ioctl, 3, 7),
		IS(AUDIT_ARCH_I386, 0, 6),
		LOAD(nr),
		IS(NR_IOCTL_I386, 0, 4),
		LOAD(args[1]),
		IS(first, 3, 0),
		IS(second, 2, attach ? 0 : 1),
		IS(KVMFD_ATTACH_VM, 1, 0),
		VERDICT(SECCOMP_RET_ALLOW),
		VERDICT(SECCOMP_RET_USER_NOTIF),
	};
	const struct sock_fprog program = {
		.len = ARRAY_SIZE(code),
		.filter = code,
	};
	/* Or else a signal could end a call that has been carried out. */
	const unsigned int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER |
				   SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

	/* Without a privilege only for who can gain none, by a setuid program say. */
	if (listener < 0 && errno == EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return listener;
}
