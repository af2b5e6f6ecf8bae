/*
 * jobberd-db(5) and the database that the migrations make: every table, view, column and
 * index is there and nothing else, and its ten queries run and find something.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "store/migrate.h"
#include "support/page.h"
#include "support/subject.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES 10

struct fixture {
	struct subject subject;
	sqlite3 *handle; /* of somebody else */
	struct page page;
};

/*
 * 1 done after a retry · 2 failed · 3 running · 4 waits for 3 · 5 waits, called import-5,
 * and has been held and released, so that the newest job has a history
 */
static void
make_jobs(struct subject *subject)
{
	submit(subject, "");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ended(subject, start(subject), "exit:1"), STEP_OK);
		assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	}
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	submit(subject, "max-retries=0 name=b");
	assert_int_equal(ended(subject, start(subject), "signal:SEGV"), STEP_OK);
	submit(subject, "");
	assert_int_equal(start(subject).job, 3);
	submit(subject, "after=3");
	submit(subject, "name=import-5");
	assert_int_equal(change(subject, 5, JOB_HOLD), STEP_OK);
	assert_int_equal(change(subject, 5, JOB_RELEASE), STEP_OK);
}

static int
set_up(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	subject_open(&fixture->subject, &subject_sqlite);
	make_jobs(&fixture->subject);
	fixture->handle = connect_to(fixture->subject.directory);
	page_read(&fixture->page, "man/jobberd-db.5");
	*state = fixture;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *fixture = *state;

	page_done(&fixture->page);
	sqlite3_close(fixture->handle);
	subject_close(&fixture->subject);
	free(fixture);
	return 0;
}

static sqlite3_stmt *
prepare(struct fixture *fixture, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	const char *tail = "";

	if (sqlite3_prepare_v2(fixture->handle, sql, -1, &statement, &tail) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(fixture->handle));
	if (tail[strspn(tail, " \n")] != '\0')
		fail_msg("more than one statement: %s", sql);
	return statement;
}

/* Does an item of the section, like ".It Va a , b", have this word? */
static bool
has_item(const struct page *page, struct page_section section, const char *macro,
    const char *word)
{
	for (size_t i = section.from; i < section.to; i++) {
		if (page_starts_with(page->lines[i], macro) &&
		    page_line_has(page->lines[i], word))
			return true;
	}
	return false;
}

/* Call `check` for each word of the items of the section. */
static void
each_item(struct fixture *fixture, struct page_section section, const char *macro,
    void (*check)(struct fixture *fixture, const char *word, const char *arg),
    const char *arg)
{
	for (size_t i = section.from; i < section.to; i++) {
		char *copy, *rest, *word;

		if (!page_starts_with(fixture->page.lines[i], macro))
			continue;
		copy = rest = xstrdup(fixture->page.lines[i] + strlen(macro));
		while ((word = strsep(&rest, " ,")) != NULL) {
			if (word[0] != '\0')
				check(fixture, word, arg);
		}
		free(copy);
	}
}

static bool
is_there(struct fixture *fixture, const char *sql, const char *first, const char *second)
{
	sqlite3_stmt *statement = prepare(fixture, sql);
	bool is;

	sqlite3_bind_text(statement, 1, first, -1, SQLITE_TRANSIENT);
	if (second != NULL)
		sqlite3_bind_text(statement, 2, second, -1, SQLITE_TRANSIENT);
	is = sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return is;
}

static void
column_exists(struct fixture *fixture, const char *column, const char *table)
{
	if (!is_there(fixture, "SELECT 1 FROM pragma_table_xinfo(?2) WHERE name = ?1", column,
		table))
		fail_msg("%s has no column %s", table, column);
}

static void
index_exists(struct fixture *fixture, const char *index, const char *arg)
{
	(void)arg;
	if (!is_there(fixture, "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?1",
		index, NULL))
		fail_msg("there is no index %s", index);
}

static void
table_exists(struct fixture *fixture, const char *title, const char *type)
{
	struct page_section section = page_find(&fixture->page, title);

	for (size_t i = section.from; i < section.to; i++) {
		const char *line = fixture->page.lines[i];

		if (page_starts_with(line, ".Ss ") &&
		    !is_there(fixture,
			"SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type = ?2", line + 4,
			type))
			fail_msg("there is no %s %s", type, line + 4);
	}
}

