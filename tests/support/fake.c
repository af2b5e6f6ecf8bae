#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fake.h"
#include "support/outside.h"
#include "support/puppet.h"
#include "base/xalloc.h"
#include "runtime/runtime.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- starting and ending ---- */

static void
fork_child(struct fake *fake, const struct gen_server_ops *ops, const char *const *arguments)
{
	char *none[] = { (char *)"server", NULL }, number[16];
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int ends[2];

	*fake = (struct fake){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	fflush(NULL);
	fake->fd = ends[0];
	fake->pid = fork();
	assert_int_not_equal(fake->pid, -1);
	if (fake->pid != 0) {
		setsockopt(fake->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		close(ends[1]);
		return;
	}
	close(ends[0]);
	/* exit(): it is there that a sanitizer looks for what was not freed. */
	if (ops != NULL && IS_SANITIZED)
		exit(gen_server_run(ops, ends[1], 1, none));
	if (ops != NULL)
		_exit(gen_server_run(ops, ends[1], 1, none));
	if (dup2(ends[1], 3) == -1)
		_exit(126);
	snprintf(number, sizeof(number), "%d", 3);
	setenv("JOBBERD_FD", number, 1);
	execv(arguments[0], (char *const *)arguments);
	_exit(127);
}

void
fake_start(struct fake *fake, const struct gen_server_ops *ops)
{
	fork_child(fake, ops, NULL);
}

void
fake_start_program(struct fake *fake, const char *const *arguments)
{
	fork_child(fake, NULL, arguments);
}

static char *
quotes(const char *text)
{
	char *copy = xstrdup(text);

	for (char *at = copy; *at != '\0'; at++) {
		if (*at == '\'')
			*at = '"';
	}
	return copy;
}

static void
start_puppet(struct fake *fake, const char *script, bool is_durable, const char *state)
{
	json_t *params = json_pack("{s:s, s:i, s:i, s:b}", "name", "puppet", "id", 7, "attempt",
	    2, "durable", (int)is_durable);
	char *text = quotes(script);

	json_object_set_new(params, "args", json_pack("[s]", text));
	free(text);
	text = quotes(state);
	json_object_set_new(params, "state", json_loads(text, JSON_DECODE_ANY, NULL));
	free(text);
	text = json_dumps(params, JSON_COMPACT);
	fake_start(fake, &puppet_ops);
	fake_init(fake, text);
	free(text);
	json_decref(params);
}

void
fake_start_puppet(struct fake *fake, const char *script)
{
	start_puppet(fake, script, false, "null");
}

void
fake_start_durable(struct fake *fake, const char *script, const char *state)
{
	start_puppet(fake, script, true, state);
}

static int
reap(struct fake *fake)
{
	int status;

	assert_int_equal(waitpid(fake->pid, &status, 0), fake->pid);
	buf_done(&fake->in);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int
fake_end(struct fake *fake)
{
	close(fake->fd);
	return reap(fake);
}

static void
wait_readable(struct fake *fake)
{
	struct pollfd wanted = { .fd = fake->fd, .events = POLLIN };

	if (poll(&wanted, 1, PATIENCE_MS) != 1)
		fail_msg("nothing was heard");
}

/* false: end of file. */
static bool
read_more(struct fake *fake)
{
	ssize_t got;

	wait_readable(fake);
	got = recv(fake->fd, buf_reserve(&fake->in, 65536), 65536, 0);
	if (got == -1 && errno == ECONNRESET)
		return read_more(fake);
	if (got <= 0)
		return false;
	buf_grown(&fake->in, (size_t)got);
	return true;
}

/* The next line, or NULL at the end. */
static json_t *
any_line(struct fake *fake)
{
	const char *newline = NULL;
	json_t *message;
	size_t length;

	while (fake->in.length == 0 ||
	    (newline = memchr(buf_start(&fake->in), '\n', fake->in.length)) == NULL) {
		if (!read_more(fake))
			return NULL;
	}
	length = (size_t)(newline - buf_start(&fake->in));
	message = json_loadb(buf_start(&fake->in), length, 0, NULL);
	if (message == NULL)
		fail_msg("no JSON: %.*s", (int)length, buf_start(&fake->in));
	buf_consume(&fake->in, length + 1);
	assert_string_equal(json_string_value(json_object_get(message, "jsonrpc")), "2.0");
	json_object_del(message, "jsonrpc");
	return message;
}

/* Was it that, and is it counted? Then it is released. */
static bool
was_handled(struct fake *fake, json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));

	if (method == NULL || strcmp(method, "handled") != 0)
		return false;
	fake->handled +=
	    json_integer_value(json_object_get(json_object_get(message, "params"), "count"));
	json_decref(message);
	return true;
}

/* The next line but those, or NULL at the end. */
static json_t *
next_line(struct fake *fake)
{
	json_t *message;

	do
		message = any_line(fake);
	while (message != NULL && was_handled(fake, message));
	return message;
}

int
fake_ended(struct fake *fake)
{
	json_t *message = next_line(fake);
	char *text;

	if (message != NULL) {
		text = json_dumps(message, JSON_COMPACT);
		fail_msg("heard %s, and not its end", text);
	}
	return fake_end(fake);
}

/* ---- saying ---- */

void
fake_say_bytes(struct fake *fake, const char *bytes, size_t length)
{
	ssize_t sent;

	for (; length > 0; bytes += sent, length -= (size_t)sent) {
		sent = send(fake->fd, bytes, length, MSG_NOSIGNAL);
		if (sent <= 0)
			fail_msg("it does not listen: %s", strerror(errno));
	}
}

static char *
format_line(const char *format, va_list arguments)
{
	char *line, *quoted;

	if (vasprintf(&line, format, arguments) == -1)
		fail_msg("out of memory");
	quoted = quotes(line);
	free(line);
	return quoted;
}

void
fake_say(struct fake *fake, const char *format, ...)
{
	va_list arguments;
	size_t length;
	char *line;

	va_start(arguments, format);
	line = format_line(format, arguments);
	va_end(arguments);
	length = strlen(line);
	/* One write, so that several lines are there together. */
	line[length] = '\n';
	fake_say_bytes(fake, line, length + 1);
	free(line);
}

void
fake_init(struct fake *fake, const char *params)
{
	char *line;

	if (asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"init\",\"params\":%s}\n",
		params) == -1)
		fail_msg("out of memory");
	fake_say_bytes(fake, line, strlen(line));
	free(line);
}

