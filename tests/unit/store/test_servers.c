/*
 * Servers as the store has them: their ends and restarts, mailboxes, timers, monitors, tasks
 * and commits. To add a case: a function and a row in `cases`.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_MS INT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define SLACK_MS (600 * SECOND_MS) /* a slow machine */
#define TOO_LATE_MS (6 * SECOND_MS) /* for a restart to count */

#define assert_status(subject, job, expected) \
	assert_string_equal(status_of(subject, job), expected)

/* ---- short ways ---- */

/* "name=a restart=permanent durable" */
static int64_t
submit_server(struct subject *subject, const char *options)
{
	struct batch batch;
	struct step *step;
	int64_t id;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = true;
	run_ok(subject, &batch);
	if (step->answer != STEP_OK)
		fail_msg("%s: %s", options, step->error.text);
	id = step->submit.ret_ids[0];
	batch_done(&batch);
	return id;
}

static enum step_answer
ready(struct subject *subject, struct attempt_key key)
{
	enum step_answer answer;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_READY, NULL, NULL);
	step->ready.key = key;
	run_ok(subject, &batch);
	answer = step->answer;
	batch_done(&batch);
	return answer;
}

/* The next process of a server: its init has answered. */
static struct attempt_key
begin(struct subject *subject)
{
	struct attempt_key key = claim(subject, "servers");

	assert_int_equal(started(subject, key), STEP_OK);
	assert_int_equal(ready(subject, key), STEP_OK);
	return key;
}

static struct attempt_key
begin_server(struct subject *subject, const char *options)
{
	submit_server(subject, options);
	return begin(subject);
}

static void
end(struct subject *subject, struct attempt_key key, const char *reason)
{
	assert_int_equal(ended(subject, key, reason), STEP_OK);
}

/* It crashes over this message; 0: over none. */
static void
crash_over(struct subject *subject, struct attempt_key key, int64_t seq)
{
	struct batch batch;

	batch_init(&batch);
	add_ended(&batch, key, "signal:ABRT")->ended.handling = seq;
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->answer, STEP_OK);
	batch_done(&batch);
}

static struct step *
make_send(int64_t job, const char *name, const char *text)
{
	struct step *step = batch_make_step(STEP_SEND, NULL, NULL);

	step->send.job = job;
	if (name != NULL)
		snprintf(step->send.name, sizeof(step->send.name), "%s", name);
	step->send.text = xstrdup(text);
	step->send.most = 1000000;
	return step;
}

static enum step_answer
run_made(struct subject *subject, struct step *step)
{
	enum step_answer answer;
	struct batch batch;

	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	answer = step->answer;
	batch_done(&batch);
	return answer;
}

static void
send(struct subject *subject, int64_t job, const char *text)
{
	assert_int_equal(run_made(subject, make_send(job, NULL, text)), STEP_OK);
}

static void
print_messages(char *text, size_t size, const struct message *messages, size_t count)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length,
		    "%s%" PRId64 "%s%s", i > 0 ? " " : "", messages[i].seq,
		    messages[i].is_info ? "i" : "c",
		    messages[i].text != NULL ? messages[i].text : "-");
}

/* "1c\"a\" 2i[1]": what a server would be given. Good for one call. */
static const char *
mailbox_behind(struct subject *subject, int64_t job, int64_t after, int64_t limit)
{
	static char text[1000];
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_MAILBOX, NULL, NULL);
	step->mailbox.job = job;
	step->mailbox.after = after;
	step->mailbox.limit = limit;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	print_messages(
	    text, sizeof(text), step->mailbox.ret_messages, step->mailbox.ret_count);
	batch_done(&batch);
	return text;
}

static const char *
mailbox(struct subject *subject, int64_t job)
{
	return mailbox_behind(subject, job, 0, 100);
}

static struct step *
make_timer(struct attempt_key key, bool is_durable, int64_t to, const char *to_name,
    const char *text, int64_t delay_ms)
{
	struct step *step = batch_make_step(STEP_TIMER, NULL, NULL);

	step->timer.key = key;
	step->timer.is_durable = is_durable;
	step->timer.to = to;
	if (to_name != NULL)
		snprintf(step->timer.to_name, sizeof(step->timer.to_name), "%s", to_name);
	step->timer.text = xstrdup(text);
	step->timer.delay_ms = delay_ms;
	return step;
}

static int64_t
set_timer(struct subject *subject, struct step *step)
{
	struct batch batch;
	int64_t timer;

	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	timer = step->timer.ret_timer;
	batch_done(&batch);
	return timer;
}

/* How long it has; -1: there is none. */
static int64_t
end_timer(struct subject *subject, int64_t owner, int64_t timer, bool is_ref, bool is_cancel)
{
	struct batch batch;
	struct step *step;
	int64_t left;

	batch_init(&batch);
	step = batch_add(&batch, STEP_TIMER_END, NULL, NULL);
	step->timer_end.owner = owner;
	step->timer_end.timer = timer;
	step->timer_end.is_ref = is_ref;
	step->timer_end.is_cancel = is_cancel;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	left = step->timer_end.ret_left_ms;
	batch_done(&batch);
	return left;
}

/* What has come due: how many, "JOB:TEXT" of the last, and when the next is. */
struct due {
	size_t count;
	int64_t job, seq, next_ms;
	char text[200];
};

static struct due
due(struct subject *subject)
{
	struct due due = { .text = "" };
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_DUE, NULL, NULL);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	due.count = step->due.ret_count;
	due.next_ms = step->due.ret_next_ms;
	if (due.count > 0) {
		const struct message *last = &step->due.ret_messages[due.count - 1];

		due.job = last->job;
		due.seq = last->seq;
		snprintf(due.text, sizeof(due.text), "%s",
		    last->text != NULL ? last->text : "in the mailbox");
	}
	batch_done(&batch);
	return due;
}

static int64_t
monitor(struct subject *subject, struct attempt_key key, bool is_durable, int64_t job,
    const char *name)
{
	struct batch batch;
	struct step *step;
	int64_t ref;

	batch_init(&batch);
	step = batch_add(&batch, STEP_MONITOR, NULL, NULL);
	step->monitor.key = key;
	step->monitor.is_durable = is_durable;
	step->monitor.job = job;
	if (name != NULL)
		snprintf(step->monitor.name, sizeof(step->monitor.name), "%s", name);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	ref = step->monitor.ret_ref;
	batch_done(&batch);
	return ref;
}

static void
demonitor(struct subject *subject, int64_t owner, int64_t ref)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_DEMONITOR, NULL, NULL);
	step->demonitor.owner = owner;
	step->demonitor.ref = ref;
	run_ok(subject, &batch);
	batch_done(&batch);
}

static struct step *
make_task(struct attempt_key key, bool is_durable, int64_t ref, const char *options)
{
	struct step *step = batch_make_step(STEP_SUBMIT, NULL, NULL);

	step->submit.specs = xcalloc(1, sizeof(step->submit.specs[0]));
	step->submit.specs[0] = spec_of(options);
	step->submit.count = 1;
	step->submit.by_server.owner = key.job;
	step->submit.by_server.owner_attempt = is_durable ? 0 : key.attempt;
	step->submit.by_server.ref = ref;
	step->submit.by_server.is_task = true;
	return step;
}

static int64_t
start_task(struct subject *subject, struct step *step)
{
	struct batch batch;
	int64_t id;

	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	id = step->submit.ret_ids[0];
	batch_done(&batch);
	return id;
}

static struct step *
make_commit(struct attempt_key key, int64_t seq, const char *id, const char *state)
{
	struct step *step = batch_make_step(STEP_COMMIT, NULL, NULL);

	step->commit.key = key;
	step->commit.seq = seq;
	step->commit.id = xstrdup(id);
	step->commit.state = xstrdup(state);
	return step;
}

