/* gen_calls, gen_timers, gen_seen: what a server says to others, and what it makes of answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/outside.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"

static void
start(struct fake *fake)
{
	fake_start_puppet(fake, "{}");
	fake_hears(fake, RUNNING);
}

/* Let it do this step in a cast. */
static void
does(struct fake *fake, const char *step)
{
	char script[400];

	snprintf(script, sizeof(script), "{'quiet':true,'do':[%s]}", step);
	fake_cast(fake, script);
}

static void
call_gives_the_reply_and_messages_wait_meanwhile(void **state) /* case 18 */
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	does(&fake, "['call','other',['add',5]]");
	id = fake_hears_request(
	    &fake, "call", "{'to':'other','message':['add',5],'timeout_ms':5000}"); /* case 34 */
	fake_cast(&fake, "'meanwhile'");
	fake_result(&fake, id, "{'sum':7}");
	fake_hears_log(&fake, "call: {\"sum\":7}");
	fake_hears_log(&fake, "cast \"meanwhile\"");
	fake_end(&fake);
}

static void
call_passes_its_limit_on(void **state) /* cases 35, 47, 51 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['call','other',1,0],['call','12',2,-1],['call','other',3,-7]");
	fake_result(&fake,
	    fake_hears_request(
		&fake, "call", "{'to':'other','message':1,'timeout_ms':0}"),
	    "null");
	fake_hears_log(&fake, "call: null");
	fake_result(&fake,
	    fake_hears_request(&fake, "call", "{'to':12,'message':2,'timeout_ms':null}"),
	    "null");
	fake_hears_log(&fake, "call: null");
	fake_hears_log(&fake, "call: error (a negative timeout)");
	fake_end(&fake);
}

static void
failed_call_says_why(void **state) /* cases 21, 35, 38, 39 */
{
	static const struct {
		int code;
		const char *message, *logged;
	} rows[] = {
		{ 4, "noproc", "call: noproc (noproc)" },
		{ 5, "calling_self", "call: calling_self (calling_self)" },
		{ 75, "overloaded", "call: overloaded (overloaded)" },
		{ 75, "restarting", "call: restarting (restarting)" },
		{ 124, "timeout", "call: timeout (timeout)" },
		{ 70, "signal:SEGV", "call: exit (signal:SEGV)" },
		{ 70, "normal", "call: exit (normal)" },
		{ 1, "full", "call: full (full)" },
		{ 1, "reply_too_large: 2 bytes",
		    "call: reply_too_large (reply_too_large: 2 bytes)" },
		{ 1, "Not a word", "call: error (Not a word)" },
		{ 1, "a_word_that_is_longer_than_there_is_room_for_it",
		    "call: error (a_word_that_is_longer_than_there_is_room_for_it)" },
		{ 1, "", "call: error ()" },
	};
	struct fake fake;

	(void)state;
	start(&fake);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		does(&fake, "['call','other',1]");
		fake_say(&fake,
		    "{'jsonrpc':'2.0','id':%d,"
		    "'error':{'code':%d,'message':'%s','data':[1]}}",
		    (int)fake_hears_request(&fake, "call", NULL), rows[i].code,
		    rows[i].message);
		fake_hears_log(&fake, rows[i].logged);
	}
	fake_end(&fake);
}

static void
late_and_strange_answers_are_dropped(void **state) /* case 36 */
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	does(&fake, "['call','other',1]");
	id = fake_hears_request(&fake, "call", NULL);
	fake_result(&fake, id + 1, "'not ours'");
	fake_say(&fake, "{'jsonrpc':'2.0','id':'%lld','result':'no string'}", (long long)id);
	fake_result(&fake, id, "'ours'");
	fake_result(&fake, id, "'twice'");
	fake_hears_log(&fake, "call: \"ours\"");
	does(&fake, "['call','other',2]");
	fake_result(&fake, id, "'old'");
	fake_result(&fake, fake_hears_request(&fake, "call", NULL), "'new'");
	fake_hears_log(&fake, "call: \"new\"");
	fake_end(&fake);
}

static void
call_fails_when_the_supervisor_is_gone(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['call','other',1]");
	fake_hears_request(&fake, "call", NULL);
	shutdown(fake.fd, SHUT_WR);
	fake_hears_log(&fake, "call: error (the supervisor is gone)");
	assert_int_equal(fake_ended(&fake), 70);
}

static void
casts_and_sends_go_out_at_once(void **state) /* case 52 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['cast','other',1],['send','33',{'a':[]}],['call','x',1]");
	fake_hears(&fake, "{'method':'cast','params':{'to':'other','message':1}}");
	fake_hears(&fake, "{'method':'send','params':{'to':33,'message':{'a':[]}}}");
	fake_hears_request(&fake, "call", NULL);
	fake_end(&fake);
}

static void
whereis_monitor_and_demonitor_ask(void **state) /* cases 96, 111 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['whereis','a'],['whereis','b'],['monitor','a'],['monitor','9']");
	fake_result(&fake, fake_hears_request(&fake, "whereis", "{'name':'a'}"), "{'id':4}");
	fake_hears_log(&fake, "whereis: 4");
	fake_result(&fake, fake_hears_request(&fake, "whereis", "{'name':'b'}"), "{'id':null}");
	fake_hears_log(&fake, "whereis: 0");
	fake_result(&fake, fake_hears_request(&fake, "monitor", "{'to':'a'}"), "{'ref':50}");
	fake_hears_log(&fake, "monitor: 50");
	fake_say(&fake, "{'jsonrpc':'2.0','id':%d,'error':{'code':75,'message':'overloaded'}}",
	    (int)fake_hears_request(&fake, "monitor", "{'to':9}"));
	fake_hears_log(&fake, "monitor: -1");
	fake_info(&fake, "{'down':4,'ref':50,'reason':'killed'}");
	fake_hears_log(&fake, "info {\"down\":4,\"reason\":\"killed\",\"ref\":50}");
	fake_end(&fake);
}

static void
demonitor_drops_news_that_waits(void **state)
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	does(&fake, "['demonitor',50]");
	id = fake_hears_request(&fake, "demonitor", "{'ref':50}");
	fake_info(&fake, "{'down':4,'ref':50,'reason':'killed'}");
	fake_info(&fake, "{'down':4,'ref':51,'reason':'killed'}");
	fake_result(&fake, id, "true");
	fake_hears_log(&fake, "info {\"down\":4,\"reason\":\"killed\",\"ref\":51}");
	fake_hears_handled(&fake, 3);
	fake_end(&fake);
}

/* ---- timers ---- */

