/*
 * What is said of supervisors and their children in each state, what is refused and in which
 * words, and that nobody waits for ever.
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
#include <unistd.h>

static void
begin(struct instance *i)
{
	instance_init(i);
	instance_start(i, NULL);
}

/* ---- what is said in each state ---- */

static void
states_are_told(void **state)
{
	struct helper start;
	struct instance i;
	struct result result;
	char *fifo;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--strategy", "one_for_all");
	child_up(&i, NULL, "shop/a", "trap init-fifo=init end-fifo=end");
	SUP(&i, 0, NULL, "add", "inner", "--parent", "shop");
	child_up(&i, NULL, "inner/b", NULL);
	child_up(&i, NULL, "shop/c", NULL);
	SUP(&i, 0, NULL, "stop", "shop");
	result = jobberd(&i, "tree", NULL);
	assert_has(result.out, "shop\tended\t-\t-\t-\tany number of places, one_for_all: stopped\n"
			       "├─ 1 shop/a\tdone\t");
	assert_has(result.out, "├─ inner\tended\t-\t-\t-\tany number of places: shutdown\n"
			       "│  └─ 2 inner/b\tdone\t");
	assert_has(result.out, "└─ 3 shop/c\tdone\t");
	result_done(&result);
	check_count(&i, "shop", "3 0 1 2");
	expect(jobberd(&i, "children", "shop", "-H", "-o", "name,status", NULL), 0,
	    "shop/a\tdone\nshop/c\tdone\n", NULL);
	expect(jobberd(&i, "why", "shop/c", NULL), 0, NULL, NULL);
	fifo = fifo_make(&i, "init");
	helper_jobberd(&start, &i, NULL, "supervisor", "start", "shop", NULL);
	await_sql(&i, "1", "SELECT count(*) FROM attempts WHERE job_id = 1 AND attempt = 2 "
			   "AND started_at IS NOT NULL");
	expect(jobberd(&i, "why", "shop/a", NULL), 0, "its init has not answered yet\n", NULL);
	expect(jobberd(&i, "why", "shop/c", NULL), 0,
	    "its turn comes when those before it are up\n", NULL);
	expect(child_start(&i, "-s inner", "x", NULL), 4, "",
	    "noproc: the supervisor inner waits for its turn to start");
	result = jobberd(&i, "tree", NULL);
	assert_has(result.out, "shop\tstarting\t");
	assert_has(result.out, "├─ inner\twaiting\t");
	result_done(&result);
	check_count(&i, "shop", "3 1 1 2");
	fifo_write(fifo, "x");
	unlink(fifo);
	assert_int_equal(helper_wait(&start), 0);
	helper_end(&start);
	expect(jobberd(&i, "sup", "list", "-H", "-o", "name,state", NULL), 0,
	    "default\truns\ninner\truns\nserial\truns\nservers\truns\nshop\truns\n", NULL);
	free(fifo);
	instance_finish(&i);
}

static void
tree_tells_that_a_supervisor_was_restarted(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	SUP(&i, 0, NULL, "add", "inner", "--parent", "shop", "--max-restarts", "0");
	child_up(&i, NULL, "inner/a", NULL);
	child_kill(&i, "inner/a");
	await_up(&i, "inner/a", 2);
	await_state(&i, "inner", "running");
	result = jobberd(&i, "tree", NULL);
	assert_has(result.out, "shop\truns\t-\t-\t-\tany number of places\n"
			       "└─ inner\truns\t-\t1\t-\tany number of places\n");
	result_done(&result);
	instance_finish(&i);
}

static void
supervisor_without_a_place_for_each_child_does_not_start_for_ever(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--strategy", "one_for_all");
	child_up(&i, NULL, "shop/a", NULL);
	child_up(&i, NULL, "shop/b", NULL);
	SUP(&i, 0, NULL, "stop", "shop");
	SUP(&i, 0, NULL, "set", "shop", "--max-children", "1");
	SUP(&i, 5, "shop cannot be started: it has 2 children in order and 1 place (max_children)",
	    "start", "shop");
	SUP(&i, 0, NULL, "set", "shop", "--max-children", "2");
	SUP(&i, 0, NULL, "start", "shop");
	/* While it runs there are fewer: it says what it waits for, and goes on when it can. */
	SUP(&i, 0, NULL, "set", "shop", "--max-children", "1");
	child_kill(&i, "shop/b");
	await_up(&i, "shop/a", 3);
	await_state(&i, "shop", "restarting");
	result = jobberd(&i, "why", "shop/b", NULL);
	assert_has(result.out, "no free place (1 of 1), "); /* 1st, or next in line */
	result_done(&result);
	SUP(&i, 0, NULL, "set", "shop", "--max-children", "none");
	await_up(&i, "shop/b", 3);
	await_state(&i, "shop", "running");
	instance_finish(&i);
}

static void
strategy_may_be_changed_while_children_live(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	child_up(&i, "-s shop", "a", "trap");
	child_up(&i, "-s shop", "b", "trap");
	check_count(&i, "shop", "2 2 0 2");
	SUP(&i, 0, NULL, "set", "shop", "--strategy", "one_for_all");
	clear_log(&i);
	child_kill(&i, "a");
	await_up(&i, "b", 2);
	check_log(&i, "-b +a +b");
	expect(jobberd(&i, "stop", "b", NULL), 0, NULL, NULL);
	check_count(&i, "shop", "2 1 0 2"); /* it is in order now, and has an entry */
	instance_finish(&i);
}

