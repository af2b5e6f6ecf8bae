/* The database is removed while it is in use: nobody takes that for an empty one. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GONE "jobberd.db is gone, and a supervise runs on it: put it back\n"

/* Its files are known by another name still, to be put back. */
static void
take_away(struct instance *i)
{
	char *path = xasprintf("%s/jobberd.db", i->state);
	char *kept = xasprintf("%s/kept.db", i->directory);

	assert_int_equal(link(path, kept), 0);
	assert_int_equal(unlink(path), 0);
	free(path);
	free(kept);
}

static void
put_back(struct instance *i)
{
	char *path = xasprintf("%s/jobberd.db", i->state);
	char *kept = xasprintf("%s/kept.db", i->directory);

	assert_int_equal(rename(kept, path), 0);
	free(path);
	free(kept);
}

/* Nothing but the sentence. */
static void
expect_gone(struct result result)
{
	assert_string_equal(result.out, "");
	expect(result, 78, NULL, GONE);
}

static void
verbs_that_ask_say_that_the_database_is_gone(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--name", "a", "--", "sleep", "600", NULL);
	instance_expect(&i, "started");
	take_away(&i);
	expect_gone(jobberd(&i, "list", NULL));
	expect_gone(jobberd(&i, "list", "--json", NULL));
	expect_gone(jobberd(&i, "list", "--count", NULL));
	expect_gone(jobberd(&i, "show", "1", NULL));
	expect_gone(jobberd(&i, "why", "1", NULL));
	expect_gone(jobberd(&i, "attempts", "1", NULL));
	expect_gone(jobberd(&i, "log", "1", NULL));
	expect_gone(jobberd(&i, "log", NULL));
	expect_gone(jobberd(&i, "events", NULL));
	expect_gone(jobberd(&i, "events", "1", NULL));
	expect_gone(jobberd(&i, "events", "-f", NULL));
	expect_gone(jobberd(&i, "wait", "1", NULL));
	expect_gone(jobberd(&i, "tree", NULL));
	expect_gone(jobberd(&i, "count", NULL));
	expect_gone(jobberd(&i, "whereis", "a", NULL));
	expect_gone(jobberd(&i, "children", "default", NULL));
	expect_gone(jobberd(&i, "supervisor", "list", NULL));
	expect_gone(jobberd(&i, "messages", "a", NULL));
	expect_gone(jobberd(&i, "cancel", "1", NULL));
	expect_gone(jobberd(&i, "cancel", "--status", "running", "--yes", NULL));
	/* This one has something to tell all the same. */
	expect(jobberd(&i, "status", NULL), 78, NULL, GONE);
	expect_gone(jobberd(&i, "status", "default", NULL));
	put_back(&i);
	expect(jobberd(&i, "list", "--count", NULL), 0, "1\n", NULL);
	instance_finish(&i);
}

static void
shutdown_without_the_database_says_what_it_waits_for_and_ends_when_it_is_back(void **state)
{
	struct instance i;
	FILE *shutdown;
	char line[500], *call;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--", "sleep", "600", NULL);
	instance_expect(&i, "started");
	take_away(&i);
	call = xasprintf("%s -C %s shutdown 2>&1", getenv("JOBBERD"), i.state);
	shutdown = popen(call, "r");
	assert_non_null(fgets(line, sizeof(line), shutdown));
	assert_string_equal(line, "stopping: 1 running job is ended\n");
	assert_non_null(fgets(line, sizeof(line), shutdown));
	assert_has(line, "jobberd: still waiting to record what has ended: ");
	assert_has(line, "/jobberd.db is gone: put it back\n");
	put_back(&i);
	assert_null(fgets(line, sizeof(line), shutdown));
	assert_int_equal(pclose(shutdown), 0);
	assert_int_equal(instance_wait(&i), 0);
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM attempts WHERE reason = 'interrupted'"), 1);
	free(call);
	check_accounts(&i);
	instance_done(&i);
}

static void
shutdown_that_waits_for_a_job_says_nothing_of_the_database(void **state)
{
	struct result result;
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--grace", "1500ms", "--", "sh", "-c", "trap '' TERM; while :; do "
		   "sleep 0.1; done", NULL);
	instance_expect(&i, "started");
	result = jobberd(&i, "shutdown", NULL);
	assert_result(result, 0, "", "stopping: 1 running job is ended\n");
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_that_ask_say_that_the_database_is_gone),
		cmocka_unit_test(
		    shutdown_without_the_database_says_what_it_waits_for_and_ends_when_it_is_back),
		cmocka_unit_test(shutdown_that_waits_for_a_job_says_nothing_of_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
