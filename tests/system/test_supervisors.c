/* supervisors: quotas, rates and pauses of supervisors that people make. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUP(i, status, err, ...)                                                             \
	expect(jobberd(i, "supervisor", __VA_ARGS__, NULL), status, NULL, err)

/* A job of imports that runs until the fifo is written to; its id on standard output. */
#define IMPORT(i, fifo)                                                                      \
	jobberd(i, "submit", "--type", "import", "-s", "imports", "--", "cat", fifo, NULL)

static void
quota_is_so_many_live_jobs_and_no_more(void **state)
{
	struct instance i;
	char *fifo, *other;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	fifo = fifo_make(&i, "go");
	other = fifo_make(&i, "other");
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "2", "--overflow", "reject");
	expect(IMPORT(&i, fifo), 0, "1\n", NULL);
	expect(IMPORT(&i, other), 0, "2\n", NULL);
	expect(IMPORT(&i, fifo), 75, "", "imports: 2 of 2 places taken (max_children)");
	expect(jobberd(&i, "submit", "true", NULL), 0, "3\n", NULL); /* others are untouched */
	fifo_write(fifo, "x");
	fifo_write(other, "x");
	assert_int_equal(wait_job(&i, 1), 0);
	assert_int_equal(wait_job(&i, 2), 0);
	expect(IMPORT(&i, "/dev/null"), 0, "4\n", NULL);
	assert_int_equal(wait_job(&i, 4), 0);
	free(fifo);
	free(other);
	instance_finish(&i);
}

static void
submit_says_in_json_what_was_recorded_and_what_was_refused(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "1", "--overflow", "reject");
#define SUBMIT(...) jobberd(&i, "submit", "--json", "--hold", __VA_ARGS__, NULL)
	expect(SUBMIT("-s", "imports", "--name", "n", "true"), 0, "{\"id\":1}\n", NULL);
	expect(SUBMIT("-s", "imports", "true"), 75,
	    "{\"error\":\"max_children\",\"supervisor\":\"imports\"}\n", "1 of 1 places");
	expect(SUBMIT("--name", "n", "true"), 5, "{\"error\":\"already_started\",\"id\":1}\n",
	    "already_started: job 1");
	expect(SUBMIT("--name", "n", "--once", "true"), 0, "{\"id\":1,\"existed\":true}\n", NULL);
	expect(SUBMIT("--timeout", "x", "true"), 2, "", "timeout");
#undef SUBMIT
	expect(jobberd_with_input(&i, "true\nfalse\n", "submit", "--json", "--batch", NULL), 0,
	    "{\"id\":2}\n{\"id\":3}\n", NULL);
	/* Each for itself, and who is refused among others, too. */
	expect(jobberd_with_input(&i, "{\"command\":[\"true\"]}\n{\"command\":[\"true\"],"
		   "\"name\":\"n\",\"once\":true}\n", "submit", "--json", "--batch", NULL), 0,
	    "{\"id\":4}\n{\"id\":1,\"existed\":true}\n", NULL);
	expect(jobberd_with_input(&i, "true\n{\"command\":[\"true\"],\"name\":\"n\"}\n", "submit",
		   "--json", "--batch", NULL), 5, "{\"error\":\"already_started\",\"id\":1}\n",
	    "line 2");
	instance_finish(&i);
}

static void
quota_counts_jobs_in_retry_pause_and_retries_by_hand(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "1", "--overflow", "reject");
	expect(jobberd(&i, "submit", "-s", "imports", "--backoff", "constant:1h", "--", "false",
		   NULL), 0, "1\n", NULL);
	instance_expect(&i, "job=1 errored");
	expect(jobberd(&i, "submit", "-s", "imports", "true", NULL), 75, "", "1 of 1 places");
	expect(jobberd(&i, "cancel", "1", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "submit", "-s", "imports", "--hold", "true", NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "retry", "1", NULL), 75, NULL,
	    "jobberd: job 1: imports: 1 of 1 places taken");
	expect(jobberd(&i, "release", "2", NULL), 0, NULL, NULL);
	assert_int_equal(wait_job(&i, 2), 0);
	expect(jobberd(&i, "retry", "1", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "cancel", "1", NULL), 0, NULL, NULL);
	instance_finish(&i);
}