/* ---- what is not for others ---- */

static void
tree_is_not_written_by_others(void **state)
{
	static const struct {
		const char *statement, *words;
	} rows[] = {
		{ "INSERT INTO restarts VALUES (1, '', 1, NULL, 1, 1, 'x')",
		    "restarts are written" },
		{ "UPDATE restarts SET at = 1", "restarts are written" },
		{ "DELETE FROM restarts", "restarts are written" },
		{ "INSERT INTO supervisors (name, parent) VALUES ('x', 'shop')",
		    "is made with jobberd supervisor add" },
		{ "INSERT INTO supervisors (name, state) VALUES ('x', 'ended')",
		    "is made with jobberd supervisor add" },
		{ "INSERT INTO supervisors (name, applied) VALUES ('x', '/x')",
		    "is made with jobberd supervisor add" },
		{ "INSERT OR REPLACE INTO supervisors (name) VALUES ('shop')", "UPDATE it" },
		{ "INSERT OR REPLACE INTO supervisors (name) VALUES ('inner')", "UPDATE it" },
		{ "REPLACE INTO supervisors (name) VALUES ('servers')", "UPDATE it" },
		{ "UPDATE supervisors SET applied = '/x' WHERE name = 'shop'", "is changed with" },
		{ "UPDATE supervisors SET state = 'ended' WHERE name = 'shop'", "is changed with" },
		{ "UPDATE supervisors SET parent = 'inner' WHERE name = 'shop'",
		    "is changed with" },
		{ "UPDATE supervisors SET position = 7 WHERE name = 'inner'", "is changed with" },
		{ "UPDATE supervisors SET strategy = 'one_for_all'", "is changed with" },
		{ "UPDATE supervisors SET max_restarts = -1", "CHECK constraint" },
		{ "DELETE FROM supervisors WHERE name = 'shop'", "supervisors beneath it" },
		{ "INSERT INTO jobs (command, name) VALUES ('[\"true\"]', 'shop/x')",
		    "in the order of its siblings" },
		{ "UPDATE servers SET position = 9", "" },
	};
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	SUP(&i, 0, NULL, "add", "inner", "--parent", "shop");
	child_up(&i, NULL, "shop/a", NULL);
	child_kill(&i, "shop/a");
	await_up(&i, "shop/a", 2);
	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		char *words = foreign(&i, rows[n].statement);

		if (words == NULL || strstr(words, rows[n].words) == NULL)
			fail_msg("%s: %s", rows[n].statement, words != NULL ? words : "done");
		free(words);
	}
	assert_null(foreign(&i, "UPDATE supervisors SET max_restarts = 7 WHERE name = 'shop'"));
	expect(jobberd(&i, "submit", "--name", "shop/x", "true", NULL), 2, "",
	    "SUPERVISOR/CHILD is for servers");
	expect(child_start(&i, "-s inner", "shop/x", NULL), 2, "", "is not a child of inner");
	expect(child_start(&i, "--pool 2 --durable", "shop/x", NULL), 2, "",
	    "a pool is not one of a supervisor's children in order");
	expect(child_start(&i, NULL, "nobody/x", NULL), 4, "", "there is no supervisor nobody");
	instance_finish(&i);
}

/* Somebody has stopped them without a limit: their supervisor has one. */
static void
child_that_never_ends_does_not_hold_up_the_end_of_its_supervisor(void **state)
{
	struct instance i;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop", "--strategy", "one_for_one");
	child_up(&i, "--grace 200ms", "shop/a", "trap slow-end=3600000");
	child_up(&i, "--grace 200ms -s shop", "b", "trap slow-end=3600000");
	expect(jobberd(&i, "stop", "shop/a", "--timeout", "50ms", NULL), 124, NULL, "timeout");
	expect(jobberd(&i, "stop", "b", "--timeout", "50ms", NULL), 124, NULL, "timeout");
	SUP(&i, 0, NULL, "stop", "shop");
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM attempts WHERE signal IN (9, 15)"), 2);
	instance_finish(&i);
}

/* Both in one turn: who waits for its end is answered, although it is not there any more. */
static void
supervisor_that_is_removed_has_ended(void **state)
{
	struct instance i;
	char *line = NULL;
	size_t room = 0;
	FILE *in;
	int fd;

	(void)state;
	begin(&i);
	SUP(&i, 0, NULL, "add", "shop");
	fd = connect_client(&i);
	in = fdopen(fd, "r");
	dprintf(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"supervisor\",\"params\":"
		    "{\"change\":\"stop\",\"name\":\"shop\"}}\n"
		    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"supervisor\",\"params\":"
		    "{\"change\":\"remove\",\"name\":\"shop\"}}\n");
	for (int n = 0; n < 2; n++) {
		assert_true(getline(&line, &room, in) > 0);
		assert_has(line, "\"result\":true");
	}
	free(line);
	fclose(in);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_are_told),
		cmocka_unit_test(tree_tells_that_a_supervisor_was_restarted),
		cmocka_unit_test(supervisor_without_a_place_for_each_child_does_not_start_for_ever),
		cmocka_unit_test(strategy_may_be_changed_while_children_live),
		cmocka_unit_test(tree_is_not_written_by_others),
		cmocka_unit_test(child_that_never_ends_does_not_hold_up_the_end_of_its_supervisor),
		cmocka_unit_test(supervisor_that_is_removed_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
