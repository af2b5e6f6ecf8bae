/*
 * durable: casts to a durable server, each acknowledged when it is on disk, from eight
 * clients: one by one, and with 32 on their way each. The server counts them meanwhile; how
 * long until it has counted the last is the second figure.
 */

#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "bench/kit/talk.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define CLIENTS 8
#define IN_FLIGHT 32

static void
send_cast(struct client_connection *connection)
{
	struct error error;

	if (client_send(connection, "cast",
		json_pack("{s:s, s:[s, i]}", "to", "c", "message", "add", 1), &error) == -1)
		errx(1, "%s", error.text);
}

static void
await_answer(struct client_connection *connection)
{
	struct rpc_message message;
	struct error error;

	if (client_receive(connection, 60000, false, &message, &error) != 1)
		errx(1, "no answer");
	if (message.kind != RPC_RESULT)
		errx(1, "%s", message.message);
	rpc_message_done(&message);
}

static void
be_client(const char *state, size_t count, size_t in_flight, int ready, int go)
{
	struct client_connection connection;
	size_t sent = 0;
	char byte = 0;

	talk_open(&connection, state);
	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 0)
		_exit(1);
	for (size_t answered = 0; answered < count; answered++) {
		while (sent < count && sent - answered < in_flight) {
			send_cast(&connection);
			sent++;
		}
		await_answer(&connection);
	}
	_exit(0);
}

static void
start_clients(const char *state, size_t count, size_t in_flight, int ready[2], int go[2],
    pid_t *pids)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		pids[i] = fork();
		if (pids[i] == -1)
			err(1, "fork");
		if (pids[i] == 0) {
			close(go[1]);
			be_client(state, count, in_flight, ready[1], go[0]);
		}
	}
}

static void
check_count(const struct instance *instance, size_t count)
{
	struct client_connection connection;
	struct error error;
	json_int_t counted;
	json_t *result;

	talk_open(&connection, instance->state);
	do { /* a call is behind what was given before it, not behind what waits still */
		result = client_call(&connection, "call",
		    json_pack("{s:s, s:s}", "to", "c", "message", "get"), NULL, &error);
		if (result == NULL)
			errx(1, "%s", error.text);
		counted = json_integer_value(result);
		json_decref(result);
	} while (counted < (json_int_t)count);
	if (counted != (json_int_t)count)
		errx(1, "counted %" JSON_INTEGER_FORMAT " of %zu", counted, count);
	talk_close(&connection);
}

/* Casts a second: acknowledged, and counted. */
static void
run(size_t count, size_t in_flight, double *ret_acknowledged, double *ret_counted)
{
	static const char *const no_words[] = { NULL };
	const char *const start[] = { "start", "--durable", "c", "--", needed("COUNTER"), NULL };
	struct instance instance;
	pid_t pids[CLIENTS];
	int ready[2], go[2];
	int64_t begin;
	char byte;

	instance_make(&instance);
	instance_start(&instance, no_words);
	instance_command(&instance, -1, start);
	if (pipe2(ready, O_CLOEXEC) == -1 || pipe2(go, O_CLOEXEC) == -1)
		err(1, "pipe");
	start_clients(instance.state, count, in_flight, ready, go, pids);
	for (size_t i = 0; i < CLIENTS; i++) {
		if (read(ready[0], &byte, 1) != 1)
			err(1, "a client");
	}
	begin = now_ns();
	close(go[1]);
	for (size_t i = 0; i < CLIENTS; i++)
		process_wait(pids[i], "a client");
	*ret_acknowledged = (double)(CLIENTS * count) / seconds_since(begin);
	check_count(&instance, CLIENTS * count);
	*ret_counted = (double)(CLIENTS * count) / seconds_since(begin);
	close(go[0]);
	close(ready[0]);
	close(ready[1]);
	instance_done(&instance);
}

int
main(void)
{
	size_t count = (size_t)setting("CASTS", 2000);
	struct row single =
	    row_make("durable casts, 8 clients, one by one", "%.0f/s", ONLY_SHOWN, 0);
	struct row many =
	    row_make("durable casts, 8 clients, 32 on their way", "%.0f/s", AT_LEAST, 10000);
	struct row counted = row_make("the same, handled and committed", "%.0f/s", ONLY_SHOWN, 0);
	double acknowledged, done;

	for (size_t round = 0; round < rounds(); round++) {
		run(count / 4, 1, &acknowledged, &done);
		row_add(&single, NOT_MEASURED, NOT_MEASURED, acknowledged);
		run(count, IN_FLIGHT, &acknowledged, &done);
		row_add(&many, NOT_MEASURED, NOT_MEASURED, acknowledged);
		row_add(&counted, NOT_MEASURED, NOT_MEASURED, done);
		progress("durable: %.0f acknowledged, %.0f handled a second", acknowledged, done);
	}
	row_print(&single);
	row_print(&many);
	row_print(&counted);
	return 0;
}
