/* format: the same rows as a table for programs and as JSON, with -o and -H. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cells.h"
#include "cli/format.h"
#include "cli/row_json.h"
#include "support/subject.h"

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A database with three jobs, and standard output into a file. */
struct fixture {
	struct subject subject;
	struct query *query;
	struct rows *rows;
	FILE *output;
	int standard_output;
};

static void
print_shout(struct buf *out, const struct rows *row, const void *context)
{
	const char *name = rows_text(row, "name");

	if (name != NULL)
		buf_addf(out, "%s%s", name, (const char *)context);
}

static const struct format_column columns[] = {
	{ .name = "id" },
	{ .name = "name", .flags = FORMAT_FLEXIBLE },
	{ .name = "command", .cell = cell_command, .stored = "command" },
	{ .name = "shout", .flags = FORMAT_IN_JSON | FORMAT_MAY_BE_EMPTY,
	    .print = print_shout },
	{ .name = NULL },
};

static int
setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct job_filter filter = { 0 };
	struct sqlite3 *handle;
	struct error error;

	assert_non_null(fixture);
	subject_open(&fixture->subject, &subject_sqlite);
	handle = connect_to(fixture->subject.directory);
	tell(handle, "INSERT INTO jobs (command, name, created_at) VALUES "
		     "('[\"make\",\"a b\"]', 'report', 1795386016062)");
	tell(handle, "INSERT INTO jobs (command, cwd) VALUES ('[\"printf\",\"a\\tb\"]', "
		     "'/' || char(27) || '[2J' || char(9) || 'x')");
	tell(handle, "INSERT INTO jobs (command, cwd) VALUES ('[\"true\"]', "
		     "CAST(x'2fff' AS TEXT))");
	sqlite3_close(handle);
	fixture->query = query_open(fixture->subject.directory, &error);
	assert_non_null(fixture->query);
	fixture->rows = query_jobs(fixture->query, &filter, &error);
	assert_non_null(fixture->rows);
	fixture->output = tmpfile();
	fixture->standard_output = -1;
	*state = fixture;
	return 0;
}

static void
divert(struct fixture *fixture)
{
	fflush(stdout);
	fixture->standard_output = dup(STDOUT_FILENO);
	dup2(fileno(fixture->output), STDOUT_FILENO);
}

static void
restore(struct fixture *fixture)
{
	fflush(stdout);
	if (fixture->standard_output == -1)
		return;
	dup2(fixture->standard_output, STDOUT_FILENO);
	close(fixture->standard_output);
	fixture->standard_output = -1;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	restore(fixture);
	fclose(fixture->output);
	rows_close(fixture->rows);
	query_close(fixture->query);
	subject_close(&fixture->subject);
	free(fixture);
	return 0;
}

/* What was printed. Good until the next call. */
static const char *
printed(struct fixture *fixture)
{
	static char text[16384];
	size_t got;

	restore(fixture);
	rewind(fixture->output);
	got = fread(text, 1, sizeof(text) - 1, fixture->output);
	text[got] = '\0';
	return text;
}

/* Print all rows as a verb called like this does. */
static const char *
print_all(struct fixture *fixture, const char *chosen, bool no_header, bool json)
{
	static const struct option_row options[] = { { "columns", 'o', "", "" },
		{ "no-header", 'H', NULL, "" } };
	struct given given[2];
	struct invocation invocation = { .wants_json = json, .given = given };
	struct format *format;
	struct error error;

	if (chosen != NULL)
		given[invocation.given_count++] = (struct given){ &options[0], chosen };
	if (no_header)
		given[invocation.given_count++] = (struct given){ &options[1], NULL };
	divert(fixture);
	format = format_open(&invocation, columns, fixture->rows, "!", &error);
	while (format != NULL && rows_next(fixture->rows, &error) == 1)
		format_row(format, fixture->rows);
	format_close(format);
	return printed(fixture);
}

static void
table_for_programs_has_a_header_and_escaped_cells(void **state)
{
	assert_string_equal(print_all(*state, NULL, false, false),
	    "ID\tNAME\tCOMMAND\tSHOUT\n1\treport\tmake 'a b'\treport!\n"
	    "2\t-\tprintf $'a\\tb'\t\n3\t-\ttrue\t\n");
}

static void
no_header_leaves_out_the_header(void **state)
{
	assert_string_equal(print_all(*state, "id", true, false), "1\n2\n3\n");
}

