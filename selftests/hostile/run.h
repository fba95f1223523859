/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program at work.
 */
#ifndef SELFTESTS_HOSTILE_RUN_H
#define SELFTESTS_HOSTILE_RUN_H

#include "hostile/program.h"

/* From here on signals come in, as long as the process lives. */
void run_prepare(void);
/* In a world of its own; if @last, its VMs are gone afterwards, too. */
void run_program(const struct program *program, bool last);

#endif /* SELFTESTS_HOSTILE_RUN_H */
