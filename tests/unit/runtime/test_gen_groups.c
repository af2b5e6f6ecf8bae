/* gen_groups: what a server says to groups and of its own, and what it makes of answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"

#include <stdio.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"

static void
does(struct fake *fake, const char *step)
{
	char script[400];

	snprintf(script, sizeof(script), "{'quiet':true,'do':[%s]}", step);
	fake_cast(fake, script);
}

static void
start(struct fake *fake)
{
	fake_start_puppet(fake, "{}");
	fake_hears(fake, RUNNING);
}

static void
multi_call_gives_replies_and_the_bad(void **state) /* case 116 */
{
	struct fake fake;
	int64_t id;

	(void)state;
	start(&fake);
	does(&fake, "['multi_call','web',['add',5]]");
	id = fake_hears_request(
	    &fake, "call", "{'group':'web','message':['add',5],'timeout_ms':5000}");
	fake_cast(&fake, "'meanwhile'");
	fake_result(&fake, id, "{'replies':{'a':7},'bad':['b']}");
	fake_hears_log(&fake, "multi_call: [{\"a\":7},[\"b\"]]");
	fake_hears_log(&fake, "cast \"meanwhile\"");
	fake_end(&fake);
}

static void
multi_call_passes_its_limit_on(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['multi_call','web',null,-1],['multi_call','web',1,-7]");
	fake_result(&fake,
	    fake_hears_request(
		&fake, "call", "{'group':'web','message':null,'timeout_ms':null}"),
	    "{'replies':{},'bad':[]}");
	fake_hears_log(&fake, "multi_call: [{},[]]");
	fake_hears_log(&fake, "multi_call: error (a negative timeout)");
	fake_end(&fake);
}

static void
abcast_goes_out_at_once(void **state) /* case 118 */
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['abcast','web',{'a':[]}],['call','x',1]");
	fake_hears(&fake, "{'method':'cast','params':{'group':'web','message':{'a':[]}}}");
	fake_hears_request(&fake, "call", NULL);
	fake_end(&fake);
}

static void
durable_server_commits_its_abcast(void **state)
{
	struct fake fake;

	(void)state;
	fake_start_durable(&fake, "{}", "1");
	fake_hears(&fake, RUNNING);
	fake_say(&fake, "{'jsonrpc':'2.0','method':'cast','params':{'seq':5,'message':"
			"{'quiet':true,'do':[['abcast','web',7]]}}}");
	fake_result(&fake,
	    fake_hears_request(&fake, "commit",
		"{'seq':5,'state':1,'cast':[{'group':'web','message':7}]}"),
	    "true");
	fake_end(&fake);
}

static void
join_and_leave_wait_for_their_answers(void **state)
{
	struct fake fake;

	(void)state;
	start(&fake);
	does(&fake, "['join','web'],['leave','web'],['join','9']");
	fake_result(&fake, fake_hears_request(&fake, "join", "{'group':'web'}"), "true");
	fake_hears_log(&fake, "join: true");
	fake_result(&fake, fake_hears_request(&fake, "leave", "{'group':'web'}"), "true");
	fake_hears_log(&fake, "leave: true");
	fake_say(&fake,
	    "{'jsonrpc':'2.0','id':%d,'error':{'code':-32602,'message':'group is not a name'}}",
	    (int)fake_hears_request(&fake, "join", "{'group':'9'}"));
	fake_hears_log(&fake, "join: error (group is not a name)");
	fake_end(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multi_call_gives_replies_and_the_bad),
		cmocka_unit_test(multi_call_passes_its_limit_on),
		cmocka_unit_test(abcast_goes_out_at_once),
		cmocka_unit_test(durable_server_commits_its_abcast),
		cmocka_unit_test(join_and_leave_wait_for_their_answers),
	};

	return cmocka_run_group_tests_name("gen_groups", tests, NULL, NULL);
}
