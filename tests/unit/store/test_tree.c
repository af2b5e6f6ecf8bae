/*
 * The tree of supervisors as the store has it: what is written when a child ends, who is to be
 * ended next, and how long a restart counts. The rules have tests of their own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/subject.h"
#include "base/xalloc.h"
#include "store/sqlite_engine.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

static const char *
query(struct subject *subject, const char *statement)
{
	struct sqlite3 *handle = connect_to(subject->directory);
	const char *text = ask(handle, statement);

	sqlite3_close(handle);
	return text;
}

static const char *
state_of(struct subject *subject, const char *name)
{
	char statement[200];

	snprintf(statement, sizeof(statement),
	    "SELECT state || coalesce(' ' || reason, '') FROM supervisors WHERE name = '%s'", name);
	return query(subject, statement);
}

#define assert_state(subject, name, expected) \
	assert_string_equal(state_of(subject, name), expected)
#define assert_status(subject, job, expected) \
	assert_string_equal(status_of(subject, job), expected)

/* ---- supervisors ---- */

static struct step *
add_supervisor(struct batch *batch, int change, const char *name, const char *options)
{
	struct step *step = batch_add(batch, STEP_SUPERVISOR, NULL, NULL);
	char *copy = xstrdup(options), *rest = copy, *word;
	struct error error;

	step->supervisor.change = change;
	snprintf(step->supervisor.name, sizeof(step->supervisor.name), "%s", name);
	supervisor_spec_init(&step->supervisor.spec);
	while ((word = strsep(&rest, " ")) != NULL) {
		char *value = strchr(word, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		if (supervisor_option_find(word)->set(
			&step->supervisor.spec, value, &error) == -1)
			fail_msg("%s", error.text);
	}
	free(copy);
	return step;
}

static enum step_answer
supervisor(struct subject *subject, int change, const char *name, const char *options)
{
	enum step_answer answer;
	struct batch batch;

	batch_init(&batch);
	add_supervisor(&batch, change, name, options);
	run_ok(subject, &batch);
	answer = batch.steps[0]->answer;
	batch_done(&batch);
	return answer;
}

static void
make(struct subject *subject, const char *name, const char *options)
{
	assert_int_equal(supervisor(subject, SUPERVISOR_ADD, name, options), STEP_OK);
}

/* ---- children ---- */

static int64_t
child(struct subject *subject, const char *options)
{
	struct batch batch;
	struct step *step;
	int64_t id;

	batch_init(&batch);
	step = add_submit(&batch, options);
	step->submit.specs[0].is_server = true;
	run_ok(subject, &batch);
	if (step->answer != STEP_OK)
		fail_msg("%s: %s", options, step->error.text);
	id = step->submit.ret_ids[0];
	batch_done(&batch);
	return id;
}

static void
ready(struct subject *subject, struct attempt_key key)
{
	struct batch batch;

	batch_init(&batch);
	batch_add(&batch, STEP_READY, NULL, NULL)->ready.key = key;
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->answer, STEP_OK);
	batch_done(&batch);
}

/* The next child of this supervisor that may start: it is up. */
static struct attempt_key
up(struct subject *subject, const char *name)
{
	struct attempt_key key = claim(subject, name);

	assert_int_equal(started(subject, key), STEP_OK);
	ready(subject, key);
	return key;
}

static struct attempt_key
child_up(struct subject *subject, const char *supervisor_name, const char *options)
{
	child(subject, options);
	return up(subject, supervisor_name);
}

/* It ends; the keys of those that are to be ended then, as jobs, "2 3". Good for one call. */
static const char *
crash(struct subject *subject, struct attempt_key key)
{
	static char text[200];
	struct batch batch;
	size_t length = 0;

	batch_init(&batch);
	add_ended(&batch, key, "signal:SEGV");
	run_ok(subject, &batch);
	assert_int_equal(batch.steps[0]->answer, STEP_OK);
	text[0] = '\0';
	for (size_t i = 0; i < batch.to_stop_count; i++) {
		if (i > 0 && batch.to_stop[i].job == batch.to_stop[i - 1].job)
			continue;
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%d",
		    i > 0 ? " " : "", (int)batch.to_stop[i].job);
	}
	batch_done(&batch);
	return text;
}

/* ---- groups ---- */

