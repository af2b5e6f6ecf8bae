/*
 * Children that come one by one, as OTP's DynamicSupervisor has them; each test names the cases
 * that it pins.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/family.h"
#include "support/outside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
make_crew(struct instance *i)
{
	instance_init(i);
	instance_start(i, NULL);
}

/* A supervisor that nobody starts again. */
#define CREW(i, ...)                                                                         \
	do {                                                                                 \
		make_crew(i);                                                                \
		SUP(i, 0, NULL, "add", "crew", "--restart", "temporary", __VA_ARGS__);       \
	} while (0)

static void
case_160_empty_one_has_no_children(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	check_count(&i, "crew", "0 0 0 0");
	result = jobberd(&i, "children", "crew", "-H", NULL);
	expect(result, 0, "", NULL);
	result = jobberd(&i, "children", "crew", "--json", NULL);
	expect(result, 0, "[]\n", NULL);
	expect(jobberd(&i, "count", "nobody", NULL), 4, "", "there is no supervisor nobody");
	/* 161 */
	expect(child_start(&i, "-s crew", "a", NULL), 0, "1\n", NULL);
	check_count(&i, "crew", "1 1 0 1");
	expect(jobberd(&i, "children", "crew", "-H", "-o", "id,name,status", NULL), 0,
	    "1\ta\trunning\n", NULL);
	instance_finish(&i);
}

/* 162, 163: neither is kept, and nothing is tried again. */
static void
case_163_init_that_refuses_leaves_nothing_behind(void **state)
{
	static const char rubbish[] = "read l <&3; echo '{\"jsonrpc\":\"2.0\",\"id\":\"init\","
				      "\"result\":{\"what\":1}}' >&3; exit 0";
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	flag_up(&i, "flag");
	expect(child_start(&i, "-s crew --restart permanent", "a", "ignore-if=flag"), 1, NULL,
	    "ignore: a says that it is not wanted");
	expect(child_start(&i, "-s crew --restart permanent", "a", "refuse-if=flag"), 70, NULL,
	    "refused");
	expect(jobberd(&i, "start", "-s", "crew", "--restart", "permanent", "a", "--", "sh", "-c",
		   "kill -SEGV $$", NULL), 70, NULL, "SIGSEGV");
	expect(jobberd(&i, "start", "-s", "crew", "--restart", "permanent", "a", "--", "sh", "-c",
		   rubbish, NULL), 70, NULL, "bad_return_value");
	check_count(&i, "crew", "0 0 0 0");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts"), 4);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM restarts"), 0);
	await_state(&i, "crew", "running");
	instance_finish(&i);
}

static void
case_165_second_child_of_a_name_is_not_kept(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	child_up(&i, "-s crew", "a", NULL);
	expect(child_start(&i, "-s crew", "a", NULL), 5, "1\n", "already_started: job 1");
	check_count(&i, "crew", "1 1 0 1");
	instance_finish(&i);
}

static void
case_166_one_child_too_many_is_refused_until_another_has_ended(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--max-children", "2", "--overflow", "reject");
	child_up(&i, "-s crew", "a", NULL);
	child_up(&i, "-s crew", "b", NULL);
	expect(child_start(&i, "-s crew", "c", NULL), 75, "", "2 of 2 places taken (max_children)");
	expect(jobberd(&i, "stop", "a", NULL), 0, NULL, NULL);
	child_up(&i, "-s crew", "c", NULL);
	expect(child_start(&i, "-s crew", "d", NULL), 75, "", "2 of 2 places taken");
	expect(jobberd(&i, "cast", "b", "stop", "normal", NULL), 0, NULL, NULL);
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'b'");
	child_up(&i, "-s crew", "d", NULL);
	instance_finish(&i);
}

static void
case_168_child_that_was_stopped_is_forgotten(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	child_up(&i, "-s crew --restart permanent", "a", "trap");
	expect(jobberd(&i, "stop", "a", "shutdown", NULL), 0, NULL, NULL);
	check_log(&i, "+a -a");
	check_count(&i, "crew", "0 0 0 0");
	expect(jobberd(&i, "stop", "a", "shutdown", NULL), 4, NULL, "noproc");
	assert_int_equal(child_attempts(&i, "a"), 1);
	instance_finish(&i);
}

