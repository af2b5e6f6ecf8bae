/* tree: the supervisors with what they run, drawn. */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/escape.h"
#include "cli/row_json.h"
#include "cli/table.h"
#include "model/lifecycle.h"
#include "store/query.h"

#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what there is ---- */

/* What is drawn of a job. There may be ten thousand, for which rows as JSON are slow. */
struct job {
	int64_t id, pid, restarts, started_at;
	char *name, *status, *command; /* name may be NULL */
};

/* Something in the tree: its row, and, of a supervisor, what it has beneath it. */
struct branch {
	json_t *row; /* of a job: only if JSON is asked for */
	struct job job;
	int64_t position; /* among its siblings; 0: by no order */
	int64_t unseen;	  /* of its children, which only wait */
	struct branch **children;
	size_t count, room;
};

struct forest {
	bool wants_json;
	struct branch *supervisors; /* by name */
	size_t count;
	struct branch root; /* of those that have no parent */
};

static void
add_child(struct branch *parent, struct branch *child)
{
	if (parent->count == parent->room) {
		parent->room = 2 * parent->room + 4;
		parent->children = xreallocarray(
		    parent->children, parent->room, sizeof(struct branch *));
	}
	parent->children[parent->count++] = child;
}

static const char *
text_of(const struct branch *branch, const char *key)
{
	return json_string_value(json_object_get(branch->row, key));
}

