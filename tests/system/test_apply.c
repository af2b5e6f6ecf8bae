/* apply: what a file describes is made so, once. */

#include "support/example.h"
#include "support/family.h"
#include "support/system.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct instance i;
	char file[300], counter[PATH_MAX + 20];
	int64_t seen; /* events that are looked at no more */
};

static void
begin(struct scene *scene)
{
	char directory[PATH_MAX];

	scene->seen = 0;
	instance_init(&scene->i);
	build_directory(directory);
	snprintf(scene->counter, sizeof(scene->counter), "%s/servers/counter", directory);
	snprintf(scene->file, sizeof(scene->file), "%s/shop.json", scene->i.directory);
	instance_start(&scene->i, NULL);
}

/* The file says this; every % is the counter's path. */
static void
write_file(struct scene *scene, const char *text)
{
	FILE *file = fopen(scene->file, "w");

	assert_non_null(file);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '%')
			fputs(scene->counter, file);
		else
			fputc(*c == '\'' ? '"' : *c, file);
	}
	assert_int_equal(fclose(file), 0);
}

#define APPLY(scene, ...) jobberd(&(scene)->i, "apply", __VA_ARGS__, (scene)->file, NULL)

/* Only tried, too. */
static void
expect_refused(struct scene *scene, int status, const char *sentence)
{
	expect(APPLY(scene, "--dry-run"), status, "", sentence);
	expect(APPLY(scene, "--"), status, "", sentence);
}

static const char shop[] =
    "{'supervisors': [{'name': 'shop', 'strategy': 'rest_for_one', 'children': ["
    "{'name': 'web', 'command': ['%'], 'after': ['db', 'workers']},"
    "{'name': 'db', 'command': ['%'], 'env': ['A=1'], 'comment': 'first'},"
    "{'name': 'workers', 'max_restarts': 10, 'children': ["
    "  {'name': 'w1', 'command': ['%'], 'restart': 'permanent'},"
    "  {'name': 'w2', 'command': ['%'], 'autostart': false}]}]}]}";

static const char all_of_it[] = "+ supervisor shop\n+ shop/db\n+ supervisor workers\n"
				"+ workers/w1\n+ workers/w2\n+ shop/web\n> start shop\n";

static void
expect_order(struct scene *scene, const char *event, const char *names)
{
	char *statement = NULL, *order;

	assert_int_not_equal(asprintf(&statement, "SELECT group_concat(j.name, ' ') FROM (SELECT "
		"job_id FROM events WHERE event = '%s' AND seq > %lld ORDER BY seq) e JOIN jobs j "
		"ON j.id = e.job_id WHERE j.name LIKE '%%/%%' OR '%s' <> 'ready'", event,
				 (long long)scene->seen, event), -1);
	order = sql(&scene->i, statement);
	if (strcmp(order, names) != 0)
		fail_msg("%s: %s instead of %s", event, order, names);
	free(order);
	free(statement);
}

static void
file_is_applied_in_its_order_and_again_changes_nothing(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, shop);
	expect(APPLY(&scene, "--dry-run"), 0, all_of_it, NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM jobs"), 0);
	expect(APPLY(&scene, "--"), 0, all_of_it, NULL);
	expect_order(&scene, "ready", "shop/db workers/w1 shop/web");
	expect(APPLY(&scene, "--"), 0, "", NULL);
	expect(APPLY(&scene, "--prune"), 0, "", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 3);
	expect(jobberd(&scene.i, "count", "workers", NULL), 0,
	    "specs        2\nactive       1\nsupervisors  0\nworkers      2\n", NULL);
	expect(jobberd(&scene.i, "start", "workers/w2", NULL), 0, NULL, NULL);
	instance_finish(&scene.i);
}

static void
only_what_is_described_otherwise_is_touched(void **state)
{
	struct scene scene;
	char *text;

	(void)state;
	begin(&scene);
	write_file(&scene, shop);
	expect(APPLY(&scene, "--"), 0, all_of_it, NULL);
	write_file(&scene,
	    "{'supervisors': [{'name': 'shop', 'strategy': 'rest_for_one', 'max_seconds': 60,"
	    "'children': [{'name': 'new', 'command': ['%']},"
	    "{'name': 'db', 'command': ['%'], 'env': ['A=2']},"
	    "{'name': 'workers', 'max_restarts': 10, 'children': ["
	    "  {'name': 'w1', 'command': ['%'], 'restart': 'permanent'}]},"
	    "{'name': 'web', 'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0,
	    "~ supervisor shop: max-seconds 5 -> 60\n+ shop/new\n~ shop/db: env\n"
	    "~ order of shop: new, db, workers, web\n", NULL);
	text = sql(&scene.i, "SELECT group_concat(name || ':' || position, ' ') FROM (SELECT "
			     "j.name, v.position FROM servers v JOIN jobs j ON j.id = v.job_id "
			     "WHERE v.position IS NOT NULL AND j.supervisor = 'shop' "
			     "ORDER BY v.position)");
	assert_string_equal(text, "shop/new:1 shop/db:2 shop/web:4");
	free(text);
	/* w1 and web are what they were. */
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts a JOIN jobs j "
		"ON j.id = a.job_id WHERE j.name IN ('workers/w1', 'shop/web')"), 2);
	expect(APPLY(&scene, "--prune", "--dry-run"), 0, "- workers/w2\n", NULL);
	expect(APPLY(&scene, "--"), 0, "", NULL);
	expect(APPLY(&scene, "--prune"), 0, "- workers/w2\n", NULL);
	write_file(&scene, "{'supervisors': []}");
	expect(APPLY(&scene, "--"), 0, "", NULL);
	expect(APPLY(&scene, "--prune"), 0,
	    "- shop/new\n- shop/db\n- shop/web\n- workers/w1\n- supervisor workers\n"
	    "- supervisor shop\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM supervisors"), 3);
	instance_finish(&scene.i);
}

