/*
 * rows: results as copies, portion by portion. What a row's text points to is good until
 * the next rows_next().
 */

#include "store/rows.h"
#include "base/buf.h"
#include "base/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PORTION 500
#define SLOTS 256 /* of the columns' names; a power of two, more than twice the columns */

struct cell {
	enum row_type type;
	union {
		int64_t number;
		double real;
		size_t text; /* where in the portion's texts */
	};
};

struct rows {
	struct rows_source source;
	char **names;
	int columns;
	int slots[SLOTS]; /* by hash of the name: column + 1, 0 is free */
	struct cell *cells; /* of the portion */
	size_t count, room; /* rows in it */
	size_t at; /* the current row, counted from 1; beyond count: there is none */
	struct buf texts;
	size_t next_key;
	bool is_read; /* there are no more portions */
};

/* Where the name is in `slots`, or the free slot where it would be. */
static unsigned
find_slot(const struct rows *rows, const char *name)
{
	unsigned slot = 0;

	for (const char *c = name; *c != '\0'; c++)
		slot = slot * 31 + (unsigned char)*c;
	for (slot %= SLOTS; rows->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
		if (strcmp(rows->names[rows->slots[slot] - 1], name) == 0)
			break;
	}
	return slot;
}

struct rows *
rows_new(const struct rows_source *source)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));

	rows->source = *source;
	rows->columns = sqlite3_column_count(source->statement);
	rows->names = xcalloc((size_t)rows->columns, sizeof(rows->names[0]));
	assert(rows->columns < SLOTS / 2);
	for (int i = 0; i < rows->columns; i++) {
		rows->names[i] = xstrdup(sqlite3_column_name(source->statement, i));
		rows->slots[find_slot(rows, rows->names[i])] = i + 1;
	}
	return rows;
}

void
rows_close(struct rows *rows)
{
	if (rows == NULL)
		return;
	for (int i = 0; i < rows->columns; i++)
		free(rows->names[i]);
	free(rows->names);
	free(rows->cells);
	free(rows->source.keys);
	buf_done(&rows->texts);
	free(rows);
}

static void
copy_cell(struct rows *rows, struct cell *cell, int column)
{
	sqlite3_stmt *row = rows->source.statement;
	const char *text;

	switch (sqlite3_column_type(row, column)) {
	case SQLITE_NULL:
		cell->type = ROW_NULL;
		break;
	case SQLITE_INTEGER:
		cell->type = ROW_INTEGER;
		cell->number = sqlite3_column_int64(row, column);
		break;
	case SQLITE_FLOAT:
		cell->type = ROW_REAL;
		cell->real = sqlite3_column_double(row, column);
		break;
	default:
		cell->type = ROW_TEXT;
		cell->text = rows->texts.length;
		text = column_text(row, column);
		text = text != NULL ? text : "";
		buf_add(&rows->texts, text, strlen(text) + 1);
		break;
	}
}

static void
copy_row(struct rows *rows)
{
	size_t columns = (size_t)rows->columns;

	if (rows->count == rows->room) {
		rows->room = rows->room > 0 ? 2 * rows->room : 8;
		rows->cells = xreallocarray(
		    rows->cells, rows->room * columns, sizeof(rows->cells[0]));
	}
	for (int i = 0; i < rows->columns; i++)
		copy_cell(rows, &rows->cells[rows->count * columns + (size_t)i], i);
	rows->count++;
}

/* All rows of the bound statement. */
static int
copy_rows(struct rows *rows)
{
	int code;

	while ((code = sqlite3_step(rows->source.statement)) == SQLITE_ROW)
		copy_row(rows);
	return statement_end(rows->source.statement, code);
}

static int
read_by_key(struct rows *rows)
{
	struct rows_source *source = &rows->source;
	size_t end = rows->next_key + PORTION;
	int code = SQLITE_OK;

	if (end > source->key_count)
		end = source->key_count;
	for (; code == SQLITE_OK && rows->next_key < end; rows->next_key++) {
		const struct row_key *key = &source->keys[rows->next_key];

		bind_number(source->statement, 1, key->id);
		bind_unless(source->statement, 2, key->line, 0);
		bind_number(source->statement, 3, key->busy);
		code = copy_rows(rows);
	}
	rows->is_read = rows->next_key == source->key_count;
	return code;
}

static int
read_in_order(struct rows *rows)
{
	struct rows_source *source = &rows->source;
	int code;

	if (source->subject != 0 || source->way == ROWS_BY_CURSOR)
		bind_number(source->statement, 1, source->subject);
	if (source->way == ROWS_BY_CURSOR) {
		bind_number(source->statement, 2, source->cursor);
		bind_number(source->statement, 3, PORTION);
	}
	code = copy_rows(rows);
	rows->is_read = source->way == ROWS_WHOLE || rows->count < PORTION;
	if (rows->count > 0 && source->way == ROWS_BY_CURSOR)
		source->cursor =
		    rows->cells[(rows->count - 1) * (size_t)rows->columns].number;
	return code;
}

int
rows_read(struct rows *rows)
{
	rows->count = rows->at = 0;
	buf_clear(&rows->texts);
	return rows->source.way == ROWS_BY_KEY ? read_by_key(rows) : read_in_order(rows);
}

int
rows_next(struct rows *rows, struct error *error)
{
	struct db *db = rows->source.db;

	/* A portion by key may be empty: its jobs were pruned meanwhile. */
	while (rows->at >= rows->count && !rows->is_read) {
		int code = db_execute(db, "BEGIN"), result;

		if (code == SQLITE_OK)
			code = rows_read(rows);
		result = code == SQLITE_OK ? 0 : db_error(db, code, error);
		db_execute(db, "COMMIT");
		if (result == -1) {
			rows->is_read = true;
			rows->count = 0;
			return -1;
		}
	}
	if (rows->at >= rows->count) {
		rows->at = rows->count + 1;
		return 0;
	}
	rows->at++;
	return 1;
}

int
rows_columns(const struct rows *rows)
{
	return rows->columns;
}

const char *
rows_name(const struct rows *rows, int column)
{
	return rows->names[column];
}

int
rows_find(const struct rows *rows, const char *name)
{
	return rows->slots[find_slot(rows, name)] - 1;
}

/* NULL if there is no such column or no row. */
static const struct cell *
find_cell(const struct rows *rows, int column)
{
	if (column < 0 || column >= rows->columns || rows->at == 0 ||
	    rows->at > rows->count)
		return NULL;
	return &rows->cells[(rows->at - 1) * (size_t)rows->columns + (size_t)column];
}

enum row_type
rows_type(const struct rows *rows, int column)
{
	const struct cell *cell = find_cell(rows, column);

	return cell != NULL ? cell->type : ROW_NULL;
}

const char *
rows_text(const struct rows *rows, const char *name)
{
	const struct cell *cell = find_cell(rows, rows_find(rows, name));

	if (cell == NULL || cell->type != ROW_TEXT)
		return NULL;
	return buf_start(&rows->texts) + cell->text;
}

int64_t
rows_number(const struct rows *rows, const char *name, int64_t otherwise)
{
	const struct cell *cell = find_cell(rows, rows_find(rows, name));

	return cell != NULL && cell->type == ROW_INTEGER ? cell->number : otherwise;
}

double
rows_real(const struct rows *rows, const char *name, double otherwise)
{
	const struct cell *cell = find_cell(rows, rows_find(rows, name));

	if (cell != NULL && cell->type == ROW_INTEGER)
		return (double)cell->number;
	return cell != NULL && cell->type == ROW_REAL ? cell->real : otherwise;
}
