/*
 * What every engine behind the seam has to do: one suite, run on SQLite and on the memory
 * store, once at once and once late. To add a case: a function and a row in `cases`.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_MS INT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define SLACK_MS (600 * SECOND_MS) /* a slow machine */

#define assert_status(subject, job, expected) \
	assert_string_equal(status_of(subject, job), expected)

/* ---- submit ---- */

static void
submit_gives_ids_in_order(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, "priority=9;;name=c");
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(step->submit.ret_ids[i], i + 1);
		assert_false(step->submit.ret_existed[i]);
	}
	batch_done(&batch);
	assert_int_equal(submit(subject, ""), 4);
	assert_status(subject, 4, "new");
}

static void
submit_of_nothing_is_fine(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_SUBMIT, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	batch_done(&batch);
}

/* Two jobs with this token, for the first time or again: the id of the first. */
static int64_t
submit_with_token(struct subject *subject, const char *token, bool is_repeated)
{
	struct batch batch;
	struct step *step;
	int64_t first;

	batch_init(&batch);
	step = add_submit(&batch, "priority=1;priority=2");
	step->submit.token = xstrdup(token);
	step->submit.is_repeated = is_repeated;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	first = step->submit.ret_ids[0];
	assert_int_equal(step->submit.ret_ids[1], first + 1);
	assert_false(step->submit.ret_existed[0]);
	batch_done(&batch);
	return first;
}

static void
submit_repeated_with_its_token_is_recorded_once(void **state)
{
	struct subject *subject = *state;

	assert_int_equal(submit_with_token(subject, "a", false), 1);
	assert_int_equal(submit_with_token(subject, "a", true), 1);
	assert_int_equal(submit_with_token(subject, "b", true), 3); /* it was not in */
	assert_int_equal(submit_with_token(subject, "b", true), 3);
	assert_int_equal(submit_with_token(subject, "a", true), 1);
	assert_int_equal(submit(subject, ""), 5);
	assert_status(subject, 4, "new");
	assert_status(subject, 6, "none");
}

/* The first step of a batch that is refused: hand back its error. */
static struct error
refused_submit(struct subject *subject, const char *options, size_t *ret_bad,
    int64_t *ret_holder)
{
	struct batch batch;
	struct step *step;
	struct error error;

	batch_init(&batch);
	step = add_submit(&batch, options);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_REFUSED);
	error = step->error;
	*ret_bad = step->submit.ret_bad;
	*ret_holder = step->submit.ret_holder;
	assert_int_equal(batch.ended_count, 0);
	assert_int_equal(batch.released, 0);
	batch_done(&batch);
	return error;
}

static void
submit_refuses_a_live_name_and_names_its_holder(void **state)
{
	struct subject *subject = *state;
	int64_t holder = submit(subject, "name=backup"), found;
	struct error error;
	size_t bad;

	error = refused_submit(subject, ";name=backup", &bad, &found);
	assert_int_equal(bad, 1);
	assert_int_equal(found, holder);
	assert_int_equal(error.code, STATUS_STATE);
	assert_non_null(strstr(error.text, "already_started"));
	assert_non_null(strstr(error.text, "job 1 has the name backup (new)"));
	assert_status(subject, 2, "none");
}

static void
submit_with_new_names_refuses_those_of_ended_jobs_too(void **state)
{
	struct subject *subject = *state;
	int64_t first = submit(subject, "name=a");
	int64_t other = submit(subject, "name=b supervisor=serial");
	struct batch batch;
	struct step *step;

	change(subject, first, JOB_CANCEL);
	change(subject, other, JOB_CANCEL);
	batch_init(&batch);
	step = add_submit(&batch, "name=b;name=a");
	step->submit.has_new_names = true;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_REFUSED);
	assert_int_equal(step->submit.ret_bad, 1);
	assert_int_equal(step->submit.ret_holder, first);
	assert_non_null(strstr(step->error.text, "job 1 has the name a (cancelled)"));
	batch_done(&batch);
	assert_int_equal(submit(subject, "name=b;name=a"), 3);
}

static void
submit_refuses_one_name_twice_in_a_step(void **state)
{
	struct subject *subject = *state;
	struct error error;
	int64_t holder;
	size_t bad;

	error = refused_submit(subject, "name=a;name=b;name=a", &bad, &holder);
	assert_int_equal(bad, 2);
	assert_int_equal(holder, 0); /* there is no such job after all */
	assert_non_null(strstr(error.text, "two of these jobs have the name a"));
	assert_int_equal(submit(subject, "name=a"), 1);
}

static void
submit_once_answers_with_the_live_holder(void **state)
{
	struct subject *subject = *state;
	int64_t holder = submit(subject, "name=a");
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, "name=a once;name=b once;name=b once");
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	assert_int_equal(step->submit.ret_ids[0], holder);
	assert_true(step->submit.ret_existed[0]);
	assert_int_equal(step->submit.ret_ids[1], holder + 1);
	assert_false(step->submit.ret_existed[1]);
	assert_int_equal(step->submit.ret_ids[2], holder + 1);
	assert_true(step->submit.ret_existed[2]);
	batch_done(&batch);
	assert_status(subject, holder + 2, "none");
}

static void
submit_takes_a_name_whose_job_has_ended(void **state)
{
	struct subject *subject = *state;
	int64_t first = submit(subject, "name=a");

	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_status(subject, first, "done normal");
	assert_int_equal(submit(subject, "name=a once"), first + 1);
}

static void
submit_refuses_an_unknown_supervisor(void **state)
{
	struct subject *subject = *state;
	struct error error;
	int64_t holder;
	size_t bad;

	error = refused_submit(
	    subject, "supervisor=serial;supervisor=nowhere", &bad, &holder);
	assert_int_equal(bad, 1);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_non_null(strstr(error.text, "nowhere"));
}

static void
submit_refuses_an_unknown_dependency(void **state)
{
	struct subject *subject = *state;
	int64_t known = submit(subject, ""), holder;
	struct error error;
	size_t bad;

	assert_int_equal(known, 1);
	error = refused_submit(subject, "after=1,7", &bad, &holder);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_non_null(strstr(error.text, "there is no job 7"));
}

/* A name means its live job, one of the same step too, else the one that ended last. */
static void
submit_after_a_name_waits_for_what_it_means_now(void **state)
{
	struct subject *subject = *state;
	int64_t holder;
	struct error error;
	size_t bad;

	error = refused_submit(subject, "after=a", &bad, &holder);
	assert_int_equal(error.code, STATUS_NOT_FOUND);
	assert_non_null(strstr(error.text, "there is no job a"));
	assert_int_equal(submit(subject, "name=a"), 1);
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_int_equal(submit(subject, "name=a after=a max-retries=0"), 2);
	assert_int_equal(submit(subject, "after=a"), 3); /* the second, which is live */
	assert_int_equal(ended(subject, start(subject), "exit:1"), STEP_OK);
	assert_status(subject, 2, "failed exit:1");
	assert_status(subject, 3, "cancelled dependency");
	assert_int_equal(submit(subject, "after-any=a"), 4);
	assert_int_equal(submit(subject, "after=a"), 5);
	assert_status(subject, 4, "new");
	assert_status(subject, 5, "cancelled dependency");
	submit(subject, "name=b hold;after=b");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_status(subject, 4, "done normal");
	assert_status(subject, 7, "new");
	assert_int_equal(change(subject, 6, JOB_CANCEL), STEP_OK);
	assert_status(subject, 7, "cancelled dependency");
}

static void
submit_refuses_bytes_that_are_not_text(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *argument, *variable, *fine;

	batch_init(&batch);
	argument = add_submit(&batch, "");
	strings_add(&argument->submit.specs[0].command, "caf\xe9");
	variable = add_submit(&batch, "");
	strings_add(&variable->submit.environment, "NAME=caf\xe9");
	fine = add_submit(&batch, "");
	run_ok(subject, &batch);
	assert_int_equal(argument->answer, STEP_REFUSED);
	assert_non_null(strstr(argument->error.text, "UTF-8"));
	assert_int_equal(variable->answer, STEP_REFUSED);
	assert_non_null(strstr(variable->error.text, "UTF-8"));
	assert_int_equal(fine->answer, STEP_OK);
	batch_done(&batch);
}

/* A refused step leaves no trace, and the other steps of its batch are not touched. */
static void
submit_refused_takes_back_only_its_own_step(void **state)
{
	struct subject *subject = *state;
	int64_t bad = submit(subject, "max-retries=0");
	struct batch batch;
	struct step *refused, *fine;

	assert_int_equal(ended(subject, start(subject), "exit:1"), STEP_OK);
	assert_status(subject, bad, "failed exit:1");
	batch_init(&batch);
	add_submit(&batch, "name=a");
	refused = add_submit(&batch, "after=1;after-any=1;name=a");
	fine = add_submit(&batch, "name=b");
	run_ok(subject, &batch);
	assert_int_equal(refused->answer, STEP_REFUSED);
	assert_int_equal(refused->submit.ret_ids[0], 0);
	assert_int_equal(
	    batch.ended_count, 0); /* not the job cancelled because of job 1 … */
	assert_int_equal(batch.released, 0);	/* … nor the one released by it */
	assert_int_equal(fine->submit.ret_ids[0], 3);
	batch_done(&batch);
	assert_status(subject, 4, "none");
}