/* Of a tree, also when all of it ends or begins; a child without a place ends first. */
static void
auto_shutdown_ends_when_no_child_is_significant_any_more(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene,
	    "{'supervisors': [{'name': 'shop', 'auto-shutdown': 'any_significant', 'children': ["
	    "{'name': 'db', 'command': ['%'], 'significant': true},"
	    "{'name': 'in', 'restart': 'transient', 'significant': true, 'children': []}]}]}");
	expect(APPLY(&scene, "--"), 0,
	    "+ supervisor shop\n+ shop/db\n+ supervisor in\n> start shop\n", NULL);
	write_file(&scene, "{'supervisors': [{'name': 'shop', 'max-seconds': 7, 'children': ["
			   "{'name': 'db', 'command': ['%']},"
			   "{'name': 'in', 'restart': 'transient', 'children': []}]}]}");
	expect(APPLY(&scene, "--"), 0,
	    "~ supervisor shop: max-seconds 5 -> 7\n~ shop/db: significant\n"
	    "~ supervisor in: significant true -> false\n"
	    "~ supervisor shop: auto-shutdown any_significant -> never\n", NULL);
	expect(APPLY(&scene, "--"), 0, "", NULL);
	expect(jobberd(&scene.i, "call", "shop/db", "get", NULL), 0, "0\n", NULL);
	instance_finish(&scene.i);
}

static void
auto_shutdown_is_not_taken_away_while_a_significant_child_stays(void **state)
{
	static const char never[] = "{'supervisors': [{'name': 's', 'strategy': 'rest_for_one'}]}";
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, "{'supervisors': [{'name': 's', 'strategy': 'rest_for_one', "
			   "'auto_shutdown': 'any_significant', 'children': ["
			   "{'name': 'a', 'command': ['%'], 'significant': true}]}]}");
	expect(APPLY(&scene, "--"), 0, NULL, NULL);
	write_file(&scene, never);
	expect_refused(&scene, 2, "s: auto_shutdown: never: s/a, which stays, is significant");
	expect(APPLY(&scene, "--prune", "--dry-run"), 0, "- s/a\n"
		"~ supervisor s: auto-shutdown any_significant -> never\n", "");
	/* One that was started by hand, and another supervisor. */
	expect(jobberd(&scene.i, "start", "-s", "s", "--significant", "hand", "--", scene.counter,
		   NULL), 0, "2\n", NULL);
	expect(APPLY(&scene, "--prune", "--dry-run"), 2, "", "s: auto_shutdown: never: hand,");
	expect(APPLY(&scene, "--prune"), 2, "", "s: auto_shutdown: never: hand,");
	expect(jobberd(&scene.i, "stop", "2", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "delete", "2", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "supervisor", "add", "in", "--parent", "s", "--significant",
		   "--restart", "transient", NULL), 0, NULL, NULL);
	expect(APPLY(&scene, "--prune", "--dry-run"), 2, "", "s: auto_shutdown: never: in,");
	instance_finish(&scene.i);
}

static void
pool_of_the_name_of_a_supervisor_is_refused_before_anything_is_changed(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	expect(jobberd(&scene.i, "start", "--durable", "--pool", "1", "pl", "--", scene.counter,
		   NULL), 0, NULL, NULL);
	write_file(&scene, "{'supervisors': [{'name': 's'}, {'name': 'pl'}]}");
	expect_refused(&scene, 5, "pl: is a pool");
	instance_finish(&scene.i);
}

static void
child_with_the_name_of_one_of_another_kind_that_stays_is_refused(void **state)
{
	static const char *const files[] = {
		"{'supervisors': [{'name': 's', 'children': [{'name': 'w', 'command': ['%']}]}]}",
		"{'supervisors': [{'name': 's', 'children': [{'name': 'w', 'children': []}]}]}",
	};
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, files[0]);
	expect(APPLY(&scene, "--"), 0, NULL, NULL);
	write_file(&scene, files[1]);
	expect_refused(&scene, 5, "s: two of its children would have the name w: s/w stays");
	expect(APPLY(&scene, "--prune"), 0, "- s/w\n+ supervisor w\n> start w\n", "");
	write_file(&scene, files[0]);
	expect_refused(&scene, 5, "s: two of its children would have the name w: w stays");
	expect(APPLY(&scene, "--prune"), 0, "- supervisor w\n+ s/w\n", "");
	instance_finish(&scene.i);
}

