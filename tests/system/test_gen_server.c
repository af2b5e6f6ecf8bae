/*
 * gen_server: the conformance cases of starting, answering, order and ending, through the
 * real program; those that need no supervisor are in tests/unit/runtime. A number is a case.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/outside.h"
#include "support/play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTER SERVERS_DIRECTORY "/counter"

static char *
reason_of(struct play *play, const char *name)
{
	char statement[200];

	snprintf(statement, sizeof(statement),
	    "SELECT status || ' ' || reason FROM server_list WHERE name = '%s'", name);
	return sql(&play->instance, statement);
}

static void
expect_end(struct play *play, const char *name, const char *wanted)
{
	char *reason = reason_of(play, name);

	assert_string_equal(reason, wanted);
	free(reason);
}

/* The caller's exit status and what it printed. */
static void
expect_answer(struct helper *caller, int status, const char *out, const char *err)
{
	assert_int_equal(helper_wait(caller), status);
	assert_string_equal(caller->out.text != NULL ? caller->out.text : "", out);
	if (err != NULL)
		assert_has(caller->err.text, err);
	helper_end(caller);
}

/* ---- A: start and init ---- */

static void
start_returns_before_a_continue_and_calls_wait_for_it(void **state) /* 3, 57 */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'continue':{'do':[['tell',HERE],['wait',GO]]}}");
	play_pid(&play);
	play_call_beside(&play, &caller, "s", "'x'");
	play_cast(&play, "s", "'y'");
	play_go(&play);
	expect_answer(&caller, 0, "\"x\"\n", NULL);
	play_stop(&play, "s");
	assert_int_equal(sql_number(&play.instance,
	    "SELECT detail = 'continue' FROM events WHERE event = 'log' ORDER BY seq LIMIT 1"), 1);
	play_done(&play);
}

static void
init_that_returns_nonsense_or_dies_is_told_to_the_starter(void **state) /* 4, 8, 16 */
{
	struct play play;
	struct helper starter;

	(void)state;
	play_begin(&play);
	expect(play_try_start(&play, NULL, "a", "{'verb':'stop','reason':'no room'}"), 70, "",
	    "no room");
	expect(play_try_start(&play, NULL, "b", "{'verb':'noreply'}"), 70, "",
	    "bad_return_value");
	expect(play_try_start(&play, NULL, "c", "{'timeout':-7}"), 70, "", "timeout -7");
	play_start_beside(&play, &starter, "d", "{'do':[['tell',HERE],['wait',GO]]}");
	kill(play_pid(&play), SIGKILL);
	expect_answer(&starter, 70, "", "killed by SIGKILL");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM attempts"), 4);
	assert_int_equal(
	    sql_number(&play.instance, "SELECT count(*) FROM jobs WHERE status = 'failed'"), 4);
	play_done(&play);
}

