/*
 * jobber_main: wiring. The command line gets the program's behaviours as functions that the
 * keeper's forked children call, so that no layer below knows what they are.
 */

#include <jobber/jobber.h>

#include "base/xalloc.h"
#include "cli/cli.h"
#include "keeper/spawn.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>

#define JOB_FD 3 /* JOBBERD_FD of every job */

/*
 * In the child. What the program had printed when it was forked, and not written out yet, is
 * not the job's; what the behaviour has printed is.
 */
static int
run_behaviour(const void *arg, int argc, char **argv)
{
	const struct jobber_behaviour *behaviour = arg;
	int status;

	__fpurge(stdin);
	__fpurge(stdout);
	if (behaviour->server != NULL)
		status = gen_server_run(behaviour->server, JOB_FD, argc, argv);
	else
		status = jobber_work_run(behaviour->work, JOB_FD, argc, argv);
	fflush(stdout);
	return status;
}

static size_t
count(const struct jobber_behaviour *behaviours)
{
	size_t found = 0;

	while (behaviours[found].name != NULL)
		found++;
	return found;
}

int
jobber_main(int argc, char **argv, const struct jobber_behaviour *behaviours)
{
	size_t number = count(behaviours);
	struct spawn_behaviour *runs = xcalloc(number + 1, sizeof(runs[0]));
	int status;

	json_object_seed(0); /* by chance, once for all that are forked */
	for (size_t i = 0; i < number; i++)
		runs[i] = (struct spawn_behaviour){ .name = behaviours[i].name,
			.run = run_behaviour, .arg = &behaviours[i] };
	status = cli_main(argc, argv, runs);
	free(runs);
	return status;
}