/* ---- dependencies ---- */

static void
dependency_holds_a_job_until_the_other_is_done(void **state)
{
	struct subject *subject = *state;
	int64_t first = submit(subject, ""), second = submit(subject, "after=1");
	struct attempt_key key = start(subject);
	struct batch batch;

	assert_int_equal(key.job, first);
	assert_int_equal(claim_count(subject, "default", 9), 0);
	batch_init(&batch);
	add_ended(&batch, key, "normal");
	run_ok(subject, &batch);
	assert_int_equal(batch.released, 1);
	assert_int_equal(batch.ended_count, 1);
	assert_int_equal(batch.ended[0].job, first);
	assert_int_equal(batch.ended[0].status, JOB_DONE);
	batch_done(&batch);
	assert_int_equal(claim(subject, "default").job, second);
}

static void
dependency_waits_for_all_of_them(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "");
	submit(subject, "after=1,2");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 1);
	submit(subject, "");
	assert_status(subject, 3, "new");
	assert_int_equal(claim(subject, "default").job, 4);
}

static void
dependency_on_a_job_that_is_done_holds_nothing(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	batch_init(&batch);
	add_submit(&batch, "after=1");
	run_ok(subject, &batch);
	assert_int_equal(batch.released, 1);
	batch_done(&batch);
	assert_int_equal(claim(subject, "default").job, 2);
}

static const struct ended_job *
find_ended(const struct batch *batch, int64_t job)
{
	for (size_t i = 0; i < batch->ended_count; i++) {
		if (batch->ended[i].job == job)
			return &batch->ended[i];
	}
	fail_msg("job %d did not end", (int)job);
	return NULL;
}

static void
dependency_that_failed_cancels_all_that_wait(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	submit(subject, "max-retries=0");
	submit(subject, "after=1");
	submit(subject, "after=2");
	submit(subject, "after-any=3");
	submit(subject, "after-any=1 after=3");
	batch_init(&batch);
	add_ended(&batch, start(subject), "exit:3");
	run_ok(subject, &batch);
	assert_int_equal(batch.ended_count, 4);
	assert_int_equal(find_ended(&batch, 1)->reason.kind, REASON_EXIT);
	assert_int_equal(find_ended(&batch, 1)->status, JOB_FAILED);
	assert_int_equal(find_ended(&batch, 3)->reason.kind, REASON_DEPENDENCY);
	assert_int_equal(find_ended(&batch, 3)->status, JOB_CANCELLED);
	assert_int_equal(batch.released, 1);
	batch_done(&batch);
	assert_status(subject, 2, "cancelled dependency");
	assert_status(subject, 5, "cancelled dependency");
	assert_status(subject, 4, "new");
	assert_int_equal(claim(subject, "default").job, 4);
}

static void
dependency_that_was_cancelled_cancels(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "after=1");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	assert_status(subject, 2, "cancelled dependency");
}

static void
dependency_that_had_failed_cancels_at_submit(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "exit:100"), STEP_OK);
	batch_init(&batch);
	add_submit(&batch, "after=1;after-any=1");
	run_ok(subject, &batch);
	assert_int_equal(batch.ended_count, 1);
	assert_int_equal(batch.ended[0].job, 2);
	assert_int_equal(batch.released, 1);
	batch_done(&batch);
	assert_status(subject, 2, "cancelled dependency");
	assert_int_equal(claim(subject, "default").job, 3);
}

static void
dependency_given_twice_is_the_stricter(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "after-any=1 after=1");
	submit(subject, "after=1 after-any=1");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	assert_status(subject, 2, "cancelled dependency");
	assert_status(subject, 3, "cancelled dependency");
}

static void
dependency_survives_a_hold_and_its_release(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "after=1");
	submit(subject, "after=1");
	assert_int_equal(change(subject, 2, JOB_HOLD), STEP_OK);
	assert_int_equal(change(subject, 2, JOB_RELEASE), STEP_OK);
	assert_int_equal(change(subject, 3, JOB_HOLD), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 1), 1);
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(ended(subject, (struct attempt_key){ 1, 1, subject->generation },
			     "exit:100"),
	    STEP_OK);
	assert_status(subject, 2, "cancelled dependency");
	assert_status(subject, 3, "new"); /* held by a person: told at the release */
	assert_int_equal(change(subject, 3, JOB_RELEASE), STEP_OK);
	assert_status(subject, 3, "cancelled dependency");
}

static void
dependency_of_a_job_that_is_submitted_held_counts_from_its_release(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	for (int64_t job = 2; job <= 4; job++)
		submit(subject, "hold after=1");
	key = start(subject);
	assert_int_equal(change(subject, 2, JOB_RELEASE), STEP_OK); /* it goes on waiting */
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(ended(subject, key, "normal"), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 2);
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(change(subject, 3, JOB_RELEASE), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 3);
	assert_int_equal(change(subject, 4, JOB_CANCEL), STEP_OK);
	assert_status(subject, 4, "cancelled cancelled");
}

static void
dependency_that_fails_cancels_a_job_that_was_submitted_held_at_its_release(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "hold after=1");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	submit(subject, "hold after=1");
	for (int64_t job = 2; job <= 3; job++) {
		assert_status(subject, job, "new");
		assert_int_equal(change(subject, job, JOB_RELEASE), STEP_OK);
		assert_status(subject, job, "cancelled dependency");
	}
}

static void
retry_of_a_job_whose_dependency_failed_says_it_is_cancelled(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	submit(subject, "after=1");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	step = add_change(&batch, 2, JOB_RETRY);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	assert_int_equal(step->change.ret_status, JOB_CANCELLED);
	assert_int_equal(batch.ended_count, 1);
	batch_done(&batch);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_int_equal(change(subject, 2, JOB_RETRY), STEP_OK);
	assert_status(subject, 2, "new"); /* and it waits for job 1 again */
	assert_int_equal(claim_count(subject, "default", 9), 1);
}

/* ---- claim, withdraw ---- */

static void
claim_goes_by_priority_then_id(void **state)
{
	static const int64_t order[] = { 4, 3, 5, 1, 2, 6 };
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	submit(subject, "priority=5");
	submit(subject, "priority=1");
	submit(subject, "priority=0");
	submit(subject, "priority=1");
	submit(subject, "priority=9");
	batch_init(&batch);
	step = add_claim(&batch, "default", 6);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(step->claim.ret_jobs[i].key.job, order[i]);
		assert_int_equal(step->claim.ret_jobs[i].key.attempt, 1);
		assert_int_equal(
		    step->claim.ret_jobs[i].key.generation, subject->generation);
	}
	batch_done(&batch);
}

static void
claim_takes_no_more_than_its_places(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	submit(subject, "");
	submit(subject, "");
	assert_int_equal(claim_count(subject, "default", 0), 0);
	assert_int_equal(claim_count(subject, "default", -1), 0);
	assert_int_equal(claim_count(subject, "default", 2), 2);
	assert_int_equal(claim_count(subject, "default", INT64_C(1) << 40), 1);
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

/* Else it could be overtaken for ever. */
static void
claim_ahead_ends_before_a_job_that_may_run_once(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "max-retries=0");
	submit(subject, "");
	submit(subject, "max-retries=0");
	submit(subject, "");
	batch_init(&batch);
	step = add_claim(&batch, "default", 4);
	step->claim.ahead = 3;
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 2);
	assert_int_equal(step->claim.ret_jobs[1].key.job, 2);
	assert_true(step->claim.ret_is_too_early);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 2);
	assert_int_equal(step->claim.ret_jobs[0].key.job, 3);
	assert_int_equal(step->claim.ret_jobs[1].key.job, 4);
	assert_false(step->claim.ret_is_too_early);
	batch_done(&batch);
}

static void
claim_keeps_supervisors_apart(void **state)
{
	struct subject *subject = *state;

	submit(subject, "supervisor=serial");
	submit(subject, "supervisor=servers");
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(claim_count(subject, "nowhere", 9), 0);
	assert_int_equal(claim(subject, "servers").job, 2);
	assert_int_equal(claim(subject, "serial").job, 1);
}

static void
claim_leaves_the_job_new(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "timeout=30");
	claim(subject, "default");
	batch_init(&batch);
	step = batch_add(&batch, STEP_LOOKUP, NULL, NULL);
	step->lookup.job = 1;
	run_ok(subject, &batch);
	assert_int_equal(step->lookup.ret_status, JOB_NEW);
	assert_int_equal(step->lookup.ret_timeout_ms, 30 * SECOND_MS);
	assert_true(step->lookup.ret_is_claimed);
	batch_done(&batch);
}

