/* log: what a job wrote, as it is or as it comes. */

#include "base/text.h"
#include "cli/cli.h"
#include "cli/follow.h"
#include "cli/outfile.h"
#include "store/query.h"

#include <inttypes.h>

/* The job and the attempt that are meant; attempt 0: it has not run yet. 0 or -1. */
static int
find_attempt(const struct invocation *invocation, int64_t *ret_job, int64_t *ret_attempt,
    struct error *error)
{
	const char *word =
	    invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	int64_t wanted = option_number(invocation, "attempt", 1, INT64_MAX, 0), last = 0;
	struct query *query = query_open(invocation->state, error);
	char quoted[256];
	int result = -1;

	if (query == NULL && error->code == STATUS_NOT_FOUND && word != NULL)
		return error_set(error, STATUS_NOT_FOUND, "there is no job %s",
		    text_quote(quoted, sizeof(quoted), word));
	if (query == NULL && error->code == STATUS_NOT_FOUND)
		return error_set(error, STATUS_NOT_FOUND, "no job has been run yet");
	if (query != NULL)
		result = word != NULL ? query_find_job(query, word, ret_job, error)
				      : query_latest_run(query, ret_job, error);
	if (result == 0)
		result = query_last_attempt(query, *ret_job, &last, error);
	if (result == 0 && wanted > last)
		result = error_set(error, STATUS_NOT_FOUND,
		    "job %" PRId64 " has no attempt %" PRId64, *ret_job, wanted);
	*ret_attempt = wanted > 0 ? wanted : last;
	query_close(query);
	return result;
}

static void
print_once(const struct invocation *invocation, int64_t job, int64_t attempt)
{
	struct outfile file;

	outfile_open(&file, invocation->state, job, attempt);
	outfile_print(&file, true);
	outfile_close(&file);
}

static int
follow_job(const struct invocation *invocation, struct client_connection *connection,
    int64_t job, int64_t attempt)
{
	struct follow follow = {
		.state = invocation->state,
		.connection = connection,
		.job = job,
		.attempt = attempt,
	};
	json_t *ended = NULL;
	struct error error;
	enum follow_end end = follow_output(&follow, &ended, &error);

	if (end == FOLLOW_ENDED) {
		json_decref(ended);
		return STATUS_OK;
	}
	return error.code == STATUS_NOT_RUNNING ? cli_not_running(invocation)
						: cli_fail(&error);
}

int
verb_log(struct invocation *invocation)
{
	struct client_connection connection;
	int64_t job = 0, attempt = 0;
	struct error error;
	int status = STATUS_OK;

	if (find_attempt(invocation, &job, &attempt, &error) == -1)
		return cli_fail(&error);
	if (!option_is_given(invocation, "follow")) {
		if (attempt > 0)
			print_once(invocation, job, attempt);
		return STATUS_OK;
	}
	if (client_open(&connection, invocation->state, &error) == 0) {
		status = follow_job(invocation, &connection, job, attempt);
		client_close(&connection);
	} else if (error.code != STATUS_NOT_RUNNING)
		status = cli_fail(&error);
	else if (attempt > 0)
		print_once(invocation, job, attempt);
	return status;
}
