# SPDX-License-Identifier: GPL-2.0
#
# In: a kernel's log.  Out: the same without those of KCSAN's reports in which no
# function of kvmfd's stands, but for what an interrupt came to.  With others=FILE, their
# titles go there.

function end_report() {
	if (ours)
		printf "%s", report
	else if (others)
		print title >others
	title = ""
}

/BUG: KCSAN: / {
	title = $0
	sub(/.*KCSAN: /, "", title)
	report = ""
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
	if (/==============================/)
		end_report()
	next
}

{ print }

END {
	if (title)
		end_report()
}
