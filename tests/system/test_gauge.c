/* gauge: mailboxes in memory and the time of the last message, as the database tells them. */

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define SECOND 1000
#define ROUNDING 2 /* of two clocks, in milliseconds */
#define MAILBOX "SELECT mailbox FROM server_list"
#define LAST "SELECT last_message_at FROM servers"

static void
expect(struct result result, int status, const char *out)
{
	if (result.status != status || strcmp(result.out, out) != 0)
		fail_msg("exit %d, \"%s\", \"%s\" instead of %d, \"%s\"", result.status,
		    result.out, result.err, status, out);
	result_done(&result);
}

/* The server has said what it has handled: its mailbox is counted from now on. */
static void
begin(struct instance *i, const char *option)
{
	instance_init(i);
	instance_start(i, NULL);
	expect(jobberd(i, "start", option, "c", "--", COUNTER, NULL), 0, "1\n");
	assert_int_equal(sql_number(i, "SELECT last_message_at IS NULL FROM servers"), 1);
	expect(jobberd(i, "call", "c", "get", NULL), 0, "0\n");
	let_pass(i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(i, MAILBOX), 0);
	assert_between(sql_number(i, LAST), wall_ms() - 60 * SECOND, wall_ms());
}

static void
mailbox_in_memory_is_told_within_a_second_and_once_after_the_last_message(void **state)
{
	struct instance i;
	int64_t from, to;

	(void)state;
	begin(&i, "--once");
	from = wall_ms();
	expect(jobberd(&i, "cast", "c", "slow", "4000", NULL), 0, "");
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "");
	expect(jobberd(&i, "send", "c", "add", NULL), 0, "");
	to = wall_ms();
	let_pass(&i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(&i, MAILBOX), 3);
	assert_between(sql_number(&i, LAST), from - ROUNDING, to + ROUNDING);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "2\n");
	let_pass(&i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(&i, MAILBOX), 0);
	assert_sleeps(&i, 3 * SECOND);
	instance_finish(&i);
}

static void
gauge_is_written_at_most_once_a_second_however_many_messages_come(void **state)
{
	struct instance i;
	int64_t until, seen = 0, last = 0;

	(void)state;
	begin(&i, "--once");
	for (until = now_ms() + 3 * SECOND; now_ms() < until;) {
		int64_t now;

		expect(jobberd(&i, "cast", "c", "add", NULL), 0, "");
		now = sql_number(&i, LAST);
		seen += now != last;
		last = now;
	}
	assert_between(seen, 2, 5); /* the one before among them */
	instance_finish(&i);
}

static void
mailbox_in_memory_is_empty_when_its_server_has_ended(void **state)
{
	struct instance i;
	int64_t from;

	(void)state;
	begin(&i, "--once");
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "");
	let_pass(&i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(&i, MAILBOX), 1);
	from = wall_ms();
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "");
	expect(jobberd(&i, "cancel", "1", NULL), 0, "");
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(sql_number(&i, MAILBOX), 0);
	assert_between(sql_number(&i, LAST), from - ROUNDING, wall_ms() + ROUNDING);
	instance_finish(&i);
}

static void
last_message_of_a_durable_server_is_told_at_once(void **state)
{
	struct instance i;
	int64_t from;

	(void)state;
	begin(&i, "--durable");
	from = wall_ms();
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "");
	assert_between(sql_number(&i, LAST), from, wall_ms());
	assert_int_equal(sql_number(&i, "SELECT mailbox FROM servers"), 0);
	assert_int_equal(sql_number(&i, MAILBOX), 1);
	expect(jobberd(&i, "cancel", "1", NULL), 0, "");
	instance_finish(&i);
}

/* What it handled was sent by the supervisor process before this one. */
static void
mailbox_is_counted_through_a_crash_of_the_supervisor_process(void **state)
{
	struct instance i;

	(void)state;
	begin(&i, "--once");
	expect(jobberd(&i, "cast", "c", "slow", "3000", NULL), 0, "");
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "");
	let_pass(&i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(&i, MAILBOX), 2);
	instance_kill_supervisor(&i);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "1\n");
	let_pass(&i, SECOND + 500 * SLOWNESS);
	assert_int_equal(sql_number(&i, MAILBOX), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM events WHERE "
					"event = 'message not understood'"), 0);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    mailbox_in_memory_is_told_within_a_second_and_once_after_the_last_message),
		cmocka_unit_test(
		    gauge_is_written_at_most_once_a_second_however_many_messages_come),
		cmocka_unit_test(mailbox_in_memory_is_empty_when_its_server_has_ended),
		cmocka_unit_test(last_message_of_a_durable_server_is_told_at_once),
		cmocka_unit_test(mailbox_is_counted_through_a_crash_of_the_supervisor_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
