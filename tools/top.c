// SPDX-License-Identifier: GPL-2.0-only
/* kvmfd top: how often each doorbell is rung and each irqfd signalled, the busiest first. */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "watch.h"

/**
 * struct row - an entry, in the table
 * @vm: of this one
 * @entry: the entry
 * @rate: events per second
 * @deferred: the share of them that went by a worker, in percent; below 0 if there is none
 */
struct row {
	const struct seen *vm;
	const struct kvmfd_entry *entry;
	double rate;
	double deferred;
};

/**
 * struct shown - what is on the screen
 * @look: what there was
 * @rows: that, sorted
 * @nr: how many
 * @since: the moment
 */
struct shown {
	struct look look;
	struct row *rows;
	size_t nr;
	double since;
};

static struct termios terminal;
static bool terminal_changed;

static void show_help(void)
{
	puts("usage: kvmfd top [--pid PID]... [--interval SECONDS] [--once]\n"
	     "\n"
	     "Shows how often a second each doorbell is rung and each irqfd signalled, the busiest\n"
	     "first, until q is pressed.  DEFER% is the share of an irqfd's events that went by\n"
	     "a worker instead of becoming an interrupt at once.\n"
	     "\n"
	     "  --pid PID           only those of this process; can be given several times\n"
	     "  --interval SECONDS  how long a table is for (default: 2)\n"
	     "  --once              one table, of all, as plain text; so it is if the output\n"
	     "                      is no terminal");
}

static const struct seen *same_vm(const struct look *l, const struct seen *vm)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (l->vms[i].info.attachment == vm->info.attachment)
			return &l->vms[i];
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	uint64_t one = ((const struct kvmfd_entry *)a)->id;
	uint64_t other = ((const struct kvmfd_entry *)b)->id;

	return one < other ? -1 : one > other;
}

/* What was not there before has done all that it did since. */
static struct row row_of(const struct seen *vm, const struct kvmfd_entry *e,
			 const struct seen *before, double seconds)
{
	struct row row = { .vm = vm, .entry = e, .deferred = -1 };
	struct kvmfd_entry *old = NULL;
	uint64_t total = entry_total(e), deferred = e->deferred_calls;

	if (before && before->nr)
		old = bsearch(e, before->entries, before->nr, sizeof(*e), by_id);
	if (old) {
		total -= entry_total(old);
		deferred -= old->deferred_calls;
	}
	row.rate = total / seconds;
	if (e->kind == KVMFD_ENTRY_IRQFD && total)
		row.deferred = 100.0 * deferred / total;
	return row;
}

static int by_rate(const void *a, const void *b)
{
	const struct row *one = a, *other = b;
	uint64_t total = entry_total(one->entry), others = entry_total(other->entry);

	if (one->rate != other->rate)
		return one->rate > other->rate ? -1 : 1;
	if (total != others)
		return total > others ? -1 : 1;
	if (one->vm != other->vm)
		return one->vm < other->vm ? -1 : 1;
	return by_id(one->entry, other->entry);
}

static struct row *compare(const struct look *before, const struct look *l, double seconds,
			   size_t *nr)
{
	const struct seen *old;
	struct row *rows;
	size_t i, j;

	*nr = 0;
	for (i = 0; i < l->nr; i++)
		*nr += l->vms[i].nr;
	rows = must_alloc((*nr + 1) * sizeof(*rows));
	*nr = 0;
	for (i = 0; i < l->nr; i++) {
		old = same_vm(before, &l->vms[i]);
		for (j = 0; j < l->vms[i].nr; j++)
			rows[(*nr)++] = row_of(&l->vms[i], &l->vms[i].entries[j], old, seconds);
	}
	qsort(rows, *nr, sizeof(*rows), by_rate);
	return rows;
}

