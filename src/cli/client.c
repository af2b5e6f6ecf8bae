/* client: requests to the supervisor process over its control socket. */

#include "cli/client.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/socket.h"
#include "cli/cli.h"
#include "wire/line.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGEST_ANSWER (256 << 20)
#define SILENCE_MS 5000
#define STILL_WAITS_MS 1000
#define MOST_CRASHES 10 /* one after the other, until it is no use */

/* Only a server that runs as us or as root is given what we have to say. */
static bool
is_trusted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	    (peer.uid == geteuid() || peer.uid == 0);
}

int
client_open(struct client_connection *connection, const char *state_directory,
    struct error *error)
{
	*connection = (struct client_connection){ .fd = socket_connect(state_directory),
		.state_directory = state_directory };
	if (connection->fd == -1) {
		int code = errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_NOT_RUNNING;

		return error_set_errno(error, code, "%s/" SOCKET_FILE, state_directory);
	}
	if (!is_trusted(connection->fd)) {
		client_close(connection);
		return error_set(error, STATUS_NOT_PERMITTED,
		    "%s: somebody else's program listens there", state_directory);
	}
	return 0;
}

/* false: it did not let us stay. */
static bool
is_greeted(struct client_connection *connection, struct error *error)
{
	json_t *result = client_call(connection, "stay", NULL, NULL, error);

	json_decref(result);
	return result != NULL;
}

int
client_open_to_submit(struct client_connection *connection, const char *state_directory,
    struct error *error)
{
	for (int crashes = 0; crashes <= MOST_CRASHES; crashes++) {
		if (client_open(connection, state_directory, error) == -1)
			return -1;
		connection->is_to_submit = true;
		if (is_greeted(connection, error))
			return 0;
		client_close(connection);
		if (connection->is_silent)
			return -1;
		if (!connection->is_lost)
			break;
	}
	return error_set(error, STATUS_NOT_RUNNING, "the supervisor is leaving");
}

void
client_close(struct client_connection *connection)
{
	if (connection->fd != -1)
		close(connection->fd);
	buf_done(&connection->in);
	buf_done(&connection->out);
	connection->fd = -1;
}

static int
lost(struct client_connection *connection, struct error *error)
{
	connection->is_lost = true;
	return error_set(error, STATUS_TRY_LATER,
	    "the supervisor process went away before it answered; what it acknowledged holds");
}

json_int_t
client_encode(struct client_connection *connection, const char *method, json_t *params,
    struct buf *out)
{
	json_int_t id = ++connection->next_id;

	rpc_add_request(out, id, method, params);
	return id;
}

int
client_write(struct client_connection *connection, struct buf *out, struct error *error)
{
	return buf_send(out, connection->fd) == -1 ? lost(connection, error) : 0;
}

json_int_t
client_send(struct client_connection *connection, const char *method, json_t *params,
    struct error *error)
{
	json_int_t id = client_encode(connection, method, params, &connection->out);

	return client_write(connection, &connection->out, error) == -1 ? -1 : id;
}

/* A complete answer that is here already: 1; 0: none; -1: nonsense. */
static int
take_message(struct client_connection *connection, struct rpc_message *ret_message,
    struct error *error)
{
	enum line_state state;
	const char *line;
	size_t length;

	while ((state = line_next(&connection->in, LARGEST_ANSWER, &line, &length)) ==
	    LINE_COMPLETE) {
		int code = rpc_parse(line, length, ret_message);

		line_consume(&connection->in);
		if (code != 0)
			return error_set(
			    error, STATUS_INTERNAL, "the supervisor's answer is not JSON-RPC");
		if (ret_message->kind == RPC_RESULT || ret_message->kind == RPC_ERROR)
			return 1;
		if (ret_message->method != NULL && strcmp(ret_message->method, "changed") == 0)
			connection->has_changed = true;
		else if (ret_message->method != NULL && connection->notified != NULL)
			connection->notified(connection->notified_arg, ret_message->method,
			    ret_message->params);
		rpc_message_done(ret_message);
	}
	if (state == LINE_TOO_LONG)
		return error_set(error, STATUS_INTERNAL, "the supervisor's answer is too long");
	return 0;
}

int
client_receive(struct client_connection *connection, int64_t timeout_ms,
    bool stops_for_change, struct rpc_message *ret_message, struct error *error)
{
	struct mono begin = clock_mono();

	for (;;) {
		struct pollfd wanted = { .fd = connection->fd, .events = POLLIN };
		int64_t left_ms = timeout_ms - (clock_mono().ms - begin.ms);
		int result = take_message(connection, ret_message, error);
		ssize_t got;

		if (result != 0)
			return result;
		if (stops_for_change && connection->has_changed)
			return 0;
		if (timeout_ms != -1 && left_ms <= 0)
			return 0;
		if (left_ms > 1000000)
			left_ms = 1000000;
		result = poll(&wanted, 1, timeout_ms == -1 ? -1 : (int)left_ms);
		if (result == -1 && errno == EINTR && stops_for_change)
			return 0;
		if (result <= 0)
			continue;
		got = recv(connection->fd, buf_reserve(&connection->in, 65536), 65536, 0);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return lost(connection, error);
		buf_grown(&connection->in, (size_t)got);
	}
}

