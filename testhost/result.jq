# SPDX-License-Identifier: GPL-2.0
# kvmfd-vmm's statistics and the kprobes' hits become the result of a guest: who
# served the notifications, and what is wrong with that.
#
# What has been asked for comes in $eventfd to $routes, what the guest said of its
# interrupts in $controller and $routing, what else is wrong in $problems.

# Who counts: kvmfd where it serves, else the VMM, which knows less.  Of INTx all
# queues share the one line, which tells its own figures.
def queue: {
	queue, requests, bytes_read, bytes_written,
	kicks: (.hits // .kicks_counted),
	kicks_handled,
	calls: (if .inline then .inline + .deferred else .calls end),
	inline, deferred
};

def sum(f): map(f // 0) | add;

def figures: {
	eventfd, notify, notify_exits, io_errors, route_changes,
	queues: .queues | map(queue)
} + if $irq == "msi" then {
	inline: .queues | sum(.inline),
	deferred: .queues | sum(.deferred)
} else
	.intx | { raised, inline, deferred, resamples }
end;

def expectations:
	["no queue was kicked", (.queues | sum(.kicks) > 0)],
	["no queue called the guest", (.queues | sum(.calls) > 0)],
	["a queue did not call the guest",
	 $queues > $cpus or (.queues | map(.calls > 0) | all)],
	["the disk had I/O errors", .io_errors == 0],
	["kvmfd-vmm ran in another mode", .eventfd == $eventfd and .notify == $notify],
	["the guest has its interrupts from \($controller)",
	 ($controller | startswith({msi: "PCI-MSI", ioapic: "IO-APIC", pic: "XT-PIC"}[$irq]))],
	["the guest's APIC routing is \($routing)",
	 $routing == {flat: "flat", physical: "physical flat", x2apic: "physical x2apic"}[$apic]],
	if $eventfd == "off" then
		["no kick exited to user space", .notify_exits > 0]
	else
		["kicks exited to user space", .notify_exits == 0]
	end,
	if $eventfd == "kvm" then
		["KVM's own ioeventfd or irqfd was not called",
		 .native.kvm_ioeventfd > 0 and .native.kvm_irqfd > 0]
	else
		["KVM's own ioeventfd or irqfd was called",
		 .native.kvm_ioeventfd == 0 and .native.kvm_irqfd == 0]
	end,
	if $eventfd == "kvmfd" then
		["kvmfd did not count", .inline + .deferred > 0]
	else
		empty
	end,
	if $eventfd == "kvmfd" and $irq == "msi" then
		["less than 99.9 % of the MSIs went inline",
		 .inline >= 999 * .deferred]
	else
		empty
	end,
	if $eventfd == "kvmfd" and $irq != "msi" then
		["the line was not raised by the worker each time",
		 .inline == 0 and .deferred == .raised]
	else
		empty
	end,
	if $eventfd != "off" and $irq != "msi" then
		# A line that was raised just before the acknowledgment is raised again.
		["the line was acknowledged less than once in two times",
		 .resamples > 100 and .resamples * 2 >= .raised]
	else
		empty
	end,
	if $routes == "changing" then
		["routes have hardly changed", .route_changes > 100]
	else
		["routes have changed", .route_changes == 0]
	end;

($problems | split("\n") | map(select(. != ""))) as $problems |
{name: $name, irq: $irq, apic: $apic, routes: $routes, files: $files, native: $native} +
if . == null then
	{failed: ($problems + ["there are no statistics"])}
else
	figures + {native: $native} |
	.failed = $problems + [expectations | select(.[1] | not) | .[0]]
end
