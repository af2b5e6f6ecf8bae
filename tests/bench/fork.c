/*
 * fork: servers that are forked from the keeper and execute nothing, of a program that is its
 * own supervisor (helpers/idle.c). How many are started, answer that they are ready, and are
 * stopped a second, many at once over one connection, against as many bare processes that are
 * forked and exit; the same as programs, for comparison; and the memory that one has for
 * itself when it waits.
 */

#include "base/xalloc.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <sys/wait.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 64
#define IDLE 8 /* servers whose memory is looked at */
#define PATIENCE_MS 60000

/* ---- bare ---- */

static double
fork_and_exit(size_t count)
{
	int64_t begin = now_ns();
	size_t forked = 0, ended = 0;

	while (ended < count) {
		for (; forked < count && forked - ended < AT_ONCE; forked++) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			if (pid == -1)
				err(1, "fork");
		}
		if (waitpid(-1, NULL, 0) == -1)
			err(1, "waitpid");
		ended++;
	}
	return (double)count / seconds_since(begin);
}

/* ---- ours ---- */

/* One of those that are at work at once: its name, and what it was asked last. */
struct slot {
	char name[16];
	json_int_t request;
	bool is_stopping;
};

static json_t *
start_params(const char *name, const char *const *command)
{
	json_t *words = json_array();

	for (; *command != NULL; command++)
		json_array_append_new(words, json_string(*command));
	return json_pack("{s:{s:s, s:s, s:o}, s:{s:s}, s:i, s:s}", "job", "kind", "server",
	    "name", name, "command", words, "environment", "PATH", "/usr/bin:/bin", "umask",
	    022, "cwd", "/");
}

static void
ask(struct client_connection *connection, struct slot *slot, const char *const *command)
{
	struct error error;
	json_t *params = slot->is_stopping ? json_pack("{s:s}", "to", slot->name)
					   : start_params(slot->name, command);

	slot->request =
	    client_send(connection, slot->is_stopping ? "stop" : "start", params, &error);
	if (slot->request == -1)
		errx(1, "%s", error.text);
}

static struct slot *
receive(struct client_connection *connection, struct slot *slots)
{
	struct rpc_message message;
	struct error error;
	struct slot *slot = slots;

	if (client_receive(connection, PATIENCE_MS, false, &message, &error) != 1)
		errx(1, "no answer");
	if (message.kind != RPC_RESULT)
		errx(1, "refused: %s", message.message);
	while (slot->request != json_integer_value(message.id))
		slot++;
	rpc_message_done(&message);
	return slot;
}

static double
start_and_stop(struct client_connection *connection, size_t count, size_t at_once,
    const char *const *command)
{
	struct slot slots[AT_ONCE] = { 0 };
	int64_t begin = now_ns();
	size_t started = 0, stopped = 0;

	for (; started < at_once && started < count; started++) {
		snprintf(slots[started].name, sizeof(slots[0].name), "s%zu", started);
		ask(connection, &slots[started], command);
	}
	while (stopped < count) {
		struct slot *slot = receive(connection, slots);

		stopped += slot->is_stopping;
		slot->is_stopping = !slot->is_stopping;
		if (!slot->is_stopping && started++ >= count)
			continue;
		ask(connection, slot, command);
	}
	return (double)count / seconds_since(begin);
}

static pid_t
start_one(struct client_connection *connection, const char *name)
{
	const char *const command[] = { "idle", NULL };
	struct error error;
	json_t *result =
	    client_call(connection, "start", start_params(name, command), NULL, &error);
	pid_t pid;

	if (result == NULL)
		errx(1, "start: %s", error.text);
	json_decref(result);
	result = client_call(connection, "call",
	    json_pack("{s:s, s:s, s:o}", "to", name, "message", "pid", "ref",
		client_new_ref()),
	    NULL, &error);
	if (result == NULL)
		errx(1, "call: %s", error.text);
	pid = (pid_t)json_integer_value(result);
	json_decref(result);
	return pid;
}

/* KiB of the one in the middle. */
static double
private_kib(struct client_connection *connection)
{
	struct samples kib = { 0 };
	pid_t pids[IDLE];
	double median;

	for (size_t i = 0; i < IDLE; i++) {
		char name[16];

		snprintf(name, sizeof(name), "idle%zu", i);
		pids[i] = start_one(connection, name);
	}
	for (size_t i = 0; i < IDLE; i++)
		samples_add(&kib, (double)process_private_bytes(pids[i]) / 1024);
	progress("fork: memory of an idle server %.0f KiB, at most %.0f KiB",
	    samples_quantile(&kib, 0.5), samples_quantile(&kib, 1));
	median = samples_quantile(&kib, 0.5);
	samples_done(&kib);
	return median;
}

int
main(void)
{
	struct row rate = row_make("servers forked, ready and stopped a second, 64 at once",
		       "%.0f", AT_LEAST, 0.9),
		   single = row_make("the same, one at a time", "%.0f", ONLY_SHOWN, 0),
		   programs = row_make("the same as programs, 64 at once", "%.0f", ONLY_SHOWN, 0),
		   memory = row_make("memory of an idle forked server", "%.0f KiB", AT_MOST,
		       200);
	size_t count = (size_t)setting("STARTS", 2000);
	char *program = xasprintf("%s/idle", needed("HELPERS"));
	const char *const forked[] = { "idle", NULL }, *const executed[] = { program, NULL };

	for (size_t round = 0; round < rounds(); round++) {
		struct client_connection connection;
		struct instance instance;
		double bare, ours, alone, others;

		instance_make(&instance);
		instance_start_program(&instance, program,
		    (const char *const[]){ "--max-children", "128", NULL });
		talk_open(&connection, instance.state);
		start_and_stop(&connection, AT_ONCE, AT_ONCE, forked);
		bare = fork_and_exit(count);
		ours = start_and_stop(&connection, count, AT_ONCE, forked);
		alone = start_and_stop(&connection, count / 10, 1, forked);
		others = start_and_stop(&connection, count / 4, AT_ONCE, executed);
		progress("fork: bare %.0f, forked %.0f, one by one %.0f, programs %.0f a second",
		    bare, ours, alone, others);
		row_add(&rate, bare, NOT_MEASURED, ours);
		row_add(&single, NOT_MEASURED, NOT_MEASURED, alone);
		row_add(&programs, bare, NOT_MEASURED, others);
		row_add(&memory, NOT_MEASURED, NOT_MEASURED, private_kib(&connection));
		talk_close(&connection);
		instance_done(&instance);
	}
	row_print(&rate);
	row_print(&single);
	row_print(&programs);
	row_print(&memory);
	free(program);
	return 0;
}
