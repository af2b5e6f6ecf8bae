/*
 * lifecycle: the rules of a job's life. The full matrix stands in lifecycle.golden; who
 * changes the table on purpose copies the printed one there. The chapter's cases are
 * played through whole lives.
 */

#include "model/lifecycle.h"
#include "base/buf.h"
#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GOLDEN TESTS_DIRECTORY "/unit/model/lifecycle.golden"
#define MIGRATION TESTS_DIRECTORY "/../migrations/0001_jobs.sql"
#define LARGEST_FILE (1 << 20)

static const char *const action_names[] = {
	"count",
	"pause",
	"wake",
	"reset",
	"end",
	"stop",
	"hold",
	"unhold",
	"revive",
};

static uint32_t random_state = 20261122;

static uint32_t
next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void
print_step(struct buf *buf, enum job_status status, enum job_event event)
{
	const struct lifecycle_step *step = &lifecycle_table[status][event];

	buf_addf(buf, "%-9s  %-17s  ", job_status_name(status), job_event_name(event));
	if (!step->is_allowed) {
		buf_add_text(buf, "refused\n");
		return;
	}
	buf_addf(buf, "-> %s", job_status_name(step->next));
	for (size_t i = 0; i < COUNT(action_names); i++) {
		if (step->actions & 1u << i)
			buf_addf(buf, " +%s", action_names[i]);
	}
	buf_add_text(buf, "\n");
}

/* One line at a time: cmocka cuts a longer text. The text is cut up. */
static void
print_lines(char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) != NULL)
		print_error("%s\n", line);
}

static void
lifecycle_matrix_is_the_golden_one(void **state)
{
	struct buf printed = { 0 }, golden = { 0 };
	bool is_same;

	(void)state;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		for (int event = 0; event < JOB_EVENT_COUNT; event++)
			print_step(&printed, status, event);
	}
	assert_int_equal(file_read(AT_FDCWD, GOLDEN, LARGEST_FILE, &golden), 0);
	is_same = strcmp(buf_text(&printed), buf_text(&golden)) == 0;
	if (!is_same)
		print_lines(buf_start(&printed));
	buf_done(&printed);
	buf_done(&golden);
	assert_true(is_same);
}

static void
lifecycle_actions_all_have_a_name_here(void **state)
{
	unsigned used = 0;

	(void)state;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		for (int event = 0; event < JOB_EVENT_COUNT; event++)
			used |= lifecycle_table[status][event].actions;
	}
	assert_int_equal(used, (1u << COUNT(action_names)) - 1);
}

/* Rows that hold for whatever stands in the table. */
static void
lifecycle_table_keeps_its_promises_in_every_cell(void **state)
{
	(void)state;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		for (int event = 0; event < JOB_EVENT_COUNT; event++) {
			const struct lifecycle_step *step =
			    &lifecycle_table[status][event];
			bool is_live = job_status_is_live(status);
			bool stays_live = job_status_is_live(step->next);

			if (!step->is_allowed) {
				assert_int_equal(step->actions, 0);
				continue;
			}
			assert_true(!(step->actions & ACTION_END) == stays_live);
			assert_true(!(step->actions & ACTION_REVIVE) == is_live);
			assert_true(is_live || event == JOB_RETRY);
			if (step->actions & ACTION_PAUSE)
				assert_int_equal(step->next, JOB_ERRORED);
			if (step->actions & ACTION_STOP)
				assert_int_equal(status, JOB_RUNNING);
		}
	}
}

/* The changes in the trigger, as 'from>to' with a blank behind each. */
static void
read_trigger(struct buf *changes)
{
	struct buf sql = { 0 };
	const char *at, *end;

	assert_int_equal(file_read(AT_FDCWD, MIGRATION, LARGEST_FILE, &sql), 0);
	at = strstr(buf_text(&sql), "CREATE TRIGGER jobs_status_legal");
	assert_non_null(at);
	at = strstr(at, "NOT IN (");
	assert_non_null(at);
	end = strchr(at + strlen("NOT IN ("), ')');
	assert_non_null(end);
	while ((at = strchr(at, '\'')) != NULL && at < end) {
		size_t length = strcspn(at + 1, "'");

		buf_add(changes, at, length + 2);
		buf_add_text(changes, " ");
		at += length + 2;
	}
	buf_done(&sql);
}

