/* Claims ahead: what follows another attempt takes over its place, and no other. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/helper.h"
#include "support/outside.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An instance whose one place is known for short runs: what waits for it is claimed ahead. */
static void
start_serial(struct instance *i)
{
	int64_t last = 0;

	instance_init(i);
	instance_start(i, NULL);
	for (int n = 0; n < 5; n++)
		last = submit_job(i, "-s", "serial", "--", "true", NULL);
	assert_int_equal(wait_job(i, last), 0);
}

static int64_t
submit_true(struct instance *i)
{
	return submit_job(i, "-s", "serial", "--", "true", NULL);
}

static void
assert_ran_after(struct instance *i, int64_t later, int64_t earlier)
{
	char question[300];

	snprintf(question, sizeof(question),
	    "SELECT (SELECT started_at FROM attempts WHERE job_id = %lld) + 20 >= "
	    "(SELECT ended_at FROM attempts WHERE job_id = %lld)",
	    (long long)later, (long long)earlier);
	assert_int_equal(sql_number(i, question), 1);
}

static void
claim_behind_one_that_was_recalled_does_not_start_in_a_place_that_is_taken(void **state)
{
	struct instance i;
	struct result result;
	char held[32];
	int64_t first, last;

	(void)state;
	start_serial(&i);
	/* So that the keeper reads all of this at once, in this order. */
	kill(i.keeper, SIGSTOP);
	first = submit_job(&i, "-s", "serial", "--", "sleep", "0.3", NULL);
	submit_true(&i);
	snprintf(held, sizeof(held), "%lld", (long long)submit_true(&i));
	result = jobberd(&i, "hold", held, NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	last = submit_true(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE ended_at IS NULL"),
	    4);
	kill(i.keeper, SIGCONT);
	assert_int_equal(wait_job(&i, last), 0);
	assert_int_equal(wait_job(&i, first), 0);
	assert_ran_after(&i, last, first);
	instance_stop(&i);
	check_accounts(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    claim_behind_one_that_was_recalled_does_not_start_in_a_place_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
