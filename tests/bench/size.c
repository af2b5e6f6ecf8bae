/*
 * size: what a finished job leaves in the database, with its attempt and its events, when
 * it had a command of 36 bytes, the schema's default cwd, the default environment and no
 * output. Pages on the free list are not counted: the next jobs have them.
 */

#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"

#include <stdlib.h>

#define COMMAND "[\"/bin/true\",\"thirty-six bytes all\"]"
#define WARM_JOBS 100

_Static_assert(sizeof(COMMAND) - 1 == 36, "as the target says");

static void
run_jobs(const struct instance *instance, size_t count)
{
	struct instance running = *instance;

	instance_fill(&running, count, "{\"cwd\":\"/\",\"command\":" COMMAND "}");
	instance_start(&running,
	    (const char *const[]){ "--drain", "--max-children", "8", NULL });
	instance_wait(&running);
}

int
main(void)
{
	struct row row = row_make("database, per finished job", "%.0f B", AT_MOST, 250);
	size_t count = (size_t)setting("FINISHED", 10000);
	struct instance instance;
	int64_t before, after;

	instance_make(&instance);
	run_jobs(&instance, WARM_JOBS);
	before = database_bytes(instance.state);
	progress("size: running %zu jobs", count);
	run_jobs(&instance, count);
	after = database_bytes(instance.state);
	row_add(
	    &row, NOT_MEASURED, NOT_MEASURED, (double)(after - before) / (double)count);
	row_print(&row);
	instance_done(&instance);
	return 0;
}
