/*
 * exact_sum: a durable counter that passes on what it counts to another, under kills of every
 * process around it. Whatever was accepted is counted once, and passed on once: no message is
 * lost, none is applied twice, none is sent twice or not at all.
 *
 * Every message kept has a number of its own, in order and without a gap, so how many were
 * accepted is known exactly, also of those whose acknowledgement died with its writer.
 *
 * SEEDS, KILLS: how often, and how many kills each time. `make chaos` is the long form.
 */

#include "base/clock.h"
#include "base/xalloc.h"
#include "cli/client.h"
#include "support/helper.h"
#include "support/outside.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNTER SERVERS_DIRECTORY "/counter"
#define CLIENTS 3
#define MOST_BETWEEN_KILLS 60 /* acknowledgements */
#define USUAL_SEEDS (IS_SANITIZED ? 8 : 20)

struct scene {
	struct instance instance;
	uint32_t random;
	int64_t killed_ms[2][3]; /* c and d: when, the last times */
	pid_t clients[CLIENTS];
	int acks; /* a byte for each acknowledgement */
	int stop; /* closed: the clients end */
	int64_t acknowledged;
};

static uint32_t
pick(struct scene *scene, uint32_t below)
{
	scene->random = scene->random * 1664525 + 1013904223;
	return (scene->random >> 8) % below;
}

static int64_t
setting(const char *name, int64_t otherwise)
{
	return getenv(name) != NULL ? atoll(getenv(name)) : otherwise;
}

/* ---- the clients, in processes of their own ---- */

static bool
is_over(int stop)
{
	struct pollfd wanted = { .fd = stop, .events = POLLIN };

	return poll(&wanted, 1, 0) == 1;
}

/* Cast until told to stop; whoever answers is as good as any other. */
static void
be_client(const char *state, int acks, int stop)
{
	struct client_connection connection = { .fd = -1 };
	struct error error;

	while (!is_over(stop)) {
		json_t *result;

		if (connection.fd == -1 && client_open(&connection, state, &error) == -1) {
			struct pollfd until_stopped = { .fd = stop, .events = POLLIN };

			poll(&until_stopped, 1, 1); /* nobody listens: again in a moment */
			connection.fd = -1;
			continue;
		}
		result = client_call(&connection, "cast",
		    json_pack("{s:s, s:[s, s, i]}", "to", "c", "message", "pass", "d", 1), NULL,
		    &error);
		if (result != NULL && write(acks, "", 1) != 1)
			_exit(1);
		if (connection.is_lost)
			client_close(&connection);
		json_decref(result);
	}
	_exit(0);
}

