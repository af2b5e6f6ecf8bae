/*
 * cast: messages that need no reply from one client to one server of libjobber, each
 * acknowledged by the supervisor process, many on their way, and timed until the server has
 * handled the last: a call behind them says so. Against the same lines poured through a bare
 * relay into a process that only counts them.
 */

#include "base/xalloc.h"
#include "bench/kit/instance.h"
#include "bench/kit/lines.h"
#include "bench/kit/measure.h"
#include "bench/kit/talk.h"

#include <err.h>
#include <stdlib.h>

#define IN_FLIGHT 1024
#define ENOUGH 100000.0 /* a second */
#define SHARE 0.3	/* of the relay, where that is less */

static void
await_handled(struct client_connection *connection)
{
	struct error error;
	json_t *result = client_call(connection, "call",
	    json_pack("{s:s, s:s}", "to", "echo", "message", "done"), NULL, &error);

	if (result == NULL)
		errx(1, "%s", error.text);
	json_decref(result);
}

static double
cast(struct client_connection *connection, char *const *lines, size_t count)
{
	int64_t begin = now_ns();

	lines_exchange(connection->fd, lines, 1, count, IN_FLIGHT);
	await_handled(connection);
	return (double)count / seconds_since(begin);
}

static double
cast_through_relay(char *const *lines, size_t count)
{
	struct relay relay;
	double seconds;

	relay_start(&relay, count);
	seconds = lines_pour(relay.fd, lines, 1, count);
	relay_end(&relay);
	return (double)count / seconds;
}

int
main(void)
{
	char *line = xasprintf("{\"id\":1,\"method\":\"cast\",\"params\":{\"to\":\"echo\","
			       "\"message\":[\"say\",\"hello\"]},\"jsonrpc\":\"2.0\"}\n");
	char *program = xasprintf("%s/echo", needed("HELPERS"));
	const char *const start[] = { "start", "echo", "--", program, NULL };
	size_t count = (size_t)setting("CASTS", 200000);
	struct row row = row_make("casts, against lines through a bare relay", "%.0f/s",
	    ONLY_SHOWN, 0);
	struct row goal = row_make("casts, against 100,000/s or 0.3 of the relay", "%.0f/s",
	    AT_LEAST, 1);
	struct client_connection connection;
	struct instance instance;

	instance_make(&instance);
	instance_start(&instance, (const char *const[]){ NULL });
	instance_command(&instance, -1, start);
	talk_open(&connection, instance.state);
	for (size_t round = 0; round < rounds(); round++) {
		double bare = cast_through_relay(&line, count);
		double ours = cast(&connection, &line, count);

		progress("cast: relay %.0f, ours %.0f per s", bare, ours);
		row_add(&row, bare, NOT_MEASURED, ours);
		row_add(&goal, bare * SHARE < ENOUGH ? bare * SHARE : ENOUGH, NOT_MEASURED, ours);
	}
	row_print(&row);
	row_print(&goal);
	talk_close(&connection);
	instance_done(&instance);
	free(line);
	free(program);
	return 0;
}