static void
add_part(struct step *commit, struct step *part)
{
	commit->commit.parts = xreallocarray(commit->commit.parts,
	    commit->commit.part_count + 1, sizeof(commit->commit.parts[0]));
	commit->commit.parts[commit->commit.part_count++] = part;
}

/* A claim's view of the state that was committed last, "-" if none; its attempt's key. */
static const char *
state_at_the_next_claim(struct subject *subject, struct attempt_key *ret_key)
{
	static char text[200];
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_claim(&batch, "servers", 1);
	run_ok(subject, &batch);
	assert_int_equal(step->claim.ret_count, 1);
	*ret_key = step->claim.ret_jobs[0].key;
	snprintf(text, sizeof(text), "%s",
	    step->claim.ret_jobs[0].state != NULL ? step->claim.ret_jobs[0].state : "-");
	batch_done(&batch);
	return text;
}

/* ---- lives ---- */

static void
server_runs_when_its_init_has_answered(void **state)
{
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a");
	struct attempt_key key = claim(subject, "servers"), old = key;

	assert_int_equal(started(subject, key), STEP_OK);
	assert_status(subject, job, "new");
	assert_int_equal(ready(subject, key), STEP_OK);
	assert_status(subject, job, "running");
	old.attempt++;
	assert_int_equal(ready(subject, old), STEP_STALE);
	old = key;
	old.generation++;
	assert_int_equal(ready(subject, old), STEP_STALE);
	end(subject, key, "normal");
	assert_int_equal(ready(subject, key), STEP_STALE);
	assert_status(subject, job, "done normal");
}

/* What a server's end leads to: by its restart, with its init answered or not. */
static const struct {
	const char *restart, *reason, *running, *in_init;
} ends[] = {
	{ "temporary", "normal", "done normal", "done normal" },
	{ "transient", "normal", "done normal", "done normal" },
	{ "permanent", "normal", "errored", "done normal" },
	{ "temporary", "shutdown", "done shutdown", "done shutdown" },
	{ "transient", "shutdown", "done shutdown", "done shutdown" },
	{ "permanent", "shutdown", "errored", "done shutdown" },
	{ "transient", "shutdown:late", "done shutdown:late", "done shutdown:late" },
	{ "permanent", "ignore", "done ignore", "done ignore" },
	{ "temporary", "exit:3", "failed exit:3", "failed exit:3" },
	{ "transient", "exit:3", "errored", "failed exit:3" },
	{ "permanent", "exit:3", "errored", "failed exit:3" },
	{ "transient", "signal:SEGV+core", "errored", "failed signal:SEGV+core" },
	{ "transient", "oom", "errored", "failed oom" },
	{ "temporary", "signal:KILL", "failed signal:KILL", "failed signal:KILL" },
	{ "transient", "spawn:ENOENT", "errored", "failed spawn:ENOENT" },
	{ "transient", "timeout", "errored", "failed timeout" },
	{ "temporary", "interrupted", "failed interrupted", "failed interrupted" },
	{ "transient", "interrupted", "new", "new" },
	{ "permanent", "lost:boot", "new", "new" },
	{ "temporary", "lost:keeper", "failed lost:keeper", "failed lost:keeper" },
	{ "transient", "lost:keeper", "new", "new" },
	{ "permanent", "cancelled", "cancelled cancelled", "cancelled cancelled" },
};

static void
check_end(struct subject *subject, size_t which, bool is_ready)
{
	const char *expected = is_ready ? ends[which].running : ends[which].in_init;
	struct attempt_key key;
	char options[100];
	int64_t job;

	snprintf(options, sizeof(options), "name=s%zu%d restart=%s", which, is_ready,
	    ends[which].restart);
	job = submit_server(subject, options);
	key = claim(subject, "servers");
	assert_int_equal(key.job, job);
	assert_int_equal(started(subject, key), STEP_OK);
	if (is_ready)
		assert_int_equal(ready(subject, key), STEP_OK);
	end(subject, key, ends[which].reason);
	if (strcmp(status_of(subject, job), expected) != 0)
		fail_msg("%s, %s, %s: %s instead of %s", ends[which].restart,
		    ends[which].reason, is_ready ? "running" : "in init",
		    status_of(subject, job), expected);
	if (strchr(expected, ' ') == NULL) /* it lives: not in the way of the next one */
		assert_int_equal(change(subject, job, JOB_CANCEL), STEP_OK);
}

static void
end_of_a_server_leads_to_what_its_restart_says(void **state)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		check_end(*state, i, true);
		check_end(*state, i, false);
	}
}

static void
server_is_given_up_after_three_restarts_within_five_seconds(void **state)
{
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a");

	for (int i = 0; i < 3; i++)
		end(subject, begin(subject), "exit:1");
	/* What was long ago does not count. */
	clock_shift(TOO_LATE_MS, TOO_LATE_MS);
	for (int i = 0; i < 4; i++) {
		assert_status(subject, job, "errored");
		end(subject, begin(subject), "exit:1");
	}
	assert_status(subject, job, "failed max_restarts");
	/* A fresh life: its restarts count from here, and its beginning is none. */
	assert_int_equal(change(subject, job, JOB_RETRY), STEP_OK);
	for (int i = 0; i < 4; i++) {
		assert_true(strncmp(status_of(subject, job), "failed", 6) != 0);
		end(subject, begin(subject), "exit:1");
	}
	assert_status(subject, job, "failed max_restarts");
}

static void
init_that_refuses_at_a_restart_is_tried_again(void **state)
{
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a");
	struct attempt_key key;

	end(subject, begin(subject), "exit:1");
	key = claim(subject, "servers");
	assert_int_equal(started(subject, key), STEP_OK);
	end(subject, key, "exit:4");
	assert_status(subject, job, "errored");
	end(subject, begin(subject), "normal");
	assert_status(subject, job, "done normal");
}

static enum step_answer
stop_with(struct subject *subject, struct attempt_key key, const char *words)
{
	struct step *step = batch_make_step(STEP_STOPPING, NULL, NULL);

	step->stopping.key = key;
	step->stopping.reason = reason_from_words(words);
	return run_made(subject, step);
}

static void
server_that_was_stopped_has_ended_with_that_reason_and_stays_away(void **state)
{
	static const struct {
		const char *asked, *seen, *expected;
	} stops[] = {
		{ "normal", "normal", "done normal" },
		{ "shutdown", "normal", "done shutdown" },
		{ "tired of it", "normal", "failed tired of it" },
		{ "normal", "exit:3", "failed exit:3" }, /* it crashed over it */
		{ "normal", "signal:KILL", "failed signal:KILL" },
	};
	struct subject *subject = *state;
	struct attempt_key key;

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		key = begin_server(subject, "name=a restart=permanent");
		assert_int_equal(stop_with(subject, key, stops[i].asked), STEP_OK);
		assert_int_equal(stop_with(subject, key, "another"), STEP_OK); /* too late */
		end(subject, key, stops[i].seen);
		if (strcmp(status_of(subject, key.job), stops[i].expected) != 0)
			fail_msg("%s, %s: %s instead of %s", stops[i].asked, stops[i].seen,
			    status_of(subject, key.job), stops[i].expected);
		assert_int_equal(stop_with(subject, key, "late"), STEP_STALE);
	}
}