static void
group_is_ended_from_behind_one_at_a_time(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a, b, c;

	make(subject, "shop", "strategy=one_for_all");
	a = child_up(subject, "shop", "name=shop/a");
	b = child_up(subject, "shop", "name=shop/b");
	c = child_up(subject, "shop", "name=shop/c");
	assert_string_equal(crash(subject, a), "3");
	assert_state(subject, "shop", "regrouping");
	assert_int_equal(claim_count(subject, "shop", 9), 0);
	/* What is to be ended is written, and not ordered again by whoever comes next. */
	subject_restart(subject);
	assert_string_equal(query(subject, "SELECT stop_reason FROM attempts WHERE job_id = 3"),
	    "shutdown");
	assert_string_equal(crash(subject, c), "2");
	assert_int_equal(ended(subject, b, "normal"), STEP_OK);
	assert_state(subject, "shop", "restarting");
	for (int job = 1; job <= 3; job++) {
		assert_int_equal(claim(subject, "shop").job, job);
		assert_int_equal(claim_count(subject, "shop", 9), 0); /* not before it is up */
		ready(subject, (struct attempt_key){ job, 2, subject->generation });
	}
	assert_state(subject, "shop", "running");
	assert_string_equal(query(subject, "SELECT count(*) FROM restarts"), "1");
}

static void
rest_is_widened_by_one_before_it_that_crashes_meanwhile(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a, b, c;

	make(subject, "shop", "strategy=rest_for_one");
	a = child_up(subject, "shop", "name=shop/a");
	b = child_up(subject, "shop", "name=shop/b");
	c = child_up(subject, "shop", "name=shop/c");
	assert_string_equal(crash(subject, b), "3");
	assert_string_equal(
	    query(subject, "SELECT group_from FROM supervisors WHERE name = 'shop'"), "2");
	assert_string_equal(crash(subject, a), "3"); /* once more, which does no harm */
	assert_string_equal(
	    query(subject, "SELECT group_from FROM supervisors WHERE name = 'shop'"), "1");
	assert_int_equal(ended(subject, c, "normal"), STEP_OK);
	assert_state(subject, "shop", "restarting");
	assert_int_equal(up(subject, "shop").job, 1);
	assert_int_equal(up(subject, "shop").job, 2);
	assert_int_equal(up(subject, "shop").job, 3);
	assert_state(subject, "shop", "running");
}

static void
two_ends_in_one_transaction_are_one_restart(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a, b;
	struct batch batch;

	make(subject, "shop", "strategy=one_for_all");
	a = child_up(subject, "shop", "name=shop/a");
	b = child_up(subject, "shop", "name=shop/b");
	batch_init(&batch);
	add_ended(&batch, a, "exit:1");
	add_ended(&batch, b, "exit:1");
	/* A turn that could not be written is written again, and is the same. */
	subject->kind->order(subject, TROUBLE_BUSY);
	assert_int_equal(run(subject, &batch), STORE_BUSY);
	batch_forget_results(&batch);
	run_ok(subject, &batch);
	batch_done(&batch);
	assert_state(subject, "shop", "restarting");
	assert_string_equal(query(subject, "SELECT count(*) FROM restarts"), "1");
	assert_int_equal(up(subject, "shop").job, 1);
	assert_int_equal(up(subject, "shop").job, 2);
	assert_state(subject, "shop", "running");
}

static void
temporary_child_that_was_lost_is_forgotten(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	make(subject, "shop", "");
	key = child_up(subject, "shop", "name=shop/a restart=temporary");
	assert_int_equal(ended(subject, key, "lost:boot"), STEP_OK);
	assert_status(subject, 1, "failed lost:boot");
	assert_string_equal(query(subject, "SELECT position FROM servers"), "-");
	child(subject, "name=shop/a restart=temporary"); /* no entry is in the way */
}

static void
loss_in_the_middle_of_a_regroup_does_not_hold_it_up(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a, b;

	make(subject, "shop", "strategy=one_for_all");
	a = child_up(subject, "shop", "name=shop/a");
	b = child_up(subject, "shop", "name=shop/b");
	assert_string_equal(crash(subject, a), "2");
	subject_restart(subject);
	assert_int_equal(ended(subject, b, "lost:boot"), STEP_OK);
	assert_state(subject, "shop", "restarting");
	assert_int_equal(up(subject, "shop").job, 1);
	assert_int_equal(up(subject, "shop").job, 2);
	assert_state(subject, "shop", "running");
}

