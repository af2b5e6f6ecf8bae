/*
 * table: columns of text. On a terminal rows are kept until their widths are known, or
 * until there are so many that the first of them decide.
 */

#include "cli/table.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "cli/escape.h"

#include <ctype.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2
#define NARROWEST 8 /* nothing is cut below this */
#define MOST_KEPT 2000 /* rows */
#define USUAL_WIDTH 80

struct table_cell {
	size_t start, length, width;
};

struct table {
	struct table_setup setup;
	size_t *shares;
	size_t *natural; /* the widest cell of each column */
	size_t *widths;	 /* what it is given */
	struct buf text; /* of the cells that are kept */
	struct table_cell *cells;
	size_t count, room; /* cells */
	bool is_begun;	    /* the header was printed, the widths stand */
};

size_t
table_terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		return USUAL_WIDTH;
	return size.ws_col;
}

static void
keep_cell(struct table *table, const char *text, size_t length)
{
	size_t column = table->count % table->setup.columns, width;

	if (table->count == table->room) {
		table->room = table->room > 0 ? 2 * table->room : 64;
		table->cells =
		    xreallocarray(table->cells, table->room, sizeof(table->cells[0]));
	}
	width = table->setup.width > 0 ? escape_width(text, length) : 0;
	table->cells[table->count++] =
	    (struct table_cell){ table->text.length, length, width };
	buf_add(&table->text, text, length);
	if (width > table->natural[column])
		table->natural[column] = width;
}

struct table *
table_new(const struct table_setup *setup)
{
	struct table *table = xcalloc(1, sizeof(*table));

	setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth(3): output is UTF-8 everywhere */
	table->setup = *setup;
	table->shares = xcalloc(setup->columns, sizeof(table->shares[0]));
	table->natural = xcalloc(setup->columns, sizeof(table->natural[0]));
	table->widths = xcalloc(setup->columns, sizeof(table->widths[0]));
	for (size_t i = 0; i < setup->columns; i++)
		table->shares[i] = setup->shares != NULL ? setup->shares[i] : 0;
	for (size_t i = 0; setup->headers != NULL && i < setup->columns; i++) {
		char header[64];
		size_t length = 0;

		for (const char *c = setup->headers[i];
		     *c != '\0' && length < sizeof(header); c++)
			header[length++] = (char)toupper((unsigned char)*c);
		keep_cell(table, header, length);
	}
	return table;
}

/* Make the column that has most for its share one narrower. False: none may be. */
static bool
narrow_one(struct table *table)
{
	const size_t *widths = table->widths, *shares = table->shares;
	size_t widest = SIZE_MAX;

	for (size_t i = 0; i < table->setup.columns; i++) {
		if (shares[i] > 0 && widths[i] > NARROWEST &&
		    (widest == SIZE_MAX ||
			widths[i] * shares[widest] >= widths[widest] * shares[i]))
			widest = i;
	}
	if (widest == SIZE_MAX)
		return false;
	table->widths[widest]--;
	return true;
}

/* What the others have left for the last one; little of it says nothing. */
static void
give_last(struct table *table, size_t left)
{
	size_t *width = &table->widths[table->setup.columns - 1];

	left = left > GAP ? left - GAP : 0;
	if (*width > left)
		*width = left >= NARROWEST ? left : 0;
}

static void
give_widths(struct table *table)
{
	size_t counted = table->setup.columns - (table->setup.last_gives_way ? 1 : 0);
	size_t width = table->setup.width, total = 0;

	for (size_t i = 0; i < table->setup.columns; i++) {
		table->widths[i] = table->natural[i] < width ? table->natural[i] : width;
		if (i < counted)
			total += table->widths[i] + (i > 0 ? GAP : 0);
	}
	while (total > width && narrow_one(table))
		total--;
	if (table->setup.last_gives_way)
		give_last(table, total < width ? width - total : 0);
}

static void
pad(FILE *file, size_t count)
{
	while (count-- > 0)
		fputc(' ', file);
}

/* A cell in at most so many columns; returns how many it took. */
static size_t
print_cut(struct table *table, const struct table_cell *cell, size_t most)
{
	const char *text = buf_start(&table->text) + cell->start;
	size_t length;

	if (cell->width <= most) {
		fwrite(text, 1, cell->length, table->setup.file);
		return cell->width;
	}
	if (most == 0)
		return 0;
	length = escape_fitting(text, cell->length, most - 1);
	fwrite(text, 1, length, table->setup.file);
	fputs("…", table->setup.file);
	return escape_width(text, length) + 1;
}

/* Blanks go before a cell, not behind it, so that lines have no blank ends. */
static void
print_aligned(struct table *table, const struct table_cell *cells)
{
	size_t left = table->setup.width, owed = 0;

	for (size_t i = 0; i < table->setup.columns; i++) {
		size_t most = table->widths[i], printed;

		if (cells[i].length == 0 || most == 0) {
			owed += most + GAP;
			continue;
		}
		if (owed >= left)
			break;
		pad(table->setup.file, owed);
		left -= owed;
		printed = print_cut(table, &cells[i], most < left ? most : left);
		left -= printed;
		owed = (most > printed ? most - printed : 0) + GAP;
	}
	fputc('\n', table->setup.file);
}

static void
print_tabbed(struct table *table, const struct table_cell *cells)
{
	for (size_t i = 0; i < table->setup.columns; i++) {
		if (i > 0)
			fputc('\t', table->setup.file);
		fwrite(buf_start(&table->text) + cells[i].start, 1, cells[i].length,
		    table->setup.file);
	}
	fputc('\n', table->setup.file);
}

static void
print_kept(struct table *table)
{
	size_t columns = table->setup.columns, rows = table->count / columns;
	bool has_header = !table->is_begun && table->setup.headers != NULL;

	if (!table->is_begun)
		give_widths(table);
	for (size_t i = 0; i < rows; i++) {
		bool is_bold = i == 0 && has_header && table->setup.is_bold;

		if (is_bold)
			fputs("\033[1m", table->setup.file);
		if (table->setup.width > 0)
			print_aligned(table, &table->cells[i * columns]);
		else
			print_tabbed(table, &table->cells[i * columns]);
		if (is_bold)
			fputs("\033[0m", table->setup.file);
	}
	table->is_begun = true;
	table->count = 0;
	buf_clear(&table->text);
}

void
table_add(struct table *table, const struct buf *cell)
{
	keep_cell(table, cell->length > 0 ? buf_start(cell) : "", cell->length);
	if (table->count % table->setup.columns == 0 &&
	    (table->setup.width == 0 || table->count / table->setup.columns == MOST_KEPT))
		print_kept(table);
}

void
table_close(struct table *table)
{
	if (table == NULL)
		return;
	print_kept(table);
	free(table->shares);
	free(table->natural);
	free(table->widths);
	free(table->cells);
	buf_done(&table->text);
	free(table);
}