static void
taken_name_is_told_while_the_first_init_runs(void **state) /* 12: init is not run */
{
	struct play play;
	struct helper starter;

	(void)state;
	play_begin(&play);
	play_start_beside(&play, &starter, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	expect(
	    play_try_start(&play, NULL, "s", "{'do':[['tell',HERE]]}"), 5, "1\n",
	    "already_started");
	play_go(&play);
	expect_answer(&starter, 0, "1\n", NULL);
	play_done(&play);
}

static void
what_is_no_name_starts_nothing(void **state) /* 17 */
{
	static const char *const names[] = { "", "5", "a b", "-x", "é" };
	struct play play;

	(void)state;
	play_begin(&play);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect(jobberd(&play.instance, "start", "--", names[i], COUNTER, NULL), 2,
		    "", NULL);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM jobs"), 0);
	play_done(&play);
}

static void
starter_that_goes_away_leaves_the_server_alone(void **state) /* 99 */
{
	struct play play;
	struct helper starter;

	(void)state;
	play_begin(&play);
	play_start_beside(&play, &starter, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	kill(starter.pid, SIGKILL);
	assert_int_equal(helper_wait(&starter), 128 + SIGKILL);
	helper_end(&starter);
	play_go(&play);
	instance_expect(&play.instance, "ready attempt=1");
	expect(play_call(&play, "s", "1"), 0, "1\n", NULL);
	play_done(&play);
}

/* ---- whoever starts or stops outlives the supervisor process, as whoever calls does ---- */

static void
starter_hears_of_the_start_from_the_next_supervisor_process(void **state)
{
	struct play play;
	struct helper starter;

	(void)state;
	play_begin(&play);
	play_start_beside(&play, &starter, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	instance_kill_supervisor(&play.instance);
	play_pid(&play); /* its init begins again */
	play_go(&play);
	expect_answer(&starter, 0, "1\n", NULL);
	expect(play_call(&play, "s", "1"), 0, "1\n", NULL);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM jobs"), 1);
	/* One that is there already hears nothing of who asks for it. */
	expect(play_try_start(&play, "--once", "s", "{}"), 0, "1\n", "");
	assert_int_equal(sql_number(&play.instance,
			     "SELECT count(*) FROM events WHERE event = 'submitted'"), 1);
	/* The same with its description only. */
	play_stop(&play, "s");
	helper_jobberd(&starter, &play.instance, NULL, "start", "s", NULL);
	play_pid(&play);
	instance_kill_supervisor(&play.instance);
	play_pid(&play);
	play_go(&play);
	expect_answer(&starter, 0, "1\n", NULL);
	play_done(&play);
}

static void
starter_hears_of_a_refusal_from_the_next_supervisor_process(void **state)
{
	struct play play;
	struct helper starter;
	pid_t supervisor, server;

	(void)state;
	play_begin(&play);
	play_start_beside(
	    &play, &starter, "s", "{'do':[['tell',HERE],['wait',GO]],'verb':'ignore'}");
	server = play_pid(&play);
	supervisor = instance_supervisor_pid(&play.instance);
	kill(supervisor, SIGSTOP);
	play_go(&play);
	wait_gone(server);
	kill(supervisor, SIGKILL);
	expect_answer(&starter, 1, "1\n", "ignore");
	play_done(&play);
}

static void
who_stops_hears_of_the_end_from_the_next_supervisor_process(void **state)
{
	struct play play;
	struct helper stopper;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'do':[['set',[['tell',HERE],['wait',GO]]]]}");
	helper_jobberd(&stopper, &play.instance, NULL, "stop", "s", NULL);
	play_pid(&play); /* in terminate */
	instance_kill_supervisor(&play.instance);
	play_go(&play);
	expect_answer(&stopper, 0, "", NULL);
	play_done(&play);
}

/* ---- B, C: answers ---- */

static void
caller_waits_for_a_late_reply_and_others_do_not(void **state) /* 19, 41, 45, 51 */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	play_call_beside(&play, &caller, "s", "{'do':[['keep']],'verb':'noreply'}");
	play_until(&play, "log: call\n");
	expect(play_call(&play, "s", "2"), 0, "2\n", NULL);
	play_cast(&play, "s", "{'do':[['answer','late']]}");
	expect_answer(&caller, 0, "\"late\"\n", NULL);
	play_done(&play);
}

static void
first_of_two_replies_counts(void **state) /* 43 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	expect(
	    play_call(&play, "s", "{'do':[['keep'],['answer',1]],'reply':2}"), 0, "1\n", NULL);
	expect(play_call(&play, "s", "3"), 0, "3\n", NULL);
	play_done(&play);
}

static void
caller_that_dies_is_no_harm(void **state) /* 46, 49 */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	play_call_beside(&play, &caller, "s", "{'do':[['keep'],['set',5]],'verb':'noreply'}");
	play_until(&play, "log: call\n");
	kill(caller.pid, SIGKILL);
	helper_wait(&caller);
	helper_end(&caller);
	play_cast(&play, "s", "{'do':[['answer','to nobody']]}");
	expect(play_call(&play, "s", "{'reply_state':1}"), 0, "5\n", NULL);
	play_done(&play);
}

static void
call_with_no_time_at_all_is_delivered(void **state) /* 47 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	expect(jobberd(&play.instance, "call", "--timeout", "0", "s",
			"{\"do\":[[\"set\",5]],\"verb\":\"noreply\"}", NULL), 124, "", "timeout");
	expect(jobberd(&play.instance, "show", "--state", "s", NULL), 0, "5\n", NULL);
	play_done(&play);
}

static void
call_that_names_no_limit_fails_after_five_seconds(void **state) /* 34 */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	helper_jobberd(&caller, &play.instance, NULL, "call", "s", "{\"verb\":\"noreply\"}", NULL);
	assert_true(helper_runs_for(&caller, 4500));
	expect_answer(&caller, 124, "", "timeout");
	play_done(&play);
}

