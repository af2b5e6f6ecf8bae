/*
 * flood: servers that do not read, do not stop writing, or write nonsense. They harm nobody
 * else, and the supervisor process stays small.
 */

#include "base/xalloc.h"
#include "cli/client.h"
#include "support/helper.h"
#include "support/system.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#ifdef SANITIZED /* which keeps what is freed */
#define MOST_KIB (2 * 1024 * 1024)
#else
#define MOST_KIB (200 * 1024)
#endif
#define SERVERS 1000
#define CALLS 10000

/* After its init each does one thing for ever, which its argument says. */
static const char program[] =
    "import json, os, socket, sys, time\n"
    "s = socket.socket(fileno=int(os.environ['JOBBERD_FD']))\n"
    "m = json.loads(s.makefile('r').readline())\n"
    "s.sendall(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': {'ok': True}}).encode()"
    " + b'\\n')\n"
    "line = {'deaf': b'', 'half': b'{\"jsonrpc\":\"2.0\",\"method\":', 'long': b'x' * 1000000,\n"
    "  'garbage': b'la la\\n' * 1000,\n"
    "  'casts': b'{\"jsonrpc\":\"2.0\",\"method\":\"cast\",\"params\":"
    "{\"to\":\"deaf\",\"message\":1}}\\n' * 100,\n"
    "  'asks': b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"whereis\",\"params\":"
    "{\"name\":\"deaf\"}}\\n' * 100}[sys.argv[1]]\n"
    "while sys.argv[1] not in ('deaf', 'half'): s.sendall(line)\n"
    "s.sendall(line); time.sleep(1000)\n";

struct scene {
	struct instance instance;
	char path[300];
};

static void
begin(struct scene *scene)
{
	FILE *file;

	instance_init(&scene->instance);
	snprintf(scene->path, sizeof(scene->path), "%s/bad.py", scene->instance.directory);
	file = fopen(scene->path, "w");
	assert_non_null(file);
	assert_true(fputs(program, file) >= 0 && fclose(file) == 0);
	instance_start(&scene->instance, NULL);
}

static void
succeeds(struct result result)
{
	if (result.status != 0)
		fail_msg("exit %d: %s", result.status, result.err);
	result_done(&result);
}

static void
start_bad(struct scene *scene, const char *what)
{
	succeeds(jobberd(&scene->instance, "start", "--restart", "temporary", what, "--", "python3",
	    scene->path, what, NULL));
}

static void
start_counter(struct scene *scene)
{
	succeeds(jobberd(&scene->instance, "start", "good", "--", COUNTER, NULL));
}

/* A server and a command of others get what they want. */
static void
expect_others_unharmed(struct scene *scene)
{
	for (int i = 0; i < 5; i++) {
		succeeds(jobberd(&scene->instance, "call", "good", "get", NULL));
		succeeds(jobberd(&scene->instance, "run", "--", "true", NULL));
	}
}

static int64_t
supervisor_peak_kib(struct scene *scene)
{
	char *path = xasprintf("/proc/%d/status", (int)instance_supervisor_pid(&scene->instance));
	char *text = file_text(path), *at = strstr(text, "VmHWM:");
	int64_t kib = at != NULL ? atoll(at + 6) : -1;

	free(text);
	free(path);
	assert_true(kib > 0);
	return kib;
}

static void
finish(struct scene *scene)
{
	assert_true(supervisor_peak_kib(scene) < MOST_KIB);
	instance_finish(&scene->instance);
}

static void
connect_client(struct scene *scene, struct client_connection *connection)
{
	struct error error;

	if (client_open(connection, scene->instance.state, &error) == -1)
		fail_msg("%s", error.text);
}

static void
send_request(struct client_connection *connection, const char *method, json_t *params)
{
	struct error error;

	if (client_send(connection, method, params, &error) == -1)
		fail_msg("%s", error.text);
}

static struct rpc_message
next_answer(struct client_connection *connection)
{
	struct rpc_message message;
	struct error error;

	if (client_receive(connection, PATIENCE_MS, false, &message, &error) != 1)
		fail_msg("no answer");
	return message;
}

