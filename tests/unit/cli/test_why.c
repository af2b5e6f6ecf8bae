/* why: every way to wait and every way to end has its words, and only one. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/why.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW 1000000

static const struct why_now now = {
	.wall = { NOW },
	.boot = { 5000 },
	.boot_id = "this boot",
	.is_supervised = true,
};

static const struct why_now nothing_runs = {
	.wall = { NOW },
	.boot = { 5000 },
	.boot_id = "this boot",
};

static const struct {
	struct why_job job;
	const struct why_now *now;
	const char *in_list, *alone;
} known[] = {
	/* waiting for a place */
	{ { .status = JOB_NEW, .line = 3, .busy = 2, .max_children = 2 }, &now,
	    "no free place (2 of 2), 3rd in line",
	    "no free place (2 of 2), 3rd in line" },
	{ { .status = JOB_NEW, .line = 1, .busy = 0, .max_children = 0 }, &now,
	    "no free place (0 of 0), 1st in line",
	    "no free place (0 of 0), 1st in line" },
	{ { .status = JOB_NEW, .line = 1, .busy = 1, .max_children = 2 }, &now,
	    "next to start", "next to start" },
	{ { .status = JOB_NEW, .line = 9, .busy = 8, .max_children = -1 },
	    &now, "next to start", "next to start" },
	{ { .status = JOB_NEW, .line = 2, .max_children = -1, .rate = 2, .rate_ms = 3000 },
	    &now, "waits for its supervisor's rate (2/3s), 2nd in line",
	    "waits for its supervisor's rate (2/3s), 2nd in line" },
	{ { .status = JOB_NEW, .line = 1, .max_children = 2 }, &nothing_runs,
	    "nothing runs it", "nothing runs it" },
	{ { .status = JOB_ERRORED, .reason = { REASON_EXIT, 22, false },
	      .line = 2, .busy = 2, .max_children = 2 },
	    &now, "exit 22; no free place (2 of 2), 2nd in line",
	    "exit 22; no free place (2 of 2), 2nd in line" },
	/* waiting for a time */
	{ { .status = JOB_ERRORED, .reason = { REASON_EXIT, 22, false },
	      .wake_at = NOW + 99999, .wake_boot_ms = 8400, .wake_boot_id = "this boot" },
	    &now, "exit 22; again in 3.4 s", "exit 22; again in 3.4 s" },
	{ { .status = JOB_ERRORED, .reason = { REASON_TIMEOUT, 0, false },
	      .timeout_ms = 30000, .wake_at = NOW + 3400, .wake_boot_ms = 99999,
	      .wake_boot_id = "the last boot" },
	    &now, "timed out after 30 s; again in 3.4 s",
	    "timed out after 30 s; again in 3.4 s" },
	{ { .status = JOB_NEW, .wake_at = NOW + 120000 }, &now,
	    "starts in 2 min", "starts in 2 min" },
	{ { .status = JOB_NEW, .wake_at = NOW - 1 }, &now, "due now",
	    "due now" },
	{ { .status = JOB_NEW, .wake_at = NOW }, &nothing_runs,
	    "due, but nothing runs it", "due, but nothing runs it" },
	/* waiting for somebody */
	{ { .status = JOB_NEW, .hold = "user", .wake_at = NOW + 1 }, &now,
	    "held by you", "held by you" },
	{ { .status = JOB_NEW, .hold = "dependency", .waits_for = "[41]" },
	    &now, "waits for 41", "waits for 41" },
	{ { .status = JOB_NEW, .hold = "dependency", .waits_for = "[41,43]" },
	    &now, "waits for 41, 43", "waits for 41, 43" },
	{ { .status = JOB_NEW, .hold = "dependency",
	      .waits_for = "[1,2,3,4,5,6,7,8,9,10,11,12]" },
	    &now, "waits for 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more",
	    "waits for 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more" },
	{ { .status = JOB_NEW, .hold = "dependency", .waits_for = "[]" },
	    &now, "waits for other jobs", "waits for other jobs" },
	{ { .status = JOB_NEW, .is_claimed = true, .busy = 1, .max_children = 1 }, &now,
	    "being started", "being started" },
	/* claimed ahead: to follow when a place is free */
	{ { .status = JOB_NEW, .is_claimed = true, .busy = 3, .max_children = 2 }, &now,
	    "no free place (2 of 2), next in line",
	    "no free place (2 of 2), next in line" },
	{ { .status = JOB_NEW, .line = 1, .busy = 3, .max_children = 2 }, &now,
	    "no free place (2 of 2), 2nd in line",
	    "no free place (2 of 2), 2nd in line" },
	/* put back */
	{ { .status = JOB_NEW, .reason = { REASON_LOST_BOOT, 0, false },
	      .max_children = -1 },
	    &now, "lost: machine restarted; next to start",
	    "lost: machine restarted; next to start" },
	{ { .status = JOB_NEW, .reason = { REASON_INTERRUPTED, 0, false },
	      .max_children = -1 },
	    &nothing_runs, "interrupted by shutdown; nothing runs it",
	    "interrupted by shutdown; nothing runs it" },
	/* a fresh life: how the last one ended does not matter */
	{ { .status = JOB_NEW, .reason = { REASON_EXIT, 3, false },
	      .max_children = -1 },
	    &now, "next to start", "next to start" },
	/* running */
	{ { .status = JOB_RUNNING, .progress = -1, .started_at = NOW - 11000 }, &now, "",
	    "running for 11 s" },
	{ { .status = JOB_RUNNING, .progress = 0.4, .progress_text = "resizing",
	      .started_at = NOW - 11000 },
	    &now, "40% resizing", "running for 11 s, 40% resizing" },
	{ { .status = JOB_RUNNING, .progress = -1, .progress_text = "thinking",
	      .started_at = NOW - 11000 },
	    &now, "thinking", "running for 11 s, thinking" },
	{ { .status = JOB_RUNNING, .progress = 0, .started_at = NOW + 5000 }, &now, "0%",
	    "running for 0 s, 0%" },
	{ { .status = JOB_RUNNING, .stop = { REASON_CANCELLED, 0, false },
	      .progress = 0.4, .started_at = NOW - 11000 },
	    &now, "cancelled, being ended", "running for 11 s, cancelled, being ended" },
	{ { .status = JOB_RUNNING, .stop = { .kind = REASON_NORMAL }, .progress = -1,
	      .started_at = NOW - 11000 },
	    &now, "being ended", "running for 11 s, being ended" },
	{ { .status = JOB_RUNNING, .progress = 0.4, .started_at = NOW - 11000 },
	    &nothing_runs, "nothing supervises it",
	    "running for 11 s, nothing supervises it" },
	/* servers */
	{ { .status = JOB_NEW, .is_server = true, .has_process = true, .started_at = NOW - 1,
	      .max_children = -1 },
	    &now, "its init has not answered yet", "its init has not answered yet" },
	{ { .status = JOB_ERRORED, .is_server = true, .reason = { .kind = REASON_SIGNAL,
	      .number = SIGABRT }, .max_children = -1 },
	    &now, "killed by SIGABRT; restarting", "killed by SIGABRT; restarting" },
	{ { .status = JOB_ERRORED, .is_server = true, .reason = { .kind = REASON_NORMAL },
	      .max_children = -1 },
	    &now, "restarting", "restarting" },
	{ { .status = JOB_ERRORED, .is_server = true, .reason = { .kind = REASON_OWN,
	      .own = "tired" }, .is_claimed = true, .max_children = -1 },
	    &now, "tired; restarting", "tired; restarting" },
	{ { .status = JOB_ERRORED, .is_server = true, .reason = { .kind = REASON_EXIT,
	      .number = 3 }, .max_children = -1 },
	    &nothing_runs, "exit 3; nothing runs it", "exit 3; nothing runs it" },
	{ { .status = JOB_RUNNING, .is_server = true, .progress = -1, .mailbox = 1,
	      .started_at = NOW - 11000 },
	    &now, "1 message waits", "running for 11 s, 1 message waits" },
	{ { .status = JOB_RUNNING, .is_server = true, .progress = 0.4, .progress_text = "sending",
	      .mailbox = 17, .started_at = NOW - 11000 },
	    &now, "40% sending, 17 messages wait",
	    "running for 11 s, 40% sending, 17 messages wait" },
	{ { .status = JOB_FAILED, .is_server = true, .reason = { .kind = REASON_MAX_RESTARTS },
	      .last = { .kind = REASON_SIGNAL, .number = SIGABRT } },
	    &now, "restarted too often, last killed by SIGABRT",
	    "failed: restarted too often, last killed by SIGABRT" },
	{ { .status = JOB_DONE, .is_server = true, .reason = { .kind = REASON_NORMAL },
	      .run_ms = 5000 }, &now, "", "done after 5 s" },
	{ { .status = JOB_DONE, .is_server = true, .reason = { .kind = REASON_SHUTDOWN,
	      .own = "upgrade" }, .run_ms = 5000 },
	    &now, "shutdown: upgrade", "done after 5 s: shutdown: upgrade" },
	/* ended */
	{ { .status = JOB_DONE, .started_at = 1, .run_ms = -1 }, &now, "", "done" },
	{ { .status = JOB_DONE, .reason = { REASON_NORMAL, 0, false }, .progress = 1,
	      .started_at = 1, .run_ms = 48000 },
	    &now, "", "done after 48 s" },
	{ { .status = JOB_DONE, .reason = { REASON_NORMAL, 0, false }, .progress = 1,
	      .started_at = 1, .run_ms = 48000, .result = "{\"pages\":4}" },
	    &now, "{\"pages\":4}", "done after 48 s: {\"pages\":4}" },
	{ { .status = JOB_FAILED, .reason = { REASON_EXIT, 3, false } }, &now,
	    "exit 3", "failed: exit 3" },
	{ { .status = JOB_FAILED, .reason = { REASON_SIGNAL, SIGSEGV, true } },
	    &now, "killed by SIGSEGV (core dumped)",
	    "failed: killed by SIGSEGV (core dumped)" },
	{ { .status = JOB_FAILED, .reason = { REASON_TIMEOUT, 0, false },
	      .timeout_ms = 30000 },
	    &now, "timed out after 30 s", "failed: timed out after 30 s" },
	{ { .status = JOB_FAILED, .reason = { REASON_OOM, 0, false } }, &now,
	    "out of memory", "failed: out of memory" },
	{ { .status = JOB_FAILED, .reason = { REASON_SPAWN, ENOENT, false } },
	    &now, "cannot execute: No such file or directory",
	    "failed: cannot execute: No such file or directory" },
	{ { .status = JOB_FAILED, .reason = { REASON_SPAWN, EINVAL, false },
	      .detail = "command is not an array of strings" },
	    &now, "command is not an array of strings",
	    "failed: command is not an array of strings" },
	{ { .status = JOB_FAILED, .reason = { REASON_LOST_BOOT, 0, false } },
	    &now, "lost: machine restarted", "failed: lost: machine restarted" },
	{ { .status = JOB_CANCELLED, .reason = { REASON_CANCELLED, 0, false } },
	    &now, "cancelled", "cancelled" },
	{ { .status = JOB_CANCELLED, .reason = { REASON_DEPENDENCY, 0, false },
	      .detail = "job 41 failed" },
	    &now, "job 41 failed", "cancelled: job 41 failed" },
};

