/*
 * call: a request from a client over an open connection through the supervisor process to a
 * server of libjobber and the reply back, against the same lines through a bare relay to a
 * bare echo: three processes on stream sockets on both sides. One at a time, and 32 in flight,
 * whose bare side is still the relay's one at a time: what comes together is to cost less.
 * And the memory that such a server keeps to itself.
 */

#include "base/xalloc.h"
#include "bench/kit/instance.h"
#include "bench/kit/lines.h"
#include "bench/kit/measure.h"
#include "bench/kit/process.h"
#include "bench/kit/talk.h"

#include <err.h>
#include <stdlib.h>

#define IN_FLIGHT 32
#define TURNS 4 /* bare and ours take turns within a round */
#define MORE 4	/* times as many go in flight: that takes as long as they do one by one */

struct call {
	struct instance instance;
	struct client_connection connection;
	char *lines[IN_FLIGHT];
};

/* As the command line sends it, but for the name that lets it be asked again. */
static char *
call_line(int id)
{
	return xasprintf("{\"id\":%d,\"method\":\"call\",\"params\":{\"to\":\"echo\","
			 "\"message\":[\"say\",\"hello\"],\"timeout_ms\":5000},"
			 "\"jsonrpc\":\"2.0\"}\n", id);
}

static void
begin(struct call *call)
{
	const char *program = xasprintf("%s/echo", needed("HELPERS"));
	const char *const start[] = { "start", "echo", "--", program, NULL };

	instance_make(&call->instance);
	instance_start(&call->instance, (const char *const[]){ NULL });
	instance_command(&call->instance, -1, start);
	talk_open(&call->connection, call->instance.state);
	for (int i = 0; i < IN_FLIGHT; i++)
		call->lines[i] = call_line(1000 + i);
	free((char *)program);
}

static void
end(struct call *call)
{
	for (int i = 0; i < IN_FLIGHT; i++)
		free(call->lines[i]);
	talk_close(&call->connection);
	instance_done(&call->instance);
}

static double
server_bytes(struct call *call)
{
	struct error error;
	json_t *pid = client_call(&call->connection, "call",
	    json_pack("{s:s, s:s}", "to", "echo", "message", "pid"), NULL, &error);
	int64_t bytes;

	if (pid == NULL)
		errx(1, "%s", error.text);
	bytes = process_private_bytes((pid_t)json_integer_value(pid));
	json_decref(pid);
	return (double)bytes / 1024;
}

static void
run_round(struct call *call, size_t count, struct row *one, struct row *many)
{
	double bare = 0, ours = 0, together = 0, calls = (double)count;
	struct relay relay;

	relay_start(&relay, 0);
	for (int turn = 0; turn < TURNS; turn++) {
		bare += lines_exchange(relay.fd, call->lines, 1, count / TURNS, 1);
		ours += lines_exchange(call->connection.fd, call->lines, 1, count / TURNS, 1);
		together += lines_exchange(call->connection.fd, call->lines, IN_FLIGHT,
		    MORE * count / TURNS, IN_FLIGHT);
	}
	relay_end(&relay);
	progress("call: relay %.1f us, ours %.1f us, %d in flight %.0f/s", 1e6 * bare / calls,
	    1e6 * ours / calls, IN_FLIGHT, MORE * calls / together);
	row_add(one, 1e6 * bare / calls, NOT_MEASURED, 1e6 * ours / calls);
	row_add(many, calls / bare, NOT_MEASURED, MORE * calls / together);
}

int
main(void)
{
	struct row one = row_make("call and reply, against a bare relay", "%.1f us", AT_MOST, 1.5);
	struct row many = row_make(
	    "calls, 32 in flight, against the relay one by one", "%.0f/s", AT_LEAST, 4);
	struct row memory = row_make("memory of an idle server", "%.0f KiB", ONLY_SHOWN, 0);
	size_t count = (size_t)setting("CALLS", 40000);
	struct call call;

	begin(&call);
	row_add(&memory, NOT_MEASURED, NOT_MEASURED, server_bytes(&call));
	for (size_t round = 0; round < rounds(); round++)
		run_round(&call, count, &one, &many);
	row_print(&one);
	row_print(&many);
	row_print(&memory);
	end(&call);
	return 0;
}