/* Each of them tries until it is refused. */
static void
quota_is_exact_under_simultaneous_clients(void **state)
{
	enum { CLIENTS = 8, PLACES = 21 };
	static const char loop[] = "while \"$0\" -C \"$1\" submit -s imports --hold true "
				   "2>/dev/null; do :; done";
	struct helper clients[CLIENTS];
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "21", "--overflow", "reject");
	for (int n = 0; n < CLIENTS; n++) {
		const char *arguments[] = { "sh", "-c", loop, getenv("JOBBERD"),
			i.state, NULL };

		helper_start(&clients[n], NULL, arguments);
	}
	for (int n = 0; n < CLIENTS; n++) {
		helper_wait(&clients[n]);
		helper_end(&clients[n]);
	}
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), PLACES);
	instance_finish(&i);
}

static void
quota_holds_for_a_batch_and_for_sql(void **state)
{
	struct instance i;
	char *wrong;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "2", "--overflow", "reject");
	/* All or nothing, as one request is. */
	expect(jobberd_with_input(&i, "true\ntrue\ntrue\n", "submit", "-s", "imports", "--hold",
		   "--batch", NULL), 75, "", "2 of 2 places taken");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM jobs"), 0);
	assert_null(foreign(&i, "INSERT INTO jobs (command, supervisor, hold) VALUES "
				"('[\"true\"]', 'imports', 'user')"));
	assert_null(foreign(&i, "INSERT INTO jobs (command, supervisor, hold) VALUES "
				"('[\"true\"]', 'imports', 'user')"));
	wrong = foreign(&i, "INSERT INTO jobs (command, supervisor) VALUES "
			    "('[\"true\"]', 'imports')");
	assert_string_equal(wrong, "max_children: every place of the supervisor is taken");
	free(wrong);
	instance_finish(&i);
}

static void
refusal_is_told_to_programs(void **state)
{
	struct instance i;
	char *line = NULL;
	size_t room = 0;
	FILE *in;
	int fd;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "0", "--overflow", "reject");
	fd = connect_client(&i);
	in = fdopen(fd, "r");
	dprintf(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"submit\",\"params\":{\"jobs\":"
		    "[{\"command\":[\"true\"],\"supervisor\":\"imports\"}]}}\n");
	assert_true(getline(&line, &room, in) > 0);
	assert_has(line, "\"code\":75");
	assert_has(line, "\"error\":\"max_children\",\"supervisor\":\"imports\"");
	free(line);
	fclose(in);
	instance_finish(&i);
}

static void
surplus_waits_unless_it_is_to_be_refused(void **state)
{
	struct instance i;
	char *fifo;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	fifo = fifo_make(&i, "go");
	SUP(&i, 0, NULL, "add", "imports", "--max-children", "1");
	expect(IMPORT(&i, fifo), 0, "1\n", NULL);
	expect(IMPORT(&i, "/dev/null"), 0, "2\n", NULL);
	instance_expect(&i, "job=1 started");
	expect(jobberd(&i, "why", "2", NULL), 0, "no free place (1 of 1), 1st in line\n", NULL);
	SUP(&i, 0, NULL, "set", "imports", "--max-children", "none"); /* at once */
	assert_int_equal(wait_job(&i, 2), 0);
	fifo_write(fifo, "x");
	assert_int_equal(wait_job(&i, 1), 0);
	free(fifo);
	instance_finish(&i);
}

static void
pause_survives_restarts(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "pause", "default");
	expect(jobberd(&i, "submit", "true", NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "submit", "-s", "serial", "true", NULL), 0, "2\n", NULL);
	assert_int_equal(wait_job(&i, 2), 0);
	expect(jobberd(&i, "why", "1", NULL), 0, "its supervisor is paused\n", NULL);
	instance_kill_supervisor(&i);
	instance_stop(&i);
	instance_start(&i, NULL);
	expect(jobberd(&i, "submit", "-s", "serial", "true", NULL), 0, "3\n", NULL);
	assert_int_equal(wait_job(&i, 3), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 1"), 0);
	SUP(&i, 0, NULL, "resume", "default");
	assert_int_equal(wait_job(&i, 1), 0);
	instance_finish(&i);
}