/* ---- the tests ---- */

static void
every_table_view_and_column_has_its_place(void **state)
{
	struct fixture *fixture = *state;
	sqlite3_stmt *row = prepare(fixture,
	    "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_xinfo(s.name) c "
	    "WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite%'");
	int count = 0;

	for (; sqlite3_step(row) == SQLITE_ROW; count++) {
		const char *table = (const char *)sqlite3_column_text(row, 0);
		const char *column = (const char *)sqlite3_column_text(row, 1);
		struct page_section section;
		char heading[64];

		snprintf(heading, sizeof(heading), ".Ss %s", table);
		section = page_find(&fixture->page, heading);
		if (section.from == section.to)
			fail_msg("%s is not in the page", table);
		if (!has_item(&fixture->page, section, ".It Va ", column))
			fail_msg("%s of %s is not in the page", column, table);
		each_item(fixture, section, ".It Va ", column_exists, table);
	}
	sqlite3_finalize(row);
	assert_true(count > 100);
}

static void
no_table_or_view_is_in_the_page_that_does_not_exist(void **state)
{
	table_exists(*state, ".Sh TABLES", "table");
	table_exists(*state, ".Sh VIEWS FOR PEOPLE", "view");
}

static void
every_index_is_in_the_page_and_no_other(void **state)
{
	struct fixture *fixture = *state;
	struct page_section section = page_find(&fixture->page, ".Sh INDEXES");
	sqlite3_stmt *row = prepare(fixture,
	    "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL");

	while (sqlite3_step(row) == SQLITE_ROW) {
		const char *index = (const char *)sqlite3_column_text(row, 0);

		if (!has_item(&fixture->page, section, ".It Li ", index))
			fail_msg("%s is not in the page", index);
	}
	sqlite3_finalize(row);
	each_item(fixture, section, ".It Li ", index_exists, NULL);
}

static void
version_is_that_of_the_program(void **state)
{
	struct fixture *fixture = *state;
	char line[80];
	size_t i = 0;

	snprintf(line, sizeof(line), "is the version of the schema, which is %d.",
	    migrate_newest());
	while (i < fixture->page.count && strcmp(fixture->page.lines[i], line) != 0)
		i++;
	assert_true(i < fixture->page.count);
}

/* The literal block whose first line begins with "-- N. ". To be freed. */
static char *
find_query(const struct page *page, int number)
{
	struct buf sql = { 0 };
	char start[16], *text;
	size_t i = 0;

	snprintf(start, sizeof(start), "-- %d. ", number);
	while (i < page->count && !page_starts_with(page->lines[i], start))
		i++;
	if (i == page->count)
		return NULL;
	assert_true(page_starts_with(page->lines[i - 1], ".Bd -literal"));
	for (; i < page->count && strcmp(page->lines[i], ".Ed") != 0; i++)
		buf_addf(&sql, "%s\n", page->lines[i]);
	text = xstrdup(buf_text(&sql));
	buf_done(&sql);
	return text;
}

/* It finds a row, or changes one. */
static void
run_query(struct fixture *fixture, const char *sql)
{
	int rows = 0, code, before = sqlite3_total_changes(fixture->handle);
	sqlite3_stmt *statement = prepare(fixture, sql);

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		rows++;
	if (code != SQLITE_DONE)
		fail_msg("%s%s", sql, sqlite3_errmsg(fixture->handle));
	sqlite3_finalize(statement);
	if (rows == 0 && sqlite3_total_changes(fixture->handle) == before)
		fail_msg("%sfinds nothing", sql);
}

static void
ten_queries_run_and_find_something(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 1; i <= QUERIES; i++) {
		char *sql = find_query(&fixture->page, i);

		if (sql == NULL)
			fail_msg("there is no query %d", i);
		run_query(fixture, sql);
		free(sql);
	}
	assert_null(find_query(&fixture->page, QUERIES + 1));
	assert_string_equal(status_of(&fixture->subject, 5), "cancelled cancelled");
	assert_string_equal(status_of(&fixture->subject, 6), "new");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    every_table_view_and_column_has_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    no_table_or_view_is_in_the_page_that_does_not_exist, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    every_index_is_in_the_page_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    version_is_that_of_the_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    ten_queries_run_and_find_something, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("db_manual", tests, NULL, NULL);
}