static void
order_holds_when_everything_stops_and_starts(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, shop);
	expect(APPLY(&scene, "--"), 0, all_of_it, NULL);
	expect(jobberd(&scene.i, "start", "-s", "workers", "more", "--", scene.counter, NULL), 0,
	    NULL, NULL);
	instance_stop(&scene.i);
	expect_order(&scene, "interrupted", "shop/web more workers/w1 shop/db");
	scene.seen = sql_number(&scene.i, "SELECT max(seq) FROM events");
	instance_start(&scene.i, NULL);
	instance_expect(&scene.i, "supervisor=shop running");
	expect(jobberd(&scene.i, "start", "--once", "-s", "workers", "more", "--", scene.counter,
		   NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "stop", "more", NULL), 0, NULL, NULL);
	expect_order(&scene, "ready", "shop/db workers/w1 shop/web");
	/* The supervisor process alone: nothing begins again. */
	instance_kill_supervisor(&scene.i);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 8);
	instance_finish(&scene.i);
}

/* case 121 */
static void
child_that_refuses_ends_the_others_and_the_next_try_goes_on(void **state)
{
	struct scene scene;
	struct result status;

	(void)state;
	begin(&scene);
	write_file(&scene, "{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': "
			   "['%']}, {'name': 'b', 'command': ['%', 'refuse']}, "
			   "{'name': 'c', 'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 70, "+ supervisor s\n+ s/a\n+ s/b\n+ s/c\n",
	    "s: failed_to_start_child s/b: refused");
	status = jobberd(&scene.i, "status", NULL);
	assert_has(status.out, "supervisor s has ended: failed_to_start_child s/b: refused");
	result_done(&status);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts WHERE ended_at "
					      "IS NULL"), 0);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts a JOIN jobs j "
		"ON j.id = a.job_id WHERE j.name = 's/c'"), 0);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM jobs WHERE name = 's/a' "
					      "AND status = 'done'"), 1);
	write_file(&scene, "{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': "
			   "['%']}, {'name': 'b', 'command': ['%']}, "
			   "{'name': 'c', 'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0, "~ s/b: command\n> start s\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM jobs WHERE status = "
					      "'running'"), 3);
	/* What people stop stays so. */
	expect(jobberd(&scene.i, "stop", "s/a", NULL), 0, NULL, NULL);
	expect(APPLY(&scene, "--"), 0, "", "s/a does not run: jobberd start s/a");
	expect(jobberd(&scene.i, "supervisor", "stop", "s", NULL), 0, NULL, NULL);
	expect(APPLY(&scene, "--"), 0, "", "s has ended (stopped): jobberd supervisor start s");
	instance_finish(&scene.i);
}

static void
variables_from_a_file_are_part_of_the_description(void **state)
{
	struct scene scene;
	char path[320];
	FILE *file;

	(void)state;
	begin(&scene);
	snprintf(path, sizeof(path), "%s/db.env", scene.i.directory);
	for (int n = 1; n <= 2; n++) {
		file = fopen(path, "w");
		assert_non_null(file);
		fprintf(file, "PORT=%d\n", n);
		assert_int_equal(fclose(file), 0);
		write_file(&scene, "{'supervisors': [{'name': 's', 'children': [{'name': 'a', "
				   "'command': ['%'], 'env_file': 'db.env'}]}]}");
		expect(APPLY(&scene, "--"), 0,
		    n == 1 ? "+ supervisor s\n+ s/a\n> start s\n" : "~ s/a: environment\n", NULL);
		expect(APPLY(&scene, "--"), 0, "", NULL);
	}
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM jobs j JOIN environments e "
		"ON e.id = j.environment WHERE j.status = 'running' AND j.cwd LIKE '/%' "
		"AND json_extract(e.vars, '$.PORT') = '2'"), 1);
	instance_finish(&scene.i);
}

