/*
 * gen_server: init and all that may follow a callback, as the supervisor sees it. The puppet
 * does what its messages say, and logs what is called.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/fake.h"
#include "support/puppet.h"
#include "support/outside.h"

#include <sys/socket.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"

static void
start(struct fake *fake, const char *script)
{
	fake_start_puppet(fake, script);
	fake_hears(fake, RUNNING);
}

/* ---- init ---- */

static void
init_answers_ok_and_makes_the_state(void **state) /* case 1 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{'do':[['set',41]]}");
	fake_call(&fake, 1, "{'reply_state':1}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "41");
	assert_int_equal(fake_end(&fake), 70);
}

static void
init_has_answered_before_its_continue_runs(void **state) /* cases 3, 55, 57 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'continue':{'do':[['call','other',1]]}}");
	fake_call(&fake, 1, "'early'");
	fake_hears(&fake, RUNNING);
	fake_hears_log(&fake, "continue");
	fake_result(&fake, fake_hears_request(&fake, "call", NULL), "2");
	fake_hears_log(&fake, "call: 2");
	fake_hears_log(&fake, "call \"early\"");
	fake_hears_reply(&fake, 1, "'early'");
	fake_end(&fake);
}

static void
init_that_stops_answers_its_reason_and_ends(void **state) /* cases 4, 92 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'verb':'stop','reason':{'why':1}}");
	fake_hears(&fake, "{'id':0,'result':{'stop':{'why':1}}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
init_that_ignores_answers_ignore_and_ends(void **state) /* case 5 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'verb':'ignore'}");
	fake_hears(&fake, "{'id':0,'result':{'ignore':true}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
init_that_crashes_just_dies(void **state) /* case 6 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'do':[['crash']]}");
	assert_int_equal(fake_ended(&fake), 128 + SIGABRT);
}

static void
init_that_returns_something_else_is_a_bad_return_value(void **state) /* case 8 */
{
	static const struct {
		const char *script, *words;
	} rows[] = {
		{ "{'verb':'noreply'}", "noreply in init" },
		{ "{'verb':'reply','reply':1}", "reply in init" },
		{ "{'verb':'unknown'}", "unknown in init" },
		{ "{'verb':77}", "verb 77 in init" },
		{ "{'verb':'stop'}", "stop without a reason in init" },
		{ "{'timeout':-5}", "timeout -5 in init" },
		{ "{'verb':'ignore','timeout':5}",
		    "ignore with a continue, timeout or hibernate in init" },
	};
	struct fake fake;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake_start_puppet(&fake, rows[i].script);
		fake_hears(&fake, "{'id':0,'result':{'stop':{'bad_return_value':'%s'}}}",
		    rows[i].words);
		assert_int_equal(fake_ended(&fake), 0);
	}
}

static void
server_knows_who_it_is(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'do':[['who']],'reply':1}");
	fake_hears_log(&fake, "call");
	fake_hears_log(&fake, "puppet 7 2 not durable client:5");
	fake_hears_reply(&fake, 1, "1");
	fake_end(&fake);
}

/* ---- what callbacks return ---- */

