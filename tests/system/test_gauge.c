/* gauge: mailboxes in memory and the time of the last message, as the database tells them. */

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define SECOND 1000
#define TOLD_MS (SECOND + 500 * SLOWNESS)
#define ROUNDING 2 /* of two clocks, in milliseconds */
#define MAILBOX "SELECT mailbox FROM server_list"
#define LAST "SELECT last_message_at FROM servers"

/* It is told within a second that so many wait, unless that was so. */
static void
await_mailbox(struct instance *i, int count)
{
	char question[100];
	int64_t begin = now_ms();

	snprintf(question, sizeof(question), "SELECT mailbox = %d FROM server_list", count);
	wait_sql(i, question);
	assert_between(now_ms() - begin, 0, TOLD_MS);
}

/* Its only server does nothing else for longer than it takes to tell so. */
static void
occupy(struct instance *i)
{
	char ms[20];

	snprintf(ms, sizeof(ms), "%d", TOLD_MS + 2 * SECOND);
	expect(jobberd(i, "cast", "c", "slow", ms, NULL), 0, "", NULL);
}

/* The server has said what it has handled: its mailbox is counted from now on. */
static void
begin(struct instance *i, const char *option)
{
	instance_init(i);
	instance_start(i, NULL);
	expect(jobberd(i, "start", option, "c", "--", COUNTER, NULL), 0, "1\n", NULL);
	assert_int_equal(sql_number(i, "SELECT last_message_at IS NULL FROM servers"), 1);
	expect(jobberd(i, "call", "c", "get", NULL), 0, "0\n", NULL);
	wait_sql(i, "SELECT last_message_at IS NOT NULL FROM servers");
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
	occupy(&i);
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "", NULL);
	expect(jobberd(&i, "send", "c", "add", NULL), 0, "", NULL);
	to = wall_ms();
	await_mailbox(&i, 3);
	assert_between(sql_number(&i, LAST), from - ROUNDING, to + ROUNDING);
	expect(jobberd(&i, "call", "--timeout", "60s", "c", "get", NULL), 0, "2\n", NULL);
	await_mailbox(&i, 0);
	assert_sleeps(&i, 3 * SECOND);
	instance_finish(&i);
}

static void
gauge_is_written_at_most_once_a_second_however_many_messages_come(void **state)
{
	struct instance i;
	int64_t begun, seen = 0, last = 0;

	(void)state;
	begin(&i, "--once");
	begun = now_ms();
	while (now_ms() - begun < 3 * SECOND || seen < 3) {
		int64_t now;

		expect(jobberd(&i, "cast", "c", "add", NULL), 0, "", NULL);
		now = sql_number(&i, LAST);
		seen += now != last;
		last = now;
	}
	/* The one before among them, and two at the ends. */
	assert_between(seen, 3, (now_ms() - begun) / SECOND + 2);
	instance_finish(&i);
}

static void
mailbox_in_memory_is_empty_when_its_server_has_ended(void **state)
{
	struct instance i;
	int64_t from;

	(void)state;
	begin(&i, "--once");
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	await_mailbox(&i, 1);
	from = wall_ms();
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "", NULL);
	expect(jobberd(&i, "cancel", "1", NULL), 0, "", NULL);
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
	expect(jobberd(&i, "cast", "c", "slow", "60000", NULL), 0, "", NULL);
	assert_between(sql_number(&i, LAST), from, wall_ms());
	assert_int_equal(sql_number(&i, "SELECT mailbox FROM servers"), 0);
	assert_int_equal(sql_number(&i, MAILBOX), 1);
	expect(jobberd(&i, "cancel", "1", NULL), 0, "", NULL);
	instance_finish(&i);
}

/* What it handled was sent by the supervisor process before this one. */
static void
mailbox_is_counted_through_a_crash_of_the_supervisor_process(void **state)
{
	struct instance i;

	(void)state;
	begin(&i, "--once");
	occupy(&i);
	expect(jobberd(&i, "cast", "c", "add", NULL), 0, "", NULL);
	await_mailbox(&i, 2);
	instance_kill_supervisor(&i);
	expect(jobberd(&i, "call", "--timeout", "60s", "c", "get", NULL), 0, "1\n", NULL);
	await_mailbox(&i, 0);
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
