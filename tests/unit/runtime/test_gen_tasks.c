/* gen_tasks: jobs of a server, and how it waits for those that are tasks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/outside.h"

#include <stdio.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"

static void
start(struct fake *fake)
{
	fake_start_puppet(fake, "{}");
	fake_hears(fake, RUNNING);
}

static void
does(struct fake *fake, const char *step)
{
	char script[400];

	snprintf(script, sizeof(script), "{'quiet':true,'do':[%s]}", step);
	fake_cast(fake, script);
}

static void
jobs_are_started_by_the_supervisor(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['start_job',{'command':['true']}],['start_job',5],"
		    "['async',{'command':[]}],['async',{'command':['x']}]");
	fake_result(&fake, fake_hears_request(&fake, "start_job", "{'command':['true']}"),
	    "{'id':12}");
	fake_hears_log(&fake, "start_job: 12");
	fake_hears_log(&fake, "start_job: error (a job is an object)");
	fake_say(&fake, "{'jsonrpc':'2.0','id':%d,'error':{'code':2,'message':'no command'}}",
	    (int)fake_hears_request(&fake, "async", "{'command':[]}"));
	fake_hears_log(&fake, "async: error (no command)");
	fake_result(&fake, fake_hears_request(&fake, "async", NULL), "{}");
	fake_hears_log(&fake, "async: error (the supervisor gave no id)");
	fake_end(&fake);
}

static void
end_of_a_task_comes_as_two_infos(void **state) /* cases 191, 192 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_info(&fake, "{'task':12,'result':{'pages':3}}");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'normal'}");
	fake_hears_log(&fake, "info {\"result\":{\"pages\":3},\"task\":12}");
	fake_hears_log(&fake, "info {\"down\":12,\"reason\":\"normal\",\"ref\":12}");
	fake_end(&fake);
}

static void
await_gives_the_result_and_no_message_is_left(void **state) /* case 186 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['whereis','barrier'],['await',12,10000]");
	fake_result(&fake, fake_hears_request(&fake, "whereis", NULL), "{'id':null}");
	fake_hears_log(&fake, "whereis: 0");
	fake_info(&fake, "{'down':13,'ref':13,'reason':'normal'}");
	fake_info(&fake, "{'task':12,'result':'v'}");
	fake_hears_log(&fake, "await: \"v\"");
	fake_hears_log(&fake, "info {\"down\":13,\"reason\":\"normal\",\"ref\":13}");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'normal'}");
	fake_info(&fake, "'next'");
	fake_hears_log(&fake, "info \"next\"");
	/* only once is it dropped */
	fake_info(&fake, "{'down':12,'ref':12,'reason':'again'}");
	fake_hears_log(&fake, "info {\"down\":12,\"reason\":\"again\",\"ref\":12}");
	fake_hears_handled(&fake, 6);
	fake_end(&fake);
}

static void
await_of_a_task_that_failed_says_how(void **state) /* cases 193, 196 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['await',12,-1]");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'exit:3'}");
	fake_hears_log(&fake, "await: exit (exit:3)");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
await_that_was_too_short_may_be_repeated(void **state) /* case 196 */
{
	struct fake fake;
	int64_t before = now_ms();

	(void)state;
	start(&fake);
	does(&fake, "['await',12,20],['await',12,0],['await',12,-1]");
	fake_hears_log(&fake, "await: timeout (timeout)");
	assert_between(now_ms() - before, 20, 10000);
	fake_hears_log(&fake, "await: timeout (timeout)");
	fake_info(&fake, "{'task':12,'result':null}");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'normal'}");
	fake_hears_log(&fake, "await: null");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
