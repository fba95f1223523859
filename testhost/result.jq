# SPDX-License-Identifier: GPL-2.0
# kvmfd-vmm's statistics and the kprobes' hits become the result of a run: who
# served the notifications, and what is wrong with that.
#
# What has been asked for comes in $eventfd and $notify.

# Who counts: kvmfd where it serves, else the VMM, which knows less.
def queue: {
	queue, requests, bytes_read, bytes_written,
	kicks: (.hits // .kicks_counted),
	kicks_handled,
	calls: (if .inline then .inline + .deferred else .calls end),
	inline, deferred
};

def expectations:
	["no queue was kicked", (.queues | map(.kicks) | add > 0)],
	["no queue called the guest", (.queues | map(.calls) | add > 0)],
	["the disk had I/O errors", .io_errors == 0],
	["kvmfd-vmm ran in another mode", .eventfd == $eventfd and .notify == $notify],
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
		["kvmfd did not count", (.queues | map(.inline != null) | any)]
	else
		empty
	end;

{
	eventfd, notify, files: $files, seconds: $seconds,
	notify_exits, io_errors, native: $native,
	queues: .queues | map(queue)
} |
.failed = [expectations | select(.[1] | not) | .[0]]
