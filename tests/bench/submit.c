/*
 * submit: taking jobs in. Many at once, against raw prepared inserts into the same schema
 * in durable transactions of as many; one by one, by one client and by eight.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/talk.h"

#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define A_TRANSACTION 1000
#define CLIENTS 8

static const char *const nothing_starts[] = { "--max-children", "0", NULL };

/* ---- the bare side: what SQLite itself takes for these rows ---- */

static sqlite3_stmt *
prepare_insert(sqlite3 *database)
{
	sqlite3_stmt *insert = database_prepare(database,
	    "INSERT INTO jobs (command, cwd, environment, umask, created_at) "
	    "VALUES (?1, ?2, ?3, ?4, ?5)");

	sqlite3_bind_text(insert, 1, "[\"/bin/true\"]", -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 2, "/srv/work", -1, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 3, 1);
	sqlite3_bind_int64(insert, 4, 022);
	return insert;
}

/* Rows per second. */
static double
insert_raw(size_t count, size_t at_once)
{
	struct instance instance;
	sqlite3 *database;
	sqlite3_stmt *insert;
	int64_t begin;
	double seconds;

	instance_make(&instance);
	database_make(instance.state);
	database = database_connect(instance.state, true);
	database_run(database, "PRAGMA synchronous = FULL");
	database_run(database, "BEGIN IMMEDIATE");
	database_run(database, "INSERT INTO environments (hash, vars) VALUES (1, '{}')");
	database_run(database, "COMMIT");
	insert = prepare_insert(database);
	begin = now_ns();
	for (size_t done = 0; done < count; done += at_once) {
		database_run(database, "BEGIN IMMEDIATE");
		for (size_t i = 0; i < at_once; i++) {
			sqlite3_bind_int64(
			    insert, 5, (int64_t)(1700000000000 + done + i));
			database_step(database, insert);
		}
		database_run(database, "COMMIT");
	}
	seconds = seconds_since(begin);
	sqlite3_finalize(insert);
	database_close(database);
	instance_done(&instance);
	return (double)count / seconds;
}

/* ---- many at once ---- */

static void
check_count(const struct instance *instance, size_t count)
{
	int64_t found = state_number(instance->state, "SELECT count(*) FROM jobs");

	if (found != (int64_t)count)
		errx(1, "%" PRId64 " of %zu jobs are in", found, count);
}

static double
submit_batch(size_t count, bool is_running)
{
	struct instance instance;
	int64_t begin;
	double seconds;

	instance_make(&instance);
	if (is_running)
		instance_start(&instance, nothing_starts);
	begin = now_ns();
	instance_fill(&instance, count, "{\"command\":[\"/bin/true\"]}");
	seconds = seconds_since(begin);
	check_count(&instance, count);
	instance_done(&instance);
	return (double)count / seconds;
}

/* ---- one by one ---- */

/* A process of its own: connect, say so, and go when everybody is there. */
static void
be_client(const char *state, size_t count, int ready, int go)
{
	static const char *const command[] = { "/bin/true", NULL };
	struct client_connection connection;
	char byte = 0;

	talk_open(&connection, state);
	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 0)
		_exit(1);
	for (size_t i = 0; i < count; i++)
		talk_submit(&connection, command);
	_exit(0);
}

static void
start_clients(const char *state, size_t clients, size_t count, int ready[2], int go[2],
    pid_t *pids)
{
	for (size_t i = 0; i < clients; i++) {
		pids[i] = fork();
		if (pids[i] == -1)
			err(1, "fork");
		if (pids[i] == 0) {
			close(go[1]);
			be_client(state, count, ready[1], go[0]);
		}
	}
}

/* Jobs per second of so many clients together, each `count`. */
static double
submit_one_by_one(size_t clients, size_t count)
{
	struct instance instance;
	pid_t pids[CLIENTS];
	int ready[2], go[2];
	int64_t begin;
	double seconds;
	char byte;

	instance_make(&instance);
	instance_start(&instance, nothing_starts);
	if (pipe2(ready, O_CLOEXEC) == -1 || pipe2(go, O_CLOEXEC) == -1)
		err(1, "pipe");
	start_clients(instance.state, clients, count, ready, go, pids);
	for (size_t i = 0; i < clients; i++) {
		if (read(ready[0], &byte, 1) != 1)
			err(1, "a client");
	}
	begin = now_ns();
	close(go[1]);
	for (size_t i = 0; i < clients; i++)
		process_wait(pids[i], "a client");
	seconds = seconds_since(begin);
	close(go[0]);
	close(ready[0]);
	close(ready[1]);
	check_count(&instance, clients * count);
	instance_done(&instance);
	return (double)(clients * count) / seconds;
}

/* ---- rounds ---- */

struct rows {
	struct row batch, offline, one, eight;
};

static void
run_round(struct rows *rows, size_t batch, size_t single)
{
	double raw = insert_raw(batch, A_TRANSACTION);
	double running = submit_batch(batch, true), offline = submit_batch(batch, false);
	double raw_one = insert_raw(single, 1), one = submit_one_by_one(1, single);
	double eight = submit_one_by_one(CLIENTS, single / 2);

	/* Raw inserts once more, behind ours. */
	raw = 2 / (1 / raw + 1 / insert_raw(batch, A_TRANSACTION));
	progress("submit: raw %.0f, batch %.0f, nothing running %.0f; one by one raw "
		 "%.0f, 1 client %.0f, %d clients %.0f per s",
	    raw, running, offline, raw_one, one, CLIENTS, eight);
	row_add(&rows->batch, raw, NOT_MEASURED, running);
	row_add(&rows->offline, raw, NOT_MEASURED, offline);
	row_add(&rows->one, raw_one, NOT_MEASURED, one);
	row_add(&rows->eight, one, NOT_MEASURED, eight);
}

int
main(void)
{
	size_t batch = (size_t)setting("BATCH", 100000) / A_TRANSACTION * A_TRANSACTION;
	struct rows rows = {
		.batch = row_make("submit --batch of 100,000, against raw inserts",
		    "%.0f/s", AT_LEAST, 0.5),
		.offline =
		    row_make("the same with nothing running", "%.0f/s", ONLY_SHOWN, 0),
		.one = row_make("submit one by one, against raw commits of one row",
		    "%.0f/s", ONLY_SHOWN, 0),
		.eight = row_make(
		    "submit one by one, 8 clients against one", "%.0f/s", AT_LEAST, 4),
	};

	/* As the supervisor process does: without, SQLite spends its time in brk(2). */
	xalloc_keep_some();
	for (size_t round = 0; round < rounds(); round++)
		run_round(&rows, batch, (size_t)setting("SINGLE", 1000));
	row_print(&rows.batch);
	row_print(&rows.offline);
	row_print(&rows.one);
	row_print(&rows.eight);
	return 0;
}
