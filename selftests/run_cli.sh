#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The command line of kvmfd: exit statuses, and one clear line on standard error for what
# is wrong.  Runs in the test host, which has /kvmfd.

# shellcheck disable=SC2016 # what is in single quotes is for the inner shell

kvmfd=/kvmfd
dir=$(mktemp -d)
n=0
failed=0

# The tests below, so that a script that dies is noticed.
echo "1..$(grep -cE '^(ends|says) ' "$0")"

result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n $name"
	else
		failed=1
		echo "# status $status, wanted $wanted and a line with '$text':"
		sed 's/^/# /' "$dir/out" "$dir/err"
		echo "not ok $n $name"
	fi
}

# ends NAME STATUS COMMAND...: it ends so, and says nothing.  The shell may, of a signal.
ends() {
	name=$1
	wanted=$2
	text=
	shift 2
	timeout 20 "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	[ $status = "$wanted" ] && [ ! -s "$dir/out" ] &&
		! grep -qvxE 'Killed|Terminated' "$dir/err"
	result $?
}

# says NAME STATUS TEXT COMMAND...: it ends so, after a line with the text.
says() {
	name=$1
	wanted=$2
	text=$3
	shift 3
	timeout 20 "$@" >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
	[ $status = "$wanted" ] && [ ! -s "$dir/out" ] &&
		[ "$(wc -l <"$dir/err")" = 1 ] && grep -q '^kvmfd: ' "$dir/err" &&
		grep -qF -e "$text" "$dir/err"
	result $?
}

echo text >"$dir/no_program"

ends succeeds 0 $kvmfd run -- true
ends fails 1 $kvmfd run false
ends other_status 42 $kvmfd run -- sh -c 'exit 42'
ends arguments 0 $kvmfd run -- sh -c 'test "$1" = "a b"' sh 'a b'
ends killed 137 $kvmfd run -- sh -c 'kill -KILL $$'
ends terminated 143 $kvmfd run -- sh -c 'kill -TERM $$'
ends reported 0 $kvmfd run --report "$dir/report" -- true
ends left_behind 3 $kvmfd run -- sh -c 'sleep 5 & exit 3'
ends signal_mask 0 $kvmfd run -- grep -q 'SigBlk:.0000000000000000' /proc/self/status
ends only_standard_fds 0 $kvmfd run -- sh -c 'test "$(ls /proc/self/fd | wc -l)" = 4'
ends no_standard_fds 3 sh -c "$kvmfd run -- sh -c 'sleep 2 & exit 3' <&- >&- 2>&-"
ends closed_stays_closed 0 sh -c "$kvmfd run -- sh -c 'test ! -e /proc/self/fd/0' <&-"
ends abort_is_handed_on 7 sh -c '
	"$0" run -- sh -c "trap \"exit 7\" ABRT; : >\"$1\"; while :; do usleep 50000; done" &
	until [ -e "$1" ]; do usleep 50000; done
	kill -ABRT $!
	wait $!' $kvmfd "$dir/ready"
says no_command 125 'no command' $kvmfd run
says unknown_option 125 --nonsense $kvmfd run --nonsense true
says unknown_letters 125 ': -j' $kvmfd list -json
says option_without_value 125 --report $kvmfd run --report
says wrong_kind 125 nothing $kvmfd run --only nothing true
says not_found 127 /no/such $kvmfd run -- /no/such
says not_executable 126 no_program $kvmfd run -- "$dir/no_program"
says bad_report 0 /no/such $kvmfd run --report /no/such/report -- true
mount --bind /dev/null /dev/kvmfd
says no_kvmfd 125 /dev/kvmfd $kvmfd run -- true
says no_kvmfd_fallback 0 KVM $kvmfd run --fallback -- true
umount /dev/kvmfd

rm -r "$dir"
exit $failed
