// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <unistd.h>

#include "test_util.h"

#include "user.h"

void give_devices_to(gid_t group)
{
	bool done = !chown("/dev/kvm", 0, group) && !chmod("/dev/kvm", 0660) &&
		    !chown("/dev/kvmfd", 0, group);

	TEST_ASSERT(done, "cannot change /dev/kvm and /dev/kvmfd: %s", strerror(errno));
}

void keep_capabilities(uint64_t set)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = set, .permitted = set },
		{ .effective = set >> 32, .permitted = set >> 32 },
	};

	TEST_ASSERT(!syscall(SYS_capset, &header, data), "capset: %s", strerror(errno));
}

void become(uid_t uid, gid_t group, uint64_t capabilities)
{
	bool done = !setgroups(1, &group) && !setresgid(uid, uid, uid) &&
		    !prctl(PR_SET_KEEPCAPS, 1) && !setresuid(uid, uid, uid);

	TEST_ASSERT(done, "not user %d: %s", uid, strerror(errno));
	keep_capabilities(capabilities);
	/* Its own /proc/self is its own again. */
	prctl(PR_SET_DUMPABLE, 1);
}
