#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# kvmfd list, top, stat, metrics and latency: what they say of a VM of which each count is
# known (watched.c).  Runs in the test host, which has /kvmfd and /watched; leaves the
# metrics in /out for tools that know how they have to look.

# shellcheck disable=SC2016 # what is in single quotes is for another shell
# shellcheck disable=SC2317 # functions are called by run

kvmfd=/kvmfd
watched=/watched
dir=$(mktemp -d)
chmod 755 "$dir"
n=0
failed=0

# The tests below, so that a script that dies is noticed.
echo "1..$(grep -cE '^(is|has|says|holds) ' "$0")"

result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n $name"
	else
		failed=1
		for file in "$dir/out" "$dir/err" "$dir/wanted"; do
			echo "# $(basename "$file"), status $status:"
			sed 's/^/#   /' "$file"
		done
		echo "not ok $n $name"
	fi
}

run() {
	name=$1
	shift
	case $1 in
	http | removed | table | wait) "$@" ;;
	*) timeout 60 "$@" ;;
	esac >"$dir/out" 2>"$dir/err" </dev/null
	status=$?
}

# is NAME COMMAND...: what it writes, without what differs each time, is the input.
is() {
	cat >"$dir/wanted"
	run "$@"
	sed -i -E "s/process $pid /process PID /; s/attachment [0-9]+/attachment N/; s/ +$//" \
		"$dir/out"
	[ $status = 0 ] && [ ! -s "$dir/err" ] && cmp -s "$dir/wanted" "$dir/out"
	result $?
}

# has NAME COMMAND...: what it writes has each line of the input somewhere, spaces and
# newlines apart.
has() {
	tr -d ' ' >"$dir/wanted"
	run "$@"
	tr -d ' \r\n' <"$dir/out" >"$dir/flat"
	while [ "$status" = 0 ] && read -r line; do
		grep -qF -e "$line" "$dir/flat" || status="no $line"
	done <"$dir/wanted"
	[ "$status" = 0 ]
	result $?
}

# says NAME STATUS TEXT COMMAND...: it ends so, after one line with the text on stderr.
says() {
	name=$1
	wanted=$2
	text=$3
	shift 3
	echo "status $wanted, $text" >"$dir/wanted"
	run "$name" "$@"
	[ $status = "$wanted" ] && [ "$(wc -l <"$dir/err")" = 1 ] &&
		grep -q '^kvmfd: ' "$dir/err" && grep -qE -e "$text" "$dir/err"
	result $?
}

# holds NAME COMMAND...: it succeeds.
holds() {
	: >"$dir/wanted"
	run "$@"
	result $status
}

# start FILE COMMAND...: in the background, its input a fifo that fd 4 writes to, until it
# has written a line.  Sets pid.
start() {
	log=$1
	shift
	rm -f "$dir/in"
	mkfifo "$dir/in"
	"$@" <"$dir/in" >"$log" 2>&1 4>&- &
	pid=$!
	exec 4>"$dir/in"
	await "$log"
}

# await FILE [TEXT]: until a line with it is there; limits are the test's own.
await() {
	until grep -q "${2-.}" "$1"; do
		kill -0 "$pid" 2>/dev/null || break
		usleep 50000
	done
}

finish() {
	exec 4>&-
	wait "$pid"
}

# --- a VM whose process uses kvmfd by itself

start "$dir/log" $watched
is list $kvmfd list <<END
process PID watched, attachment N, attached
3 of 1048576 doorbells, 2 irqfds; of those removed: 6 hits, 1 inline, 0 deferred
ID  KIND       WHERE                          HITS  INLINE  DEFERRED
 1  ioeventfd  pio 0xe0/2 =0x1                   3       -         -
 2  ioeventfd  mmio 0xc0000000/any               5       -         -
 3  ioeventfd  mmio 0xc0000100/4 =0x10 &0xf0     2       -         -
 5  irqfd      gsi 24 msi 0xfee00000/0x40        -       4         0
 6  irqfd      gsi 20 ioapic 20                  -       0         2