static void
server_that_does_not_read_is_overloaded_and_nobody_else(void **state)
{
	struct client_connection connection;
	struct rpc_message answer;
	char text[65536];
	bool is_overloaded = false;
	struct scene scene;

	(void)state;
	begin(&scene);
	start_counter(&scene);
	start_bad(&scene, "deaf");
	connect_client(&scene, &connection);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 1000 && !is_overloaded; i++) {
		send_request(&connection, "cast",
		    json_pack("{s:s, s:s}", "to", "deaf", "message", text));
		answer = next_answer(&connection);
		if (answer.kind == RPC_ERROR) {
			assert_int_equal(answer.code, STATUS_TRY_LATER);
			assert_string_equal(answer.message, "overloaded");
			is_overloaded = true;
		}
		rpc_message_done(&answer);
	}
	assert_true(is_overloaded);
	client_close(&connection);
	expect_others_unharmed(&scene);
	finish(&scene);
}

static void
servers_that_flood_harm_nobody(void **state)
{
	static const char *const kinds[] = { "deaf", "half", "garbage", "casts", "asks" };
	struct scene scene;

	(void)state;
	begin(&scene);
	start_counter(&scene);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		start_bad(&scene, kinds[i]);
	expect_others_unharmed(&scene);
	assert_int_equal(sql_number(&scene.instance,
	    "SELECT count(*) FROM jobs WHERE status = 'running'"), 6);
	finish(&scene);
}

static void
line_without_end_ends_its_server(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	start_counter(&scene);
	start_bad(&scene, "long");
	instance_expect(&scene.instance, "failed reason=\"line too long\"");
	expect_others_unharmed(&scene);
	finish(&scene);
}

/* Its reader would take the line for the end of all sense. */
static void
message_that_is_too_large_is_refused_and_its_server_lives(void **state)
{
	static const char *const methods[] = { "call", "cast", "send" };
	static const char *const names[] = { "good", "kept" };
	struct client_connection connection;
	struct scene scene;
	size_t length = 3 << 20;
	char *text = xmalloc(length + 1);

	(void)state;
	memset(text, 'x', length);
	text[length] = '\0';
	begin(&scene);
	start_counter(&scene);
	succeeds(jobberd(&scene.instance, "start", "--durable", "kept", "--", COUNTER, NULL));
	connect_client(&scene, &connection);
	for (size_t i = 0; i < 6; i++) {
		struct rpc_message answer;

		send_request(&connection, methods[i / 2],
		    json_pack("{s:s, s:s}", "to", names[i % 2], "message", text));
		answer = next_answer(&connection);
		assert_int_equal(answer.kind, RPC_ERROR);
		assert_int_equal(answer.code, STATUS_USAGE);
		assert_has(answer.message, "too_large");
		rpc_message_done(&answer);
	}
	/* Almost as large as may be. */
	text[(1 << 20) - 2000] = '\0';
	for (size_t i = 0; i < 2; i++) {
		struct rpc_message answer;

		send_request(&connection, "send",
		    json_pack("{s:s, s:s}", "to", names[i], "message", text));
		answer = next_answer(&connection);
		assert_int_equal(answer.kind, RPC_RESULT);
		rpc_message_done(&answer);
		succeeds(jobberd(&scene.instance, "call", names[i], "get", NULL));
	}
	client_close(&connection);
	free(text);
	assert_int_equal(sql_number(&scene.instance,
	    "SELECT count(*) FROM attempts WHERE attempt > 1"), 0);
	finish(&scene);
}

static struct rpc_message
send_many_numbers(struct client_connection *connection, const char *first)
{
	struct buf line = { 0 };

	buf_add_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"send\",\"params\":"
			    "{\"to\":\"good\",\"message\":[");
	buf_add_text(&line, first);
	for (int i = 0; i < 60000; i++)
		buf_add_text(&line, ",0.1");
	buf_add_text(&line, "]}}\n");
	assert_int_equal(buf_send(&line, connection->fd), 0);
	buf_done(&line);
	return next_answer(connection);
}

