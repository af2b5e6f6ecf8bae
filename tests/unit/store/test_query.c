/* query: what the command line reads, in what order, and without reading the history. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "store/query.h"
#include "support/subject.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct query *
open_query(const struct subject *subject)
{
	struct error error;
	struct query *query = query_open(subject->directory, &error);

	if (query == NULL)
		fail_msg("%s", error.text);
	return query;
}

/* One column of all jobs that the filter lets through, "3 1 2". Good until the next call. */
static const char *
column_of(struct query *query, const struct job_filter *filter, const char *column)
{
	static char text[2048];
	struct error error;
	struct rows *rows = query_jobs(query, filter, &error);
	size_t used = 0;

	assert_non_null(rows);
	text[0] = '\0';
	while (rows_next(rows, &error) == 1 && used < sizeof(text) - 64)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%" PRId64, used > 0 ? " " : "", rows_number(rows, column, -1));
	rows_close(rows);
	return text;
}

static const char *
ids(const struct subject *subject, const struct job_filter *filter)
{
	struct query *query = open_query(subject);
	const char *text = column_of(query, filter, "id");

	query_close(query);
	return text;
}

/* A job that is run once with this end. */
static int64_t
run_one(struct subject *subject, const char *options, const char *reason)
{
	int64_t job = submit(subject, options);
	struct attempt_key key = start(subject);

	assert_int_equal(key.job, job);
	ended(subject, key, reason);
	return job;
}

static void
live_jobs_come_first_then_the_ten_that_ended_last(void **state)
{
	struct subject *subject = *state;
	const struct job_filter usual = { 0 }, live = { .wants_live = true };
	const struct job_filter all = { .wants_all = true };
	const struct job_filter five = { .limit = 5 };

	for (int i = 0; i < 12; i++)
		run_one(subject, "", "normal");
	run_one(subject, "", "exit:3"); /* 13: errored */
	submit(subject, "");
	submit(subject, "priority=1");
	start(subject); /* 15: running */
	assert_string_equal(ids(subject, &usual), "15 13 14 12 11 10 9 8 7 6 5 4 3");
	assert_string_equal(ids(subject, &live), "15 13 14");
	assert_string_equal(ids(subject, &all), "15 13 14 12 11 10 9 8 7 6 5 4 3 2 1");
	assert_string_equal(ids(subject, &five), "15 13 14 12 11");
}

static void
last_to_end_comes_first_whatever_its_id(void **state)
{
	struct subject *subject = *state;
	const struct job_filter usual = { 0 };
	struct attempt_key first, second;

	submit(subject, "");
	submit(subject, "");
	first = start(subject);
	second = start(subject);
	run_one(subject, "", "normal");
	ended(subject, second, "normal");
	ended(subject, first, "normal");
	assert_string_equal(ids(subject, &usual), "1 2 3");
}

/* It is ended, live, and ended again: one row each time. */
static void
retried_job_is_listed_once(void **state)
{
	struct subject *subject = *state;
	const struct job_filter usual = { 0 };

	run_one(subject, "max_retries=0", "exit:3");
	run_one(subject, "", "normal");
	assert_string_equal(ids(subject, &usual), "2 1");
	change(subject, 1, JOB_RETRY);
	assert_string_equal(ids(subject, &usual), "1 2");
	ended(subject, start(subject), "normal");
	assert_string_equal(ids(subject, &usual), "1 2");
}

static void
filters_look_at_all_jobs(void **state)
{
	struct subject *subject = *state;
	struct job_filter failed = { .has_statuses = true };
	struct job_filter names = { .name = "mail*" }, one = { .name = "mailb" };
	struct job_filter type = { .type = "mail" }, both = names;

	failed.statuses[JOB_FAILED] = true;
	both.type = "mail";
	run_one(subject, "name=maila max_retries=0", "exit:3");
	run_one(subject, "name=mailb type=mail", "normal");
	for (int i = 0; i < 11; i++)
		run_one(subject, "", "normal");
	submit(subject, "name=mailc");
	submit(subject, "type=mail");
	assert_string_equal(ids(subject, &failed), "1");
	assert_string_equal(ids(subject, &names), "14 2 1");
	assert_string_equal(ids(subject, &one), "2");
	assert_string_equal(ids(subject, &type), "15 2");
	assert_string_equal(ids(subject, &both), "2");
}