static void
drain_is_answered_when_nothing_runs(void **state)
{
	struct instance i;
	struct helper drain;
	char *fifo;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	fifo = fifo_make(&i, "go");
	SUP(&i, 0, NULL, "drain", "default"); /* nothing runs */
	SUP(&i, 0, NULL, "resume", "default");
	expect(jobberd(&i, "submit", "cat", fifo, NULL), 0, "1\n", NULL);
	instance_expect(&i, "job=1 started");
	helper_jobberd(&drain, &i, NULL, "supervisor", "drain", "default", NULL);
	wait_sql(&i, "SELECT count(*) > 0 FROM supervisors WHERE paused");
	assert_true(helper_runs_for(&drain, 50));
	expect(jobberd(&i, "submit", "true", NULL), 0, "2\n", NULL);
	fifo_write(fifo, "x");
	assert_int_equal(helper_wait(&drain), 0);
	helper_end(&drain);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM job_list WHERE id = 1 "
					"AND status = 'done'"), 1);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 2"), 0);
	free(fifo);
	instance_finish(&i);
}

static void
job_that_waits_for_a_rate_says_so(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "slow", "--rate", "1/h");
	submit_job(&i, "-s", "slow", "true", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	submit_job(&i, "-s", "slow", "true", NULL);
	submit_job(&i, "-s", "slow", "true", NULL);
	expect(jobberd(&i, "why", "3", NULL), 0,
	    "waits for its supervisor's rate (1/h), 2nd in line\n", NULL);
	expect(jobberd(&i, "cancel", "2", "3", NULL), 0, NULL, NULL);
	instance_finish(&i);
}

/* 4 starts in 300 ms; a restart in between gives nobody more. */
static void
rate_is_so_many_starts_in_any_such_time(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "8", NULL);
	SUP(&i, 0, NULL, "add", "slow", "--rate", "4/300ms");
	for (int n = 1; n <= 6; n++)
		submit_job(&i, "-s", "slow", "true", NULL);
	instance_kill_supervisor(&i);
	for (int n = 7; n <= 12; n++)
		submit_job(&i, "-s", "slow", "true", NULL);
	for (int n = 1; n <= 12; n++)
		assert_int_equal(wait_job(&i, n), 0);
	/*
	 * The fifth of any five is let go 300 ms after the first, but for the clock's grain; when
	 * each is there is the machine's affair.
	 */
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM (SELECT claimed_at - "
		"lag(claimed_at, 4) OVER (ORDER BY claimed_at) AS span FROM attempts) "
		"WHERE span < 290"), 0);
	instance_finish(&i);
}

static void
supervisor_is_removed_when_nothing_of_it_lives(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "imports");
	SUP(&i, 5, "is there already", "add", "imports");
	expect(jobberd(&i, "submit", "-s", "imports", "--hold", "true", NULL), 0, "1\n", NULL);
	SUP(&i, 5, "has live jobs", "rm", "imports");
	expect(jobberd(&i, "cancel", "1", NULL), 0, NULL, NULL);
	SUP(&i, 0, NULL, "rm", "imports");
	expect(jobberd(&i, "submit", "-s", "imports", "true", NULL), 4, "", "no supervisor");
	SUP(&i, 4, "is no supervisor", "pause", "imports");
	SUP(&i, 5, "is built in", "rm", "default");
	SUP(&i, 2, "none of list", "frobnicate");
	SUP(&i, 2, "wants one NAME", "pause");
	SUP(&i, 2, "has no option --rate", "pause", "default", "--rate", "1/s");
	SUP(&i, 2, "is not COUNT/TIME", "add", "x", "--rate", "1");
	SUP(&i, 2, "is not wait or reject", "add", "x", "--overflow", "drop");
	expect(jobberd(&i, "supervisor", "set", "default", "--max-children", "3", NULL), 0, "",
	    NULL);
	expect(jobberd(&i, "sup", "list", "-H", "-o", "name,state,places", NULL), 0,
	    "default\truns\t3\nserial\truns\t1\nservers\truns\tany\n", NULL);
	instance_finish(&i);
}

/* ---- keys, names and words ---- */