static void print_rows(const struct row *rows, size_t nr, unsigned int width, const char *end)
{
	static const char *const headings[] = {
		">RATE",
		">TOTAL",
		">DEFER%",
		">PID",
		"COMMAND",
		"KIND",
		"WHERE",
	};
	struct table *t = table_new(headings, ARRAY_SIZE(headings));
	char where[WHERE_SIZE];
	size_t i;

	for (i = 0; i < nr; i++) {
		entry_where(rows[i].entry, where);
		table_add(t, "%.1f", rows[i].rate);
		table_add(t, "%llu", (unsigned long long)entry_total(rows[i].entry));
		if (rows[i].deferred < 0)
			table_add(t, "-");
		else
			table_add(t, "%.0f", rows[i].deferred);
		table_add(t, "%d", rows[i].vm->pid);
		table_add(t, "%s", rows[i].vm->comm);
		table_add(t, "%s", entry_kind(rows[i].entry));
		table_add(t, "%s", where);
	}
	table_print(t, stdout, width, UINT_MAX, end);
	table_free(t);
}

static void print_screen(const struct shown *s)
{
	struct winsize size = {};
	double all = 0;
	size_t i, most;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		size = (struct winsize) { .ws_col = 80, .ws_row = 24 };
	for (i = 0; i < s->nr; i++)
		all += s->rows[i].rate;
	/* But for a line before, the headings, and a line that is not ended: it would scroll. */
	most = size.ws_row > 3 ? size.ws_row - 3 : 0;
	printf("\033[H%.*s\033[K\r\n", size.ws_col - 1, "kvmfd top: q ends");
	/* What follows a last column would be put upon it. */
	print_rows(s->rows, s->nr < most ? s->nr : most, size.ws_col - 1, "\033[K\r\n");
	if (size.ws_col >= 60)
		printf("%zu VMs, %.1f events a second", s->look.nr, all);
	fputs("\033[K\033[J", stdout);
	fflush(stdout);
}

static void terminal_leave(void)
{
	if (!terminal_changed)
		return;
	terminal_changed = false;
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
}

/* A screen of our own without a cursor, and keys as they are pressed. */
static void terminal_enter(void)
{
	struct termios keys = terminal;

	keys.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &keys);
	fputs("\033[?1049h\033[?25l", stdout);
	terminal_changed = true;
}

static void refresh(struct shown *s, const struct pids *pids)
{
	struct look l;
	double at;
	int err;

	err = look(&l, pids, NULL);
	if (err) {
		/* Or what it says goes with the screen. */
		terminal_leave();
		look_failed(err);
	}
	at = now();
	free(s->rows);
	s->rows = compare(&s->look, &l, at - s->since, &s->nr);
	look_free(&s->look);
	s->look = l;
	s->since = at;
}

/* Is it to end?  No more input is as good as a q. */
static bool is_end(int what)
{
	char key;

	if (what == INPUT)
		return read(STDIN_FILENO, &key, 1) != 1 || key == 'q';
	return what && what != SIGTSTP && what != SIGWINCH;
}

static void watch(const struct pids *pids, double interval)
{
	struct shown s;
	int what;

	look_first(&s.look, pids, NULL);
	s.since = now();
	/* What there is, until there are rates. */
	s.rows = compare(&s.look, &s.look, interval, &s.nr);
	terminal_enter();
	do {
		print_screen(&s);
		what = wait_for(s.since + interval - now(), STDIN_FILENO);
		if (what == SIGTSTP) {
			terminal_leave();
			kill(getpid(), SIGSTOP);
			terminal_enter();
		}
		if (!what)
			refresh(&s, pids);
	} while (!is_end(what));
	terminal_leave();
	free(s.rows);
	look_free(&s.look);
}

static void print_once(const struct pids *pids, double interval)
{
	struct look before, l;
	struct row *rows;
	double since;
	size_t nr;

	look_first(&before, pids, NULL);
	since = now();
	if (!wait_for(interval, -1)) {
		look_again(&l, pids, NULL);
		rows = compare(&before, &l, now() - since, &nr);
		print_rows(rows, nr, UINT_MAX, "\n");
		free(rows);
		look_free(&l);
	}
	look_free(&before);
}

int cmd_top(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	bool once = !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal);
	struct pids pids = {};
	double interval = 2;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			pids_add(&pids, optarg);
			break;
		case 'i':
			interval = seconds_argument("--interval", optarg);
			break;
		case 'o':
			once = true;
			break;
		case 'h':
			show_help();
			return 0;
		default:
			bad_option(c, argv);
		}
	}
	no_arguments(argc, argv);

	wait_prepare(!once);
	if (once) {
		print_once(&pids, interval);
	} else {
		atexit(terminal_leave);
		watch(&pids, interval);
	}
	free(pids.pids);
	return output_done();
}
