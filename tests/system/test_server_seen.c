/* server_seen: servers as list, show and why tell of them, and their states. */

#include "support/helper.h"
#include "support/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"

/* Something that knows calls and nothing else. */
static const char simple[] =
    "while read -r line <&3; do case $line in"
    " *'\"init\"'*) echo '{\"jsonrpc\":\"2.0\",\"id\":\"init\",\"result\":{\"ok\":true}}' >&3;;"
    " *'\"state\"'*) id=${line#*'\"id\":\"'}; echo '{\"jsonrpc\":\"2.0\",\"id\":\"'${id%%'\"'*}'\","
    "\"error\":{\"code\":-32601,\"message\":\"there is no such method\"}}' >&3;;"
    " esac; done";

static void
expect_part(struct result result, const char *part)
{
	assert_int_equal(result.status, 0);
	assert_has(result.out, part);
	result_done(&result);
}

static void
begin(struct instance *instance)
{
	instance_init(instance);
	instance_start(instance, NULL);
	expect(jobberd(instance, "start", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
}

static void
list_counts_starts_and_tells_servers_from_commands(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	assert_int_equal(submit_job(&i, "--name", "job", "--", "true", NULL), 2);
	assert_int_equal(wait_job(&i, 2), 0);
	expect(jobberd(&i, "list", "-Ho", "id,name,kind,try,status,why", NULL), 0,
	    "1\tc\tserver\t1\trunning\t\n2\tjob\tcommand\t1/4\tdone\t\n", NULL);
	expect(jobberd(&i, "list", "--kind", "server", "-Ho", "id", NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "list", "--kind", "command", "-Ho", "id", NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "list", "--kind", "daemon", NULL), 2, "",
	    "none of server, message and command");
	expect(jobberd(&i, "cast", "c", "crash", NULL), 0, "", NULL);
	instance_expect(&i, "ready attempt=2");
	expect(jobberd(&i, "list", "--live", "-Ho", "try,status,restarts,restart,durable", NULL), 0,
	    "2\trunning\t1\ttransient\t0\n", NULL);
	expect_part(jobberd(&i, "list", "--json", NULL), "\"restarts\":1");
	instance_finish(&i);
}

static void
show_tells_what_a_server_has_that_a_command_has_not(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	begin(&i);
	result = jobberd(&i, "show", "c", NULL);
	assert_int_equal(result.status, 0);
	assert_has(result.out, "kind:            server, transient\n");
	assert_has(result.out, "restarts:        0\n");
	assert_has(result.out, "mailbox:         0 messages\n");
	assert_null(strstr(result.out, "tries:"));
	assert_null(strstr(result.out, "stdin:"));
	assert_null(strstr(result.out, "backoff:"));
	result_done(&result);
	expect(jobberd(&i, "start", "--durable", "--restart", "permanent", "d", "--", COUNTER,
		   NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "cast", "d", "slow", "60000", NULL), 0, "", NULL);
	result = jobberd(&i, "show", "d", NULL);
	assert_has(result.out, "kind:            durable server, permanent\n");
	assert_has(result.out, "mailbox:         1 message\n");
	result_done(&result);
	expect_part(jobberd(&i, "why", "d", NULL), ", 1 message waits\n");
	expect_part(jobberd(&i, "show", "--json", "d", NULL), "\"state\":0,");
	submit_job(&i, "--name", "job", "--hold", "--", "true", NULL);
	result = jobberd(&i, "show", "job", NULL);
	assert_null(strstr(result.out, "kind:"));
	assert_null(strstr(result.out, "restarts:"));
	assert_has(result.out, "tries:           0/4\n");
	result_done(&result);
	instance_finish(&i);
}

/* ---- why ---- */

static void
why_says_how_a_server_has_ended(void **state)
{
	struct instance i;
	char line[32];

	(void)state;
	begin(&i);
	for (int attempt = 2; attempt <= 5; attempt++) {
		expect(jobberd(&i, "cast", "c", "crash", NULL), 0, "", NULL);
		snprintf(line, sizeof(line),
		    attempt <= 4 ? "ready attempt=%d" : "exiting status=failed", attempt);
		instance_expect(&i, line);
	}
	expect(jobberd(&i, "why", "c", NULL), 0,
	    "failed: restarted too often, last killed by SIGABRT\n", NULL);
	expect(jobberd(&i, "start", "-n", "x", "w", "--", COUNTER, NULL), 2, "", NULL);
	expect(jobberd(&i, "start", "--restart", "temporary", "w", "--", COUNTER, NULL), 0, "2\n",
	    NULL);
	expect(jobberd(&i, "call", "w", "stop", "tired of it", NULL), 0, "\"stopping\"\n", NULL);
	expect(jobberd(&i, "wait", "w", NULL), 1, "", "job 2: failed, tired of it");
	expect(jobberd(&i, "why", "w", NULL), 0, "failed: tired of it\n", NULL);
	expect(jobberd(&i, "start", "i", "--", COUNTER, "ignore", NULL), 1, "3\n", NULL);
	expect(jobberd(&i, "list", "--name", "i", "-Ho", "status,why", NULL), 0,
	    "done\tnot wanted, its init says\n", NULL);
	instance_finish(&i);
}

static void
why_says_that_init_has_not_answered(void **state)
{
	struct instance i;
	struct helper starter;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	helper_jobberd(&starter, &i, NULL, "start", "s", "--", "sleep", "60", NULL);
	instance_expect(&i, "started attempt=1");
	expect(jobberd(&i, "why", "s", NULL), 0, "its init has not answered yet\n", NULL);
	instance_stop(&i);
	assert_int_equal(helper_wait(&starter), 70);
	helper_end(&starter);
	expect(jobberd(&i, "why", "s", NULL), 0,
	    "interrupted by shutdown; nothing runs it\n", NULL);
	instance_done(&i);
}

/* ---- show --state: case 287 ---- */

static void
state_of_a_server_is_read_from_outside(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	expect(jobberd(&i, "cast", "c", "add", "7", NULL), 0, "", NULL);
	expect(jobberd(&i, "show", "--state", "c", NULL), 0, "7\n", NULL);
	expect(jobberd(&i, "show", "--state", "1", NULL), 0, "7\n", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "7\n", NULL);
	expect(jobberd(&i, "stop", "c", NULL), 0, "", NULL);
	expect(jobberd(&i, "show", "--state", "c", NULL), 4, "", "noproc");
	expect(jobberd(&i, "start", "s", "--", "bash", "-c", simple, NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "show", "--state", "s", NULL), 1, "", "there is no such method");
	submit_job(&i, "--name", "job", "--hold", "--", "true", NULL);
	expect(jobberd(&i, "show", "--state", "job", NULL), 5, "", "a command, not a server");
	expect(jobberd(&i, "show", "--state", "nobody", NULL), 4, "", "there is no job nobody");
	instance_finish(&i);
}

static void
state_of_a_durable_server_is_what_it_has_committed(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(jobberd(&i, "start", "--durable", "c", "--", COUNTER, NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "call", "c", "add", "7", NULL), 0, "7\n", NULL);
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	expect(jobberd(&i, "show", "--state", "c", NULL), 0, "7\n", NULL);
	instance_kill_keeper(&i);
	expect(jobberd(&i, "show", "--state", "c", NULL), 0, "7\n", NULL);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_counts_starts_and_tells_servers_from_commands),
		cmocka_unit_test(show_tells_what_a_server_has_that_a_command_has_not),
		cmocka_unit_test(why_says_how_a_server_has_ended),
		cmocka_unit_test(why_says_that_init_has_not_answered),
		cmocka_unit_test(state_of_a_server_is_read_from_outside),
		cmocka_unit_test(state_of_a_durable_server_is_what_it_has_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