static void
key_is_shared_by_so_many_running_jobs(void **state)
{
	struct instance i;
	struct bell bell;
	char *fifo, *rings;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "8", NULL);
	bell_init(&bell, &i, "bell");
	fifo = fifo_make(&i, "go");
	rings = xasprintf("echo $JOBBERD_ID >%s; cat %s", bell.path, fifo);
	for (int n = 0; n < 3; n++)
		submit_job(&i, "--key", "acme", "--limit", "2", "--", "sh", "-c", rings, NULL);
	submit_job(&i, "--key", "other", "--limit", "1", "--", "true", NULL);
	free(bell_wait(&bell));
	free(bell_wait(&bell));
	assert_int_equal(wait_job(&i, 4), 0); /* the third of acme was overtaken */
	expect(jobberd(&i, "why", "3", NULL), 0, "2 of 2 with key acme run\n", NULL);
	instance_kill_supervisor(&i);
	assert_null(foreign(&i, "BEGIN; INSERT INTO jobs (command) VALUES ('[\"true\"]'); "
				"INSERT INTO keys VALUES (5, 'acme', 2); COMMIT"));
	submit_job(&i, "true", NULL);
	assert_int_equal(wait_job(&i, 6), 0);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id IN (3, 5)"), 0);
	fifo_write(fifo, "x");
	for (int n = 1; n <= 2; n++)
		assert_int_equal(wait_job(&i, n), 0);
	free(bell_wait(&bell));
	assert_int_equal(wait_job(&i, 5), 0);
	fifo_write(fifo, "x");
	assert_int_equal(wait_job(&i, 3), 0);
	bell_done(&bell);
	free(rings);
	free(fifo);
	instance_finish(&i);
}

static void
name_is_found_while_its_holder_lives_and_words_stay(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(jobberd(&i, "whereis", "report", NULL), 4, "", "no live job");
	expect(jobberd(&i, "submit", "--meta", "tenant=acme", "--meta", "tenant=eu", "true", NULL),
	    2, "", "meta: \"tenant\" is given twice");
	expect(jobberd_with_input(&i, "{\"command\":[\"true\"],\"meta\":[\"a=1\",\"a=2\"]}\n",
		   "submit", "--batch", NULL), 2, "", "line 1: meta: \"a\" is given twice");
	expect(jobberd_with_input(&i, "{\"command\":[\"true\"],\"meta\":{\"a\":\"1\","
		   "\"a\":\"2\"}}\n", "submit", "--batch", NULL), 2, "", "line 1: ");
	expect(jobberd(&i, "submit", "--name", "report", "--meta", "tenants=acme", "--meta",
		   "tenant=eu", "--meta", "n=", "--hold", "true", NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "whereis", "report", NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "release", "1", NULL), 0, NULL, NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	expect(jobberd(&i, "whereis", "report", NULL), 4, "", "no live job");
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM meta WHERE job_id = 1 AND "
					"name || '=' || value IN ('tenant=eu', 'n=')"), 2);
	expect(jobberd(&i, "submit", "--key", "a", "true", NULL), 2, "", "only both together");
	expect(jobberd(&i, "prune", "--status", "done", NULL), 0, NULL, NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM meta"), 0);
	instance_finish(&i);
}

static void
start_and_whereis_answer_in_json(void **state)
{
	static const char counter[] = SERVERS_DIRECTORY "/counter";
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	SUP(&i, 0, NULL, "add", "shop", "--max-children", "1", "--overflow", "reject");
#define START(...) jobberd(&i, "start", "--json", __VA_ARGS__, NULL)
	expect(START("shop/c", "--", counter), 0, "{\"id\":1}\n", NULL);
	expect(START("shop/c", "--", counter), 5, "{\"error\":\"already_started\",\"id\":1}\n",
	    "already_started: job 1");
	expect(START("shop/c"), 5, "{\"error\":\"already_started\",\"id\":1}\n", "already_started");
	expect(START("--once", "shop/c", "--", counter), 0, "{\"id\":1,\"existed\":true}\n", NULL);
	expect(START("-s", "shop", "d", "--", counter), 75,
	    "{\"error\":\"max_children\",\"supervisor\":\"shop\"}\n", "shop: 1 of 1 places taken");
	expect(START("--group", "web", "e", "--", counter), 0, "{\"id\":2}\n", NULL);
	expect(jobberd(&i, "whereis", "--json", "shop/c", NULL), 0, "{\"id\":1}\n", NULL);
	expect(jobberd(&i, "whereis", "--json", "nobody", NULL), 4, "", "no live job");
	expect(jobberd(&i, "whereis", "--json", "-g", "web", NULL), 0,
	    "[{\"id\":2,\"name\":\"e\"}]\n", NULL);
	expect(jobberd(&i, "stop", "shop/c", NULL), 0, NULL, NULL);
	expect(START("shop/c", "--", counter), 5, "{\"error\":\"already_present\",\"id\":1}\n",
	    "already_present: job 1");
	expect(START("shop/c"), 0, "{\"id\":1}\n", NULL);
#undef START
	instance_finish(&i);
}