second_await_of_a_result_times_out(void **state) /* case 200 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['await',12,-1],['await',12,10]");
	fake_info(&fake, "{'task':12,'result':1}");
	fake_hears_log(&fake, "await: 1");
	fake_hears_log(&fake, "await: timeout (timeout)");
	fake_end(&fake);
}

static void
shutdown_of_a_task_gives_what_it_had(void **state) /* cases 197, 198 */
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	does(&fake, "['shutdown_task',12]");
	fake_result(&fake, fake_hears_request(&fake, "shutdown_task", "{'id':12}"), "true");
	fake_hears_log(&fake, "shutdown_task: ended now");
	does(&fake, "['shutdown_task',13]");
	id = fake_hears_request(&fake, "shutdown_task", "{'id':13}");
	fake_info(&fake, "{'task':13,'result':7}");
	fake_info(&fake, "{'down':13,'ref':13,'reason':'normal'}");
	fake_result(&fake, id, "false");
	fake_hears_log(&fake, "shutdown_task: 7");
	does(&fake, "['shutdown_task',14]");
	id = fake_hears_request(&fake, "shutdown_task", "{'id':14}");
	fake_info(&fake, "{'down':14,'ref':14,'reason':'signal:SEGV'}");
	fake_result(&fake, id, "false");
	fake_hears_log(&fake, "shutdown_task: exit (signal:SEGV)");
	does(&fake, "['shutdown_task',15]");
	fake_result(&fake, fake_hears_request(&fake, "shutdown_task", "{'id':15}"), "false");
	fake_hears_log(&fake, "shutdown_task: noproc (noproc)");
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

/* ---- links ---- */

static void
failure_of_a_linked_task_ends_the_server_at_once(void **state) /* case 194 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['link_task',12],['link_task',13]");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'normal'}");
	fake_hears_log(&fake, "info {\"down\":12,\"reason\":\"normal\",\"ref\":12}");
	/* It waits in a callback; there is no terminate, and nothing else is handled. */
	does(&fake, "['whereis','barrier']");
	fake_hears_request(&fake, "whereis", NULL);
	fake_info(&fake, "'before'");
	fake_info(&fake, "{'down':13,'ref':13,'reason':'exit:3'}");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'exit:3'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
linked_task_that_was_quicker_than_the_link_counts(void **state) /* case 194 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['whereis','barrier'],['link_task',12]");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'signal:SEGV'}");
	fake_result(&fake, fake_hears_request(&fake, "whereis", NULL), "{'id':null}");
	fake_hears_log(&fake, "whereis: 0");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'signal:SEGV'}}");
	assert_int_equal(fake_ended(&fake), 0);
}

static void
server_that_traps_exits_gets_an_exit_notice_and_a_death_notice(void **state) /* case 190 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	fake_cast(&fake, "{'quiet':true,'do':[['trap_exit',true],['link_task',12]]}");
	fake_hears(&fake, "{'method':'trap_exit','params':{'on':true}}");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'exit:3'}");
	fake_hears_log(&fake, "info {\"exit\":12,\"reason\":\"exit:3\"}");
	fake_hears_log(&fake, "info {\"down\":12,\"reason\":\"exit:3\",\"ref\":12}");
	/* What nobody sent is not counted. */
	fake_hears_handled(&fake, 2);
	fake_hears_nothing(&fake);
	fake_end(&fake);
}

static void
task_that_was_shut_down_is_linked_no_more(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['link_task',12],['shutdown_task',12]");
	fake_result(&fake, fake_hears_request(&fake, "shutdown_task", "{'id':12}"), "true");
	fake_hears_log(&fake, "shutdown_task: ended now");
	fake_info(&fake, "{'down':12,'ref':12,'reason':'cancelled'}");
	fake_hears_log(&fake, "info {\"down\":12,\"reason\":\"cancelled\",\"ref\":12}");
	fake_end(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_are_started_by_the_supervisor),
		cmocka_unit_test(end_of_a_task_comes_as_two_infos),
		cmocka_unit_test(await_gives_the_result_and_no_message_is_left),
		cmocka_unit_test(await_of_a_task_that_failed_says_how),
		cmocka_unit_test(await_that_was_too_short_may_be_repeated),
		cmocka_unit_test(second_await_of_a_result_times_out),
		cmocka_unit_test(shutdown_of_a_task_gives_what_it_had),
		cmocka_unit_test(failure_of_a_linked_task_ends_the_server_at_once),
		cmocka_unit_test(linked_task_that_was_quicker_than_the_link_counts),
		cmocka_unit_test(server_that_traps_exits_gets_an_exit_notice_and_a_death_notice),
		cmocka_unit_test(task_that_was_shut_down_is_linked_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
