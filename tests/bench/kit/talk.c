/* talk: requests over one open connection. A refused one ends the benchmark. */

#include "bench/kit/talk.h"
#include "cli/environment.h"
#include "model/spec_json.h"

#include <err.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#define PATIENCE_MS 60000

void
talk_open(struct client_connection *connection, const char *state)
{
	struct error error;

	if (client_open(connection, state, &error) == -1)
		errx(1, "%s", error.text);
}

void
talk_close(struct client_connection *connection)
{
	client_close(connection);
}

static json_t *
ask(struct client_connection *connection, const char *method, json_t *params)
{
	struct error error;
	json_t *result = client_call(connection, method, params, NULL, &error);

	if (result == NULL)
		errx(1, "%s: %s", method, error.text);
	return result;
}

static json_t *
job_json(const char *const *command, bool is_held)
{
	json_t *words = json_array();

	for (; *command != NULL; command++)
		json_array_append_new(words, json_string(*command));
	return is_held ? json_pack("{s:o, s:b}", "command", words, "hold", true)
		       : json_pack("{s:o}", "command", words);
}

/* As the command line does it: environment, umask and cwd go with every request. */
static json_t *
submit_params(json_t *jobs)
{
	struct strings basics = { 0 };
	char cwd[PATH_MAX];
	json_t *environment;

	environment_basics(&basics);
	environment = environment_to_json(&basics);
	strings_done(&basics);
	return json_pack("{s:o, s:o*, s:i, s:s}", "jobs", jobs, "environment",
	    environment, "umask", 022, "cwd",
	    getcwd(cwd, sizeof(cwd)) != NULL ? cwd : "/");
}

int64_t
talk_submit(struct client_connection *connection, const char *const *command)
{
	json_t *jobs = json_pack("[o]", job_json(command, false));
	json_t *result = ask(connection, "submit", submit_params(jobs));
	int64_t id =
	    json_integer_value(json_array_get(json_object_get(result, "ids"), 0));

	json_decref(result);
	return id;
}

void
talk_submit_held(struct client_connection *connection, const char *const *command,
    int count, int64_t *ret_ids)
{
	json_t *jobs = json_array(), *result, *ids;

	for (int i = 0; i < count; i++)
		json_array_append_new(jobs, job_json(command, true));
	result = ask(connection, "submit", submit_params(jobs));
	ids = json_object_get(result, "ids");
	for (int i = 0; i < count; i++)
		ret_ids[i] = json_integer_value(json_array_get(ids, (size_t)i));
	json_decref(result);
}

void
talk_release(struct client_connection *connection, const int64_t *ids, int count)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(list, json_integer(ids[i]));
	json_decref(ask(connection, "release", json_pack("{s:o}", "ids", list)));
}

void
talk_wait(struct client_connection *connection, int64_t id)
{
	json_decref(
	    ask(connection, "wait", json_pack("{s:[I]}", "ids", (json_int_t)id)));
}

void
talk_follow(struct client_connection *connection)
{
	json_decref(ask(connection, "follow", json_object()));
}

void
talk_await_change(struct client_connection *connection)
{
	struct rpc_message message;
	struct error error;

	if (client_receive(connection, PATIENCE_MS, true, &message, &error) == -1)
		errx(1, "%s", error.text);
	if (!connection->has_changed)
		errx(1, "nothing changed for %d s", PATIENCE_MS / 1000);
	connection->has_changed = false;
}
