/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kselftest harness beside KVM's selftest library: both have an ASSERT_EQ,
 * tests mean the harness's.
 */
#ifndef SELFTESTS_HARNESS_H
#define SELFTESTS_HARNESS_H

#include "test_util.h"
#undef ASSERT_EQ
#include "kselftest_harness.h"

#endif /* SELFTESTS_HARNESS_H */