/* ---- giving up ---- */

static void
supervisor_gives_up_and_its_parent_decides(void **state)
{
	struct subject *subject = *state;
	struct attempt_key a, b;

	make(subject, "top", "");
	make(subject, "inner", "parent=top max-restarts=0");
	a = child_up(subject, "inner", "name=inner/a");
	b = child_up(subject, "inner", "name=inner/b");
	assert_string_equal(crash(subject, a), "2");
	assert_state(subject, "inner", "ending max_restarts");
	assert_status(subject, 1, "failed max_restarts");
	assert_int_equal(ended(subject, b, "normal"), STEP_OK);
	/* Permanent: it is started again at once, which counts above. */
	assert_state(subject, "inner", "starting");
	assert_string_equal(query(subject, "SELECT supervisor || ':' || child FROM restarts"),
	    "top:inner");
	assert_int_equal(up(subject, "inner").job, 1);
	assert_int_equal(up(subject, "inner").job, 2);
	assert_state(subject, "inner", "running");
	assert_state(subject, "top", "running");
}

static void
root_leaves_down_what_it_has_started_three_times(void **state)
{
	struct subject *subject = *state;

	make(subject, "shop", "max-restarts=0");
	child(subject, "name=shop/a");
	for (int i = 0; i < 3; i++) {
		crash(subject, up(subject, "shop"));
		assert_state(subject, "shop", "starting");
	}
	crash(subject, up(subject, "shop"));
	assert_state(subject, "shop", "ended max_restarts");
	/* What is long ago does not count, here as there. */
	assert_int_equal(supervisor(subject, SUPERVISOR_START, "shop", ""), STEP_OK);
	clock_shift(HOUR_MS, HOUR_MS);
	crash(subject, up(subject, "shop"));
	assert_state(subject, "shop", "starting");
}

static void
supervisor_that_ends_takes_those_with_it_whose_turn_had_not_come(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;

	make(subject, "top", "restart=temporary");
	key = child_up(subject, "top", "name=top/a");
	make(subject, "inner", "parent=top");
	assert_int_equal(supervisor(subject, SUPERVISOR_STOP, "top", ""), STEP_OK);
	assert_state(subject, "inner", "ended shutdown");
	assert_int_equal(ended(subject, key, "normal"), STEP_OK);
	assert_int_equal(supervisor(subject, SUPERVISOR_START, "top", ""), STEP_OK);
	assert_state(subject, "inner", "waiting");
	key = claim(subject, "top");
	assert_int_equal(started(subject, key), STEP_OK);
	assert_int_equal(ended(subject, key, "exit:1"), STEP_OK);
	assert_state(subject, "top", "ended failed_to_start_child top/a: exit:1");
	assert_state(subject, "inner", "ended shutdown");
	assert_int_equal(supervisor(subject, SUPERVISOR_REMOVE, "inner", ""), STEP_OK);
}

static void
supervisor_is_removed_while_its_parent_waits_for_it(void **state)
{
	struct subject *subject = *state;

	make(subject, "top", "");
	make(subject, "inner", "parent=top max-children=0");
	make(subject, "low", "parent=inner");
	child(subject, "name=inner/a");
	assert_int_equal(supervisor(subject, SUPERVISOR_STOP, "top", ""), STEP_OK);
	assert_int_equal(supervisor(subject, SUPERVISOR_START, "top", ""), STEP_OK);
	assert_state(subject, "top", "starting");
	assert_state(subject, "inner", "starting");
	assert_int_equal(supervisor(subject, SUPERVISOR_REMOVE, "inner", ""), STEP_REFUSED);
	assert_int_equal(change(subject, 1, JOB_CANCEL), STEP_OK); /* now it has nothing to do */
	assert_state(subject, "inner", "running");
	assert_state(subject, "top", "running");
}

/* ---- how long a restart counts ---- */

/* Three restarts, then the clocks move so: is the fourth one too many? */
static void
check_window(struct subject *subject, const char *name, int64_t wall_ms, int64_t boot_ms,
    bool is_too_many)
{
	char options[100];

	clock_shift(0, 0);
	make(subject, name, "max-seconds=10 restart=temporary");
	snprintf(options, sizeof(options), "name=%s/a", name);
	child(subject, options);
	for (int i = 0; i < 3; i++)
		crash(subject, up(subject, name));
	clock_shift(wall_ms, boot_ms);
	crash(subject, up(subject, name));
	assert_state(subject, name, is_too_many ? "ended max_restarts" : "running");
}

