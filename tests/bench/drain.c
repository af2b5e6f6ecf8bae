/*
 * drain: a queue of /bin/true, worked off with 1, 2 and 8 places, against vfork+execve of
 * the same program at the same concurrency.
 *
 * The bare loop runs half before and half after the program's turn, so that a machine
 * that becomes slower or faster meanwhile is so for both. Ours counts from the first
 * claim to the last end, as the attempts tell it: neither side's start-up is in it.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_PLACES 8
#define HEAP_BYTES (INT64_C(200) << 20)

extern char **environ;

/* What some jobs took: seconds by the clock, and of processors, the jobs' own too. */
struct cost {
	double seconds, cpu;
};

/* ---- the bare loop ---- */

struct bare {
	bool has_extras; /* a socket pair and an output file for each */
	int output_directory;
	size_t begun, running;
	struct {
		pid_t pid; /* 0: free */
		int socket;
		char output[32];
	} places[MOST_PLACES];
};

/* A function of its own that is not inlined: vfork returns twice into it. */
__attribute__((noinline)) static pid_t
vfork_true(int output, int socket)
{
	static char path[] = "/bin/true";
	static char *const arguments[] = { path, NULL };
	pid_t pid = vfork();

	if (pid != 0)
		return pid;
	if (output != -1 &&
	    (dup2(output, 1) == -1 || dup2(output, 2) == -1 || dup2(socket, 3) == -1))
		_exit(127);
	execve(path, arguments, environ);
	_exit(127);
}