static void
servers_that_call_are_told_why_it_failed(void **state) /* 21, 35, 38, 39, 52 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	play_start(&play, "o", "{}");
	expect(play_call(&play, "s",
			"{'do':[['call','s',1],['call','nobody',1],['cast','nobody',1],"
			"['send','nobody',1],['call','o',7],"
			"['call','o',{'verb':'noreply'},20],"
			"['call','o',{'verb':'stop','reason':'normal'}]],'reply':0}"), 0, "0\n",
	    NULL);
	play_stop(&play, "s");
	play_history(&play, "s", "call; call: calling_self (calling_self); call: noproc (noproc); "
				 "call: 7; call: timeout (timeout); call: exit (normal); "
				 "terminate normal 0");
	play_done(&play);
}

static void
stop_with_reply_is_cleaned_up_when_the_reply_comes(void **state) /* G20 */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'do':[['set',[['tell',HERE],['wait',GO]]]]}");
	play_call_beside(&play, &caller, "s", "{'verb':'stop','reason':'shutdown','reply':1}");
	play_pid(&play); /* in terminate */
	assert_true(helper_runs_for(&caller, 20));
	play_go(&play);
	expect_answer(&caller, 0, "1\n", NULL);
	instance_expect(&play.instance, "exiting status=done");
	expect_end(&play, "s", "done shutdown");
	play_done(&play);
}

static void
bad_return_value_ends_a_server_and_its_caller_is_told(void **state) /* 23, 25, 92 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	expect(play_call(&play, "s", "{'verb':'ok'}"), 70, "", "ok in handle_call");
	instance_expect(&play.instance, "ready attempt=2");
	expect(play_call(&play, "s", "{'reply':1,'timeout':-3}"), 70, "", "timeout -3");
	instance_expect(&play.instance, "ready attempt=3");
	play_history(&play, "s", "call; terminate {\"bad_return_value\":\"ok in handle_call\"} 0; "
				 "call; terminate {\"bad_return_value\":\"timeout -3 in "
				 "handle_call\"} 0");
	play_done(&play);
}

static void
unknown_messages_are_noted_and_end_nobody(void **state) /* 31, 32 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(jobberd(&play.instance, "start", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
	expect(jobberd(&play.instance, "call", "c", "sing", NULL), 1, "", "unknown_message");
	expect(jobberd(&play.instance, "cast", "c", "sing", NULL), 0, "", NULL);
	expect(jobberd(&play.instance, "send", "c", "sing", NULL), 0, "", NULL);
	expect(jobberd(&play.instance, "call", "c", "get", NULL), 0, "0\n", NULL);
	play_stop(&play, "c");
	play_history(&play, "c", "unknown message: sing; unknown message: sing; "
				 "unknown message: sing; terminate: normal");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM attempts"), 1);
	play_done(&play);
}

/* ---- D, F: order and ends ---- */

static void
stop_takes_its_turn_and_what_comes_after_it_is_lost(void **state) /* 53, 59, 79, G35d, G35e */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	play_cast(&play, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	play_cast(&play, "s", "'before'");
	expect(jobberd(&play.instance, "stop", "--timeout", "0", "s", "{\"shutdown\":\"x\"}",
			NULL), 124, "", "still terminating");
	play_cast(&play, "s", "'after'");
	play_go(&play);
	expect(jobberd(&play.instance, "wait", "s", NULL), 0, NULL, NULL);
	play_history(&play, "s", "cast; cast \"before\"; terminate shutdown:x 0");
	expect_end(&play, "s", "done shutdown:x");
	play_done(&play);
}

static void
terminate_that_fails_is_the_reason(void **state) /* 83 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	expect(play_try_start(&play, "--restart=permanent", "s",
			"{'do':[['set',[['crash']]]]}"), 0, NULL, NULL);
	expect(jobberd(&play.instance, "stop", "s", NULL), 70, "", "killed by SIGABRT");
	expect(jobberd(&play.instance, "why", "s", NULL), 0, "failed: killed by SIGABRT\n",
	    NULL);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM attempts"), 1);
	play_done(&play);
}

/* The keeper has been told to start it, and is slow. */
static void
stop_of_a_server_that_has_no_process_yet_is_not_lost(void **state)
{
	static const char *const options[] = { "--restart=permanent", "--durable" };
	struct helper starter, stopper;
	struct play play;

	(void)state;
	play_begin(&play);
	for (int i = 0; i < 2; i++) {
		struct changes changes;

		kill(play.instance.keeper, SIGSTOP);
		changes_init(&changes, &play.instance);
		helper_jobberd(&starter, &play.instance, NULL, "start", options[i], "a", "--",
		    SERVERS_DIRECTORY "/counter", NULL);
		while (sql_number(&play.instance, "SELECT count(*) FROM attempts "
						  "WHERE ended_at IS NULL") == 0)
			changes_wait(&changes, now_ms() + PATIENCE_MS);
		helper_jobberd(&stopper, &play.instance, NULL, "stop", "a", NULL);
		while (sql_number(&play.instance, "SELECT count(*) FROM attempts WHERE ended_at "
						  "IS NULL AND stop_reason = 'normal'") == 0)
			changes_wait(&changes, now_ms() + PATIENCE_MS);
		changes_done(&changes);
		kill(play.instance.keeper, SIGCONT);
		assert_int_equal(helper_wait(&stopper), 0);
		helper_end(&stopper);
		helper_wait(&starter);
		helper_end(&starter);
	}
	play_done(&play);
}

