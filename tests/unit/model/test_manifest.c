/* manifest: what a file describes, in the order in which it starts. */

#include "model/manifest.h"
#include "model/supervision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* With ' for ". */
static json_t *
json(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	assert_non_null(copy);
	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	value = json_loads(copy, 0, NULL);
	assert_non_null(value);
	free(copy);
	return value;
}

static void
must_read(struct manifest *manifest, const char *text)
{
	json_t *file = json(text);
	struct error error = { 0 };

	if (manifest_read(manifest, file, "/etc/shop", (struct wall){ 0 }, &error) == -1)
		fail_msg("%s", error.text);
	json_decref(file);
}

static void
refuses(const char *text, const char *words)
{
	struct manifest manifest;
	json_t *file = json(text);
	struct error error = { 0 };

	assert_int_equal(
	    manifest_read(&manifest, file, "/etc/shop", (struct wall){ 0 }, &error), -1);
	if (strstr(error.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error.text, words);
	assert_int_equal(error.code, STATUS_USAGE);
	assert_int_equal(manifest.count, 0);
	json_decref(file);
}

static void
manifest_lists_each_supervisor_before_its_children(void **state)
{
	static const struct {
		const char *name, *child, *parent;
	} expected[] = {
		{ "shop", "shop", NULL },
		{ "shop/db", "db", "shop" },
		{ "workers", "workers", "shop" },
		{ "workers/w", "w", "workers" },
		{ "shop/web", "web", "shop" },
		{ "other", "other", NULL },
	};
	struct manifest manifest;

	(void)state;
	must_read(&manifest,
	    "{'supervisors': [{'name': 'shop', 'children': ["
	    "{'name': 'web', 'command': ['web'], 'after': ['workers']},"
	    "{'name': 'db', 'command': ['db', '-x']},"
	    "{'name': 'workers', 'children': [{'name': 'w', 'command': ['w']}]}]},"
	    "{'name': 'other', 'comment': 'empty'}]}");
	assert_int_equal(manifest.count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < manifest.count; i++) {
		const struct manifest_entry *entry = &manifest.entries[i];

		assert_string_equal(entry->name, expected[i].name);
		assert_string_equal(entry->child, expected[i].child);
		if (expected[i].parent == NULL)
			assert_null(entry->parent);
		else
			assert_string_equal(entry->parent, expected[i].parent);
		assert_int_equal(entry->is_supervisor, strchr(entry->name, '/') == NULL);
		assert_ptr_equal(manifest_find(&manifest, entry->name), entry);
	}
	assert_null(manifest_find(&manifest, "nobody"));
	manifest_done(&manifest);
}

static void
manifest_server_has_its_options_and_the_directory_of_the_file(void **state)
{
	const struct manifest_entry *entry;
	struct manifest manifest;

	(void)state;
	must_read(&manifest,
	    "{'supervisors': [{'name': 's', 'children': ["
	    "{'name': 'a', 'command': ['./a', 'x y'], 'restart': 'permanent', 'cwd': 'sub',"
	    " 'env_file': 'a.env', 'restart-delay': 'exponential:1s,1min', 'grace': 3},"
	    "{'name': 'b', 'command': ['b'], 'cwd': '/srv', 'autostart': false,"
	    " 'significant': true, 'restart': 'temporary'}]}]}");
	entry = manifest_find(&manifest, "s/a");
	assert_true(entry->server.is_server);
	assert_string_equal(entry->server.name, "s/a");
	assert_string_equal(entry->server.supervisor, "s");
	assert_string_equal(entry->server.command.items[1], "x y");
	assert_string_equal(entry->server.cwd, "/etc/shop/sub");
	assert_string_equal(entry->server.environment_files.items[0], "/etc/shop/a.env");
	assert_int_equal(entry->server.restart, RESTART_PERMANENT);
	assert_true(entry->server.has_restart_delay);
	assert_int_equal(entry->server.restart_delay.cap_ms, 60000);
	assert_int_equal(entry->server.grace_ms, 3000);
	assert_false(entry->server.is_only_on_demand);
	entry = manifest_find(&manifest, "s/b");
	assert_string_equal(entry->server.cwd, "/srv");
	assert_true(entry->server.is_only_on_demand);
	assert_true(entry->server.is_significant);
	manifest_done(&manifest);
}

static void
manifest_supervisor_has_its_options(void **state)
{
	const struct manifest_entry *entry;
	struct manifest manifest;

	(void)state;
	must_read(&manifest,
	    "{'supervisors': [{'name': 's', 'strategy': 'one_for_all', 'max_restarts': 7,"
	    "'max-seconds': 60, 'max_children': null, 'auto_shutdown': 'any_significant',"
	    "'rate': '10/min', 'significant': false, 'budget': 'each'}]}");
	entry = manifest_find(&manifest, "s");
	assert_int_equal(entry->supervisor.strategy, STRATEGY_ONE_FOR_ALL);
	assert_int_equal(entry->supervisor.max_restarts, 7);
	assert_int_equal(entry->supervisor.max_seconds, 60);
	assert_int_equal(entry->supervisor.max_children, SUPERVISOR_NONE);
	assert_int_equal(entry->supervisor.auto_shutdown, AUTO_SHUTDOWN_ANY);
	assert_int_equal(entry->supervisor.rate, 10);
	assert_int_equal(entry->supervisor.is_significant, 0);
	assert_int_equal(entry->supervisor.budget, BUDGET_EACH);
	assert_int_equal(entry->supervisor.overflow, SUPERVISOR_UNSET);
	manifest_done(&manifest);
}

static void
manifest_refuses_in_words_what_makes_no_sense(void **state)
{
	(void)state;
	refuses("{}", "wants an object with supervisors");
	refuses("{'supervisors': 1}", "an array");
	refuses("{'supervisors': [1]}", "an object with a name");
	refuses("{'supervisors': [{'name': 's', 'children': {}}]}", "s: children: wants an array");
	refuses("{'supervisors': [{'name': 's', 'parent': 'x'}]}", "no key \"parent\"");
	refuses("{'supervisors': [{'name': 's', 'applied': '/x'}]}", "no key \"applied\"");
	refuses("{'supervisors': [{'name': 's', 'paused': true}]}", "s: paused: is not described");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'kind': 'command'}]}]}", "s/a: there is no option \"kind\"");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'description': 'the first'}]}]}", "s/a: there is no option \"description\"");
	refuses("{'supervisors': [{'name': 's', 'max_restarts': []}]}", "s: max_restarts: wants");
	refuses("{'supervisors': [{'name': 's', 'max_restarts': -1}]}", "not a number from 0");
	refuses("{'supervisors': [{'name': 's', 'max_restarts': 3.5}]}", "\"3.5\" is not a number");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': []}]}]}",
	    "s/a: there is no command");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'supervisor': 't'}]}]}", "is the one that it is in");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'after': 'b'}]}]}", "a: after: wants an array");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'after': ['a']}]}]}", "a: after: they wait for each other");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 't', 'children': []}]}, "
		"{'name': 't'}]}", "t: is there twice");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'w', 'command': ['x']}, "
		"{'name': 'w', 'children': []}]}]}", "s: two of its children have the name w");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'w', 'children': []}, "
		"{'name': 'v', 'children': []}, {'name': 'w', 'command': ['x']}]}]}",
	    "s: two of its children have the name w");
	refuses("{'supervisors': [{'name': 's', 'children': [{'name': 'a', 'command': ['x'], "
		"'children': []}]}]}", "either a command or children");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_lists_each_supervisor_before_its_children),
		cmocka_unit_test(manifest_server_has_its_options_and_the_directory_of_the_file),
		cmocka_unit_test(manifest_supervisor_has_its_options),
		cmocka_unit_test(manifest_refuses_in_words_what_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
