/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that tests make: kvmfd's requests, eventfds, and KVM's two ioctls on
 * whichever fd serves them.
 *
 * What a test is about returns the errno (0 for success), so that it can be
 * compared; what a test relies on stops it with a message.
 */
#ifndef SELFTESTS_CLIENT_H
#define SELFTESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>
#include <linux/kvmfd.h>

/* errno of an ioctl, 0 if it succeeded. */
int do_ioctl(int fd, unsigned long request, void *arg);

int kvmfd_open(void);
int kvmfd_attach(int fd, int vm_fd);
/* Both at once, for tests that are about what comes next. */
int kvmfd_open_attached(int vm_fd);
struct kvmfd_info kvmfd_info(int fd);
/* Up to @max entries, all that there are if that is enough. */
unsigned int kvmfd_entries(int fd, struct kvmfd_entry *entries, unsigned int max);
/* The only entry that there is. */
struct kvmfd_entry kvmfd_only_entry(int fd);

int new_eventfd(void);
void eventfd_ring(int fd);
/* The counter, which becomes 0. */
uint64_t eventfd_take(int fd);

int ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
	      uint64_t datamatch);
/* KVMFD_IOEVENTFD, for MMIO writes of 4 bytes. */
int masked_ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t flags, uint64_t data,
		     uint64_t mask);
int irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags);

#endif /* SELFTESTS_CLIENT_H */