void
fake_call(struct fake *fake, int id, const char *message)
{
	fake_say(fake,
	    "{'jsonrpc':'2.0','id':%d,'method':'call','params':{'message':%s,"
	    "'from':'client:5'}}",
	    id, message);
}

void
fake_cast(struct fake *fake, const char *message)
{
	fake_say(fake, "{'jsonrpc':'2.0','method':'cast','params':{'message':%s}}", message);
}

void
fake_info(struct fake *fake, const char *message)
{
	fake_say(fake, "{'jsonrpc':'2.0','method':'info','params':{'message':%s}}", message);
}

void
fake_result(struct fake *fake, int64_t id, const char *result)
{
	fake_say(fake, "{'jsonrpc':'2.0','id':%lld,'result':%s}", (long long)id, result);
}

/* ---- hearing ---- */

json_t *
fake_next(struct fake *fake)
{
	json_t *message = next_line(fake);

	if (message == NULL)
		fail_msg("it has ended");
	return message;
}

static void
expect_text(struct fake *fake, const char *wanted_text)
{
	json_t *wanted = json_loads(wanted_text, 0, NULL), *heard;
	char *text;

	if (wanted == NULL)
		fail_msg("the test wants nonsense: %s", wanted_text);
	heard = next_line(fake);
	text = heard != NULL ? json_dumps(heard, JSON_COMPACT) : xstrdup("its end");
	if (!json_equal(heard, wanted))
		fail_msg("heard %.2000s\nwanted %s", text, wanted_text);
	free(text);
	json_decref(heard);
	json_decref(wanted);
}

void
fake_hears(struct fake *fake, const char *format, ...)
{
	va_list arguments;
	char *line;

	va_start(arguments, format);
	line = format_line(format, arguments);
	va_end(arguments);
	expect_text(fake, line);
	free(line);
}

void
fake_hears_reply(struct fake *fake, int id, const char *result)
{
	fake_hears(fake, "{'id':%d,'result':%s}", id, result);
}

void
fake_hears_log(struct fake *fake, const char *text)
{
	json_t *wanted = json_pack("{s:s, s:{s:o}}", "method", "log", "params", "text",
	    json_string(text));
	char *line = json_dumps(wanted, JSON_COMPACT);

	expect_text(fake, line);
	free(line);
	json_decref(wanted);
}

int64_t
fake_hears_request(struct fake *fake, const char *method, const char *params)
{
	json_t *heard = fake_next(fake), *wanted;
	char *text = json_dumps(heard, JSON_COMPACT), *quoted;
	int64_t id = json_integer_value(json_object_get(heard, "id"));

	if (id <= 0 || !json_is_string(json_object_get(heard, "method")) ||
	    strcmp(json_string_value(json_object_get(heard, "method")), method) != 0)
		fail_msg("heard %s\nwanted the request %s", text, method);
	if (params != NULL) {
		quoted = quotes(params);
		wanted = json_loads(quoted, 0, NULL);
		if (wanted == NULL || !json_equal(json_object_get(heard, "params"), wanted))
			fail_msg("heard %s\nwanted %s with %s", text, method, quoted);
		json_decref(wanted);
		free(quoted);
	}
	free(text);
	json_decref(heard);
	return id;
}

void
fake_hears_handled(struct fake *fake, int64_t count)
{
	while (fake->handled < count) {
		if (!was_handled(fake, any_line(fake)))
			fail_msg("something else than how many messages were handled");
	}
	assert_int_equal(fake->handled, count);
}

void
fake_hears_nothing(struct fake *fake)
{
	fake_call(fake, 9999, "{'quiet':true,'reply':1}");
	fake_hears_reply(fake, 9999, "1");
}