/* A file that describes it otherwise while its supervisor ends it finds its own words again. */
static void
shutdown_in_words_is_more_than_that_by_a_supervisor(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a restart=permanent");

	assert_int_equal(stop_with(subject, key, "shutdown"), STEP_OK);
	assert_int_equal(stop_with(subject, key, "shutdown:apply"), STEP_OK);
	assert_int_equal(stop_with(subject, key, "shutdown"), STEP_OK);
	assert_int_equal(stop_with(subject, key, "shutdown:late"), STEP_OK);
	end(subject, key, "normal");
	assert_string_equal(status_of(subject, key.job), "done shutdown:apply");
}

static void
cancel_of_a_server_that_is_to_be_started_again_ends_it(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");

	end(subject, key, "exit:1");
	assert_status(subject, key.job, "errored");
	assert_int_equal(change(subject, key.job, JOB_CANCEL), STEP_OK);
	assert_status(subject, key.job, "cancelled cancelled");
	assert_int_equal(claim_count(subject, "servers", 1), 0);
}

/* ---- mailboxes ---- */

static void
messages_are_given_in_order_behind_the_last_one(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t other = submit_server(subject, "name=b durable");
	struct step *info = make_send(0, "a", "[1]");

	send(subject, key.job, "\"x\"");
	send(subject, other, "\"not mine\"");
	info->send.is_info = true;
	assert_int_equal(run_made(subject, info), STEP_OK);
	assert_string_equal(mailbox(subject, key.job), "1c\"x\" 3i[1]");
	assert_string_equal(mailbox_behind(subject, key.job, 1, 100), "3i[1]");
	assert_string_equal(mailbox_behind(subject, key.job, 0, 1), "1c\"x\"");
	assert_string_equal(mailbox_behind(subject, key.job, 3, 100), "");
	assert_string_equal(mailbox(subject, other), "2c\"not mine\"");
}

static void
message_to_who_has_no_mailbox_is_not_found(void **state)
{
	struct subject *subject = *state;
	struct attempt_key durable, plain = begin_server(subject, "name=p");
	int64_t command = submit(subject, "name=c");
	struct batch batch;
	struct step *step;

	assert_int_equal(run_made(subject, make_send(99, NULL, "1")), STEP_NOT_FOUND);
	assert_int_equal(run_made(subject, make_send(command, NULL, "1")), STEP_NOT_FOUND);
	assert_int_equal(run_made(subject, make_send(0, "c", "1")), STEP_NOT_FOUND);
	assert_int_equal(run_made(subject, make_send(0, "nobody", "1")), STEP_NOT_FOUND);
	batch_init(&batch);
	step = make_send(0, "p", "1");
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_NOT_FOUND);
	assert_int_equal(step->send.ret_job, plain.job); /* it is known where it is */
	batch_done(&batch);
	/* One that has ended has no name any more, but its mailbox. */
	durable = begin_server(subject, "name=d durable");
	end(subject, durable, "normal");
	assert_int_equal(run_made(subject, make_send(0, "d", "1")), STEP_NOT_FOUND);
	assert_int_equal(run_made(subject, make_send(durable.job, NULL, "1")), STEP_OK);
}

static void
mailbox_that_is_full_refuses(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable max-redeliveries=0");
	struct step *step;

	for (int i = 0; i < 3; i++)
		send(subject, key.job, "1");
	step = make_send(key.job, NULL, "2");
	step->send.most = 3;
	assert_int_equal(run_made(subject, step), STEP_REFUSED);
	/* What was set aside takes no room. */
	crash_over(subject, key, 1);
	step = make_send(key.job, NULL, "2");
	step->send.most = 3;
	assert_int_equal(run_made(subject, step), STEP_OK);
	assert_string_equal(mailbox(subject, key.job), "2c1 3c1 4c2");
}

/* ---- blame ---- */

static enum step_answer
set_aside(struct subject *subject, int64_t seq, bool is_drop, int64_t *ret_seq)
{
	enum step_answer answer;
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_SET_ASIDE, NULL, NULL);
	step->set_aside.seq = seq;
	step->set_aside.is_drop = is_drop;
	run_ok(subject, &batch);
	answer = step->answer;
	*ret_seq = step->set_aside.ret_seq;
	batch_done(&batch);
	return answer;
}

static void
message_that_was_crashed_over_too_often_is_set_aside(void **state)
{
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a durable"), seq;

	send(subject, job, "\"bad\"");
	send(subject, job, "\"good\"");
	for (int i = 0; i < 4; i++) { /* three redeliveries; no limit of restarts meanwhile */
		assert_string_equal(mailbox(subject, job), "1c\"bad\" 2c\"good\"");
		crash_over(subject, begin(subject), 1);
		assert_status(subject, job, "errored");
	}
	assert_string_equal(mailbox(subject, job), "2c\"good\"");
	/* It is back as if it were new: behind the others, and not blamed. */
	assert_int_equal(set_aside(subject, 2, true, &seq), STEP_REFUSED);
	assert_int_equal(set_aside(subject, 1, false, &seq), STEP_OK);
	assert_int_equal(seq, 3);
	assert_string_equal(mailbox(subject, job), "2c\"good\" 3c\"bad\"");
	assert_int_equal(set_aside(subject, 1, false, &seq), STEP_NOT_FOUND);
	clock_shift(TOO_LATE_MS, TOO_LATE_MS);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(mailbox(subject, job), "2c\"good\" 3c\"bad\"");
		crash_over(subject, begin(subject), 3);
	}
	assert_string_equal(mailbox(subject, job), "2c\"good\"");
	assert_int_equal(set_aside(subject, 3, true, &seq), STEP_OK);
	assert_int_equal(set_aside(subject, 3, true, &seq), STEP_NOT_FOUND);
	assert_string_equal(mailbox(subject, job), "2c\"good\"");
}

static void
message_is_not_blamed_for_an_end_that_is_no_crash(void **state)
{
	static const char *const reasons[] = { "interrupted", "lost:boot", "lost:keeper" };
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a durable max-redeliveries=0");
	struct batch batch;

	send(subject, job, "1");
	for (size_t i = 0; i < 3; i++) {
		batch_init(&batch);
		add_ended(&batch, begin(subject), reasons[i])->ended.handling = 1;
		run_ok(subject, &batch);
		batch_done(&batch);
		assert_string_equal(mailbox(subject, job), "1c1");
	}
}

static void
message_is_blamed_without_end_when_so_described(void **state)
{
	struct subject *subject = *state;
	int64_t job = submit_server(subject, "name=a durable max-redeliveries=inf");

	send(subject, job, "1");
	for (int i = 0; i < 4; i++)
		crash_over(subject, begin(subject), 1);
	assert_string_equal(mailbox(subject, job), "1c1");
	/* … and then it is the server that is given up. */
	assert_status(subject, job, "failed max_restarts");
}

/* ---- timers ---- */

static void
timer_of_a_plain_server_is_handed_out_and_goes_with_its_attempt(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");
	int64_t timer, gone;
	struct due now;

	timer = set_timer(subject, make_timer(key, false, key.job, NULL, "\"tick\"", HOUR_MS));
	gone = set_timer(
	    subject, make_timer(key, false, key.job, NULL, "\"tock\"", 3 * HOUR_MS));
	now = due(subject);
	assert_int_equal(now.count, 0);
	assert_in_range(now.next_ms, HOUR_MS - SLACK_MS, HOUR_MS);
	assert_in_range(end_timer(subject, key.job, timer, false, false), HOUR_MS - SLACK_MS,
	    HOUR_MS);
	assert_true(end_timer(subject, key.job + 1, timer, false, true) == -1);
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	now = due(subject);
	assert_int_equal(now.count, 1);
	assert_int_equal(now.job, key.job);
	assert_int_equal(now.seq, timer);
	assert_string_equal(now.text, "\"tick\"");
	/* Until it is said to be delivered it is there: better twice than never. */
	assert_int_equal(due(subject).count, 1);
	assert_true(end_timer(subject, 0, timer, false, true) == 0);
	assert_int_equal(due(subject).count, 0);
	end(subject, key, "exit:1");
	assert_true(end_timer(subject, key.job, gone, false, false) == -1);
	clock_shift(4 * HOUR_MS, 4 * HOUR_MS);
	assert_int_equal(due(subject).count, 0);
}