static void
file_that_makes_no_sense_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *sentence;
	} bad[] = {
		{ "{", "line 1" },
		{ "[]", "wants an object with supervisors" },
		{ "{'supervisors': [], 'jobs': []}", "there is no key \"jobs\"" },
		{ "{'supervisors': [{'name': 'a b'}]}", "an object with a name" },
		{ "{'supervisors': [{'name': 'a', 'command': ['x']}]}", "in a supervisor" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b'}]}]}",
		    "b: wants either a command or children" },
		{ "{'supervisors': [{'name': 'a', 'strategy': 'all'}]}", "a: strategy: \"all\"" },
		{ "{'supervisors': [{'name': 'a', 'colour': 1}]}", "has no key \"colour\"" },
		{ "{'supervisors': [{'name': 'a'}, {'name': 'a'}]}", "a: is there twice" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b', 'command': ['x'], "
		  "'after': ['c']}]}]}", "b: after: names one that is not beside it" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b', 'command': ['x'], "
		  "'after': ['c']}, {'name': 'c', 'command': ['x'], 'after': ['b']}]}]}",
		    "b: after: they wait for each other" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b', 'command': ['x'], "
		  "'max-retries': 3}]}]}", "a/b: max-retries: not for a server" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b', 'command': ['x'], "
		  "'significant': true, 'restart': 'temporary'}]}]}",
		    "a/b: significant: its supervisor a has auto_shutdown never" },
		{ "{'supervisors': [{'name': 'a', 'auto_shutdown': 'any_significant', 'children': "
		  "[{'name': 'b', 'significant': true, 'children': []}]}]}",
		    "b: significant: it is permanent" },
		{ "{'supervisors': [{'name': 'a', 'significant': true, 'restart': 'temporary'}]}",
		    "a: significant: only beneath another supervisor" },
		{ "{'supervisors': [{'name': 'a', 'max_children': 1, 'children': [{'name': 'b', "
		  "'command': ['x']}, {'name': 'c', 'command': ['x']}]}]}",
		    "a: max_children: 1 are too few for its 2 children in order" },
		{ "{'supervisors': [{'name': 'serial', 'children': [{'name': 'b', 'command': "
		  "['x']}, {'name': 'c', 'command': ['x']}]}]}", "serial: max_children: 1 are" },
		{ "{'supervisors': [{'name': 'a', 'children': [{'name': 'b', 'command': ['x'], "
		  "'plain': true, 'stop_signal': 'INT', 'stop-signal': 'HUP'}]}]}",
		    "a/b: \"stop-signal\" and \"stop_signal\" are one key" },
		{ "{'supervisors': [{'name': 'a', 'max_seconds': 1, 'max-seconds': 2}]}",
		    "a: \"max-seconds\" and \"max_seconds\" are one key" },
	};
	struct scene scene;

	(void)state;
	begin(&scene);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		write_file(&scene, bad[n].text);
		expect_refused(&scene, 2, bad[n].sentence);
	}
	assert_int_equal(unlink(scene.file), 0);
	expect(APPLY(&scene, "--"), 4, "", "No such file");
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM supervisors"), 3);
	instance_finish(&scene.i);
}

/* What the directory, the variables and the options come to is compared, not how it was asked. */
static void
server_that_was_started_by_hand_as_described_is_taken_over_untouched(void **state)
{
	static const char file[] = "{'supervisors': [{'name': 'hand', 'children': [{'name': 'a', "
				   "'command': ['%'], 'restart': 'transient', 'env': ['A=1'], "
				   "'grace': '2s', 'meta': ['x=1', 'b=2']}]}]}";
	struct scene scene;

	(void)state;
	begin(&scene);
	expect(jobberd(&scene.i, "supervisor", "add", "hand", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "start", "-s", "hand", "--cwd", scene.i.directory, "--env", "A=1",
		   "--grace", "2000ms", "--meta", "b=2", "--meta", "x=1", "hand/a", "--",
		   scene.counter, NULL), 0, "1\n", NULL);
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0,
	    "~ supervisor hand: described by this file now\n"
	    "~ hand/a: described by this file now\n", NULL);
	expect(APPLY(&scene, "--"), 0, "", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 1);
	write_file(&scene, "{'supervisors': [{'name': 'hand', 'children': []}]}");
	expect(APPLY(&scene, "--prune"), 0, "- hand/a\n", NULL);
	expect(jobberd(&scene.i, "start", "-s", "hand", "--cwd", scene.i.directory, "--env", "A=2",
		   "--grace", "2s", "hand/a", "--", scene.counter, NULL), 0, "2\n", NULL);
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0, "~ hand/a: described anew\n", NULL);
	instance_finish(&scene.i);
}

static void
plain_service_that_was_started_by_hand_is_taken_over_untouched(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	expect(jobberd(&scene.i, "supervisor", "add", "hand", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "start", "-s", "hand", "--cwd", scene.i.directory, "--plain",
		   "--stop-signal", "INT", "--success-exit", "3", "--restart-delay",
		   "constant:1s", "hand/a", "--", "sleep", "1000", NULL), 0, "1\n", NULL);
	write_file(&scene, "{'supervisors': [{'name': 'hand', 'children': [{'name': 'a', "
			   "'command': ['sleep', '1000'], 'plain': true, 'stop_signal': 'SIGINT', "
			   "'success_exit': '3', 'restart_delay': 'constant:1000ms'}]}]}");
	expect(APPLY(&scene, "--"), 0,
	    "~ supervisor hand: described by this file now\n"
	    "~ hand/a: described by this file now\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 1);
	instance_finish(&scene.i);
}

static void
server_beneath_a_paused_supervisor_is_not_waited_for(void **state)
{
	static const char waits[] = "p/c waits: p is paused: jobberd supervisor resume p";
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': []}]}");
	expect(APPLY(&scene, "--"), 0, "+ supervisor p\n> start p\n", NULL);
	expect(jobberd(&scene.i, "supervisor", "pause", "p", NULL), 0, "", NULL);
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': [{'name': 'c', "
			   "'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0, "+ p/c\n", waits);
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': [{'name': 'c', "
			   "'command': ['%'], 'grace': '2s'}]}]}");
	expect(APPLY(&scene, "--"), 0, "~ p/c: grace\n", waits);
	expect(APPLY(&scene, "--"), 0, "", NULL);
	expect(jobberd(&scene.i, "supervisor", "resume", "p", NULL), 0, "", NULL);
	await_up(&scene.i, "p/c", 1);
	instance_finish(&scene.i);
}

