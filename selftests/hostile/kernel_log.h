/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does the kernel complain?
 */
#ifndef SELFTESTS_HOSTILE_KERNEL_LOG_H
#define SELFTESTS_HOSTILE_KERNEL_LOG_H

/* From here on; as root, before privileges are dropped. */
void kernel_log_begin(void);
/* Complains for each complaint of the kernel's since the last time. */
void kernel_log_look(void);
void kernel_log_end(void);

#endif /* SELFTESTS_HOSTILE_KERNEL_LOG_H */
