#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# kvmfd-vmm and bad input: one clear line on standard error, exit status 1.
# Runs in the test host, which has /kvmfd-vmm and a kernel in /vmlinuz.

vmm=/kvmfd-vmm
dir=$(mktemp -d)
n=0
failed=0

# The tests below, so that a script that dies is noticed.
echo "1..$(grep -c '^refused ' "$0")"

# refused NAME TEXT ARG...: kvmfd-vmm ARG... says one line that has TEXT in it,
# and where to find help if the options are wrong.
refused() {
	name=$1
	text=$2
	shift 2
	n=$((n + 1))

	timeout 20 $vmm "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	lines=$(grep -vc "^Try 'kvmfd-vmm --help'" "$dir/err")
	if [ $status = 1 ] && [ ! -s "$dir/out" ] && [ "$lines" = 1 ] &&
	   grep -q '^kvmfd-vmm: ' "$dir/err" && grep -qF -e "$text" "$dir/err"; then
		echo "ok $n $name"
	else
		failed=1
		echo "# status $status, wanted 1 and a line with '$text':"
		sed 's/^/# /' "$dir/out" "$dir/err"
		echo "not ok $n $name"
	fi
}

truncate -s 1M "$dir/disk"
truncate -s 100 "$dir/tiny"
head -c 1000 /vmlinuz >"$dir/header"
head -c 100000 /vmlinuz >"$dir/half"
head -c 200000 /dev/zero >"$dir/zeros"
: >"$dir/empty"

refused no_arguments --kernel
refused unknown_option --nonsense --nonsense
refused stray_argument stray --kernel /vmlinuz --disk "$dir/disk" stray
refused missing_kernel /no/kernel --kernel /no/kernel --disk "$dir/disk"
refused empty_kernel "$dir/empty" --kernel "$dir/empty" --disk "$dir/disk"
refused truncated_header "$dir/header" --kernel "$dir/header" --disk "$dir/disk"
refused truncated_kernel "$dir/half" --kernel "$dir/half" --disk "$dir/disk"
refused not_a_kernel "$dir/zeros" --kernel "$dir/zeros" --disk "$dir/disk"
refused kernel_is_a_directory "$dir" --kernel "$dir" --disk "$dir/disk"
refused missing_initrd /no/initrd --kernel /vmlinuz --initrd /no/initrd --disk "$dir/disk"
refused missing_disk /no/disk --kernel /vmlinuz --disk /no/disk
refused disk_is_a_directory "$dir" --kernel /vmlinuz --disk "$dir"
refused disk_below_a_sector "$dir/tiny" --kernel /vmlinuz --disk "$dir/tiny"
refused no_cpus --cpus --kernel /vmlinuz --disk "$dir/disk" --cpus 0
refused too_many_cpus --cpus --kernel /vmlinuz --disk "$dir/disk" --cpus 17
refused too_many_queues --queues --kernel /vmlinuz --disk "$dir/disk" --queues 9
refused memory_not_a_number --memory --kernel /vmlinuz --disk "$dir/disk" --memory much
refused unknown_eventfd --eventfd --kernel /vmlinuz --disk "$dir/disk" --eventfd maybe
refused unknown_notify --notify --kernel /vmlinuz --disk "$dir/disk" --notify never
refused stats_cannot_be_written /no/stats --kernel /vmlinuz --disk "$dir/disk" --stats /no/stats

mv /dev/kvmfd /dev/kvmfd.away
refused no_kvmfd /dev/kvmfd --kernel /vmlinuz --disk "$dir/disk"
mv /dev/kvmfd.away /dev/kvmfd

mv /dev/kvm /dev/kvm.away
refused no_kvm /dev/kvm --kernel /vmlinuz --disk "$dir/disk"
mv /dev/kvm.away /dev/kvm

rm -rf "$dir"
exit $failed