static void
ended_job_is_deleted_and_a_server_started_anew(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(jobberd(&i, "submit", "--name", "one", "--meta", "a=b", "echo", "hello", NULL), 0,
	    "1\n", NULL);
	assert_int_equal(wait_job(&i, 1), 0);
	expect(jobberd(&i, "submit", "--after", "1", "--in", "1h", "true", NULL), 0, "2\n", NULL);
	expect(jobberd(&i, "delete", "one", NULL), 5, "", "a live job waits for it");
	expect(jobberd(&i, "delete", "2", NULL), 5, "", "is new: it cannot be deleted");
	expect(jobberd(&i, "cancel", "2", NULL), 0, NULL, NULL);
	expect(jobberd(&i, "delete", "one", NULL), 0, "", NULL);
	expect(jobberd(&i, "show", "1", NULL), 4, "", "there is no job 1");
	expect(jobberd(&i, "delete", "1", NULL), 4, "", "there is no job 1");
	assert_int_equal(sql_number(&i, "SELECT (SELECT count(*) FROM meta) + (SELECT count(*) "
					"FROM attempts WHERE job_id = 1)"), 0);
	expect(jobberd(&i, "start", "c", "--", SERVERS_DIRECTORY "/counter", NULL), 0, "3\n",
	    NULL);
	expect(jobberd(&i, "cast", "c", "add", "5", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "5\n", NULL);
	expect(jobberd(&i, "restart", "c", NULL), 0, "3\n", NULL);
	expect(jobberd(&i, "call", "c", "get", NULL), 0, "0\n", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE job_id = 3 "
					"AND reason = 'shutdown'"), 1);
	expect(jobberd(&i, "stop", "c", NULL), 0, "", NULL);
	expect(jobberd(&i, "restart", "c", NULL), 0, "3\n", NULL); /* it did not run */
	expect(jobberd(&i, "restart", "nobody", NULL), 4, "", "nobody");
	expect(jobberd(&i, "delete", "c", NULL), 5, "", "is running");
	instance_finish(&i);
}

/* ---- what is seen ---- */

static void
tree_draws_what_runs_and_counts_the_rest(void **state)
{
	struct instance i;
	struct result result;
	char *fifo;

	(void)state;
	instance_init(&i);
	instance_start(&i, "--max-children", "1", NULL);
	fifo = fifo_make(&i, "go");
	submit_job(&i, "--name", "first", "cat", fifo, NULL);
	submit_job(&i, "true", NULL);
	submit_job(&i, "true", NULL);
	submit_job(&i, "-s", "serial", "--backoff", "constant:1h", "false", NULL);
	instance_expect(&i, "job=1 started");
	instance_expect(&i, "job=4 errored");
	result = jobberd(&i, "tree", NULL);
	assert_int_equal(result.status, 0);
	assert_has(result.out, "default\truns\t-\t-\t-\t1 place\n├─ 1 first\trunning\t");
	assert_has(result.out, "└─ 2 more\tnew\t-\t-\t-\t-\nserial\t");
	assert_has(result.out, "└─ 4\terrored\t-\t-\t-\tfalse\n");
	result_done(&result);
	result = jobberd(&i, "tree", "--json", NULL);
	assert_has(result.out, "\"supervisor\":\"default\",\"max_children\":1");
	assert_has(result.out, "\"jobs\":[{\"id\":1,\"name\":\"first\"");
	result_done(&result);
	expect(jobberd(&i, "count", "default", NULL), 0,
	    "specs        3\nactive       1\nsupervisors  0\nworkers      3\n", NULL);
	expect(jobberd(&i, "count", "--json", NULL), 0,
	    "{\"specs\":7,\"active\":4,\"supervisors\":3,\"workers\":4}\n", NULL);
	expect(jobberd(&i, "count", "nobody", NULL), 4, "", "no supervisor nobody");
	expect(jobberd(&i, "children", "nobody", NULL), 4, "", "there is no supervisor nobody");
	expect(jobberd(&i, "children", "serial", "-H", "-o", "id,status", NULL), 0,
	    "4\terrored\n", NULL);
	expect(jobberd(&i, "list", "-s", "default", "-H", "-o", "id", NULL), 0, "1\n2\n3\n",
	    NULL);
	fifo_write(fifo, "x");
	for (int n = 1; n <= 3; n++)
		assert_int_equal(wait_job(&i, n), 0);
	expect(jobberd(&i, "cancel", "4", NULL), 0, NULL, NULL);
	free(fifo);
	instance_finish(&i);
}

