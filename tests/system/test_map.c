/* map: items to jobs, their outputs, and going on after anything has been killed. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"
#include "support/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says that it runs; where its item is a fifo, waits until somebody writes to that. */
#define WORKER "echo \"$1\" >>runs; if [ -p \"$1\" ]; then read x <\"$1\"; fi; echo \"out $1\""
#define WORKS(i) "--cwd", (i).directory, "--", "sh", "-c", WORKER, "sh", "{}"

static void
assert_sql(struct instance *i, const char *question, const char *wanted)
{
	char *text = sql(i, question);

	assert_string_equal(text, wanted);
	free(text);
}

static void
release(struct instance *i, const char *item)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", i->directory, item);
	fifo_write(path, "go\n");
}

/* ---- items and words ---- */

static void
item_stands_for_every_place_or_is_the_last_word(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_result(jobberd_with_input(&i, "a b\n\n$x;'\"\nlast", "map", "--name", "m", "-j",
	    "1", "--", "printf", "[%s]", "{}", "x{}{}", "-{", NULL), 0,
	    "[a b][xa ba b][-{][$x;'\"][x$x;'\"$x;'\"][-{][last][xlastlast][-{]", "");
	assert_result(jobberd_with_input(&i, "n\n", "map", "--name", "n", "--", "echo", "a b",
	    NULL), 0, "a b n\n", "");
	assert_result(jobberd_with_input(&i, "", "map", "--name", "o", "--", "echo", NULL), 0, "",
	    "");
	assert_sql(&i, "SELECT group_concat(name || ' ' || command, ' ') FROM jobs WHERE id > 3",
	    "n:1 [\"echo\",\"a b\",\"n\"]");
	/* Nothing of a map is left but its jobs. */
	assert_sql(&i, "SELECT group_concat(name) FROM supervisors", "default,serial,servers");
	instance_finish(&i);
}

static void
items_end_with_nul_if_wanted(void **state)
{
	struct instance i;
	struct helper map;
	char command[700];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(command, sizeof(command), "printf 'a\\nb\\0\\0c' | \"$JOBBERD\" -C %s map -0 "
		 "--name m -j 1 -- printf '[%%s]'", i.state);
	helper_start(&map, NULL, (const char *const[]){ "sh", "-c", command, NULL });
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "[a\nb][][c]");
	helper_end(&map);
	instance_finish(&i);
}

static void
item_that_is_none_ends_the_input_and_loses_nothing(void **state)
{
	struct instance i;
	struct result result;
	char *longest = calloc(1, 200000);

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_result(jobberd_with_input(&i, "a\n\377\nb\n", "map", "--name", "m", "--", "echo",
	    NULL), 2, "a\n", "jobberd: item 2: it is not UTF-8; nothing behind it is run\n");
	memset(longest, 'x', 150000);
	result = jobberd_with_input(&i, longest, "map", "--name", "n", "--", "echo", NULL);
	assert_result(result, 2, "", "jobberd: item 1: it is longer than an argument can be "
	    "(128 KiB); nothing behind it is run\n");
	free(longest);
	/* With a better one it goes on. */
	assert_result(jobberd_with_input(&i, "a\nc\nb\n", "map", "--name", "m", "--ordered",
	    "--", "echo", NULL), 0, "a\nc\nb\n", "");
	assert_sql(&i, "SELECT count(*) FROM jobs", "3");
	instance_finish(&i);
}

/* More than one request may carry, were they all in one. */
static void
long_items_go_in_smaller_portions(void **state)
{
	enum { ITEMS = 30, LONG = 60000 };
	struct instance i;
	struct result result;
	char *input = malloc(ITEMS * (LONG + 1) + 1), *at = input;

	(void)state;
	for (int n = 0; n < ITEMS; n++, at += LONG + 1) {
		memset(at, 1, LONG); /* \u0001 in JSON */
		at[LONG] = '\n';
	}
	*at = '\0';
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd_with_input(&i, input, "map", "--name", "m", "-j", "8", "-r", "1", "--",
	    "sh", "-c", "echo ${#0} ${#1}", "{}", "{}", NULL);
	assert_int_equal(result.status, 0);
	for (int n = 0; n < ITEMS; n++)
		assert_memory_equal(result.out + (size_t)n * 12, "60000 60000\n", 12);
	result_done(&result);
	free(input);
	instance_finish(&i);
}

