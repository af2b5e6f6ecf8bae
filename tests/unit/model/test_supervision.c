/*
 * The whole table of what the end of a child means: restart types × ways to end × strategies ×
 * states, and the edges of the budget.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/supervision.h"

#include <stdio.h>
#include <string.h>

/* OTP's six ways to end. */
static const struct {
	const char *words;
	struct reason reason;
	bool is_clean;
} ends[] = {
	{ "normal", { .kind = REASON_NORMAL }, true },
	{ "shutdown", { .kind = REASON_SHUTDOWN }, true },
	{ "{shutdown, x}", { .kind = REASON_SHUTDOWN, .own = "x" }, true },
	{ "error", { .kind = REASON_OWN, .own = "oops" }, false },
	{ "raise", { .kind = REASON_SIGNAL, .number = 6 }, false },
	{ "kill", { .kind = REASON_SIGNAL, .number = 9 }, false },
};
#define ENDS (sizeof(ends) / sizeof(ends[0]))

static const enum supervision by_strategy[STRATEGY_COUNT] = {
	[STRATEGY_ONE_FOR_ONE] = SUPERVISION_RESTARTS,
	[STRATEGY_ONE_FOR_ALL] = SUPERVISION_RESTARTS_ALL,
	[STRATEGY_REST_FOR_ONE] = SUPERVISION_RESTARTS_REST,
};

static struct supervised
child_of(enum supervisor_state state, enum strategy strategy, enum restart_type restart)
{
	return (struct supervised){ .state = state, .strategy = strategy, .restart = restart,
		.max_restarts = 3, .is_static = true };
}

/* What the table says, in words of its own. */
static enum supervision
expected(enum supervisor_state state, enum strategy strategy, enum restart_type restart,
    bool is_clean)
{
	bool is_wanted = restart == RESTART_PERMANENT ||
	    (restart == RESTART_TRANSIENT && !is_clean);

	if (state == SUPERVISOR_ENDING || state == SUPERVISOR_ENDED || !is_wanted)
		return SUPERVISION_STAYS_DOWN;
	return by_strategy[strategy];
}

/* Cases 126, 127, 128, 170. */
static void
end_means_what_the_table_says(void **data)
{
	(void)data;
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++) {
		for (int strategy = 0; strategy < STRATEGY_COUNT; strategy++) {
			for (int restart = 0; restart < RESTART_TYPE_COUNT; restart++) {
				for (size_t i = 0; i < ENDS; i++) {
					struct supervised child = child_of(
					    state, strategy, restart);

					if (supervision_decide(&child, ends[i].reason) !=
					    expected(state, strategy, restart,
						ends[i].is_clean))
						fail_msg("%s, %s, %s, %s",
						    supervisor_state_name(state),
						    strategy_name(strategy),
						    restart_name(restart), ends[i].words);
				}
			}
		}
	}
}

static void
dynamic_child_is_started_again_alone_whatever_the_strategy(void **data)
{
	(void)data;
	for (int strategy = 0; strategy < STRATEGY_COUNT; strategy++) {
		struct supervised child =
		    child_of(SUPERVISOR_RUNNING, strategy, RESTART_PERMANENT);

		child.is_static = false;
		assert_int_equal(
		    supervision_decide(&child, ends[5].reason), SUPERVISION_RESTARTS);
	}
}

/* Case 130: a temporary one that is ended with its siblings is not started again. */
static void
child_of_a_group_comes_back_with_it_unless_it_is_temporary(void **data)
{
	(void)data;
	for (int restart = 0; restart < RESTART_TYPE_COUNT; restart++) {
		for (size_t i = 0; i < ENDS; i++) {
			struct supervised child = child_of(
			    SUPERVISOR_REGROUPING, STRATEGY_ONE_FOR_ALL, restart);

			child.is_in_group = true;
			child.recent_restarts = 3; /* it costs nothing */
			child.is_first_start = true;
			assert_int_equal(supervision_decide(&child, ends[i].reason),
			    restart == RESTART_TEMPORARY ? SUPERVISION_STAYS_DOWN
							 : SUPERVISION_WITH_GROUP);
			child.was_told_to_stop = true; /* by people: that is more */
			assert_int_equal(supervision_decide(&child, ends[i].reason),
			    SUPERVISION_STAYS_DOWN);
		}
	}
}

