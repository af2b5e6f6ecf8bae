/*
 * gen_server: a process is a server: init, then one message after another until it ends.
 * jobberd-protocol(7), SERVERS, is what it speaks.
 */

#include "runtime/runtime.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

/* For the next message; whatever else may come. */
static void
wait_idle(struct gen_server *server)
{
	int64_t idle_ms = server->idle_timeout_ms, until_ms = -1;
	enum stream_event event = STREAM_BYTES;

	if (server->hibernates) {
		if (server->in.length == 0)
			buf_done(&server->in);
		buf_done(&server->out);
		malloc_trim(0);
	}
	if (idle_ms != GEN_NO_TIMEOUT)
		until_ms = clock_mono().ms + idle_ms + (idle_ms > 0); /* never early */
	while (TAILQ_EMPTY(&server->queue) && event == STREAM_BYTES)
		event = mailbox_wait(server, until_ms);
	if (event == STREAM_TIMEOUT && idle_ms != GEN_NO_TIMEOUT)
		dispatch_idle(server);
}

/* Supervisor and keeper are gone: what a link to a killed parent is. */
static void
end_orphaned(struct gen_server *server)
{
	struct ending ending = { .reason = json_string("killed") };

	if (!server->traps_exit) {
		json_decref(ending.reason);
		server->is_ending = true;
	} else
		server_end(server, &ending);
}

static void
serve(struct gen_server *server)
{
	struct message *message;

	while (!server->is_ending) {
		/* What a durable server would handle now it could not commit. */
		if (server->is_at_end && (server->is_durable || !server->traps_exit))
			end_orphaned(server);
		else if (server->continue_with != NULL)
			dispatch_continue(server);
		else if ((message = mailbox_pop(server)) != NULL) {
			dispatch_message(server, message);
			message_free(message);
		} else if (server->is_at_end)
			end_orphaned(server);
		else
			wait_idle(server);
	}
}

json_t *
words_to_json(int argc, char **argv)
{
	json_t *arguments = json_array();

	for (int i = 1; i < argc; i++)
		json_array_append_new(arguments, json_text(argv[i]));
	return arguments;
}

static int64_t
integer_param(const struct gen_server *server, const char *name, int64_t otherwise)
{
	const json_t *value = json_object_get(server->init_params, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void
begin(struct gen_server *server, int argc, char **argv)
{
	const json_t *params = server->init_params;
	const char *name = json_string_value(json_object_get(params, "name"));
	json_t *arguments = json_object_get(params, "args");

	free(server->name);
	server->name = xstrdup(name != NULL ? name : "server");
	server->id = integer_param(server, "id", 0);
	server->attempt = integer_param(server, "attempt", 1);
	server->is_durable = json_is_true(json_object_get(params, "durable"));
	arguments = json_is_array(arguments) ? json_incref(arguments) : words_to_json(argc, argv);
	dispatch_init(server, arguments, json_object_get(params, "state"));
	json_decref(arguments);
	/* The state that was loaded may be large. */
	json_object_del(server->init_params, "state");
}

static void
server_done(struct gen_server *server)
{
	struct message *message;

	while ((message = TAILQ_FIRST(&server->queue)) != NULL) {
		TAILQ_REMOVE(&server->queue, message, entry);
		message_free(message);
	}
	answers_done(server);
	durable_discard(server);
	json_decref(server->continue_with);
	json_decref(server->consumed);
	json_decref(server->ended_tasks);
	json_decref(server->links);
	json_decref(server->init_id);
	json_decref(server->init_params);
	json_decref(server->init_answer);
	buf_done(&server->in);
	buf_done(&server->out);
	close(server->fd);
	free(server->name);
	free(server);
}

int
gen_server_run(const struct gen_server_ops *ops, int fd, int argc, char **argv)
{
	struct gen_server *server = xcalloc(1, sizeof(*server));
	int status;

	server->ops = ops;
	server->fd = fd;
	server->name = xstrdup(ops->name != NULL ? ops->name : "server");
	server->ended_tasks = json_object();
	server->idle_timeout_ms = GEN_NO_TIMEOUT;
	TAILQ_INIT(&server->queue);
	TAILQ_INIT(&server->at_work);
	fcntl(fd, F_SETFD, FD_CLOEXEC); /* who else has it would outlive us on it */
	while (server->init_id == NULL && !server->is_at_end)
		mailbox_wait(server, -1);
	if (server->init_id != NULL) {
		begin(server, argc, argv);
		serve(server);
	}
	status = server->is_at_end || server->is_unheard ? EX_SOFTWARE : EX_OK;
	server_done(server);
	return status;
}

int
gen_server_main(const struct gen_server_ops *ops, int argc, char **argv)
{
	const char *text = getenv("JOBBERD_FD");
	int64_t fd;

	if (text == NULL || text_number(text, 0, 1 << 20, &fd) == -1 ||
	    fcntl((int)fd, F_GETFD) == -1) {
		log_error("%s is a server: it is started with jobberd start",
		    argc > 0 ? argv[0] : "this");
		return EX_SOFTWARE;
	}
	return gen_server_run(ops, (int)fd, argc, argv);
}

/* ---- who we are ---- */

const char *
gen_name(const struct gen_server *server)
{
	return server->name;
}

int64_t
gen_id(const struct gen_server *server)
{
	return server->id;
}

int64_t
gen_attempt(const struct gen_server *server)
{
	return server->attempt;
}

bool
gen_is_durable(const struct gen_server *server)
{
	return server->is_durable;
}

void
server_tell_trap_exit(struct gen_server *server)
{
	server->trap_exit_was_told = true;
	notify(server, "trap_exit", json_pack("{s:b}", "on", (int)server->traps_exit));
}

void
gen_trap_exit(struct gen_server *server, bool traps)
{
	if (server->traps_exit == traps)
		return;
	server->traps_exit = traps;
	stream_trap_sigterm(traps);
	/* Before that, the answer to `init` says it. */
	if (server->init_answer != NULL)
		server_tell_trap_exit(server);
}
