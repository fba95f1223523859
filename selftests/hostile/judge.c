// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <linux/kvm.h>
#include <unistd.h>

#include "test_util.h"

#include "hostile/judge.h"
#include "hostile/tally.h"

#define LARGEST 4096

struct tally *tally;

void complain(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* In one piece: other threads and processes may complain as well. */
	dprintf(STDOUT_FILENO, "# %s\n", line);
	tally_add(&tally->faults);
}

static uint32_t word(const struct call *call, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, &call->arg[offset], sizeof(value));
	return value;
}

/* Of a struct of ours: what is wrong with it, whatever the state of things; or 0. */
static int wrong_struct(const struct call *call)
{
	const struct request *r = call->request;
	int err = 0;

	if (call->size < r->first)
		err = EINVAL;
	else if (call->size > LARGEST || (call->tail && call->size > r->size))
		err = E2BIG;
	else if (call->flags & ~r->flags || (r->reserved && word(call, r->reserved)))
		err = EINVAL;
	return err;
}

static bool wrong_flags_of_kvm(const struct call *call)
{
	uint32_t flags;

	if (call->request->number == KVM_IRQFD) {
		flags = word(call, offsetof(struct kvm_irqfd, flags));
		return flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE);
	}
	flags = word(call, offsetof(struct kvm_ioeventfd, flags));
	return flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK && !(flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static bool unreadable(const struct call *call)
{
	return call->place == PLACE_FORBIDDEN || call->place == PLACE_NULL ||
	       call->place == PLACE_KERNEL;
}

static bool is_request(unsigned long number)
{
	unsigned int i;

	for (i = 0; i < REQUESTS; i++)
		if (number == requests[i].number)
			return true;
	return false;
}

/* The only answer that can be right, or 0 if there is more than one. */
static int only_answer(const struct call *call)
{
	int err = 0;

	if (!is_request(call->number))
		err = ENOTTY;
	else if (call->number != call->request->number || !call->request->first || call->fail)
		err = 0;
	else if (unreadable(call))
		err = EFAULT;
	else if (call->place == PLACE_GOOD)
		err = wrong_struct(call);
	return err;
}

static bool must_fail(const struct call *call)
{
	if (only_answer(call) || unreadable(call))
		return true;
	return call->number == call->request->number && !call->request->first &&
	       wrong_flags_of_kvm(call);
}

static bool is_known_error(const struct request *r, int err)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r->errors) && r->errors[i]; i++)
		if (err == r->errors[i])
			return true;
	return err == EFAULT;
}

void judge(const struct call *call, const struct answer *answer)
{
	const char *name = call->request->name, *said = strerrorname_np(answer->err);
	int only = only_answer(call);

	if (!answer->err && must_fail(call))
		complain("%s (%#lx) succeeded, and could not", name, call->number);
	if (answer->stray)
		complain("%s (%#lx) wrote where it may not: %s", name, call->number, said);
	if (!answer->by_kvmfd)
		return;

	if (answer->err && answer->before != answer->after)
		complain("%s failed with %s, and there are %lu doorbells where %lu were", name,
			 said, answer->after, answer->before);
	if (only && answer->err != only)
		complain("%s (%#lx): %s, not %s", name, call->number, said,
			 strerrorname_np(only));
	if (call->number != call->request->number)
		return;
	if (!answer->err)
		tally_add(&tally->granted[call->request - requests]);
	else if (!is_known_error(call->request, answer->err))
		complain("%s: %s is no answer of it", name, said);
}