END
cp "$dir/wanted" "$dir/list"
is list_pid $kvmfd list --pid 1 --pid "$pid" <"$dir/list"
has list_json $kvmfd list --json <<END
"pid":$pid,"comm":"watched","state":"attached","attacher":$pid,"foreign":false,
"ioeventfds":3,"max_ioeventfds":1048576,"irqfds":2,
"retired":{"hits":6,"inline":1,"deferred":0},"entries":[{"id":1,
{"id":1,"kind":"ioeventfd","bus":"pio","addr":"0xe0","len":2,"data":"0x1","hits":3}
{"id":2,"kind":"ioeventfd","bus":"mmio","addr":"0xc0000000","len":0,"hits":5}
"len":4,"data":"0x10","mask":"0xf0","hits":2}
"route":"msi","msi_addr":"0xfee00000","msi_data":"0x40","inline":4,"deferred":0}
"route":"pins","pins":{"ioapic":20},"inline":0,"deferred":2}]}],"refused":0}
END
is list_other_process $kvmfd list --pid 1 </dev/null
# Before there is more to count.
$kvmfd metrics >/out/metrics.openmetrics
$kvmfd metrics --prometheus >/out/metrics.prometheus
says list_no_process 125 'no process 4194000' $kvmfd list --pid 4194000
says list_bad_pid 125 "'-3'" $kvmfd list --pid -3
says list_argument 125 "'x'" $kvmfd list x
says no_such_option 125 'no such option: --nonsense' $kvmfd top --nonsense
says bad_interval 125 "'0'" $kvmfd top --interval 0

# Processes come and go meanwhile, their directories too.
(while :; do (true) & done) &
churn=$!
holds list_while_processes_go sh -c 'for i in $(seq 15); do
	/kvmfd list >/tmp/some && grep -q "process .* watched" /tmp/some || exit 1; done'
kill $churn

# Without PID, whose width differs.
is top_idle sh -c '/kvmfd top --once --interval 0.1 | sed -E "s/ +[0-9]+  watched/  watched/; 1d"' <<END
 0.0      5       -  watched  ioeventfd  mmio 0xc0000000/any
 0.0      4       -  watched  irqfd      gsi 24 msi 0xfee00000/0x40
 0.0      3       -  watched  ioeventfd  pio 0xe0/2 =0x1
 0.0      2       -  watched  ioeventfd  mmio 0xc0000100/4 =0x10 &0xf0
 0.0      2       -  watched  irqfd      gsi 20 ioapic 20
END
echo ring >&4
holds top_rings sh -c '/kvmfd top | awk "{ print } NR == 2 && \$1 > 0 && / ioeventfd  pio 0xe0/ { n++ }
	NR > 2 && \$1 == \"0.0\" { n++ } END { exit n != 5 || NR != 6 }"'
: >"$dir/log"
echo signal >&4
await "$dir/log"
holds top_deferred sh -c '/kvmfd top --once --interval 1 |
	awk "{ print } NR == 2 && \$1 > 0 && \$3 == 100 && / irqfd  .*ioapic 20/ { n++ } END { exit !n }"'
holds latency sh -c '/kvmfd latency --seconds 1 | tee /dev/stderr | awk "/irqfd 6, gsi 20 ioapic 20\$/ { n++ }
	/^[0-9]+ interrupts, on average .*, at most / { n++; count = \$1 }
	/ [0-9]+  #+\$/ { sum += \$5 } END { exit n != 2 || !count || sum != count }"'
: >"$dir/log"
echo stop >&4
await "$dir/log"
has latency_none $kvmfd latency --seconds 0.1 <<END
2 irqfds: no interrupt was deferred
END
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
holds top_screen $watched screen $kvmfd top --interval 0.3
umount /dev/pts
cp "$dir/out" "$dir/screen"
has top_screen_is_left cat "$dir/screen" <<END
$(printf '[?1049h')
$(printf '[?1049l')
END

# --- metrics