static void
restarts_count_by_the_boot_clock_in_the_boot_in_which_they_were(void **state)
{
	struct subject *subject = *state;

	check_window(subject, "a", 0, 0, true);
	check_window(subject, "b", 5000, 5000, true);
	check_window(subject, "c", 11000, 11000, false);
	check_window(subject, "d", HOUR_MS, 0, true);	/* somebody has set the wall clock */
	check_window(subject, "e", -HOUR_MS, 11000, false);
}

static void
restarts_count_by_the_wall_clock_in_another_boot(void **state)
{
	struct subject *subject = *state;
	struct sqlite3 *handle;

	make(subject, "shop", "max-seconds=10 restart=temporary");
	child(subject, "name=shop/a");
	for (int i = 0; i < 3; i++)
		crash(subject, up(subject, "shop"));
	handle = connect_to(subject->directory);
	tell(handle, "UPDATE writer SET is_writing = 1; UPDATE restarts SET boot_id = 'another', "
		     "boot_ms = boot_ms + 1000000000; UPDATE writer SET is_writing = 0");
	sqlite3_close(handle);
	subject_restart(subject);
	crash(subject, up(subject, "shop"));
	assert_state(subject, "shop", "ended max_restarts");
	assert_int_equal(supervisor(subject, SUPERVISOR_START, "shop", ""), STEP_OK);
	assert_string_equal(query(subject, "SELECT count(*) FROM restarts"), "0"); /* afresh */
}

static void
each_has_its_own_budget_where_it_is_so(void **state)
{
	struct subject *subject = *state;
	struct attempt_key b;

	make(subject, "shop", "budget=each");
	b = child_up(subject, "shop", "name=b supervisor=shop");
	child(subject, "name=a supervisor=shop");
	for (int i = 0; i < 3; i++)
		crash(subject, up(subject, "shop"));
	for (int i = 0; i < 3; i++) {
		crash(subject, b);
		assert_status(subject, 1, "errored");
		/* Both wait; the older one is first. */
		b = up(subject, "shop");
	}
	crash(subject, up(subject, "shop"));
	assert_status(subject, 2, "failed max_restarts");
	assert_status(subject, 1, "running");
	assert_state(subject, "shop", "running");
	crash(subject, b);
	assert_status(subject, 1, "failed max_restarts");
	assert_state(subject, "shop", "running");
}

/* ---- many, and none ---- */

/* They are walked, not recursed into: a row of them is no danger to the stack. */
static void
very_many_supervisors_start_and_end_in_one_turn(void **state)
{
	struct subject *subject = *state;
	struct sqlite3 *handle;

	make(subject, "top", "");
	make(subject, "first", "parent=top");
	handle = connect_to(subject->directory);
	tell(handle, "UPDATE writer SET is_writing = 1; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL "
		     "SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO supervisors (name, parent, "
		     "position) SELECT 's' || i, 'top', i FROM n; "
		     "UPDATE writer SET is_writing = 0");
	sqlite3_close(handle);
	assert_int_equal(supervisor(subject, SUPERVISOR_STOP, "top", ""), STEP_OK);
	assert_state(subject, "top", "ended stopped");
	assert_string_equal(
	    query(subject, "SELECT count(*) FROM supervisors WHERE state = 'ended'"), "1501");
	assert_int_equal(supervisor(subject, SUPERVISOR_START, "top", ""), STEP_OK);
	assert_state(subject, "top", "running");
	assert_state(subject, "s1500", "running");
	assert_string_equal(query(subject, "SELECT count(*) FROM events WHERE event = "
					   "'supervisor running' AND detail = 'top'"), "1");
}

static bool
has_tree(struct subject *subject)
{
	return ((struct sqlite_engine *)subject->store)->has_tree;
}

/* How often has a statement of these run? */
static int
runs_of(const struct statements *statements)
{
	int runs = 0;

	for (size_t i = 0; i < statements->count; i++)
		runs += sqlite3_stmt_status(statements->prepared[i], SQLITE_STMTSTATUS_RUN, 0);
	return runs;
}