static bool
is_change(enum job_status from, enum job_status to)
{
	for (int event = 0; event < JOB_EVENT_COUNT; event++) {
		const struct lifecycle_step *step = &lifecycle_table[from][event];

		if (step->is_allowed && step->next == to && from != to)
			return true;
	}
	return false;
}

static void
lifecycle_changes_are_those_the_trigger_allows(void **state)
{
	struct buf changes = { 0 };
	size_t in_trigger = 0, in_table = 0;

	(void)state;
	read_trigger(&changes);
	for (const char *at = buf_text(&changes); (at = strchr(at, '>')) != NULL; at++)
		in_trigger++;
	for (int from = 0; from < JOB_STATUS_COUNT; from++) {
		for (int to = 0; to < JOB_STATUS_COUNT; to++) {
			struct buf change = { 0 };
			bool is_legal;

			buf_addf(&change, "'%s>%s' ", job_status_name(from),
			    job_status_name(to));
			is_legal = strstr(buf_text(&changes), buf_text(&change)) != NULL;
			if (is_legal != is_change(from, to))
				fail_msg("%sis in only one of trigger and table",
				    buf_text(&change));
			in_table += is_change(from, to);
			buf_done(&change);
		}
	}
	assert_int_equal(in_trigger, in_table);
	buf_done(&changes);
}

/* A job that is played through its life, as a store does it. */
struct life {
	struct lifecycle_job job;
	struct lifecycle_verdict last;
	int runs;
};

static const struct reason succeeded = { .kind = REASON_NORMAL };
static const struct reason failed = { .kind = REASON_EXIT, .number = 1 };
static const struct reason interrupted = { .kind = REASON_INTERRUPTED };
static const struct reason lost = { .kind = REASON_LOST_KEEPER };
static const struct reason lost_in_boot = { .kind = REASON_LOST_BOOT };

static struct life
new_life(int64_t max_retries)
{
	struct life life = { .job = { .status = JOB_NEW, .retry = retry_default } };

	life.job.retry.max_retries = max_retries;
	return life;
}

static void
apply(struct life *life, enum job_event event)
{
	if (lifecycle_decide(&life->job, event, next_random(), &life->last) == -1)
		fail_msg("%s is refused when %s", job_event_name(event),
		    job_status_name(life->job.status));
	life->job.status = life->last.next;
	life->job.failures = life->last.failures;
}

/* One run that ends so. */
static enum job_status
run(struct life *life, struct reason reason)
{
	apply(life, JOB_STARTED);
	life->runs++;
	apply(life, lifecycle_classify_end(&life->job, reason));
	life->job.losses_in_a_row =
	    reason_is_loss(reason) ? life->job.losses_in_a_row + 1 : 0;
	return life->job.status;
}

/* Runs that all end so, until the job has ended. */
static void
run_to_the_end(struct life *life, struct reason reason)
{
	while (job_status_is_live(run(life, reason)))
		assert_true(life->runs < 10000);
}

static int64_t
retries_of(const struct life *life)
{
	return life->job.failures > 1 ? life->job.failures - 1 : 0;
}

static void
lifecycle_job_is_done_when_its_first_run_succeeds(void **state)
{
	struct life life = new_life(3);

	(void)state;
	assert_int_equal(run(&life, succeeded), JOB_DONE);
	assert_int_equal(life.last.actions, ACTION_END);
	assert_int_equal(life.job.failures, 0);
}

static void
lifecycle_job_fails_after_three_retries_when_it_fails_for_ever(void **state)
{
	struct life life = new_life(3);

	(void)state;
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(run(&life, failed), JOB_ERRORED);
		assert_int_equal(life.last.actions, ACTION_COUNT | ACTION_PAUSE);
		assert_int_equal(life.last.pause_ms, 5000);
		assert_int_equal(life.job.failures, i);
	}
	assert_int_equal(run(&life, failed), JOB_FAILED);
	assert_int_equal(life.last.actions, ACTION_COUNT | ACTION_END);
	assert_int_equal(life.runs, 4);
	assert_int_equal(life.job.failures, 4);
	assert_int_equal(retries_of(&life), 3);
}