static void
line_is_the_place_among_the_ready_of_the_supervisor(void **state)
{
	struct subject *subject = *state;
	const struct job_filter usual = { 0 };
	struct query *query;

	submit(subject, "supervisor=serial"); /* 1 runs */
	started(subject, claim(subject, "serial"));
	submit(subject, ""); /* 2: ready of default */
	submit(subject, "supervisor=serial");
	submit(subject, "supervisor=serial in=1h");
	submit(subject, "supervisor=serial priority=1"); /* 5: before 3 */
	submit(subject, "supervisor=serial");		 /* 6: held */
	change(subject, 6, JOB_HOLD);
	query = open_query(subject);
	assert_string_equal(column_of(query, &usual, "id"), "1 5 2 3 4 6");
	assert_string_equal(column_of(query, &usual, "line"), "-1 1 1 2 -1 -1");
	assert_string_equal(column_of(query, &usual, "busy"), "1 1 0 1 1 1");
	for (int64_t id = 1; id <= 6; id++) {
		static const char *const lines[] = { "-1", "1", "2", "-1", "1", "-1" };
		const struct job_filter filter = { .id = id };

		assert_string_equal(column_of(query, &filter, "line"), lines[id - 1]);
	}
	query_close(query);
}

static void
row_tells_what_it_waits_for_and_how_the_last_attempt_went(void **state)
{
	struct subject *subject = *state;
	struct job_filter filter = { .id = 2 };
	struct error error;
	struct query *query;
	struct rows *rows;

	run_one(subject, "", "exit:3");
	submit(subject, "after=1");
	query = open_query(subject);
	rows = query_jobs(query, &filter, &error);
	assert_int_equal(rows_next(rows, &error), 1);
	assert_string_equal(rows_text(rows, "waits_for"), "[1]");
	assert_string_equal(rows_text(rows, "after"), "[{\"id\":1,\"until\":\"done\"}]");
	assert_null(rows_text(rows, "reason"));
	assert_int_equal(rows_number(rows, "attempt", -1), -1);
	assert_int_equal(rows_next(rows, &error), 0);
	assert_null(rows_text(rows, "waits_for")); /* behind the end there is no row */
	rows_close(rows);
	filter.id = 1;
	rows = query_jobs(query, &filter, &error);
	assert_int_equal(rows_next(rows, &error), 1);
	assert_string_equal(rows_text(rows, "reason"), "exit:3");
	assert_string_equal(rows_text(rows, "status"), "errored");
	assert_int_equal(rows_number(rows, "attempt", -1), 1);
	assert_null(rows_text(rows, "after"));
	assert_int_equal(rows_find(rows, "no such column"), -1);
	rows_close(rows);
	query_close(query);
}

static void
job_is_found_by_id_or_by_the_name_of_the_live_or_last_one(void **state)
{
	struct subject *subject = *state;
	struct query *query;
	struct error error;
	int64_t job = 0;

	run_one(subject, "name=report", "normal");
	run_one(subject, "name=report", "normal");
	run_one(subject, "name=other max_retries=0", "exit:1");
	submit(subject, "name=other");
	query = open_query(subject);
	assert_int_equal(query_find_job(query, "3", &job, &error), 0);
	assert_int_equal(job, 3);
	assert_int_equal(query_find_job(query, "report", &job, &error), 0);
	assert_int_equal(job, 2);
	assert_int_equal(query_find_job(query, "other", &job, &error), 0);
	assert_int_equal(job, 4);
	job = 77;
	assert_int_equal(query_find_job(query, "5", &job, &error), -1);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_int_equal(query_find_job(query, "rep*", &job, &error), -1);
	assert_int_equal(query_find_job(query, "0", &job, &error), -1);
	assert_int_equal(query_find_job(query, "99999999999999999999", &job, &error), -1);
	assert_int_equal(job, 77);
	query_close(query);
}

/* Numbers of one column of events or submissions, "1 2". Closes the rows. */
static const char *
numbers(struct rows *rows, const char *column)
{
	static char text[512];
	struct error error;
	size_t used = 0;

	assert_non_null(rows);
	text[0] = '\0';
	while (rows_next(rows, &error) == 1)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%" PRId64, used > 0 ? " " : "", rows_number(rows, column, -1));
	rows_close(rows);
	return text;
}