static void
claim_passes_over_what_waits(void **state)
{
	struct subject *subject = *state;

	submit(subject, "hold");
	submit(subject, "in=1h");
	submit(subject, "at=9999-12-31T00:00:00Z");
	submit(subject, "after=1");
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

static void
check_claimed_spec(const struct claimed_job *claimed)
{
	const struct spec *spec = &claimed->spec;

	assert_int_equal(spec->command.count, 3);
	assert_string_equal(spec->command.items[1], "two words \"quoted\"\n");
	assert_string_equal(spec->command.items[2], "");
	assert_string_equal(spec->name, "a");
	assert_string_equal(spec->cwd, "/usr");
	assert_string_equal(spec->stdin_path, "/etc/hosts");
	assert_int_equal(spec->umask, 077);
	assert_int_equal(spec->timeout_ms, 1500);
	assert_int_equal(spec->grace_ms, 0);
	assert_int_equal(spec->max_output, 65536);
	assert_int_equal(spec->log_rotate.bytes, 0);
	assert_int_equal(spec->retry.max_retries, 0);
	assert_true(spec->leaves_children);
	assert_int_equal(spec->priority, SPEC_DEFAULT_PRIORITY);
	assert_null(claimed->environment);
}

static void
claim_carries_what_starting_needs(void **state)
{
	struct subject *subject = *state;
	const struct spec *plain;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch,
	    "name=a cwd=/usr stdin=/etc/hosts timeout=1500ms grace=0 max-output=64K "
	    "max-retries=0 leave-children;max-retries=inf log-rotate=128K,7");
	step->submit.specs[0].umask = 077;
	strings_add(&step->submit.specs[0].command, "two words \"quoted\"\n");
	strings_add(&step->submit.specs[0].command, "");
	step = add_claim(&batch, "default", 2); /* in the same turn */
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 2);
	check_claimed_spec(&step->claim.ret_jobs[0]);
	plain = &step->claim.ret_jobs[1].spec;
	assert_null(plain->name);
	assert_null(plain->stdin_path);
	assert_string_equal(plain->cwd, "/");
	assert_int_equal(plain->umask, SPEC_UNSET);
	assert_int_equal(plain->timeout_ms, SPEC_UNSET);
	assert_int_equal(plain->grace_ms, SPEC_UNSET);
	assert_int_equal(plain->max_output, SPEC_UNSET);
	assert_true(plain->log_rotate.bytes == 131072 && plain->log_rotate.keep == 7);
	assert_int_equal(plain->retry.max_retries, RETRY_FOR_EVER);
	assert_false(plain->leaves_children);
	batch_done(&batch);
}

static void
assert_environment(const struct claimed_job *claimed, const char *only)
{
	assert_non_null(claimed->environment);
	assert_int_equal(claimed->environment->count, 1);
	assert_string_equal(claimed->environment->items[0], only);
}

static void
claim_gives_each_job_its_own_environment(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *first, *second, *shared;

	batch_init(&batch);
	shared = add_submit(&batch, ";;;supervisor=serial");
	strings_add(&shared->submit.environment, "A=shared");
	strings_add(&shared->submit.specs[1].environment, "A=own");
	strings_add(&shared->submit.specs[3].environment, "A=serial");
	add_submit(&batch, "");
	first = add_claim(&batch, "default", 9);
	second = add_claim(&batch, "serial", 1);
	run_ok(subject, &batch);
	assert_int_equal(first->claim.ret_count, 4);
	assert_environment(&first->claim.ret_jobs[0], "A=shared");
	assert_environment(&first->claim.ret_jobs[1], "A=own");
	assert_environment(&first->claim.ret_jobs[2], "A=shared");
	assert_null(first->claim.ret_jobs[3].environment);
	assert_int_equal(second->claim.ret_count, 1);
	assert_environment(&second->claim.ret_jobs[0], "A=serial");
	batch_done(&batch);
}

/* Submit and claim a job with this environment; it comes to nothing. */
static void
lose_environment(struct subject *subject, enum trouble trouble)
{
	struct batch batch;

	batch_init(&batch);
	strings_add(&add_submit(&batch, "")->submit.environment, "A=lost");
	add_claim(&batch, "default", 1);
	subject->kind->order(subject, trouble);
	if (run(subject, &batch) == STORE_IN_DOUBT)
		assert_int_equal(store_reopen(subject->store), STORE_ABSENT);
	batch_done(&batch);
}

/* The same ids are given again to what comes next. */
static void
claim_gives_the_environment_of_the_turn_that_came_true(void **state)
{
	static const char *const variables[] = { "A=after doubt", "A=after a full disk",
		"A=lost" };
	struct subject *subject = *state;

	for (int i = 0; i < 3; i++) {
		struct batch batch;
		struct step *step;

		lose_environment(subject, i == 0 ? TROUBLE_DOUBT_LOST : TROUBLE_FULL);
		batch_init(&batch);
		strings_add(&add_submit(&batch, "")->submit.environment, variables[i]);
		step = add_claim(&batch, "default", 1);
		run_ok(subject, &batch);
		assert_environment(&step->claim.ret_jobs[0], variables[i]);
		batch_done(&batch);
	}
}

static void
claim_gives_an_environment_that_a_refused_request_had_too(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *refused, *step;

	batch_init(&batch);
	refused = add_submit(&batch, ";supervisor=nobody");
	strings_add(&refused->submit.environment, "A=same");
	step = add_submit(&batch, "");
	strings_add(&step->submit.environment, "A=same");
	step = add_claim(&batch, "default", 1);
	run_ok(subject, &batch);
	assert_int_equal(refused->answer, STEP_REFUSED);
	assert_environment(&step->claim.ret_jobs[0], "A=same");
	batch_done(&batch);
}

static void
claim_ends_a_job_without_a_program_and_takes_the_next(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, ";;name=fine;after-any=1");
	step->submit.specs[0].command.items[0][0] = '\0';
	step->submit.specs[1].command.items[0][0] = '\0';
	step->submit.specs[3].dependency_count = 0;
	run_ok(subject, &batch);
	batch_done(&batch);
	batch_init(&batch);
	step = add_claim(&batch, "default", 2);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_refused, 2);
	assert_int_equal(step->claim.ret_count, 2);
	assert_int_equal(step->claim.ret_jobs[0].key.job, 3);
	assert_int_equal(batch.ended_count, 2);
	assert_int_equal(batch.ended[0].status, JOB_FAILED);
	batch_done(&batch);
	assert_status(subject, 1, "failed spawn:EINVAL");
	assert_status(subject, 2, "failed spawn:EINVAL");
}

static void
claim_counts_what_it_refused_once_in_a_turn_that_is_run_again(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	add_submit(&batch, "")->submit.specs[0].command.items[0][0] = '\0';
	step = add_claim(&batch, "default", 1);
	subject->kind->order(subject, TROUBLE_FULL);
	assert_int_equal(run(subject, &batch), STORE_FULL);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_refused, 1);
	assert_int_equal(batch.ended_count, 1);
	batch_done(&batch);
}

static void
withdrawn_claim_is_as_if_it_had_never_been(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(withdraw(subject, key), STEP_OK);
	assert_int_equal(withdraw(subject, key), STEP_STALE);
	assert_status(subject, 1, "new");
	assert_int_equal(started(subject, key), STEP_STALE);
	key = claim(subject, "default");
	assert_int_equal(key.job, 1);
	assert_int_equal(started(subject, key), STEP_OK);
	assert_int_equal(withdraw(subject, key), STEP_STALE);
	assert_status(subject, 1, "running");
}

static void
withdrawn_claim_that_was_cancelled_is_cancelled(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;

	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	batch_add(&batch, STEP_WITHDRAW, NULL, NULL)->withdraw.key = key;
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->answer, STEP_OK);
	assert_int_equal(batch.ended_count, 1);
	assert_int_equal(batch.ended[0].status, JOB_CANCELLED);
	batch_done(&batch);
	assert_status(subject, 1, "cancelled cancelled");
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

/* ---- the ends of attempts ---- */

static void
ended_well_is_done(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_status(subject, 1, "done normal");
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

/* A short run: its start and its end in one step. */
static void
ended_with_its_start_is_a_whole_run(void **state)
{
	static const struct {
		const char *reason, *status;
	} cases[] = {
		{ "normal", "done normal" },
		{ "exit:1", "errored" },
		{ "interrupted", "new" },
	};
	struct subject *subject = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t job = submit(subject, "");
		struct batch batch;
		struct step *step;

		batch_init(&batch);
		step = add_ended(&batch, claim(subject, "default"), cases[i].reason);
		step->ended.started.pid = 4711;
		step->ended.started.age_ms = 2000;
		step->ended.age_ms = 1000;
		run_ok(subject, &batch);
		batch_done(&batch);
		assert_status(subject, job, cases[i].status);
		change(subject, job, JOB_CANCEL);
	}
}

/* The keeper's word of the start may never have come through. */
static void
ended_well_is_done_even_if_never_said_to_have_started(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=0");
	assert_int_equal(ended(subject, claim(subject, "default"), "normal"), STEP_OK);
	assert_status(subject, 1, "done normal");
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

/* End it so in a batch, check what the step says of it. */
static void
end_and_check(struct subject *subject, const char *reason, enum job_status status,
    bool counts, int64_t failures, int64_t pause_ms)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_ended(&batch, start(subject), reason);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	assert_int_equal(step->ended.ret_status, status);
	assert_int_equal(step->ended.ret_counts, counts);
	assert_int_equal(step->ended.ret_failures, failures);
	assert_int_equal(step->ended.ret_pause_ms, pause_ms);
	assert_int_equal(batch.ended_count, job_status_is_live(status) ? 0 : 1);
	batch_done(&batch);
}

