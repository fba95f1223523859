# SPDX-License-Identifier: GPL-2.0
# What `kvmfd run` reports of a VMM, kvmfd-vmm of itself, or null on KVM alone, and the
# kprobes' hits become the result of that VMM: who served its notifications, and what is
# wrong with that.
#
# What is wanted comes in $eventfd, $expected (who signals the guest's interrupts) and
# $wanted, what the guest said of its interrupts in $controller, what else is wrong in
# $problems.

def sum(f): map(f // 0) | add // 0;

def counted_by_kvmfd:
	[.vms[].entries[]] as $entries |
	($entries | map(select(.kind == "irqfd"))) as $irqfds |
	{
		kicks: ($entries | sum(.hits)),
		calls: ($irqfds | sum(.inline + .deferred)),
		resamples: ($irqfds | map(select(.resample)) | sum(.inline + .deferred))
	};

def counted_by_kvmfd_vmm: {
	kicks: (.queues | sum(.hits)),
	calls: (.queues | sum(.inline) + sum(.deferred))
};

def counted_by_kvm: {
	kicks: $probes.ioeventfd_write,
	calls: $probes.irqfd_wakeup,
	resamples: $probes.irqfd_resampler_ack
};

($problems | split("\n") | map(select(. != ""))) as $problems |
($wanted | split(",")) as $wanted |
. as $report |
(if $eventfd == "kvm" then counted_by_kvm
 elif . == null then {}
 elif $eventfd == "direct" then counted_by_kvmfd_vmm
 else counted_by_kvmfd end) as $counts |
{
	name: $name,
	controller: $controller,
	seconds: $seconds,
	native: ($probes | {kvm_ioeventfd, kvm_irqfd}),
	refused: .refused?
} + $counts |
def expectations:
	["the guest has its interrupts from \($controller)", 
	 ($controller | startswith($expected))],
	if $eventfd == "kvm" then
		["KVM's own ioeventfd was not called", .native.kvm_ioeventfd > 0],
		["KVM's own irqfd was not called",
		 .native.kvm_irqfd > 0 or ($wanted | index("calls") | not)]
	else
		["there is no report", $report != null],
		["KVM's own ioeventfd or irqfd was called",
		 .native.kvm_ioeventfd == 0 and .native.kvm_irqfd == 0],
		["`kvmfd run` says that it let a call through to KVM",
		 ($report.native? | . == null or add == 0)],
		["an entry is left", ([$report.vms[]?.entries[]?.removed] | all)]
	end,
	["no kick was counted", .kicks > 0 or ($wanted | index("kicks") | not)],
	["no call was counted", .calls > 0 or ($wanted | index("calls") | not)],
	["no more than 100 level-triggered calls were counted",
	 .resamples > 100 or ($wanted | index("resamples") | not)];
.failed = $problems + [expectations | select(.[1] | not) | .[0]]