static void
events_are_of_one_job_or_all_behind_a_number_or_the_last(void **state)
{
	struct subject *subject = *state;
	struct query *query;
	struct error error;
	int64_t job, event;

	run_one(subject, "", "normal"); /* events 1 2 */
	run_one(subject, "", "normal"); /* 3 4 */
	submit(subject, "");
	query = open_query(subject);
	assert_string_equal(numbers(query_events(query, 0, 0, 0, &error), "seq"), "1 2 3 4");
	assert_string_equal(numbers(query_events(query, 0, 3, 0, &error), "seq"), "4");
	assert_string_equal(numbers(query_events(query, 0, 0, 3, &error), "seq"), "2 3 4");
	assert_string_equal(numbers(query_events(query, 0, 2, 9, &error), "seq"), "3 4");
	assert_string_equal(numbers(query_events(query, 1, 0, 0, &error), "seq"), "1 2");
	assert_string_equal(numbers(query_events(query, 1, 0, 1, &error), "seq"), "2");
	assert_string_equal(
	    numbers(query_submissions(query, 0, 0, 0, &error), "job_id"), "1 2 3");
	assert_string_equal(
	    numbers(query_submissions(query, 0, 1, 0, &error), "job_id"), "2 3");
	assert_string_equal(
	    numbers(query_submissions(query, 0, 0, 2, &error), "job_id"), "2 3");
	assert_string_equal(
	    numbers(query_submissions(query, 2, 0, 0, &error), "job_id"), "2");
	assert_string_equal(
	    numbers(query_submissions(query, 2, 2, 0, &error), "job_id"), "");
	assert_int_equal(query_latest_run(query, &job, &error), 0);
	assert_int_equal(job, 2);
	assert_int_equal(query_last_attempt(query, 3, &event, &error), 0);
	assert_int_equal(event, 0);
	query_close(query);
}

/* Its start and its end are told one after the other, or both at once. */
static void
events_of_a_job_have_its_start_however_it_was_told_until_it_is_pruned(void **state)
{
	struct subject *subject = *state;
	struct query *query;
	struct error error;
	struct batch batch;
	struct step *step;

	run_one(subject, "", "exit:3");
	submit(subject, "");
	batch_init(&batch);
	step = add_ended(&batch, claim(subject, "default"), "normal");
	step->ended.started.pid = 4711;
	run_ok(subject, &batch);
	batch_done(&batch);
	query = open_query(subject);
	assert_string_equal(numbers(query_events(query, 1, 0, 0, &error), "seq"), "1 2");
	assert_string_equal(numbers(query_events(query, 2, 0, 0, &error), "seq"), "3 4");
	assert_string_equal(numbers(query_events(query, 2, 3, 0, &error), "seq"), "4");
	batch_init(&batch);
	step = batch_add(&batch, STEP_PRUNE, NULL, NULL);
	step->prune.statuses[JOB_DONE] = true;
	step->prune.limit = 1;
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_string_equal(numbers(query_events(query, 0, 0, 0, &error), "seq"), "1 2");
	query_close(query);
}

/* More than one portion: each row once, in order, and no transaction open between. */
static void
many_rows_come_in_portions_that_hold_nothing_up(void **state)
{
	struct subject *subject = *state;
	const struct job_filter usual = { 0 };
	struct sqlite3 *other;
	struct query *query;
	struct rows *rows;
	struct error error;
	int64_t wanted = 1;

	for (int i = 0; i < 1234; i++)
		submit(subject, "");
	query = open_query(subject);
	rows = query_jobs(query, &usual, &error);
	assert_int_equal(rows_next(rows, &error), 1);
	other = connect_to(subject->directory);
	assert_string_equal(ask(other, "PRAGMA wal_checkpoint(TRUNCATE)"), "0");
	tell(other, "UPDATE jobs SET status = 'cancelled' WHERE id = 1000");
	assert_string_equal(ask(other, "PRAGMA wal_checkpoint(TRUNCATE)"), "0");
	sqlite3_close(other);
	do {
		assert_int_equal(rows_number(rows, "id", 0), wanted);
		assert_string_equal(
		    rows_text(rows, "status"), wanted == 1000 ? "cancelled" : "new");
		wanted++;
	} while (rows_next(rows, &error) == 1);
	assert_int_equal(wanted, 1235);
	rows_close(rows);
	query_close(query);
}

static void
no_database_is_not_found_and_none_is_made(void **state)
{
	char directory[64];
	struct error error;

	(void)state;
	scratch_make(directory);
	assert_null(query_open(directory, &error));
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_null(query_open(directory, &error));
	scratch_remove(directory);
}

int
main(void)
{
#define TEST(name)                                                                       \
	{                                                                                \
		#name, name, subject_setup, subject_teardown, (void *)&subject_sqlite    \
	}
	const struct CMUnitTest tests[] = {
		TEST(live_jobs_come_first_then_the_ten_that_ended_last),
		TEST(last_to_end_comes_first_whatever_its_id),
		TEST(retried_job_is_listed_once),
		TEST(filters_look_at_all_jobs),
		TEST(line_is_the_place_among_the_ready_of_the_supervisor),
		TEST(row_tells_what_it_waits_for_and_how_the_last_attempt_went),
		TEST(job_is_found_by_id_or_by_the_name_of_the_live_or_last_one),
		TEST(events_are_of_one_job_or_all_behind_a_number_or_the_last),
		TEST(events_of_a_job_have_its_start_however_it_was_told_until_it_is_pruned),
		TEST(many_rows_come_in_portions_that_hold_nothing_up),
		cmocka_unit_test(no_database_is_not_found_and_none_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
