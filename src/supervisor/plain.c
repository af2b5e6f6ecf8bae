/*
 * plain: the life of a plain service. When it runs and how it has ended is told to the same
 * places as of any other server; only the ways to know are others.
 */

#include "supervisor/plain.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- made and gone ---- */

static void no_sign_of_life(void *arg);

/* It takes too long to become ready. A stop would be somebody's wish: this is its failure. */
static void
init_timed_out(void *arg)
{
	struct server *server = arg;

	server->phase = SERVER_LEAVING;
	live_order_stop(server->live, STOP_TIMEOUT, STOP_OWN_GRACE);
}

void
plain_add(struct server *server, const struct service *service, int64_t init_timeout_ms)
{
	struct plain *plain = xcalloc(1, sizeof(*plain));

	plain->server = server;
	plain->service = *service;
	plain->init_timeout_ms = init_timeout_ms;
	plain->watchdog = (struct timer){ .fire = no_sign_of_life, .arg = plain };
	server->timer.fire = init_timed_out;
	server->plain = plain;
}

void
plain_done(struct server *server)
{
	struct plain *plain = server->plain;

	if (plain == NULL)
		return;
	plain_unwatch(plain);
	loop_remove(server->supervisor->loop, plain->watch);
	free(plain);
	server->plain = NULL;
}

static enum stop_cause
cause_of(struct reason stop)
{
	return stop.kind == REASON_CANCELLED ? STOP_CANCELLED : STOP_INTERRUPTED;
}

void
plain_attach(struct server *server, const struct open_attempt *open)
{
	struct live *live = server->live;

	/* What more it had asked for died with whom it told: it has all of its time again. */
	plain_add(server, &open->service, open->init_timeout_ms);
	server->phase = open->is_ready ? SERVER_READY : SERVER_INIT;
	if (live->has_ended)
		return;
	if (open->stop.kind != REASON_NONE) {
		server->phase = SERVER_LEAVING;
		live->is_being_ended = true;
		live_order_stop(live, cause_of(open->stop), STOP_OWN_GRACE);
	}
	if (live->is_started)
		plain_started(server);
}

bool
plain_survives(const struct open_attempt *open)
{
	return open->is_plain && (open->is_ready || open->service.ready == READY_EXEC);
}

/* ---- it becomes ready ---- */

void
plain_started(struct server *server)
{
	struct plain *plain = server->plain;
	struct live *live = server->live;

	if (live->has_ended)
		return;
	plain_listen(plain);
	if (plain->service.ready == READY_FD)
		talk_listen(live);
	if (server->phase == SERVER_READY)
		plain_lives(plain); /* the time in which nobody listened does not count */
	else if (plain->service.ready == READY_EXEC)
		plain_is_ready(server);
	else if (server->phase == SERVER_INIT && plain->init_timeout_ms != SPEC_UNSET)
		loop_timer_set(live->supervisor->loop, &server->timer, plain->init_timeout_ms);
}

void
plain_is_ready(struct server *server)
{
	if (server->phase != SERVER_INIT)
		return;
	loop_timer_remove(server->supervisor->loop, &server->timer);
	server_is_ready(server);
	plain_lives(server->plain);
}

bool
plain_takes_line(struct server *server)
{
	if (server->plain == NULL || server->plain->service.ready != READY_FD)
		return false;
	if (server->phase == SERVER_INIT)
		server->live->has_notes = true;
	plain_is_ready(server);
	return true;
}

void
plain_recorded(struct server *server)
{
	plain_release(server->plain);
	if (server->live->channel != NULL)
		channel_release(server->live->channel);
}

/* ---- signs of life ---- */

void
plain_lives(struct plain *plain)
{
	struct server *server = plain->server;

	plain->alive = clock_mono();
	if (plain->service.watchdog_ms != -1 && !plain->is_stopping &&
	    server->phase == SERVER_READY &&
	    !server->live->is_being_ended && !server->live->has_ended)
		loop_timer_set(server->supervisor->loop, &plain->watchdog,
		    plain->service.watchdog_ms);
}

void
plain_unwatch(struct plain *plain)
{
	loop_timer_remove(plain->server->supervisor->loop, &plain->watchdog);
}

void
plain_is_stuck(struct plain *plain)
{
	struct server *server = plain->server;
	struct live *live = server->live;
	char span[32];

	if (live->is_being_ended || live->has_ended)
		return;
	text_format_duration(span, sizeof(span), plain->service.watchdog_ms);
	log_warn("job=%" PRId64 " watchdog: no sign of life for %s", live->key.job, span);
	turn_add_event(live->supervisor, live->key.job, live->key.attempt, "watchdog",
	    xasprintf("no sign of life for %s", span));
	live->is_being_ended = true;
	server->phase = SERVER_LEAVING;
	live_order_stop(live, STOP_WATCHDOG, STOP_OWN_GRACE);
}

/*
 * The loop's timers count the time of a machine that sleeps, in which nobody can give a sign;
 * and what was said behind something that is not recorded yet we have not heard.
 */
static void
no_sign_of_life(void *arg)
{
	struct plain *plain = arg;
	struct loop *loop = plain->server->supervisor->loop;
	int64_t left_ms;

	plain_hear(plain);
	if (plain->is_stopping)
		return;
	left_ms = plain->alive.ms + plain->service.watchdog_ms - clock_mono().ms;
	if (plain->holds && left_ms <= 0)
		left_ms = plain->service.watchdog_ms;
	if (left_ms > 0 && plain->server->phase == SERVER_READY)
		loop_timer_set(loop, &plain->watchdog, left_ms);
	else if (plain->server->phase == SERVER_READY)
		plain_is_stuck(plain);
}

/* ---- the end ---- */

void
plain_stop(struct server *server, int64_t grace_ms)
{
	struct live *live = server->live;

	if (live->has_ended)
		return;
	server->phase = SERVER_LEAVING;
	loop_timer_remove(server->supervisor->loop, &server->timer);
	plain_unwatch(server->plain);
	live->is_being_ended = true;
	live_order_stop(live, STOP_INTERRUPTED, grace_ms >= 0 ? grace_ms : STOP_OWN_GRACE);
}

void
plain_last_words(struct server *server, bool was_there)
{
	struct plain *plain = server->plain;

	plain_unwatch(plain);
	plain_hear_last(plain);
	if (was_there && plain->service.ready == READY_EXEC)
		plain_is_ready(server);
}

/* ---- messages ---- */

bool
plain_refuses(const struct server *server, struct caller caller)
{
	if (server == NULL || server->plain == NULL)
		return false;
	router_answer_error(caller, STATUS_STATE, PLAIN_NO_MAILBOX, NULL);
	return true;
}