/* 0.1 has 19 digits when it is written again, as it is where a line has to be parsed. */
static void
message_that_becomes_too_large_on_its_way_is_refused(void **state)
{
	struct client_connection connection;
	struct rpc_message answer;
	struct scene scene;

	(void)state;
	begin(&scene);
	start_counter(&scene);
	connect_client(&scene, &connection);
	answer = send_many_numbers(&connection, "\"\\u00e4\"");
	assert_int_equal(answer.kind, RPC_ERROR);
	assert_has(answer.message, "too_large");
	rpc_message_done(&answer);
	answer = send_many_numbers(&connection, "\"plain\"");
	assert_int_equal(answer.kind, RPC_RESULT);
	rpc_message_done(&answer);
	client_close(&connection);
	succeeds(jobberd(&scene.instance, "call", "good", "get", NULL));
	finish(&scene);
}

static void
thousand_servers_are_started_called_and_stopped(void **state)
{
	struct client_connection connection;
	struct scene scene;

	(void)state;
	begin(&scene);
	connect_client(&scene, &connection);
	for (int i = 0; i < SERVERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		send_request(&connection, "start", json_pack("{s:{s:s, s:[s]}}", "job", "name",
		    name, "command", COUNTER));
	}
	for (int i = 0; i < SERVERS; i++) {
		struct rpc_message answer = next_answer(&connection);

		assert_int_equal(answer.kind, RPC_RESULT);
		rpc_message_done(&answer);
	}
	for (int i = 0; i < SERVERS; i++)
		send_request(&connection, "call",
		    json_pack("{s:o, s:s}", "to", json_sprintf("s%d", i), "message", "get"));
	for (int i = 0; i < SERVERS; i++) {
		struct rpc_message answer = next_answer(&connection);

		assert_int_equal(json_integer_value(answer.result), 0);
		assert_int_equal(answer.kind, RPC_RESULT);
		rpc_message_done(&answer);
	}
	client_close(&connection);
	finish(&scene);
}

static void
ten_thousand_calls_in_flight_are_all_answered(void **state)
{
	struct client_connection connection;
	struct scene scene;

	(void)state;
	begin(&scene);
	start_counter(&scene);
	connect_client(&scene, &connection);
	send_request(&connection, "call", json_pack("{s:s, s:[s, i]}", "to", "good", "message",
	    "slow", 300));
	for (int i = 0; i < CALLS; i++)
		send_request(&connection, "call",
		    json_pack("{s:s, s:[s, i]}", "to", "good", "message", "add", 1));
	for (int i = 0; i < CALLS + 1; i++) {
		struct rpc_message answer = next_answer(&connection);

		assert_int_equal(answer.kind, RPC_RESULT);
		if (i > 0)
			assert_int_equal(json_integer_value(answer.result), i);
		rpc_message_done(&answer);
	}
	client_close(&connection);
	finish(&scene);
}

#ifndef SANITIZED
/* Each is answered, so that those before it have been seen to go. */
static void
come_and_go(struct scene *scene, int clients)
{
	struct client_connection connection;
	struct error error;

	for (int n = 0; n < clients; n++) {
		json_t *answer;

		if (client_open(&connection, scene->instance.state, &error) == -1)
			fail_msg("client %d: %s", n, error.text);
		answer = client_call(&connection, "stay", NULL, NULL, &error);
		assert_non_null(answer);
		json_decref(answer);
		client_close(&connection);
	}
}

static void
clients_that_have_gone_take_no_memory(void **state)
{
	struct scene scene;
	int64_t before;

	(void)state;
	begin(&scene);
	come_and_go(&scene, 200);
	before = supervisor_peak_kib(&scene);
	come_and_go(&scene, 5000);
	assert_true(supervisor_peak_kib(&scene) - before < 500);
	finish(&scene);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_that_does_not_read_is_overloaded_and_nobody_else),
		cmocka_unit_test(servers_that_flood_harm_nobody),
		cmocka_unit_test(line_without_end_ends_its_server),
		cmocka_unit_test(message_that_is_too_large_is_refused_and_its_server_lives),
		cmocka_unit_test(message_that_becomes_too_large_on_its_way_is_refused),
		cmocka_unit_test(thousand_servers_are_started_called_and_stopped),
		cmocka_unit_test(ten_thousand_calls_in_flight_are_all_answered),
#ifndef SANITIZED
		cmocka_unit_test(clients_that_have_gone_take_no_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