/* Once: what it has on its mind while we wait. */
static void
tell_trouble(struct client_connection *connection, const json_t *status)
{
	const json_t *trouble = json_array_get(json_object_get(status, "troubles"), 0);

	if (!json_is_string(trouble) || connection->was_told)
		return;
	connection->was_told = true;
	cli_complain(STATUS_TRY_LATER, "still waiting: %s", json_string_value(trouble));
}

/*
 * One that waits for the database answers everybody else; one that is stopped takes every
 * connection and every request, and answers nobody.
 */
static bool
answers_others(struct client_connection *connection)
{
	struct client_connection other;
	struct rpc_message message;
	struct error error;
	int got;

	if (client_open(&other, connection->state_directory, &error) == -1)
		return true; /* it has gone, which is seen on our own connection */
	got = client_send(&other, "status", NULL, &error) == -1
	    ? -1
	    : client_receive(&other, SILENCE_MS, false, &message, &error);
	if (got == 1) {
		tell_trouble(connection, message.result);
		rpc_message_done(&message);
	}
	client_close(&other);
	return got != 0;
}

/* 0 or -1 with *error. */
static int
receive_answer(struct client_connection *connection, struct rpc_message *ret_message,
    struct error *error)
{
	int got = 0;

	if (connection->still_waits != NULL &&
	    (got = client_receive(connection, STILL_WAITS_MS, false, ret_message, error)) == 0)
		connection->still_waits(connection->still_waits_arg);
	while (got == 0 &&
	    (got = client_receive(connection, SILENCE_MS, false, ret_message, error)) == 0) {
		if (answers_others(connection))
			continue;
		connection->is_lost = connection->is_silent = true;
		return error_set(error, STATUS_TRY_LATER,
		    "the supervisor process has not answered for %d s: it is stopped, busy or "
		    "just starting; what was asked for may yet be done", 2 * SILENCE_MS / 1000);
	}
	return got == 1 ? 0 : -1;
}

json_t *
client_new_ref(void)
{
	return json_sprintf("c%08x%08x%08x", arc4random(), arc4random(), arc4random());
}

json_t *
client_answer(struct client_connection *connection, json_t **ret_data, struct error *error)
{
	struct rpc_message message;
	json_t *result = NULL;

	if (ret_data != NULL)
		*ret_data = NULL;
	if (receive_answer(connection, &message, error) == -1)
		return NULL;
	if (message.kind == RPC_RESULT)
		result = json_incref(message.result);
	else {
		error_set(error, message.code > 0 ? message.code : STATUS_USAGE, "%s",
		    message.message);
		if (ret_data != NULL)
			*ret_data = json_incref(message.data);
	}
	rpc_message_done(&message);
	return result;
}

json_t *
client_call(struct client_connection *connection, const char *method, json_t *params,
    json_t **ret_data, struct error *error)
{
	if (ret_data != NULL)
		*ret_data = NULL;
	if (client_send(connection, method, params, error) == -1)
		return NULL;
	return client_answer(connection, ret_data, error);
}

json_t *
client_status(const char *state_directory, struct error *error)
{
	struct client_connection connection;
	json_t *status;

	if (client_open(&connection, state_directory, error) == -1)
		return NULL;
	status = client_call(&connection, "status", NULL, NULL, error);
	client_close(&connection);
	return status;
}

static int
open_again(struct client_connection *connection, struct error *error)
{
	const char *state_directory = connection->state_directory;

	client_close(connection);
	return connection->is_to_submit
	    ? client_open_to_submit(connection, state_directory, error)
	    : client_open(connection, state_directory, error);
}

json_t *
client_call_again(struct client_connection *connection, const char *method, json_t *params,
    json_t **ret_data, struct error *error)
{
	json_t *result = client_call(connection, method, json_incref(params), ret_data, error);

	connection->was_repeated = false;
	for (int crashes = 0; result == NULL && connection->is_lost &&
	     !connection->is_silent && crashes < MOST_CRASHES; crashes++) {
		if (open_again(connection, error) == -1)
			break;
		connection->was_repeated = true;
		json_object_set_new(params, "repeated", json_true());
		result = client_call(
		    connection, method, json_incref(params), ret_data, error);
	}
	json_decref(params);
	return result;
}

int
client_connect(const struct invocation *invocation, struct client_connection *connection)
{
	struct error error;

	if (client_open(connection, invocation->state, &error) == 0)
		return STATUS_OK;
	return error.code == STATUS_NOT_RUNNING ? cli_not_running(invocation)
						: cli_fail(&error);
}