/* The pause is over: wake it, and see that it was the only one. */
static void
wake_one(struct subject *subject, int64_t after_ms)
{
	static const int64_t never = -1;
	struct batch batch;
	struct step *step;

	clock_shift(after_ms, after_ms);
	batch_init(&batch);
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->due.ret_woken, 1);
	assert_int_equal(step->due.ret_next_ms, never);
	batch_done(&batch);
}

static void
ended_badly_pauses_and_retries_until_none_are_left(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=2 backoff=exponential:1h,90m");
	end_and_check(subject, "exit:3", JOB_ERRORED, true, 1, HOUR_MS);
	assert_int_equal(claim_count(subject, "default", 9), 0);
	wake_one(subject, HOUR_MS + SLACK_MS);
	end_and_check(subject, "signal:SEGV+core", JOB_ERRORED, true, 2, HOUR_MS * 3 / 2);
	assert_status(subject, 1, "errored");
	wake_one(subject, 4 * HOUR_MS);
	end_and_check(subject, "timeout", JOB_FAILED, true, 3, 0);
	assert_status(subject, 1, "failed timeout");
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

static void
ended_badly_keeps_its_place_in_the_line(void **state)
{
	struct subject *subject = *state;

	submit(subject, "backoff=constant:1h");
	end_and_check(subject, "oom", JOB_ERRORED, true, 1, HOUR_MS);
	submit(subject, "");
	wake_one(subject, 2 * HOUR_MS);
	assert_int_equal(claim(subject, "default").job, 1);
}

static void
ended_badly_says_how_many_retries_there_are(void **state)
{
	static const char *const options[] = { "max-retries=7", "max-retries=inf" };
	struct subject *subject = *state;

	for (int i = 0; i < 2; i++) {
		struct batch batch;
		struct step *step;

		submit(subject, options[i]);
		batch_init(&batch);
		step = add_ended(&batch, start(subject), "exit:1");
		run_ok(subject, &batch);
		assert_int_equal(
		    step->ended.ret_max_retries, i == 0 ? 7 : RETRY_FOR_EVER);
		batch_done(&batch);
	}
}

static void
ended_with_the_wish_for_no_retry_is_failed(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=inf");
	end_and_check(subject, "exit:100", JOB_FAILED, true, 1, 0);
	assert_status(subject, 1, "failed exit:100");
}

static void
ended_before_it_started_counts_if_it_cannot_be_executed(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=0");
	assert_int_equal(
	    ended(subject, claim(subject, "default"), "spawn:ENOENT"), STEP_OK);
	assert_status(subject, 1, "failed spawn:ENOENT");
}

static void
interrupted_goes_back_uncounted(void **state)
{
	struct subject *subject = *state;

	submit(subject, "backoff=constant:0");
	end_and_check(subject, "interrupted", JOB_NEW, false, 0, 0);
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, 0);
	wake_one(subject, SECOND_MS);
	end_and_check(subject, "interrupted", JOB_ERRORED, false, 1, 0);
	assert_int_equal(claim(subject, "default").attempt, 4);
}

static void
interrupted_ends_a_job_that_may_run_once(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=0");
	end_and_check(subject, "interrupted", JOB_FAILED, false, 0, 0);
	assert_status(subject, 1, "failed interrupted");
}

static void
lost_goes_back_uncounted_but_not_for_ever(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=inf");
	end_and_check(subject, "lost:keeper", JOB_NEW, false, 0, 0);
	end_and_check(subject, "lost:boot", JOB_NEW, false, 0, 0);
	end_and_check(subject, "interrupted", JOB_NEW, false, 0, 0); /* not in a row */
	end_and_check(subject, "lost:boot", JOB_NEW, false, 0, 0);
	end_and_check(subject, "lost:boot", JOB_NEW, false, 0, 0);
	end_and_check(subject, "lost:keeper", JOB_FAILED, false, 0, 0);
	assert_status(subject, 1, "failed lost:keeper");
}

static void
lost_ends_a_job_that_may_run_once(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=0");
	end_and_check(subject, "lost:boot", JOB_FAILED, false, 0, 0);
}

static void
stop_reason_decides_how_it_ended(void **state)
{
	static const struct {
		enum reason_kind stop;
		const char *seen, *status;
	} rows[] = {
		{ REASON_CANCELLED, "signal:TERM", "cancelled cancelled" },
		{ REASON_CANCELLED, "normal", "cancelled cancelled" },
		{ REASON_CANCELLED, "lost:boot", "cancelled cancelled" },
		{ REASON_TIMEOUT, "signal:KILL", "failed timeout" },
		{ REASON_TIMEOUT, "exit:0", NULL },
		{ REASON_TIMEOUT, "normal", "done normal" },
		{ REASON_INTERRUPTED, "signal:TERM", "failed interrupted" },
		{ REASON_INTERRUPTED, "exit:3", "failed interrupted" },
		{ REASON_INTERRUPTED, "normal", "done normal" },
		{ REASON_INTERRUPTED, "lost:boot", "failed lost:boot" },
	};
	struct subject *subject = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct attempt_key key;
		int64_t job;

		if (rows[i].status == NULL)
			continue;
		job = submit(subject, "max-retries=0");
		key = start(subject);
		assert_int_equal(stopping(subject, key, rows[i].stop), STEP_OK);
		assert_status(subject, job, "running");
		assert_int_equal(ended(subject, key, rows[i].seen), STEP_OK);
		assert_status(subject, job, rows[i].status);
	}
}

static void
stopping_keeps_the_first_reason_but_for_a_cancel(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "max-retries=0");
	key = start(subject);
	assert_int_equal(stopping(subject, key, REASON_TIMEOUT), STEP_OK);
	assert_int_equal(stopping(subject, key, REASON_INTERRUPTED), STEP_OK);
	assert_int_equal(ended(subject, key, "signal:TERM"), STEP_OK);
	assert_status(subject, 1, "failed timeout");

	submit(subject, "max-retries=0");
	key = start(subject);
	assert_int_equal(stopping(subject, key, REASON_INTERRUPTED), STEP_OK);
	assert_int_equal(change(subject, 2, JOB_CANCEL), STEP_OK);
	assert_int_equal(stopping(subject, key, REASON_INTERRUPTED), STEP_OK);
	assert_int_equal(ended(subject, key, "signal:TERM"), STEP_OK);
	assert_status(subject, 2, "cancelled cancelled");
}

static void
ended_says_the_reason_that_was_recorded(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	key = start(subject);
	assert_int_equal(stopping(subject, key, REASON_TIMEOUT), STEP_OK);
	batch_init(&batch);
	step = add_ended(&batch, key, "signal:TERM");
	run_ok(subject, &batch);
	assert_int_equal(step->ended.end.reason.kind, REASON_TIMEOUT);
	assert_int_equal(step->ended.end.signal, 15);
	batch_done(&batch);
}

/* ---- fencing ---- */

static void
check_all_stale(struct subject *subject, struct attempt_key key)
{
	struct batch batch;
	struct step *note;

	assert_int_equal(started(subject, key), STEP_STALE);
	assert_int_equal(stopping(subject, key, REASON_CANCELLED), STEP_STALE);
	assert_int_equal(ended(subject, key, "exit:1"), STEP_STALE);
	assert_int_equal(withdraw(subject, key), STEP_STALE);
	batch_init(&batch);
	note = batch_add(&batch, STEP_NOTE, NULL, NULL);
	note->note.key = key;
	note->note.note = NOTE_RESULT;
	note->note.text = xstrdup("1");
	run_ok(subject, &batch);
	assert_int_equal(note->answer, STEP_STALE);
	assert_int_equal(batch.ended_count, 0);
	batch_done(&batch);
}

static void
word_of_another_attempt_is_stale_and_changes_nothing(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key, wrong;

	submit(subject, "");
	key = claim(subject, "default");
	wrong = key;
	wrong.attempt++;
	check_all_stale(subject, wrong);
	wrong = key;
	wrong.generation++;
	check_all_stale(subject, wrong);
	wrong = key;
	wrong.job++;
	check_all_stale(subject, wrong);
	assert_status(subject, 1, "new");
	assert_int_equal(started(subject, key), STEP_OK);
	assert_int_equal(started(subject, key), STEP_STALE);
	assert_int_equal(ended(subject, key, "interrupted"), STEP_OK);
	check_all_stale(subject, key);
	assert_status(subject, 1, "new");
	assert_int_equal(start(subject).attempt, 2);
	check_all_stale(subject, key);
	assert_status(subject, 1, "running");
}

static void
generation_begins_anew_with_each_supervisor_process(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;
	int64_t first = subject->generation;

	submit(subject, "");
	key = start(subject);
	batch_init(&batch);
	step = batch_add(&batch, STEP_GENERATION, NULL, NULL);
	step->generation.version = "next";
	run_ok(subject, &batch);
	assert_true(step->generation.ret_generation > first);
	batch_done(&batch);
	assert_int_equal(ended(subject, key, "exit:1"), STEP_OK); /* by its own number */
}

/* ---- open attempts ---- */