static int
runs_of_tree(const struct sqlite_engine *engine)
{
	return runs_of(&engine->node) + runs_of(&engine->group) +
	    runs_of(&engine->supervision) + runs_of(&engine->restarts) +
	    runs_of(&engine->supervisor_change);
}

static void
plain_commands_pay_nothing(void **state)
{
	struct subject *subject = *state;
	struct sqlite_engine *engine = (struct sqlite_engine *)subject->store;
	int runs = runs_of_tree(engine);

	make(subject, "queue", "max-children=3 rate=10/s");
	runs += 1 + 1; /* what that was: the node's row, and its own statement */
	for (int i = 0; i < 3; i++) {
		struct attempt_key key;

		submit(subject, i == 2 ? "supervisor=queue" : "max-retries=0");
		key = claim(subject, i == 2 ? "queue" : "default");
		assert_int_equal(started(subject, key), STEP_OK);
		assert_int_equal(ended(subject, key, i == 1 ? "exit:1" : "normal"), STEP_OK);
	}
	assert_int_equal(submit(subject, "hold"), 4);
	assert_int_equal(change(subject, 4, JOB_RELEASE), STEP_OK);
	assert_int_equal(change(subject, 4, JOB_CANCEL), STEP_OK);
	assert_false(has_tree(subject));
	assert_int_equal(runs_of_tree(engine), runs);
	subject_restart(subject);
	assert_false(has_tree(subject));
	make(subject, "top", "");
	assert_false(has_tree(subject));
	child(subject, "name=top/a");
	assert_true(has_tree(subject));
	subject_restart(subject);
	assert_true(has_tree(subject));
}

/* Starts that a supervisor process has not recorded when it is killed, the later ones too. */
static void
rate_knows_starts_that_are_only_claimed(void **state)
{
	struct subject *subject = *state;
	struct attempt_key key;
	struct batch batch;
	struct step *step;

	make(subject, "slow", "rate=4/1m");
	submit(subject, "supervisor=slow;supervisor=slow;supervisor=slow");
	key = claim(subject, "slow");
	assert_int_equal(started(subject, key), STEP_OK);
	assert_int_equal(ended(subject, key, "normal"), STEP_OK);
	assert_int_equal(started(subject, claim(subject, "slow")), STEP_OK);
	claim(subject, "slow");
	subject_restart(subject);
	batch_init(&batch);
	step = batch_add(&batch, STEP_LIMITS, NULL, NULL);
	step->limits.wants_starts = true;
	run_ok(subject, &batch);
	for (size_t i = 0; i < step->limits.ret_count; i++) {
		const struct supervisor_limit *limit = &step->limits.ret_limits[i];

		assert_int_equal(
		    limit->start_count, strcmp(limit->name, "slow") == 0 ? 3 : 0);
	}
	batch_done(&batch);
}

#define CASE(function) { #function, function }

static const struct {
	const char *name;
	void (*function)(void **state);
} cases[] = {
	CASE(group_is_ended_from_behind_one_at_a_time),
	CASE(rest_is_widened_by_one_before_it_that_crashes_meanwhile),
	CASE(two_ends_in_one_transaction_are_one_restart),
	CASE(temporary_child_that_was_lost_is_forgotten),
	CASE(loss_in_the_middle_of_a_regroup_does_not_hold_it_up),
	CASE(supervisor_gives_up_and_its_parent_decides),
	CASE(root_leaves_down_what_it_has_started_three_times),
	CASE(supervisor_that_ends_takes_those_with_it_whose_turn_had_not_come),
	CASE(supervisor_is_removed_while_its_parent_waits_for_it),
	CASE(restarts_count_by_the_boot_clock_in_the_boot_in_which_they_were),
	CASE(restarts_count_by_the_wall_clock_in_another_boot),
	CASE(each_has_its_own_budget_where_it_is_so),
	CASE(very_many_supervisors_start_and_end_in_one_turn),
	CASE(plain_commands_pay_nothing),
	CASE(rate_knows_starts_that_are_only_claimed),
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

int
main(void)
{
	static struct CMUnitTest tests[CASE_COUNT];

	for (size_t i = 0; i < CASE_COUNT; i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, cases[i].function,
			subject_setup, subject_teardown, (void *)&subject_sqlite };
	return cmocka_run_group_tests_name("store: tree", tests, NULL, NULL);
}
