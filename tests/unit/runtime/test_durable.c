/* durable: one commit a callback, with everything the callback has issued, and in order. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/outside.h"

#include "support/puppet.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"
/* The puppet is at its second attempt. */
#define REF(n) ((2LL << 32) + (n))

static void
commits(struct fake *fake, const char *params)
{
	fake_result(fake, fake_hears_request(fake, "commit", params), "true");
}

static void
start(struct fake *fake)
{
	fake_start_durable(fake, "{}", "null");
	fake_hears(fake, RUNNING);
	commits(fake, "{'seq':null,'state':0}");
}

static void
cast_seq(struct fake *fake, int seq, const char *message)
{
	fake_say(fake, "{'jsonrpc':'2.0','method':'cast','params':{'seq':%d,'message':%s}}", seq,
	    message);
}

static void
init_of_a_new_server_is_committed(void **state)
{
	struct fake fake;
	char params[200];

	(void)state;
	fake_start_durable(&fake, "{'do':[['set',[]],['send_after',null,'tick',5]]}", "null");
	fake_hears_log(&fake, "send_after: 8589934593");
	fake_hears(&fake, RUNNING);
	snprintf(params, sizeof(params),
	    "{'seq':null,'state':[],'send_after':[{'ref':%lld,'message':'tick','ms':5}]}",
	    REF(1));
	commits(&fake, params);
	fake_end(&fake);
}

static void
load_takes_the_state_that_was_committed(void **state)
{
	struct fake fake;

	(void)state;
	fake_start_durable(&fake, "{}", "{'count':12}");
	fake_hears(&fake, RUNNING);
	fake_call(&fake, 1, "{'quiet':true,'reply_state':1}");
	commits(&fake,
	    "{'seq':null,'state':{'count':12},'reply':[{'id':1,'result':{'count':12}}]}");
	fake_end(&fake);
}

/* Its caller used to wait for ever. */
static void
reply_that_nobody_can_hold_is_an_error_to_the_caller(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'nul_reply':1}");
	commits(&fake, "{'seq':null,'state':0,'reply':[{'id':1,'error':{'code':1,'message':"
		       "'bad_return_value: a NUL in a string, or too many levels'}}]}");
	fake_end(&fake);
}

static void
behaviour_without_dump_and_load_is_not_durable(void **state)
{
	struct fake fake;

	(void)state;
	fake_start(&fake, &puppet_bare_ops);
	fake_init(&fake, "{\"name\":\"bare\",\"durable\":true,\"args\":[]}");
	fake_hears(&fake,
	    "{'id':0,'result':{'stop':'not a durable server: it has no dump and load'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
all_that_a_callback_issues_is_one_commit(void **state)
{
	struct fake fake;
	char params[600];

	(void)state;
	start(&fake);
	cast_seq(&fake, 31,
	    "{'quiet':true,'do':[['set',5],['cast','a',1],['send','8',2],['cast','b',3],"
	    "['send_after','c','tick',50],['start_job',{'command':['x']}],"
	    "['async',{'command':['y']}]]}");
	fake_hears_log(&fake, "send_after: 8589934593");
	fake_hears_log(&fake, "start_job: 8589934594");
	fake_hears_log(&fake, "async: 8589934595");
	snprintf(params, sizeof(params),
	    "{'seq':31,'state':5,'cast':[{'to':'a','message':1},{'to':'b','message':3}],"
	    "'send':[{'to':8,'message':2}],"
	    "'send_after':[{'ref':%lld,'message':'tick','ms':50,'to':'c'}],"
	    "'start_job':[{'ref':%lld,'job':{'command':['x']}},"
	    "{'ref':%lld,'job':{'command':['y']},'task':true}]}",
	    REF(1), REF(2), REF(3));
	commits(&fake, params);
	/* and of the next one only its own */
	cast_seq(&fake, 32, "{'quiet':true}");
	commits(&fake, "{'seq':32,'state':5}");
	fake_end(&fake);
}

static void
next_message_waits_for_the_commit(void **state)
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true}");
	cast_seq(&fake, 2, "'two'");
	id = fake_hears_request(&fake, "commit", "{'seq':1,'state':0}");
	fake_say(&fake, "{'jsonrpc':'2.0','id':'ping','method':'ping'}");
	fake_hears(&fake,
	    "{'id':'ping','error':{'code':-32601,'message':'there is no such method'}}");
	fake_result(&fake, id, "true");
	fake_hears_log(&fake, "cast \"two\"");
	commits(&fake, "{'seq':2,'state':0}");
	fake_end(&fake);
}