/* ---- what has ended ---- */

/* The only child of t is described so, behind its name and its command. */
static struct result
apply_child(struct scene *scene, const char *more)
{
	char text[300];

	snprintf(text, sizeof(text), "{'supervisors': [{'name': 't', 'children': ["
	    "{'name': 'c', 'command': ['%%']%s}, {'name': 'last', 'command': ['%%']}]}]}", more);
	write_file(scene, text);
	return APPLY(scene, "--");
}

static void
begin_child(struct scene *scene, const char *more)
{
	begin(scene);
	expect(apply_child(scene, more), 0, "+ supervisor t\n+ t/c\n+ t/last\n> start t\n", NULL);
}

/* What it comes to is compared, not how it is written. */
static void
server_that_is_described_as_before_in_other_words_is_left_alone(void **state)
{
	struct scene scene;

	(void)state;
	begin_child(&scene, ", 'grace': '1s', 'restart_delay': 'constant:1s', 'env_all': true, "
	    "'log-rotate': '1M', 'env': ['A=1']");
	expect(apply_child(&scene, ", 'grace': '1000ms', 'restart-delay': 'constant:1000ms', "
	    "'env-all': true, 'log_rotate': '1024K,5', 'env': ['A=1']"), 0, "", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 2);
	expect(apply_child(&scene, ", 'grace': '1001ms', 'restart-delay': 'constant:1000ms', "
	    "'env-all': true, 'log_rotate': '1024K,5', 'env': ['A=2']"), 0,
	    "~ t/c: env, grace\n", NULL);
	instance_finish(&scene.i);
}

static const char stays_down[] = "t/c does not run: jobberd start t/c";

static void
temporary_server_that_has_ended_is_not_started_by_the_same_file(void **state)
{
	static const char temporary[] = ", 'restart': 'temporary'";
	struct scene scene;

	(void)state;
	begin_child(&scene, temporary);
	expect(jobberd(&scene.i, "call", "t/c", "stop", "normal", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "wait", "1", NULL), 0, NULL, NULL);
	expect(APPLY(&scene, "--dry-run"), 0, "", stays_down);
	expect(apply_child(&scene, temporary), 0, "", stays_down);
	expect(jobberd(&scene.i, "prune", "--older-than", "0", "--keep", "0", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, temporary), 0, "", stays_down);
	expect(apply_child(&scene, ", 'restart': 'temporary', 'grace': '1s'"), 0,
	    "~ t/c: grace\n~ order of t: c, last\n", "");
	expect(jobberd(&scene.i, "stop", "t/c", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ", 'restart': 'temporary', 'grace': '1s'"), 0, "", stays_down);
	expect(apply_child(&scene, temporary), 0, "~ t/c: grace\n~ order of t: c, last\n",
	    stays_down);
	expect(apply_child(&scene, temporary), 0, "", stays_down);
	expect(jobberd(&scene.i, "start", "t/c", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, temporary), 0, "", "");
	instance_finish(&scene.i);
}

static void
temporary_server_that_could_not_be_started_is_tried_again(void **state)
{
	static const char file[] = "{'supervisors': [{'name': 't', 'children': [{'name': 'c', "
				   "'command': ['%', 'X'], 'restart': 'temporary'}]}]}";
	static const char *const words[] = { "refuse", "ignore" };
	struct scene scene;
	char text[sizeof(file) + 8], *place;

	(void)state;
	begin(&scene);
	expect(jobberd(&scene.i, "supervisor", "add", "t", NULL), 0, "", NULL);
	for (int n = 0; n < 2; n++) {
		memcpy(text, file, sizeof(file));
		place = strchr(text, 'X');
		snprintf(place, sizeof(text) - (size_t)(place - text), "%s%s", words[n],
		    strchr(file, 'X') + 1);
		write_file(&scene, text);
		expect(APPLY(&scene, "--"), n == 0 ? 70 : 0, NULL, n == 0 ? "refused" : "");
		expect(APPLY(&scene, "--"), n == 0 ? 70 : 0, "", n == 0 ? "refused" : stays_down);
	}
	instance_finish(&scene.i);
}