/* ---- output ---- */

/* case 204: of three the first ends last, as 30, 10 and 20 ms would. */
static void
results_come_in_the_order_of_the_items_or_in_that_of_their_ends(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "a"));
	free(fifo_make(&i, "c"));
	instance_start(&i, NULL);
	helper_jobberd(&map, &i, "a\nb\nc\n", "map", "-j", "3", "--name", "ends", WORKS(i), NULL);
	helper_expect(&map, "out b\n");
	release(&i, "c");
	helper_expect(&map, "out b\nout c\n");
	release(&i, "a");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out b\nout c\nout a\n");
	helper_end(&map);
	helper_jobberd(&map, &i, "a\nb\nc\n", "map", "-j", "3", "--ordered", "--name", "items",
	    WORKS(i), NULL);
	release(&i, "c");
	instance_expect(&i, "job=6 completed");
	release(&i, "a");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out a\nout b\nout c\n");
	helper_end(&map);
	instance_finish(&i);
}

/* case 205 */
static void
two_at_a_time_and_no_more(void **state)
{
	struct instance i;
	struct helper map;
	int64_t begin;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "a"));
	free(fifo_make(&i, "b"));
	instance_start(&i, "--max-children", "1", NULL);
	helper_jobberd(&map, &i, "a\nb\n3\n4\n", "map", "-j", "2", "--name", "m", WORKS(i), NULL);
	instance_expect(&i, "job=1 started");
	instance_expect(&i, "job=2 started");
	assert_true(helper_runs_for(&map, 100));
	assert_sql(&i, "SELECT group_concat(status) FROM jobs", "running,running,new,new");
	assert_sql(&i, "SELECT max_children FROM supervisors WHERE name = 'm'", "2");
	release(&i, "a");
	release(&i, "b");
	assert_int_equal(helper_wait(&map), 0);
	helper_end(&map);
	/* Four of 100 ms take 200. */
	begin = now_ms();
	assert_result(jobberd_with_input(&i, "1\n2\n3\n4\n", "map", "-j", "2", "--name", "n",
	    "--", "sh", "-c", "sleep 0.1", NULL), 0, "", "");
	assert_between(now_ms() - begin, 200, 20000 * SLOWNESS);
	assert_sql(&i, "SELECT max(n) <= 2 FROM (SELECT (SELECT count(*) FROM attempts b WHERE "
		       "b.started_at <= a.started_at AND b.ended_at > a.started_at) AS n "
		       "FROM attempts a)", "1");
	instance_finish(&i);
}

/* cases 206 (kill_task) and 208 */
static void
failed_item_is_told_with_its_reason_and_hurts_no_other(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "slow"));
	instance_start(&i, NULL);
	assert_result(jobberd_with_input(&i, "a\nslow\nb\n", "map", "-j", "3", "--ordered",
	    "--timeout", "3s", "--grace", "0", "--name", "m", WORKS(i), NULL), 1,
	    "out a\nout b\n", "jobberd: slow: timed out after 3 s (job 2)\n"
	    "jobberd: 1 of 3 failed\n");
	assert_result(jobberd_with_input(&i, "0\n3\n", "map", "-j", "1", "--json", "--name",
	    "n", "--", "sh", "-c", "exit {}", NULL), 1,
	    "{\"number\":1,\"item\":\"0\",\"id\":4,\"status\":\"done\",\"reason\":\"normal\","
	    "\"exit_code\":0,\"output\":null,\"left_out\":0}\n"
	    "{\"number\":2,\"item\":\"3\",\"id\":5,\"status\":\"failed\",\"reason\":\"exit:3\","
	    "\"exit_code\":3,\"output\":null,\"left_out\":0}\n",
	    "jobberd: 3: exit 3 (job 5)\njobberd: 1 of 2 failed\n");
	/* Of a retried one only the last run counts. */
	assert_result(jobberd_with_input(&i, "x\n", "map", "--name", "o", "-r", "1", "--backoff",
	    "constant:10ms", "--", "sh", "-c", "echo $JOBBERD_ATTEMPT; test $JOBBERD_ATTEMPT = 2",
	    NULL), 0, "2\n", "");
	instance_finish(&i);
}

