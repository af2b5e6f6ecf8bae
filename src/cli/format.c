/*
 * format: rows to standard output. The verbs say what their columns are; terminal or
 * pipe, escaping, -o, -H and --json are decided here.
 */

#include "cli/format.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cells.h"
#include "cli/escape.h"
#include "cli/row_json.h"
#include "cli/table.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A column that is to be printed. */
struct chosen {
	char *name;
	const struct format_column *own; /* NULL: a column of the row */
};

struct format {
	struct chosen *columns;
	size_t count;
	const struct format_column *all;
	const void *context;
	struct table *table; /* NULL: JSON */
	bool is_json;
	bool is_chosen; /* -o was given */
	bool has_rows;
	struct buf cell, escaped;
};

/* ---- which columns ---- */

static const struct format_column *
find_own(const struct format_column *columns, const char *name)
{
	for (; columns->name != NULL; columns++) {
		if (strcmp(columns->name, name) == 0)
			return columns;
	}
	return NULL;
}

static void
choose(struct format *format, const char *name, const struct format_column *own)
{
	format->columns = xreallocarray(
	    format->columns, format->count + 1, sizeof(format->columns[0]));
	format->columns[format->count++] = (struct chosen){ xstrdup(name), own };
}

static int
choose_given(struct format *format, const char *list, const struct rows *shape,
    struct error *error)
{
	char *copy = xstrdup(list), *rest = copy, *name;
	int result = 0;

	while (result == 0 && (name = strsep(&rest, ",")) != NULL) {
		const struct format_column *own;
		char quoted[128];

		for (char *c = name; *c != '\0'; c++)
			*c = *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c;
		own = find_own(format->all, name);
		if (own == NULL && rows_find(shape, name) == -1 &&
		    !cells_has_time_text(shape, name))
			result = error_set(error, STATUS_USAGE,
			    "columns: there is no column \"%s\" (--json shows all)",
			    text_quote(quoted, sizeof(quoted), name));
		else
			choose(format, name, own);
	}
	free(copy);
	return result;
}

static struct table *
open_table(const struct format *format, const struct invocation *invocation)
{
	struct table_setup setup = {
		.file = stdout,
		.columns = format->count,
		.width = table_terminal_width(),
	};
	const char **headers = xcalloc(format->count, sizeof(headers[0]));
	const char *term = getenv("TERM");
	size_t *shares = xcalloc(format->count, sizeof(shares[0]));
	struct table *table;

	for (size_t i = 0; i < format->count; i++) {
		const struct chosen *column = &format->columns[i];

		headers[i] = column->name;
		shares[i] = column->own == NULL		  ? 1
		    : column->own->flags & FORMAT_IMPORTANT ? 2
		    : column->own->flags & FORMAT_FLEXIBLE  ? 1
							    : 0;
	}
	if (!option_is_given(invocation, "no-header"))
		setup.headers = headers;
	setup.shares = shares;
	setup.is_bold = setup.width > 0 && getenv("NO_COLOR") == NULL && term != NULL &&
	    strcmp(term, "dumb") != 0;
	table = table_new(&setup);
	free(headers);
	free(shares);
	return table;
}

struct format *
format_open(const struct invocation *invocation, const struct format_column *columns,
    const struct rows *shape, const void *context, struct error *error)
{
	const char *given = option_value(invocation, "columns");
	struct format *format = xcalloc(1, sizeof(*format));

	format->all = columns;
	format->context = context;
	format->is_chosen = given != NULL;
	if (given != NULL && choose_given(format, given, shape, error) == -1) {
		format_close(format);
		return NULL;
	}
	for (; given == NULL && columns->name != NULL; columns++)
		choose(format, columns->name, columns);
	if (invocation->wants_json) {
		format->is_json = true;
		putchar('[');
	} else
		format->table = open_table(format, invocation);
	return format;
}

void
format_close(struct format *format)
{
	if (format == NULL)
		return;
	table_close(format->table);
	if (format->is_json)
		puts("]");
	for (size_t i = 0; i < format->count; i++)
		free(format->columns[i].name);
	free(format->columns);
	buf_done(&format->cell);
	buf_done(&format->escaped);
	free(format);
}

/* ---- rows ---- */

static void
add_cell(struct buf *out, const struct format_column *column, const struct rows *row,
    const void *context)
{
	if (column->print != NULL)
		column->print(out, row, context);
	else if (column->cell != NULL)
		column->cell(out, row, column->stored);
	else
		cell_stored(out, row, column->name);
}

static void
print_cell(struct format *format, const struct chosen *column, const struct rows *row)
{
	buf_clear(&format->cell);
	buf_clear(&format->escaped);
	if (column->own != NULL)
		add_cell(&format->cell, column->own, row, format->context);
	else
		cell_stored(&format->cell, row, column->name);
	if (format->cell.length > 0)
		escape_add_text(&format->escaped, buf_text(&format->cell));
	else if (column->own == NULL || !(column->own->flags & FORMAT_MAY_BE_EMPTY))
		buf_add_text(&format->escaped, "-");
}

static json_t *
computed_json(struct format *format, const struct chosen *column, const struct rows *row)
{
	print_cell(format, column, row);
	return row_json_string(buf_text(&format->escaped));
}

static json_t *
chosen_json(struct format *format, const struct rows *row)
{
	json_t *object = json_object();

	for (size_t i = 0; i < format->count; i++) {
		const struct chosen *column = &format->columns[i];
		int stored = rows_find(row, column->name);

		json_object_set_new(object, column->name,
		    stored != -1 ? row_json_cell(row, stored)
				 : computed_json(format, column, row));
	}
	return object;
}

static json_t *
whole_json(struct format *format, const struct rows *row)
{
	json_t *object = row_json(row);

	for (size_t i = 0; i < format->count; i++) {
		const struct chosen *column = &format->columns[i];

		if (column->own->flags & FORMAT_IN_JSON)
			json_object_set_new(
			    object, column->name, computed_json(format, column, row));
	}
	return object;
}

void
format_row(struct format *format, const struct rows *row)
{
	if (format->table == NULL) {
		putchar(format->has_rows ? ',' : '\n');
		row_json_print(format->is_chosen ? chosen_json(format, row)
						 : whole_json(format, row));
	}
	for (size_t i = 0; format->table != NULL && i < format->count; i++) {
		print_cell(format, &format->columns[i], row);
		table_add(format->table, &format->escaped);
	}
	format->has_rows = true;
}

void
format_lines(const struct format_column *columns, const struct rows *row,
    const void *context)
{
	struct buf cell = { 0 }, escaped = { 0 };
	size_t widest = 0;

	for (size_t i = 0; columns[i].name != NULL; i++) {
		if (strlen(columns[i].name) > widest)
			widest = strlen(columns[i].name);
	}
	for (; columns->name != NULL; columns++) {
		buf_clear(&cell);
		buf_clear(&escaped);
		add_cell(&cell, columns, row, context);
		if (cell.length == 0)
			continue;
		escape_add_text(&escaped, buf_text(&cell));
		printf("%s:%*s %s\n", columns->name,
		    (int)(widest - strlen(columns->name)), "", buf_text(&escaped));
	}
	buf_done(&cell);
	buf_done(&escaped);
}