has metrics cat /out/metrics.openmetrics <<END
# TYPE kvmfd_doorbell_hits counter
kvmfd_doorbell_hits_total{pid="$pid",comm="watched",attachment="
id="2",bus="mmio",addr="0xc0000000",len="0"}5
id="3",bus="mmio",addr="0xc0000100",len="4",data="0x10",mask="0xf0"}2
id="5",gsi="24"}4
"}6
"}1048576
# EOF
END
has metrics_prometheus cat /out/metrics.prometheus <<END
# TYPE kvmfd_doorbell_hits_total counter
# TYPE kvmfd_doorbells gauge
id="2",bus="mmio",addr="0xc0000000",len="0"}5
END
says metrics_not_everywhere 125 '0.0.0.0:80 is no loopback' $kvmfd metrics --listen 0.0.0.0:80
says metrics_not_on_a_net 125 'is no loopback address' $kvmfd metrics --listen '[2001:db8::1]:80'
says metrics_bad_address 125 "'localhost'" $kvmfd metrics --listen localhost
says metrics_bad_port 125 "'127.0.0.1:75000'" $kvmfd metrics --listen 127.0.0.1:75000
says metrics_one_format 125 'client chooses' $kvmfd metrics --prometheus --listen 127.0.0.1:1

ip link set lo up
watched_pid=$pid
$kvmfd metrics --listen 127.0.0.1:9464 >"$dir/http" 2>&1 4>&- &
pid=$!
await "$dir/http" listening

# http REQUEST: the answer to it, with its headers.  printf knows what it is.
http() {
	# shellcheck disable=SC2059
	printf "$1" | timeout 40 nc 127.0.0.1 9464
}

says metrics_port_in_use 125 'in use' $kvmfd metrics --listen 127.0.0.1:9464
get='GET /metrics HTTP/1.1\r\nHost: x\r\n'
has http_get http "$get\r\n" <<END
HTTP/1.1 200 OK
Content-Type: text/plain; version=0.0.4; charset=utf-8
addr="0xc0000000",len="0"}5
END
has http_openmetrics http "${get}Accept: application/openmetrics-text;version=1.0.0,*/*\r\n\r\n" <<END
Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8
addr="0xc0000000",len="0"}5
# EOF
END
holds http_head sh -c 'printf "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n" | nc 127.0.0.1 9464 |
	tee /dev/stderr | awk "/^HTTP.1.1 200/ { ok = 1 } END { exit !ok || NR > 8 }"'
has http_post http 'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello' <<END
HTTP/1.1 405
Allow: GET, HEAD
END
has http_elsewhere http 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' <<END
HTTP/1.1 404
END
has http_garbage http '\001\002 nonsense\r\n\r\n' <<END
HTTP/1.1 400
END
holds http_endless_header sh -c '(printf "GET /metrics HTTP/1.1\r\n"; yes "X-More: more") |
	timeout 40 nc 127.0.0.1 9464 >/dev/null; test $? != 143'
holds http_endless_body sh -c '(printf "POST /metrics HTTP/1.1\r\nHost: x\r\n"
	printf "Transfer-Encoding: chunked\r\n\r\n"; yes) |
	timeout 40 nc 127.0.0.1 9464 >/dev/null; test $? != 143'
# More of them than are let in, each with a byte now and then: they are cut off in the end.
# All are connected before (24F8 is the port).
holds http_slow sh -c 'for i in $(seq 20); do
		(printf "GET /met"; while sleep 3; do printf x || exit; done) |
			timeout 59 nc 127.0.0.1 9464 >/dev/null &
	done
	until [ "$(grep -c ":24F8 .* 01 " /proc/net/tcp)" -ge 20 ]; do usleep 50000; done
	printf "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" | timeout 40 nc 127.0.0.1 9464 |
		grep -q kvmfd_doorbells'
kill -TERM "$pid"
holds http_ends wait "$pid"
pid=$watched_pid

# --- who may see it

says not_others 0 'processes may not be looked at' $watched user $kvmfd list
says not_others_named 125 "process $pid may not be looked at" $watched user $kvmfd list --pid "$pid"
finish
is list_none $kvmfd list </dev/null
start "$dir/log" $watched user $watched
has own $watched user $kvmfd list --pid "$pid" <<END
process $pid watched,
mmio 0xc0000000/any    5
END
has root_sees_users $kvmfd list <<END
process $pid watched,
END
finish