/* Who takes it for the whole output is to know. */
static void
output_that_is_cut_is_told(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (int n = 0; n < 2; n++) { /* the second time it is only printed */
		result = jobberd_with_input(&i, "100000\n3\n", "map", "-j", "1", "--ordered",
		    "--max-output", "64K", "--name", "m", "--", "seq", NULL);
		assert_int_equal(result.status, 1);
		assert_has(result.out, " left out …\n");
		assert_has(result.out, "\n100000\n1\n2\n3\n");
		assert_has(result.err, "jobberd: 100000: 5");
		assert_has(result.err, " KiB of its output left out, see --max-output (job 1)\n");
		result_done(&result);
	}
	instance_finish(&i);
}

/* An item that has come is run though the next one has not. */
static void
items_of_a_slow_producer_are_run_as_they_come(void **state)
{
	struct instance i;
	struct helper map;
	struct bell producer;
	char command[700];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&producer, &i, "items");
	snprintf(command, sizeof(command), "exec \"$JOBBERD\" -C %s map --name m -- echo out <%s",
	    i.state, producer.path);
	helper_start(&map, NULL, (const char *const[]){ "sh", "-c", command, NULL });
	for (int n = 1; n <= 3; n++) {
		char item[16], text[24];

		snprintf(item, sizeof(item), "%d\n", n);
		snprintf(text, sizeof(text), "out %d\n", n);
		assert_int_equal(write(producer.fd, item, 2), 2);
		helper_expect(&map, text);
	}
	bell_done(&producer);
	assert_int_equal(helper_wait(&map), 0);
	helper_end(&map);
	instance_finish(&i);
}

/* ---- going on ---- */

static void
killed_client_is_gone_on_with_and_nothing_is_run_twice(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "b"));
	instance_start(&i, NULL);
	helper_jobberd(
	    &map, &i, "a\nb\n3\nc\n", "map", "-j", "1", "--name", "m", WORKS(i), NULL);
	helper_expect(&map, "out a\n");
	instance_expect(&i, "job=2 started");
	kill(map.pid, SIGKILL);
	helper_wait(&map);
	helper_end(&map);
	helper_jobberd(&map, &i, "a\nb\n3\nc\nd\n", "map", "-j", "2", "--ordered", "--name", "m",
	    WORKS(i), NULL);
	helper_expect(&map, "out a\n");
	release(&i, "b");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out a\nout b\nout 3\nout c\nout d\n");
	helper_end(&map);
	for (const char *item = "ab3cd"; *item != '\0'; item++)
		assert_int_equal(witness_count(&i, "runs", (char[]){ *item, '\0' }), 1);
	/* All is done: it is only told again, by anybody, with nothing running. */
	instance_stop(&i);
	assert_result(jobberd_with_input(&i, "a\nb\n3\nc\nd\n", "map", "--name", "m", WORKS(i),
	    NULL), 0, "out a\nout b\nout 3\nout c\nout d\n", "");
	assert_sql(&i, "SELECT count(*) FROM attempts", "5");
	check_accounts(&i);
	instance_done(&i);
}

/* A map whose items come from a bell. */
static void
map_of_bell(struct helper *map, struct instance *i, const struct bell *producer)
{
	char command[1400];

	snprintf(command, sizeof(command),
	    "exec \"$JOBBERD\" -C %s map --name m --cwd %s -- sh -c '%s' sh {} <%s", i->state,
	    i->directory, WORKER, producer->path);
	helper_start(map, NULL, (const char *const[]){ "sh", "-c", command, NULL });
}

/* It is noticed when something has come that cannot be recorded. */
static void
await_trouble(struct instance *i)
{
	bool is_locked = false;

	while (!is_locked) {
		struct result status = jobberd(i, "status", NULL);

		is_locked = strstr(status.out, "database locked") != NULL;
		result_done(&status);
	}
}

