/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that tests make, beside those of libkvmfd: eventfds, KVM's two ioctls on
 * whichever fd serves them, and requests that do not fail.
 *
 * What a test is about returns the errno (0 for success), so that it can be
 * compared; what a test relies on stops it with a message.
 */
#ifndef SELFTESTS_CLIENT_H
#define SELFTESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libkvmfd.h"

/* How long to wait for what has to come. */
#define PATIENCE_MS 30000

/* How often, or with what: a knob of `make check`. */
unsigned int from_environment(const char *name, unsigned int otherwise);
/* The value of a program's option, or the end. */
uint64_t number_argument(const char *option, const char *text);

/* Has the thread stay on the @nr-th CPU, from 0, of those that the program was given. */
void stay_on_cpu(unsigned int nr);

/* Of files of the kernel's. */
void file_write(const char *path, const char *text);
long file_number(const char *path);

/*
 * Whoever touches @page, which nobody has yet, waits until the fd is closed: a call of the
 * kernel's, too.
 */
int hold_page(void *page);
/* Until somebody does. */
void await_page(int uffd);

/* errno of an ioctl, 0 if it succeeded. */
int do_ioctl(int fd, unsigned long request, void *arg);

/* An fd of /dev/kvmfd, for tests that are about what comes next. */
int device_open(void);
int device_open_attached(int vm_fd);
struct kvmfd_info device_info(int fd);
/* Up to @max entries, all that there are if that is enough. */
unsigned int device_entries(int fd, struct kvmfd_entry *entries, unsigned int max);
/* The only entry that there is. */
struct kvmfd_entry device_only_entry(int fd);

/* All that ever happened, to up to 16 entries that there are and to those that were. */
struct device_counts {
	uint64_t hits;
	uint64_t calls;
};

struct device_counts device_counts(int fd);

/* Open files, and what of kvmfd's is left on KVM's buses. */
unsigned int module_users(void);

int new_eventfd(void);
void eventfd_ring(int fd);
/* The counter, which becomes 0. */
uint64_t eventfd_take(int fd);

int ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
	      uint64_t datamatch);
int masked_ioeventfd(int fd, int eventfd, uint64_t addr, uint32_t len, uint32_t flags,
		     uint64_t data, uint64_t mask);
int irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags);
int resampled_irqfd(int fd, int eventfd, uint32_t gsi, uint32_t flags, int resamplefd);

#endif /* SELFTESTS_CLIENT_H */