static void
server_that_people_have_stopped_is_described_anew_and_stays_so(void **state)
{
	struct scene scene;

	(void)state;
	begin_child(&scene, "");
	expect(jobberd(&scene.i, "stop", "t/c", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ", 'grace': '1s'"), 0, "~ t/c: grace\n", stays_down);
	expect(apply_child(&scene, ", 'grace': '1s'"), 0, "", stays_down);
	expect(apply_child(&scene, ""), 0, "~ t/c: grace\n", stays_down);
	expect(jobberd(&scene.i, "start", "t/c", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ", 'grace': '1s'"), 0, "~ t/c: grace\n", "");
	expect(jobberd(&scene.i, "call", "t/c", "get", NULL), 0, "0\n", NULL);
	/* With its supervisor it is started again, as all its children. */
	expect(jobberd(&scene.i, "stop", "t/c", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ""), 0, "~ t/c: grace\n", stays_down);
	expect(jobberd(&scene.i, "supervisor", "restart", "t", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ""), 0, "", "");
	instance_finish(&scene.i);
}

/* As one leaves it that was killed behind the stop of what it replaces. */
static void
interrupted_apply_is_finished_by_the_next_one(void **state)
{
	struct scene scene;

	(void)state;
	begin_child(&scene, "");
	expect(jobberd(&scene.i, "stop", "t/c", "shutdown:apply", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ""), 0, "~ t/c: stopped by an apply that was interrupted\n", "");
	expect(jobberd(&scene.i, "stop", "t/c", "shutdown:apply", NULL), 0, NULL, NULL);
	expect(apply_child(&scene, ", 'grace': '1s'"), 0, "~ t/c: grace\n", "");
	expect(jobberd(&scene.i, "call", "t/c", "get", NULL), 0, "0\n", NULL);
	instance_finish(&scene.i);
}

/* ---- two files ---- */

/* Which of them is written and applied from now on. */
static void
use_file(struct scene *scene, const char *name)
{
	snprintf(scene->file, sizeof(scene->file), "%s/%s", scene->i.directory, name);
}

static void
prune_leaves_alone_what_another_file_describes_beneath_the_same_supervisor(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	use_file(&scene, "fa.json");
	write_file(&scene, "{'supervisors': [{'name': 's', 'children': [{'name': 'a', "
			   "'command': ['%'], 'durable': true}, {'name': 'both', "
			   "'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0, "+ supervisor s\n+ s/a\n+ s/both\n> start s\n", NULL);
	use_file(&scene, "fb.json");
	write_file(&scene, "{'supervisors': [{'name': 's', 'children': [{'name': 'both', "
			   "'command': ['%']}, {'name': 'b', 'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0, "~ supervisor s: described by this file now\n"
		"~ s/both: described by this file now\n+ s/b\n", NULL);
	expect(APPLY(&scene, "--prune"), 0, "", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 3);
	expect(jobberd(&scene.i, "call", "s/a", "get", NULL), 0, "0\n", NULL);
	/* What one file has described last is that one's, whosever its supervisor is. */
	use_file(&scene, "fa.json");
	write_file(&scene, "{'supervisors': []}");
	expect(APPLY(&scene, "--prune"), 0, "- s/a\n", NULL);
	use_file(&scene, "fb.json");
	write_file(&scene, "{'supervisors': []}");
	expect(APPLY(&scene, "--prune"), 0, "- s/both\n- s/b\n- supervisor s\n", NULL);
	instance_finish(&scene.i);
}

static void
temporary_server_that_has_ended_goes_over_to_another_file(void **state)
{
	static const char file[] = "{'supervisors': [{'name': 's', 'children': [{'name': 'a', "
				   "'command': ['%'], 'restart': 'temporary'}]}]}";
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0, "+ supervisor s\n+ s/a\n> start s\n", NULL);
	expect(jobberd(&scene.i, "call", "s/a", "stop", "normal", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "wait", "1", NULL), 0, NULL, NULL);
	use_file(&scene, "other.json");
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0, "~ supervisor s: described by this file now\n"
		"~ s/a: described by this file now\n", "s/a does not run: jobberd start s/a");
	expect(APPLY(&scene, "--"), 0, "", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 1);
	instance_finish(&scene.i);
}

static void
expect_kept(struct scene *scene, const char *sentence)
{
	expect(APPLY(scene, "--prune", "--dry-run"), 5, "", sentence);
	expect(APPLY(scene, "--prune"), 5, "", sentence);
	expect(jobberd(&scene->i, "call", "p/a", "get", NULL), 0, "0\n", NULL);
}

/* Not halfway, when it does not run any more. */
static void
prune_of_a_supervisor_is_refused_while_it_has_what_is_not_of_the_file(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': [{'name': 'a', "
			   "'command': ['%']}]}, {'name': 'default', 'overflow': 'wait'}]}");
	expect(APPLY(&scene, "--"), 0, NULL, NULL);
	write_file(&scene, "{'supervisors': []}");
	expect(jobberd(&scene.i, "start", "-s", "p", "hand", "--", scene.counter, NULL), 0, NULL,
	    NULL);
	expect_kept(&scene, "p: cannot be removed: hand beneath it is not of this file");
	expect(jobberd(&scene.i, "stop", "hand", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "submit", "-s", "p", "--hold", "--name", "later", "true", NULL), 0,
	    NULL, NULL);
	expect_kept(&scene, "p: cannot be removed: later beneath it is not of this file");
	expect(jobberd(&scene.i, "cancel", "later", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "supervisor", "add", "q", "--parent", "p", NULL), 0, "", NULL);
	expect_kept(&scene, "p: cannot be removed: q beneath it is not of this file");
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 2);
	expect(jobberd(&scene.i, "supervisor", "stop", "q", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "supervisor", "rm", "q", NULL), 0, "", NULL);
	/* What is built in stays. */
	expect(APPLY(&scene, "--prune"), 0, "- p/a\n- supervisor p\n", "");
	instance_finish(&scene.i);
}