/* The client is gone, its request is not: whoever goes on has looked before that came in. */
static void
item_whose_request_was_under_way_is_run_once(void **state)
{
	struct instance i;
	struct helper first, second;
	struct bell items, again;
	sqlite3 *other;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&items, &i, "items");
	bell_init(&again, &i, "again");
	map_of_bell(&first, &i, &items);
	assert_int_equal(write(items.fd, "a\n", 2), 2);
	helper_expect(&first, "out a\n");
	other = other_open(&i);
	other_run(other, "BEGIN IMMEDIATE");
	assert_int_equal(write(items.fd, "b\n", 2), 2);
	await_trouble(&i);
	kill(first.pid, SIGKILL);
	helper_wait(&first);
	helper_end(&first);
	map_of_bell(&second, &i, &again);
	assert_int_equal(write(again.fd, "a\n", 2), 2);
	helper_expect(&second, "out a\n");
	other_run(other, "ROLLBACK");
	other_close(other);
	instance_expect(&i, "job=2 completed");
	assert_int_equal(write(again.fd, "b\nc\n", 4), 4);
	helper_expect(&second, "out c\n");
	bell_done(&again);
	assert_int_equal(helper_wait(&second), 0);
	assert_string_equal(second.err.text, "");
	assert_has(second.out.text, "out b\n");
	helper_end(&second);
	for (const char *item = "abc"; *item != '\0'; item++)
		assert_int_equal(witness_count(&i, "runs", (char[]){ *item, '\0' }), 1);
	assert_sql(&i, "SELECT count(*) FROM jobs", "3");
	bell_done(&items);
	instance_finish(&i);
}

static void
what_failed_is_run_again_and_what_was_done_is_not(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_result(jobberd_with_input(&i, "a\nb\n", "map", "-j", "1", "--name", "m", "--cwd",
	    i.directory, "--", "sh", "-c", "echo $0 >>runs; test $0 = a || test -e good", NULL),
	    1, "", "jobberd: b: exit 1 (job 2)\njobberd: 1 of 2 failed\n");
	file_make(&i, "good");
	assert_result(jobberd_with_input(&i, "a\nb\n", "map", "-j", "1", "--name", "m", "--cwd",
	    i.directory, "--", "sh", "-c", "echo $0 >>runs; test $0 = a || test -e good", NULL),
	    0, "", "");
	assert_int_equal(witness_count(&i, "runs", "a"), 1);
	assert_int_equal(witness_count(&i, "runs", "b"), 2);
	assert_sql(&i, "SELECT count(*) FROM jobs", "2");
	instance_finish(&i);
}

static void
supervisor_process_may_be_killed_under_way(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "a"));
	free(fifo_make(&i, "b"));
	instance_start(&i, NULL);
	helper_jobberd(
	    &map, &i, "a\nb\n3\n4\n5\n", "map", "-j", "2", "--name", "m", WORKS(i), NULL);
	instance_expect(&i, "job=2 started");
	instance_kill_supervisor(&i);
	release(&i, "a");
	helper_expect(&map, "out 5\n");
	instance_kill_supervisor(&i);
	release(&i, "b");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out a\nout 3\nout 4\nout 5\nout b\n");
	assert_string_equal(map.err.text, "");
	helper_end(&map);
	assert_sql(&i, "SELECT count(*) FROM attempts", "5");
	assert_sql(&i, "SELECT count(*) FROM supervisors", "3");
	instance_finish(&i);
}

static void
killed_keeper_ends_the_client_in_words_and_the_map_goes_on(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "b"));
	instance_start(&i, NULL);
	helper_jobberd(
	    &map, &i, "a\nb\n3\n", "map", "-j", "1", "--name", "m", WORKS(i), NULL);
	helper_expect(&map, "out a\n");
	instance_expect(&i, "job=2 started");
	instance_kill_keeper(&i);
	assert_int_equal(helper_wait(&map), 3);
	assert_has(map.err.text, "nothing runs on ");
	assert_has(map.err.text, "jobberd: to go on: the same command and items\n");
	helper_end(&map);
	instance_start(&i, NULL);
	helper_jobberd(&map, &i, "a\nb\n3\n", "map", "-j", "1", "--ordered", "--name", "m",
	    WORKS(i), NULL);
	helper_expect(&map, "out a\n");
	release(&i, "b");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out a\nout b\nout 3\n");
	helper_end(&map);
	assert_int_equal(witness_count(&i, "runs", "b"), 1);
	instance_finish(&i);
}