static void
call_is_replied_and_the_state_kept(void **state) /* case 18 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'do':[['set',5]],'reply':[1,'two']}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "[1,'two']");
	fake_call(&fake, 2, "{'reply_state':1}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 2, "5");
	fake_end(&fake);
}

static void
call_may_be_replied_later_and_others_meanwhile(void **state) /* cases 19, 41, 45 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'do':[['keep']],'verb':'noreply'}");
	fake_hears_log(&fake, "call");
	fake_call(&fake, 2, "'now'");
	fake_hears_log(&fake, "call \"now\"");
	fake_hears_reply(&fake, 2, "'now'");
	fake_cast(&fake, "{'do':[['answer','late']]}");
	fake_hears_log(&fake, "cast");
	fake_hears_reply(&fake, 1, "'late'");
	fake_end(&fake);
}

static void
second_reply_is_dropped(void **state) /* cases 43, 49 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'do':[['keep'],['answer',1],['answer',2]],'reply':3}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "1");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
error_reply_has_its_word_and_data(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(
	    &fake, 1, "{'do':[['keep'],['answer_error','full',{'at':9}]],'verb':'noreply'}");
	fake_hears_log(&fake, "call");
	fake_hears(&fake, "{'id':1,'error':{'code':1,'message':'full','data':{'at':9}}}");
	fake_end(&fake);
}

static void
stop_without_reply_leaves_the_caller_to_the_reason(void **state) /* cases 21, 92 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	/* case 59; both in one, for it ends with the first */
	fake_say(&fake,
	    "{'jsonrpc':'2.0','id':1,'method':'call','params':{'message':"
	    "{'verb':'stop','reason':'normal'},'from':'client:1'}}\n"
	    "{'jsonrpc':'2.0','method':'cast','params':{'message':'never handled'}}");
	fake_hears_log(&fake, "call");
	fake_hears_log(&fake, "terminate normal 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'normal'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
stop_with_reply_terminates_first(void **state) /* G20 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'verb':'stop','reason':{'shutdown':5},'reply':'bye'}");
	fake_hears_log(&fake, "call");
	fake_hears_log(&fake, "terminate {\"shutdown\":5} 0");
	fake_hears_reply(&fake, 1, "'bye'");
	fake_hears(&fake, "{'method':'stop','params':{'reason':{'shutdown':5}}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
stop_of_a_cast_an_info_and_a_continue_ends(void **state) /* case 92 */
{
	static const char stop[] = "{'verb':'stop','reason':'enough'}";
	struct fake fake;

	(void)state;
	for (int i = 0; i < 3; i++) {
		start(&fake, i == 2 ? "{'continue':{'verb':'stop','reason':'enough'}}" : "{}");
		if (i == 0)
			fake_cast(&fake, stop);
		else if (i == 1)
			fake_info(&fake, stop);
		fake_hears_log(&fake, i == 0 ? "cast" : i == 1 ? "info" : "continue");
		fake_hears_log(&fake, "terminate enough 0");
		fake_hears(&fake, "{'method':'stop','params':{'reason':'enough'}}");
		assert_int_equal(fake_ended(&fake), 0);
	}
}

static void
bad_return_values_end_the_server_after_terminate(void **state) /* cases 23, 25, 92 */
{
	static const struct {
		const char *kind, *script, *words;
	} rows[] = {
		{ "call", "{'verb':'ok'}", "ok in handle_call" },
		{ "call", "{'verb':'ignore'}", "ignore in handle_call" },
		{ "call", "{'verb':77}", "verb 77 in handle_call" },
		{ "call", "{'verb':-1}", "verb -1 in handle_call" },
		{ "call", "{'verb':'reply'}", "reply without a value in handle_call" },
		{ "call", "{'verb':'stop'}", "stop without a reason in handle_call" },
		{ "call", "{'reply':1,'timeout':-2}", "timeout -2 in handle_call" },
		{ "call", "{'reply':1,'continue':1,'timeout':1}",
		    "continue with a timeout or hibernate in handle_call" },
		{ "call", "{'verb':'unknown','timeout':1}",
		    "unknown with a continue, timeout or hibernate in handle_call" },
		{ "cast", "{'verb':'reply','reply':1}", "reply in handle_cast" },
		{ "cast", "{'verb':'stop','reason':'x','reply':1}",
		    "stop with a reply in handle_cast" },
		{ "cast", "{'verb':'stop','reason':'x','continue':1}",
		    "stop with a continue, timeout or hibernate in handle_cast" },
		{ "info", "{'verb':'ok'}", "ok in handle_info" },
		{ "info", "{'timeout':-9}", "timeout -9 in handle_info" },
		{ "continue", "{'verb':'reply','reply':1}", "reply in handle_continue" },
	};
	char text[300];
	struct fake fake;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&fake, "{'do':[['set','before']]}");
		if (strcmp(rows[i].kind, "call") == 0)
			fake_call(&fake, 1, rows[i].script);
		else if (strcmp(rows[i].kind, "cast") == 0)
			fake_cast(&fake, rows[i].script);
		else if (strcmp(rows[i].kind, "info") == 0)
			fake_info(&fake, rows[i].script);
		else {
			snprintf(text, sizeof(text), "{'quiet':true,'continue':%s}",
			    rows[i].script);
			fake_cast(&fake, text);
		}
		fake_hears_log(&fake, rows[i].kind);
		snprintf(text, sizeof(text),
		    "terminate {\"bad_return_value\":\"%s\"} \"before\"", rows[i].words);
		fake_hears_log(&fake, text);
		fake_hears(&fake,
		    "{'method':'stop','params':{'reason':{'bad_return_value':'%s'}}}",
		    rows[i].words);
		assert_int_equal(fake_ended(&fake), 0);
	}
}

