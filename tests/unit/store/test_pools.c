/* Pools as the store has them: what makes one, its messages, and its beginning and end as one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"

#include <sqlite3.h>
#include <stdlib.h>

static const char *
query(struct subject *subject, const char *statement)
{
	struct sqlite3 *handle = connect_to(subject->directory);
	const char *text = ask(handle, statement);

	sqlite3_close(handle);
	return text;
}

/* "name=p pool=2 durable": the id of its first server, or -1 with the words in *error. */
static int64_t
try_pool(struct subject *subject, const char *options, struct error *error)
{
	struct batch batch;
	struct step *step;
	int64_t id;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = true;
	run_ok(subject, &batch);
	id = step->answer == STEP_OK ? step->submit.ret_ids[0] : -1;
	*error = step->error;
	batch_done(&batch);
	return id;
}

static int64_t
pool(struct subject *subject, const char *options)
{
	struct error error;
	int64_t id = try_pool(subject, options, &error);

	if (id == -1)
		fail_msg("%s: %s", options, error.text);
	return id;
}

static struct attempt_key
begin(struct subject *subject)
{
	struct attempt_key key = claim(subject, "servers");
	struct batch batch;

	assert_int_equal(started(subject, key), STEP_OK);
	batch_init(&batch);
	batch_add(&batch, STEP_READY, NULL, NULL)->ready.key = key;
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->answer, STEP_OK);
	batch_done(&batch);
	return key;
}

/* Its job, or -1. */
static int64_t
send(struct subject *subject, const char *to, const char *text)
{
	struct spec *spec = xcalloc(1, sizeof(*spec));
	struct batch batch;
	struct step *step;
	int64_t id;

	spec_init(spec);
	spec->is_message = true;
	strings_add(&spec->command, to);
	strings_add(&spec->command, text);
	batch_init(&batch);
	step = batch_add(&batch, STEP_SUBMIT, NULL, NULL);
	step->submit.specs = spec;
	step->submit.count = 1;
	run_ok(subject, &batch);
	id = step->answer == STEP_OK ? step->submit.ret_ids[0] : -1;
	batch_done(&batch);
	return id;
}

/* The first ready message of p, for this member. */
static struct attempt_key
give(struct subject *subject, int64_t member)
{
	struct attempt_key key = { 0 };
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_claim(&batch, "p", 1);
	step->claim.members = xcalloc(1, sizeof(int64_t));
	step->claim.members[0] = member;
	run_ok(subject, &batch);
	if (step->claim.ret_count == 1) {
		key = step->claim.ret_jobs[0].key;
		assert_int_equal(step->claim.ret_jobs[0].member, member);
		assert_true(step->claim.ret_jobs[0].spec.is_message);
	}
	batch_done(&batch);
	return key;
}

static void
pool_is_several_servers_and_a_supervisor(void **state)
{
	struct subject *subject = *state;
	int64_t first = pool(subject, "name=p pool=3 durable max-messages=9");

	assert_string_equal(query(subject, "SELECT group_concat(name) FROM jobs"), "p,p.2,p.3");
	assert_string_equal(query(subject, "SELECT name || max_children || pool FROM supervisors "
					   "WHERE pool NOTNULL"), "p31");
	assert_int_equal(first, 1);
	assert_string_equal(query(subject, "SELECT count(*) FROM servers WHERE pool = 1 AND "
					   "restart = 'permanent' AND max_messages = 9"), "3");
}

static void
pool_whose_names_are_taken_is_refused_as_a_whole(void **state)
{
	struct subject *subject = *state;
	struct error error;

	submit(subject, "name=p.2");
	assert_int_equal(try_pool(subject, "name=p pool=3 durable", &error), -1);
	assert_int_equal(error.code, STATUS_STATE);
	assert_int_equal(try_pool(subject, "name=serial pool=3 durable", &error), -1);
	assert_int_equal(error.code, STATUS_STATE);
	assert_string_equal(query(subject, "SELECT count(*) FROM jobs"), "1");
	assert_string_equal(
	    query(subject, "SELECT count(*) FROM supervisors WHERE pool NOTNULL"), "0");
}

static void
message_is_what_the_pool_says(void **state)
{
	struct subject *subject = *state;

	pool(subject, "name=p pool=2 durable max-retries=7 backoff=linear:2s timeout=3s "
		      "priority=2 jitter=10");
	assert_int_equal(send(subject, "p", "[1]"), 3);
	assert_int_equal(send(subject, "1", "\"x\""), 4);
	assert_string_equal(query(subject, "SELECT kind || supervisor || command || max_retries "
		"|| backoff || timeout_ms || priority || jitter FROM jobs WHERE id = 4"),
	    "messagep[\"p\",\"\\\"x\\\"\"]7linear:2s3000210");
	assert_int_equal(send(subject, "q", "1"), -1);
	assert_int_equal(send(subject, "p.2", "1"), -1); /* a server, no pool */
}

