/*
 * memory: private pages of keeper and supervisor process together, per waiting and per
 * running job. Both have done the same before, so that what is counted grows
 * with the number of jobs and not with having worked at all.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <stdint.h>

#define WARM_ROWS 20000 /* more than SQLite's page cache holds */
#define WARM_RUNNING 2000
#define RUNNING 2000
#define PORTION 500 /* submitted together */

static const char line[] = "{\"command\":[\"/bin/true\"],\"hold\":true}";

static int64_t
private_bytes(const struct instance *instance)
{
	return process_private_bytes(instance->keeper) +
	    process_private_bytes(instance_supervisor(instance));
}

/* Bytes per row that waits. */
static double
measure_waiting(size_t count)
{
	struct instance instance;
	int64_t before, after;

	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	instance_fill(&instance, WARM_ROWS, line);
	before = private_bytes(&instance);
	instance_fill(&instance, count, line);
	after = private_bytes(&instance);
	instance_done(&instance);
	progress("memory: %lld KiB, %lld KiB with %zu more waiting",
	    (long long)before / 1024, (long long)after / 1024, count);
	return (double)(after - before) / (double)count;
}

static void
run_more(const struct instance *instance, struct client_connection *connection, int64_t count)
{
	static const char *const command[] = { "/bin/sleep", "1000", NULL };
	int64_t ids[PORTION], before;

	before = state_number(
	    instance->state, "SELECT count(*) FROM jobs WHERE status = 'running'");
	for (int64_t more = 0; more < count; more += PORTION) {
		talk_submit_held(connection, command, PORTION, ids);
		talk_release(connection, ids, PORTION);
		while (state_number(instance->state,
			   "SELECT count(*) FROM jobs WHERE status = 'running'") <
		    before + more + PORTION)
			talk_await_change(connection);
	}
}

/* Bytes per job that runs: of more of them, when there are some. */
static double
measure_running(void)
{
	struct client_connection connection;
	struct instance instance;
	int64_t before, after;

	instance_make(&instance);
	instance_start(
	    &instance, (const char *const[]){ "--max-children", "10000", NULL });
	talk_open(&connection, instance.state);
	talk_follow(&connection);
	run_more(&instance, &connection, WARM_RUNNING);
	before = private_bytes(&instance);
	run_more(&instance, &connection, RUNNING);
	after = private_bytes(&instance);
	progress("memory: %lld KiB, %lld KiB with %d more running", (long long)before / 1024,
	    (long long)after / 1024, RUNNING);
	talk_close(&connection);
	instance_command(
	    &instance, -1, (const char *const[]){ "shutdown", "--now", NULL });
	instance_wait(&instance);
	instance_done(&instance);
	return (double)(after - before) / RUNNING;
}

int
main(void)
{
	struct row waiting =
	    row_make("memory per waiting job, of 100,000", "%.0f B", AT_MOST, 0);
	struct row running =
	    row_make("memory per running job, of 2,000", "%.0f B", AT_MOST, 1024);

	for (size_t round = 0; round < rounds(); round++) {
		row_add(&waiting, NOT_MEASURED, NOT_MEASURED,
		    measure_waiting((size_t)setting("BATCH", 100000)));
		row_add(&running, NOT_MEASURED, NOT_MEASURED, measure_running());
	}
	row_print(&waiting);
	row_print(&running);
	return 0;
}