static void
open_attempts_are_told_as_they_stand(void **state)
{
	struct subject *subject = *state;
	struct attempt_key running, claimed;
	struct open_attempt *open;
	struct batch batch;
	struct step *step;

	submit(subject, "timeout=30 grace=2 max-output=1M leave-children");
	running = start(subject);
	submit(subject, "supervisor=serial");
	claimed = claim(subject, "serial");
	submit(subject, "");
	assert_int_equal(ended(subject, start(subject), "normal"), STEP_OK);
	assert_int_equal(stopping(subject, running, REASON_TIMEOUT), STEP_OK);
	clock_shift(HOUR_MS, HOUR_MS);
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->open.ret_count, 2);
	open = step->open.ret_attempts;
	assert_memory_equal(&open[0].key, &running, sizeof(running));
	assert_true(
	    open[0].is_started && open[0].is_same_boot && open[0].leaves_children);
	assert_int_equal(open[0].pid, 4711);
	assert_int_equal(open[0].pid_start, 815);
	assert_in_range(open[0].age_ms, HOUR_MS, HOUR_MS + SLACK_MS);
	assert_int_equal(open[0].stop.kind, REASON_TIMEOUT);
	assert_int_equal(open[0].timeout_ms, 30 * SECOND_MS);
	assert_int_equal(open[0].grace_ms, 2 * SECOND_MS);
	assert_int_equal(open[0].max_output, 1 << 20);
	assert_int_equal(open[0].log_rotate.bytes, 0);
	assert_memory_equal(&open[1].key, &claimed, sizeof(claimed));
	assert_string_equal(open[1].supervisor, "serial");
	assert_false(open[1].is_started);
	assert_int_equal(open[1].stop.kind, REASON_NONE);
	assert_int_equal(open[1].pid, 0);
	assert_true(open[1].timeout_ms == SPEC_UNSET);
	assert_int_equal(open[1].grace_ms, SPEC_DEFAULT_GRACE_MS);
	assert_int_equal(open[1].max_output, SPEC_DEFAULT_MAX_OUTPUT);
	batch_done(&batch);
}

static void
open_attempt_is_as_old_as_its_start_was_said_to_be(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	batch_init(&batch);
	step = add_started(&batch, claim(subject, "default"));
	step->started.age_ms = 2 * HOUR_MS;
	run_ok(subject, &batch);
	batch_done(&batch);
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_in_range(
	    step->open.ret_attempts[0].age_ms, 2 * HOUR_MS, 2 * HOUR_MS + SLACK_MS);
	batch_done(&batch);
}

/* As while another process held the database for an hour. */
static void
turn_that_waited_tells_of_what_is_older_by_that(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit(subject, "backoff=constant:3h");
	batch_init(&batch);
	key = claim(subject, "default");
	step = add_started(&batch, key);
	step->noted.ms -= HOUR_MS;
	run_ok(subject, &batch);
	batch_done(&batch);
	batch_init(&batch);
	step = batch_add(&batch, STEP_OPEN, NULL, NULL);
	run_ok(subject, &batch);
	assert_in_range(step->open.ret_attempts[0].age_ms, HOUR_MS, HOUR_MS + SLACK_MS);
	batch_done(&batch);
	batch_init(&batch);
	step = add_ended(&batch, key, "exit:1");
	step->noted.ms -= HOUR_MS;
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(subject, &batch);
	assert_in_range(step->due.ret_next_ms, 2 * HOUR_MS - SLACK_MS, 2 * HOUR_MS);
	batch_done(&batch);
}

/* ---- changes ---- */

/* What each change does in each status; the answer, then the job's status after it. */
static void
check_changes(struct subject *subject, int64_t job, const char *const after[4])
{
	static const enum job_event events[] = { JOB_HOLD, JOB_RELEASE, JOB_RETRY,
		JOB_CANCEL };

	for (int i = 0; i < 4; i++) {
		const char *before = status_of(subject, job);
		enum step_answer answer = change(subject, job, events[i]);

		if (after[i] == NULL) {
			assert_int_equal(answer, STEP_REFUSED);
			assert_status(subject, job, before);
			continue;
		}
		assert_int_equal(answer, STEP_OK);
		assert_status(subject, job, after[i]);
	}
}

static void
change_does_what_the_status_allows(void **state)
{
	static const char *const of_new[] = { "new", "new", "new",
		"cancelled cancelled" };
	static const char *const of_errored[] = { "errored", "errored", "errored",
		"cancelled cancelled" };
	static const char *const of_ended[] = { NULL, NULL, "new",
		"cancelled cancelled" };
	static const char *const of_running[] = { NULL, NULL, NULL, "running" };
	struct subject *subject = *state;

	check_changes(subject, submit(subject, ""), of_new);
	submit(subject, "");
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, 5 * SECOND_MS);
	check_changes(subject, 2, of_errored);
	submit(subject, "");
	end_and_check(subject, "normal", JOB_DONE, false, 0, 0);
	check_changes(subject, 3, of_ended);
	submit(subject, "max-retries=0");
	end_and_check(subject, "exit:1", JOB_FAILED, true, 1, 0);
	check_changes(subject, 4, of_ended);
	check_changes(subject, 4, of_ended); /* now it is cancelled */
	submit(subject, "");
	start(subject);
	check_changes(subject, 5, of_running);
}

static void
change_of_an_unknown_job_is_not_found(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_change(&batch, 7, JOB_CANCEL);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_NOT_FOUND);
	assert_int_equal(step->error.code, STATUS_NOT_FOUND);
	assert_non_null(strstr(step->error.text, "there is no job 7"));
	batch_done(&batch);
}

static void
change_refused_says_why(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	step = add_change(&batch, 1, JOB_HOLD);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_REFUSED);
	assert_int_equal(step->error.code, STATUS_STATE);
	assert_int_equal(step->change.ret_status, JOB_CANCELLED);
	assert_string_equal(step->error.text, "job 1 is cancelled: hold is not possible");
	batch_done(&batch);
}

static void
cancel_of_a_waiting_job_ends_it(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "in=1h hold");
	batch_init(&batch);
	step = add_change(&batch, 1, JOB_CANCEL);
	run_ok(subject, &batch);
	assert_false(step->change.ret_must_stop);
	assert_int_equal(step->change.ret_status, JOB_CANCELLED);
	assert_int_equal(batch.ended_count, 1);
	assert_int_equal(batch.ended[0].reason.kind, REASON_CANCELLED);
	batch_done(&batch);
}

static void
cancel_of_a_process_is_a_wish(void **state)
{
	struct subject *subject = *state;

	for (int is_started = 0; is_started < 2; is_started++) {
		struct attempt_key key;
		struct batch batch;
		struct step *step;
		int64_t job = submit(subject, "");

		key = is_started ? start(subject) : claim(subject, "default");
		batch_init(&batch);
		step = add_change(&batch, job, JOB_CANCEL);
		run_ok(subject, &batch);
		assert_int_equal(step->answer, STEP_OK);
		assert_true(step->change.ret_must_stop);
		assert_memory_equal(&step->change.ret_attempt, &key, sizeof(key));
		assert_int_equal(step->change.ret_status, JOB_RUNNING);
		assert_int_equal(batch.ended_count, 0);
		batch_done(&batch);
		assert_status(subject, job, is_started ? "running" : "new");
		assert_int_equal(ended(subject, key, "signal:TERM"), STEP_OK);
		assert_status(subject, job, "cancelled cancelled");
	}
}

static void
hold_of_a_claimed_job_recalls_it(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	key = claim(subject, "default");
	batch_init(&batch);
	step = add_change(&batch, 1, JOB_HOLD);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	assert_true(step->change.ret_must_recall);
	assert_false(step->change.ret_must_stop);
	assert_memory_equal(&step->change.ret_attempt, &key, sizeof(key));
	assert_int_equal(step->change.ret_status, JOB_NEW);
	batch_done(&batch);
	assert_int_equal(withdraw(subject, key), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 0); /* it is held */
	assert_int_equal(change(subject, 1, JOB_RELEASE), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 1);
}

static void
hold_of_a_claimed_job_is_over_when_it_starts_all_the_same(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_OK);
	assert_int_equal(started(subject, key), STEP_OK);
	assert_status(subject, 1, "running");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_REFUSED);
	assert_int_equal(ended(subject, key, "interrupted"), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 1);
}

/* The same, told in one step. */
static void
hold_of_a_claimed_job_is_over_when_it_has_run_all_the_same(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_OK);
	batch_init(&batch);
	step = add_ended(&batch, key, "interrupted");
	step->ended.started.pid = 4711;
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_int_equal(claim(subject, "default").job, 1);
}

static void
hold_of_a_claimed_job_ends_with_it(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "max-retries=0");
	key = claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_OK);
	assert_int_equal(ended(subject, key, "spawn:ENOENT"), STEP_OK);
	assert_status(subject, 1, "failed spawn:ENOENT");
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 1);
}

static void
hold_of_a_claimed_job_is_taken_back_by_a_release(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	key = claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_OK);
	assert_int_equal(change(subject, 1, JOB_RELEASE), STEP_OK);
	assert_int_equal(withdraw(subject, key), STEP_OK);
	assert_int_equal(claim(subject, "default").job, 1);
}

static void
retry_of_a_claimed_job_is_refused(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	claim(subject, "default");
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_REFUSED);
}

