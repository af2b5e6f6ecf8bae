/* serve: the verbs that run, end and describe the processes; and a supervise in the background. */

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/database.h"
#include "cli/serve.h"
#include "keeper/keeper.h"
#include "keeper/lock.h"
#include "keeper/spawn.h"
#include "model/spec.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEPER_PATIENCE_MS 1000
#define STILL_WAITS_MS 1000
#define LINGER "10s" /* for whoever has started one in the background to come to it */
#define MOST_ASKED 20 /* supervisor processes that die before they have stopped */

/*
 * What ps(1) and top(1) call the two, however the program was started: the kernel would name
 * the second for /proc/self/exe. It keeps 15 bytes of a name.
 */
#define KEEPER_NAME "jobberd"
#define SUPERVISOR_NAME "jobberd-supervisor"

/* Descriptors 0 to 2 exist, so that no file of ours becomes one of them. */
static void
ensure_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd != -1 && fd <= STDERR_FILENO);
	if (fd != -1)
		close(fd);
}

static void
print_ready(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

static bool
is_job(const char *word)
{
	int64_t id;

	return text_is_name(word) || text_number(word, 1, SPEC_LARGEST_ID, &id) == 0;
}

int
verb_supervise(struct invocation *invocation)
{
	const char *max_children = option_value(invocation, "max-children");
	const char *exit_with = option_value(invocation, "exit-with");
	const char *arguments[14] = { "jobberd", "-C", invocation->state, "_supervisor" };
	struct keeper_setup setup = {
		.state_directory = invocation->state,
		.program = "/proc/self/exe",
		.arguments = (char *const *)arguments,
		.behaviours = invocation->behaviours,
		.ready = print_ready,
		.passes_signals = exit_with != NULL,
	};
	struct error error = { 0 };
	size_t count = 4;
	char since[32], linger[32];
	int status;

	option_number(invocation, "max-children", 0, 100000, -1); /* a bad one ends here */
	prctl(PR_SET_NAME, KEEPER_NAME);
	if (option_is_given(invocation, "drain"))
		arguments[count++] = "--drain";
	else if (option_is_given(invocation, "linger"))
		return cli_complain(STATUS_USAGE, "linger: only with drain");
	if (option_is_given(invocation, "linger")) {
		snprintf(linger, sizeof(linger), "%" PRId64,
		    option_duration(invocation, "linger", 0));
		arguments[count++] = "--linger";
		arguments[count++] = linger;
	}
	if (max_children != NULL) {
		arguments[count++] = "--max-children";
		arguments[count++] = max_children;
	}
	if (exit_with != NULL) {
		if (!is_job(exit_with))
			return cli_complain(
			    STATUS_USAGE, "exit-with: \"%s\" is no job's name", exit_with);
		snprintf(since, sizeof(since), "%" PRId64, clock_wall().ms);
		arguments[count++] = "--exit-with";
		arguments[count++] = exit_with;
		arguments[count++] = "--since";
		arguments[count++] = since;
	}
	ensure_standard_descriptors();
	umask(077);
	if (file_make_directories(invocation->state) == -1) {
		error_set_errno(&error, STATUS_CONFIG, "%s", invocation->state);
		return cli_fail(&error);
	}
	status = keeper_run(&setup, &error);
	if (status != STATUS_OK && error.text[0] != '\0')
		return cli_fail(&error);
	return status;
}

int
verb_supervisor_process(struct invocation *invocation)
{
	struct supervisor_setup setup = {
		.state_directory = invocation->state,
		.drains = option_is_given(invocation, "drain"),
		.linger_ms = option_number(invocation, "linger", 0, INT64_MAX, 0),
		.max_children = option_number(invocation, "max-children", 0, 100000, -1),
		.exit_with = option_value(invocation, "exit-with"),
		.keeper_since_ms = option_number(invocation, "since", 0, INT64_MAX, 0),
		.link_fd = KEEPER_LINK_FD,
		.listen_fd = KEEPER_LISTEN_FD,
	};
	struct error error = { 0 };
	int status;

	prctl(PR_SET_NAME, SUPERVISOR_NAME);
	/* The lock is held by being open; none of the three goes further than here. */
	for (int fd = KEEPER_LINK_FD; fd < KEEPER_LINK_FD + KEEPER_FD_COUNT; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			return cli_complain(
			    STATUS_USAGE, "this verb is for `supervise` itself");
	}
	status = supervisor_run(&setup, &error);
	if (error.text[0] != '\0')
		log_error("%s", error.text);
	return status;
}

/* Servers cannot be left: they end with their stream. The next supervise starts them again. */
static void
tell_leaving(json_int_t jobs, json_int_t servers)
{
	fprintf(stderr, "leaving: %" JSON_INTEGER_FORMAT " running job%s", jobs,
	    jobs == 1 ? " runs on" : "s run on");
	if (servers > 0)
		fprintf(stderr, ", %" JSON_INTEGER_FORMAT " server%s", servers,
		    servers == 1 ? " ends" : "s end");
	fputc('\n', stderr);
}

/* How its jobs end is recorded before it goes. Once: that this cannot be done. */
static bool
tell_what_keeps_it(const char *state)
{
	json_t *status = client_status(state, NULL);
	const char *database = json_string_value(json_object_get(status, "database"));
	bool is_kept = database != NULL && strcmp(database, "ok") != 0;

	if (is_kept && database_is_missing(state))
		cli_complain(STATUS_TRY_LATER,
		    "still waiting to record what has ended: %s/jobberd.db is gone: put it back",
		    state);
	else if (is_kept)
		cli_complain(STATUS_TRY_LATER, "still waiting to record what has ended: %s",
		    database);
	json_decref(status);
	return is_kept;
}

static void
wait_for_its_end(const struct client_connection *connection)
{
	struct pollfd wanted = { .fd = connection->fd, .events = POLLIN };
	bool is_told = false;
	char byte;

	for (;;) {
		int ready = poll(&wanted, 1, is_told ? -1 : STILL_WAITS_MS);

		if (ready == 0)
			is_told = tell_what_keeps_it(connection->state_directory);
		else if (ready == 1 && read(connection->fd, &byte, 1) <= 0)
			return;
	}
}

/* One request, and the end of the connection, which is that of the supervisor process. */
static int
ask_to_leave(const struct invocation *invocation, struct client_connection *connection,
    bool *is_told, struct error *error)
{
	bool leaves = option_is_given(invocation, "leave");
	json_t *result = client_call(connection, "shutdown",
	    json_pack("{s:b, s:b}", "leave", leaves, "now",
		option_is_given(invocation, "now")),
	    NULL, error);
	json_int_t running = json_integer_value(json_object_get(result, "running"));
	json_int_t servers = json_integer_value(json_object_get(result, "servers"));

	if (result == NULL)
		return connection->is_lost && !connection->is_silent ? 0 : -1;
	if (!*is_told && leaves)
		tell_leaving(running - servers, servers);
	else if (!*is_told)
		fprintf(stderr, "stopping: %" JSON_INTEGER_FORMAT " running job%s ended\n",
		    running, running == 1 ? " is" : "s are");
	*is_told = true;
	json_decref(result);
	wait_for_its_end(connection);
	return 0;
}

/* The keeper goes a moment after its supervisor process; if that has crashed, it does not. */
static bool
has_left(int keeper, int patience_ms)
{
	struct pollfd wanted = { .fd = keeper, .events = POLLIN };

	return keeper == -1 || poll(&wanted, 1, patience_ms) == 1;
}

int
verb_shutdown(struct invocation *invocation)
{
	struct client_connection connection;
	bool is_told = false;
	struct error error;
	int status = STATUS_OK, keeper, asked = 0;

	if (option_is_given(invocation, "leave") && option_is_given(invocation, "now"))
		return cli_complain(STATUS_USAGE, "leave, now: only one of them");
	keeper = lock_watch_holder(invocation->state);
	do {
		if (asked++ == MOST_ASKED)
			status = cli_complain(STATUS_TRY_LATER,
			    "the supervisor process dies again and again before it has stopped");
		else if (client_open(&connection, invocation->state, &error) == 0) {
			if (ask_to_leave(invocation, &connection, &is_told, &error) == -1)
				status = cli_fail(&error);
			client_close(&connection);
		} else if (error.code != STATUS_NOT_RUNNING)
			status = cli_fail(&error);
		else if (!is_told)
			status = cli_not_running(invocation);
		else
			has_left(keeper, -1);
	} while (status == STATUS_OK && !has_left(keeper, KEEPER_PATIENCE_MS));
	if (keeper != -1)
		close(keeper);
	return status;
}

/* ---- in the background ---- */

/* Its ready line, or its end, is all that is waited for. */
static void
wait_until_ready(int fd)
{
	char bytes[512];

	while (read(fd, bytes, sizeof(bytes)) == -1 && errno == EINTR)
		;
}

int
serve_in_background(const char *state_directory, struct error *error)
{
	const char *const arguments[] = { "jobberd", "-C", state_directory, "supervise", "--drain",
		"--linger", LINGER, NULL };
	char *path = xasprintf("%s/supervise.log", state_directory);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), pair[2];
	int result = -1;

	if (log == -1)
		error_set_errno(error, STATUS_RUN_FAILED, "%s", path);
	else if (pipe2(pair, O_CLOEXEC) == -1)
		error_set_errno(error, STATUS_RUN_FAILED, "pipe");
	else {
		result = spawn_detached(
		    "/proc/self/exe", (char *const *)arguments, pair[1], log);
		if (result == -1)
			error_set_errno(error, STATUS_RUN_FAILED, "cannot start supervise");
		close(pair[1]);
		if (result == 0)
			wait_until_ready(pair[0]);
		close(pair[0]);
	}
	if (log != -1)
		close(log);
	free(path);
	return result;
}
