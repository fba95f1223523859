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

/* A kernel that watches itself is slow; a test that hangs is ended all the same. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#endif /* SELFTESTS_HARNESS_H */
