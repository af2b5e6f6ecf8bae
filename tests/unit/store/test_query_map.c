/* query_map: which jobs are a map's, by their names and their supervisor. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/query_map.h"
#include "support/subject.h"

#include <stdio.h>

#define SERIAL "supervisor=serial name="

static struct query *
open_query(const struct subject *subject)
{
	struct error error;
	struct query *query = query_open(subject->directory, &error);

	if (query == NULL)
		fail_msg("%s", error.text);
	return query;
}

static void
last_number_is_the_highest_and_not_somebody_elses(void **state)
{
	struct subject *subject = *state;
	struct query *query;
	struct error error;
	int64_t last = -1;

	submit(subject, SERIAL "serial:2");
	submit(subject, SERIAL "serial:10");
	submit(subject, SERIAL "serial:9");
	submit(subject, SERIAL "serial:11x");
	submit(subject, SERIAL "serial:12:1");
	submit(subject, SERIAL "serial.13");
	submit(subject, "name=serial:14");
	query = open_query(subject);
	assert_int_equal(query_map_last(query, "serial", &last, &error), 0);
	assert_int_equal(last, 10);
	assert_int_equal(query_map_last(query, "seria", &last, &error), 0);
	assert_int_equal(last, 0);
	query_close(query);
}

static void
item_has_its_newest_job_with_its_last_attempt(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct query *query;
	struct map_job job;
	struct error error;
	int64_t id;

	submit(subject, SERIAL "serial:1 max-retries=0 priority=0");
	key = claim(subject, "serial");
	assert_int_equal(started(subject, key), STEP_OK);
	ended(subject, key, "exit:3");
	query = open_query(subject);
	assert_int_equal(query_map_item(query, "serial", 1, &job, &error), 0);
	assert_int_equal(job.id, 1);
	assert_int_equal(job.status, JOB_FAILED);
	assert_string_equal(job.reason, "exit:3");
	assert_string_equal(job.command, "[\"true\"]");
	assert_int_equal(job.attempt, 1);
	map_job_done(&job);
	id = submit(subject, SERIAL "serial:1 timeout=5");
	assert_int_equal(query_map_item(query, "serial", 1, &job, &error), 0);
	assert_int_equal(job.id, id);
	assert_int_equal(job.status, JOB_NEW);
	assert_null(job.reason);
	assert_int_equal(job.attempt, 0);
	assert_true(job.exit_code == -1);
	assert_int_equal(job.timeout_ms, 5000);
	map_job_done(&job);
	assert_int_equal(query_map_item(query, "serial", 2, &job, &error), 0);
	assert_int_equal(job.id, 0);
	map_job_done(&job);
	assert_int_equal(query_map_job(query, id, &job, &error), 0);
	assert_int_equal(job.id, id);
	map_job_done(&job);
	query_close(query);
}

static void
live_ones_come_by_id_in_portions(void **state)
{
	struct subject *subject = *state;
	int64_t ids[2], after = 0;
	struct query *query;
	struct error error;
	size_t count;

	submit(subject, SERIAL "other");
	for (int i = 1; i <= 3; i++) {
		char options[64];

		snprintf(options, sizeof(options), SERIAL "serial:%d", i);
		submit(subject, options);
	}
	query = open_query(subject);
	assert_int_equal(
	    query_map_live(query, "serial", after, ids, 2, &count, &error), 0);
	assert_int_equal(count, 2);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 3);
	assert_int_equal(
	    query_map_live(query, "serial", ids[1], ids, 2, &count, &error), 0);
	assert_int_equal(count, 1);
	assert_int_equal(ids[0], 4);
	query_close(query);
}

int
main(void)
{
#define TEST(name)                                                                       \
	{                                                                                \
		#name, name, subject_setup, subject_teardown, (void *)&subject_sqlite    \
	}
	const struct CMUnitTest tests[] = {
		TEST(last_number_is_the_highest_and_not_somebody_elses),
		TEST(item_has_its_newest_job_with_its_last_attempt),
		TEST(live_ones_come_by_id_in_portions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