static void
timer_of_a_durable_server_outlives_it_and_fires_into_its_mailbox(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step = make_timer(key, true, key.job, NULL, "\"tick\"", HOUR_MS);
	struct due now;

	step->timer.ref = 7;
	set_timer(subject, step);
	end(subject, key, "exit:1");
	assert_in_range(end_timer(subject, key.job, 7, true, false), HOUR_MS - SLACK_MS,
	    HOUR_MS);
	send(subject, key.job, "\"before\"");
	assert_string_equal(mailbox(subject, key.job), "2c\"before\"");
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	now = due(subject);
	assert_int_equal(now.count, 1);
	assert_string_equal(now.text, "in the mailbox");
	/* Behind what came before it fired. */
	assert_string_equal(mailbox(subject, key.job), "2c\"before\" 3i\"tick\"");
	assert_int_equal(due(subject).count, 0);
	assert_true(end_timer(subject, key.job, 7, true, true) == -1);
}

static void
timer_that_was_cancelled_does_not_fire(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step = make_timer(key, true, key.job, NULL, "1", HOUR_MS);

	step->timer.ref = 7;
	set_timer(subject, step);
	assert_true(end_timer(subject, key.job + 1, 7, true, true) == -1);
	assert_true(end_timer(subject, key.job, 7, true, true) > 0);
	assert_true(end_timer(subject, key.job, 7, true, true) == -1);
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	assert_int_equal(due(subject).count, 0);
	assert_true(due(subject).next_ms == -1);
}

static void
timer_to_a_name_is_for_who_has_it_when_it_fires(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");
	struct due now;
	int64_t job;

	set_timer(subject, make_timer(key, false, 0, "later", "1", HOUR_MS));
	set_timer(subject, make_timer(key, false, 0, "nobody", "2", HOUR_MS));
	job = submit_server(subject, "name=later durable");
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	now = due(subject);
	assert_int_equal(now.count, 1);
	assert_int_equal(now.job, job);
	assert_string_equal(mailbox(subject, job), "3i1");
	assert_true(due(subject).next_ms == -1);
}

static void
timer_to_a_job_that_is_not_there_hurts_nobody(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");

	set_timer(subject, make_timer(key, false, 99, NULL, "1", 0));
	assert_true(due(subject).count <= 1);
	assert_status(subject, key.job, "running");
}

static void
many_timers_that_are_due_at_once_fire_in_several_turns(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct batch batch;
	struct due now;

	batch_init(&batch);
	for (int i = 0; i < 1100; i++)
		batch_add_made(&batch, make_timer(key, true, key.job, NULL, "1", SECOND_MS));
	run_ok(subject, &batch);
	batch_done(&batch);
	clock_shift(HOUR_MS, HOUR_MS);
	now = due(subject);
	assert_int_equal(now.count, 1000);
	assert_int_equal(now.next_ms, 0);
	now = due(subject);
	assert_int_equal(now.count, 100);
	assert_true(now.next_ms == -1);
}

static struct step *
limited_timer(struct attempt_key key, int64_t to)
{
	struct step *step = make_timer(key, false, to, NULL, "1", HOUR_MS);

	step->timer.most = 3;
	return step;
}

static void
server_that_has_set_so_many_timers_sets_no_more(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a"), other;
	int64_t first = set_timer(subject, limited_timer(key, key.job));
	struct step *step;

	other = begin_server(subject, "name=b");
	set_timer(subject, limited_timer(key, other.job));
	set_timer(subject, limited_timer(key, other.job));
	assert_int_equal(run_made(subject, limited_timer(key, other.job)), STEP_REFUSED);
	/* Whom they are for has all its own, and may have more from others. */
	for (int i = 0; i < 3; i++)
		set_timer(subject, limited_timer(other, other.job));
	assert_int_equal(run_made(subject, limited_timer(other, key.job)), STEP_REFUSED);
	/* What does not come any more makes room. */
	assert_true(end_timer(subject, key.job, first, false, true) > 0);
	set_timer(subject, limited_timer(key, key.job));
	assert_int_equal(run_made(subject, limited_timer(key, key.job)), STEP_REFUSED);
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	assert_int_equal(due(subject).count, 6);
	assert_int_equal(run_made(subject, limited_timer(key, key.job)), STEP_REFUSED);
	assert_true(end_timer(subject, 0, first + 1, false, true) == 0);
	set_timer(subject, limited_timer(key, key.job));
	end(subject, key, "exit:1");
	key = begin(subject);
	for (int i = 0; i < 3; i++)
		set_timer(subject, limited_timer(key, key.job));
	step = limited_timer(key, key.job);
	step->timer.most = 0; /* nobody minds */
	set_timer(subject, step);
}

/* Of more than are remembered, and many in one turn. */
static void
timers_of_many_servers_are_counted_one_by_one(void **state)
{
	struct subject *subject = *state;
	struct batch batch;

	batch_init(&batch);
	for (int i = 0; i < 400 * 4; i++)
		batch_add_made(
		    &batch, limited_timer((struct attempt_key){ 1 + i % 400, 1, 1 }, 99));
	run_ok(subject, &batch);
	for (int i = 0; i < 400 * 4; i++)
		assert_int_equal(
		    batch.steps[i]->answer, i < 400 * 3 ? STEP_OK : STEP_REFUSED);
	batch_done(&batch);
	batch_init(&batch);
	for (int i = 0; i < 5; i++)
		batch_add_made(&batch, limited_timer((struct attempt_key){ 401, 1, 1 }, 99));
	run_ok(subject, &batch);
	for (int i = 0; i < 5; i++)
		assert_int_equal(batch.steps[i]->answer, i < 3 ? STEP_OK : STEP_REFUSED);
	batch_done(&batch);
}

static int64_t
timers_left(struct subject *subject)
{
	sqlite3 *handle = connect_to(subject->directory);
	int64_t count =
	    atoll(ask(handle, "SELECT count(*) FROM messages WHERE wake_at IS NOT NULL"));

	sqlite3_close(handle);
	return count;
}

static struct attempt_key
begin_with_timers(struct subject *subject)
{
	struct attempt_key key = begin_server(subject, "name=a restart=permanent");
	struct batch batch;

	batch_init(&batch);
	for (int i = 0; i < 500; i++)
		batch_add_made(&batch, make_timer(key, false, key.job, NULL, "1", SECOND_MS));
	run_ok(subject, &batch);
	batch_done(&batch);
	end(subject, key, "exit:1");
	return key;
}

static void
many_timers_go_with_their_server_in_several_turns(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_with_timers(subject);
	struct due now;

	assert_int_equal(timers_left(subject), 300);
	/* They do not come, and are not the next process's. */
	clock_shift(HOUR_MS, HOUR_MS);
	now = due(subject);
	assert_int_equal(now.count, 0);
	assert_int_equal(now.next_ms, 0);
	assert_int_equal(timers_left(subject), 100);
	key = begin(subject);
	for (int i = 0; i < 3; i++)
		set_timer(subject, limited_timer(key, key.job));
	do
		now = due(subject);
	while (now.next_ms == 0);
	assert_int_equal(now.count, 0);
	assert_in_range(now.next_ms, HOUR_MS - SLACK_MS, HOUR_MS);
	assert_int_equal(timers_left(subject), 3);
}

