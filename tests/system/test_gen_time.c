/*
 * gen_time: the conformance cases of timers, idle time-outs, monitors and tasks, through the
 * real program. A number is a case.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/outside.h"
#include "support/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
reply_to(struct play *play, const char *script)
{
	expect(play_call(play, "s", script), 0, "0\n", NULL);
}

/* ---- E: timers ---- */

static void
timer_is_read_and_cancelled_once(void **state) /* 65, 66 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'quiet':true,'do':[['send_after',null,'never',60000],['read_timer',1],"
			"['cancel_timer',1],['cancel_timer',1],['read_timer',1],"
			"['read_timer',77]],'reply':0}");
	play_stop(&play, "s");
	/* what was left, twice, is the number in the middle */
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM events WHERE event = 'log' AND (detail GLOB 'read_timer: ?*' OR "
	    "detail GLOB 'cancel_timer: ?*') AND "
	    "substr(detail, instr(detail, ':') + 2) + 0 BETWEEN 50000 AND 60000"), 2);
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM events WHERE detail IN ('cancel_timer: -1', 'read_timer: -1')"),
	    3);
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM messages"), 0);
	play_done(&play);
}

static void
timer_fires_once_as_an_info_and_not_early(void **state) /* 64 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['send_after',null,'a',80],['send_after',null,'b',40],"
			"['send_after',null,'c',80]],'reply':0}");
	play_until(&play, "info \"c\"");
	play_stop(&play, "s");
	play_history(&play, "s", "call; send_after: 1; send_after: 2; send_after: 3; info \"b\"; "
				 "info \"a\"; info \"c\"; terminate normal 0");
	/* between two commits: that of the timer, and that of the log line behind it */
	assert_int_equal(sql_number(&play.instance,
	    "SELECT (SELECT at FROM events WHERE detail = 'info \"a\"') - "
	    "(SELECT at FROM events WHERE detail = 'send_after: 1') >= 75"), 1);
	play_done(&play);
}

/* The other one's timer is set after ours, so ours has fired when it has. */
static void
timer_that_has_fired_waits_and_cannot_be_cancelled(void **state) /* 67, 71, E12 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "o", "{}");
	play_start(&play, "s", "{}");
	play_cast(&play, "s", "{'do':[['send_after',null,'tick',0],['send_after','o','tock',0],"
			      "['wait',GO],['cancel_timer',1]]}");
	play_until(&play, "info \"tock\"");
	play_go(&play);
	play_until(&play, "info \"tick\"");
	play_stop(&play, "s");
	play_history(&play, "s", "cast; send_after: 1; send_after: 2; cancel_timer: -1; "
				 "info \"tick\"; terminate normal 0");
	play_done(&play);
}

/* Let the handler of this tick work for 100 ms, counted from when the history has it. */
static void
work_at_tick(struct play *play, int tick)
{
	char question[100];

	snprintf(question, sizeof(question),
	    "SELECT count(*) = %d FROM events WHERE detail = 'info'", tick);
	wait_sql(&play->instance, question);
	let_pass(&play->instance, 100);
	play_go(play);
}

/* A tick of 100 ms that is armed again at the end of its handler, which takes 100 ms. */
static void
tick_armed_at_the_end_of_its_handler_has_interval_and_work_as_period(void **state) /* 72 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	play_cast(&play, "s", "{'do':[['send_after',null,"
			      "{'do':[['wait',GO],['send_after',null,"
			      "{'do':[['wait',GO],['send_after',null,"
			      "{'do':[]},100]]},100]]},100]]}");
	work_at_tick(&play, 1);
	work_at_tick(&play, 2);
	wait_sql(&play.instance, "SELECT count(*) = 3 FROM events WHERE detail = 'info'");
	play_stop(&play, "s");
	play_history(&play, "s", "cast; send_after: 1; info; send_after: 2; info; send_after: 3; "
				 "info; terminate normal 0");
	/* both periods; each end may have lost part of a millisecond */
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM (SELECT at - lag(at) OVER (ORDER BY seq) AS period FROM events "
	    "WHERE detail = 'info') WHERE period >= 199"), 2);
	play_done(&play);
}