static void
columns_are_those_of_the_verb_and_of_the_row(void **state)
{
	const char *text = print_all(*state,
	    "cwd,ID,shout,type,created_at,created_at_text", false, false);
	static const char wanted[] =
	    "CWD\tID\tSHOUT\tTYPE\tCREATED_AT\tCREATED_AT_TEXT\n"
	    "/\t1\treport!\t-\t1795386016062\t2026-11-22T22:20:16.062Z\n"
	    "/\\x1b[2J\\tx\t2\t\t-\t";

	assert_memory_equal(text, wanted, strlen(wanted));
	assert_non_null(strstr(text, "\n/\\xff\t3\t\t-\t"));
}

static void
unknown_column_is_refused_by_name(void **state)
{
	static const struct option_row option = { "columns", 'o', "", "" };
	struct given given = { &option, "id,nope\033" };
	const struct invocation invocation = { .given = &given, .given_count = 1 };
	struct fixture *fixture = *state;
	struct error error;

	assert_null(format_open(&invocation, columns, fixture->rows, "!", &error));
	assert_int_equal(error.code, STATUS_USAGE);
	assert_non_null(strstr(error.text, "nope\\x1b"));
	given.value = "created_text";
	assert_null(format_open(&invocation, columns, fixture->rows, "!", &error));
	given.value = "";
	assert_null(format_open(&invocation, columns, fixture->rows, "!", &error));
}

static void
json_has_all_columns_times_as_text_too_and_json_as_json(void **state)
{
	json_t *list = json_loads(print_all(*state, NULL, false, true), 0, NULL), *job;

	assert_int_equal(json_array_size(list), 3);
	job = json_array_get(list, 0);
	assert_int_equal(json_integer_value(json_object_get(job, "id")), 1);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(job, "command"), 1)), "a b");
	assert_int_equal(
	    json_integer_value(json_object_get(job, "created_at")), 1795386016062);
	assert_string_equal(json_string_value(json_object_get(job, "created_at_text")),
	    "2026-11-22T22:20:16.062Z");
	assert_true(json_is_null(json_object_get(job, "ended_at")));
	assert_true(json_is_null(json_object_get(job, "ended_at_text")));
	assert_string_equal(json_string_value(json_object_get(job, "shout")), "report!");
	job = json_array_get(list, 1);
	assert_string_equal(
	    json_string_value(json_object_get(job, "cwd")), "/\033[2J\tx");
	job = json_array_get(list, 2);
	assert_string_equal(json_string_value(json_object_get(job, "cwd")), "/\\xff");
	json_decref(list);
}

static void
json_has_only_the_chosen_columns(void **state)
{
	assert_string_equal(print_all(*state, "shout,id,command", false, true),
	    "[\n{\"shout\":\"report!\",\"id\":1,\"command\":[\"make\",\"a b\"]}\n"
	    ",{\"shout\":\"\",\"id\":2,\"command\":[\"printf\",\"a\\tb\"]}\n"
	    ",{\"shout\":\"\",\"id\":3,\"command\":[\"true\"]}\n]\n");
}

static void
no_rows_are_an_empty_list(void **state)
{
	struct fixture *fixture = *state;
	const struct invocation invocation = { .wants_json = true };
	struct error error;

	divert(fixture);
	format_close(format_open(&invocation, columns, NULL, "!", &error));
	assert_string_equal(printed(fixture), "[]\n");
}

static void
lines_have_the_names_and_no_empty_cells(void **state)
{
	struct fixture *fixture = *state;
	struct error error;

	assert_int_equal(rows_next(fixture->rows, &error), 1);
	assert_int_equal(rows_next(fixture->rows, &error), 1);
	divert(fixture);
	format_lines(columns, fixture->rows, "!");
	assert_string_equal(
	    printed(fixture), "id:      2\ncommand: printf $'a\\tb'\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(table_for_programs_has_a_header_and_escaped_cells),
		TEST(no_header_leaves_out_the_header),
		TEST(columns_are_those_of_the_verb_and_of_the_row),
		TEST(unknown_column_is_refused_by_name),
		TEST(json_has_all_columns_times_as_text_too_and_json_as_json),
		TEST(json_has_only_the_chosen_columns),
		TEST(no_rows_are_an_empty_list),
		TEST(lines_have_the_names_and_no_empty_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