static void
every_wait_and_end_has_its_words(void **state)
{
	char text[WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		why_words(text, sizeof(text), &known[i].job, known[i].now, WHY_IN_LIST);
		assert_string_equal(text, known[i].in_list);
		why_words(text, sizeof(text), &known[i].job, known[i].now, WHY_ALONE);
		assert_string_equal(text, known[i].alone);
	}
}

/* Only what is running or done may have nothing more to say in a list. */
static void
no_waiting_job_and_no_failure_is_without_words(void **state)
{
	char text[WHY_SIZE];

	(void)state;
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		for (int kind = REASON_EXIT; kind < REASON_COUNT; kind++) {
			const struct why_job job = { .status = status,
				.reason = { kind, 1, false, "own words" }, .progress = -1 };

			why_words(text, sizeof(text), &job, &now, WHY_ALONE);
			assert_string_not_equal(text, "");
			why_words(text, sizeof(text), &job, &now, WHY_IN_LIST);
			assert_true(text[0] != '\0' || status == JOB_RUNNING ||
			    status == JOB_DONE);
		}
	}
}

static void
words_are_cut_where_the_buffer_ends(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		for (size_t size = 1; size < sizeof(text); size++) {
			memset(text, '#', sizeof(text));
			why_words(text, size, &known[i].job, known[i].now, WHY_ALONE);
			assert_true(strlen(text) < size);
			assert_memory_equal(text, known[i].alone, strlen(text));
			assert_int_equal(text[size], '#');
		}
	}
}