/* Every kill that there is, at moments that nobody chose; each item is run once. */
static void
thousands_of_items_survive_a_storm_of_kills(void **state)
{
	enum { ITEMS = 3000 };
	struct instance i;
	struct helper map;
	char *input = malloc(ITEMS * 8), *at = input;
	static const char *const marks[] = { "out 100\n", "out 700\n", "out 1300\n" };

	(void)state;
	for (int n = 1; n <= ITEMS; n++)
		at += sprintf(at, "%d\n", n);
	instance_init(&i);
	instance_start(&i, NULL);
	for (size_t n = 0; n < 3; n++) {
		helper_jobberd(&map, &i, input, "map", "-j", "4", "--ordered", "--name", "m", "-r",
		    "1", "--cwd", i.directory, "--", "sh", "-c", "echo $0 >>runs; echo out $0",
		    NULL);
		helper_expect(&map, marks[n]);
		instance_kill_supervisor(&i);
		kill(map.pid, SIGKILL);
		helper_wait(&map);
		helper_end(&map);
	}
	helper_jobberd(&map, &i, input, "map", "-j", "4", "--ordered", "--name", "m", "-r", "1",
	    "--cwd", i.directory, "--", "sh", "-c", "echo $0 >>runs; echo out $0", NULL);
	for (size_t n = 0; n < 3; n++) {
		static const char *const later[] = { "out 1600\n", "out 2100\n", "out 2600\n" };

		helper_expect(&map, later[n]);
		instance_kill_supervisor(&i);
	}
	assert_int_equal(helper_wait(&map), 0);
	at = map.out.text;
	for (int n = 1; n <= ITEMS; n++) {
		char line[24];

		snprintf(line, sizeof(line), "out %d\n", n);
		if (strncmp(at, line, strlen(line)) != 0)
			fail_msg("item %d is not in its place", n);
		at += strlen(line);
	}
	assert_string_equal(at, "");
	helper_end(&map);
	assert_int_equal(witness_count(&i, "runs", ""), ITEMS);
	assert_sql(&i, "SELECT count(*) FROM jobs WHERE status = 'done'", "3000");
	free(input);
	instance_finish(&i);
}

/* ---- what is refused ---- */

static void
other_items_are_refused_with_the_first_that_differs(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_result(jobberd_with_input(&i, "a\nb\nc\n", "map", "-j", "1", "--name", "m", "--",
	    "echo", NULL), 0, "a\nb\nc\n", "");
	assert_result(jobberd_with_input(&i, "a\nx\nc\n", "map", "--name", "m", "--", "echo",
	    NULL), 2, "", "jobberd: item 2 is not that of the map m, which has b there; nothing "
	    "was done\n");
	assert_result(jobberd_with_input(&i, "a\nb\n", "map", "--name", "m", "--", "echo", NULL),
	    2, "", "jobberd: item 3 is missing: the map m has 3 items; nothing was done\n");
	assert_result(jobberd_with_input(&i, "a\nb\nc\n", "map", "--name", "m", "--", "cat",
	    NULL), 2, "", "jobberd: item 1 (a) is not that of the map m, which runs for it: echo "
	    "a; nothing was done\n");
	assert_sql(&i, "SELECT count(*) FROM jobs", "3");
	assert_result(jobberd(&i, "delete", "2", NULL), 0, "", "");
	assert_result(jobberd_with_input(&i, "a\nb\nc\n", "map", "--name", "m", "--", "echo",
	    NULL), 5, "", "jobberd: the job of item 2 of the map m has been pruned, and whether it "
	    "was done is not known any more: give another --name\n");
	instance_finish(&i);
}

static void
map_is_run_by_one_client_at_a_time(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "a"));
	instance_start(&i, NULL);
	helper_jobberd(&map, &i, "a\n", "map", "--name", "m", WORKS(i), NULL);
	instance_expect(&i, "job=1 started");
	assert_result(jobberd_with_input(&i, "a\n", "map", "--name", "m", WORKS(i), NULL), 5, "",
	    "jobberd: already_started: another `jobberd map` has the name m\n");
	release(&i, "a");
	assert_int_equal(helper_wait(&map), 0);
	helper_end(&map);
	instance_finish(&i);
}

