/*
 * A supervisor is in the middle of something, and one of our own processes is killed, or all is
 * shut down, or the machine goes down: whoever comes next finds the rows and goes on. Then the
 * tree is whole, and nothing has run twice at a time (check_accounts() in instance_finish()).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/family.h"
#include "support/outside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer than what the tests do to one that is being ended. */
#define GRACE (IS_SANITIZED ? "--grace 20s" : "--grace 2s")

enum moment { STARTING, REGROUPING, RESTARTING, ENDING };
enum blow { SUPERVISOR_PROCESS, KEEPER, SHUTDOWN, REBOOT };

struct scene {
	struct instance i;
	struct helper client; /* who has asked for the start or the end */
	bool has_client;
};

static void
set_up(struct scene *scene)
{
	struct instance *i = &scene->i;

	scene->has_client = false;
	instance_init(i);
	instance_start(i, NULL);
	SUP(i, 0, NULL, "add", "shop", "--strategy", "one_for_all", "--restart", "temporary");
	child_up(i, GRACE, "shop/a", "trap");
	child_up(i, GRACE, "shop/b", "trap init-fifo=init");
	child_up(i, GRACE, "shop/c", "trap end-fifo=end");
}

static void
ask(struct scene *scene, const char *what)
{
	helper_jobberd(&scene->client, &scene->i, NULL, "supervisor", what, "shop", NULL);
	scene->has_client = true;
}

/* As long as there is the fifo, whoever comes to it is held there. */
static void
let_go(struct instance *i, const char *name)
{
	char *path = xasprintf("%s/%s", i->directory, name);
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	unlink(path);
	if (fd != -1) {
		let_pass(i, 100); /* whoever stands there goes on */
		close(fd);
	}
	free(path);
}

static void
await_stopping(struct instance *i, const char *name)
{
	await_sql(i, "1", "SELECT count(*) FROM attempts WHERE ended_at IS NULL "
			  "AND stop_reason IS NOT NULL AND job_id = (SELECT id FROM jobs "
			  "WHERE name = '%s')", name);
}

static void
await_started(struct instance *i, const char *name, int attempt)
{
	await_sql(i, "1", "SELECT count(*) FROM attempts WHERE started_at IS NOT NULL "
			  "AND ended_at IS NULL AND attempt >= %d AND job_id = (SELECT id FROM "
			  "jobs WHERE name = '%s')", attempt, name);
}

static void
bring_to(struct scene *scene, enum moment moment)
{
	struct instance *i = &scene->i;

	if (moment == STARTING)
		SUP(i, 0, NULL, "stop", "shop");
	if (moment == STARTING || moment == RESTARTING)
		free(fifo_make(i, "init"));
	if (moment == REGROUPING || moment == ENDING)
		free(fifo_make(i, "end"));
	if (moment == STARTING || moment == ENDING)
		ask(scene, moment == STARTING ? "start" : "stop");
	else
		child_kill(i, "shop/a");
	if (moment == STARTING || moment == RESTARTING)
		await_started(i, "shop/b", 2);
	else
		await_stopping(i, "shop/c");
	await_state(i, "shop", moment == STARTING ? "starting"
		: moment == REGROUPING		  ? "regrouping"
		: moment == RESTARTING		  ? "restarting"
						  : "ending");
}

static void
machine_goes_down(struct instance *i)
{
	char *pids;

	instance_kill_keeper(i);
	pids = sql(i, "SELECT group_concat(pid, ' ') FROM attempts WHERE ended_at IS NULL");
	for (char *at = pids, *word; (word = strsep(&at, " ")) != NULL;) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		if (pid > 0) {
			kill(pid, SIGKILL);
			wait_gone(pid);
		}
	}
	free(pids);
	assert_null(foreign(i, "UPDATE writer SET is_writing = 1"));
	assert_null(foreign(i, "UPDATE generations SET boot_id = 'another'; "
			       "UPDATE restarts SET boot_id = 'another', boot_ms = 1"));
	assert_null(foreign(i, "UPDATE writer SET is_writing = 0"));
}

static void
strike(struct instance *i, enum blow blow)
{
	switch (blow) {
	case SUPERVISOR_PROCESS:
		instance_kill_supervisor(i);
		return;
	case KEEPER:
		instance_kill_keeper(i);
		break;
	case SHUTDOWN:
		instance_stop(i);
		break;
	case REBOOT:
		machine_goes_down(i);
		break;
	}
	instance_start(i, NULL);
}

