/* The options that describe a supervisor: what each takes, and what it says to what it does not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/restart.h"
#include "model/supervision.h"
#include "model/supervisor.h"

#include <stdio.h>
#include <string.h>

static int
set(struct supervisor_spec *spec, const char *name, const char *value, struct error *error)
{
	const struct supervisor_option *option = supervisor_option_find(name);

	assert_non_null(option);
	return option->set(spec, value, error);
}

static void
values_are_taken(void **state)
{
	struct supervisor_spec spec;
	struct error error;

	(void)state;
	supervisor_spec_init(&spec);
	assert_int_equal(spec.max_restarts, SUPERVISOR_UNSET);
	assert_int_equal(set(&spec, "max_children", "0", &error), 0);
	assert_int_equal(spec.max_children, 0);
	assert_int_equal(set(&spec, "max-children", "none", &error), 0);
	assert_int_equal(spec.max_children, SUPERVISOR_NONE);
	assert_int_equal(set(&spec, "overflow", "reject", &error), 0);
	assert_int_equal(spec.overflow, OVERFLOW_REJECT);
	assert_int_equal(set(&spec, "rate", "3/90s", &error), 0);
	assert_int_equal(spec.rate, 3);
	assert_int_equal(spec.rate_ms, 90000);
	assert_int_equal(set(&spec, "rate", "none", &error), 0);
	assert_int_equal(spec.rate, SUPERVISOR_NONE);
	assert_int_equal(set(&spec, "parent", "shop", &error), 0);
	assert_string_equal(spec.parent, "shop");
	assert_int_equal(set(&spec, "strategy", "rest_for_one", &error), 0);
	assert_int_equal(spec.strategy, STRATEGY_REST_FOR_ONE);
	assert_int_equal(set(&spec, "max_restarts", "0", &error), 0);
	assert_int_equal(spec.max_restarts, 0);
	assert_int_equal(set(&spec, "max-seconds", "1000000", &error), 0);
	assert_int_equal(spec.max_seconds, 1000000);
	assert_int_equal(set(&spec, "budget", "each", &error), 0);
	assert_int_equal(spec.budget, BUDGET_EACH);
	assert_int_equal(set(&spec, "auto_shutdown", "all_significant", &error), 0);
	assert_int_equal(spec.auto_shutdown, AUTO_SHUTDOWN_ALL);
	assert_int_equal(set(&spec, "restart", "temporary", &error), 0);
	assert_int_equal(spec.restart, RESTART_TEMPORARY);
	assert_int_equal(set(&spec, "significant", "true", &error), 0);
	assert_int_equal(spec.is_significant, 1);
	assert_int_equal(set(&spec, "paused", "false", &error), 0);
	assert_int_equal(spec.is_paused, 0);
}

/* Case 181: what is wrong is named, and changes nothing. */
static void
what_is_wrong_is_refused_by_its_name(void **state)
{
	static const struct {
		const char *name, *value, *words;
	} rows[] = {
		{ "max-children", "-1", "max-children: \"-1\" is not a number from 0" },
		{ "max-children", "1000001", "is not a number from 0 to 1000000 or none" },
		{ "overflow", "drop", "overflow: \"drop\" is not wait or reject" },
		{ "rate", "10", "rate: \"10\" is not" },
		{ "parent", "9lives", "parent: \"9lives\" is not a supervisor's name" },
		{ "parent", "a/b", "is not a supervisor's name" },
		{ "strategy", "simple_one_for_one", "is not one_for_one, one_for_all or rest" },
		{ "strategy", "", "strategy: \"\" is not" },
		{ "max-restarts", "-1", "max-restarts: \"-1\" is not a number from 0" },
		{ "max-restarts", "1e3", "is not a number from 0 to 1000000" },
		{ "max-seconds", "0", "max-seconds: \"0\" is not a number from 1" },
		{ "budget", "mine", "budget: \"mine\" is not shared or each" },
		{ "auto-shutdown", "always", "is not never, any_significant or all_significant" },
		{ "restart", "always", "is not temporary, transient or permanent" },
		{ "significant", "yes", "significant: \"yes\" is not true or false" },
		{ "paused", "1", "paused: \"1\" is not true or false" },
	};
	struct supervisor_spec spec, untouched;
	struct error error;

	(void)state;
	memset(&spec, 0, sizeof(spec));
	supervisor_spec_init(&spec);
	memcpy(&untouched, &spec, sizeof(spec));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(set(&spec, rows[i].name, rows[i].value, &error), -1);
		if (strstr(error.text, rows[i].words) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", rows[i].words, error.text);
		assert_int_equal(error.code, STATUS_USAGE);
	}
	assert_memory_equal(&untouched, &spec, sizeof(spec));
}

static void
option_is_found_with_either_stroke_and_not_by_a_part(void **state)
{
	(void)state;
	for (const struct supervisor_option *option = supervisor_options; option->name != NULL;
	     option++)
		assert_ptr_equal(supervisor_option_find(option->name), option);
	assert_ptr_equal(
	    supervisor_option_find("max_restarts"), supervisor_option_find("max-restarts"));
	assert_null(supervisor_option_find("max"));
	assert_null(supervisor_option_find("max-restartss"));
	assert_null(supervisor_option_find(""));
	assert_null(supervisor_option_find("name"));
}

static void
built_in_ones_are_three(void **state)
{
	(void)state;
	assert_true(supervisor_is_built_in("default"));
	assert_true(supervisor_is_built_in("serial"));
	assert_true(supervisor_is_built_in("servers"));
	assert_false(supervisor_is_built_in("server"));
	assert_false(supervisor_is_built_in(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(what_is_wrong_is_refused_by_its_name),
		cmocka_unit_test(option_is_found_with_either_stroke_and_not_by_a_part),
		cmocka_unit_test(built_in_ones_are_three),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