static void
what_makes_no_map_is_refused_in_words(void **state)
{
	static const char *const cases[][2] = {
		{ "--supervisor=serial", "supervisor: a map has one of its own" },
		{ "--once", "once: a map that is there already is gone on with" },
		{ "--hold", "hold: a map waits for its jobs" },
		{ "--stdin=-", "stdin: - is where the items come from" },
		{ "--name=serial", "name: default, serial and servers" },
		{ "--jobs=0", "jobs: \"0\" is not a number from 1 to 100000" },
	};
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	result = jobberd_with_input(&i, "a\n", "map", "--name", "m", "--", "echo", NULL);
	assert_int_equal(result.status, 3);
	assert_has(result.err, "nothing runs on ");
	result_done(&result);
	instance_start(&i, NULL);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		result = jobberd_with_input(&i, "a\n", "map", cases[n][0], "--", "echo", NULL);
		assert_int_equal(result.status, 2);
		assert_has(result.err, cases[n][1]);
		result_done(&result);
	}
	/* Somebody's supervisor is not taken over. */
	assert_result(
	    jobberd(&i, "supervisor", "add", "m", "--max-children", "7", NULL), 0, "", "");
	result = jobberd_with_input(&i, "a\n", "map", "-j", "2", "--name", "m", "--", "echo", NULL);
	assert_int_equal(result.status, 5);
	assert_has(result.err, "there is a supervisor m, which is no map's");
	result_done(&result);
	assert_sql(&i, "SELECT max_children FROM supervisors WHERE name = 'm'", "7");
	/* Nor taken away, if it happens to have as many places. */
	assert_result(jobberd_with_input(&i, "", "map", "-j", "7", "--name", "m", "--", "echo",
	    NULL), 0, "", "");
	assert_sql(&i, "SELECT max_children FROM supervisors WHERE name = 'm'", "7");
	assert_sql(&i, "SELECT count(*) FROM jobs", "0");
	instance_finish(&i);
}

static void
item_that_makes_a_word_too_long_is_refused(void **state)
{
	struct instance i;
	struct result result;
	char *input = malloc(100003);

	(void)state;
	memset(input, 1, 100000);
	memcpy(input + 100000, "\n", 2);
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd_with_input(&i, input, "map", "--name", "m", "--", "echo", "{}{}", NULL);
	assert_int_equal(result.status, 2);
	assert_string_equal(result.err, "jobberd: item 1: a word of its command would have more "
					"than 131071 bytes; nothing behind it is run\n");
	result_done(&result);
	free(input);
	instance_finish(&i);
}

/* ---- ^C ---- */

static void
interrupt_ends_what_is_left_and_tells_how_to_go_on(void **state)
{
	struct instance i;
	struct helper map;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "b"));
	instance_start(&i, NULL);
	helper_jobberd(
	    &map, &i, "a\nb\n3\n4\n", "map", "-j", "1", "--name", "m", WORKS(i), NULL);
	helper_expect(&map, "out a\n");
	instance_expect(&i, "job=2 started");
	kill(map.pid, SIGINT);
	assert_int_equal(helper_wait(&map), 130);
	assert_string_equal(map.out.text, "out a\n");
	assert_string_equal(map.err.text,
	    "jobberd: ending what is left of m; once more to leave at once\n"
	    "jobberd: interrupted: 1 done, 3 cancelled\n"
	    "jobberd: to go on: the same command and items\n");
	helper_end(&map);
	assert_sql(&i, "SELECT group_concat(status) FROM jobs",
	    "done,cancelled,cancelled,cancelled");
	assert_sql(&i, "SELECT count(*) FROM supervisors", "3");
	helper_jobberd(
	    &map, &i, "a\nb\n3\n4\n", "map", "-j", "1", "--name", "m", WORKS(i), NULL);
	release(&i, "b");
	assert_int_equal(helper_wait(&map), 0);
	assert_string_equal(map.out.text, "out a\nout b\nout 3\nout 4\n");
	helper_end(&map);
	instance_finish(&i);
}

/* Nobody reads its output, so it is in the middle of writing. */
static void
interrupts_end_a_map_whose_output_is_not_read(void **state)
{
	struct instance i;
	struct helper map;
	char command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(command, sizeof(command),
	    "cd %s; mkfifo pipe; exec 8<>pipe; exec \"$JOBBERD\" -C %s map --name m -- "
	    "sh -c 'head -c 200000 /dev/zero' sh >&8", i.directory, i.state);
	helper_start(&map, "a\nb\n", (const char *const[]){ "sh", "-c", command, NULL });
	wait_sql(&i, "SELECT count(*) >= 2 FROM jobs WHERE status = 'done'");
	for (int n = 0; n < 1000 && is_alive(map.pid); n++) {
		kill(map.pid, SIGTERM);
		let_pass(&i, 1);
	}
	assert_int_equal(helper_wait(&map), 143);
	helper_end(&map);
	instance_finish(&i);
}