static const struct {
	const char *word, *argument; /* NULL: a kill */
	bool is_clean;
} ends[] = {
	{ "stop", "normal", true },
	{ "stop", "shutdown", true },
	{ "stop", "{\"shutdown\":\"x\"}", true },
	{ "stop", "oops", false },
	{ "crash", NULL, false },
	{ NULL, NULL, false },
};

static void
check_type(struct instance *i, const char *type, char letter)
{
	char options[60], name[20];

	snprintf(options, sizeof(options), "-s crew --restart %s", type);
	for (size_t how = 0; how < sizeof(ends) / sizeof(ends[0]); how++) {
		snprintf(name, sizeof(name), "%c%zu", letter, how);
		child_up(i, options, name, NULL);
		if (ends[how].word == NULL)
			child_kill(i, name);
		else
			expect(jobberd(i, "cast", name, ends[how].word, ends[how].argument, NULL),
			    0, NULL, NULL);
		if (letter == 'p' || (letter == 't' && !ends[how].is_clean))
			await_up(i, name, 2);
		else
			await_sql(i, ends[how].is_clean ? "done" : "failed",
			    "SELECT status FROM jobs WHERE name = '%s'", name);
	}
}

static void
case_170_permanent_transient_and_temporary_do_what_the_table_says(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--max-restarts", "100");
	check_type(&i, "permanent", 'p');
	check_type(&i, "transient", 't');
	check_type(&i, "temporary", 'x');
	check_count(&i, "crew", "9 9 0 9"); /* those that ended cleanly are forgotten */
	instance_finish(&i);
}

static void
case_171_bad_child_takes_the_others_with_it(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--max-seconds", "60");
	child_up(&i, "-s crew --restart temporary", "innocent", "trap");
	child_up(&i, "-s crew --restart permanent", "bad", NULL);
	child_kill_often(&i, "bad", 4);
	await_state(&i, "crew", "ended");
	check_child(&i, "innocent", "done shutdown");
	check_child(&i, "bad", "failed max_restarts");
	/* 184 */
	expect(child_start(&i, "-s crew", "late", NULL), 4, "",
	    "noproc: the supervisor crew has ended (max_restarts)");
	expect(jobberd(&i, "start", "innocent", NULL), 4, "", "noproc: the supervisor crew");
	expect(jobberd(&i, "retry", "bad", NULL), 4, NULL, "noproc: the supervisor crew has ended");
	SUP(&i, 0, NULL, "start", "crew");
	expect(jobberd(&i, "start", "innocent", NULL), 0, "1\n", NULL);
	instance_finish(&i);
}

/* 172, differing: each its own budget, or a pause that grows. */
static void
case_172_bad_child_ends_alone_if_each_has_its_own_budget(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--budget", "each", "--max-seconds", "60");
	child_up(&i, "-s crew", "innocent", NULL);
	child_up(&i, "-s crew", "bad", NULL);
	child_up(&i, "-s crew", "worse", NULL);
	child_kill_often(&i, "bad", 3);
	child_kill_often(&i, "worse", 4);
	await_sql(&i, "failed", "SELECT status FROM jobs WHERE name = 'worse'");
	await_up(&i, "bad", 4);
	child_kill(&i, "bad");
	await_sql(&i, "failed", "SELECT status FROM jobs WHERE name = 'bad'");
	check_child(&i, "bad", "failed max_restarts");
	check_child(&i, "innocent", "running");
	await_state(&i, "crew", "running");
	instance_finish(&i);
}

/* 173, differing: one that is slow to start keeps nobody waiting. */
static void
case_173_slow_init_of_one_does_not_delay_another(void **state)
{
	struct instance i;
	struct helper slow;
	char *fifo, *argument;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	fifo = fifo_make(&i, "go");
	argument = xasprintf("init-fifo=%s", fifo);
	child_start_behind(&slow, &i, "-s crew", "a", argument);
	instance_expect(&i, "job=1 started");
	child_up(&i, "-s crew", "b", NULL);
	check_child(&i, "a", "new");
	check_count(&i, "crew", "2 2 0 2"); /* it is about to have come up */
	fifo_write(fifo, "x");
	assert_int_equal(helper_wait(&slow), 0);
	helper_end(&slow);
	free(argument);
	free(fifo);
	instance_finish(&i);
}

static void
case_177_child_that_ignores_at_a_restart_is_forgotten(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	child_up(&i, "-s crew --restart permanent", "a", "ignore-if=flag");
	flag_up(&i, "flag");
	child_kill(&i, "a");
	await_sql(&i, "done", "SELECT status FROM jobs WHERE name = 'a'");
	check_child(&i, "a", "done ignore");
	check_count(&i, "crew", "0 0 0 0");
	instance_finish(&i);
}

