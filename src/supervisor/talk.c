/*
 * talk: what a job says on its fd 3. Progress, a result and log lines are recorded;
 * anything else is answered with an error or noted once, and never hurts.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/envelope.h"
#include "supervisor/live.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"
#include "wire/beyond.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_LOG_LINES 1000 /* an attempt */

/* A member of params by name, or by place if params is an array. */
static json_t *
param(const json_t *params, const char *name, size_t place)
{
	return json_is_array(params) ? json_array_get(params, place)
				     : json_object_get(params, name);
}

/* It is recorded: now it may be forgotten. */
static void
note_recorded(void *arg, struct step *step)
{
	struct live *live = live_find(arg, step->note.key.job);

	if (live != NULL && live->key.attempt == step->note.key.attempt &&
	    live->channel != NULL)
		channel_release(live->channel);
}

static void
add_note(struct live *live, enum note_kind kind, double fraction, char *text)
{
	struct step *step =
	    turn_add(live->supervisor, STEP_NOTE, note_recorded, live->supervisor);

	live->has_notes = true;
	step->note.key = live->key;
	step->note.note = kind;
	step->note.fraction = fraction;
	step->note.text = text;
}

/* Each returns 0 or what is wrong with the parameters. */
static const char *
note_progress(struct live *live, const json_t *params)
{
	const json_t *fraction = param(params, "fraction", 0), *text = param(params, "text", 1);
	double value = json_is_number(fraction) ? json_number_value(fraction) : -1;

	if (fraction != NULL && !(value >= 0 && value <= 1))
		return "fraction is not a number from 0 to 1";
	if (text != NULL && !json_is_string(text))
		return "text is not a string";
	if (json_string_length(text) > RPC_LARGEST_NOTE)
		return "text is too long";
	add_note(live, NOTE_PROGRESS, value,
	    text != NULL ? xstrdup(json_string_value(text)) : NULL);
	return NULL;
}

static const char *
note_result(struct live *live, const json_t *params)
{
	const json_t *value = param(params, "value", 0);
	char *text;

	if (value == NULL)
		return "there is no value";
	text = rpc_dump(value);
	add_note(live, NOTE_RESULT, -1, text);
	return NULL;
}

static const char *
note_log(struct live *live, const json_t *params)
{
	const json_t *text = param(params, "text", 0);

	if (!json_is_string(text))
		return "text is not a string";
	if (json_string_length(text) > RPC_LARGEST_NOTE)
		return "text is too long";
	if (live->log_lines >= MOST_LOG_LINES)
		return "too many log lines";
	if (++live->log_lines == MOST_LOG_LINES)
		add_note(live, NOTE_LOG, -1, xstrdup("(this was the last log line taken)"));
	else
		add_note(live, NOTE_LOG, -1, xstrdup(json_string_value(text)));
	return NULL;
}

static const struct {
	const char *method;
	const char *(*note)(struct live *live, const json_t *params);
} notes[] = {
	{ "progress", note_progress },
	{ "result", note_result },
	{ "log", note_log },
};

static void
babble(struct live *live, const char *what, const char *detail)
{
	char quoted[120];

	if (live->has_babbled)
		return;
	live->has_babbled = true;
	turn_add_event(live->supervisor, live->key.job, live->key.attempt,
	    "message not understood",
	    xasprintf("%s: %s", what, text_quote(quoted, sizeof(quoted), detail)));
}

static void
answer_error(struct live *live, json_t *id, int code, const char *why)
{
	rpc_add_error(&live->channel->out, id, code, why, NULL);
	channel_flush(live->channel);
}

/* A server that does; a plain one may say what a command may. */
static bool
speaks(const struct live *live)
{
	return live->server != NULL && live->server->plain == NULL;
}

/* What is wrong with it, or NULL. */
static const char *
handle_method(struct live *live, const struct rpc_message *message, int *ret_code)
{
	const char *wrong;

	*ret_code = RPC_INVALID_PARAMS;
	if (speaks(live) && server_handle(live->server, message, &wrong))
		return wrong;
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		if (strcmp(notes[i].method, message->method) != 0)
			continue;
		wrong = notes[i].note(live, message->params);
		if (wrong == NULL && message->kind == RPC_REQUEST) {
			rpc_add_result(&live->channel->out, message->id, json_true());
			channel_flush(live->channel);
		}
		return wrong;
	}
	*ret_code = RPC_METHOD_NOT_FOUND;
	return "there is no such method";
}

static void
handle(struct live *live, const struct rpc_message *message)
{
	const char *wrong;
	int code;

	if (message->method == NULL) { /* to a command nothing is asked */
		if (speaks(live) && !server_take_answer(live->server, message))
			router_take_answer(live->server, message);
		return;
	}
	wrong = handle_method(live, message, &code);
	if (wrong == NULL)
		return;
	babble(live, message->method, wrong);
	if (message->kind == RPC_REQUEST)
		answer_error(live, message->id, code, wrong);
}

