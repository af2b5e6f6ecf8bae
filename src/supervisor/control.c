/*
 * control: the clients of the control socket. A client's malformed line ends its
 * connection, not us; one that does not read is cut off; too many of them wait.
 */

#include "base/log.h"
#include "base/xalloc.h"
#include "supervisor/envelope.h"
#include "supervisor/pool.h"
#include "wire/beyond.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_REQUEST (64 << 20) /* 1,000 jobs with long commands */
#define LARGEST_REPLY (64 << 20)
#define ACCEPT_AGAIN_MS 100
#define TELL_AGAIN_MS 50
#define MUCH (256 << 10) /* bytes of answers that do not wait for the turn's end */

/* ---- what waits to be written ---- */

static void
unqueue(struct client *client)
{
	if (client->is_queued)
		TAILQ_REMOVE(&client->supervisor->queued_clients, client, queued);
	client->is_queued = false;
}

/* Answers of one turn leave together. */
static void
queue(struct client *client)
{
	if (client->channel.out.length > MUCH) {
		unqueue(client);
		channel_flush(&client->channel);
	} else if (!client->is_queued) {
		client->is_queued = true;
		TAILQ_INSERT_TAIL(&client->supervisor->queued_clients, client, queued);
	}
}

void
control_flush(struct supervisor *supervisor)
{
	struct client *client;

	while ((client = TAILQ_FIRST(&supervisor->queued_clients)) != NULL) {
		unqueue(client);
		channel_flush(&client->channel);
	}
}

static void
gone(struct client *client)
{
	struct supervisor *supervisor = client->supervisor;

	if (client->is_gone)
		return;
	client->is_gone = true;
	siblings_heard(client);
	TAILQ_REMOVE(&supervisor->clients, client, entry);
	supervisor->client_count--;
	if (client->has_submitted)
		supervisor->drain_clients--;
	wait_client_gone(client);
	unqueue(client);
	channel_done(&client->channel);
	/* Freed after the turn: its channel is on the stack of whoever called us. */
	TAILQ_INSERT_TAIL(&supervisor->gone_clients, client, entry);
}

static void
client_closed(void *arg, const char *why)
{
	if (why != NULL)
		log_debug("client closed: %s", why);
	gone(arg);
}

/* One that writes no more may be waiting for answers. */
static bool
client_is_owed(void *arg)
{
	const struct client *client = arg;

	return client->open_requests > 0;
}

struct request *
request_new(struct client *client, json_t *id)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->client = client;
	request->id = json_incref(id);
	client->open_requests++;
	return request;
}

void
request_drop(struct request *request)
{
	struct client *client = request->client;

	client->open_requests--;
	json_decref(request->id);
	free(request);
	if (!client->is_gone)
		queue(client); /* it may have been the last */
}

static void
finish(struct request *request)
{
	if (!request->client->is_gone)
		siblings_answered(request->client);
	request_drop(request);
}

void
request_reply(struct request *request, json_t *result)
{
	if (request->client->is_gone)
		json_decref(result);
	else
		rpc_add_result(&request->client->channel.out, request->id, result);
	finish(request);
}

void
request_reply_text(struct request *request, struct rpc_text result)
{
	if (!request->client->is_gone)
		rpc_add_text_result(&request->client->channel.out, request->id, result);
	finish(request);
}

void
request_fail(struct request *request, const struct error *error, json_t *data)
{
	if (request->client->is_gone)
		json_decref(data);
	else
		rpc_add_error(&request->client->channel.out, request->id, error->code,
		    error->text, data);
	finish(request);
}

void
request_refuse(struct client *client, json_t *id, int code, const char *text)
{
	struct error error;

	error_set(&error, code, "%s", text);
	request_fail(request_new(client, id), &error, NULL);
}

void
request_notify(struct request *request, const char *method, json_t *params)
{
	if (request->client->is_gone) {
		json_decref(params);
		return;
	}
	rpc_add_notification(&request->client->channel.out, method, params);
	queue(request->client);
}

/* ---- requests ---- */

static void
answer_error(struct client *client, json_t *id, int code, const char *text)
{
	rpc_add_error(&client->channel.out, id, code, text, NULL);
	queue(client);
}

static bool
pass_on(struct client *client, const char *line, size_t length)
{
	struct skim skimmed;

	return client->supervisor->phase >= PHASE_RUNNING &&
	    skim(&skimmed, line, length, envelope_is_for) == 0 &&
	    server_handle_skimmed(client, &skimmed);
}

static void
handle(struct client *client, const struct rpc_message *message)
{
	const struct method *method = methods;

	while (method->name != NULL && strcmp(method->name, message->method) != 0)
		method++;
	if (method->name == NULL)
		answer_error(client, message->id, RPC_METHOD_NOT_FOUND,
		    "there is no such method");
	else if (client->supervisor->phase < PHASE_RUNNING && method->when != METHOD_AT_ONCE)
		deferred_add(client, method, message->id, message->params);
	else
		method->handle(client, message->id, message->params);
}

static void
client_line(void *arg, const char *line, size_t length)
{
	struct client *client = arg;
	struct rpc_message message;
	const char *what = NULL;
	int code;

	siblings_heard(client);
	if (pass_on(client, line, length))
		return;
	code = rpc_parse(line, length, &message);
	if (code == RPC_PARSE_ERROR)
		what = beyond_message(line, length, &message);
	if (code != 0 && what == NULL) {
		rpc_add_error(&client->channel.out, NULL, code,
		    "this is not a JSON-RPC 2.0 message", NULL);
		channel_close_when_written(&client->channel);
		return;
	}
	if (message.kind == RPC_REQUEST && what != NULL)
		answer_error(client, message.id, RPC_INVALID_PARAMS, what);
	else if (message.kind == RPC_REQUEST)
		handle(client, &message);
	rpc_message_done(&message);
}