static void
shutdown_cuts_off_a_server_that_does_not_trap(void **state) /* 86, 92 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	play_cast(&play, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	instance_stop(&play.instance);
	play_history(&play, "s", "cast");
	play_done(&play);
}

static void
shutdown_waits_for_its_turn_with_a_server_that_traps(void **state) /* 91, 92 */
{
	struct play play;
	struct helper stopper;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'do':[['trap_exit',true]]}");
	play_cast(&play, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	play_pid(&play);
	play_cast(&play, "s", "'queued'");
	helper_jobberd(&stopper, &play.instance, NULL, "shutdown", NULL);
	instance_expect(&play.instance, "stopping: ");
	play_go(&play);
	assert_int_equal(helper_wait(&stopper), 0);
	helper_end(&stopper);
	assert_int_equal(instance_wait(&play.instance), 0);
	play_history(&play, "s", "cast; cast \"queued\"; terminate shutdown 0");
	play_done(&play);
}

static void
kill_is_the_end_at_once_whether_it_traps_or_not(void **state) /* 88, 92, G19b */
{
	struct play play;
	struct helper caller;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'do':[['trap_exit',true]]}");
	play_call_beside(&play, &caller, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	kill(play_pid(&play), SIGKILL);
	expect_answer(&caller, 70, "", "killed by SIGKILL");
	instance_expect(&play.instance, "ready attempt=2");
	play_history(&play, "s", "call");
	play_done(&play);
}

static void
signal_of_a_stranger_is_a_failure(void **state) /* 90, differs: not a message */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{'do':[['trap_exit',true]]}");
	play_cast(&play, "s", "{'do':[['tell',HERE],['wait',GO]]}");
	kill(play_pid(&play), SIGTERM);
	play_go(&play);
	instance_expect(&play.instance, "ready attempt=2");
	play_history(&play, "s", "cast; terminate signal:TERM 0");
	play_start(&play, "t", "{}");
	play_cast(&play, "t", "{'do':[['tell',HERE],['wait',GO]]}");
	kill(play_pid(&play), SIGTERM);
	instance_expect(&play.instance, "job=2 ready attempt=2");
	play_history(&play, "t", "cast");
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM attempts WHERE reason = 'signal:TERM'"), 2);
	play_done(&play);
}

static void
server_that_just_exits_has_ended_so(void **state) /* 98 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "a", "{}");
	expect(play_call(&play, "a", "{'do':[['exit',0]]}"), 70, "", NULL);
	expect(jobberd(&play.instance, "wait", "a", NULL), 0, NULL, NULL);
	expect_end(&play, "a", "done normal");
	expect(play_try_start(&play, "--restart=temporary", "b", "{}"), 0, NULL, NULL);
	expect(play_call(&play, "b", "{'do':[['exit',3]]}"), 70, "", "exit 3");
	expect(jobberd(&play.instance, "wait", "b", NULL), 1, NULL, "exit 3");
	expect_end(&play, "b", "failed exit:3");
	play_done(&play);
}

/* ---- G, H: what is recorded; names ---- */