static void
timers_are_the_supervisors(void **state) /* cases 64 to 67, 69 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['send_after',null,'tick',100],['send_after','other','tock',0],"
		    "['send_after',null,'never',-1],['send_after',null,'too many',1],"
		    "['read_timer',5],['cancel_timer',5],"
		    "['cancel_timer',5]");
	fake_result(&fake, fake_hears_request(&fake, "send_after", "{'message':'tick','ms':100}"),
	    "{'timer':5}");
	fake_hears_log(&fake, "send_after: 5");
	fake_result(&fake,
	    fake_hears_request(
		&fake, "send_after", "{'message':'tock','ms':0,'to':'other'}"),
	    "{'timer':6}");
	fake_hears_log(&fake, "send_after: 6");
	fake_hears_log(&fake, "send_after: -1");
	fake_say(&fake, "{'jsonrpc':'2.0','id':%d,'error':{'code':75,'message':'overloaded'}}",
	    (int)fake_hears_request(&fake, "send_after", NULL));
	fake_hears_log(&fake, "send_after: -1");
	fake_result(&fake, fake_hears_request(&fake, "read_timer", "{'timer':5}"), "90");
	fake_hears_log(&fake, "read_timer: 90");
	fake_result(&fake, fake_hears_request(&fake, "cancel_timer", "{'timer':5}"), "89");
	fake_hears_log(&fake, "cancel_timer: 89");
	fake_result(&fake, fake_hears_request(&fake, "cancel_timer", "{'timer':5}"), "false");
	fake_hears_log(&fake, "cancel_timer: -1");
	fake_end(&fake);
}

/* ---- what does not fit a line ---- */

static void
messages_that_are_too_large_are_errors_in_words(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['cast_long','other',1100000],['call_long','other',1100000]");
	fake_hears_log(&fake, "cast dropped: 1100071 bytes, and a line has at most 1048576");
	fake_hears_log(&fake, "call_long: too_large (too_large: 1100096 bytes, and a line has "
			      "at most 1048576)");
	does(&fake, "['call_long','other',1048000]");
	fake_result(&fake, fake_hears_request(&fake, "call", NULL), "1");
	fake_hears_log(&fake, "call_long: 1");
	fake_end(&fake);
}

static void
replies_that_are_too_large_are_errors_to_the_caller(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_call(&fake, 1, "{'quiet':true,'long_reply':1048576}");
	fake_hears(&fake,
	    "{'id':1,'error':{'code':1,'message':'reply_too_large: 1048613 bytes,"
	    " and a line has at most 1048576'}}");
	fake_call(&fake, 2, "{'quiet':true,'long_reply':1048000}");
	json_decref(fake_next(&fake));
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
large_answers_and_questions_cross(void **state)
{
	struct fake fake;
	char *line = malloc(900100);

	(void)state;
	start(&fake);
	/* Both write more than the socket holds, and neither waits for the other to read. */
	fake_cast(&fake, "{'quiet':true,'do':[['cast_long','a',900000],['cast_long','a',900000]]}");
	snprintf(line, 900100, "{'quiet':true,'x':'%0900000d'}", 0);
	fake_cast(&fake, line);
	fake_cast(&fake, line);
	json_decref(fake_next(&fake));
	json_decref(fake_next(&fake));
	fake_hears_nothing(&fake);
	fake_end(&fake);
	free(line);
}

/* ---- being seen ---- */

static void
progress_and_log_are_notifications(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['progress',0.5,'half'],['progress',1]");
	fake_hears(&fake, "{'method':'progress','params':{'fraction':0.5,'text':'half'}}");
	fake_hears(&fake, "{'method':'progress','params':{'fraction':1.0}}");
	fake_end(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_gives_the_reply_and_messages_wait_meanwhile),
		cmocka_unit_test(call_passes_its_limit_on),
		cmocka_unit_test(failed_call_says_why),
		cmocka_unit_test(late_and_strange_answers_are_dropped),
		cmocka_unit_test(call_fails_when_the_supervisor_is_gone),
		cmocka_unit_test(casts_and_sends_go_out_at_once),
		cmocka_unit_test(whereis_monitor_and_demonitor_ask),
		cmocka_unit_test(demonitor_drops_news_that_waits),
		cmocka_unit_test(timers_are_the_supervisors),
		cmocka_unit_test(messages_that_are_too_large_are_errors_in_words),
		cmocka_unit_test(replies_that_are_too_large_are_errors_to_the_caller),
		cmocka_unit_test(large_answers_and_questions_cross),
		cmocka_unit_test(progress_and_log_are_notifications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