static void
lifecycle_job_with_one_retry_runs_twice_when_it_fails_for_ever(void **state)
{
	struct life life = new_life(1);

	(void)state;
	run_to_the_end(&life, failed);
	assert_int_equal(life.job.status, JOB_FAILED);
	assert_int_equal(life.runs, 2);
	assert_int_equal(life.job.failures, 2);
	assert_int_equal(retries_of(&life), 1);
}

static void
lifecycle_job_without_retries_runs_once_when_it_fails(void **state)
{
	struct life life = new_life(0);

	(void)state;
	run_to_the_end(&life, failed);
	assert_int_equal(life.job.status, JOB_FAILED);
	assert_int_equal(life.runs, 1);
	assert_int_equal(life.job.failures, 1);
	assert_int_equal(retries_of(&life), 0);
}

static void
lifecycle_job_retried_for_ever_does_not_fail(void **state)
{
	struct life life = new_life(RETRY_FOR_EVER);

	(void)state;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(life.job.failures, 5000);
	assert_int_equal(run(&life, succeeded), JOB_DONE);
	assert_int_equal(life.job.failures, 5000);
}

static void
lifecycle_job_fails_twice_then_succeeds(void **state)
{
	struct life life = new_life(3);

	(void)state;
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(run(&life, succeeded), JOB_DONE);
	assert_int_equal(life.runs, 3);
	assert_int_equal(life.job.failures, 2);
	assert_int_equal(retries_of(&life), 1);
}

static void
lifecycle_job_fails_at_once_when_it_asks_for_no_retry(void **state)
{
	struct reason no_retry = { .kind = REASON_EXIT,
		.number = LIFECYCLE_NO_RETRY_STATUS };
	struct reason signalled = { .kind = REASON_SIGNAL,
		.number = LIFECYCLE_NO_RETRY_STATUS };
	struct life life = new_life(RETRY_FOR_EVER), other = new_life(3);

	(void)state;
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(run(&life, no_retry), JOB_FAILED);
	assert_int_equal(life.last.actions, ACTION_COUNT | ACTION_END);
	assert_int_equal(life.job.failures, 2);
	assert_int_equal(run(&other, signalled), JOB_ERRORED);
}

static void
lifecycle_every_kind_of_failure_counts(void **state)
{
	static const struct reason failures[] = {
		{ .kind = REASON_EXIT, .number = 75 },
		{ .kind = REASON_EXIT, .number = 255 },
		{ .kind = REASON_SIGNAL, .number = SIGKILL },
		{ .kind = REASON_TIMEOUT },
		{ .kind = REASON_OOM },
		{ .kind = REASON_SPAWN, .number = 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(failures); i++) {
		struct life life = new_life(2);

		run_to_the_end(&life, failures[i]);
		assert_int_equal(life.job.status, JOB_FAILED);
		assert_int_equal(life.runs, 3);
		assert_int_equal(life.job.failures, 3);
	}
}

static void
lifecycle_interrupted_run_is_not_counted(void **state)
{
	struct life life = new_life(1);

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(run(&life, interrupted), JOB_NEW);
		assert_int_equal(life.last.actions, 0);
	}
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	for (int i = 0; i < 10; i++)
		assert_int_equal(run(&life, interrupted), JOB_ERRORED);
	assert_int_equal(life.last.actions, 0);
	assert_int_equal(life.job.failures, 1);
	assert_int_equal(run(&life, failed), JOB_FAILED);
	assert_int_equal(life.job.failures, 2);
}

static void
lifecycle_lost_run_is_not_counted(void **state)
{
	struct life life = new_life(1);

	(void)state;
	assert_int_equal(run(&life, lost), JOB_NEW);
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(run(&life, lost_in_boot), JOB_ERRORED);
	assert_int_equal(life.job.failures, 1);
	assert_int_equal(run(&life, succeeded), JOB_DONE);
}

static void
lifecycle_third_loss_in_a_row_abandons(void **state)
{
	struct life life = new_life(RETRY_FOR_EVER);

	(void)state;
	assert_int_equal(run(&life, lost), JOB_NEW);
	assert_int_equal(run(&life, lost_in_boot), JOB_NEW);
	assert_int_equal(run(&life, lost), JOB_FAILED);
	assert_int_equal(life.last.actions, ACTION_END);
	assert_int_equal(life.job.failures, 0);
}

