/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seccomp filter of `kvmfd run`: by itself, so that the benchmark has the very same.
 */
#ifndef TOOLS_FILTER_H
#define TOOLS_FILTER_H

#include <stdbool.h>

/* The two requests of KVM's. */
enum kind {
	IOEVENTFD,
	IRQFD,
	KINDS,
};

/*
 * Has the kernel ask about these requests of ioctl(), and about KVMFD_ATTACH_VM if @attach,
 * from now on, when this thread or what it makes calls them.  Returns the fd that is asked,
 * or -1 with errno set.
 */
int filter_install(const bool kinds[KINDS], bool attach);

#endif /* TOOLS_FILTER_H */