static void
crash_in_a_callback_is_a_signal(void **state) /* case 26, differs: terminate does not run */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_cast(&fake, "{'do':[['crash']]}");
	fake_hears_log(&fake, "cast");
	assert_int_equal(fake_ended(&fake), 128 + SIGABRT);
}

static void
start_bare(struct fake *fake)
{
	fake_start(fake, &puppet_bare_ops);
	fake_init(fake, "{\"name\":\"bare\",\"id\":1,\"args\":[]}");
	fake_hears(fake, RUNNING);
}

static void
call_without_a_handler_ends_the_server(void **state) /* case 29 */
{
	static const char words[] = "attempted to call bare, which has no handle_call";
	char text[200];
	struct fake fake;

	(void)state;
	start_bare(&fake);
	fake_call(&fake, 1, "1");
	snprintf(text, sizeof(text), "terminate %s 0", words);
	fake_hears_log(&fake, text);
	fake_hears(&fake, "{'method':'stop','params':{'reason':'%s'}}", words);
	assert_int_equal(fake_ended(&fake), 0);
}

static void
cast_without_a_handler_ends_the_server(void **state) /* case 29, G23 */
{
	struct fake fake;

	(void)state;
	start_bare(&fake);
	fake_cast(&fake, "1");
	fake_hears_log(
	    &fake, "terminate attempted to cast to bare, which has no handle_cast 0");
	fake_hears(&fake,
	    "{'method':'stop',"
	    "'params':{'reason':'attempted to cast to bare, which has no handle_cast'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
info_without_a_handler_is_noted_once(void **state) /* case 31 */
{
	struct fake fake;

	(void)state;
	start_bare(&fake);
	fake_info(&fake, "{'a':'b'}");
	fake_hears_log(&fake, "unknown message: {\\\"a\\\":\\\"b\\\"}");
	fake_hears_handled(&fake, 1);
	assert_int_equal(fake_end(&fake), 70);
}

static void
continue_without_a_handler_ends_the_server(void **state) /* case 33 */
{
	struct fake fake;

	(void)state;
	fake_start(&fake, &puppet_bare_ops);
	fake_init(&fake, "{\"name\":\"bare\",\"args\":[\"{\\\"continue\\\":1}\"]}");
	fake_hears(&fake, RUNNING);
	fake_hears_log(
	    &fake, "terminate attempted to continue bare, which has no handle_continue 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':"
			  "'attempted to continue bare, which has no handle_continue'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
unknown_messages_hurt_nobody(void **state) /* case 32 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_call(&fake, 1, "{'verb':'unknown'}");
	fake_hears_log(&fake, "call");
	fake_hears_log(&fake, "unknown message: {\\\"verb\\\":\\\"unknown\\\"}");
	fake_hears(&fake, "{'id':1,'error':{'code':1,'message':'unknown_message'}}");
	fake_cast(&fake, "{'verb':'unknown','quiet':true}");
	fake_hears_log(
	    &fake, "unknown message: {\\\"verb\\\":\\\"unknown\\\",\\\"quiet\\\":true}");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

/* ---- order and continue ---- */

static void
messages_are_handled_in_their_order(void **state) /* case 53 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	for (int i = 1; i <= 5; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", i);
		fake_cast(&fake, number);
	}
	fake_info(&fake, "6");
	fake_call(&fake, 1, "7");
	for (int i = 1; i <= 7; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%s %d", i < 6 ? "cast" : i == 6 ? "info" : "call", i);
		fake_hears_log(&fake, text);
	}
	fake_hears_reply(&fake, 1, "7");
	fake_end(&fake);
}

static void
continue_runs_after_the_reply_before_any_message_and_chains(void **state) /* case 63, G27, G28 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','id':1,'method':'call','params':{'message':"
	    "{'reply':1,'continue':{'continue':'last'}},'from':'client:1'}}\n"
	    "{'jsonrpc':'2.0','method':'info','params':{'message':'waiting'}}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "1");
	fake_hears_log(&fake, "continue");
	fake_hears_log(&fake, "continue \"last\"");
	fake_hears_log(&fake, "info \"waiting\"");
	fake_info(&fake, "{'continue':'again'}");
	fake_hears_log(&fake, "info");
	fake_hears_log(&fake, "continue \"again\"");
	fake_end(&fake);
}

static void
handled_messages_are_counted(void **state) /* case 60 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	for (int i = 0; i < 200; i++)
		fake_cast(&fake, "{'quiet':true}");
	fake_hears_handled(&fake, 200);
	fake_call(&fake, 1, "{'quiet':true,'reply':1}");
	fake_hears_reply(&fake, 1, "1");
	fake_hears_handled(&fake, 201);
	fake_end(&fake);
}

/* ---- idle timeouts, hibernation ---- */

static void
idle_timeout_comes_once_and_not_early(void **state) /* case 75 */
{
	struct fake fake;
	int64_t before = now_ms();

	(void)state;
	start(&fake, "{'timeout':50}");
	fake_hears_log(&fake, "info \"timeout\"");
	assert_between(now_ms() - before, 50, 10000);
	fake_hears_nothing(&fake);
	/* the call cancelled nothing, for there was none any more */
	fake_cast(&fake, "{'timeout':0}");
	fake_hears_log(&fake, "cast");
	fake_hears_log(&fake, "info \"timeout\"");
	fake_end(&fake);
}

static void
any_message_cancels_an_idle_timeout(void **state) /* case 75, G29 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{'timeout':300}");
	fake_cast(&fake, "1");
	fake_hears_log(&fake, "cast 1");
	fake_cast(&fake, "{'timeout':600}");
	fake_hears_log(&fake, "cast");
	fake_hears_log(&fake, "info \"timeout\"");
	fake_end(&fake);
}

static void
idle_timeout_of_0_gives_way_to_a_message(void **state) /* case 77 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','method':'cast','params':{'message':{'timeout':0}}}\n"
	    "{'jsonrpc':'2.0','method':'cast','params':{'message':'next'}}");
	fake_hears_log(&fake, "cast");
	fake_hears_log(&fake, "cast \"next\"");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
hibernating_server_keeps_its_state(void **state) /* case 289 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{'hibernate':1}");
	fake_call(&fake, 1, "{'do':[['set',3]],'reply':1,'hibernate':1}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "1");
	fake_call(&fake, 2, "{'reply_state':1}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 2, "3");
	fake_end(&fake);
}

static void
state_is_told_in_its_turn_and_no_callback_hears_of_it(void **state) /* case 287 */
{
	static const char asks[] = "{'jsonrpc':'2.0','id':'s','method':'state','params':{}}";
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_cast(&fake, "{'do':[['set',[1,'two']]]}");
	fake_say(&fake, "%s", asks);
	fake_hears_log(&fake, "cast");
	fake_hears(&fake, "{'id':'s','result':[1,'two']}");
	fake_cast(&fake, "{'do':[['set','none']]}"); /* a dump that gives none */
	fake_say(&fake, "%s", asks);
	fake_hears_log(&fake, "cast");
	fake_hears(&fake, "{'id':'s','error':{'code':1,'message':'dump gave no state'}}");
	fake_end(&fake);
	start_bare(&fake);
	fake_say(&fake, "%s", asks);
	fake_hears(&fake, "{'id':'s','error':{'code':1,'message':'it cannot tell its state'}}");
	fake_end(&fake);
}

static void
state_that_fits_no_line_is_an_error(void **state)
{
	char *script = xasprintf("{'do':[['set','%01050000d']]}", 0);
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_cast(&fake, script);
	free(script);
	fake_say(&fake, "{'jsonrpc':'2.0','id':'s','method':'state','params':{}}");
	fake_hears_log(&fake, "cast");
	fake_hears(&fake, "{'id':'s','error':{'code':1,'message':'state_too_large'}}");
	fake_end(&fake);
}

/* ---- ends ---- */

static void
terminate_request_waits_for_its_turn(void **state) /* cases 59, 79, 91, 92 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','method':'cast','params':{'message':'before'}}\n"
	    "{'jsonrpc':'2.0','id':'t','method':'terminate','params':{'reason':'shutdown'}}\n"
	    "{'jsonrpc':'2.0','method':'cast','params':{'message':'after'}}");
	fake_hears_log(&fake, "cast \"before\"");
	fake_hears_log(&fake, "terminate shutdown 0");
	fake_hears(&fake, "{'id':'t','result':true}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
sigterm_ends_a_server_that_does_not_trap_at_once(void **state) /* case 86 */
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_cast(&fake, "{'do':[['call','other',1]]}"); /* in the middle of a callback */
	fake_hears_log(&fake, "cast");
	fake_hears_request(&fake, "call", NULL);
	kill(fake.pid, SIGTERM);
	assert_int_equal(fake_ended(&fake), 128 + SIGTERM);
}

static void
sigterm_takes_its_place_among_the_messages_of_a_server_that_traps(void **state) /* case 91 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'do':[['trap_exit',true]]}");
	fake_hears(&fake, "{'id':0,'result':{'ok':true,'trap_exit':true,'resumes':true}}");
	fake_cast(&fake, "{'do':[['call','other',1]]}");
	fake_hears_log(&fake, "cast");
	kill(fake.pid, SIGTERM);
	fake_result(&fake, fake_hears_request(&fake, "call", NULL), "1");
	fake_hears_log(&fake, "call: 1");
	fake_hears_log(&fake, "terminate signal:TERM 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'signal:TERM'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
trap_exit_is_told_when_it_changes(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	fake_cast(&fake, "{'quiet':true,'do':[['trap_exit',true],['trap_exit',true],"
			 "['trap_exit',false]]}");
	fake_hears(&fake, "{'method':'trap_exit','params':{'on':true}}");
	fake_hears(&fake, "{'method':'trap_exit','params':{'on':false}}");
	fake_hears_nothing(&fake);
	kill(fake.pid, SIGTERM);
	assert_int_equal(fake_ended(&fake), 128 + SIGTERM);
}

static void
kill_runs_nothing(void **state) /* cases 88, 92 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'do':[['trap_exit',true]]}");
	fake_hears(&fake, "{'id':0,'result':{'ok':true,'trap_exit':true,'resumes':true}}");
	kill(fake.pid, SIGKILL);
	assert_int_equal(fake_ended(&fake), 128 + SIGKILL);
}

static void
end_of_the_stream_terminates_a_server_that_traps(void **state) /* case 95 */
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{'do':[['trap_exit',true]]}");
	fake_hears(&fake, "{'id':0,'result':{'ok':true,'trap_exit':true,'resumes':true}}");
	fake_cast(&fake, "'before'");
	shutdown(fake.fd, SHUT_WR);
	fake_hears_log(&fake, "cast \"before\"");
	fake_hears_log(&fake, "terminate killed 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'killed'}}");
	assert_int_equal(fake_ended(&fake), 70);
}

static void
end_of_the_stream_ends_a_server_that_does_not_trap(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake, "{}");
	shutdown(fake.fd, SHUT_WR);
	assert_int_equal(fake_ended(&fake), 70);
}

static void
program_that_jobberd_has_not_started_says_so(void **state)
{
	char *arguments[] = { (char *)"counter", NULL };

	(void)state;
	unsetenv("JOBBERD_FD");
	assert_int_equal(gen_server_main(&puppet_ops, 1, arguments), 70);
	setenv("JOBBERD_FD", "three", 1);
	assert_int_equal(gen_server_main(&puppet_ops, 1, arguments), 70);
	setenv("JOBBERD_FD", "999", 1);
	assert_int_equal(gen_server_main(&puppet_ops, 1, arguments), 70);
	unsetenv("JOBBERD_FD");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_answers_ok_and_makes_the_state),
		cmocka_unit_test(init_has_answered_before_its_continue_runs),
		cmocka_unit_test(init_that_stops_answers_its_reason_and_ends),
		cmocka_unit_test(init_that_ignores_answers_ignore_and_ends),
		cmocka_unit_test(init_that_crashes_just_dies),
		cmocka_unit_test(init_that_returns_something_else_is_a_bad_return_value),
		cmocka_unit_test(server_knows_who_it_is),
		cmocka_unit_test(call_is_replied_and_the_state_kept),
		cmocka_unit_test(call_may_be_replied_later_and_others_meanwhile),
		cmocka_unit_test(second_reply_is_dropped),
		cmocka_unit_test(error_reply_has_its_word_and_data),
		cmocka_unit_test(stop_without_reply_leaves_the_caller_to_the_reason),
		cmocka_unit_test(stop_with_reply_terminates_first),
		cmocka_unit_test(stop_of_a_cast_an_info_and_a_continue_ends),
		cmocka_unit_test(bad_return_values_end_the_server_after_terminate),
		cmocka_unit_test(crash_in_a_callback_is_a_signal),
		cmocka_unit_test(call_without_a_handler_ends_the_server),
		cmocka_unit_test(cast_without_a_handler_ends_the_server),
		cmocka_unit_test(info_without_a_handler_is_noted_once),
		cmocka_unit_test(continue_without_a_handler_ends_the_server),
		cmocka_unit_test(unknown_messages_hurt_nobody),
		cmocka_unit_test(messages_are_handled_in_their_order),
		cmocka_unit_test(continue_runs_after_the_reply_before_any_message_and_chains),
		cmocka_unit_test(handled_messages_are_counted),
		cmocka_unit_test(idle_timeout_comes_once_and_not_early),
		cmocka_unit_test(any_message_cancels_an_idle_timeout),
		cmocka_unit_test(idle_timeout_of_0_gives_way_to_a_message),
		cmocka_unit_test(hibernating_server_keeps_its_state),
		cmocka_unit_test(state_is_told_in_its_turn_and_no_callback_hears_of_it),
		cmocka_unit_test(state_that_fits_no_line_is_an_error),
		cmocka_unit_test(terminate_request_waits_for_its_turn),
		cmocka_unit_test(sigterm_ends_a_server_that_does_not_trap_at_once),
		cmocka_unit_test(
		    sigterm_takes_its_place_among_the_messages_of_a_server_that_traps),
		cmocka_unit_test(trap_exit_is_told_when_it_changes),
		cmocka_unit_test(kill_runs_nothing),
		cmocka_unit_test(end_of_the_stream_terminates_a_server_that_traps),
		cmocka_unit_test(end_of_the_stream_ends_a_server_that_does_not_trap),
		cmocka_unit_test(program_that_jobberd_has_not_started_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