static void
lifecycle_losses_are_counted_anew_when_another_end_lies_between(void **state)
{
	struct life life = new_life(RETRY_FOR_EVER);

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(run(&life, lost), i == 0 ? JOB_NEW : JOB_ERRORED);
		assert_int_equal(run(&life, lost), i == 0 ? JOB_NEW : JOB_ERRORED);
		assert_int_equal(run(&life, failed), JOB_ERRORED);
	}
	assert_int_equal(life.job.failures, 5);
}

static void
lifecycle_run_once_job_is_abandoned_when_interrupted_or_lost(void **state)
{
	static const struct reason ends[] = { { .kind = REASON_INTERRUPTED },
		{ .kind = REASON_LOST_KEEPER }, { .kind = REASON_LOST_BOOT } };

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct life life = new_life(0);

		assert_int_equal(run(&life, ends[i]), JOB_FAILED);
		assert_int_equal(life.last.actions, ACTION_END);
		assert_int_equal(life.runs, 1);
		assert_int_equal(life.job.failures, 0);
	}
}

static void
lifecycle_cancelled_run_ends_cancelled(void **state)
{
	struct life life = new_life(3);

	(void)state;
	apply(&life, JOB_STARTED);
	apply(&life, JOB_CANCEL);
	assert_int_equal(life.job.status, JOB_RUNNING);
	assert_int_equal(life.last.actions, ACTION_STOP);
	apply(&life, lifecycle_classify_end(
			 &life.job, (struct reason){ .kind = REASON_CANCELLED }));
	assert_int_equal(life.job.status, JOB_CANCELLED);
	assert_int_equal(life.job.failures, 0);
}

static void
lifecycle_retry_by_hand_starts_a_fresh_life_when_ended(void **state)
{
	struct life life = new_life(2);

	(void)state;
	for (int i = 0; i < 3; i++) {
		life.runs = 0;
		run_to_the_end(&life, failed);
		assert_int_equal(life.runs, 3);
		assert_int_equal(life.job.failures, 3);
		apply(&life, JOB_RETRY);
		assert_int_equal(life.job.status, JOB_NEW);
		assert_int_equal(life.job.failures, 0);
		assert_true(life.last.actions & ACTION_REVIVE);
	}
}

static void
lifecycle_retry_by_hand_keeps_failures_when_errored(void **state)
{
	struct life life = new_life(2);

	(void)state;
	run(&life, failed);
	apply(&life, JOB_RETRY);
	assert_int_equal(life.job.status, JOB_ERRORED);
	assert_int_equal(life.last.actions, ACTION_WAKE);
	assert_int_equal(life.job.failures, 1);
	run_to_the_end(&life, failed);
	assert_int_equal(life.runs, 3);
}

static void
lifecycle_decide_refuses_and_leaves_the_verdict(void **state)
{
	struct lifecycle_verdict before = {
		.next = JOB_DONE, .actions = 77, .failures = 77, .pause_ms = 77
	};

	(void)state;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		for (int event = 0; event < JOB_EVENT_COUNT; event++) {
			struct lifecycle_job job = { .status = status };
			struct lifecycle_verdict verdict = before;

			if (lifecycle_table[status][event].is_allowed)
				continue;
			assert_int_equal(lifecycle_decide(&job, event, 0, &verdict), -1);
			assert_int_equal(verdict.next, before.next);
			assert_int_equal(verdict.actions, before.actions);
			assert_int_equal(verdict.failures, before.failures);
			assert_int_equal(verdict.pause_ms, before.pause_ms);
		}
	}
}

/* A database may hold any number. */
static void
lifecycle_counts_do_not_overflow(void **state)
{
	struct life life = new_life(3);

	(void)state;
	life.job.failures = INT64_MAX;
	assert_int_equal(run(&life, failed), JOB_FAILED);
	assert_true(life.job.failures == INT64_MAX);
	life = new_life(RETRY_FOR_EVER);
	life.job.failures = INT64_MAX;
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_true(life.job.failures == INT64_MAX);
	life = new_life(INT64_MAX);
	life.job.failures = INT64_MAX - 1;
	assert_int_equal(run(&life, failed), JOB_ERRORED);
	assert_int_equal(run(&life, failed), JOB_FAILED);
}