static void
prune_of_a_supervisor_is_refused_while_another_file_has_a_server_in_it(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': [{'name': 'kept', "
			   "'command': ['%'], 'durable': true}]}]}");
	expect(APPLY(&scene, "--"), 0, NULL, NULL);
	expect(jobberd(&scene.i, "stop", "p/kept", NULL), 0, NULL, NULL);
	use_file(&scene, "fb.json");
	write_file(&scene, "{'supervisors': [{'name': 'p', 'children': [{'name': 'a', "
			   "'command': ['%']}]}]}");
	expect(APPLY(&scene, "--"), 0, "~ supervisor p: described by this file now\n+ p/a\n", "");
	write_file(&scene, "{'supervisors': []}");
	expect_kept(&scene, "p: cannot be removed: p/kept beneath it is not of this file");
	instance_finish(&scene.i);
}

/* Relative paths in it, and ./run, are other ones there. */
static void
file_in_another_directory_describes_other_servers(void **state)
{
	static const char file[] = "{'supervisors': [{'name': 's', 'children': [{'name': 'a', "
				   "'command': ['%']}, {'name': 'fixed', 'command': ['%'], "
				   "'cwd': '/'}]}]}";
	struct scene scene;
	char directory[300], *cwd;

	(void)state;
	begin(&scene);
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0, NULL, NULL);
	snprintf(directory, sizeof(directory), "%s/elsewhere", scene.i.directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	use_file(&scene, "elsewhere/shop.json");
	write_file(&scene, file);
	expect(APPLY(&scene, "--"), 0, "~ supervisor s: described by this file now\n~ s/a: cwd\n"
		"~ s/fixed: described by this file now\n", NULL);
	expect(APPLY(&scene, "--"), 0, "", NULL);
	cwd = sql(&scene.i, "SELECT cwd FROM jobs WHERE name = 's/a' AND status = 'running'");
	if (strcmp(cwd, directory) != 0)
		fail_msg("it runs in %s", cwd);
	free(cwd);
	instance_finish(&scene.i);
}

/* ---- a durable server, described anew ---- */

/* The only child of d is described so, behind its name and its command. */
static struct result
apply_durable(struct scene *scene, const char *more)
{
	char text[300];

	snprintf(text, sizeof(text), "{'supervisors': [{'name': 'd', 'children': [{'name': 'c', "
	    "'command': ['%%']%s}]}]}", more);
	write_file(scene, text);
	return APPLY(scene, "--");
}

static const char permanent[] = ", 'durable': true, 'restart': 'permanent'";
static const char transient[] = ", 'durable': true, 'restart': 'transient'";

