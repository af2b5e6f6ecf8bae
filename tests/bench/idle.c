/*
 * idle: half a minute in which nothing happens, after a foreign INSERT and its job. No
 * process of ours may wake up. Then their private memory.
 */

#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <poll.h>

#define SETTLE_MS 2000 /* longer than any of its short timers, which are not idleness */

/* What both processes have done so far. */
static struct process_activity
look(const struct instance *instance, pid_t supervisor)
{
	struct process_activity keeper, both;

	process_activity(instance->keeper, &keeper);
	process_activity(supervisor, &both);
	both.switches += keeper.switches;
	both.cpu_ns += keeper.cpu_ns;
	return both;
}

static void
insert_foreign(const struct instance *instance)
{
	sqlite3 *database = database_connect(instance->state, true);
	struct client_connection connection;

	database_run(database, "INSERT INTO jobs (command) VALUES ('[\"/bin/true\"]')");
	talk_open(&connection, instance->state);
	talk_wait(&connection, sqlite3_last_insert_rowid(database));
	talk_close(&connection);
	database_close(database);
}

int
main(void)
{
	struct row switches =
	    row_make("idle for 30 s: context switches", "%.0f", AT_MOST, 0);
	struct row cpu = row_make("idle for 30 s: processor time", "%.0f us", AT_MOST, 0);
	struct row memory =
	    row_make("idle: private memory of both processes", "%.0f KiB", AT_MOST, 5120);
	struct instance instance;
	struct process_activity before, after;
	int64_t seconds = setting("SECONDS_IDLE", 30), bytes;
	pid_t supervisor;

	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	supervisor = instance_supervisor(&instance);
	insert_foreign(&instance);
	poll(NULL, 0, SETTLE_MS);
	progress("idle: looking again in %d s", (int)seconds);
	before = look(&instance, supervisor);
	poll(NULL, 0, (int)seconds * 1000);
	after = look(&instance, supervisor);
	row_add(&switches, NOT_MEASURED, NOT_MEASURED,
	    (double)(after.switches - before.switches));
	row_add(&cpu, NOT_MEASURED, NOT_MEASURED,
	    (double)(after.cpu_ns - before.cpu_ns) / 1000);
	bytes =
	    process_private_bytes(instance.keeper) + process_private_bytes(supervisor);
	row_add(&memory, NOT_MEASURED, NOT_MEASURED, (double)bytes / 1024);
	row_print(&switches);
	row_print(&cpu);
	row_print(&memory);
	instance_done(&instance);
	return 0;
}