/* An end before the start was told, and one after it, in any order through random lives.
 */
static void
lifecycle_no_end_is_refused_in_random_lives(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct life life = new_life((int)(next_random() % 6) - 1);
		int64_t most = life.job.retry.max_retries;

		for (int i = 0; i < 60 && job_status_is_live(life.job.status); i++) {
			struct reason reason = {
				.kind = (enum reason_kind)(
				    REASON_NORMAL +
				    next_random() % (REASON_DEPENDENCY - REASON_NORMAL)),
				.number = 1,
			};

			if (reason.kind != REASON_NORMAL && next_random() % 4 == 0) {
				apply(&life, lifecycle_classify_end(&life.job, reason));
				life.job.losses_in_a_row = 0;
			} else
				run(&life, reason);
			assert_true((life.job.status == JOB_ERRORED) ==
				    (job_status_is_live(life.job.status) &&
					life.job.failures > 0));
		}
		assert_true(most == RETRY_FOR_EVER || life.job.failures <= most + 1);
		if (most != RETRY_FOR_EVER && life.job.failures == most + 1)
			assert_int_equal(life.job.status, JOB_FAILED);
	}
}

static void
lifecycle_status_names_are_read_back(void **state)
{
	static const char *const bad[] = { "", "New", "new ", "ne", "news",
		"running>done", "\xff" };
	enum job_status status = JOB_FAILED;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(job_status_parse(bad[i], &status), -1);
	assert_int_equal(status, JOB_FAILED);
	for (int i = 0; i < JOB_STATUS_COUNT; i++) {
		assert_int_equal(job_status_parse(job_status_name(i), &status), 0);
		assert_int_equal(status, i);
	}
}

static void
lifecycle_event_names_are_all_different(void **state)
{
	(void)state;
	for (int i = 0; i < JOB_EVENT_COUNT; i++) {
		assert_non_null(job_event_name(i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(job_event_name(i), job_event_name(j));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifecycle_matrix_is_the_golden_one),
		cmocka_unit_test(lifecycle_actions_all_have_a_name_here),
		cmocka_unit_test(lifecycle_table_keeps_its_promises_in_every_cell),
		cmocka_unit_test(lifecycle_changes_are_those_the_trigger_allows),
		cmocka_unit_test(lifecycle_job_is_done_when_its_first_run_succeeds),
		cmocka_unit_test(
		    lifecycle_job_fails_after_three_retries_when_it_fails_for_ever),
		cmocka_unit_test(
		    lifecycle_job_with_one_retry_runs_twice_when_it_fails_for_ever),
		cmocka_unit_test(lifecycle_job_without_retries_runs_once_when_it_fails),
		cmocka_unit_test(lifecycle_job_retried_for_ever_does_not_fail),
		cmocka_unit_test(lifecycle_job_fails_twice_then_succeeds),
		cmocka_unit_test(lifecycle_job_fails_at_once_when_it_asks_for_no_retry),
		cmocka_unit_test(lifecycle_every_kind_of_failure_counts),
		cmocka_unit_test(lifecycle_interrupted_run_is_not_counted),
		cmocka_unit_test(lifecycle_lost_run_is_not_counted),
		cmocka_unit_test(lifecycle_third_loss_in_a_row_abandons),
		cmocka_unit_test(
		    lifecycle_losses_are_counted_anew_when_another_end_lies_between),
		cmocka_unit_test(
		    lifecycle_run_once_job_is_abandoned_when_interrupted_or_lost),
		cmocka_unit_test(lifecycle_cancelled_run_ends_cancelled),
		cmocka_unit_test(lifecycle_retry_by_hand_starts_a_fresh_life_when_ended),
		cmocka_unit_test(lifecycle_retry_by_hand_keeps_failures_when_errored),
		cmocka_unit_test(lifecycle_decide_refuses_and_leaves_the_verdict),
		cmocka_unit_test(lifecycle_counts_do_not_overflow),
		cmocka_unit_test(lifecycle_no_end_is_refused_in_random_lives),
		cmocka_unit_test(lifecycle_status_names_are_read_back),
		cmocka_unit_test(lifecycle_event_names_are_all_different),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
