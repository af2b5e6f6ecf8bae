/* tree: the supervisors with what they run, drawn, and how much that is. */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/escape.h"
#include "cli/row_json.h"
#include "cli/table.h"
#include "store/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tree ---- */

enum { COLUMN_NAME, COLUMN_STATUS, COLUMN_PID, COLUMN_RESTARTS, COLUMN_UPTIME, COLUMN_COMMAND,
	COLUMNS };

/* A line is kept until it is known whether it is its supervisor's last. */
struct line {
	struct buf cells[COLUMNS];
	bool is_there;
};

struct drawing {
	struct table *table;
	struct line kept;
	char supervisor[NAME_SIZE]; /* of the row before; "" at first */
	int64_t shown, children;
	struct wall now;
};

static void
put(struct drawing *drawing, const char *branch, struct line *line)
{
	for (int i = 0; i < COLUMNS; i++) {
		struct buf cell = { 0 };

		if (i == COLUMN_NAME)
			buf_add_text(&cell, branch);
		escape_add_text(&cell, buf_text(&line->cells[i]));
		if (cell.length == 0)
			buf_add_text(&cell, "-");
		table_add(drawing->table, &cell);
		buf_done(&cell);
		buf_done(&line->cells[i]);
	}
	line->is_there = false;
}

/* What is kept is not the last of its supervisor, or it is. */
static void
put_kept(struct drawing *drawing, bool is_last)
{
	if (drawing->kept.is_there)
		put(drawing, is_last ? "└─ " : "├─ ", &drawing->kept);
}

static void
end_supervisor(struct drawing *drawing)
{
	int64_t left = drawing->children - drawing->shown;
	struct line line = { 0 };

	put_kept(drawing, left <= 0);
	if (drawing->supervisor[0] == '\0' || left <= 0)
		return;
	buf_addf(&line.cells[COLUMN_NAME], "%" PRId64 " more", left);
	buf_add_text(&line.cells[COLUMN_STATUS], "new");
	put(drawing, "└─ ", &line);
}

static void
begin_supervisor(struct drawing *drawing, const struct rows *row)
{
	int64_t places = rows_number(row, "max_children", -1);
	struct line line = { 0 };

	end_supervisor(drawing);
	snprintf(drawing->supervisor, sizeof(drawing->supervisor), "%s",
	    rows_text(row, "supervisor"));
	drawing->shown = 0;
	drawing->children = rows_number(row, "children", 0);
	buf_add_text(&line.cells[COLUMN_NAME], drawing->supervisor);
	buf_add_text(&line.cells[COLUMN_STATUS],
	    rows_number(row, "paused", 0) != 0 ? "paused" : "runs");
	if (rows_number(row, "pool", 0) != 0)
		buf_add_text(&line.cells[COLUMN_COMMAND], "messages to the pool");
	else if (places == -1)
		buf_add_text(&line.cells[COLUMN_COMMAND], "any number of places");
	else
		buf_addf(&line.cells[COLUMN_COMMAND], "%" PRId64 " place%s", places,
		    places == 1 ? "" : "s");
	put(drawing, "", &line);
}

static void
add_job(struct drawing *drawing, const struct rows *row)
{
	const char *name = rows_text(row, "name");
	int64_t started = rows_number(row, "started_at", 0);
	struct line *line = &drawing->kept;
	char span[32];

	put_kept(drawing, false);
	drawing->shown++;
	line->is_there = true;
	buf_addf(&line->cells[COLUMN_NAME], "%" PRId64 "%s%s", rows_number(row, "id", 0),
	    name != NULL ? " " : "", name != NULL ? name : "");
	buf_add_text(&line->cells[COLUMN_STATUS], rows_text(row, "status"));
	cell_stored(&line->cells[COLUMN_PID], row, "pid");
	cell_stored(&line->cells[COLUMN_RESTARTS], row, "restarts");
	if (started != 0)
		buf_add_text(&line->cells[COLUMN_UPTIME],
		    text_format_duration(span, sizeof(span),
			drawing->now.ms > started ? drawing->now.ms - started : 0));
	cell_command(&line->cells[COLUMN_COMMAND], row, "command");
}

