# SPDX-License-Identifier: GPL-2.0-only
#
# What programs with a guest in them are made of: flags, KVM's selftest library
# from the kernel source (LIBKVM_OBJS), and what is here for all (COMMON_OBJS, with
# libkvmfd).
# For a makefile that has set OUTPUT and said what is to be made.

ifeq ($(KSRC),)
$(error KSRC must name a kernel source, see "testhost/fetch source")
endif

selftests := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
kselftest := $(KSRC)/tools/testing/selftests
kvm := $(kselftest)/kvm

CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
	-Wno-sign-compare -Wno-missing-field-initializers \
	-U_FORTIFY_SOURCE -fno-stack-protector -fno-pie -D_GNU_SOURCE -MMD -MP \
	-I$(selftests) -I$(selftests)/../include/uapi -I$(selftests)/../tools/lib \
	-I$(kvm)/include -I$(kvm)/include/x86_64 \
	-I$(kselftest) -I$(KSRC)/tools/include -I$(KSRC)/tools/arch/x86/include \
	-isystem $(KSRC)/usr/include
# Not for what a guest executes: it has neither shadow memory nor a library.
ifneq ($(SANITIZE),)
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
$(OUTPUT)/guest.o $(OUTPUT)/fuzz/burst.o: SANITIZERS :=
endif
LDFLAGS := $(or $(SANITIZERS),-static) -no-pie -pthread

# KVM's library is built as KVM builds it, warnings and all.
LIBKVM_CFLAGS := $(filter-out -Wall -Wextra -Werror,$(CFLAGS)) -std=gnu99 -w \
	-I$(kvm)/include -I$(kvm)/lib
LIBKVM_OBJS := $(patsubst $(kvm)/lib/%,$(OUTPUT)/libkvm/%.o,$(basename \
	$(wildcard $(kvm)/lib/*.c $(kvm)/lib/x86_64/*.c $(kvm)/lib/x86_64/*.S)))
COMMON_OBJS := $(OUTPUT)/guest.o $(OUTPUT)/client.o $(OUTPUT)/lib/libkvmfd.a

makefiles := $(MAKEFILE_LIST)

$(OUTPUT)/%.o: %.c $(makefiles)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZERS) -c $< -o $@

$(OUTPUT)/%.o: $(selftests)/%.c $(makefiles)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZERS) -c $< -o $@

$(OUTPUT)/libkvm/%.o: $(kvm)/lib/%.c $(makefiles)
	@mkdir -p $(@D)
	$(CC) $(LIBKVM_CFLAGS) $(if $(findstring string_override,$*),-ffreestanding) -c $< -o $@

$(OUTPUT)/libkvm/%.o: $(kvm)/lib/%.S $(makefiles)
	@mkdir -p $(@D)
	$(CC) $(LIBKVM_CFLAGS) -c $< -o $@

$(OUTPUT)/lib/libkvmfd.a: FORCE
	$(MAKE) -C $(selftests)/../tools/lib O=$(@D) $@

.PHONY: FORCE