/* Cases 131, 132, 133. */
static void
budget_is_used_up_by_one_more_than_it_allows(void **data)
{
	static const struct {
		int64_t max, recent;
		bool is_used_up;
	} rows[] = { { 3, 0, false }, { 3, 2, false }, { 3, 3, true }, { 3, 4, true },
		{ 0, 0, true }, { 1, 0, false }, { 1, 1, true }, { 1000000, 999999, false } };

	(void)data;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int strategy = 0; strategy < STRATEGY_COUNT; strategy++) {
			struct supervised child =
			    child_of(SUPERVISOR_RUNNING, strategy, RESTART_TRANSIENT);

			child.max_restarts = rows[i].max;
			child.recent_restarts = rows[i].recent;
			assert_int_equal(supervision_decide(&child, ends[4].reason),
			    rows[i].is_used_up ? SUPERVISION_GIVES_UP : by_strategy[strategy]);
			child.budget = BUDGET_EACH;
			assert_int_equal(supervision_decide(&child, ends[4].reason),
			    rows[i].is_used_up ? SUPERVISION_EXHAUSTED : by_strategy[strategy]);
			/* Case 135: what is not started again uses nothing up. */
			assert_int_equal(supervision_decide(&child, ends[0].reason),
			    SUPERVISION_STAYS_DOWN);
			child.is_blameless = true;
			assert_int_equal(supervision_decide(&child, ends[4].reason),
			    SUPERVISION_RESTARTS);
		}
	}
}

/* Cases 121, 138, 143, 163, 177. */
static void
first_start_that_fails_is_not_tried_again(void **data)
{
	(void)data;
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++) {
		struct supervised child =
		    child_of(state, STRATEGY_ONE_FOR_ALL, RESTART_PERMANENT);
		enum supervision verdict;

		child.is_first_start = true;
		verdict = supervision_decide(&child, ends[3].reason);
		assert_int_equal(verdict, state == SUPERVISOR_STARTING
			? SUPERVISION_START_FAILED
			: SUPERVISION_STAYS_DOWN);
		child.is_static = false;
		assert_int_equal(
		    supervision_decide(&child, ends[3].reason), SUPERVISION_STAYS_DOWN);
		child.is_static = true;
		child.is_first_start = state % 2;
		assert_int_equal(supervision_decide(&child,
				     (struct reason){ .kind = REASON_IGNORE }),
		    SUPERVISION_STAYS_DOWN);
	}
}

/* Case 149. */
static void
significant_child_that_is_not_started_again_ends_its_supervisor(void **data)
{
	static const struct {
		enum auto_shutdown when;
		bool is_last;
		enum supervision verdict;
	} rows[] = {
		{ AUTO_SHUTDOWN_NEVER, true, SUPERVISION_STAYS_DOWN },
		{ AUTO_SHUTDOWN_ANY, false, SUPERVISION_SHUTS_DOWN },
		{ AUTO_SHUTDOWN_ANY, true, SUPERVISION_SHUTS_DOWN },
		{ AUTO_SHUTDOWN_ALL, false, SUPERVISION_STAYS_DOWN },
		{ AUTO_SHUTDOWN_ALL, true, SUPERVISION_SHUTS_DOWN },
	};

	(void)data;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct supervised child =
		    child_of(SUPERVISOR_RUNNING, STRATEGY_ONE_FOR_ONE, RESTART_TRANSIENT);

		child.auto_shutdown = rows[i].when;
		child.is_last_significant = rows[i].is_last;
		assert_int_equal(
		    supervision_decide(&child, ends[0].reason), SUPERVISION_STAYS_DOWN);
		child.is_significant = true;
		assert_int_equal(
		    supervision_decide(&child, ends[0].reason), rows[i].verdict);
		assert_int_equal(
		    supervision_decide(&child, ends[4].reason), SUPERVISION_RESTARTS);
		child.was_told_to_stop = true; /* as terminate_child in OTP */
		assert_int_equal(
		    supervision_decide(&child, ends[0].reason), SUPERVISION_STAYS_DOWN);
		child.was_told_to_stop = false;
		child.restart = RESTART_TEMPORARY;
		assert_int_equal(
		    supervision_decide(&child, ends[5].reason), rows[i].verdict);
	}
}