static void
begin_durable(struct scene *scene)
{
	begin(scene);
	expect(apply_durable(scene, permanent), 0, "+ supervisor d\n+ d/c\n> start d\n", NULL);
	expect(jobberd(&scene->i, "cast", "d/c", "add", "5", NULL), 0, "", NULL);
	expect(jobberd(&scene->i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
}

static void
durable_server_keeps_its_state_when_it_is_described_anew(void **state)
{
	struct scene scene;

	(void)state;
	begin_durable(&scene);
	expect(apply_durable(&scene, transient), 0, "~ d/c: restart\n", NULL);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
	expect(jobberd(&scene.i, "cast", "1", "add", "1", NULL), 4, "", "noproc");
	expect(apply_durable(&scene, transient), 0, "", NULL);
	instance_finish(&scene.i);
}

/* What waits while it does not run, is set aside, or is a timer of its own. */
static void
durable_server_keeps_its_messages_when_it_is_described_anew(void **state)
{
	struct scene scene;

	(void)state;
	begin_durable(&scene);
	expect(jobberd(&scene.i, "cast", "d/c", "tick", "3600000", "1", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
	expect(jobberd(&scene.i, "stop", "d/c", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "cast", "1", "add", "2", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "cast", "1", "add", "8", NULL), 0, "", NULL);
	assert_null(foreign(&scene.i, "BEGIN IMMEDIATE; "
		"UPDATE writer SET is_writing = 1; UPDATE messages SET "
		"dead_at = 1, dead_reason = 'signal:ABRT' WHERE message LIKE '%2%'; "
		"UPDATE writer SET is_writing = 0; COMMIT"));
	expect(apply_durable(&scene, transient), 0, "~ d/c: restart\n",
	    "d/c does not run: jobberd start d/c");
	expect(jobberd(&scene.i, "start", "d/c", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "13\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM messages m JOIN servers v "
		"ON v.job_id = m.job_id WHERE v.position IS NOT NULL AND (m.dead_at IS NOT NULL "
		"OR m.owner = m.job_id)"), 2);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM messages"), 2);
	instance_finish(&scene.i);
}

/* A wrong word in the file, and the right one after it: the wrong one has kept it meanwhile. */
static void
durable_server_keeps_all_when_its_new_description_cannot_be_started(void **state)
{
	static const char wrong[] = ", 'durable': true, 'env': ['PATH=/'], 'cwd': '/nowhere'";
	static const char lost[] = "d/c: is not durable any more, and would lose what job 3 has";
	struct scene scene;

	(void)state;
	begin_durable(&scene);
	expect(jobberd(&scene.i, "cast", "d/c", "tick", "3600000", "1", NULL), 0, "", NULL);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
	expect(apply_durable(&scene, wrong), 70, NULL, "d/c");
	expect(apply_durable(&scene, wrong), 70, NULL, "d/c");
	expect(apply_durable(&scene, ""), 5, "", lost);
	expect(apply_durable(&scene, permanent), 0, "+ d/c\n", NULL);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM messages m JOIN servers v "
		"ON v.job_id = m.job_id AND m.owner = m.job_id WHERE v.position IS NOT NULL"), 1);
	instance_finish(&scene.i);
}

static void
durable_server_is_not_made_a_plain_one_while_it_has_something_to_lose(void **state)
{
	static const char lost[] = "d/c: has a committed state and 0 messages, which would be lost";
	struct scene scene;

	(void)state;
	begin_durable(&scene);
	expect(apply_durable(&scene, ""), 5, "", lost);
	expect(APPLY(&scene, "--dry-run"), 5, "", lost);
	expect(jobberd(&scene.i, "call", "d/c", "get", NULL), 0, "5\n", NULL);
	assert_int_equal(sql_number(&scene.i, "SELECT count(*) FROM attempts"), 1);
	expect(jobberd(&scene.i, "stop", "d/c", NULL), 0, NULL, NULL);
	expect(jobberd(&scene.i, "delete", "d/c", NULL), 0, "", NULL);
	expect(apply_durable(&scene, ""), 0, "+ d/c\n", NULL);
	expect(apply_durable(&scene, ", 'durable': true, 'autostart': false"), 0,
	    "~ d/c: autostart, durable\n", NULL);
	expect(apply_durable(&scene, ""), 0, "~ d/c: autostart, durable\n", NULL);
	instance_finish(&scene.i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_applied_in_its_order_and_again_changes_nothing),
		cmocka_unit_test(only_what_is_described_otherwise_is_touched),
		cmocka_unit_test(auto_shutdown_ends_when_no_child_is_significant_any_more),
		cmocka_unit_test(auto_shutdown_is_not_taken_away_while_a_significant_child_stays),
		cmocka_unit_test(
		    pool_of_the_name_of_a_supervisor_is_refused_before_anything_is_changed),
		cmocka_unit_test(child_with_the_name_of_one_of_another_kind_that_stays_is_refused),
		cmocka_unit_test(order_holds_when_everything_stops_and_starts),
		cmocka_unit_test(child_that_refuses_ends_the_others_and_the_next_try_goes_on),
		cmocka_unit_test(variables_from_a_file_are_part_of_the_description),
		cmocka_unit_test(file_that_makes_no_sense_is_refused_with_its_place),
		cmocka_unit_test(
		    server_that_was_started_by_hand_as_described_is_taken_over_untouched),
		cmocka_unit_test(server_that_is_described_as_before_in_other_words_is_left_alone),
		cmocka_unit_test(plain_service_that_was_started_by_hand_is_taken_over_untouched),
		cmocka_unit_test(server_beneath_a_paused_supervisor_is_not_waited_for),
		cmocka_unit_test(temporary_server_that_has_ended_is_not_started_by_the_same_file),
		cmocka_unit_test(temporary_server_that_could_not_be_started_is_tried_again),
		cmocka_unit_test(server_that_people_have_stopped_is_described_anew_and_stays_so),
		cmocka_unit_test(interrupted_apply_is_finished_by_the_next_one),
		cmocka_unit_test(
		    prune_leaves_alone_what_another_file_describes_beneath_the_same_supervisor),
		cmocka_unit_test(temporary_server_that_has_ended_goes_over_to_another_file),
		cmocka_unit_test(
		    prune_of_a_supervisor_is_refused_while_it_has_what_is_not_of_the_file),
		cmocka_unit_test(
		    prune_of_a_supervisor_is_refused_while_another_file_has_a_server_in_it),
		cmocka_unit_test(file_in_another_directory_describes_other_servers),
		cmocka_unit_test(durable_server_keeps_its_state_when_it_is_described_anew),
		cmocka_unit_test(durable_server_keeps_its_messages_when_it_is_described_anew),
		cmocka_unit_test(
		    durable_server_keeps_all_when_its_new_description_cannot_be_started),
		cmocka_unit_test(
		    durable_server_is_not_made_a_plain_one_while_it_has_something_to_lose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