static void
case_179_children_end_together_each_in_its_own_time(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	for (int n = 0; n < 3; n++) {
		char name[] = { (char)('a' + n), '\0' };

		child_up(&i, "-s crew --grace 1h", name, "trap slow-end=300");
	}
	child_up(&i, "-s crew --grace 100ms", "d", "trap slow-end=60000");
	SUP(&i, 0, NULL, "stop", "crew");
	/* All were asked before the first had ended. */
	assert_int_equal(sql_number(&i, "SELECT max(stop_at) < min(ended_at) FROM attempts"), 1);
	assert_int_equal(sql_number(&i, "SELECT signal FROM attempts WHERE job_id = 4"), 9);
	assert_int_equal(witness_count(&i, "log", "-"), 3);
	instance_finish(&i);
}

static void
case_181_nonsense_is_refused_by_its_name(void **state)
{
	struct instance i;

	(void)state;
	make_crew(&i);
	SUP(&i, 2, "strategy: \"simple\" is not one_for_one", "add", "x", "--strategy", "simple");
	SUP(&i, 2, "max-restarts: \"-1\" is not a number from 0", "add", "x", "--max-restarts=-1");
	SUP(&i, 2, "max-seconds: \"0\" is not a number from 1", "add", "x", "--max-seconds", "0");
	SUP(&i, 2, "max-children: \"-2\"", "add", "x", "--max-children=-2");
	SUP(&i, 4, "x has a parent that is no supervisor: nobody", "add", "x", "--parent",
	    "nobody");
	SUP(&i, 2, "name: \"9x\" is not a name: a letter or _, then", "add", "9x");
	SUP(&i, 2, "name: \"a/b\" is not a name", "set", "a/b", "--rate", "1/s");
	SUP(&i, 2, "stays beneath the parent", "set", "default", "--parent", "servers");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM supervisors"), 3);
	instance_finish(&i);
}

static void
case_183_supervisors_and_workers_are_counted_apart(void **state)
{
	struct instance i;

	(void)state;
	CREW(&i, "--strategy", "one_for_one");
	SUP(&i, 0, NULL, "add", "inner", "--parent", "crew");
	SUP(&i, 0, NULL, "add", "other", "--parent", "crew");
	child_up(&i, "-s crew", "a", NULL);
	child_up(&i, NULL, "crew/b", NULL);
	child_up(&i, "-s inner", "c", NULL);
	check_count(&i, "crew", "4 4 2 2");
	SUP(&i, 0, NULL, "stop", "other");
	expect(jobberd(&i, "stop", "crew/b", NULL), 0, NULL, NULL);
	check_count(&i, "crew", "4 2 2 2");
	SUP(&i, 0, NULL, "rm", "other");
	check_count(&i, "crew", "3 2 1 2");
	SUP(&i, 5, "has live jobs", "rm", "crew");
	SUP(&i, 0, NULL, "stop", "crew");
	SUP(&i, 5, "has supervisors beneath it", "rm", "crew");
	SUP(&i, 0, NULL, "rm", "inner");
	SUP(&i, 0, NULL, "rm", "crew");
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_160_empty_one_has_no_children),
		cmocka_unit_test(case_163_init_that_refuses_leaves_nothing_behind),
		cmocka_unit_test(case_165_second_child_of_a_name_is_not_kept),
		cmocka_unit_test(case_166_one_child_too_many_is_refused_until_another_has_ended),
		cmocka_unit_test(case_168_child_that_was_stopped_is_forgotten),
		cmocka_unit_test(case_170_permanent_transient_and_temporary_do_what_the_table_says),
		cmocka_unit_test(case_171_bad_child_takes_the_others_with_it),
		cmocka_unit_test(case_172_bad_child_ends_alone_if_each_has_its_own_budget),
		cmocka_unit_test(case_173_slow_init_of_one_does_not_delay_another),
		cmocka_unit_test(case_177_child_that_ignores_at_a_restart_is_forgotten),
		cmocka_unit_test(case_179_children_end_together_each_in_its_own_time),
		cmocka_unit_test(case_181_nonsense_is_refused_by_its_name),
		cmocka_unit_test(case_183_supervisors_and_workers_are_counted_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