static void
command_is_stopped_started_and_restarted_like_a_server(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	submit_job(&i, "--name", "long", "sleep", "1000", NULL);
	instance_expect(&i, "job=1 started");
	expect(jobberd(&i, "stop", "long", NULL), 0, "", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE ended_at IS NULL"), 0);
	expect(jobberd(&i, "stop", "long", NULL), 0, "", NULL);
	expect(jobberd(&i, "start", "long", NULL), 0, "1\n", NULL);
	instance_expect(&i, "job=1 started attempt=2");
	expect(jobberd(&i, "start", "1", NULL), 5, "", "job 1 is running");
	expect(jobberd(&i, "restart", "1", NULL), 0, "1\n", NULL);
	instance_expect(&i, "job=1 started attempt=3");
	expect(jobberd(&i, "stop", "nobody", NULL), 4, "", "noproc");
	expect(jobberd(&i, "stop", "1", NULL), 0, "", NULL);
	instance_finish(&i);
}

/* Only a database of before the guard of names can have one. */
static void
name_that_would_do_things_to_a_terminal_is_shown_harmless(void **state)
{
	static const char *const verbs[][3] = { { "status" }, { "tree" },
		{ "supervisor", "list" } };
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	assert_null(foreign(&i, "BEGIN IMMEDIATE; UPDATE writer SET is_writing = 1; "
		"INSERT INTO supervisors (name) VALUES (char(97, 27, 91, 51, 49, 109, 9, 10, 98)); "
		"UPDATE writer SET is_writing = 0; COMMIT"));
	for (size_t n = 0; n < sizeof(verbs) / sizeof(verbs[0]); n++) {
		struct result result = jobberd(&i, verbs[n][0], verbs[n][1], NULL);

		assert_int_equal(result.status, 0);
		assert_null(strchr(result.out, '\x1b'));
		assert_has(result.out, "a\\x1b[31m\\t\\nb\t");
		result_done(&result);
	}
	instance_finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_that_would_do_things_to_a_terminal_is_shown_harmless),
		cmocka_unit_test(quota_is_so_many_live_jobs_and_no_more),
		cmocka_unit_test(submit_says_in_json_what_was_recorded_and_what_was_refused),
		cmocka_unit_test(quota_counts_jobs_in_retry_pause_and_retries_by_hand),
		cmocka_unit_test(quota_is_exact_under_simultaneous_clients),
		cmocka_unit_test(quota_holds_for_a_batch_and_for_sql),
		cmocka_unit_test(refusal_is_told_to_programs),
		cmocka_unit_test(surplus_waits_unless_it_is_to_be_refused),
		cmocka_unit_test(pause_survives_restarts),
		cmocka_unit_test(drain_is_answered_when_nothing_runs),
		cmocka_unit_test(job_that_waits_for_a_rate_says_so),
		cmocka_unit_test(rate_is_so_many_starts_in_any_such_time),
		cmocka_unit_test(key_is_shared_by_so_many_running_jobs),
		cmocka_unit_test(name_is_found_while_its_holder_lives_and_words_stay),
		cmocka_unit_test(start_and_whereis_answer_in_json),
		cmocka_unit_test(ended_job_is_deleted_and_a_server_started_anew),
		cmocka_unit_test(command_is_stopped_started_and_restarted_like_a_server),
		cmocka_unit_test(tree_draws_what_runs_and_counts_the_rest),
		cmocka_unit_test(supervisor_is_removed_when_nothing_of_it_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