/* What takes the place of a message that has a value which is not held. */
static void
refuse(struct live *live, const struct rpc_message *message, const char *what)
{
	babble(live, message->method != NULL ? message->method : "an answer", what);
	if (message->kind == RPC_REQUEST)
		answer_error(live, message->id, RPC_INVALID_PARAMS, what);
	else if (message->kind == RPC_ERROR)
		handle(live, message);
}

/* false: it is none. */
static bool
take_message(struct live *live, const char *line, size_t length, int *ret_code)
{
	struct rpc_message message;
	const char *what = NULL;

	*ret_code = rpc_parse(line, length, &message);
	if (*ret_code == RPC_PARSE_ERROR)
		what = beyond_message(line, length, &message);
	if (*ret_code != 0 && what == NULL)
		return false;
	live->was_attached = false;
	if (what != NULL)
		refuse(live, &message, what);
	else
		handle(live, &message);
	rpc_message_done(&message);
	return true;
}

static bool
pass_on(struct live *live, const char *line, size_t length)
{
	struct skim skimmed;

	if (!speaks(live) || skim(&skimmed, line, length, envelope_is_for) == -1 ||
	    !server_pass_on(live->server, &skimmed))
		return false;
	live->was_attached = false;
	return true;
}

static void
talk_line(void *arg, const char *line, size_t length)
{
	struct live *live = arg;
	char start[81];
	int code;

	if (pass_on(live, line, length) || take_message(live, line, length, &code))
		return;
	if (live->server != NULL && plain_takes_line(live->server))
		return;
	/* The rest of a line that the supervisor process before us had begun to read. */
	if (live->was_attached) {
		live->was_attached = false;
		return;
	}
	snprintf(start, sizeof(start), "%.*s", length < 80 ? (int)length : 80, line);
	babble(live, "not JSON-RPC", start);
	answer_error(live, NULL, code, "not a JSON-RPC message");
}

/* Until they are recorded: should we die before, the next of us finds them there. */
static bool
talk_must_hold(void *arg)
{
	struct live *live = arg;
	bool result = live->has_notes;

	/* What it said to others has left us before it leaves its socket. */
	if (live->server != NULL) {
		router_flush(live->supervisor);
		control_flush(live->supervisor);
	}
	live->has_notes = false;
	return result;
}

static void
talk_closed(void *arg, const char *why)
{
	struct live *live = arg;

	if (speaks(live))
		server_closed(live->server, why);
	if (why == NULL)
		return;
	babble(live, "its socket was closed", why);
	/* The keeper has it open, too: a writer would wait for somebody to read. */
	shutdown(live->channel->fd, SHUT_RDWR);
}

static void
talk_written(void *arg)
{
	struct live *live = arg;

	if (live->server != NULL)
		pool_written(live->server);
}

int
talk_start(struct live *live)
{
	int fd = live->socket_fd;

	if (fd == -1)
		return -1;
	loop_remove(live->supervisor->loop, live->watch);
	live->watch = NULL;
	live->socket_fd = -1;
	live->channel = xcalloc(1, sizeof(*live->channel));
	if (channel_init(live->channel, live->supervisor->loop, fd, talk_line, talk_closed,
		live) == -1) {
		log_warn("job=%" PRId64 " its socket cannot be watched: %s", live->key.job,
		    strerror(errno));
		close(fd);
		free(live->channel);
		live->channel = NULL;
		return -1;
	}
	live->channel->hears_empty = live->server != NULL && live->server->plain != NULL;
	live->channel->must_hold = talk_must_hold;
	live->channel->written = talk_written;
	return 0;
}

/* The first time that something is readable: words, or just the end. */
static void
socket_ready(void *arg, uint32_t events)
{
	struct live *live = arg;
	int fd = live->socket_fd;
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void)events;
	if (got == -1 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return;
	if (got > 0) {
		talk_start(live);
		return;
	}
	loop_remove(live->supervisor->loop, live->watch);
	live->watch = NULL;
	live->socket_fd = -1;
	close(fd);
}

void
talk_listen(struct live *live)
{
	if (live->socket_fd != -1 && live->watch == NULL)
		live->watch = loop_add(
		    live->supervisor->loop, live->socket_fd, EPOLLIN, socket_ready, live);
}

void
talk_drain(struct live *live)
{
	if (live->socket_fd != -1)
		socket_ready(live, 0);
	if (live->channel != NULL)
		channel_drain(live->channel);
}

void
talk_done(struct live *live)
{
	loop_remove(live->supervisor->loop, live->watch);
	live->watch = NULL;
	if (live->socket_fd != -1)
		close(live->socket_fd);
	live->socket_fd = -1;
	if (live->channel != NULL) {
		channel_done(live->channel);
		free(live->channel);
		live->channel = NULL;
	}
}
