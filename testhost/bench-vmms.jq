# SPDX-License-Identifier: GPL-2.0
# The results of all rounds become a figure for each guest and backend, and what is wrong.

def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;

def problems:
	.failed[],
	if .requests == 0 then
		"the guest made no request"
	elif .backend == "kvm" then
		select(.native.kvm_irqfd == 0) | "KVM's own irqfd was not called"
	else
		select(.calls < .requests) | "\(.calls) calls for \(.requests) requests"
	end;

# Of one guest.
def figures:
	group_by(.backend) |
	map({case: .[0].case, backend: .[0].backend, rounds: map(.rate)}) |
	map(. + (.rounds | {median: median, min: min, max: max})) |
	(.[] | select(.backend == "kvm")) as $kvm |
	map(.ratio = (.median / $kvm.median * 1000 | round / 1000) |
	    .missing = $kvm.median - .median - ($kvm.max - $kvm.min));

{
	figures: (group_by(.case) | map(figures) | add),
	problems: map("\(.name): \(problems)")
} |
.problems += [.figures[] | select(.missing > 0) |
	"\(.case), \(.backend): \(.median) requests a second, fewer than KVM alone makes" +
	" by more than its rounds lie apart"]
