/* messages: the mailbox of a durable server as people see it, and what was set aside of it. */

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/system.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"

static void
begin(struct instance *instance)
{
	instance_init(instance);
	instance_start(instance, NULL);
	expect(jobberd(instance, "start", "--durable", "--max-redeliveries", "0", "c", "--",
		   COUNTER, NULL), 0, "1\n", NULL);
}

/* Set aside: message 1, a cast; it is committed that there is none any more behind it. */
static void
crash_over_one(struct instance *instance)
{
	expect(jobberd(instance, "cast", "c", "crash", NULL), 0, "", NULL);
	instance_expect(instance, "ready attempt=2");
	assert_int_equal(sql_number(instance, "SELECT dead FROM server_list"), 1);
}

static void
mailbox_is_listed_in_order_with_nothing_running(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	expect(jobberd(&i, "messages", "-o", "seq,kind,deliveries,message", "c", NULL), 0,
	    "SEQ\tKIND\tDELIVERIES\tMESSAGE\n", NULL);
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	expect(jobberd(&i, "send", "c", "{\"a\": [1, \"x\"]}", NULL), 0, "", NULL);
	expect(jobberd(&i, "messages", "-Ho", "seq,kind,deliveries,message", "c", NULL), 0,
	    "1\tcast\t0\t[\"slow\",60000]\n2\tinfo\t0\t{\"a\":[1,\"x\"]}\n", NULL);
	instance_kill_keeper(&i);
	expect(jobberd(&i, "messages", "-Ho", "message", "c", NULL), 0,
	    "[\"slow\",60000]\n{\"a\":[1,\"x\"]}\n", NULL);
	expect(jobberd(&i, "messages", "--json", "-o", "seq,message", "1", NULL), 0,
	    "[\n{\"seq\":1,\"message\":[\"slow\",60000]}\n"
	    ",{\"seq\":2,\"message\":{\"a\":[1,\"x\"]}}\n]\n", NULL);
	expect(jobberd(&i, "messages", "--dead", "-H", "c", NULL), 0, "", NULL);
	expect(jobberd(&i, "messages", "retry", "1", NULL), 3, "", "supervise");
	instance_start(&i, NULL);
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
}

static void
message_set_aside_is_listed_with_its_reason_and_put_back(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	crash_over_one(&i);
	expect(jobberd(&i, "messages", "-H", "c", NULL), 0, "", NULL);
	expect(jobberd(&i, "messages", "--dead", "-Ho", "seq,deliveries,reason,message", "c",
		   NULL), 0, "1\t1\tkilled by SIGABRT\t\"crash\"\n", NULL);
	/* It is given to the server that runs, which crashes over it anew. */
	expect(jobberd(&i, "messages", "retry", "1", NULL), 0, "", NULL);
	instance_expect(&i, "ready attempt=3");
	expect(jobberd(&i, "messages", "--dead", "-Ho", "seq,deliveries,message", "c", NULL), 0,
	    "2\t1\t\"crash\"\n", NULL);
	expect(jobberd(&i, "messages", "retry", "1", NULL), 4, "", "there is no message 1");
	expect(jobberd(&i, "messages", "--json", "drop", "2", NULL), 0,
	    "[\n {\n  \"seq\": 2,\n  \"id\": 1\n }\n]\n", NULL);
	expect(jobberd(&i, "messages", "--dead", "-H", "c", NULL), 0, "", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM messages"), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE job_id = 1 AND "
		"(event, detail) IN (VALUES ('message put back', '1 as 2'), "
		"('message dropped', '2'))"), 2);
	expect(jobberd(&i, "cast", "c", "add", "3", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "3\n", NULL);
	instance_finish(&i);
}

static void
message_put_back_and_a_drop_outlive_all(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	crash_over_one(&i);
	expect(jobberd(&i, "stop", "c", NULL), 0, "", NULL);
	expect(jobberd(&i, "messages", "retry", "1", NULL), 0, "", NULL);
	instance_kill_keeper(&i);
	expect(jobberd(&i, "messages", "-Ho", "seq,deliveries,message", "c", NULL), 0,
	    "2\t0\t\"crash\"\n", NULL);
	instance_start(&i, NULL);
	expect(jobberd(&i, "start", "c", NULL), 0, "1\n", NULL);
	instance_expect(&i, "ready attempt=4"); /* 3 has crashed over it */
	expect(jobberd(&i, "messages", "drop", "2", NULL), 0, "", NULL);
	instance_kill_keeper(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM messages"), 0);
	instance_start(&i, NULL);
	instance_finish(&i);
}

static void
what_was_not_set_aside_is_neither_retried_nor_dropped(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	crash_over_one(&i);
	expect(jobberd(&i, "cast", "c", "tick", "3600000", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "0\n", NULL);
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	expect(jobberd(&i, "messages", "drop", "4", NULL), 5, "",
	    "message 4 waits in the mailbox of job 1: it was not set aside");
	expect(jobberd(&i, "messages", "retry", "4", NULL), 5, "", "was not set aside");
	expect(jobberd(&i, "messages", "drop", "3", NULL), 5, "", "message 3 is a timer");
	/* What can be done is, and the status tells of the first that cannot. */
	expect(jobberd(&i, "messages", "drop", "9", "1", "4", NULL), 4, "", "no message 9");
	expect(jobberd(&i, "messages", "-Ho", "seq", "c", NULL), 0, "4\n", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM messages"), 2);
	expect(jobberd(&i, "cancel", "1", NULL), 0, "", NULL);
	instance_finish(&i);
}

static void
messages_refuses_what_has_no_mailbox_on_disk(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	expect(jobberd(&i, "messages", "c", NULL), 4, "", "there is no job");
	instance_start(&i, NULL);
	expect(jobberd(&i, "start", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
	submit_job(&i, "--name", "command", "--", "true", NULL);
	expect(jobberd(&i, "messages", "c", NULL), 5, "", "job 1 is not durable");
	expect(jobberd(&i, "messages", "command", NULL), 5, "", "a command, not a server");
	expect(jobberd(&i, "messages", "c", "1", NULL), 2, "", "either one NAME");
	expect(jobberd(&i, "messages", "drop", "x", NULL), 2, "", "not the number");
	expect(jobberd(&i, "messages", "--dead", "drop", "1", NULL), 2, "", "--dead");
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox_is_listed_in_order_with_nothing_running),
		cmocka_unit_test(message_set_aside_is_listed_with_its_reason_and_put_back),
		cmocka_unit_test(message_put_back_and_a_drop_outlive_all),
		cmocka_unit_test(what_was_not_set_aside_is_neither_retried_nor_dropped),
		cmocka_unit_test(messages_refuses_what_has_no_mailbox_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
