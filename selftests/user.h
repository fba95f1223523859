/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users who are not root, and the devices that they get at.
 */
#ifndef SELFTESTS_USER_H
#define SELFTESTS_USER_H

#include <stdint.h>
#include <sys/types.h>

/* Numbers, for there is no /etc/group. */
#define KVM_GROUP  104
#define USER       1001
#define OTHER_USER 1002

/* /dev/kvm and /dev/kvmfd, as udev's rule has it. */
void give_devices_to(gid_t group);
/* The caller has no capabilities but these. */
void keep_capabilities(uint64_t set);
/* The caller is this user, in this group alone, with these capabilities. */
void become(uid_t uid, gid_t group, uint64_t capabilities);

#endif /* SELFTESTS_USER_H */
