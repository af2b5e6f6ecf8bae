/*
 * start: from asking for a job to its first instruction, on an idle machine: over a
 * connection that is open, and with the command line, against posix_spawn of the same
 * program; the p50 of each. The job writes the time at which its main began into a fifo.
 */

#include "base/xalloc.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/talk.h"

#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_MS 20 /* before each: what is measured is a start out of idleness */

extern char **environ;

struct start {
	struct instance instance;
	struct client_connection connection;
	char *program, *fifo;
	int fifo_fd;
};

/* Microseconds from `begin` to the first instruction that the fifo tells of. */
static double
first_instruction(const struct start *start, int64_t begin)
{
	int64_t first;

	if (read(start->fifo_fd, &first, sizeof(first)) != sizeof(first))
		err(1, "%s", start->fifo);
	return (double)(first - begin) / 1000;
}

static double
start_directly(struct start *start)
{
	char *arguments[] = { start->program, start->fifo, NULL };
	int64_t begin = now_ns();
	double us;
	pid_t pid;
	int code = posix_spawn(&pid, start->program, NULL, NULL, arguments, environ);

	if (code != 0)
		errx(1, "%s: %s", start->program, strerror(code));
	us = first_instruction(start, begin);
	process_wait(pid, start->program);
	return us;
}

static double
start_over_connection(struct start *start)
{
	const char *const command[] = { start->program, start->fifo, NULL };
	int64_t begin = now_ns(), id = talk_submit(&start->connection, command);
	double us = first_instruction(start, begin);

	talk_wait(&start->connection, id);
	return us;
}

static int64_t
read_id(int fd)
{
	char text[32] = "";

	if (read(fd, text, sizeof(text) - 1) <= 0)
		errx(1, "submit printed no id");
	close(fd);
	return strtoll(text, NULL, 10);
}

static double
start_by_command_line(struct start *start)
{
	const char *const words[] = { "submit", "--", start->program, start->fifo, NULL };
	int pair[2];
	int64_t begin;
	double us;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) == -1)
		err(1, "pipe");
	begin = now_ns();
	pid = instance_begin(&start->instance, -1, pair[1], words);
	close(pair[1]);
	us = first_instruction(start, begin);
	process_wait(pid, "submit");
	talk_wait(&start->connection, read_id(pair[0]));
	return us;
}

/* The p50 of each way, one after the other in turns. */
static void
run_round(struct start *start, size_t count, struct row *connection, struct row *cli)
{
	static double (*const ways[])(struct start *) = { start_directly,
		start_over_connection, start_by_command_line };
	struct samples us[3] = { 0 };
	double p50[3];

	for (size_t i = 0; i < 3 * count; i++) {
		poll(NULL, 0, IDLE_MS);
		samples_add(&us[i % 3], ways[i % 3](start));
	}
	for (size_t way = 0; way < 3; way++) {
		p50[way] = samples_quantile(&us[way], 0.5);
		progress("start, %s: p50 %.0f us, p90 %.0f us",
		    way == 0	   ? "direct"
			: way == 1 ? "over a connection"
				   : "command line",
		    p50[way], samples_quantile(&us[way], 0.9));
		samples_done(&us[way]);
	}
	row_add(connection, p50[0], NOT_MEASURED, p50[1]);
	row_add(cli, p50[0], NOT_MEASURED, p50[2]);
}

static void
begin(struct start *start)
{
	instance_make(&start->instance);
	instance_start(
	    &start->instance, (const char *const[]){ "--max-children", "2", NULL });
	talk_open(&start->connection, start->instance.state);
	start->program = xasprintf("%s/first", needed("HELPERS"));
	start->fifo = xasprintf("%s/fifo", start->instance.state);
	if (mkfifo(start->fifo, 0600) == -1 ||
	    (start->fifo_fd = open(start->fifo, O_RDWR | O_CLOEXEC)) == -1)
		err(1, "%s", start->fifo);
}

int
main(void)
{
	struct row connection = row_make(
	    "submit to first instruction, open connection", "%.0f us", AT_MOST, 1.25);
	struct row cli = row_make(
	    "submit to first instruction, command line", "%.0f us", AT_MOST, 2.5);
	size_t count = (size_t)setting("STARTS", 40);
	struct start start;

	begin(&start);
	for (size_t round = 0; round < rounds(); round++)
		run_round(&start, count, &connection, &cli);
	row_print(&connection);
	row_print(&cli);
	close(start.fifo_fd);
	talk_close(&start.connection);
	instance_done(&start.instance);
	free(start.program);
	free(start.fifo);
	return 0;
}
