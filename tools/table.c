// SPDX-License-Identifier: GPL-2.0-only
/* Tables of text, whose columns are as wide as what is in them. */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct table {
	const char *const *headings;
	unsigned int columns;
	char **cells;
	size_t nr;
};

struct table *table_new(const char *const *headings, unsigned int columns)
{
	struct table *t = must_alloc(sizeof(*t));

	t->headings = headings;
	t->columns = columns;
	return t;
}

void table_add(struct table *t, const char *format, ...)
{
	va_list args;

	/* Twice as many each time that they are a power of 2. */
	if (!(t->nr & (t->nr - 1)))
		t->cells = must_resize(t->cells, (t->nr ? 2 * t->nr : 1) * sizeof(*t->cells));
	va_start(args, format);
	if (vasprintf(&t->cells[t->nr++], format, args) < 0)
		die("out of memory");
	va_end(args);
}

void table_add_counts(struct table *t, const struct kvmfd_entry *e)
{
	if (e->kind == KVMFD_ENTRY_IOEVENTFD) {
		table_add(t, "%llu", e->hits);
		table_add(t, "-");
		table_add(t, "-");
	} else {
		table_add(t, "-");
		table_add(t, "%llu", e->inline_calls);
		table_add(t, "%llu", e->deferred_calls);
	}
}

static bool is_number(const struct table *t, unsigned int column)
{
	return *t->headings[column] == '>';
}

static const char *heading(const struct table *t, unsigned int column)
{
	return t->headings[column] + is_number(t, column);
}

/* Of the heading and the first @rows rows. */
static int width_of(const struct table *t, unsigned int column, size_t rows)
{
	size_t width = strlen(heading(t, column)), length, row;

	for (row = 0; row < rows; row++) {
		length = strlen(t->cells[row * t->columns + column]);
		if (width < length)
			width = length;
	}
	return width;
}

/* What does not fit into the line is cut off; nothing follows the last cell. */
static void print_cell(FILE *to, const char *text, int width, bool number, bool last, int *room)
{
	char cell[512];
	int n;

	if (number)
		n = snprintf(cell, sizeof(cell), "%*s", width, text);
	else
		n = snprintf(cell, sizeof(cell), "%-*s", last ? 0 : width, text);
	if (!last)
		n += snprintf(cell + n, sizeof(cell) - n, "  ");
	if (n > *room)
		n = *room;
	fprintf(to, "%.*s", n, cell);
	*room -= n;
}

void table_print(const struct table *t, FILE *to, unsigned int width, unsigned int rows,
		 const char *end)
{
	size_t row, nr = t->nr / t->columns;
	int *widths = must_alloc(t->columns * sizeof(*widths)), room;
	unsigned int i;
	const char *text;

	if (nr > rows)
		nr = rows;
	for (i = 0; i < t->columns; i++)
		widths[i] = width_of(t, i, nr);
	for (row = 0; row <= nr; row++) {
		room = width < INT_MAX ? width : INT_MAX;
		for (i = 0; i < t->columns; i++) {
			text = row ? t->cells[(row - 1) * t->columns + i] : heading(t, i);
			print_cell(to, text, widths[i], is_number(t, i), i == t->columns - 1,
				   &room);
		}
		fputs(end, to);
	}
	free(widths);
}

void table_free(struct table *t)
{
	while (t->nr)
		free(t->cells[--t->nr]);
	free(t->cells);
	free(t);
}
