# SPDX-License-Identifier: GPL-2.0
# Counts the cases in the TAP output of one test and shows what failed.
#
# In: test (name), status, seconds, limit (of the test's run; status "" if it did
# not end).  Out: readable lines, then "N N N": passed, failed, skipped.

function fail(what) {
	failed++
	lines = lines "  not ok: " what "\n" told
	told = ""
}

/^1\.\.[0-9]+/ {
	planned = 1
	plan = substr($1, 4) + 0
	if (plan == 0)
		skipped++
}
/^ok / {
	results++
	if (toupper($0) ~ /# *SKIP/)
		skipped++
	else
		passed++
	told = ""
	next
}
/^not ok / {
	results++
	sub(/^not ok [0-9]* *(- )?/, "")
	fail($0)
	next
}
/^Bail out!/ {
	fail($0)
	next
}
{
	told = told "    " $0 "\n"
}

END {
	if (status == "")
		fail("did not run to its end")
	else if ((status == 143 || status == 137) && seconds >= limit)
		fail("no end after " limit " s")
	else if (!planned)
		fail("ended without a plan, with status " status)
	else if (results != plan)
		fail(results + 0 " results where " plan " were planned, status " status)
	# 4 is what the harness ends with if all was skipped.
	else if (status != 0 && !failed && !(skipped && status == 4))
		fail("ended with status " status)
	while ((getline line < kernel) > 0)
		complaints = complaints "    " line "\n"
	if (complaints) {
		told = complaints
		fail("the kernel complained")
	}
	if (passed + failed + skipped == 0)
		fail("has no cases")
	printf "%s: %d passed, %d failed, %d skipped (%d s)\n%s", test,
		passed, failed, skipped, seconds, lines
	print passed + 0, failed + 0, skipped + 0
}