static void
timer_goes_with_its_process_and_one_to_a_name_does_not(void **state) /* 69, T05 to T07 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "o", "{}");
	play_start(&play, "s", "{}");
	play_cast(&play, "s", "{'do':[['send_after',null,'mine',150],"
			      "['send_after','nobody','dropped',150],['crash']]}");
	play_until(&play, "attempt=2 ready");
	play_cast(&play, "o", "{'do':[['send_after','s','to the successor',200]]}");
	play_until(&play, "info \"to the successor\"");
	play_stop(&play, "s");
	play_history(&play, "s", "cast; send_after: 1; send_after: 2; "
				 "info \"to the successor\"; terminate normal 0");
	play_done(&play);
}

static void
idle_server_hears_of_it_once(void **state) /* 75 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{'timeout':30}");
	play_until(&play, "info \"timeout\"");
	expect(play_call(&play, "s", "1"), 0, "1\n", NULL);
	play_stop(&play, "s");
	play_history(&play, "s", "info \"timeout\"; call 1; terminate normal 0");
	play_done(&play);
}

/* ---- F: monitors ---- */

static void
monitor_tells_of_an_end_once_and_of_nobody_at_once(void **state) /* 96, 93 differs */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "o", "{}");
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['monitor','o'],['monitor','nobody']],'reply':0}");
	play_until(&play, "\"noproc\"");
	expect(
	    jobberd(&play.instance, "stop", "o", "{\"shutdown\":\"x\"}", NULL), 0, "", NULL);
	play_until(&play, "\"shutdown:x\"");
	play_start(&play, "o", "{}");
	play_stop(&play, "o");
	play_stop(&play, "s");
	play_history(&play, "s", "call; monitor: 1; monitor: 2; "
				 "info {\"down\":null,\"reason\":\"noproc\",\"ref\":2}; "
				 "info {\"down\":1,\"reason\":\"shutdown:x\",\"ref\":1}; "
				 "terminate normal 0");
	assert_int_equal(sql_number(&play.instance, "SELECT count(*) FROM monitors"), 0);
	play_done(&play);
}

static void
crash_of_a_server_that_is_started_again_is_told_too(void **state) /* 96, X11 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "o", "{}");
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['monitor','o']],'reply':0}");
	play_cast(&play, "o", "{'do':[['crash']]}");
	play_until(&play, "\"down\":1");
	play_until(&play, "attempt=2 ready");
	play_stop(&play, "o");
	play_stop(&play, "s");
	play_history(&play, "s", "call; monitor: 1; "
				 "info {\"down\":1,\"reason\":\"signal:ABRT\",\"ref\":1}; "
				 "terminate normal 0");
	play_done(&play);
}

/* ---- K: tasks ---- */

static void
task_tells_its_result_and_then_its_end(void **state) /* 186, 191, 192 */
{
	struct play play;
	char script[5000];

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	snprintf(script, sizeof(script), "{'do':[['async',{'command':"
		"['%s','notify','result','42']}],['await',2,60000]],'reply':0}", getenv("JOBBERD"));
	reply_to(&play, script);
	reply_to(&play, "{'do':[['async',{'command':['true']}]],'reply':0}");
	play_until(&play, "\"down\":3");
	play_stop(&play, "s");
	play_history(&play, "s", "call; async: 2; await: 42; call; async: 3; "
				 "info {\"result\":null,\"task\":3}; "
				 "info {\"down\":3,\"reason\":\"normal\",\"ref\":3}; "
				 "terminate normal 0");
	play_done(&play);
}

static void
task_that_fails_is_only_told_of_and_ends_nobody(void **state) /* 193, 194 differs */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['async',{'command':['false']}],"
			"['async',{'command':['sh','-c','kill -9 $$']}],"
			"['async',{'command':['/nowhere/x']}]],'reply':0}");
	for (int i = 2; i <= 4; i++)
		play_until(&play, i == 2 ? "\"down\":2" : i == 3 ? "\"down\":3" : "\"down\":4");
	play_stop(&play, "s");
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM events WHERE event = 'log' AND detail IN ("
	    "'info {\"down\":2,\"reason\":\"exit:1\",\"ref\":2}', "
	    "'info {\"down\":3,\"reason\":\"signal:KILL\",\"ref\":3}', "
	    "'info {\"down\":4,\"reason\":\"spawn:ENOENT\",\"ref\":4}')"), 3);
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM events WHERE event = 'log' AND detail GLOB '*\"task\"*'"), 0);
	assert_int_equal(
	    sql_number(&play.instance, "SELECT count(*) FROM attempts WHERE job_id = 1"), 1);
	play_done(&play);
}

