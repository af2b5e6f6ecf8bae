/*
 * mailbox, answers: lines of every kind, torn anywhere, and what a supervisor process that has
 * taken over says again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/outside.h"

#include <stdio.h>
#include <string.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"
#define RESUME "\n{'jsonrpc':'2.0','method':'resume','params':{'generation':2}}"

static void
start(struct fake *fake)
{
	fake_start_puppet(fake, "{}");
	fake_hears(fake, RUNNING);
}

/* ---- lines ---- */

static void
lines_may_come_in_pieces_and_many_at_once(void **state)
{
	static const char lines[] =
	    "{\"jsonrpc\":\"2.0\",\"method\":\"cast\",\"params\":{\"message\":1}}\r\n\n"
	    "{\"jsonrpc\":\"2.0\",\"method\":\"cast\",\"params\":{\"message\":2}}\n";
	struct fake fake;

	(void)state;
	start(&fake);
	for (const char *at = lines; *at != '\0'; at++)
		fake_say_bytes(&fake, at, 1);
	fake_hears_log(&fake, "cast 1");
	fake_hears_log(&fake, "cast 2");
	fake_end(&fake);
}

static void
what_is_no_message_or_unknown_does_no_harm(void **state)
{
	static const char *const lines[] = { "hello", "[]", "5", "{'id':1}", "{'method':5}",
		"{'jsonrpc':'2.0','method':'sing'}", "{'jsonrpc':'2.0','method':'call'}",
		"{'jsonrpc':'2.0','id':1,'method':'cast'}", "{'method':'cast','params':3}",
		"{'a':1,'a':2}", "\xff\xfe", "{'jsonrpc':'2.0','id':3,'result':1}" };
	struct fake fake;

	(void)state;
	start(&fake);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		fake_say(&fake, "%s", lines[i]);
	fake_hears(
	    &fake, "{'id':1,'error':{'code':-32601,'message':'there is no such method'}}");
	fake_hears_nothing(&fake);
	/* without parameters a message is null */
	fake_say(&fake, "{'jsonrpc':'2.0','method':'cast'}");
	fake_hears_log(&fake, "cast null");
	fake_say(&fake, "{'jsonrpc':'2.0','method':'cast','params':[1]}");
	fake_hears_log(&fake, "cast null");
	fake_end(&fake);
}

static void
line_without_end_breaks_the_stream(void **state)
{
	char bytes[65536];
	struct fake fake;

	(void)state;
	start(&fake);
	memset(bytes, 'x', sizeof(bytes));
	for (int i = 0; i < 32; i++)
		fake_say_bytes(&fake, bytes, sizeof(bytes));
	fake_say_bytes(&fake, bytes, 1);
	assert_int_equal(fake_ended(&fake), 70);
}

static void
messages_before_init_wait_for_it(void **state)
{
	struct fake fake;

	(void)state;
	fake_start_puppet(&fake, "{}");
	fake_cast(&fake, "1");
	fake_hears(&fake, RUNNING);
	fake_hears_log(&fake, "cast 1");
	fake_end(&fake);
}

/* ---- resume ---- */

static void
request_that_has_no_answer_is_sent_again(void **state)
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	fake_cast(&fake, "{'quiet':true,'do':[['call','other',1]]}");
	id = fake_hears_request(&fake, "call", NULL);
	fake_say(&fake, RESUME);
	assert_int_equal(fake_hears_request(&fake, "call", NULL), id);
	fake_result(&fake, id, "2");
	fake_hears_log(&fake, "call: 2");
	fake_say(&fake, RESUME);
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
line_that_a_killed_supervisor_left_undone_is_dropped(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_say_bytes(&fake, "{\"jsonrpc\":\"2.0\",\"method\":\"ca", 30);
	fake_say(&fake, RESUME);
	fake_cast(&fake, "1");
	fake_hears_log(&fake, "cast 1");
	fake_end(&fake);
}

static void
message_of_a_timer_that_was_taken_is_not_taken_again(void **state)
{
	static const char tick[] =
	    "{'jsonrpc':'2.0','method':'info','params':{'message':'tick','timer':7}}";
	struct fake fake;

	(void)state;
	start(&fake);
	fake_say(&fake, "%s", tick);
	fake_hears_log(&fake, "info \"tick\"");
	fake_say(&fake, RESUME);
	fake_say(&fake, "%s", tick);
	fake_info(&fake, "1");
	fake_hears_log(&fake, "info 1");
	fake_end(&fake);
}

static void
call_that_was_answered_is_answered_again(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'do':[['set',1]],'reply':'first'}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 1, "'first'");
	fake_say(&fake, RESUME);
	fake_call(&fake, 1, "{'do':[['set',2]],'reply':'second'}");
	fake_hears_reply(&fake, 1, "'first'");
	fake_call(&fake, 2, "{'reply_state':1}");
	fake_hears_log(&fake, "call");
	fake_hears_reply(&fake, 2, "1");
	fake_hears_handled(&fake, 3);
	fake_end(&fake);
}

static void
call_that_is_at_work_or_waits_is_not_done_twice(void **state)
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'do':[['keep']],'verb':'noreply'}");
	fake_cast(&fake, "{'quiet':true,'do':[['call','other',1]]}");
	id = fake_hears_request(&fake, "call", NULL);
	fake_call(&fake, 2, "'waits'");
	fake_say(&fake, RESUME);
	fake_hears_request(&fake, "call", NULL);
	fake_call(&fake, 1, "'repeated'");
	fake_call(&fake, 2, "'repeated'");
	fake_call(&fake, 3, "'new'");
	fake_result(&fake, id, "null");
	fake_hears_log(&fake, "call: null");
	fake_hears_log(&fake, "call \"waits\"");
	fake_hears_reply(&fake, 2, "'waits'");
	fake_hears_reply(&fake, 2, "'waits'");
	fake_hears_log(&fake, "call \"new\"");
	fake_hears_reply(&fake, 3, "'new'");
	fake_cast(&fake, "{'quiet':true,'do':[['answer','late']]}");
	fake_hears_reply(&fake, 1, "'late'");
	fake_end(&fake);
}