static void
clean_end_is_no_warning_and_a_crash_is(void **state) /* 102, 105, 107 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "a", "{}");
	play_stop(&play, "a");
	play_start(&play, "b", "{}");
	expect(jobberd(&play.instance, "stop", "b", "{\"shutdown\":[1]}", NULL), 0, "", NULL);
	play_start(&play, "c", "{}");
	instance_expect(&play.instance, "job=3 ready");
	assert_null(strstr(play.instance.log, "warn "));
	play_cast(&play, "c", "{'do':[['crash']]}");
	instance_expect(&play.instance, "job=3 ready attempt=2");
	assert_has(play.instance.log, "warn job=3 errored reason=\"killed by SIGABRT\"");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM events WHERE job_id = 3 "
		"AND attempt = 1 AND event = 'crashed' AND detail = 'killed by SIGABRT'"),
	    1);
	play_done(&play);
}

static void
name_means_the_process_while_it_lives(void **state) /* 111, G13, S25 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	play_start(&play, "o", "{}");
	play_cast(&play, "o", "{'do':[['crash']]}");
	instance_expect(&play.instance, "job=2 ready attempt=2");
	expect(play_call(&play, "s", "{'do':[['whereis','o']],'reply':0}"), 0, "0\n", NULL);
	play_stop(&play, "o");
	expect(play_call(&play, "s", "{'do':[['whereis','o']],'reply':0}"), 0, "0\n", NULL);
	play_start(&play, "o", "{}");
	expect(play_call(&play, "s", "{'do':[['whereis','o']],'reply':0}"), 0, "0\n", NULL);
	play_stop(&play, "s");
	play_history(&play, "s", "call; whereis: 2; call; whereis: 0; call; whereis: 3; "
				 "terminate normal 0");
	play_done(&play);
}

static void
pool_is_spoken_to_as_any_server(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start_pool(&play, "2", "p", "{}");
	play_start(&play, "s", "{}");
	expect(play_call(&play, "s", "{'do':[['call','p',{'quiet':true,'reply':5}],"
					  "['call','p',{'verb':'stop','reason':'tired'}],"
					  "['call','p',{'verb':'stop','reason':'shutdown'}],"
					  "['cast','p','x'],['send_after','p','late',1]],"
					  "'reply':0}"), 0, "0\n", NULL);
	assert_int_equal(wait_job(&play.instance, 7), 0); /* the cast */
	wait_sql(&play.instance, "SELECT count(*) FROM jobs WHERE id = 8"); /* the timer */
	assert_int_equal(wait_job(&play.instance, 8), 0);
	play_stop(&play, "s");
	play_history(&play, "s", "call; call: 5; call: exit (tired); "
				 "call: exit (its process ended without an answer); "
				 "send_after: 1; terminate normal 0");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM jobs WHERE "
	    "kind = 'message' AND (result = '5' OR result = '\"x\"' OR result = '\"late\"')"),
	    3);
	play_done(&play);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_returns_before_a_continue_and_calls_wait_for_it),
		cmocka_unit_test(init_that_returns_nonsense_or_dies_is_told_to_the_starter),
		cmocka_unit_test(taken_name_is_told_while_the_first_init_runs),
		cmocka_unit_test(what_is_no_name_starts_nothing),
		cmocka_unit_test(starter_that_goes_away_leaves_the_server_alone),
		cmocka_unit_test(starter_hears_of_the_start_from_the_next_supervisor_process),
		cmocka_unit_test(starter_hears_of_a_refusal_from_the_next_supervisor_process),
		cmocka_unit_test(who_stops_hears_of_the_end_from_the_next_supervisor_process),
		cmocka_unit_test(caller_waits_for_a_late_reply_and_others_do_not),
		cmocka_unit_test(first_of_two_replies_counts),
		cmocka_unit_test(caller_that_dies_is_no_harm),
		cmocka_unit_test(call_with_no_time_at_all_is_delivered),
		cmocka_unit_test(call_that_names_no_limit_fails_after_five_seconds),
		cmocka_unit_test(servers_that_call_are_told_why_it_failed),
		cmocka_unit_test(stop_with_reply_is_cleaned_up_when_the_reply_comes),
		cmocka_unit_test(bad_return_value_ends_a_server_and_its_caller_is_told),
		cmocka_unit_test(unknown_messages_are_noted_and_end_nobody),
		cmocka_unit_test(stop_takes_its_turn_and_what_comes_after_it_is_lost),
		cmocka_unit_test(terminate_that_fails_is_the_reason),
		cmocka_unit_test(stop_of_a_server_that_has_no_process_yet_is_not_lost),
		cmocka_unit_test(shutdown_cuts_off_a_server_that_does_not_trap),
		cmocka_unit_test(shutdown_waits_for_its_turn_with_a_server_that_traps),
		cmocka_unit_test(kill_is_the_end_at_once_whether_it_traps_or_not),
		cmocka_unit_test(signal_of_a_stranger_is_a_failure),
		cmocka_unit_test(server_that_just_exits_has_ended_so),
		cmocka_unit_test(clean_end_is_no_warning_and_a_crash_is),
		cmocka_unit_test(name_means_the_process_while_it_lives),
		cmocka_unit_test(pool_is_spoken_to_as_any_server),
	};
	int status;

	if (play_is_puppet(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
