# SPDX-License-Identifier: GPL-2.0
# The results of all rounds become two figures, one for each backend, and what is wrong.

def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;

def figure($backend):
	map(select(.backend == $backend).rate) |
	{backend: $backend, median: median, min: min, max: max, rounds: .};

def problems:
	.failed[],
	if .reads == 0 then
		"the guest read nothing"
	elif .backend == "kvm" then
		select(.native.kvm_irqfd == 0) | "KVM's own irqfd was not called"
	else
		select(.calls < .reads) | "\(.calls) calls for \(.reads) reads"
	end;

{
	kvm: figure("kvm"),
	kvmfd: figure("kvmfd"),
	problems: map("\(.name): \(problems)")
} |
(.kvm.median - .kvmfd.median | fabs) as $difference |
(.kvm.max - .kvm.min) as $spread |
if $difference > $spread then
	.problems += ["the medians are \($difference) reads a second apart; " +
		      "the rounds of KVM alone are \($spread) apart"]
else . end
