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
version = $(shell sed -n 's/^PACKAGE_VERSION=//p' dkms.conf)
# The module's.
source = Kbuild dkms.conf $(wildcard *.c) compat include
# What is not for the kernel, with ASan and UBSan if SANITIZE is set.
user = $(CURDIR)/build$(if $(SANITIZE),/sanitize)

all: module vmm tools		## the module, kvmfd-vmm, kvmfd and libkvmfd (default)

# Kbuild writes beside the sources, so it gets links to them elsewhere.
module:				## kvmfd.ko, for the kernel in KDIR
	mkdir -p $(moddir)
	find $(moddir) -xtype l -delete
	cp -rsf $(addprefix $(CURDIR)/,$(source)) $(moddir)
	$(MAKE) -C $(kdir) M=$(moddir) modules

vmm:				## kvmfd-vmm, the companion VMM
	$(MAKE) -C vmm O=$(user)/vmm

tools:				## kvmfd, the tool, and libkvmfd
	$(MAKE) -C tools O=$(user)/tools

selftests:			## the tests; KSRC names a kernel source (testhost/fetch source)
	$(MAKE) -C selftests O=$(user)/selftests KSRC=$(KSRC)

benchmark:			## the benchmark's program; KSRC as above
	$(MAKE) -C bench O=$(CURDIR)/build/benchmark KSRC=$(KSRC)

install: module install-tools	## module, udev rule, kvmfd and libkvmfd (DESTDIR, INSTALL_MOD_PATH, PREFIX, LIBDIR)
	$(if $(or $(DESTDIR),$(running),$(filter-out file,$(origin KDIR))),,$(error \
		no headers of the running kernel: name others by KDIR=))
	$(MAKE) -C $(kdir) M=$(moddir) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) modules_install
	$(if $(DESTDIR),,depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(release))

install-tools: tools		## the same without the module
	install -D -m 644 60-kvmfd.rules $(DESTDIR)/usr/lib/udev/rules.d/60-kvmfd.rules
	$(MAKE) -C tools O=$(user)/tools install

install-source:			## the module's source for DKMS, in /usr/src (DESTDIR)
	install -d $(DESTDIR)/usr/src/kvmfd-$(version)
	cp -r $(source) $(DESTDIR)/usr/src/kvmfd-$(version)

# In a copy: debhelper leaves its files among the sources.
deb:				## Debian packages, kvmfd-dkms and kvmfd, in build/deb
	testhost/packages deb
	rm -rf build/deb
	mkdir -p build/deb/source
	tar -c --exclude=./build --exclude=./.git . | tar -x -C build/deb/source
	cd build/deb/source && MAKEFLAGS= dpkg-buildpackage -b -us -uc

run:				## boot a guest on kvmfd and check all it did (EVENTFD, NOTIFY, IRQ, ..., see testhost/run --help)
	testhost/run

# selftests/ alone if it is said which of them, or how.
check:				## selftests/, check-supervised and check-vmms; or of selftests/ (TESTS="name...", ROUNDS, SEED, KERNEL=6.1, 6.12, 7.2)
	$(if $(TESTS)$(KERNEL)$(MINUTES)$(SANITIZE)$(SUPERVISED)$(MODULE),testhost/check,testhost/sum \
		testhost/check "SUPERVISED=1 testhost/check" testhost/check-vmms)

check-guests:			## Linux guests with MSI, IOAPIC and PIC, on kvmfd and on KVM (KERNEL)
	testhost/check-guests

check-vmms:			## unmodified QEMU with devices of all kinds, on kvmfd (TESTS="name...", EVENTFD=kvmfd, kvm; KERNEL)
	testhost/check-vmms

check-vmx:			## ioeventfd and irqfd with Intel's virtualization, in Bochs (TESTS="name...", KERNEL)
	testhost/check-vmx

check-tracing-tools:		## the commands of docs/tracing.md for perf, trace-cmd and bpftrace
	testhost/check-tracing-tools

check-debug:			## all tests on a kernel that watches itself (TESTS="name...")
	KERNEL=debug testhost/check

check-supervised:		## what the tests ask of KVM, by kvmfd: under `kvmfd run` (TESTS="name...")
	SUPERVISED=1 testhost/check

check-kcsan:			## all tests on a kernel that watches for data races (TESTS="name...", ROUNDS)
	KERNEL=kcsan testhost/check

check-sanitize:			## all tests with ASan and UBSan in user space (TESTS="name...")
	SANITIZE=1 testhost/check

coverage:			## which lines of the module the tests execute (TESTS="name...")
	testhost/coverage

soak:				## all tests on that kernel again and again, two at a time (MINUTES, TESTS, SEED, KERNEL)
	MINUTES=$(or $(MINUTES),60) KERNEL=$(or $(KERNEL),debug) testhost/check

fuzz:				## random calls and writes: KVM, kvmfd and the rules (STEPS, SEED, CPUS, KERNEL)
	testhost/fuzz

fuzz-abi:			## hostile callers, led by KCOV (CALLS, SEED, CPUS, GUIDE=no, PROGRAMS=FILE, KERNEL)
	testhost/fuzz-abi

check-matrix:			## on 6.1, 6.12 and 7.2: packages, DKMS, selftests/; and on VMX (QUICK=1, TESTS="name...")
	testhost/check-matrix

style:				## checkpatch, sparse, clang-format and their like
	.ci/style

docs:				## is what README.md and docs/ say still so? (QUICK=1, KERNEL)
	testhost/docs

bench:				## KVM and kvmfd side by side, in instructions (QUICK=1, AGAINST=FILE, KERNEL)
	testhost/bench

bench-vmms:			## requests a second of guests, on KVM alone, by kvmfd and under `kvmfd run` (ROUNDS, KERNEL)
	testhost/bench-vmms

shell:				## a shell in the test host, with the module, the tool and a guest for kvmfd-vmm
	testhost/shell

clean:				## remove build/
	rm -rf build

help:				## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 25

export EVENTFD NOTIFY CPUS QUEUES IRQ APIC ROUTES TESTS KERNEL AGAINST STEPS ROUNDS SEED \
	MINUTES CALLS GUIDE PROGRAMS SUPERVISED QUICK
.PHONY: all module vmm tools selftests benchmark install install-tools install-source deb run \
	check check-guests check-vmms check-vmx check-tracing-tools check-debug check-supervised \
	check-kcsan check-sanitize check-matrix coverage soak fuzz fuzz-abi style docs bench \
	bench-vmms shell clean help