static int64_t
number_of(const struct branch *branch, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(branch->row, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static bool
is_supervisor(const struct branch *branch)
{
	return branch->job.status == NULL;
}

static int
compare_name(const void *key, const void *branch)
{
	return strcmp(key, text_of(branch, "name"));
}

static struct branch *
find_supervisor(const struct forest *forest, const char *name)
{
	return name != NULL ? bsearch(name, forest->supervisors, forest->count,
				  sizeof(struct branch), compare_name)
			    : NULL;
}

/* Those in order come first, the others keep theirs. */
static int
compare_position(const void *a, const void *b)
{
	const struct branch *one = *(struct branch *const *)a, *other = *(struct branch *const *)b;
	uint64_t left = (uint64_t)one->position - 1, right = (uint64_t)other->position - 1;

	if (left != right)
		return left < right ? -1 : 1;
	return one->job.id < other->job.id ? -1 : 1;
}

static int
read_supervisors(struct query *query, struct forest *forest, struct error *error)
{
	struct rows *rows = query_supervisors(query, error);
	size_t room = 0;
	int more = -1;

	while (rows != NULL && (more = rows_next(rows, error)) == 1) {
		struct branch *branch;

		if (forest->count == room) {
			room = 2 * room + 8;
			forest->supervisors = xreallocarray(
			    forest->supervisors, room, sizeof(struct branch));
		}
		branch = &forest->supervisors[forest->count++];
		*branch = (struct branch){
			.row = row_json(rows),
			.position = rows_number(rows, "position", 0),
			.unseen = rows_number(rows, "children", 0),
		};
	}
	rows_close(rows);
	for (size_t i = 0; i < forest->count; i++) {
		struct branch *branch = &forest->supervisors[i];
		struct branch *parent = find_supervisor(forest, text_of(branch, "parent"));

		add_child(parent != NULL ? parent : &forest->root, branch);
	}
	return more;
}

static void
copy_job(struct job *job, const struct rows *row)
{
	const char *name = rows_text(row, "name"), *command = rows_text(row, "command");

	*job = (struct job){
		.id = rows_number(row, "id", 0),
		.pid = rows_number(row, "pid", 0),
		.restarts = rows_number(row, "restarts", -1),
		.started_at = rows_number(row, "started_at", 0),
		.name = name != NULL ? xstrdup(name) : NULL,
		.status = xstrdup(rows_text(row, "status")),
		.command = xstrdup(command != NULL ? command : "[]"),
	};
}

static void
free_job(struct branch *branch)
{
	free(branch->job.name);
	free(branch->job.status);
	free(branch->job.command);
	json_decref(branch->row);
	free(branch);
}

static int
read_jobs(struct query *query, struct forest *forest, struct error *error)
{
	struct rows *rows = query_tree(query, error);
	int more = -1;

	while (rows != NULL && (more = rows_next(rows, error)) == 1) {
		struct branch *parent = find_supervisor(forest, rows_text(rows, "supervisor"));
		struct branch *job;
		enum job_status status;

		if (parent == NULL)
			continue;
		job = xcalloc(1, sizeof(*job));
		copy_job(&job->job, rows);
		if (forest->wants_json) {
			job->row = row_json(rows);
			json_object_del(job->row, "supervisor");
		}
		job->position = rows_number(rows, "position", 0);
		add_child(parent, job);
		if (job_status_parse(rows_text(rows, "status"), &status) == 0 &&
		    job_status_is_live(status))
			parent->unseen--;
	}
	rows_close(rows);
	return more;
}

static int
read_forest(struct query *query, struct forest *forest, struct error *error)
{
	int result = read_supervisors(query, forest, error);

	if (result == 0)
		result = read_jobs(query, forest, error);
	for (size_t i = 0; i < forest->count; i++) {
		if (forest->supervisors[i].count > 0)
			qsort(forest->supervisors[i].children, forest->supervisors[i].count,
			    sizeof(struct branch *), compare_position);
	}
	return result;
}

static void
free_forest(struct forest *forest)
{
	for (size_t i = 0; i < forest->count; i++) {
		struct branch *branch = &forest->supervisors[i];

		for (size_t j = 0; j < branch->count; j++) {
			if (!is_supervisor(branch->children[j]))
				free_job(branch->children[j]);
		}
		free(branch->children);
		branch->children = NULL;
	}
	for (size_t i = 0; i < forest->count; i++)
		json_decref(forest->supervisors[i].row);
	free(forest->supervisors);
	free(forest->root.children);
}

/* ---- drawn ---- */

enum { COLUMN_NAME, COLUMN_STATUS, COLUMN_PID, COLUMN_RESTARTS, COLUMN_UPTIME, COLUMN_COMMAND,
	COLUMNS };

struct drawing {
	struct table *table;
	struct wall now;
	char indent[256]; /* of the children of what is being drawn; longer ones are cut */
};

/* One line: its branch, and cells that may be empty. */
static void
put(struct drawing *drawing, const char *branch, struct buf cells[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++) {
		struct buf cell = { 0 };

		if (i == COLUMN_NAME) {
			buf_add_text(&cell, drawing->indent);
			buf_add_text(&cell, branch);
		}
		escape_add_text(&cell, buf_text(&cells[i]));
		if (cell.length == 0)
			buf_add_text(&cell, "-");
		table_add(drawing->table, &cell);
		buf_done(&cell);
		buf_done(&cells[i]);
	}
}

static void
fill_supervisor(struct buf cells[COLUMNS], const struct branch *branch)
{
	int64_t places = number_of(branch, "max_children", -1);
	int64_t restarts = number_of(branch, "restarts", 0);
	const char *state = text_of(branch, "state"), *reason = text_of(branch, "reason");
	const char *strategy = text_of(branch, "strategy");
	struct buf *words = &cells[COLUMN_COMMAND];

	buf_add_text(&cells[COLUMN_NAME], text_of(branch, "name"));
	buf_add_text(&cells[COLUMN_STATUS],
	    strcmp(state, "running") != 0		   ? state
		: number_of(branch, "paused", 0) != 0 ? "paused"
						      : "runs");
	if (restarts > 0)
		buf_addf(&cells[COLUMN_RESTARTS], "%" PRId64, restarts);
	if (number_of(branch, "pool", 0) != 0)
		buf_add_text(words, "messages to the pool");
	else if (places == -1)
		buf_add_text(words, "any number of places");
	else
		buf_addf(words, "%" PRId64 " place%s", places, places == 1 ? "" : "s");
	if (strcmp(strategy, "one_for_one") != 0)
		buf_addf(words, ", %s", strategy);
	if (reason != NULL)
		buf_addf(words, ": %s", reason);
}

static void
fill_job(struct buf cells[COLUMNS], const struct job *job, struct wall now)
{
	char span[32];

	buf_addf(&cells[COLUMN_NAME], "%" PRId64 "%s%s", job->id, job->name != NULL ? " " : "",
	    job->name != NULL ? job->name : "");
	buf_add_text(&cells[COLUMN_STATUS], job->status);
	if (job->pid != 0)
		buf_addf(&cells[COLUMN_PID], "%" PRId64, job->pid);
	if (job->restarts != -1)
		buf_addf(&cells[COLUMN_RESTARTS], "%" PRId64, job->restarts);
	if (job->started_at != 0)
		buf_add_text(&cells[COLUMN_UPTIME],
		    text_format_duration(span, sizeof(span),
			now.ms > job->started_at ? now.ms - job->started_at : 0));
	escape_add_command(&cells[COLUMN_COMMAND], job->command);
}

static void
draw_branch(struct drawing *drawing, const struct branch *branch, const char *twig,
    const char *beneath)
{
	struct buf cells[COLUMNS] = { 0 };
	size_t length = strlen(drawing->indent);

	if (!is_supervisor(branch)) {
		fill_job(cells, &branch->job, drawing->now);
		put(drawing, twig, cells);
		return;
	}
	fill_supervisor(cells, branch);
	put(drawing, twig, cells);
	strlcat(drawing->indent, beneath, sizeof(drawing->indent));
	for (size_t i = 0; i < branch->count; i++) {
		bool is_last = i + 1 == branch->count && branch->unseen <= 0;

		draw_branch(drawing, branch->children[i], is_last ? "└─ " : "├─ ",
		    is_last ? "   " : "│  ");
	}
	if (branch->unseen > 0) {
		buf_addf(&cells[COLUMN_NAME], "%" PRId64 " more", branch->unseen);
		buf_add_text(&cells[COLUMN_STATUS], "new");
		put(drawing, "└─ ", cells);
	}
	drawing->indent[length] = '\0';
}

static void
draw(const struct forest *forest)
{
	static const char *const headers[COLUMNS] = { "supervisor", "status", "pid", "restarts",
		"uptime", "command" };
	static const size_t shares[COLUMNS] = { [COLUMN_NAME] = 1 };
	const struct table_setup setup = { .file = stdout, .columns = COLUMNS,
		.headers = headers, .shares = shares, .last_gives_way = true,
		.width = table_terminal_width() };
	struct drawing drawing = { .table = table_new(&setup), .now = clock_wall() };

	for (size_t i = 0; i < forest->root.count; i++)
		draw_branch(&drawing, forest->root.children[i], "", "");
	table_close(drawing.table);
}

/* A supervisor as an object with a list of its jobs and one of its supervisors. */
static json_t *
to_json(const struct branch *branch)
{
	json_t *object = json_object(), *jobs = json_array(), *supervisors = json_array();

	json_object_set(object, "supervisor", json_object_get(branch->row, "name"));
	json_object_update(object, branch->row);
	json_object_del(object, "name");
	for (size_t i = 0; i < branch->count; i++) {
		if (is_supervisor(branch->children[i]))
			json_array_append_new(supervisors, to_json(branch->children[i]));
		else
			json_array_append(jobs, branch->children[i]->row);
	}
	json_object_set_new(object, "jobs", jobs);
	json_object_set_new(object, "supervisors", supervisors);
	return object;
}

static void
print_json(const struct forest *forest)
{
	json_t *list = json_array();

	for (size_t i = 0; i < forest->root.count; i++)
		json_array_append_new(list, to_json(forest->root.children[i]));
	row_json_print(list);
}

int
verb_tree(struct invocation *invocation)
{
	struct forest forest = { .wants_json = invocation->wants_json };
	struct error error;
	struct query *query = database_open(invocation->state, &error);
	int result = query != NULL ? read_forest(query, &forest, &error) : -1;

	query_close(query);
	if (result == 0 && invocation->wants_json)
		print_json(&forest);
	else if (result == 0)
		draw(&forest);
	free_forest(&forest);
	return result == -1 ? cli_fail(&error) : STATUS_OK;
}
