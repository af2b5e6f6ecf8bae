/* server_wait: clients that wait for the start or the end of a server, and what they are told. */

#include "base/xalloc.h"
#include "supervisor/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A client that waits until a server runs. */
struct start {
	TAILQ_ENTRY(start) entry;
	int64_t job;
	struct request *request;
};

/* A client that waits until a server has ended, with this reason. */
struct stop {
	TAILQ_ENTRY(stop) entry;
	struct supervisor *supervisor;
	int64_t job;
	struct reason reason;
	bool has_ended; /* so; other processes of its pool may not have */
	struct reason ended;
	struct request *request; /* NULL: its time has passed */
	struct timer timer;
};

void
server_await_start(struct supervisor *supervisor, int64_t job, struct request *request)
{
	struct start *start = xcalloc(1, sizeof(*start));

	start->job = job;
	start->request = request;
	TAILQ_INSERT_TAIL(&supervisor->servers->starts, start, entry);
}

static void
free_stop(struct stop *stop)
{
	loop_timer_remove(stop->supervisor->loop, &stop->timer);
	TAILQ_REMOVE(&stop->supervisor->servers->stops, stop, entry);
	free(stop);
}

static void
stop_timed_out(void *arg)
{
	struct stop *stop = arg;
	struct error error;

	error_set(&error, STATUS_TIMED_OUT, "timeout: it is still terminating");
	request_fail(stop->request, &error, NULL);
	free_stop(stop);
}

void
server_await_stop(struct supervisor *supervisor, int64_t job, struct reason reason,
    struct request *request, int64_t timeout_ms)
{
	struct stop *stop = xcalloc(1, sizeof(*stop));

	stop->supervisor = supervisor;
	stop->job = job;
	stop->reason = reason;
	stop->request = request;
	stop->timer = (struct timer){ .fire = stop_timed_out, .arg = stop };
	TAILQ_INSERT_TAIL(&supervisor->servers->stops, stop, entry);
	if (timeout_ms >= 0)
		loop_timer_set(supervisor->loop, &stop->timer, timeout_ms);
}

static void
answer_starts(struct supervisor *supervisor, int64_t job,
    void (*answer)(struct start *start, const struct reason *reason),
    const struct reason *reason)
{
	struct start *start, *next;

	TAILQ_FOREACH_SAFE (start, &supervisor->servers->starts, entry, next) {
		if (start->job != job && job != 0)
			continue;
		TAILQ_REMOVE(&supervisor->servers->starts, start, entry);
		answer(start, reason);
		free(start);
	}
}

static void
say_it_runs(struct start *start, const struct reason *reason)
{
	(void)reason;
	request_reply(start->request, json_pack("{s:I}", "id", (json_int_t)start->job));
}

static void
say_how_it_ended(struct start *start, const struct reason *reason)
{
	char text[REASON_TEXT_SIZE], words[REASON_TEXT_SIZE + 64];
	struct error error;

	if (reason->kind == REASON_IGNORE) {
		request_reply(start->request, json_pack("{s:I, s:b}", "id",
		    (json_int_t)start->job, "ignore", true));
		return;
	}
	reason_words(words, sizeof(words), *reason, 0);
	if (reason->kind == REASON_TIMEOUT)
		error_set(&error, STATUS_TIMED_OUT, "timeout: its init took too long");
	else
		error_set(&error, STATUS_INTERNAL, "%s",
		    words[0] != '\0' ? words : "it ended before its init had answered");
	request_fail(start->request, &error,
	    json_pack("{s:I, s:s}", "id", (json_int_t)start->job, "reason",
		reason_format(text, *reason)));
}

static void
say_we_leave(struct start *start, const struct reason *reason)
{
	struct error error;

	(void)reason;
	error_set(&error, STATUS_TRY_LATER, "the supervisor is leaving");
	request_fail(start->request, &error, NULL);
}

void
server_tell_ready(struct supervisor *supervisor, int64_t job)
{
	answer_starts(supervisor, job, say_it_runs, NULL);
}

static void
answer_stop(struct stop *stop)
{
	char text[REASON_TEXT_SIZE], wanted[REASON_TEXT_SIZE];
	struct error error;

	reason_format(text, stop->ended);
	if (strcmp(reason_format(wanted, stop->reason), text) == 0)
		request_reply(stop->request, json_true());
	else {
		error_set(&error, STATUS_INTERNAL, "%s", text);
		request_fail(stop->request, &error, json_pack("{s:s}", "reason", text));
	}
	free_stop(stop);
}

void
server_has_stopped(struct supervisor *supervisor, int64_t job, struct reason reason)
{
	struct stop *stop, *next;

	TAILQ_FOREACH_SAFE (stop, &supervisor->servers->stops, entry, next) {
		if (stop->job == job) {
			stop->has_ended = true;
			stop->ended = reason;
		}
		if (stop->has_ended && !pool_is_alive(supervisor, stop->job))
			answer_stop(stop);
	}
}

void
server_tell_ended(struct supervisor *supervisor)
{
	char text[REASON_TEXT_SIZE];
	struct server *server;

	while ((server = TAILQ_FIRST(&supervisor->servers->ended)) != NULL) {
		TAILQ_REMOVE(&supervisor->servers->ended, server, ended);
		router_fail_calls(
		    server, STATUS_INTERNAL, reason_format(text, server->reason));
		server_has_stopped(supervisor, server->job, server->reason);
		if (server->is_over)
			answer_starts(
			    supervisor, server->job, say_how_it_ended, &server->reason);
		free(server);
	}
}

bool
server_waits_for(
    const struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	const struct start *start;

	TAILQ_FOREACH (start, &supervisor->servers->starts, entry) {
		for (size_t i = 0; i < count; i++) {
			if (start->job == ended[i].job)
				return true;
		}
	}
	return false;
}

void
server_jobs_ended(
    struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	for (size_t i = 0; i < count && !TAILQ_EMPTY(&supervisor->servers->starts); i++)
		answer_starts(
		    supervisor, ended[i].job, say_how_it_ended, &ended[i].reason);
}

void
server_wait_done(struct supervisor *supervisor)
{
	struct stop *stop;
	struct error error;

	server_tell_ended(supervisor);
	answer_starts(supervisor, 0, say_we_leave, NULL);
	error_set(&error, STATUS_TRY_LATER, "the supervisor is leaving");
	while ((stop = TAILQ_FIRST(&supervisor->servers->stops)) != NULL) {
		request_fail(stop->request, &error, NULL);
		free_stop(stop);
	}
}

void
server_leave(struct supervisor *supervisor)
{
	for (struct live *live = live_first(supervisor); live != NULL; live = live_next(live)) {
		if (live->server != NULL)
			router_fail_calls(
			    live->server, STATUS_TRY_LATER, "the supervisor is leaving");
	}
	pool_fail_calls(supervisor, STATUS_TRY_LATER, "the supervisor is leaving");
	server_wait_done(supervisor);
}