static void
calls_infos_timeouts_and_continues_are_committed(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'reply':'r','continue':{'quiet':true,'timeout':0}}");
	commits(&fake, "{'seq':null,'state':0,'reply':[{'id':1,'result':'r'}]}");
	commits(&fake, "{'seq':null,'state':0}");
	fake_hears_log(&fake, "info \"timeout\"");
	commits(&fake, "{'seq':null,'state':0}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','method':'info','params':{'seq':9,'message':{'quiet':true}}}");
	commits(&fake, "{'seq':9,'state':0}");
	fake_end(&fake);
}

static void
late_and_error_replies_are_committed(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'do':[['keep']],'verb':'noreply'}");
	commits(&fake, "{'seq':null,'state':0}");
	cast_seq(&fake, 4, "{'quiet':true,'do':[['answer_error','full',7]]}");
	commits(&fake, "{'seq':4,'state':0,"
		       "'reply':[{'id':1,'error':{'code':1,'message':'full','data':7}}]}");
	fake_end(&fake);
}

static void
call_out_of_a_durable_callback_goes_at_once(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true,'do':[['cast','a',1],['call','b',2]]}");
	fake_result(&fake, fake_hears_request(&fake, "call", NULL), "3");
	fake_hears_log(&fake, "call: 3");
	commits(&fake, "{'seq':1,'state':0,'cast':[{'to':'a','message':1}]}");
	fake_end(&fake);
}

static void
timers_of_a_callback_can_be_read_and_cancelled_before_the_commit(void **state)
{
	struct fake fake;
	char params[300];

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true,'do':[['send_after',null,'a',50],"
			   "['send_after',null,'b',60],['read_timer',8589934593],"
			   "['cancel_timer',8589934593]]}");
	fake_hears_log(&fake, "send_after: 8589934593");
	fake_hears_log(&fake, "send_after: 8589934594");
	fake_hears_log(&fake, "read_timer: 50");
	fake_hears_log(&fake, "cancel_timer: 50");
	snprintf(params, sizeof(params),
	    "{'seq':1,'state':0,'send_after':[{'ref':%lld,'message':'b','ms':60}]}", REF(2));
	commits(&fake, params);
	/* later it runs: what is left is asked, and the cancelling committed, once */
	cast_seq(&fake, 2, "{'quiet':true,'do':[['cancel_timer',8589934594],"
			   "['cancel_timer',8589934594],['cancel_timer',3]]}");
	fake_result(&fake,
	    fake_hears_request(&fake, "read_timer", "{'timer':8589934594}"), "44");
	fake_hears_log(&fake, "cancel_timer: 44");
	fake_hears_log(&fake, "cancel_timer: -1");
	fake_result(&fake, fake_hears_request(&fake, "read_timer", "{'timer':3}"), "false");
	fake_hears_log(&fake, "cancel_timer: -1");
	commits(&fake, "{'seq':2,'state':0,'cancel':[8589934594]}");
	fake_end(&fake);
}

static void
refused_commit_ends_the_server_with_its_words(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','id':%d,'error':{'code':75,'message':'the disk is full'}}",
	    (int)fake_hears_request(&fake, "commit", NULL));
	fake_hears_log(&fake, "terminate the disk is full 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'the disk is full'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
state_that_is_refused_or_fits_no_line_is_state_too_large(void **state)
{
	struct fake fake;
	char *script = malloc(1100100);

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true}");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','id':%d,'error':{'code':2,'message':'state_too_large'}}",
	    (int)fake_hears_request(&fake, "commit", NULL));
	fake_hears_log(&fake, "terminate state_too_large 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'state_too_large'}}");
	assert_int_equal(fake_ended(&fake), 0);
	start(&fake);
	snprintf(script, 1100100, "{'quiet':true,'do':[['set','%01050000d']]}", 0);
	cast_seq(&fake, 1, script);
	fake_hears_log(&fake, "state_too_large: 1050073 bytes, and a line has at most"
			      " 1048576");
	json_decref(fake_next(&fake)); /* terminate, with all that state */
	fake_hears(&fake, "{'method':'stop','params':{'reason':'state_too_large'}}");
	assert_int_equal(fake_ended(&fake), 0);
	free(script);
}

static void
dump_without_a_state_ends_the_server(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true,'do':[['set','none'],['cast','a',1]]}");
	fake_hears_log(&fake, "terminate dump gave no state \"none\"");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'dump gave no state'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
stop_terminates_then_commits(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'verb':'stop','reason':'done','reply':'bye',"
			    "'do':[['set',[['cast','heir','yours']]]]}");
	fake_hears_log(&fake, "terminate done [[\"cast\",\"heir\",\"yours\"]]");
	commits(&fake, "{'seq':null,'state':[['cast','heir','yours']],"
		       "'reply':[{'id':1,'result':'bye'}],"
		       "'cast':[{'to':'heir','message':'yours'}]}");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'done'}}");
	assert_int_equal(fake_ended(&fake), 0);
	start(&fake);
	cast_seq(&fake, 5, "{'quiet':true,'verb':'stop','reason':'done'}");
	fake_hears_log(&fake, "terminate done 0");
	commits(&fake, "{'seq':5,'state':0}");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'done'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