static void
timers_that_a_supervisor_process_has_left_go_with_the_next(void **state)
{
	struct subject *subject = *state;

	begin_with_timers(subject);
	subject_restart(subject);
	while (due(subject).next_ms == 0)
		continue;
	assert_int_equal(timers_left(subject), 0);
}

/* ---- monitors and tasks ---- */

static void
monitor_of_a_plain_server_tells_each_end_of_a_job(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");
	int64_t job = submit(subject, ""), ref;
	char expected[100];
	struct due now;

	(void)job;
	ref = monitor(subject, key, false, 2, NULL);
	assert_int_equal(due(subject).count, 0);
	end(subject, start(subject), "exit:100");
	now = due(subject);
	assert_int_equal(now.count, 1);
	assert_int_equal(now.job, key.job);
	snprintf(expected, sizeof(expected),
	    "{\"down\":2,\"ref\":%" PRId64 ",\"reason\":\"exit:100\"}", ref);
	assert_string_equal(now.text, expected);
}

static void
monitor_of_who_is_not_there_tells_noproc_at_once(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t over = submit(subject, "");
	char expected[200];
	int64_t first, second;

	end(subject, start(subject), "normal");
	first = monitor(subject, key, true, 0, "nobody");
	second = monitor(subject, key, true, over, NULL);
	assert_int_not_equal(first, second);
	snprintf(expected, sizeof(expected),
	    "1i{\"down\":null,\"ref\":%" PRId64 ",\"reason\":\"noproc\"} "
	    "2i{\"down\":null,\"ref\":%" PRId64 ",\"reason\":\"noproc\"}", first, second);
	assert_string_equal(mailbox(subject, key.job), expected);
}

static void
monitor_of_a_server_tells_of_an_end_after_which_it_comes_back(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable"), other;

	other = begin_server(subject, "name=b");
	assert_int_equal(monitor(subject, key, true, 0, "b"), 1);
	end(subject, other, "exit:1");
	assert_string_equal(mailbox(subject, key.job),
	    "1i{\"down\":2,\"ref\":1,\"reason\":\"exit:1\"}");
	end(subject, begin(subject), "exit:1"); /* once is all */
	assert_string_equal(mailbox_behind(subject, key.job, 1, 9), "");
}

static void
monitor_that_was_taken_back_tells_nothing(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t ref, job = submit(subject, "");

	ref = monitor(subject, key, true, job, NULL);
	demonitor(subject, key.job + 7, ref); /* not theirs */
	monitor(subject, key, true, job, NULL);
	demonitor(subject, key.job, ref);
	end(subject, start(subject), "normal");
	assert_string_equal(mailbox(subject, key.job),
	    "1i{\"down\":2,\"ref\":2,\"reason\":\"normal\"}");
}

static void
monitors_of_a_plain_server_go_with_its_attempt(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");

	monitor(subject, key, false, submit(subject, ""), NULL);
	end(subject, key, "exit:1");
	begin(subject);
	end(subject, start(subject), "normal");
	assert_int_equal(due(subject).count, 0);
}

static void
note_result(struct subject *subject, struct attempt_key key, const char *result)
{
	struct step *step = batch_make_step(STEP_NOTE, NULL, NULL);

	step->note.key = key;
	step->note.note = NOTE_RESULT;
	step->note.fraction = -1;
	step->note.text = xstrdup(result);
	assert_int_equal(run_made(subject, step), STEP_OK);
}

static void
task_tells_its_result_and_its_end(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable"), run;
	int64_t task = start_task(subject, make_task(key, true, 5, "max-retries=0"));

	assert_string_equal(mailbox(subject, key.job), "1i{\"ref\":5,\"job\":2}");
	run = start(subject);
	assert_int_equal(run.job, task);
	note_result(subject, run, "{\"n\":42}");
	end(subject, run, "normal");
	assert_string_equal(mailbox_behind(subject, key.job, 1, 9),
	    "2i{\"task\":2,\"result\":{\"n\":42}} "
	    "3i{\"down\":2,\"ref\":2,\"reason\":\"normal\"}");
	/* One that fails has no result. */
	start_task(subject, make_task(key, true, 0, "max-retries=0"));
	end(subject, start(subject), "exit:3");
	assert_string_equal(mailbox_behind(subject, key.job, 3, 9),
	    "4i{\"down\":3,\"ref\":3,\"reason\":\"exit:3\"}");
}

static void
task_that_cannot_be_is_told_by_its_ref(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step = make_task(key, true, 5, "supervisor=nowhere");

	assert_int_equal(run_made(subject, step), STEP_REFUSED);
	assert_non_null(strstr(mailbox(subject, key.job), "1i{\"ref\":5,\"error\":\""));
}

/* Run a step: which tasks are abandoned by it? The only one, or 0; -1: several. */
static int64_t
abandoned_by(struct subject *subject, struct step *step)
{
	struct batch batch;
	int64_t job;

	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	job = batch.abandoned_count == 0 ? 0
	    : batch.abandoned_count == 1 ? batch.abandoned[0]
					 : -1;
	batch_done(&batch);
	return job;
}

static struct step *
make_ended(struct attempt_key key, const char *reason)
{
	struct step *step = batch_make_step(STEP_ENDED, NULL, NULL);

	step->ended.key = key;
	step->ended.end = (struct attempt_end){ .exit_code = -1, .run_ms = -1, .user_ms = -1,
		.system_ms = -1, .max_rss_kib = -1 };
	assert_int_equal(reason_parse(reason, &step->ended.end.reason), 0);
	return step;
}

static struct step *
make_cancel(int64_t job)
{
	struct step *step = batch_make_step(STEP_CHANGE, NULL, NULL);

	step->change.job = job;
	step->change.event = JOB_CANCEL;
	return step;
}

static void
tasks_of_a_plain_server_are_abandoned_with_its_attempt(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");
	int64_t task = start_task(subject, make_task(key, false, 0, ""));

	assert_int_equal(abandoned_by(subject, make_ended(key, "exit:1")), task);
	key = begin(subject);
	assert_int_equal(abandoned_by(subject, make_ended(key, "exit:1")), 0);
}

static void
tasks_of_a_durable_server_are_abandoned_at_its_end_for_good(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t task = start_task(subject, make_task(key, true, 0, ""));

	assert_int_equal(abandoned_by(subject, make_ended(key, "exit:1")), 0);
	key = begin(subject);
	assert_int_equal(abandoned_by(subject, make_ended(key, "normal")), task);
}

static void
tasks_of_a_server_that_is_cancelled_while_it_waits_are_abandoned(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t task = start_task(subject, make_task(key, true, 0, ""));

	end(subject, key, "exit:1");
	assert_int_equal(abandoned_by(subject, make_cancel(key.job)), task);
	/* Nobody is told any more. */
	end(subject, start(subject), "normal");
	assert_string_equal(mailbox(subject, key.job), "");
}

/* ---- commits ---- */

