/*
 * children: 10,000 idle children below one supervisor without a limit. How fast they are
 * started, against clone(2) and execve(2) of the same program in the same round, with a
 * socket pair and an output file each, and without; what it takes to end one of them, from
 * asking to its recorded end, against one of ten; to end all, by `shutdown`, against kill(2)
 * and waitpid(2) of as many; the memory of both processes for each; and how long tree, count
 * and list take.
 *
 * CHILDREN=n: fewer. Each side needs so many processes, and descriptors of ours.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <linux/close_range.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FEW 10
#define FIRST_KEPT 64 /* descriptor of ours, among 10,000 */
#define TERMINATIONS 15
#define WARM_JOBS 64
#define LOOK_US 2000

extern char **environ;

enum { START, TERMINATE, STOP, MEMORY, TREE, COUNT, LIST, ROW_COUNT };

/* ---- bare ---- */

/* Processes that are made by clone and execve, and nothing else is done with them. */
struct bare {
	char *program;
	bool has_extras; /* a socket pair and an output file for each */
	char *path;	 /* of the files' directory */
	int directory, null;
	size_t count;
	struct bare_child {
		pid_t pid;
		int socket;
	} *children;
	/* the one that is being made */
	int output, pair[2];
};

static char child_stack[64 << 10] __attribute__((aligned(16)));

/* It has a table of files of its own that does not grow with the number of children. */
static int
child_main(void *arg)
{
	const struct bare *bare = arg;
	char *const arguments[] = { bare->program, NULL };

	if (close_range(FIRST_KEPT, ~0U, CLOSE_RANGE_UNSHARE) == 0 &&
	    dup2(bare->null, 0) == 0 &&
	    (!bare->has_extras ||
		(dup2(bare->output, 1) == 1 && dup2(bare->output, 2) == 2 &&
		    dup2(bare->pair[1], 3) == 3)))
		execve(bare->program, arguments, environ);
	_exit(127);
}

static void
make_extras(struct bare *bare, size_t number)
{
	char name[32];
	int kept;

	snprintf(name, sizeof(name), "%zu", number);
	bare->output = openat(bare->directory, name,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (bare->output == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bare->pair) == -1 ||
	    (kept = fcntl(bare->pair[0], F_DUPFD_CLOEXEC, FIRST_KEPT)) == -1)
		err(1, "an output file and a socket pair");
	close(bare->pair[0]);
	bare->children[number].socket = kept;
}

/* How many a second. */
static double
bare_start(struct bare *bare, char *program, size_t count, bool has_extras)
{
	int64_t begin;

	*bare = (struct bare){ .program = program, .has_extras = has_extras,
		.path = directory_make(), .count = count,
		.children = xcalloc(count, sizeof(bare->children[0])) };
	bare->directory = open(bare->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bare->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	begin = now_ns();
	for (size_t i = 0; i < count; i++) {
		if (has_extras)
			make_extras(bare, i);
		bare->children[i].pid = clone(child_main, child_stack + sizeof(child_stack),
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, bare);
		if (bare->children[i].pid == -1)
			err(1, "%s", program);
		if (has_extras) {
			close(bare->output);
			close(bare->pair[1]);
		}
	}
	return (double)count / seconds_since(begin);
}

/* How many seconds. */
static double
bare_end(struct bare *bare)
{
	int64_t begin = now_ns();

	for (size_t i = 0; i < bare->count; i++)
		kill(bare->children[i].pid, SIGTERM);
	for (size_t i = 0; i < bare->count; i++) {
		int status;

		if (waitpid(bare->children[i].pid, &status, 0) == -1 ||
		    !WIFSIGNALED(status))
			errx(1, "%s does not run", bare->program);
		if (bare->has_extras)
			close(bare->children[i].socket);
	}
	return seconds_since(begin);
}

static void
bare_forget(struct bare *bare)
{
	close(bare->directory);
	close(bare->null);
	directory_remove(bare->path);
	free(bare->path);
	free(bare->children);
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

/*
 * Until so many are recorded as started. They start in about their order: all of them are
 * counted once the last one is. Changes are told of twenty times a second, which is too rarely
 * for this.
 */
static void
await_started(const struct instance *instance, size_t count)
{
	sqlite3 *database = database_connect(instance->state, false);

	while (database_number(database,
		   "SELECT count(*) FROM attempts WHERE started_at IS NOT NULL "
		   "AND job_id = (SELECT max(id) FROM jobs)") == 0)
		usleep(LOOK_US);
	while ((size_t)database_number(database,
		   "SELECT count(*) FROM attempts WHERE ended_at IS NULL "
		   "AND started_at IS NOT NULL") < count)
		usleep(LOOK_US);
	database_close(database);
}

/* They are there before it may start any: what is measured is starting. */
static double
start_all(const struct instance *instance, const char *line, size_t count)
{
	int64_t begin;

	instance_command(instance, -1,
	    (const char *const[]){ "supervisor", "pause", "servers", NULL });
	instance_fill(instance, count, line);
	begin = now_ns();
	instance_command(instance, -1,
	    (const char *const[]){ "supervisor", "resume", "servers", NULL });
	await_started(instance, count);
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
	start_all(&instance, line, FEW + TERMINATIONS);
	ms = terminate_some(&connection, WARM_JOBS + FEW + TERMINATIONS, TERMINATIONS);
	talk_close(&connection);
	stop_all(&instance);
	instance_done(&instance);
	return ms;
}

static void
run_round(char *program, const char *line, size_t count, struct row *rows)
{
	double few = terminate_few(line), spawned, killed, plain_spawned, plain_killed, started,
	       one;
	struct client_connection connection;
	struct instance instance;
	struct bare bare, plain;
	int64_t before;

	plain_spawned = bare_start(&plain, program, count, false);
	plain_killed = bare_end(&plain);
	spawned = bare_start(&bare, program, count, true);
	killed = bare_end(&bare);
	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	talk_open(&connection, instance.state);
	warm_up(&connection);
	before = private_bytes(&instance);
	started = start_all(&instance, line, count);
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
	row_add(&rows[START], spawned, plain_spawned, started);
	row_add(&rows[TERMINATE], few, NOT_MEASURED, one);
	row_add(&rows[STOP], killed, plain_killed, stop_all(&instance));
	instance_done(&instance);
	bare_forget(&plain);
	bare_forget(&bare);
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