static void
retry_begins_a_fresh_life(void **state)
{
	struct subject *subject = *state;

	submit(subject, "max-retries=1 backoff=constant:0");
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, 0);
	wake_one(subject, SECOND_MS);
	end_and_check(subject, "exit:1", JOB_FAILED, true, 2, 0);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_status(subject, 1, "new");
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, 0);
	wake_one(subject, 2 * SECOND_MS);
	assert_int_equal(claim(subject, "default").attempt, 4);
}

static void
retry_wakes_a_job_that_waits_for_a_time(void **state)
{
	struct subject *subject = *state;

	submit(subject, "in=1h");
	submit(subject, "at=9999-12-31T00:00:00Z");
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_int_equal(change(subject, 2, JOB_RETRY), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 2);
}

static void
retry_of_a_name_that_is_taken_again_is_refused(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "name=a");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	submit(subject, "name=a");
	batch_init(&batch);
	step = add_change(&batch, 1, JOB_RETRY);
	add_submit(&batch, "name=b");
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_REFUSED);
	assert_int_equal(step->error.code, STATUS_STATE);
	assert_non_null(strstr(step->error.text, "already_started"));
	batch_done(&batch);
	assert_status(subject, 1, "cancelled cancelled");
	assert_status(subject, 3, "new");
}

static void
held_job_starts_when_released(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	assert_int_equal(change(subject, 1, JOB_HOLD), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(change(subject, 1, JOB_RELEASE), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 1);
	submit(subject, "hold");
	assert_int_equal(claim_count(subject, "default", 9), 0);
	assert_int_equal(change(subject, 2, JOB_RELEASE), STEP_OK);
	assert_int_equal(claim_count(subject, "default", 9), 1);
}

/* ---- notes, history ---- */

static enum step_answer
note(struct subject *subject, struct attempt_key key, enum note_kind kind,
    double fraction, const char *text)
{
	enum step_answer answer;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_NOTE, NULL, NULL);
	step->note.key = key;
	step->note.note = kind;
	step->note.fraction = fraction;
	step->note.text = text != NULL ? xstrdup(text) : NULL;
	run_ok(subject, &batch);
	answer = step->answer;
	batch_done(&batch);
	return answer;
}

static void
note_of_a_live_attempt_is_taken(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	key = start(subject);
	assert_int_equal(note(subject, key, NOTE_PROGRESS, 0.5, "half"), STEP_OK);
	assert_int_equal(note(subject, key, NOTE_PROGRESS, -1, NULL), STEP_OK);
	assert_int_equal(note(subject, key, NOTE_RESULT, -1, "{\"pages\":3}"), STEP_OK);
	assert_int_equal(note(subject, key, NOTE_RESULT, -1, NULL), STEP_OK);
	assert_int_equal(note(subject, key, NOTE_LOG, -1, "a line"), STEP_OK);
}

/* What a job says is hostile until it was looked at. */
static void
note_that_makes_no_sense_is_refused(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	submit(subject, "");
	key = start(subject);
	assert_int_equal(note(subject, key, NOTE_PROGRESS, 1.5, NULL), STEP_REFUSED);
	assert_int_equal(note(subject, key, NOTE_RESULT, -1, "no json"), STEP_REFUSED);
	assert_status(subject, 1, "running");
}

static void
event_is_taken_with_and_without_a_job(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	batch_add(&batch, STEP_EVENT, NULL, NULL)->event.event = "drained";
	step = batch_add(&batch, STEP_EVENT, NULL, NULL);
	step->event.job = submit(subject, "");
	step->event.attempt = 1;
	step->event.event = "recalled";
	step->event.detail = xstrdup("no room");
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	batch_done(&batch);
}

/* ---- timers ---- */

struct due {
	int64_t woken, next_ms;
};

static struct due
due(struct subject *subject, bool clock_stepped)
{
	struct batch batch;
	struct step *step;
	struct due due;

	batch_init(&batch);
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	step->due.clock_stepped = clock_stepped;
	run_ok(subject, &batch);
	due = (struct due){ step->due.ret_woken, step->due.ret_next_ms };
	batch_done(&batch);
	return due;
}

#define assert_about(ms, expected) \
	assert_true((ms) > (expected)-SLACK_MS && (ms) <= (expected))

static void
due_tells_the_earliest_timer(void **state)
{
	struct subject *subject = *state;
	struct due now = due(subject, false);

	assert_int_equal(now.woken, 0);
	assert_true(now.next_ms == -1);
	submit(subject, "in=3h");
	submit(subject, "in=1h");
	submit(subject, "in=2h hold");
	now = due(subject, false);
	assert_int_equal(now.woken, 0);
	assert_about(now.next_ms, HOUR_MS);
	clock_shift(HOUR_MS + SLACK_MS, HOUR_MS + SLACK_MS);
	now = due(subject, false);
	assert_int_equal(now.woken, 1);
	assert_about(now.next_ms, HOUR_MS - SLACK_MS);
	assert_int_equal(claim(subject, "default").job, 2);
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	clock_shift(4 * HOUR_MS, 4 * HOUR_MS);
	now = due(subject, false);
	assert_int_equal(now.woken, 1); /* the held one: awake, and held still */
	assert_true(now.next_ms == -1);
	assert_int_equal(claim_count(subject, "default", 9), 0);
}

static void
due_at_a_time_of_day_goes_by_the_wall_clock(void **state)
{
	struct subject *subject = *state;
	char options[64], at[40];
	struct due now;

	text_format_time(at, sizeof(at), (struct wall){ clock_wall().ms + 2 * HOUR_MS });
	snprintf(options, sizeof(options), "at=%s", at);
	submit(subject, options);
	clock_shift(0, 5 * HOUR_MS); /* only suspended: it is not that late */
	now = due(subject, false);
	assert_int_equal(now.woken, 0);
	assert_about(now.next_ms, 2 * HOUR_MS);
	clock_shift(2 * HOUR_MS, 0);
	assert_int_equal(due(subject, true).woken, 1);
}

static void
due_after_a_delay_goes_by_the_boot_clock(void **state)
{
	struct subject *subject = *state;
	struct due now;

	submit(subject, "in=2h");
	clock_shift(24 * HOUR_MS, 0); /* somebody set the clock */
	now = due(subject, true);
	assert_int_equal(now.woken, 0);
	assert_about(now.next_ms, 2 * HOUR_MS);
	clock_shift(-24 * HOUR_MS, HOUR_MS);
	now = due(subject, true);
	assert_about(now.next_ms, HOUR_MS);
	clock_shift(-24 * HOUR_MS, 2 * HOUR_MS);
	assert_int_equal(due(subject, false).woken, 1);
}

static void
due_wakes_many_in_several_turns(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct due now;

	batch_init(&batch);
	for (int i = 0; i < 1100; i++)
		add_submit(&batch, "in=1s");
	run_ok(subject, &batch);
	batch_done(&batch);
	clock_shift(HOUR_MS, HOUR_MS);
	now = due(subject, false);
	assert_int_equal(now.woken, 1000);
	assert_int_equal(now.next_ms, 0);
	now = due(subject, false);
	assert_int_equal(now.woken, 100);
	assert_true(now.next_ms == -1);
}

/* ---- look-ups ---- */

static int64_t
find_by_name(struct subject *subject, const char *name)
{
	struct batch batch;
	struct step *step;
	int64_t job;

	batch_init(&batch);
	step = batch_add(&batch, STEP_LOOKUP, NULL, NULL);
	step->lookup.name = xstrdup(name);
	run_ok(subject, &batch);
	job = step->answer == STEP_OK ? step->lookup.ret_job : 0;
	batch_done(&batch);
	return job;
}

static void
lookup_by_name_prefers_the_live_then_the_last_to_end(void **state)
{
	struct subject *subject = *state;

	submit(subject, "name=a");
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	submit(subject, "name=a");
	assert_int_equal(find_by_name(subject, "a"), 2);
	clock_shift(HOUR_MS, HOUR_MS);
	assert_int_equal(change(subject, 2, JOB_CANCEL), STEP_OK);
	assert_int_equal(find_by_name(subject, "a"), 2);
	assert_int_equal(change(subject, 1, JOB_RETRY), STEP_OK);
	assert_int_equal(find_by_name(subject, "a"), 1);
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	assert_int_equal(find_by_name(subject, "a"), 1);
	assert_int_equal(find_by_name(subject, "b"), 0);
}

static void
lookup_of_an_unknown_job_is_not_found(void **state)
{
	assert_status(*state, 1, "none");
	assert_status(*state, -1, "none");
}

static void
remaining_counts_what_keeps_a_draining_supervisor(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	start(subject);
	submit(subject, "");
	claim(subject, "default");
	submit(subject, "backoff=constant:1h");
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, HOUR_MS);
	submit(subject, "in=1h");
	submit(subject, "hold in=1h");
	submit(subject, "after=1");
	submit(subject, "");
	assert_int_equal(change(subject, 7, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	step = batch_add(&batch, STEP_REMAINING, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->remaining.ret_keeping, 3);
	assert_int_equal(step->remaining.ret_delayed, 1);
	assert_int_equal(step->remaining.ret_held, 2);
	batch_done(&batch);
}

/* ---- limits ---- */

static int64_t
limit_of(const struct step *step, const char *name)
{
	for (size_t i = 0; i < step->limits.ret_count; i++) {
		if (strcmp(step->limits.ret_limits[i].name, name) == 0)
			return step->limits.ret_limits[i].max_children;
	}
	return -2;
}

static void
limits_are_read_and_set(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_LIMITS, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->limits.ret_count, 3);
	assert_true(limit_of(step, "default") >= 1);
	assert_int_equal(limit_of(step, "serial"), 1);
	assert_true(limit_of(step, "servers") == -1);
	snprintf(step->limits.set, sizeof(step->limits.set), "serial");
	step->limits.set_max_children = 7;
	run_ok(subject, &batch);
	assert_int_equal(limit_of(step, "serial"), 7);
	step->limits.set_max_children = -1;
	run_ok(subject, &batch);
	assert_true(limit_of(step, "serial") == -1);
	batch_done(&batch);
}