static void
only_restarts_are_restarts(void **data)
{
	(void)data;
	for (int verdict = 0; verdict < SUPERVISION_COUNT; verdict++)
		assert_int_equal(supervision_is_restart(verdict),
		    verdict == SUPERVISION_RESTARTS || verdict == SUPERVISION_RESTARTS_ALL ||
			verdict == SUPERVISION_RESTARTS_REST);
}

static void
healthy_run_makes_the_next_restart_the_first(void **data)
{
	static const struct {
		const char *delay;
		int64_t before, run_ms, expected;
	} rows[] = {
		{ "exponential:1s", 0, 10, 1 },
		{ "exponential:1s", 1, 10, 2 },
		{ "exponential:1s", 1, 4999, 2 },
		{ "exponential:1s", 1, 5000, 1 },  /* the window, 5 s */
		{ "exponential:1s", 4, 5000, 5 },  /* … but the pause was 8 s */
		{ "exponential:1s", 4, 7999, 5 },
		{ "exponential:1s", 4, 8000, 1 },
		{ "constant:100ms", 9, 5000, 1 },
		{ "constant:100ms", 9, -1, 10 }, /* nobody knows how long it ran */
	};
	struct retry_policy delay = { 0 };

	(void)data;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		delay = retry_default;
		assert_int_equal(retry_parse_backoff(rows[i].delay, &delay), 0);
		if (supervision_in_a_row(&delay, rows[i].before, rows[i].run_ms, 5000) !=
		    rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void
children_start_but_for_a_supervisor_that_waits_or_ends(void **data)
{
	(void)data;
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++)
		assert_int_equal(supervisor_lets_start(state),
		    state != SUPERVISOR_WAITING && state != SUPERVISOR_ENDING &&
			state != SUPERVISOR_ENDED);
}

/* ---- names ---- */

static const char *
name_of_strategy(int value)
{
	return strategy_name((enum strategy)value);
}

static const char *
name_of_budget(int value)
{
	return budget_name((enum budget)value);
}

static const char *
name_of_auto_shutdown(int value)
{
	return auto_shutdown_name((enum auto_shutdown)value);
}

static const char *
name_of_state(int value)
{
	return supervisor_state_name((enum supervisor_state)value);
}

static void
names_are_read_as_they_are_written(void **data)
{
	static const struct {
		int count;
		const char *(*name)(int value);
		int (*parse)(const char *text, int *ret);
	} kinds[] = {
		{ STRATEGY_COUNT, name_of_strategy, strategy_parse },
		{ BUDGET_COUNT, name_of_budget, budget_parse },
		{ AUTO_SHUTDOWN_COUNT, name_of_auto_shutdown, auto_shutdown_parse },
		{ SUPERVISOR_STATE_COUNT, name_of_state, supervisor_state_parse },
	};
	static const char *const wrong[] = { "", "one_for", "one_for_ones", "ONE_FOR_ONE",
		" shared", "never ", "Running" };

	(void)data;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (int value = 0; value < kinds[i].count; value++) {
			int read = -1;

			assert_int_equal(kinds[i].parse(kinds[i].name(value), &read), 0);
			assert_int_equal(read, value);
		}
		for (size_t j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
			int untouched = 77;

			assert_int_equal(kinds[i].parse(wrong[j], &untouched), -1);
			assert_int_equal(untouched, 77);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_means_what_the_table_says),
		cmocka_unit_test(dynamic_child_is_started_again_alone_whatever_the_strategy),
		cmocka_unit_test(child_of_a_group_comes_back_with_it_unless_it_is_temporary),
		cmocka_unit_test(budget_is_used_up_by_one_more_than_it_allows),
		cmocka_unit_test(first_start_that_fails_is_not_tried_again),
		cmocka_unit_test(significant_child_that_is_not_started_again_ends_its_supervisor),
		cmocka_unit_test(only_restarts_are_restarts),
		cmocka_unit_test(healthy_run_makes_the_next_restart_the_first),
		cmocka_unit_test(children_start_but_for_a_supervisor_that_waits_or_ends),
		cmocka_unit_test(names_are_read_as_they_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