static void
start_clients(struct scene *scene)
{
	int acks[2], stop[2];

	assert_int_equal(pipe2(acks, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	for (int i = 0; i < CLIENTS; i++) {
		scene->clients[i] = fork();
		assert_int_not_equal(scene->clients[i], -1);
		if (scene->clients[i] == 0) {
			close(stop[1]);
			close(acks[0]);
			be_client(scene->instance.state, acks[1], stop[0]);
		}
	}
	close(acks[1]);
	close(stop[0]);
	scene->acks = acks[0];
	scene->stop = stop[1];
}

static void
stop_clients(struct scene *scene)
{
	char bytes[4096];
	ssize_t got;
	int status;

	close(scene->stop);
	while ((got = read(scene->acks, bytes, sizeof(bytes))) > 0)
		scene->acknowledged += got;
	close(scene->acks);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(waitpid(scene->clients[i], &status, 0), scene->clients[i]);
		assert_int_equal(status, 0);
	}
}

static void
await_acks(struct scene *scene, uint32_t count)
{
	struct pollfd wanted = { .fd = scene->acks, .events = POLLIN };
	char byte;

	for (; count > 0; count--) {
		if (poll(&wanted, 1, PATIENCE_MS) != 1)
			fail_msg("nothing is acknowledged any more");
		assert_int_equal(read(scene->acks, &byte, 1), 1);
		scene->acknowledged++;
	}
}

/* ---- the kills ---- */

/* A server that is killed more than three times in five seconds is given up. */
static bool
may_be_killed(struct scene *scene, const char *name)
{
	int64_t *times = scene->killed_ms[name[0] - 'c'], now = clock_mono().ms;

	if (times[0] != 0 && now - times[0] < 7000)
		return false;
	memmove(times, times + 1, 2 * sizeof(times[0]));
	times[2] = now;
	return true;
}

static void
kill_server(struct scene *scene, const char *name)
{
	char *query = xasprintf("SELECT pid FROM attempts a JOIN jobs j ON j.id = a.job_id "
				"WHERE j.name = '%s' AND a.ended_at IS NULL AND pid IS NOT NULL",
	    name);
	char *pid = may_be_killed(scene, name) ? sql(&scene->instance, query) : xstrdup("");

	if (pid[0] != '\0')
		kill(atoi(pid), SIGKILL);
	free(pid);
	free(query);
}

static void
kill_keeper(struct scene *scene)
{
	instance_kill_keeper(&scene->instance);
	instance_start(&scene->instance, NULL);
}

static void
kill_something(struct scene *scene)
{
	switch (pick(scene, 6)) {
	case 0:
		kill_keeper(scene);
		break;
	case 1: /* all of them */
		kill_server(scene, "c");
		kill_server(scene, "d");
		kill_keeper(scene);
		break;
	case 2:
		kill_server(scene, "c");
		break;
	case 3:
		kill_server(scene, "d");
		break;
	default:
		instance_kill_supervisor(&scene->instance);
		break;
	}
}

/* ---- the account ---- */

/* It may be just being started again, or be killed at this very moment. */
static int64_t
count_of(struct scene *scene, const char *name)
{
	struct result result;
	int64_t count;
	int tries = 0;

	for (;;) {
		result = jobberd(
		    &scene->instance, "call", "--timeout", "60s", name, "get", NULL);
		count = atoll(result.out);
		if (result.status == 0)
			break;
		if ((result.status != 70 && result.status != 75) || ++tries == 1000)
			fail_msg("call %s: exit %d, %s", name, result.status, result.err);
		result_done(&result);
	}
	result_done(&result);
	return count;
}

/* A call is behind what waited before it, but not behind what another server then sends. */
static void
await_empty_mailboxes(struct scene *scene)
{
	while (sql_number(&scene->instance, "SELECT count(*) FROM messages") > 0) {
		count_of(scene, "c");
		count_of(scene, "d");
	}
}

static void
check_sums(struct scene *scene)
{
	int64_t kept, c, d;

	await_empty_mailboxes(scene);
	kept = sql_number(
	    &scene->instance, "SELECT seq FROM sqlite_sequence WHERE name = 'messages'");
	c = count_of(scene, "c");
	d = count_of(scene, "d");
	/* Each was kept twice: for c, and, passed on, for d. */
	if (c != d || 2 * c != kept || c < scene->acknowledged ||
	    c > scene->acknowledged + CLIENTS * setting("KILLS", 10))
		fail_msg("%" PRId64 " acknowledged, %" PRId64 " kept, c has %" PRId64
			 ", d has %" PRId64, scene->acknowledged, kept, c, d);
}

static void
start_counter(struct scene *scene, const char *name)
{
	struct result result = jobberd(&scene->instance, "start", "--durable",
	    "--max-redeliveries", "inf", name, "--", COUNTER, NULL);

	assert_int_equal(result.status, 0);
	result_done(&result);
}

static void
run_seed(uint32_t seed)
{
	struct scene scene = { .random = seed };
	int64_t kills = setting("KILLS", 10);

	instance_init(&scene.instance);
	instance_start(&scene.instance, NULL);
	start_counter(&scene, "c");
	start_counter(&scene, "d");
	start_clients(&scene);
	for (int64_t i = 0; i < kills; i++) {
		await_acks(&scene, pick(&scene, MOST_BETWEEN_KILLS));
		kill_something(&scene);
	}
	stop_clients(&scene);
	check_sums(&scene);
	instance_finish(&scene.instance);
}

static void
sum_is_exact_whatever_is_killed(void **state)
{
	int64_t first = setting("SEED", 1), seeds = setting("SEEDS", USUAL_SEEDS);

	(void)state;
	for (int64_t seed = first; seed < first + seeds; seed++) {
		print_message("seed %" PRId64 "\n", seed);
		run_seed((uint32_t)seed * 2654435761u);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum_is_exact_whatever_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