static void
limits_of_an_unknown_supervisor_are_not_found(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_LIMITS, NULL, NULL);
	snprintf(step->limits.set, sizeof(step->limits.set), "nowhere");
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_NOT_FOUND);
	assert_non_null(strstr(step->error.text, "nowhere"));
	batch_done(&batch);
}

/* ---- prune ---- */

static struct step *
add_prune(struct batch *batch, const char *statuses)
{
	struct step *step = batch_add(batch, STEP_PRUNE, NULL, NULL);

	for (int status = 0; status < JOB_STATUS_COUNT; status++)
		step->prune.statuses[status] =
		    strstr(statuses, job_status_name(status)) != NULL;
	step->prune.limit = 100;
	return step;
}

/* One job of each kind: 1 done, 2 failed, 3 cancelled, 4 new, 5 running, 6 errored. */
static void
make_one_of_each(struct subject *subject)
{
	submit(subject, "stdin=/etc/hosts");
	end_and_check(subject, "normal", JOB_DONE, false, 0, 0);
	submit(subject, "");
	end_and_check(subject, "exit:100", JOB_FAILED, true, 1, 0);
	submit(subject, "");
	assert_int_equal(change(subject, 3, JOB_CANCEL), STEP_OK);
	submit(subject, "hold");
	submit(subject, "");
	start(subject);
	submit(subject, "");
	end_and_check(subject, "exit:1", JOB_ERRORED, true, 1, 5 * SECOND_MS);
}

static void
prune_takes_only_the_statuses_asked_for(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	make_one_of_each(subject);
	batch_init(&batch);
	step = add_prune(&batch, "done new running errored");
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 1);
	assert_int_equal(step->prune.ret_jobs[0], 1);
	assert_string_equal(step->prune.ret_stdin[0], "/etc/hosts");
	batch_done(&batch);
	assert_status(subject, 1, "none");
	assert_status(subject, 2, "failed exit:100");
	batch_init(&batch);
	step = add_prune(&batch, "failed cancelled");
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 2);
	assert_int_equal(step->prune.ret_jobs[1], 3);
	assert_null(step->prune.ret_stdin[1]);
	batch_done(&batch);
	assert_status(subject, 4, "new");
	assert_status(subject, 5, "running");
	assert_status(subject, 6, "errored");
	assert_int_equal(submit(subject, ""), 7); /* ids are never given again */
}

static void
prune_in_a_dry_run_takes_nothing(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	make_one_of_each(subject);
	batch_init(&batch);
	step = add_prune(&batch, "done failed cancelled");
	step->prune.is_dry_run = true;
	assert_true(batch_is_read_only(&batch));
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 3);
	batch_done(&batch);
	assert_status(subject, 1, "done normal");
}

static void
prune_goes_by_age_and_at_most_its_limit(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	make_one_of_each(subject);
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	submit(subject, "");
	assert_int_equal(change(subject, 7, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	step = add_prune(&batch, "done failed cancelled");
	step->prune.older_than_ms = HOUR_MS;
	step->prune.limit = 2;
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 2);
	assert_int_equal(step->prune.ret_jobs[1], 2);
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 1);
	assert_int_equal(step->prune.ret_jobs[0], 3);
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 0);
	batch_done(&batch);
	assert_status(subject, 7, "cancelled cancelled");
}

static void
prune_keeps_the_last_of_each_name(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	for (int i = 0; i < 6; i++) {
		int64_t job = submit(subject, i % 2 == 0 ? "name=a" : "name=b");

		assert_int_equal(change(subject, job, JOB_CANCEL), STEP_OK);
	}
	batch_init(&batch);
	step = add_prune(&batch, "cancelled");
	step->prune.keep = 2;
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 2);
	assert_int_equal(step->prune.ret_jobs[0], 1);
	assert_int_equal(step->prune.ret_jobs[1], 2);
	batch_done(&batch);
}

/* Else it would count as fulfilled when the held job is released. */
static void
prune_leaves_what_a_live_job_waits_for(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	submit(subject, "");
	submit(subject, "after=1");
	assert_int_equal(change(subject, 2, JOB_HOLD), STEP_OK);
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK);
	batch_init(&batch);
	step = add_prune(&batch, "cancelled");
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 0);
	batch_done(&batch);
	assert_int_equal(change(subject, 2, JOB_RELEASE), STEP_OK);
	assert_status(subject, 2, "cancelled dependency");
}

static void
prune_goes_on_with_nothing_that_it_has_not_begun(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	make_one_of_each(subject);
	batch_init(&batch);
	step = add_prune(&batch, "done failed cancelled");
	step->prune.goes_on = true;
	run_ok(subject, &batch);
	assert_int_equal(step->prune.ret_count, 0);
	assert_false(step->prune.ret_has_more);
	batch_done(&batch);
	assert_status(subject, 1, "done normal");
}

/* ---- turns that fail ---- */

/* A batch that does much: a submit that ends at once, an end with a cascade, a claim. */
static void
fill_batch(struct batch *batch, struct attempt_key running)
{
	add_ended(batch, running, "exit:100");
	add_submit(batch, "name=new;after=1");
	add_claim(batch, "default", 9);
}

static void
check_filled_batch(const struct batch *batch)
{
	assert_int_equal(batch->steps[0]->ended.ret_status, JOB_FAILED);
	assert_int_equal(batch->steps[1]->submit.ret_ids[1], 4);
	assert_int_equal(batch->steps[2]->claim.ret_count, 1);
	assert_int_equal(batch->steps[2]->claim.ret_refused, 0);
	assert_int_equal(batch->steps[2]->claim.ret_jobs[0].key.job, 3);
	assert_int_equal(batch->steps[2]->claim.ret_jobs[0].key.attempt, 1);
	assert_int_equal(batch->ended_count, 3);
	assert_int_equal(batch->released, 0);
}

static void
check_after(struct subject *subject, bool is_there)
{
	assert_status(subject, 1, is_there ? "failed exit:100" : "running");
	assert_status(subject, 2, is_there ? "cancelled dependency" : "new");
	assert_status(subject, 3, is_there ? "new" : "none");
}

/* The trouble comes, and nothing has changed; the same batch again, and all has. */
static void
check_trouble(struct subject *subject, enum trouble trouble, enum store_answer expected)
{
	struct attempt_key key;
	struct batch batch;

	submit(subject, "");
	submit(subject, "after=1");
	key = start(subject);
	batch_init(&batch);
	fill_batch(&batch, key);
	subject->kind->order(subject, trouble);
	assert_string_equal(
	    store_answer_words(run(subject, &batch)), store_answer_words(expected));
	if (expected == STORE_UNAVAILABLE || expected == STORE_IN_DOUBT)
		assert_int_equal(store_reopen(subject->store),
		    trouble == TROUBLE_DOUBT_KEPT ? STORE_OK : STORE_ABSENT);
	if (trouble != TROUBLE_DOUBT_KEPT) {
		check_after(subject, false);
		run_ok(subject, &batch);
	}
	check_filled_batch(&batch);
	batch_done(&batch);
	check_after(subject, true);
	assert_int_equal(submit(subject, ""), 5);
}

static void
turn_changes_nothing_when_the_store_is_busy(void **state)
{
	check_trouble(*state, TROUBLE_BUSY, STORE_BUSY);
}

static void
turn_changes_nothing_when_the_disk_is_full(void **state)
{
	check_trouble(*state, TROUBLE_FULL, STORE_FULL);
}

static void
turn_changes_nothing_when_the_store_is_unavailable(void **state)
{
	check_trouble(*state, TROUBLE_UNAVAILABLE, STORE_UNAVAILABLE);
}

static void
turn_in_doubt_is_there_after_the_reopen(void **state)
{
	check_trouble(*state, TROUBLE_DOUBT_KEPT, STORE_IN_DOUBT);
}

static void
turn_in_doubt_is_absent_after_the_reopen(void **state)
{
	check_trouble(*state, TROUBLE_DOUBT_LOST, STORE_IN_DOUBT);
}

/* The results of a turn in doubt are looked at after the reopen. */
static void
turn_in_doubt_keeps_what_it_filled_in(void **state)
{
	struct subject *subject = *state;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, ";");
	strings_add(&step->submit.specs[0].environment, "A=one");
	strings_add(&step->submit.specs[1].environment, "A=two");
	step = add_claim(&batch, "default", 2);
	subject->kind->order(subject, TROUBLE_DOUBT_KEPT);
	assert_int_equal(run(subject, &batch), STORE_IN_DOUBT);
	assert_int_equal(store_reopen(subject->store), STORE_OK);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_environment(&step->claim.ret_jobs[0], "A=one");
	assert_environment(&step->claim.ret_jobs[1], "A=two");
	batch_done(&batch);
}