static int
draw(struct rows *rows, struct error *error)
{
	static const char *const headers[COLUMNS] = { "supervisor", "status", "pid", "restarts",
		"uptime", "command" };
	static const size_t shares[COLUMNS] = { [COLUMN_COMMAND] = 1 };
	const struct table_setup setup = { .file = stdout, .columns = COLUMNS,
		.headers = headers, .shares = shares, .width = table_terminal_width() };
	struct drawing drawing = { .table = table_new(&setup), .now = clock_wall() };
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		if (strcmp(drawing.supervisor, rows_text(rows, "supervisor")) != 0)
			begin_supervisor(&drawing, rows);
		if (rows_number(rows, "id", 0) != 0)
			add_job(&drawing, rows);
	}
	end_supervisor(&drawing);
	table_close(drawing.table);
	return more;
}

/* What of a row is its supervisor's goes there. */
static json_t *
split_supervisor(json_t *row)
{
	static const char *const keys[] = { "supervisor", "max_children", "paused", "pool",
		"children" };
	json_t *supervisor = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_object_set(supervisor, keys[i], json_object_get(row, keys[i]));
		json_object_del(row, keys[i]);
	}
	return supervisor;
}

/* A list of supervisors, each with a list of its children. */
static int
print_json(struct rows *rows, struct error *error)
{
	json_t *list = json_array(), *jobs = NULL;
	char last[NAME_SIZE] = "";
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		json_t *row = row_json(rows), *supervisor = split_supervisor(row);

		if (strcmp(last, rows_text(rows, "supervisor")) != 0) {
			snprintf(last, sizeof(last), "%s", rows_text(rows, "supervisor"));
			jobs = json_array();
			json_object_set_new(supervisor, "jobs", jobs);
			json_array_append(list, supervisor);
		}
		if (rows_number(rows, "id", 0) != 0)
			json_array_append(jobs, row);
		json_decref(supervisor);
		json_decref(row);
	}
	row_json_print(list);
	return more;
}

int
verb_tree(struct invocation *invocation)
{
	struct error error;
	struct query *query = query_open(invocation->state, &error);
	struct rows *rows = query != NULL ? query_tree(query, &error) : NULL;
	int more = -1;

	if (rows != NULL && invocation->wants_json)
		more = print_json(rows, &error);
	else if (rows != NULL)
		more = draw(rows, &error);
	rows_close(rows);
	query_close(query);
	return more == -1 ? cli_fail(&error) : STATUS_OK;
}

/* ---- count ---- */

static const char *const counted[] = { "specs", "active", "supervisors", "workers" };
#define COUNTED (sizeof(counted) / sizeof(counted[0]))

static int
sum_up(struct rows *rows, const char *wanted, int64_t sums[COUNTED], int64_t *ret_supervisors,
    struct error *error)
{
	int more;

	while ((more = rows_next(rows, error)) == 1) {
		if (wanted != NULL && strcmp(rows_text(rows, "name"), wanted) != 0)
			continue;
		++*ret_supervisors;
		for (size_t i = 0; i < COUNTED; i++)
			sums[i] += rows_number(rows, counted[i], 0);
	}
	return more;
}

static void
print_sums(const int64_t sums[COUNTED], bool wants_json)
{
	json_t *object = json_object();

	for (size_t i = 0; i < COUNTED; i++) {
		json_object_set_new(object, counted[i], json_integer(sums[i]));
		if (!wants_json)
			printf("%-12s %" PRId64 "\n", counted[i], sums[i]);
	}
	if (wants_json)
		row_json_print(object);
	else
		json_decref(object);
}

int
verb_count(struct invocation *invocation)
{
	const char *wanted = invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	struct error error;
	struct query *query = query_open(invocation->state, &error);
	struct rows *rows = query != NULL ? query_counts(query, &error) : NULL;
	int64_t sums[COUNTED] = { 0 }, supervisors = 0;
	int more = rows != NULL ? sum_up(rows, wanted, sums, &supervisors, &error) : -1;

	rows_close(rows);
	query_close(query);
	if (more == -1)
		return cli_fail(&error);
	if (supervisors == 0)
		return cli_complain(STATUS_NOT_FOUND, "there is no supervisor %s", wanted);
	if (wanted == NULL) { /* of the root, whose children they are */
		sums[0] += supervisors;
		sums[1] += supervisors;
		sums[2] += supervisors;
	}
	print_sums(sums, invocation->wants_json);
	return STATUS_OK;
}