static void
commit_with_parts_is_all_of_it(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable"), other;
	struct step *commit = make_commit(key, 2, "1", "{\"n\":1}"), *timer, *cancel;
	struct batch batch;

	other = begin_server(subject, "name=b durable");
	timer = make_timer(key, true, key.job, NULL, "\"old\"", HOUR_MS);
	timer->timer.ref = 1;
	set_timer(subject, timer);
	send(subject, key.job, "\"first\"");
	send(subject, key.job, "\"second\"");
	add_part(commit, make_send(0, "b", "\"hello\""));
	add_part(commit, make_send(0, "nobody", "\"hello\""));
	timer = make_timer(key, true, key.job, NULL, "\"new\"", HOUR_MS);
	timer->timer.ref = 2;
	add_part(commit, timer);
	cancel = batch_make_step(STEP_TIMER_END, NULL, NULL);
	cancel->timer_end.owner = key.job;
	cancel->timer_end.timer = 1;
	cancel->timer_end.is_ref = cancel->timer_end.is_cancel = true;
	add_part(commit, cancel);
	add_part(commit, make_task(key, true, 3, ""));
	batch_init(&batch);
	batch_add_made(&batch, commit);
	run_ok(subject, &batch);
	assert_int_equal(commit->answer, STEP_OK);
	assert_false(commit->commit.ret_was_there);
	assert_int_equal(commit->commit.parts[0]->answer, STEP_OK);
	assert_int_equal(commit->commit.parts[1]->answer, STEP_NOT_FOUND);
	batch_done(&batch);
	assert_string_equal(mailbox(subject, other.job), "4c\"hello\"");
	assert_string_equal(mailbox(subject, key.job),
	    "3c\"second\" 6i{\"ref\":3,\"job\":3}");
	assert_true(end_timer(subject, key.job, 1, true, false) == -1);
	assert_true(end_timer(subject, key.job, 2, true, false) > 0);
	end(subject, key, "exit:1");
	assert_string_equal(state_at_the_next_claim(subject, &key), "{\"n\":1}");
}

/* A commit of message 1 that sends "x" to itself and sets so many timers, of 3 at most. */
static enum step_answer
commit_timers(struct subject *subject, struct attempt_key key, int count)
{
	struct step *step = make_commit(key, 1, "1", "{}");
	enum step_answer answer;
	struct batch batch;

	step->commit.most_timers = 3;
	add_part(step, make_send(key.job, NULL, "\"x\""));
	for (int i = 0; i < count; i++)
		add_part(step, make_timer(key, true, key.job, NULL, "1", HOUR_MS));
	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	answer = step->answer;
	for (size_t i = 0; i < step->commit.part_count; i++)
		assert_int_equal(step->commit.parts[i]->answer,
		    answer == STEP_OK ? STEP_OK : STEP_STALE);
	batch_done(&batch);
	return answer;
}

static void
commit_of_more_timers_than_its_server_may_have_is_nothing(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step;

	send(subject, key.job, "1");
	set_timer(subject, make_timer(key, true, key.job, NULL, "1", 2 * HOUR_MS));
	assert_int_equal(commit_timers(subject, key, 3), STEP_REFUSED);
	assert_string_equal(mailbox(subject, key.job), "1c1");
	/* It was not done: the same may come again, with less. */
	assert_int_equal(commit_timers(subject, key, 2), STEP_OK);
	assert_string_equal(mailbox(subject, key.job), "3c\"x\"");
	end(subject, key, "exit:1");
	assert_string_equal(state_at_the_next_claim(subject, &key), "{}");
	step = limited_timer(key, key.job);
	step->timer.is_durable = true;
	assert_int_equal(run_made(subject, step), STEP_REFUSED);
}

/* A commit that sends "x" to itself: what it answers; was it there? */
static enum step_answer
commit(struct subject *subject, struct attempt_key key, int64_t seq, const char *id,
    const char *text, bool *ret_was_there)
{
	struct step *step = make_commit(key, seq, id, text);
	enum step_answer answer;
	struct batch batch;

	add_part(step, make_send(key.job, NULL, "\"x\""));
	batch_init(&batch);
	batch_add_made(&batch, step);
	run_ok(subject, &batch);
	answer = step->answer;
	*ret_was_there = step->commit.ret_was_there;
	if (answer != STEP_OK || *ret_was_there)
		assert_int_equal(step->commit.parts[0]->answer, STEP_STALE);
	batch_done(&batch);
	return answer;
}

static void
commit_that_is_repeated_is_done_once(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	bool was_there;

	send(subject, key.job, "1");
	assert_int_equal(commit(subject, key, 1, "7", "1", &was_there), STEP_OK);
	assert_false(was_there);
	assert_int_equal(commit(subject, key, 1, "7", "2", &was_there), STEP_OK);
	assert_true(was_there);
	assert_string_equal(mailbox(subject, key.job), "2c\"x\"");
	/* One without a message is another by its id alone. */
	assert_int_equal(commit(subject, key, 0, "8", "3", &was_there), STEP_OK);
	assert_false(was_there);
	assert_int_equal(commit(subject, key, 0, "8", "4", &was_there), STEP_OK);
	assert_true(was_there);
	assert_string_equal(mailbox(subject, key.job), "2c\"x\" 3c\"x\"");
	end(subject, key, "exit:1");
	/* The next process begins with ids of its own. */
	assert_string_equal(state_at_the_next_claim(subject, &key), "3");
	assert_int_equal(commit(subject, key, 0, "8", "5", &was_there), STEP_OK);
	assert_false(was_there);
}

static void
commit_of_what_is_not_there_changes_nothing(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key, old, other;
	struct step *timer;
	bool was_there;
	int64_t set;

	key = begin_server(subject, "name=a durable max-redeliveries=0");
	other = begin_server(subject, "name=b durable");
	send(subject, other.job, "1"); /* 1: not its own */
	timer = make_timer(key, true, key.job, NULL, "\"tick\"", HOUR_MS);
	set = set_timer(subject, timer); /* 2: not in its mailbox */
	send(subject, key.job, "3");
	assert_int_equal(commit(subject, key, 1, "1", "1", &was_there), STEP_NOT_FOUND);
	assert_int_equal(commit(subject, key, set, "2", "1", &was_there), STEP_NOT_FOUND);
	assert_int_equal(commit(subject, key, 99, "3", "1", &was_there), STEP_NOT_FOUND);
	old = key;
	crash_over(subject, key, 3); /* 3: set aside */
	key = begin(subject);
	assert_int_equal(commit(subject, key, 3, "4", "1", &was_there), STEP_NOT_FOUND);
	assert_int_equal(commit(subject, old, 0, "5", "1", &was_there), STEP_STALE);
	old = key;
	old.generation++;
	assert_int_equal(commit(subject, old, 0, "6", "1", &was_there), STEP_STALE);
	assert_string_equal(mailbox(subject, key.job), "");
	assert_string_equal(mailbox(subject, other.job), "1c1");
	end(subject, key, "exit:1");
	assert_string_equal(state_at_the_next_claim(subject, &key), "-");
}

static void
check_commit_in_doubt(struct subject *subject, enum trouble trouble, enum store_answer after)
{
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step = make_commit(key, 1, "7", "42");
	struct batch batch;

	send(subject, key.job, "1");
	add_part(step, make_send(key.job, NULL, "\"x\""));
	batch_init(&batch);
	batch_add_made(&batch, step);
	subject->kind->order(subject, trouble);
	assert_int_equal(run(subject, &batch), STORE_IN_DOUBT);
	assert_int_equal(store_reopen(subject->store), after);
	assert_int_equal(step->answer, STEP_OK);
	assert_false(step->commit.ret_was_there);
	if (after == STORE_ABSENT) {
		assert_string_equal(mailbox(subject, key.job), "1c1");
		run_ok(subject, &batch);
		assert_int_equal(step->answer, STEP_OK);
		assert_false(step->commit.ret_was_there);
	}
	assert_string_equal(mailbox(subject, key.job), "2c\"x\"");
	/* The same batch once more, since nobody knows: nothing is done twice. */
	run_ok(subject, &batch);
	assert_true(step->commit.ret_was_there);
	assert_string_equal(mailbox(subject, key.job), "2c\"x\"");
	batch_done(&batch);
}