/* Only the user we run as, and root, may talk to us. */
static bool
is_permitted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	    (peer.uid == getuid() || peer.uid == 0);
}

static void
add_client(struct supervisor *supervisor, int fd)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->supervisor = supervisor;
	if (channel_init(&client->channel, supervisor->loop, fd, client_line, client_closed,
		client) == -1) {
		close(fd);
		free(client);
		return;
	}
	client->channel.largest_line = LARGEST_REQUEST;
	client->channel.largest_out = LARGEST_REPLY;
	client->channel.owes = client_is_owed;
	TAILQ_INSERT_TAIL(&supervisor->clients, client, entry);
	supervisor->client_count++;
}

static void
accept_again(void *arg)
{
	struct supervisor *supervisor = arg;

	loop_change(supervisor->loop, supervisor->listen_watch, EPOLLIN);
}

/* Starting jobs needs descriptors too: clients get what is left, the others wait. */
static bool
has_room(const struct supervisor *supervisor)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    supervisor->client_count + live_count(supervisor) + 64 < files.rlim_cur;
}

static void
listen_ready(void *arg, uint32_t events)
{
	struct supervisor *supervisor = arg;

	(void)events;
	for (int i = 0; i < 64; i++) {
		int fd = has_room(supervisor)
		    ? accept4(supervisor->setup->listen_fd, NULL, NULL,
			  SOCK_CLOEXEC | SOCK_NONBLOCK)
		    : (errno = EMFILE, -1);

		if (fd == -1 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
			return;
		if (fd == -1) {
			loop_change(supervisor->loop, supervisor->listen_watch, 0);
			loop_timer_set(
			    supervisor->loop, &supervisor->listen_timer, ACCEPT_AGAIN_MS);
			return;
		}
		if (is_permitted(fd))
			add_client(supervisor, fd);
		else
			close(fd);
	}
}

bool
control_tells_of(struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	return wait_is_for(supervisor, ended, count) ||
	    pool_waits_for(supervisor, ended, count) ||
	    server_waits_for(supervisor, ended, count);
}

void
control_jobs_ended(
    struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	wait_jobs_ended(supervisor, ended, count);
	pool_jobs_ended(supervisor, ended, count);
	exit_with_jobs_ended(supervisor, ended, count);
}

/* ---- followers ---- */

static void
tell_followers(void *arg)
{
	struct supervisor *supervisor = arg;
	struct client *client, *next;

	supervisor->must_tell = false;
	control_flush(supervisor);
	TAILQ_FOREACH_SAFE(client, &supervisor->clients, entry, next) {
		if (!client->follows)
			continue;
		if (client->channel.out.length > 0) {
			supervisor->must_tell = true; /* when it has read what it has */
			continue;
		}
		rpc_add_notification(&client->channel.out, "changed", NULL);
		channel_flush(&client->channel);
	}
	loop_timer_set(supervisor->loop, &supervisor->tell_timer, TELL_AGAIN_MS);
}

static void
tell_again(void *arg)
{
	struct supervisor *supervisor = arg;

	if (supervisor->must_tell)
		tell_followers(supervisor);
}

void
control_changed(struct supervisor *supervisor)
{
	if (supervisor->follower_count == 0)
		return;
	supervisor->must_tell = true;
	if (!timer_is_set(&supervisor->tell_timer))
		tell_followers(supervisor);
}

void
control_sweep(struct supervisor *supervisor)
{
	struct client *client, *next;

	TAILQ_FOREACH_SAFE(client, &supervisor->gone_clients, entry, next) {
		if (client->open_requests > 0)
			continue;
		if (client->follows)
			supervisor->follower_count--;
		TAILQ_REMOVE(&supervisor->gone_clients, client, entry);
		free(client);
	}
}

int
control_init(struct supervisor *supervisor)
{
	if (supervisor->listen_watch != NULL)
		return 0;
	TAILQ_INIT(&supervisor->clients);
	TAILQ_INIT(&supervisor->deferred);
	TAILQ_INIT(&supervisor->queued_clients);
	TAILQ_INIT(&supervisor->gone_clients);
	TAILQ_INIT(&supervisor->waiters);
	supervisor->listen_timer = (struct timer){ .fire = accept_again, .arg = supervisor };
	supervisor->tell_timer = (struct timer){ .fire = tell_again, .arg = supervisor };
	supervisor->listen_watch = loop_add(supervisor->loop, supervisor->setup->listen_fd,
	    EPOLLIN, listen_ready, supervisor);
	return supervisor->listen_watch != NULL ? 0 : -1;
}

void
control_done(struct supervisor *supervisor)
{
	struct client *client;

	control_flush(supervisor);
	while ((client = TAILQ_FIRST(&supervisor->clients)) != NULL)
		gone(client);
	wait_done(supervisor);
	supervisors_done(supervisor);
	claims_tell_all(supervisor);
	server_leave(supervisor);
	deferred_done(supervisor);
	control_sweep(supervisor);
	loop_remove(supervisor->loop, supervisor->listen_watch);
}
