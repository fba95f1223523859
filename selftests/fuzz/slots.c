// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "test_util.h"

#include "client.h"
#include "slots.h"

/* The slots' fd numbers: above what is opened otherwise. */
#define FIRST_FD 512

static int fds[EVENTFDS_MAX][SIDES];
static unsigned int count;
static int slots[SLOTS];

int slots_fd(enum side side, int slot)
{
	static int no_eventfd = -1;

	if (slot == SLOT_NO_FD)
		return -1;
	if (slot == SLOT_NO_EVENTFD) {
		if (no_eventfd < 0)
			no_eventfd = open("/dev/null", O_RDWR | O_CLOEXEC);
		return no_eventfd;
	}
	return FIRST_FD + side * SLOTS + slot;
}

int slots_eventfd(int slot)
{
	if (slot == SLOT_NO_FD)
		return -EBADF;
	if (slot == SLOT_NO_EVENTFD)
		return -EINVAL;
	return slots[slot];
}

unsigned int nr_eventfds(void)
{
	return count;
}

int eventfd_fd(enum side side, unsigned int eventfd)
{
	return fds[eventfd][side];
}

void slots_open(unsigned int slot)
{
	enum side side;

	TEST_ASSERT(count < EVENTFDS_MAX, "too many eventfds in one round");
	for (side = 0; side < SIDES; side++) {
		int fd = new_eventfd();

		TEST_ASSERT(dup2(fd, slots_fd(side, slot)) >= 0, "dup2: %s", strerror(errno));
		fds[count][side] = fd;
	}
	slots[slot] = count++;
}

void slots_close(unsigned int slot)
{
	int *kvmfds = &fds[slots[slot]][KVMFD];

	close(slots_fd(KVM, slot));
	close(slots_fd(KVMFD, slot));
	close(*kvmfds);
	*kvmfds = -1;
	slots[slot] = -EBADF;
}

void slots_fill(void)
{
	unsigned int slot;

	for (slot = 0; slot < SLOTS; slot++)
		slots_open(slot);
}

void slots_clear(void)
{
	unsigned int slot, i;

	for (slot = 0; slot < SLOTS; slot++)
		if (slots[slot] >= 0)
			slots_close(slot);
	for (i = 0; i < count; i++)
		close(fds[i][KVM]);
	count = 0;
}