static void
turn_that_reads_needs_no_lock(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	submit(subject, "");
	subject->kind->order(subject, TROUBLE_BUSY);
	assert_status(subject, 1, "new");
	batch_init(&batch);
	add_submit(&batch, "");
	assert_int_equal(run(subject, &batch), STORE_BUSY);
	run_ok(subject, &batch);
	batch_done(&batch);
}

static void
turn_of_an_empty_batch_is_fine(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	batch_init(&batch);
	run_ok(subject, &batch);
	batch_done(&batch);
}

static void
reopen_without_trouble_changes_nothing(void **state)
{
	struct subject *subject = *state;
	bool is_changed = false;

	submit(subject, "");
	assert_int_equal(store_reopen(subject->store), STORE_OK);
	assert_status(subject, 1, "new");
	assert_int_equal(store_changed(subject->store, &is_changed), STORE_OK);
	assert_true(is_changed); /* nobody knows what was missed */
	assert_int_equal(store_changed(subject->store, &is_changed), STORE_OK);
	assert_false(is_changed);
	assert_int_equal(submit(subject, ""), 2);
}

static void
sync_that_failed_succeeds_in_another_way(void **state)
{
	struct subject *subject = *state;

	submit(subject, "");
	subject->kind->order(subject, TROUBLE_SYNC);
	assert_int_equal(store_sync(subject->store), STORE_UNAVAILABLE);
	assert_int_equal(store_sync(subject->store), STORE_OK);
	assert_status(subject, 1, "new");
}

static void
own_turns_are_no_changes(void **state)
{
	struct subject *subject = *state;
	bool is_changed = true;

	submit(subject, "");
	assert_int_equal(store_changed(subject->store, &is_changed), STORE_OK);
	assert_false(is_changed);
}

#define CASE(function) { #function, function }

static const struct {
	const char *name;
	void (*function)(void **state);
} cases[] = {
	CASE(submit_gives_ids_in_order),
	CASE(submit_of_nothing_is_fine),
	CASE(submit_repeated_with_its_token_is_recorded_once),
	CASE(submit_refuses_a_live_name_and_names_its_holder),
	CASE(submit_with_new_names_refuses_those_of_ended_jobs_too),
	CASE(submit_refuses_one_name_twice_in_a_step),
	CASE(submit_once_answers_with_the_live_holder),
	CASE(submit_takes_a_name_whose_job_has_ended),
	CASE(submit_refuses_an_unknown_supervisor),
	CASE(submit_refuses_an_unknown_dependency),
	CASE(submit_after_a_name_waits_for_what_it_means_now),
	CASE(submit_refuses_bytes_that_are_not_text),
	CASE(submit_refused_takes_back_only_its_own_step),
	CASE(dependency_holds_a_job_until_the_other_is_done),
	CASE(dependency_waits_for_all_of_them),
	CASE(dependency_on_a_job_that_is_done_holds_nothing),
	CASE(dependency_that_failed_cancels_all_that_wait),
	CASE(dependency_that_was_cancelled_cancels),
	CASE(dependency_that_had_failed_cancels_at_submit),
	CASE(dependency_given_twice_is_the_stricter),
	CASE(dependency_survives_a_hold_and_its_release),
	CASE(dependency_of_a_job_that_is_submitted_held_counts_from_its_release),
	CASE(dependency_that_fails_cancels_a_job_that_was_submitted_held_at_its_release),
	CASE(retry_of_a_job_whose_dependency_failed_says_it_is_cancelled),
	CASE(claim_goes_by_priority_then_id),
	CASE(claim_takes_no_more_than_its_places),
	CASE(claim_ahead_ends_before_a_job_that_may_run_once),
	CASE(claim_keeps_supervisors_apart),
	CASE(claim_leaves_the_job_new),
	CASE(claim_passes_over_what_waits),
	CASE(claim_carries_what_starting_needs),
	CASE(claim_gives_each_job_its_own_environment),
	CASE(claim_gives_the_environment_of_the_turn_that_came_true),
	CASE(claim_gives_an_environment_that_a_refused_request_had_too),
	CASE(claim_ends_a_job_without_a_program_and_takes_the_next),
	CASE(claim_counts_what_it_refused_once_in_a_turn_that_is_run_again),
	CASE(withdrawn_claim_is_as_if_it_had_never_been),
	CASE(withdrawn_claim_that_was_cancelled_is_cancelled),
	CASE(ended_well_is_done),
	CASE(ended_with_its_start_is_a_whole_run),
	CASE(ended_well_is_done_even_if_never_said_to_have_started),
	CASE(ended_badly_pauses_and_retries_until_none_are_left),
	CASE(ended_badly_keeps_its_place_in_the_line),
	CASE(ended_badly_says_how_many_retries_there_are),
	CASE(ended_with_the_wish_for_no_retry_is_failed),
	CASE(ended_before_it_started_counts_if_it_cannot_be_executed),
	CASE(interrupted_goes_back_uncounted),
	CASE(interrupted_ends_a_job_that_may_run_once),
	CASE(lost_goes_back_uncounted_but_not_for_ever),
	CASE(lost_ends_a_job_that_may_run_once),
	CASE(stop_reason_decides_how_it_ended),
	CASE(stopping_keeps_the_first_reason_but_for_a_cancel),
	CASE(ended_says_the_reason_that_was_recorded),
	CASE(word_of_another_attempt_is_stale_and_changes_nothing),
	CASE(generation_begins_anew_with_each_supervisor_process),
	CASE(open_attempts_are_told_as_they_stand),
	CASE(open_attempt_is_as_old_as_its_start_was_said_to_be),
	CASE(turn_that_waited_tells_of_what_is_older_by_that),
	CASE(change_does_what_the_status_allows),
	CASE(change_of_an_unknown_job_is_not_found),
	CASE(change_refused_says_why),
	CASE(cancel_of_a_waiting_job_ends_it),
	CASE(cancel_of_a_process_is_a_wish),
	CASE(hold_of_a_claimed_job_recalls_it),
	CASE(hold_of_a_claimed_job_is_over_when_it_starts_all_the_same),
	CASE(hold_of_a_claimed_job_is_over_when_it_has_run_all_the_same),
	CASE(hold_of_a_claimed_job_ends_with_it),
	CASE(hold_of_a_claimed_job_is_taken_back_by_a_release),
	CASE(retry_of_a_claimed_job_is_refused),
	CASE(retry_begins_a_fresh_life),
	CASE(retry_wakes_a_job_that_waits_for_a_time),
	CASE(retry_of_a_name_that_is_taken_again_is_refused),
	CASE(held_job_starts_when_released),
	CASE(note_of_a_live_attempt_is_taken),
	CASE(note_that_makes_no_sense_is_refused),
	CASE(event_is_taken_with_and_without_a_job),
	CASE(due_tells_the_earliest_timer),
	CASE(due_at_a_time_of_day_goes_by_the_wall_clock),
	CASE(due_after_a_delay_goes_by_the_boot_clock),
	CASE(due_wakes_many_in_several_turns),
	CASE(lookup_by_name_prefers_the_live_then_the_last_to_end),
	CASE(lookup_of_an_unknown_job_is_not_found),
	CASE(remaining_counts_what_keeps_a_draining_supervisor),
	CASE(limits_are_read_and_set),
	CASE(limits_of_an_unknown_supervisor_are_not_found),
	CASE(prune_takes_only_the_statuses_asked_for),
	CASE(prune_in_a_dry_run_takes_nothing),
	CASE(prune_goes_by_age_and_at_most_its_limit),
	CASE(prune_keeps_the_last_of_each_name),
	CASE(prune_leaves_what_a_live_job_waits_for),
	CASE(prune_goes_on_with_nothing_that_it_has_not_begun),
	CASE(turn_changes_nothing_when_the_store_is_busy),
	CASE(turn_changes_nothing_when_the_disk_is_full),
	CASE(turn_changes_nothing_when_the_store_is_unavailable),
	CASE(turn_in_doubt_is_there_after_the_reopen),
	CASE(turn_in_doubt_is_absent_after_the_reopen),
	CASE(turn_in_doubt_keeps_what_it_filled_in),
	CASE(turn_that_reads_needs_no_lock),
	CASE(turn_of_an_empty_batch_is_fine),
	CASE(reopen_without_trouble_changes_nothing),
	CASE(sync_that_failed_succeeds_in_another_way),
	CASE(own_turns_are_no_changes),
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

int
main(void)
{
	static const struct subject_kind *const kinds[] = { &subject_sqlite,
		&subject_memory, &subject_memory_late };
	static struct CMUnitTest tests[3 * CASE_COUNT];
	static char names[3 * CASE_COUNT][128];
	size_t count = 0;

	for (size_t kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < CASE_COUNT; i++) {
			snprintf(names[count], sizeof(names[0]), "%s: %s",
			    kinds[kind]->name, cases[i].name);
			tests[count] = (struct CMUnitTest){ names[count],
				cases[i].function, subject_setup, subject_teardown,
				(void *)kinds[kind] };
			count++;
		}
	}
	return cmocka_run_group_tests_name("store conformance", tests, NULL, NULL);
}