failed_callback_commits_nothing(void **state) /* case 23 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	cast_seq(&fake, 5, "{'quiet':true,'verb':'ok','do':[['set',9],['cast','a',1]]}");
	fake_hears_log(&fake, "terminate {\"bad_return_value\":\"ok in handle_cast\"} 9");
	fake_hears(&fake,
	    "{'method':'stop','params':{'reason':{'bad_return_value':'ok in handle_cast'}}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
terminate_commits_only_what_it_issues(void **state)
{
	struct fake fake;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fake_start_durable(&fake, "{}", i == 0 ? "1" : "[['cast','heir',1]]");
		fake_hears(&fake, RUNNING);
		fake_say(&fake, "{'jsonrpc':'2.0','id':'t','method':'terminate',"
				"'params':{'reason':'shutdown'}}");
		fake_hears_log(&fake, i == 0
			? "terminate shutdown 1"
			: "terminate shutdown [[\"cast\",\"heir\",1]]");
		if (i == 1)
			commits(&fake, "{'seq':null,'state':[['cast','heir',1]],"
				       "'cast':[{'to':'heir','message':1}]}");
		fake_hears(&fake, "{'id':'t','result':true}");
		assert_int_equal(fake_ended(&fake), 0);
	}
}

static void
messages_that_await_took_are_committed_too(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	cast_seq(&fake, 1, "{'quiet':true,'do':[['await',12,-1]]}");
	fake_say(&fake, "{'jsonrpc':'2.0','method':'info','params':{'seq':2,'message':"
			"{'task':12,'result':5}}}\n"
			"{'jsonrpc':'2.0','method':'info','params':{'seq':3,'message':"
			"{'down':12,'ref':12,'reason':'normal'}}}");
	fake_hears_log(&fake, "await: 5");
	commits(&fake, "{'seq':1,'state':0}");
	commits(&fake, "{'seq':2,'state':0}");
	commits(&fake, "{'seq':3,'state':0}");
	fake_end(&fake);
}

static void
end_of_the_stream_leaves_what_waits_for_the_next_life(void **state)
{
	struct fake fake;

	(void)state;
	for (int traps = 0; traps < 2; traps++) {
		fake_start_durable(&fake, "{}", "0");
		fake_hears(&fake, RUNNING);
		if (traps) {
			cast_seq(&fake, 1, "{'quiet':true,'do':[['trap_exit',true]]}");
			fake_hears(&fake, "{'method':'trap_exit','params':{'on':true}}");
			commits(&fake, "{'seq':1,'state':0}");
		}
		cast_seq(&fake, 2, "'two'");
		cast_seq(&fake, 3, "'three'");
		fake_hears_log(&fake, "cast \"two\"");
		fake_hears_request(&fake, "commit", "{'seq':2,'state':0}");
		shutdown(fake.fd, SHUT_WR);
		if (traps) {
			fake_hears_log(&fake, "terminate killed 0");
			fake_hears(&fake, "{'method':'stop','params':{'reason':'killed'}}");
		}
		assert_int_equal(fake_ended(&fake), 70);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_of_a_new_server_is_committed),
		cmocka_unit_test(load_takes_the_state_that_was_committed),
		cmocka_unit_test(reply_that_nobody_can_hold_is_an_error_to_the_caller),
		cmocka_unit_test(behaviour_without_dump_and_load_is_not_durable),
		cmocka_unit_test(all_that_a_callback_issues_is_one_commit),
		cmocka_unit_test(next_message_waits_for_the_commit),
		cmocka_unit_test(calls_infos_timeouts_and_continues_are_committed),
		cmocka_unit_test(late_and_error_replies_are_committed),
		cmocka_unit_test(call_out_of_a_durable_callback_goes_at_once),
		cmocka_unit_test(
		    timers_of_a_callback_can_be_read_and_cancelled_before_the_commit),
		cmocka_unit_test(refused_commit_ends_the_server_with_its_words),
		cmocka_unit_test(state_that_is_refused_or_fits_no_line_is_state_too_large),
		cmocka_unit_test(dump_without_a_state_ends_the_server),
		cmocka_unit_test(stop_terminates_then_commits),
		cmocka_unit_test(failed_callback_commits_nothing),
		cmocka_unit_test(terminate_commits_only_what_it_issues),
		cmocka_unit_test(messages_that_await_took_are_committed_too),
		cmocka_unit_test(end_of_the_stream_leaves_what_waits_for_the_next_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