static void
linked_task_that_fails_takes_its_server_with_it(void **state) /* 194 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_follow(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['async',{'command':['sh','-c','exit 3']}],['link_task',2]],"
			"'reply':0}");
	play_until(&play, "exit:3");
	instance_expect(&play.instance, "job=1 ready attempt=2");
	assert_int_equal(sql_number(&play.instance,
	    "SELECT count(*) FROM attempts WHERE job_id = 1 AND reason = 'exit:3'"), 1);
	play_stop(&play, "s");
	play_history(&play, "s", "call; async: 2; terminate normal 0");
	play_done(&play);
}

static void
await_that_is_too_short_may_be_repeated_and_then_ended(void **state) /* 196, 197 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['async',{'command':['sleep','60']}],['await',2,10],"
			"['await',2,0],['shutdown_task',2]],'reply':0}");
	expect(jobberd(&play.instance, "wait", "2", NULL), 1, "", "cancelled");
	play_stop(&play, "s");
	play_history(&play, "s", "call; async: 2; await: timeout (timeout); "
				 "await: timeout (timeout); shutdown_task: ended now; "
				 "terminate normal 0");
	play_done(&play);
}

static void
what_is_no_task_of_its_own_is_not_ended_by_a_server(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	expect(jobberd(&play.instance, "submit", "sleep", "60", NULL), 0, "2\n", NULL);
	reply_to(&play, "{'do':[['shutdown_task',2],['shutdown_task',1],['start_job',{'command':"
			"['sleep','60']}],['shutdown_task',3]],'reply':0}");
	/* Who was cancelled never is. */
	wait_sql(&play.instance, "SELECT count(*) >= 3 FROM jobs WHERE status = 'running'");
	play_stop(&play, "s");
	play_done(&play);
}

/* There is no command line whose standard input or environment could be meant. */
static void
job_of_a_server_has_nothing_left_to_resolve(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['start_job',{'command':['cat'],'stdin':'-'}],"
			"['async',{'command':['cat'],'stdin':'file'}],"
			"['start_job',{'command':['cat'],'env':['A=1']}]],'reply':0}");
	play_stop(&play, "s");
	play_history(&play, "s", "call; "
	    "start_job: stdin (stdin: \"-\" is not an absolute path); "
	    "async: stdin (stdin: \"file\" is not an absolute path); "
	    "start_job: error (env, env-all and env-file are for the client to resolve: send "
	    "environment, an object); terminate normal 0");
	play_done(&play);
}

static void
job_that_is_no_task_tells_nothing(void **state) /* 202 */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['start_job',{'command':['true']}],"
			"['start_job',{'command':['false'],'max_retries':0}]],'reply':0}");
	expect(jobberd(&play.instance, "wait", "2", "3", NULL), 1, NULL, NULL);
	play_stop(&play, "s");
	play_history(&play, "s", "call; start_job: 2; start_job: 3; terminate normal 0");
	play_done(&play);
}

static void
tasks_end_with_their_owner_however_it_ends(void **state) /* 213, differs: also when normally */
{
	struct play play;

	(void)state;
	play_begin(&play);
	play_start(&play, "s", "{}");
	reply_to(&play, "{'do':[['async',{'command':['sleep','60']}]],'reply':0}");
	play_cast(&play, "s", "{'do':[['crash']]}");
	expect(jobberd(&play.instance, "wait", "2", NULL), 1, "", "cancelled");
	instance_expect(&play.instance, "job=1 ready attempt=2");
	reply_to(&play, "{'do':[['async',{'command':['sleep','60']}]],'reply':0}");
	play_stop(&play, "s");
	expect(jobberd(&play.instance, "wait", "3", NULL), 1, "", "cancelled");
	play_done(&play);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_is_read_and_cancelled_once),
		cmocka_unit_test(timer_fires_once_as_an_info_and_not_early),
		cmocka_unit_test(timer_that_has_fired_waits_and_cannot_be_cancelled),
		cmocka_unit_test(
		    tick_armed_at_the_end_of_its_handler_has_interval_and_work_as_period),
		cmocka_unit_test(timer_goes_with_its_process_and_one_to_a_name_does_not),
		cmocka_unit_test(idle_server_hears_of_it_once),
		cmocka_unit_test(monitor_tells_of_an_end_once_and_of_nobody_at_once),
		cmocka_unit_test(crash_of_a_server_that_is_started_again_is_told_too),
		cmocka_unit_test(task_tells_its_result_and_then_its_end),
		cmocka_unit_test(task_that_fails_is_only_told_of_and_ends_nobody),
		cmocka_unit_test(linked_task_that_fails_takes_its_server_with_it),
		cmocka_unit_test(await_that_is_too_short_may_be_repeated_and_then_ended),
		cmocka_unit_test(what_is_no_task_of_its_own_is_not_ended_by_a_server),
		cmocka_unit_test(job_of_a_server_has_nothing_left_to_resolve),
		cmocka_unit_test(job_that_is_no_task_tells_nothing),
		cmocka_unit_test(tasks_end_with_their_owner_however_it_ends),
	};
	int status;

	if (play_is_puppet(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
