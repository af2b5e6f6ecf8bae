/* again: the verbs that start a server anew, and that forget what has ended. */

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	result = client_call(connection, "stop", params, NULL, error);
	if (result == NULL && error->code != STATUS_NOT_FOUND)
		return -1;
	json_decref(result);
	return 0;
}

int
verb_restart(struct invocation *invocation)
{
	struct client_connection connection;
	int status = client_connect(invocation, &connection);
	json_t *result = NULL;
	struct error error;

	if (status != STATUS_OK)
		return status;
	if (stop(invocation, &connection, &error) == 0)
		result = client_call(&connection, "start",
		    json_pack("{s:s}", "name", invocation->arguments[0]), NULL, &error);
	client_close(&connection);
	if (result == NULL)
		return cli_complain(error.code, "%s: %s", invocation->arguments[0], error.text);
	status = server_print_started(invocation, result);
	json_decref(result);
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