# --- a VM that kvmfd run serves: the supervisor has the fd

start "$dir/log" $kvmfd run -- $watched kvm
has list_run $kvmfd list --pid "$(pidof watched)" <<END
process $(pidof watched) watched, attachment
attached by process
mmio 0xc0000000/any         5
END
finish

# --- kvmfd stat

# table FILE: without the column of rates and what differs each time, in order.
table() {
	sed -nE 's/^( *[0-9]+  (ioeventfd|irqfd) .*[^ ])  +[0-9.]+$/\1/p' "$1" | sort -n
}

holds stat $kvmfd stat -o "$dir/stat" -- $watched
is stat_table table "$dir/stat" <<END
 1  ioeventfd  pio 0xe0/2 =0x1                   3       -         -
 2  ioeventfd  mmio 0xc0000000/any               5       -         -
 3  ioeventfd  mmio 0xc0000100/4 =0x10 &0xf0     2       -         -
 4  ioeventfd  mmio 0xc0000200/8                 6       -         -
 5  irqfd      gsi 24                            -       4         0
 6  irqfd      gsi 20                            -       0         2
 7  irqfd      gsi 24                            -       1         0
END
has stat_own cat "$dir/stat" <<END
 of its own
END
holds stat_kvm $kvmfd stat -o "$dir/stat" -- $watched kvm
is stat_kvm_table table "$dir/stat" <<END
 1  ioeventfd  pio 0xe0/2 =0x1             3       -         -
 2  ioeventfd  mmio 0xc0000000/any         5       -         -
 3  ioeventfd  mmio 0xc0000100/4 =0x10     2       -         -
 4  ioeventfd  mmio 0xc0000200/8           6       -         -
 5  irqfd      gsi 24                      -       4         0
 6  irqfd      gsi 20                      -       0         2
 7  irqfd      gsi 24                      -       1         0
END
holds stat_json $kvmfd stat --json -o "$dir/stat" -- $watched kvm
has stat_json_entries cat "$dir/stat" <<END
"calls":{"ioeventfd":{"assign":4,"deassign":1},"irqfd":{"assign":3,"deassign":1}},
"comm":"watched","own":false,
"addr":"0xc0000200","len":8,"hits":6,"removed":true}
END
# removed FILE TOLD FORGOTTEN: so many, of which the report tells some, and how many not.
removed() {
	gone=$(grep -c '"removed": true' "$1")
	forgotten=$(sed -n 's/.*"forgotten": \([0-9]*\).*/\1/p' "$1")
	echo "told $gone, forgotten $forgotten"
	[ $((gone + ${forgotten:=-1})) = "$2" ] && [ "$forgotten" -le "$3" ]
}

# Nobody tells when it has looked, which it does twice a second.
holds stat_many $kvmfd stat --json -o "$dir/stat" -- sh -c "(echo; sleep 3; echo) | $watched many"
holds stat_keeps_up removed "$dir/stat" 6000 0
# More at once than kvmfd remembers.
holds stat_too_many $kvmfd stat --json -o "$dir/stat" -- sh -c "printf '\n\n\n' | $watched many"
holds stat_forgets removed "$dir/stat" 9000 9000
holds stat_status sh -c '/kvmfd stat -- sh -c "exit 42" 2>/tmp/stat; test $? = 42 &&
	grep -q "no VM on kvmfd" /tmp/stat && grep -q "^[0-9.]* seconds$" /tmp/stat'
holds stat_waits_for_all $kvmfd stat -o "$dir/stat" -- sh -c "(usleep 300000; $watched kvm) &"
has stat_of_all cat "$dir/stat" <<END
mmio 0xc0000200/8           6       -         -
END
says stat_bad_file 125 '/no/such' $kvmfd stat -o /no/such/file -- true
says stat_not_found 127 /no/program $kvmfd stat -o "$dir/stat" -- /no/program
says stat_no_command 125 'no command' $kvmfd stat

rm -r "$dir"
exit $failed