static void
begin_extras(struct bare *bare, size_t place, int *ret_output, int pair[2])
{
	char *name = bare->places[place].output;

	snprintf(name, sizeof(bare->places[place].output), "%zu", bare->begun);
	*ret_output = openat(bare->output_directory, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (*ret_output == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		err(1, "an output file and a socket pair");
}

static void
begin_one(struct bare *bare, size_t place)
{
	int output = -1, pair[2] = { -1, -1 };

	if (bare->has_extras)
		begin_extras(bare, place, &output, pair);
	bare->places[place].pid = vfork_true(output, pair[1]);
	if (bare->places[place].pid == -1)
		err(1, "vfork");
	if (bare->has_extras) {
		close(output);
		close(pair[1]);
	}
	bare->places[place].socket = pair[0];
	bare->begun++;
	bare->running++;
}

/*
 * The file, empty, goes again as it does with jobberd: to leave thousands of them costs
 * more than all the rest on some file systems, which would flatter us.
 */
static void
end_one(struct bare *bare, size_t place)
{
	if (bare->has_extras) {
		close(bare->places[place].socket);
		unlinkat(bare->output_directory, bare->places[place].output, 0);
	}
	bare->places[place].pid = 0;
	bare->running--;
}

static void
reap_one(struct bare *bare, size_t places)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	if (pid == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "/bin/true did not exit with 0");
	for (size_t place = 0; place < places; place++) {
		if (bare->places[place].pid == pid)
			end_one(bare, place);
	}
}

static double
cpu_so_far(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return cpu_seconds(&own) + cpu_seconds(&children);
}

/* Add the seconds for so many. */
static void
run_bare(size_t count, size_t places, bool has_extras, struct cost *cost)
{
	char *directory = directory_make();
	struct bare bare = { .has_extras = has_extras };
	double cpu = cpu_so_far();
	int64_t begin;

	bare.output_directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	begin = now_ns();
	while (bare.begun < count || bare.running > 0) {
		for (size_t place = 0; place < places && bare.begun < count; place++) {
			if (bare.places[place].pid == 0)
				begin_one(&bare, place);
		}
		reap_one(&bare, places);
	}
	cost->seconds += seconds_since(begin);
	cost->cpu += cpu_so_far() - cpu;
	close(bare.output_directory);
	directory_remove(directory);
	free(directory);
}

/* ---- the program ---- */

static void
check_record(const char *state, size_t count)
{
	int64_t good = state_number(state,
	    "SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id WHERE "
	    "j.status = 'done' AND a.reason = 'normal' AND a.exit_code = 0 AND "
	    "a.claimed_at IS NOT NULL AND a.started_at IS NOT NULL AND "
	    "a.ended_at IS NOT NULL AND a.run_ms IS NOT NULL AND a.pid IS NOT NULL");

	if (good != (int64_t)count)
		errx(1, "%" PRId64 " of %zu attempts are recorded whole", good, count);
}

/* A heap that is not there would make a fine figure. */
static void
check_heap(const struct instance *instance)
{
	if (process_private_bytes(instance_supervisor(instance)) < HEAP_BYTES)
		errx(1, "the supervisor process has no large heap");
}

static void
run_program(size_t count, size_t places, bool has_heap, struct cost *cost)
{
	char *with_heap = xasprintf("%s/jobberd-heap", needed("HELPERS"));
	struct instance instance;
	char limit[16];

	instance_make(&instance);
	instance_fill(&instance, count, "{\"command\":[\"/bin/true\"]}");
	snprintf(limit, sizeof(limit), "%zu", places);
	instance_start_program(&instance, has_heap ? with_heap : needed("JOBBERD"),
	    (const char *const[]){ "--drain", "--max-children", limit, NULL });
	if (has_heap)
		check_heap(&instance);
	cost->cpu = instance_wait(&instance);
	check_record(instance.state, count);
	cost->seconds = (double)state_number(instance.state,
	    "SELECT max(ended_at) - min(claimed_at) FROM attempts") / 1000;
	instance_done(&instance);
	free(with_heap);
}

/* ---- rounds ---- */

struct drain {
	size_t places;
	char *what, *heap_what, *cpu_what;
	struct row drain, heap, cpu;
};

static void
run_round(struct drain *drain, size_t jobs, bool heap_first)
{
	struct cost bare = { 0 }, plain = { 0 }, ours, heap;
	size_t places = drain->places;
	double count = (double)jobs;

	run_bare(jobs / 2, places, true, &bare);
	run_bare(jobs / 2, places, false, &plain);
	if (heap_first)
		run_program(jobs, places, true, &heap);
	run_program(jobs, places, false, &ours);
	if (!heap_first)
		run_program(jobs, places, true, &heap);
	run_bare(jobs / 2, places, false, &plain);
	run_bare(jobs / 2, places, true, &bare);
	progress("drain, %zu at a time: bare %.0f, without socket and file %.0f, "
		 "jobberd %.0f, with 200 MB %.0f per s",
	    places, count / bare.seconds, count / plain.seconds, count / ours.seconds,
	    count / heap.seconds);
	row_add(&drain->drain, count / bare.seconds, count / plain.seconds,
	    count / ours.seconds);
	row_add(&drain->heap, count / ours.seconds, NOT_MEASURED, count / heap.seconds);
	row_add(&drain->cpu, 1e6 * bare.cpu / count, 1e6 * plain.cpu / count,
	    1e6 * ours.cpu / count);
}

static void
name_rows(struct drain *drain, size_t jobs, double target)
{
	size_t places = drain->places;

	drain->what = xasprintf("drain of %zu /bin/true, %zu at a time", jobs, places);
	drain->heap_what = xasprintf(
	    "the same, heap of 200 MB against none, %zu at a time", places);
	drain->cpu_what =
	    xasprintf("processor time a job, its own too, %zu at a time", places);
	drain->drain = row_make(drain->what, "%.0f/s", AT_LEAST, target);
	drain->heap = row_make(drain->heap_what, "%.0f/s", AT_LEAST, 0.95);
	drain->cpu = row_make(drain->cpu_what, "%.0f us", ONLY_SHOWN, 0);
}

int
main(void)
{
	struct drain drains[] = { { .places = 1 }, { .places = 2 }, { .places = 8 } };
	const double targets[] = { 0.92, 0.95, 0.97 };
	size_t jobs = (size_t)setting("JOBS", 2000) / 2 * 2, count = 3;

	for (size_t i = 0; i < count; i++)
		name_rows(&drains[i], jobs, targets[i]);
	for (size_t round = 0; round < rounds(); round++) {
		for (size_t i = 0; i < count; i++)
			run_round(&drains[i], jobs, round % 2 == 1);
	}
	for (size_t i = 0; i < count; i++)
		row_print(&drains[i].drain);
	for (size_t i = 0; i < count; i++)
		row_print(&drains[i].heap);
	for (size_t i = 0; i < count; i++) {
		row_print(&drains[i].cpu);
		free(drains[i].cpu_what);
		free(drains[i].what);
		free(drains[i].heap_what);
	}
	return 0;
}