static void
check_moment(enum moment moment, enum blow blow)
{
	struct scene scene;
	struct instance *i = &scene.i;

	set_up(&scene);
	bring_to(&scene, moment);
	strike(i, blow);
	let_go(i, "init");
	let_go(i, "end");
	if (moment == ENDING) {
		await_state(i, "shop", "ended");
		assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts "
					       "WHERE ended_at IS NULL"), 0);
		check_count(i, "shop", "3 0 0 3");
		SUP(i, 0, NULL, "start", "shop");
	}
	await_state(i, "shop", "running");
	await_up(i, "shop/a", 2);
	await_up(i, "shop/b", 2);
	await_up(i, "shop/c", 2);
	check_count(i, "shop", "3 3 0 3");
	if (scene.has_client) {
		helper_wait(&scene.client);
		helper_end(&scene.client);
	}
	instance_finish(i);
}

static void
supervisor_process_killed_in_the_middle(void **state)
{
	(void)state;
	for (int moment = STARTING; moment <= ENDING; moment++)
		check_moment(moment, SUPERVISOR_PROCESS);
}

static void
keeper_killed_in_the_middle(void **state)
{
	(void)state;
	for (int moment = STARTING; moment <= ENDING; moment++)
		check_moment(moment, KEEPER);
}

static void
shutdown_in_the_middle(void **state)
{
	(void)state;
	for (int moment = STARTING; moment <= ENDING; moment++)
		check_moment(moment, SHUTDOWN);
}

static void
machine_goes_down_in_the_middle(void **state)
{
	(void)state;
	for (int moment = STARTING; moment <= ENDING; moment++)
		check_moment(moment, REBOOT);
}

/* ---- people in the middle of it ---- */

static void
child_that_is_stopped_while_its_group_is_ended_stays_down(void **state)
{
	struct helper stop;
	struct scene scene;
	struct instance *i = &scene.i;

	(void)state;
	set_up(&scene);
	bring_to(&scene, REGROUPING);
	expect(jobberd(i, "stop", "shop/b", NULL), 0, NULL, NULL); /* its turn had not come */
	helper_jobberd(&stop, i, NULL, "stop", "shop/c", NULL);	   /* it was being ended */
	await_sql(i, "1", "SELECT stop_asked FROM servers WHERE job_id = 3");
	let_go(i, "end");
	assert_int_equal(helper_wait(&stop), 70); /* it has ended, with another reason */
	assert_has(stop.err.text, "shutdown");
	helper_end(&stop);
	await_up(i, "shop/a", 2);
	await_state(i, "shop", "running");
	check_child(i, "shop/b", "done normal");
	check_child(i, "shop/c", "done shutdown");
	check_count(i, "shop", "3 1 0 3");
	instance_finish(i);
}

static void
supervisor_that_is_stopped_while_its_parent_regroups_stays_down(void **state)
{
	struct helper stop;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "shop", "--strategy", "one_for_all");
	child_up(&i, NULL, "shop/a", NULL);
	SUP(&i, 0, NULL, "add", "inner", "--parent", "shop");
	child_up(&i, NULL, "inner/b", "trap end-fifo=end");
	free(fifo_make(&i, "end"));
	child_kill(&i, "shop/a");
	await_stopping(&i, "inner/b");
	helper_jobberd(&stop, &i, NULL, "supervisor", "stop", "inner", NULL);
	await_sql(&i, "stopped", "SELECT reason FROM supervisors WHERE name = 'inner'");
	let_go(&i, "end");
	assert_int_equal(helper_wait(&stop), 0);
	helper_end(&stop);
	await_up(&i, "shop/a", 2);
	await_state(&i, "shop", "running");
	await_state(&i, "inner", "ended");
	SUP(&i, 0, NULL, "start", "inner");
	await_up(&i, "inner/b", 2);
	instance_finish(&i);
}

static void
supervisor_is_stopped_in_the_middle_of_its_start(void **state)
{
	struct scene scene;
	struct instance *i = &scene.i;

	(void)state;
	set_up(&scene);
	bring_to(&scene, STARTING);
	SUP(i, 0, NULL, "stop", "shop");
	assert_int_equal(helper_wait(&scene.client), 70);
	assert_has(scene.client.err.text, "shop: stopped");
	helper_end(&scene.client);
	let_go(i, "init");
	check_count(i, "shop", "3 0 0 3");
	assert_int_equal(child_attempts(i, "shop/c"), 1);
	SUP(i, 0, NULL, "start", "shop");
	instance_finish(i);
}

