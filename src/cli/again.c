/* again: the verbs that start a server anew, and that forget what has ended. */

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- jobs that are no servers ---- */

/* What the one result of a change says: 0, or -1 with *error. */
static int
read_result(json_t *answer, struct error *error)
{
	const json_t *result = json_array_get(json_object_get(answer, "results"), 0);
	const char *words = json_string_value(json_object_get(result, "error"));

	if (words == NULL)
		return 0;
	return error_set(
	    error, (int)json_integer_value(json_object_get(result, "code")), "%s", words);
}

static int
change_job(struct client_connection *connection, const char *method, int64_t job,
    struct error *error)
{
	json_t *answer = client_call(
	    connection, method, json_pack("{s:[I]}", "ids", (json_int_t)job), NULL, error);
	int result = answer != NULL ? read_result(answer, error) : -1;

	json_decref(answer);
	return result;
}

int
again_end_job(struct client_connection *connection, int64_t job, struct error *error)
{
	json_t *answer;

	if (change_job(connection, "cancel", job, error) == -1 && error->code != STATUS_STATE)
		return -1;
	answer = client_call(connection, "wait",
	    json_pack("{s:[I]}", "ids", (json_int_t)job), NULL, error);
	json_decref(answer);
	return answer != NULL ? 0 : -1;
}

/* The command that is meant, 0: none is, but perhaps a server. */
static int64_t
find_command(const struct invocation *invocation)
{
	struct subject subject;
	struct error error;
	const char *kind;
	int64_t job = 0;

	if (subject_open(&subject, invocation, &error) == -1)
		return 0;
	kind = rows_text(subject.row, "kind");
	if (kind != NULL && strcmp(kind, "command") == 0)
		job = subject.job;
	subject_close(&subject);
	return job;
}

int
again_stop_command(const struct invocation *invocation, struct client_connection *connection)
{
	int64_t job = find_command(invocation);
	struct error error;

	if (job == 0)
		return -1;
	return again_end_job(connection, job, &error) == 0 ? STATUS_OK : cli_fail(&error);
}

int
again_start_command(const struct invocation *invocation, struct client_connection *connection)
{
	int64_t job = find_command(invocation);
	struct error error;

	if (job == 0)
		return -1;
	if (change_job(connection, "retry", job, &error) == -1)
		return cli_fail(&error);
	cli_print_id(invocation, job);
	return STATUS_OK;
}

/* ---- restart ---- */

/* It stops, unless it does not run. 0, or -1 with *error. */
static int
stop(const struct invocation *invocation, struct client_connection *connection,
    struct error *error)
{
	const char *timeout = option_value(invocation, "timeout");
	json_t *params = json_pack(
	    "{s:s, s:s}", "to", invocation->arguments[0], "reason", "shutdown");
	json_t *result;

	if (timeout != NULL)
		json_object_set_new(params, "timeout_ms",
		    json_integer(option_duration(invocation, "timeout", -1)));
	result = client_call_again(connection, "stop", params, NULL, error);
	if (result == NULL && error->code != STATUS_NOT_FOUND)
		return -1;
	json_decref(result);
	return 0;
}

static int
restart_server(const struct invocation *invocation, struct client_connection *connection)
{
	json_t *result = NULL;
	struct error error;
	int status;

	if (stop(invocation, connection, &error) == 0)
		result = client_call_again(connection, "start",
		    json_pack("{s:s}", "name", invocation->arguments[0]), NULL, &error);
	if (result == NULL)
		return cli_complain(error.code, "%s: %s", invocation->arguments[0], error.text);
	status = server_print_started(invocation, result);
	json_decref(result);
	return status;
}

int
verb_restart(struct invocation *invocation)
{
	struct client_connection connection;
	int status = client_connect(invocation, &connection);

	if (status != STATUS_OK)
		return status;
	if (find_command(invocation) != 0) {
		status = again_stop_command(invocation, &connection);
		if (status == STATUS_OK)
			status = again_start_command(invocation, &connection);
	} else
		status = restart_server(invocation, &connection);
	client_close(&connection);
	return status;
}

/* ---- delete ---- */

static int
delete_job(const struct invocation *invocation, int64_t job)
{
	struct client_connection connection;
	int status = client_connect(invocation, &connection);
	json_t *result;
	struct error error;

	if (status != STATUS_OK)
		return status;
	result = client_call(&connection, "delete",
	    json_pack("{s:I}", "id", (json_int_t)job), NULL, &error);
	client_close(&connection);
	if (result == NULL)
		return cli_fail(&error);
	json_decref(result);
	return STATUS_OK;
}

int
verb_delete(struct invocation *invocation)
{
	struct subject subject;
	struct error error;
	int64_t job;

	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	job = subject.job;
	subject_close(&subject);
	return delete_job(invocation, job);
}