static void
ordinals_end_as_they_are_spoken(void **state)
{
	static const struct {
		int64_t number;
		const char *text;
	} ordinals[] = {
		{ 1, "1st" }, { 2, "2nd" }, { 3, "3rd" }, { 4, "4th" }, { 10, "10th" },
		{ 11, "11th" }, { 12, "12th" }, { 13, "13th" }, { 14, "14th" },
		{ 20, "20th" }, { 21, "21st" }, { 22, "22nd" }, { 23, "23rd" },
		{ 100, "100th" }, { 101, "101st" }, { 111, "111th" }, { 112, "112th" },
		{ 113, "113th" }, { 1011, "1011th" }, { 10021, "10021st" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < COUNT(ordinals); i++)
		assert_string_equal(why_ordinal(text, sizeof(text), ordinals[i].number),
		    ordinals[i].text);
}

static void
running_time_is_of_the_last_run(void **state)
{
	const struct why_job none = { .status = JOB_NEW };
	const struct why_job runs = { .status = JOB_RUNNING, .started_at = NOW - 7 };
	const struct why_job later = { .status = JOB_RUNNING, .started_at = NOW + 7 };
	const struct why_job done = { .status = JOB_DONE, .started_at = 5, .run_ms = 9 };
	const struct why_job lost = { .status = JOB_FAILED, .started_at = 5, .run_ms = -1 };

	(void)state;
	assert_int_equal(why_running_ms(&none, &now), -1);
	assert_int_equal(why_running_ms(&runs, &now), 7);
	assert_int_equal(why_running_ms(&later, &now), 0);
	assert_int_equal(why_running_ms(&done, &now), 9);
	assert_int_equal(why_running_ms(&lost, &now), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wait_and_end_has_its_words),
		cmocka_unit_test(no_waiting_job_and_no_failure_is_without_words),
		cmocka_unit_test(words_are_cut_where_the_buffer_ends),
		cmocka_unit_test(ordinals_end_as_they_are_spoken),
		cmocka_unit_test(running_time_is_of_the_last_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