static void
child_that_is_held_is_not_waited_for(void **state)
{
	struct scene scene;
	struct instance *i = &scene.i;

	(void)state;
	set_up(&scene);
	bring_to(&scene, STARTING);
	expect(jobberd(i, "hold", "shop/c", NULL), 0, NULL, NULL);
	let_go(i, "init");
	assert_int_equal(helper_wait(&scene.client), 0);
	helper_end(&scene.client);
	check_child(i, "shop/c", "new");
	expect(jobberd(i, "release", "shop/c", NULL), 0, NULL, NULL);
	await_up(i, "shop/c", 2);
	instance_finish(i);
}

/* The last one that the start waits for, with SQL: nobody else will say that it is over. */
static void
child_that_others_hold_is_not_waited_for_either(void **state)
{
	struct helper start;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "shop");
	child_up(&i, NULL, "shop/a", NULL);
	SUP(&i, 0, NULL, "stop", "shop");
	SUP(&i, 0, NULL, "pause", "shop");
	helper_jobberd(&start, &i, NULL, "supervisor", "start", "shop", NULL);
	await_state(&i, "shop", "starting");
	expect(jobberd(&i, "why", "shop/a", NULL), 0, "its supervisor is paused\n", NULL);
	assert_true(helper_runs_for(&start, 50));
	assert_null(foreign(&i, "UPDATE jobs SET hold = 'user' WHERE name = 'shop/a'"));
	assert_int_equal(helper_wait(&start), 0);
	helper_end(&start);
	SUP(&i, 0, NULL, "resume", "shop");
	expect(jobberd(&i, "release", "shop/a", NULL), 0, NULL, NULL);
	await_up(&i, "shop/a", 2);
	instance_finish(&i);
}

static void
pause_in_the_middle_of_a_start_holds_it_until_it_is_over(void **state)
{
	struct scene scene;
	struct instance *i = &scene.i;

	(void)state;
	set_up(&scene);
	bring_to(&scene, STARTING);
	SUP(i, 0, NULL, "pause", "shop");
	let_go(i, "init");
	await_up(i, "shop/b", 2);
	await_state(i, "shop", "starting");
	expect(jobberd(i, "why", "shop/c", NULL), 0, "its supervisor is paused\n", NULL);
	SUP(i, 0, NULL, "resume", "shop");
	assert_int_equal(helper_wait(&scene.client), 0);
	helper_end(&scene.client);
	check_count(i, "shop", "3 3 0 3");
	instance_finish(i);
}

static void
two_that_crash_at_once_are_one_restart_of_the_group(void **state)
{
	struct scene scene;
	struct instance *i = &scene.i;
	pid_t a, b;

	(void)state;
	set_up(&scene);
	a = child_pid(i, "shop/a");
	b = child_pid(i, "shop/b");
	kill(instance_supervisor_pid(i), SIGSTOP); /* it hears of both at once */
	kill(a, SIGKILL);
	kill(b, SIGKILL);
	wait_gone(a);
	wait_gone(b);
	kill(instance_supervisor_pid(i), SIGCONT);
	await_up(i, "shop/c", 2);
	await_state(i, "shop", "running");
	check_count(i, "shop", "3 3 0 3");
	assert_int_equal(sql_number(i, "SELECT count(*) FROM restarts"), 1);
	instance_finish(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(supervisor_process_killed_in_the_middle),
		cmocka_unit_test(keeper_killed_in_the_middle),
		cmocka_unit_test(shutdown_in_the_middle),
		cmocka_unit_test(machine_goes_down_in_the_middle),
		cmocka_unit_test(child_that_is_stopped_while_its_group_is_ended_stays_down),
		cmocka_unit_test(supervisor_that_is_stopped_while_its_parent_regroups_stays_down),
		cmocka_unit_test(supervisor_is_stopped_in_the_middle_of_its_start),
		cmocka_unit_test(child_that_is_held_is_not_waited_for),
		cmocka_unit_test(child_that_others_hold_is_not_waited_for_either),
		cmocka_unit_test(pause_in_the_middle_of_a_start_holds_it_until_it_is_over),
		cmocka_unit_test(two_that_crash_at_once_are_one_restart_of_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