static void
commit_in_doubt_that_is_there_is_done_once(void **state)
{
	check_commit_in_doubt(*state, TROUBLE_DOUBT_KEPT, STORE_OK);
}

static void
commit_in_doubt_that_is_absent_is_done_once(void **state)
{
	check_commit_in_doubt(*state, TROUBLE_DOUBT_LOST, STORE_ABSENT);
}

static void
check_turn_undone(struct subject *subject, enum trouble trouble, enum store_answer expected)
{
	struct attempt_key key = begin_server(subject, "name=a durable");
	struct step *step = make_commit(key, 1, "7", "42");
	struct batch batch;

	send(subject, key.job, "1");
	add_part(step, make_send(key.job, NULL, "\"x\""));
	batch_init(&batch);
	batch_add_made(&batch, step);
	batch_add_made(&batch, make_send(key.job, NULL, "\"y\""));
	subject->kind->order(subject, trouble);
	assert_int_equal(run(subject, &batch), expected);
	if (expected == STORE_UNAVAILABLE)
		store_reopen(subject->store);
	assert_string_equal(mailbox(subject, key.job), "1c1");
	run_ok(subject, &batch);
	assert_false(step->commit.ret_was_there);
	assert_string_equal(mailbox(subject, key.job), "2c\"x\" 3c\"y\"");
	batch_done(&batch);
}

static void
commit_and_messages_are_nothing_when_the_store_is_busy(void **state)
{
	check_turn_undone(*state, TROUBLE_BUSY, STORE_BUSY);
}

static void
commit_and_messages_are_nothing_when_the_disk_is_full(void **state)
{
	check_turn_undone(*state, TROUBLE_FULL, STORE_FULL);
}

/* ---- gauges ---- */

static enum step_answer
gauge(struct subject *subject, struct attempt_key key, int64_t count)
{
	struct step *step = batch_make_step(STEP_GAUGE, NULL, NULL);

	step->gauge.key = key;
	step->gauge.mailbox = count;
	step->gauge.age_ms = 0;
	return run_made(subject, step);
}

static void
gauge_of_an_old_attempt_is_stale(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a");

	assert_int_equal(gauge(subject, key, 5), STEP_OK);
	end(subject, key, "exit:1");
	assert_int_equal(gauge(subject, key, 5), STEP_STALE);
}

/* ---- prune ---- */

static void
prune(struct subject *subject, size_t expected)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = batch_add(&batch, STEP_PRUNE, NULL, NULL);
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		step->prune.statuses[i] = !job_status_is_live((enum job_status)i);
	step->prune.limit = 100;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	assert_int_equal(step->prune.ret_count, expected);
	batch_done(&batch);
}

static void
prune_takes_all_that_a_server_had(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");
	int64_t job = submit(subject, "");

	send(subject, key.job, "1");
	set_timer(subject, make_timer(key, true, key.job, NULL, "2", HOUR_MS));
	monitor(subject, key, true, job, NULL);
	end(subject, key, "normal");
	prune(subject, 1);
	assert_status(subject, key.job, "none");
	assert_string_equal(mailbox(subject, key.job), "");
	assert_int_equal(run_made(subject, make_send(key.job, NULL, "1")), STEP_NOT_FOUND);
	/* Nothing is left that could fire, or be told. */
	clock_shift(2 * HOUR_MS, 2 * HOUR_MS);
	assert_int_equal(due(subject).count, 0);
	end(subject, start(subject), "normal");
	assert_string_equal(mailbox(subject, key.job), "");
	assert_int_equal(due(subject).count, 0);
}

/* Of a server with so many messages; until its last step the job is there. Returns the steps. */
static int
prune_much(struct subject *subject, int messages)
{
	struct attempt_key key = begin_server(subject, "durable");
	bool has_more = true;
	int steps = 0;

	for (int i = 0; i < messages; i++)
		send(subject, key.job, "1");
	end(subject, key, "normal");
	for (; has_more; steps++) {
		struct batch batch;
		struct step *step;

		batch_init(&batch);
		step = batch_add(&batch, STEP_PRUNE, NULL, NULL);
		step->prune.job = key.job;
		assert_status(subject, key.job, "done normal");
		run_ok(subject, &batch);
		assert_int_equal(step->answer, STEP_OK);
		has_more = step->prune.ret_has_more;
		assert_int_equal(step->prune.ret_count, !has_more);
		if (!has_more)
			assert_int_equal(step->prune.ret_last[0], 1);
		batch_done(&batch);
	}
	assert_status(subject, key.job, "none");
	assert_string_equal(mailbox(subject, key.job), "");
	return steps;
}

/* Nobody waits for all of it. */
static void
prune_of_a_full_mailbox_takes_several_steps(void **state)
{
	assert_int_equal(prune_much(*state, 4500), 3);
	/* Wherever a step ends: who removes its files hears of the last attempt. */
	for (int messages = 1994; messages <= 2000; messages++)
		assert_in_range(prune_much(*state, messages), 1, 2);
}

/* One step, about no status; how many jobs are gone, or -1: one is partly gone. */
static int
prune_step(struct subject *subject, int64_t job, bool goes_on)
{
	struct batch batch;
	struct step *step;
	int result;

	batch_init(&batch);
	step = batch_add(&batch, STEP_PRUNE, NULL, NULL);
	step->prune.job = job;
	step->prune.limit = 100;
	step->prune.goes_on = goes_on;
	run_ok(subject, &batch);
	assert_int_equal(step->answer, STEP_OK);
	result = step->prune.ret_has_more ? -1 : (int)step->prune.ret_count;
	batch_done(&batch);
	return result;
}

static int64_t
make_partly_gone(struct subject *subject)
{
	struct attempt_key key = begin_server(subject, "name=a durable");

	for (int i = 0; i < 4500; i++)
		send(subject, key.job, "1");
	end(subject, key, "normal");
	assert_int_equal(prune_step(subject, key.job, false), -1);
	return key.job;
}

static void
job_that_is_partly_gone_is_gone_on_with_and_not_retried(void **state)
{
	struct subject *subject = *state;
	int64_t job;

	assert_int_equal(prune_step(subject, 0, true), 0);
	job = make_partly_gone(subject);
	assert_int_equal(change(subject, job, JOB_RETRY), STEP_REFUSED);
	assert_status(subject, job, "done normal");
	assert_int_equal(prune_step(subject, 0, true), -1);
	assert_int_equal(prune_step(subject, 0, true), 1);
	assert_status(subject, job, "none");
	assert_string_equal(mailbox(subject, job), "");
	assert_int_equal(prune_step(subject, 0, true), 0);
	/* Else in a prune, whatever that is about, as when it began in one. */
	job = make_partly_gone(subject);
	assert_int_equal(prune_step(subject, 0, false), -1);
	assert_int_equal(prune_step(subject, 0, false), 1);
	assert_status(subject, job, "none");
	assert_int_equal(prune_step(subject, 0, true), 0);
}

static void
prune_of_a_server_that_was_cancelled_while_it_waited_takes_its_monitors(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key = begin_server(subject, "name=a durable");

	monitor(subject, key, true, submit(subject, ""), NULL);
	end(subject, key, "exit:1");
	assert_int_equal(change(subject, key.job, JOB_CANCEL), STEP_OK);
	prune(subject, 1);
	end(subject, start(subject), "normal");
	assert_string_equal(mailbox(subject, key.job), "");
}

/* ---- plain services ---- */

static struct service
service_of(const char *ready, const char *good, int64_t watchdog_ms)
{
	struct service service = { .stop_signal = SIGINT, .watchdog_ms = watchdog_ms };

	assert_int_equal(service_parse_ready(ready, &service), 0);
	assert_int_equal(service_parse_good_ends(good, &service.good), 0);
	return service;
}

