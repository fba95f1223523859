# SPDX-License-Identifier: GPL-2.0
#
# kvmfd.  `make help` lists the targets; all that is made is made in build/.

# Without KDIR: the running kernel if its headers are here, else the test
# host's.  Nothing is expanded, and so nothing fetched, before it is needed.
running := $(wildcard /lib/modules/$(shell uname -r)/build)
KSRC = $(shell testhost/fetch source 6.1)
KDIR ?= $(or $(running),$(wildcard $(shell testhost/fetch kernel 6.1)/lib/modules/*/build))

kdir = $(eval kdir := $$(KDIR))$(or $(kdir),$(error no kernel headers to build for: name them by KDIR=))
release = $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(kdir)/include/generated/utsrelease.h 2>/dev/null),$(error KDIR=$(kdir) is no configured kernel))
moddir = $(CURDIR)/build/module/$(release)
INSTALL_MOD_PATH ?= $(DESTDIR)

all: module vmm			## the module and kvmfd-vmm (default)

# Kbuild writes beside the sources, so it gets links to them elsewhere.
module:				## kvmfd.ko, for the kernel in KDIR
	mkdir -p $(moddir)
	find $(moddir) -xtype l -delete
	cp -rsf $(addprefix $(CURDIR)/,Kbuild dkms.conf $(wildcard *.c) compat include) $(moddir)
	$(MAKE) -C $(kdir) M=$(moddir) modules

vmm:				## kvmfd-vmm, the companion VMM
	$(MAKE) -C vmm O=$(CURDIR)/build/vmm

selftests:			## the tests; KSRC names a kernel source (testhost/fetch source)
	$(MAKE) -C selftests O=$(CURDIR)/build/selftests KSRC=$(KSRC)

benchmark:			## the benchmark's program; KSRC as above
	$(MAKE) -C bench O=$(CURDIR)/build/benchmark KSRC=$(KSRC)

install: module			## module and udev rule (DESTDIR, INSTALL_MOD_PATH)
	$(MAKE) -C $(kdir) M=$(moddir) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) modules_install
	$(if $(DESTDIR),,depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(release))
	install -D -m 644 60-kvmfd.rules $(DESTDIR)/usr/lib/udev/rules.d/60-kvmfd.rules

run:				## boot a guest on kvmfd and check all it did (EVENTFD, NOTIFY, CPUS, QUEUES, KERNEL)
	testhost/run

check:				## all tests, in the test host (TESTS="name...", KERNEL=6.1, 6.12, 7.2)
	testhost/check

check-debug:			## all tests on a kernel that watches itself (TESTS="name...")
	KERNEL=debug testhost/check

fuzz:				## random calls and writes: KVM, kvmfd and the rules (STEPS, SEED, KERNEL)
	testhost/fuzz

smoke:				## build, load, one doorbell and one MSI on each kernel
	testhost/smoke

style:				## checkpatch, sparse, clang-format and their like
	.ci/style

bench:				## KVM and kvmfd side by side, in instructions (AGAINST=FILE)
	testhost/bench

shell:				## a shell in the test host, with the module and kvmfd-vmm
	testhost/shell

clean:				## remove build/
	rm -rf build

help:				## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 20

export EVENTFD NOTIFY CPUS QUEUES TESTS KERNEL AGAINST STEPS SEED
.PHONY: all module vmm selftests benchmark install run check check-debug fuzz smoke style bench shell clean help
