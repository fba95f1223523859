# SPDX-License-Identifier: GPL-2.0
#
# In: a kernel's log.  Out: the same without those of KCSAN's reports in which no
# function of kvmfd's stands, but for what an interrupt came to.  With others=FILE, their
# titles go there.  What another CPU complained of meanwhile stays.

function end_report() {
	if (ours) {
		printf "%s", report
	} else {
		printf "%s", alien
		if (others)
			print title >others
	}
	title = ""
}

BEGIN {
	complaint = "( BUG|WARNING|Oops|INFO|KASAN|KFENCE|UBSAN|refcount_t):|Call Trace:|" \
		"Kernel panic|general protection fault"
}

/BUG: KCSAN: / {
	if (title)
		end_report()
	title = $0
	sub(/.*KCSAN: /, "", title)
	report = alien = ""
	ours = interrupted = 0
}

title {
	report = report $0 "\n"
	# Above it is what the interrupt did.
	if (/ asm_sysvec_/)
		interrupted = 1
	else if (/ (read|write)[^:]* to 0x/)
		interrupted = 0
	if (/\[kvmfd\]/ && !interrupted)
		ours = 1
	if (!/KCSAN/ && match($0, complaint))
		alien = alien $0 "\n"
	if (/==============================/)
		end_report()
	next
}

{ print }

END {
	if (title)
		end_report()
}