static void
message_ends_with_its_result_or_failure(void **state)
{
	struct subject *subject = *state;
	struct attempt_key member, key;
	int64_t good, bad;
	struct batch batch;
	struct step *step;

	pool(subject, "name=p pool=1 durable max-retries=5");
	member = begin(subject);
	good = send(subject, "p", "1");
	bad = send(subject, "p", "2");
	key = give(subject, member.job);
	assert_int_equal(key.job, good);
	assert_int_equal(started(subject, key), STEP_OK);
	assert_string_equal(status_of(subject, good), "running");
	assert_int_equal(ended(subject, key, "normal"), STEP_OK);
	assert_string_equal(status_of(subject, good), "done normal");
	key = give(subject, member.job);
	assert_int_equal(key.job, bad);
	batch_init(&batch);
	step = add_ended(&batch, key, "exit:1");
	step->ended.is_final = true;
	step->ended.end.reason = reason_from_words("error: no");
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_string_equal(status_of(subject, bad), "failed error: no");
}

/* Whether it was given is not known; it may not run twice if it may run once only. */
static void
message_that_was_claimed_when_all_was_killed_is_lost(void **state)
{
	struct subject *subject = *state;
	struct attempt_key member, key;
	struct batch batch;
	struct step *step;

	pool(subject, "name=p pool=1 durable max-retries=0");
	member = begin(subject);
	send(subject, "p", "[\"a\"]");
	key = give(subject, member.job);
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->open.ret_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct open_attempt *open = &step->open.ret_attempts[i];

		assert_int_equal(open->is_message, open->key.job == key.job);
		assert_int_equal(open->pool, open->is_message ? 0 : member.job);
		if (!open->is_message)
			continue;
		assert_string_equal(open->message, "[\"a\"]");
		assert_int_equal(open->member, member.job);
		assert_true(open->runs_once);
		assert_false(open->is_started);
	}
	batch_done(&batch);
	assert_int_equal(ended(subject, key, "lost:keeper"), STEP_OK);
	assert_string_equal(status_of(subject, key.job), "failed lost:keeper");
}

static void
crash_over_a_message_is_none_of_the_members_restarts(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	pool(subject, "name=p pool=1 durable");
	for (int i = 0; i < 10; i++) {
		struct attempt_key member = begin(subject);

		batch_init(&batch);
		add_ended(&batch, member, "signal:SEGV")->ended.had_message = true;
		run_ok(subject, &batch);
		assert_int_equal(batch.steps[0]->ended.ret_status, JOB_ERRORED);
		batch_done(&batch);
	}
}

static void
pool_begins_again_as_a_whole_or_not_at_all(void **state)
{
	struct subject *subject = *state;
	struct attempt_key first, second;

	pool(subject, "name=p pool=2 durable");
	first = begin(subject);
	second = begin(subject);
	assert_int_equal(stopping(subject, first, REASON_CANCELLED), STEP_OK);
	assert_int_equal(ended(subject, first, "signal:TERM"), STEP_OK);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_REFUSED); /* one is still there */
	assert_string_equal(status_of(subject, 1), "cancelled cancelled");
	assert_int_equal(stopping(subject, second, REASON_CANCELLED), STEP_OK);
	assert_int_equal(ended(subject, second, "signal:TERM"), STEP_OK);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_string_equal(status_of(subject, 1), "new");
	assert_string_equal(status_of(subject, 2), "new");
}

/* One that waits is cancelled at once, the process of another one is to be ended. */
static void
pool_ends_with_its_first(void **state)
{
	struct subject *subject = *state;
	struct attempt_key first, second;
	struct batch batch;

	pool(subject, "name=p pool=3 durable");
	first = begin(subject);
	second = begin(subject);
	assert_int_equal(stopping(subject, first, REASON_CANCELLED), STEP_OK);
	batch_init(&batch);
	add_ended(&batch, first, "signal:TERM");
	run_ok(subject, &batch);
	assert_int_equal(batch.abandoned_count, 1);
	assert_int_equal(batch.abandoned[0], second.job);
	batch_done(&batch);
	assert_string_equal(status_of(subject, 3), "cancelled cancelled");
	assert_string_equal(
	    query(subject, "SELECT stop_reason FROM attempts WHERE job_id = 2"), "cancelled");
}

#define CASE(function) { #function, function }

static const struct {
	const char *name;
	void (*function)(void **state);
} cases[] = {
	CASE(pool_is_several_servers_and_a_supervisor),
	CASE(pool_whose_names_are_taken_is_refused_as_a_whole),
	CASE(message_is_what_the_pool_says),
	CASE(message_ends_with_its_result_or_failure),
	CASE(message_that_was_claimed_when_all_was_killed_is_lost),
	CASE(crash_over_a_message_is_none_of_the_members_restarts),
	CASE(pool_begins_again_as_a_whole_or_not_at_all),
	CASE(pool_ends_with_its_first),
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

int
main(void)
{
	static struct CMUnitTest tests[CASE_COUNT];

	for (size_t i = 0; i < CASE_COUNT; i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, cases[i].function,
			subject_setup, subject_teardown, (void *)&subject_sqlite };
	return cmocka_run_group_tests_name("store: pools", tests, NULL, NULL);
}