static void
output_that_cannot_be_written_ends_the_client_at_once(void **state)
{
	struct instance i;
	struct helper map;
	struct bell items;
	char command[900];

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&items, &i, "items");
	snprintf(command, sizeof(command),
	    "exec \"$JOBBERD\" -C %s map --name m -- echo >/dev/full <%s", i.state, items.path);
	helper_start(&map, NULL, (const char *const[]){ "sh", "-c", command, NULL });
	assert_int_equal(write(items.fd, "a\n", 2), 2); /* more may come */
	assert_int_equal(helper_wait(&map), 70);
	assert_string_equal(map.err.text, "jobberd: to go on: the same command and items\n"
					  "jobberd: cannot write to standard output\n");
	helper_end(&map);
	bell_done(&items);
	instance_finish(&i);
}

/* A name that nobody gave is told, or there would be no going on. */
static void
map_without_a_name_tells_the_one_that_it_has(void **state)
{
	struct instance i;
	struct result result;
	char name[32] = "";

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd_with_input(&i, "a\n", "map", "--", "echo", NULL);
	assert_int_equal(sscanf(result.err, "jobberd: this map is called %31s", name), 1);
	result_done(&result);
	assert_result(jobberd_with_input(&i, "a\n", "map", "--name", name, "--", "echo", NULL), 0,
	    "a\n", "");
	assert_sql(&i, "SELECT count(*) FROM jobs", "1");
	instance_finish(&i);
}

static void
terminal_shows_how_far_it_is(void **state)
{
	struct instance i;
	struct terminal t;

	(void)state;
	instance_init(&i);
	free(fifo_make(&i, "b"));
	instance_start(&i, NULL);
	terminal_start(&t, &i, 60, "map", "-j", "2", "--name", "m", WORKS(i), NULL);
	terminal_type(&t, "a\n");
	terminal_expect(&t, "out a\r\n");
	terminal_expect(&t, "1 ended");
	terminal_type(&t, "b\n\004");
	terminal_expect(&t, "[############............] 1 of 2");
	release(&i, "b");
	assert_int_equal(terminal_wait(&t), 0);
	assert_has(t.text, "\r\033[Kout b\r\n");
	terminal_done(&t);
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(item_stands_for_every_place_or_is_the_last_word),
		cmocka_unit_test(items_end_with_nul_if_wanted),
		cmocka_unit_test(item_that_is_none_ends_the_input_and_loses_nothing),
		cmocka_unit_test(long_items_go_in_smaller_portions),
		cmocka_unit_test(results_come_in_the_order_of_the_items_or_in_that_of_their_ends),
		cmocka_unit_test(two_at_a_time_and_no_more),
		cmocka_unit_test(output_that_is_cut_is_told),
		cmocka_unit_test(failed_item_is_told_with_its_reason_and_hurts_no_other),
		cmocka_unit_test(items_of_a_slow_producer_are_run_as_they_come),
		cmocka_unit_test(killed_client_is_gone_on_with_and_nothing_is_run_twice),
		cmocka_unit_test(item_whose_request_was_under_way_is_run_once),
		cmocka_unit_test(what_failed_is_run_again_and_what_was_done_is_not),
		cmocka_unit_test(supervisor_process_may_be_killed_under_way),
		cmocka_unit_test(killed_keeper_ends_the_client_in_words_and_the_map_goes_on),
		cmocka_unit_test(thousands_of_items_survive_a_storm_of_kills),
		cmocka_unit_test(other_items_are_refused_with_the_first_that_differs),
		cmocka_unit_test(map_is_run_by_one_client_at_a_time),
		cmocka_unit_test(what_makes_no_map_is_refused_in_words),
		cmocka_unit_test(item_that_makes_a_word_too_long_is_refused),
		cmocka_unit_test(interrupt_ends_what_is_left_and_tells_how_to_go_on),
		cmocka_unit_test(interrupts_end_a_map_whose_output_is_not_read),
		cmocka_unit_test(output_that_cannot_be_written_ends_the_client_at_once),
		cmocka_unit_test(map_without_a_name_tells_the_one_that_it_has),
		cmocka_unit_test(terminal_shows_how_far_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