static void
last_256_answers_are_remembered(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	for (int i = 1; i <= 300; i++) {
		fake_call(&fake, i, "{'quiet':true,'reply':'once'}");
		fake_hears_reply(&fake, i, "'once'");
	}
	fake_say(&fake, RESUME);
	fake_call(&fake, 45, "{'quiet':true,'reply':'twice'}");
	fake_hears_reply(&fake, 45, "'once'");
	fake_call(&fake, 44, "{'quiet':true,'reply':'twice'}");
	fake_hears_reply(&fake, 44, "'twice'");
	fake_end(&fake);
}

static void
answers_are_remembered_up_to_4_mib(void **state)
{
	struct fake fake;
	json_t *again;

	(void)state;
	start(&fake);
	for (int i = 1; i <= 6; i++) {
		fake_call(&fake, i, "{'quiet':true,'long_reply':1000000}");
		json_decref(fake_next(&fake));
	}
	fake_say(&fake, RESUME);
	fake_call(&fake, 3, "{'quiet':true,'reply':'again'}");
	again = fake_next(&fake);
	assert_int_equal(json_string_length(json_object_get(again, "result")), 1000000);
	json_decref(again);
	fake_call(&fake, 2, "{'quiet':true,'reply':'again'}");
	fake_hears_reply(&fake, 2, "'again'");
	fake_end(&fake);
}

static void
init_that_is_repeated_is_answered_again(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_say(&fake, RESUME);
	fake_init(&fake, "{\"name\":\"puppet\",\"args\":[\"{\\\"do\\\":[[\\\"crash\\\"]]}\"]}");
	fake_hears(&fake, RUNNING);
	fake_end(&fake);
}

static void
trap_exit_that_has_changed_is_told_again(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_cast(&fake, "{'quiet':true,'do':[['trap_exit',true]]}");
	fake_hears(&fake, "{'method':'trap_exit','params':{'on':true}}");
	fake_say(&fake, RESUME);
	fake_hears(&fake, "{'method':'trap_exit','params':{'on':true}}");
	fake_say(&fake, "{'jsonrpc':'2.0','id':'t','method':'terminate'}");
	fake_hears_log(&fake, "terminate shutdown 0");
	fake_hears(&fake, "{'id':'t','result':true}");
	assert_int_equal(fake_ended(&fake), 0);
}

/* ---- resume of a durable server ---- */

static void
durable_commit_is_repeated_and_its_message_is_not_handled_again(void **state)
{
	static const char cast[] =
	    "{'jsonrpc':'2.0','method':'cast','params':{'seq':5,'message':{'quiet':true,"
	    "'do':[['set',1]]}}}";
	struct fake fake;
	int64_t id;

	(void)state;
	fake_start_durable(&fake, "{}", "0");
	fake_hears(&fake, RUNNING);
	fake_say(&fake, "%s", cast);
	id = fake_hears_request(&fake, "commit", "{'seq':5,'state':1}");
	fake_say(&fake, RESUME "\n%s", cast); /* at work */
	assert_int_equal(
	    fake_hears_request(&fake, "commit", "{'seq':5,'state':1,'repeated':true}"), id);
	fake_result(&fake, id, "true");
	fake_say(&fake, "%s", cast); /* committed */
	fake_call(&fake, 1, "{'quiet':true,'reply':1}");
	id = fake_hears_request(
	    &fake, "commit", "{'seq':null,'state':1,'reply':[{'id':1,'result':1}]}");
	fake_call(&fake, 1, "{'quiet':true,'reply':2}"); /* being committed: not answered yet */
	fake_say(&fake, "{'jsonrpc':'2.0','id':'ping','method':'ping'}");
	fake_hears(&fake,
	    "{'id':'ping','error':{'code':-32601,'message':'there is no such method'}}");
	fake_result(&fake, id, "true");
	fake_call(&fake, 1, "{'quiet':true,'reply':3}");
	fake_hears_reply(&fake, 1, "1");
	fake_hears_reply(&fake, 1, "1");
	fake_end(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_may_come_in_pieces_and_many_at_once),
		cmocka_unit_test(what_is_no_message_or_unknown_does_no_harm),
		cmocka_unit_test(line_without_end_breaks_the_stream),
		cmocka_unit_test(messages_before_init_wait_for_it),
		cmocka_unit_test(request_that_has_no_answer_is_sent_again),
		cmocka_unit_test(line_that_a_killed_supervisor_left_undone_is_dropped),
		cmocka_unit_test(message_of_a_timer_that_was_taken_is_not_taken_again),
		cmocka_unit_test(call_that_was_answered_is_answered_again),
		cmocka_unit_test(call_that_is_at_work_or_waits_is_not_done_twice),
		cmocka_unit_test(last_256_answers_are_remembered),
		cmocka_unit_test(answers_are_remembered_up_to_4_mib),
		cmocka_unit_test(init_that_is_repeated_is_answered_again),
		cmocka_unit_test(trap_exit_that_has_changed_is_told_again),
		cmocka_unit_test(durable_commit_is_repeated_and_its_message_is_not_handled_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