static void
assert_same_service(const struct service *a, const struct service *b)
{
	assert_int_equal(a->ready, b->ready);
	assert_int_equal(a->ready_fd, b->ready_fd);
	assert_int_equal(a->stop_signal, b->stop_signal);
	assert_memory_equal(&a->good, &b->good, sizeof(a->good));
	assert_int_equal(a->watchdog_ms, b->watchdog_ms);
}

static void
submit_plain(struct subject *subject, const char *options, const struct service *service)
{
	struct batch batch;
	struct step *step;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = step->submit.specs[0].is_plain = true;
	step->submit.specs[0].service = *service;
	run_ok(subject, &batch);
	if (step->answer != STEP_OK)
		fail_msg("%s: %s", options, step->error.text);
	batch_done(&batch);
}

/* For whoever starts it, and for whoever takes it over. */
static void
plain_service_is_read_as_it_was_described(void **state)
{
	struct subject *subject = *state;
	const struct service given[] = { service_of("notify", "3,SIGTERM", 1500),
		service_of("fd:7", "255", -1), SERVICE_UNSET };

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		char options[64];
		struct batch batch;
		struct step *step;

		snprintf(options, sizeof(options), "name=p%zu init-timeout=2s", i);
		submit_plain(subject, options, &given[i]);
		batch_init(&batch);
		step = add_claim(&batch, "servers", 1);
		run_ok(subject, &batch);
		assert_int_equal(step->claim.ret_count, 1);
		assert_true(step->claim.ret_jobs[0].spec.is_plain);
		assert_int_equal(step->claim.ret_jobs[0].spec.restart, RESTART_PERMANENT);
		assert_same_service(&step->claim.ret_jobs[0].spec.service, &given[i]);
		batch_done(&batch);
		batch_init(&batch);
		step = batch_add(&batch, STEP_OPEN, NULL, NULL);
		run_ok(subject, &batch);
		assert_int_equal(step->open.ret_count, i + 1);
		assert_true(step->open.ret_attempts[i].is_plain);
		assert_int_equal(step->open.ret_attempts[i].init_timeout_ms, 2000);
		assert_int_equal(
		    step->open.ret_attempts[i].grace_ms, SPEC_SERVER_GRACE_MS);
		assert_same_service(&step->open.ret_attempts[i].service, &given[i]);
		batch_done(&batch);
	}
}

/* case 126: a watchdog's end is a failure like any other, and it was nobody's wish */
static void
plain_service_is_started_again_after_a_watchdog_and_looked_up_as_one(void **state)
{
	const struct service service = SERVICE_UNSET;
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	submit_plain(subject, "name=a restart=transient", &service);
	key = begin(subject);
	end(subject, key, "watchdog");
	assert_status(subject, key.job, "errored");
	batch_init(&batch);
	step = batch_add(&batch, STEP_LOOKUP, NULL, NULL);
	step->lookup.job = key.job;
	run_ok(subject, &batch);
	assert_true(step->lookup.ret_is_plain);
	assert_int_equal(step->lookup.ret_ended_ago_ms, -1);
	assert_int_equal(step->lookup.ret_last.kind, REASON_WATCHDOG);
	batch_done(&batch);
	end(subject, begin(subject), "normal");
	clock_shift(1500, 1500);
	batch_init(&batch);
	step = batch_add(&batch, STEP_LOOKUP, NULL, NULL);
	step->lookup.job = key.job;
	run_ok(subject, &batch);
	assert_true(step->lookup.ret_ended_ago_ms >= 1500);
	batch_done(&batch);
}

#define CASE(function) { #function, function }

static const struct {
	const char *name;
	void (*function)(void **state);
} cases[] = {
	CASE(server_runs_when_its_init_has_answered),
	CASE(end_of_a_server_leads_to_what_its_restart_says),
	CASE(server_is_given_up_after_three_restarts_within_five_seconds),
	CASE(init_that_refuses_at_a_restart_is_tried_again),
	CASE(server_that_was_stopped_has_ended_with_that_reason_and_stays_away),
	CASE(shutdown_in_words_is_more_than_that_by_a_supervisor),
	CASE(cancel_of_a_server_that_is_to_be_started_again_ends_it),
	CASE(plain_service_is_read_as_it_was_described),
	CASE(plain_service_is_started_again_after_a_watchdog_and_looked_up_as_one),
	CASE(messages_are_given_in_order_behind_the_last_one),
	CASE(message_to_who_has_no_mailbox_is_not_found),
	CASE(mailbox_that_is_full_refuses),
	CASE(message_that_was_crashed_over_too_often_is_set_aside),
	CASE(message_is_not_blamed_for_an_end_that_is_no_crash),
	CASE(message_is_blamed_without_end_when_so_described),
	CASE(timer_of_a_plain_server_is_handed_out_and_goes_with_its_attempt),
	CASE(timer_of_a_durable_server_outlives_it_and_fires_into_its_mailbox),
	CASE(timer_that_was_cancelled_does_not_fire),
	CASE(timer_to_a_name_is_for_who_has_it_when_it_fires),
	CASE(timer_to_a_job_that_is_not_there_hurts_nobody),
	CASE(many_timers_that_are_due_at_once_fire_in_several_turns),
	CASE(many_timers_go_with_their_server_in_several_turns),
	CASE(timers_that_a_supervisor_process_has_left_go_with_the_next),
	CASE(server_that_has_set_so_many_timers_sets_no_more),
	CASE(timers_of_many_servers_are_counted_one_by_one),
	CASE(monitor_of_a_plain_server_tells_each_end_of_a_job),
	CASE(monitor_of_who_is_not_there_tells_noproc_at_once),
	CASE(monitor_of_a_server_tells_of_an_end_after_which_it_comes_back),
	CASE(monitor_that_was_taken_back_tells_nothing),
	CASE(monitors_of_a_plain_server_go_with_its_attempt),
	CASE(task_tells_its_result_and_its_end),
	CASE(task_that_cannot_be_is_told_by_its_ref),
	CASE(tasks_of_a_plain_server_are_abandoned_with_its_attempt),
	CASE(tasks_of_a_durable_server_are_abandoned_at_its_end_for_good),
	CASE(tasks_of_a_server_that_is_cancelled_while_it_waits_are_abandoned),
	CASE(commit_with_parts_is_all_of_it),
	CASE(commit_of_more_timers_than_its_server_may_have_is_nothing),
	CASE(commit_that_is_repeated_is_done_once),
	CASE(commit_of_what_is_not_there_changes_nothing),
	CASE(commit_in_doubt_that_is_there_is_done_once),
	CASE(commit_in_doubt_that_is_absent_is_done_once),
	CASE(commit_and_messages_are_nothing_when_the_store_is_busy),
	CASE(commit_and_messages_are_nothing_when_the_disk_is_full),
	CASE(gauge_of_an_old_attempt_is_stale),
	CASE(prune_takes_all_that_a_server_had),
	CASE(prune_of_a_full_mailbox_takes_several_steps),
	CASE(job_that_is_partly_gone_is_gone_on_with_and_not_retried),
	CASE(prune_of_a_server_that_was_cancelled_while_it_waited_takes_its_monitors),
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

int
main(void)
{
	static struct CMUnitTest tests[CASE_COUNT];

	for (size_t i = 0; i < CASE_COUNT; i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, cases[i].function,
			subject_setup, subject_teardown, (void *)&subject_sqlite };
	return cmocka_run_group_tests_name("store: servers", tests, NULL, NULL);
}
