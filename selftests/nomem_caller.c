// SPDX-License-Identifier: GPL-2.0-only
/*
 * To make a VM takes longer than to fail its calls, and only the process that has made it
 * can use it: so one process makes the calls of all tests, each of which is told what
 * came of its own.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "fail.h"
#include "nomem.h"

/* More than any call has, and what a grown table of eventfds or the like may add. */
#define MANY_SITES 300

static struct peer caller;

/* What a test asks for, and is told: strings are constants, and so the same for both. */
struct order {
	const struct failing_call *call;
	struct outcome outcome;
};

static struct order *order;

static void __attribute__((constructor)) start_caller(void)
{
	order = mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	TEST_ASSERT(order != MAP_FAILED, "mmap: %m");
	if (fail_possible())
		caller = peer_start();
}

/* --- in the caller ----------------------------------------------------------- */

static struct nomem state;
static bool is_set_up;
static unsigned int users;

static void set_up(void)
{
	if (!is_set_up) {
		fail_setup();
		nomem_setup(&state);
		nomem_reset(&state);
		users = module_users();
		is_set_up = true;
	}
	state.change = order->call->change;
	memset(state.lost, 0, sizeof(state.lost));
}

/* Returns how many use the module then. */
static int clean_up(void)
{
	if (is_set_up)
		nomem_teardown(&state);
	is_set_up = false;
	return module_users();
}

/* The next call is to find all as this one did. */
static void look_for_remains(void)
{
	struct outcome *o = &order->outcome;

	memcpy(o->lost, state.lost, sizeof(o->lost));
	nomem_reset(&state);
	guest_take_interrupts(&state.guest);
	guest_interrupts(&state.guest, CALL_VECTOR);
	/* Tombstones go with the next edit of their bus: so also one of fast MMIO's. */
	must(ioeventfd(state.fd, state.kick, CALL_ADDR, 0, 0, 0), "assign");
	if (!o->wrong && module_users() != users)
		o->wrong = "the module's users";
	if (o->wrong)
		clean_up();
}

static const char *call_wrong(struct nomem *s, const struct failing_call *call, int err)
{
	const char *wrong = others_wrong(s);

	if (!wrong && call->wrong)
		wrong = call->wrong(s, err);
	return wrong;
}

/* The @n-th fails, or all of them if it is 0.  Returns what is wrong then, or NULL. */
static const char *attempt(struct nomem *s, const struct failing_call *call, int n,
			   struct tally *tally)
{
	struct kvmfd_entry before[16] = {}, after[16] = {};
	const char *wrong;
	int i, err;

	nomem_reset(s);
	if (call->prepare)
		call->prepare(s);
	device_entries(s->fd, before, ARRAY_SIZE(before));

	tally->came = true;
	if (n)
		fail_nth(n);
	else
		fail_all(true);
	err = call->make(s);
	if (n)
		tally->came = !fail_nth_left();
	else
		fail_all(false);
	tally->sites += tally->came;

	device_entries(s->fd, after, ARRAY_SIZE(after));
	wrong = call_wrong(s, call, err);
	if (!err || wrong)
		return wrong;

	if (!tally->came || (err != ENOMEM && err != EFAULT) || (err == EFAULT && !n) ||
	    (err == ENOMEM && !call->least))
		return strerror(err);
	tally->no_memory += err == ENOMEM;
	tally->no_copy += err == EFAULT;
	for (i = 0; i < ARRAY_SIZE(before); i++)
		if (before[i].id != after[i].id)
			return "the list";
	err = call->make(s);
	return err ? "the same call, again" : call_wrong(s, call, 0);
}

/*
 * What else allocates meanwhile, slabs or tools that watch the kernel, is not the same
 * each time, and lets one of them slip through: then once more.
 */
#define PASSES 20

/* Stops at the first failure that is not as it should be. */
static struct tally pass(void)
{
	struct tally tally = { .came = true };
	struct outcome *o = &order->outcome;

	for (o->n = 0; tally.came && !o->wrong;) {
		if (++o->n < MANY_SITES)
			o->wrong = attempt(&state, order->call, o->n, &tally);
		else
			o->wrong = "there is no end of them";
	}
	return tally;
}

/* Has all failed that can, in one of the passes? */
static bool is_enough(void)
{
	if (order->call->make == make_native_deassign)
		return state.lost[0] && state.lost[1];

	return order->outcome.tally.no_memory >= order->call->least;
}

static int make_fail_in_turn(void)
{
	struct outcome *o = &order->outcome;
	struct tally tally;
	int passes = 0;

	set_up();
	do {
		tally = pass();
		if (tally.no_memory >= o->tally.no_memory)
			o->tally = tally;
	} while (!o->wrong && !is_enough() && ++passes < PASSES);
	o->all_sites += o->tally.sites;
	look_for_remains();
	return 0;
}

static int make_fail_all_at_once(void)
{
	struct outcome *o = &order->outcome;

	set_up();
	o->wrong = attempt(&state, order->call, 0, &o->tally);
	look_for_remains();
	return 0;
}

/* --- in the tests ------------------------------------------------------------- */

static const struct outcome *ask(const struct failing_call *call, peer_fn how)
{
	order->call = call;
	order->outcome.wrong = NULL;
	order->outcome.tally = (struct tally) {};
	peer_call(&caller, how);
	return &order->outcome;
}

const struct outcome *fail_in_turn(const struct failing_call *call)
{
	return ask(call, make_fail_in_turn);
}

const struct outcome *fail_all_at_once(const struct failing_call *call)
{
	return ask(call, make_fail_all_at_once);
}

int caller_clean_up(void)
{
	return peer_call(&caller, clean_up);
}
