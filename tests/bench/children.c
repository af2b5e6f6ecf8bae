/*
 * children: 10,000 idle children below one supervisor without a limit. How fast they are
 * started, against posix_spawn of the same program in the same round; what it takes to end
 * one of them, from asking to its recorded end, against one of ten; to end all, by
 * `shutdown`, against kill(2) and waitpid(2) of as many; the memory of both processes for
 * each; and how long tree, count and list take.
 *
 * CHILDREN=n: fewer. Each side needs so many processes, and descriptors of ours.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEW 10
#define TERMINATIONS 15
#define WARM_JOBS 64

extern char **environ;

enum { START, TERMINATE, STOP, MEMORY, TREE, COUNT, LIST, ROW_COUNT };

/* ---- bare ---- */

static double
spawn_all(const char *program, pid_t *pids, size_t count)
{
	char *arguments[] = { (char *)program, NULL };
	int64_t begin = now_ns();

	for (size_t i = 0; i < count; i++) {
		int code = posix_spawn(&pids[i], program, NULL, NULL, arguments, environ);

		if (code != 0) {
			while (i-- > 0)
				kill(pids[i], SIGKILL);
			errx(1, "%s: %s", program, strerror(code));
		}
	}
	return (double)count / seconds_since(begin);
}

static double
kill_all(const pid_t *pids, size_t count)
{
	int64_t begin = now_ns();

	for (size_t i = 0; i < count; i++)
		kill(pids[i], SIGTERM);
	for (size_t i = 0; i < count; i++) {
		if (waitpid(pids[i], NULL, 0) == -1)
			err(1, "waitpid");
	}
	return seconds_since(begin);
}

/* ---- ours ---- */

static int64_t
private_bytes(const struct instance *instance)
{
	return process_private_bytes(instance->keeper) +
	    process_private_bytes(instance_supervisor(instance));
}

static void
warm_up(struct client_connection *connection)
{
	static const char *const command[] = { "/bin/true", NULL };

	for (int i = 0; i < WARM_JOBS; i++)
		talk_wait(connection, talk_submit(connection, command));
}

/* They are there before it may start any: what is measured is starting. */
static double
start_all(const struct instance *instance, struct client_connection *connection,
    const char *line, size_t count)
{
	int64_t begin;

	instance_command(instance, -1,
	    (const char *const[]){ "supervisor", "pause", "servers", NULL });
	instance_fill(instance, count, line);
	begin = now_ns();
	instance_command(instance, -1,
	    (const char *const[]){ "supervisor", "resume", "servers", NULL });
	while ((size_t)state_number(instance->state,
		   "SELECT count(*) FROM attempts WHERE ended_at IS NULL "
		   "AND started_at IS NOT NULL") < count)
		talk_await_change(connection);
	return (double)count / seconds_since(begin);
}

/* The median, in milliseconds, of ending some of them, the last ones first. */
static double
terminate_some(struct client_connection *connection, int64_t last, size_t count)
{
	struct samples ms = { 0 };
	double median;

	for (size_t i = 0; i < count; i++) {
		int64_t job = last - (int64_t)i, begin = now_ns();
		struct error error;
		json_t *result = client_call(connection, "cancel",
		    json_pack("{s:[I]}", "ids", (json_int_t)job), NULL, &error);

		if (result == NULL)
			errx(1, "cancel: %s", error.text);
		json_decref(result);
		talk_wait(connection, job);
		samples_add(&ms, seconds_since(begin) * 1000);
	}
	median = samples_quantile(&ms, 0.5);
	samples_done(&ms);
	return median;
}

static double
time_of(const struct instance *instance, const char *const *words)
{
	int64_t begin = now_ns();

	instance_command(instance, -1, words);
	return seconds_since(begin) * 1000;
}

static double
stop_all(struct instance *instance)
{
	int64_t begin = now_ns();

	instance_command(instance, -1, (const char *const[]){ "shutdown", NULL });
	instance_wait(instance);
	return seconds_since(begin);
}

/* One among ten. */
static double
terminate_few(const char *line)
{
	struct client_connection connection;
	struct instance instance;
	double ms;

	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	talk_open(&connection, instance.state);
	warm_up(&connection);
	talk_follow(&connection);
	start_all(&instance, &connection, line, FEW + TERMINATIONS);
	ms = terminate_some(&connection, WARM_JOBS + FEW + TERMINATIONS, TERMINATIONS);
	talk_close(&connection);
	stop_all(&instance);
	instance_done(&instance);
	return ms;
}

static void
run_round(const char *program, const char *line, size_t count, struct row *rows)
{
	pid_t *pids = xcalloc(count, sizeof(pids[0]));
	double spawned = spawn_all(program, pids, count), killed = kill_all(pids, count);
	double few = terminate_few(line), started, one;
	struct client_connection connection;
	struct instance instance;
	int64_t before;

	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	talk_open(&connection, instance.state);
	warm_up(&connection);
	talk_follow(&connection);
	before = private_bytes(&instance);
	started = start_all(&instance, &connection, line, count);
	row_add(&rows[MEMORY], NOT_MEASURED, NOT_MEASURED,
	    (double)(private_bytes(&instance) - before) / (double)count);
	row_add(&rows[TREE], NOT_MEASURED, NOT_MEASURED,
	    time_of(&instance, (const char *const[]){ "tree", NULL }));
	row_add(&rows[COUNT], NOT_MEASURED, NOT_MEASURED,
	    time_of(&instance, (const char *const[]){ "count", NULL }));
	row_add(&rows[LIST], NOT_MEASURED, NOT_MEASURED,
	    time_of(&instance, (const char *const[]){ "list", "--live", NULL }));
	one = terminate_some(&connection, WARM_JOBS + (int64_t)count, TERMINATIONS);
	talk_close(&connection);
	progress("children: %.0f/s and %.0f/s started, one ended in %.2f ms and %.2f ms",
	    spawned, started, few, one);
	row_add(&rows[START], spawned, NOT_MEASURED, started);
	row_add(&rows[TERMINATE], few, NOT_MEASURED, one);
	row_add(&rows[STOP], killed, NOT_MEASURED, stop_all(&instance));
	instance_done(&instance);
	free(pids);
}

int
main(void)
{
	struct row rows[ROW_COUNT] = {
		[START] = row_make("10,000 idle children: started a second", "%.0f/s", AT_LEAST,
		    0.9),
		[TERMINATE] = row_make(
		    "the same: one is ended, against one of 10", "%.2f ms", AT_MOST, 1.2),
		[STOP] = row_make("the same: all are ended", "%.2f s", AT_MOST, 1.2),
		[MEMORY] = row_make("the same: memory for each", "%.0f B", AT_MOST, 2048),
		[TREE] = row_make("the same: tree", "%.0f ms", AT_MOST, 200),
		[COUNT] = row_make("the same: count", "%.0f ms", AT_MOST, 200),
		[LIST] = row_make("the same: list --live", "%.0f ms", AT_MOST, 200),
	};
	size_t count = (size_t)setting("CHILDREN", 10000);
	char *program = xasprintf("%s/pause", needed("HELPERS"));
	char *line = xasprintf("{\"command\":[\"%s\"],\"supervisor\":\"servers\","
			       "\"max-retries\":0}", program);

	for (size_t round = 0; round < rounds(); round++)
		run_round(program, line, count, rows);
	for (size_t i = 0; i < ROW_COUNT; i++)
		row_print(&rows[i]);
	free(program);
	free(line);
	return 0;
}
