/*
 * gauge: how many messages wait in the mailboxes that are in memory, and when the last one
 * came, for those who read the database: written once a second while there is something to
 * tell, and once after that. Servers to which nothing comes cause no wake-up.
 */

#include "supervisor/server.h"

#define GAUGE_MS 1000

static void
write_gauge(struct server *server)
{
	struct step *step = turn_add(server->supervisor, STEP_GAUGE, NULL, NULL);

	step->gauge.key = server->live->key;
	step->gauge.mailbox = server->is_durable ? -1 : router_mailbox(server);
	step->gauge.age_ms = server->last_message.ms == 0
	    ? -1
	    : clock_mono().ms - server->last_message.ms;
}

static void
gauge_due(void *arg)
{
	struct supervisor *supervisor = arg;
	struct server *server;

	/* Old numbers are not worth to be gathered. */
	if (supervisor->answer != STORE_OK) {
		loop_timer_set(supervisor->loop, &supervisor->servers->gauge_timer, GAUGE_MS);
		return;
	}
	while ((server = TAILQ_FIRST(&supervisor->servers->gauged)) != NULL) {
		gauge_forget(server);
		write_gauge(server);
	}
}

void
gauge_changed(struct server *server)
{
	struct supervisor *supervisor = server->supervisor;
	struct server_table *servers = supervisor->servers;

	if (server->is_gauged || server->live == NULL)
		return;
	server->is_gauged = true;
	TAILQ_INSERT_TAIL(&servers->gauged, server, gauged);
	if (!timer_is_set(&servers->gauge_timer))
		loop_timer_set(supervisor->loop, &servers->gauge_timer, GAUGE_MS);
}

void
gauge_sent(struct server *server)
{
	server->last_message = clock_mono();
	gauge_changed(server);
}

void
gauge_last(struct server *server)
{
	if (server->is_gauged)
		write_gauge(server);
	gauge_forget(server);
}

void
gauge_forget(struct server *server)
{
	if (server->is_gauged)
		TAILQ_REMOVE(&server->supervisor->servers->gauged, server, gauged);
	server->is_gauged = false;
}

void
gauge_init(struct supervisor *supervisor)
{
	TAILQ_INIT(&supervisor->servers->gauged);
	supervisor->servers->gauge_timer =
	    (struct timer){ .fire = gauge_due, .arg = supervisor };
}

void
gauge_done(struct supervisor *supervisor)
{
	loop_timer_remove(supervisor->loop, &supervisor->servers->gauge_timer);
}
