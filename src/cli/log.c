/* log: what a job wrote, as it is or as it comes; of its last attempt, or of several. */

#include "base/text.h"
#include "cli/cli.h"
#include "cli/database.h"
#include "cli/follow.h"
#include "cli/logrange.h"
#include "model/output_name.h"
#include "store/query.h"

#include <inttypes.h>

#define MOST_LINES 1000000

static int
open_query(const struct invocation *invocation, const char *word, struct query **ret_query,
    struct error *error)
{
	char quoted[256];

	*ret_query = database_open(invocation->state, error);
	if (*ret_query != NULL)
		return 0;
	if (error->code == STATUS_NOT_FOUND && word != NULL)
		return error_set(error, STATUS_NOT_FOUND, "there is no job %s",
		    text_quote(quoted, sizeof(quoted), word));
	if (error->code == STATUS_NOT_FOUND)
		return error_set(error, STATUS_NOT_FOUND, "no job has been run yet");
	return -1;
}

/* The attempts that are meant; none, if it has not run yet. */
static int
choose_attempts(const struct invocation *invocation, struct query *query,
    struct log_range *range, struct error *error)
{
	int64_t wanted = option_number(invocation, "attempt", 1, INT64_MAX, 0), last = 0;

	if (query_last_attempt(query, range->job, &last, error) == -1)
		return -1;
	if (wanted > last)
		return error_set(error, STATUS_NOT_FOUND,
		    "job %" PRId64 " has no attempt %" PRId64, range->job, wanted);
	range->first = range->last = wanted > 0 ? wanted : last;
	if (option_is_given(invocation, "all") || option_is_given(invocation, "since"))
		range->first = last - OUTPUTS_KEPT_OF_COMMAND > 0
		    ? last - OUTPUTS_KEPT_OF_COMMAND
		    : 1;
	if (range->first == 0)
		range->first = 1;
	return 0;
}

/* The part of its output that is meant. 0 or -1. */
static int
choose_range(const struct invocation *invocation, struct log_range *range,
    struct error *error)
{
	const char *word =
	    invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	const char *since_text = option_value(invocation, "since");
	int64_t lines = option_number(invocation, "tail", 0, MOST_LINES, -1);
	struct wall since = { 0 };
	struct query *query = NULL;
	int result = 0;

	if (since_text != NULL)
		result = log_range_parse_since(since_text, clock_wall(), &since, error);
	if (result == 0)
		result = open_query(invocation, word, &query, error);
	if (result == 0)
		result = word != NULL ? query_find_job(query, word, &range->job, error)
				      : query_latest_run(query, &range->job, error);
	if (result == 0)
		result = choose_attempts(invocation, query, range, error);
	if (result == 0 && since_text != NULL)
		result = log_range_since(range, query, since, error);
	if (result == 0 && lines != -1)
		log_range_tail(range, lines);
	query_close(query);
	return result;
}

/* Nobody is there who goes on with it: what there is was all only if it has ended. */
static int
end_without_supervisor(const struct invocation *invocation, int64_t job)
{
	struct job_filter filter = { .id = job };
	struct query *query = query_open(invocation->state, NULL);
	struct rows *rows = query != NULL ? query_jobs(query, &filter, NULL) : NULL;
	enum job_status status = JOB_NEW;

	if (rows != NULL && rows_next(rows, NULL) == 1)
		job_status_parse(rows_text(rows, "status"), &status);
	rows_close(rows);
	query_close(query);
	return job_status_is_live(status) ? cli_not_running(invocation) : STATUS_OK;
}

static int
follow_job(const struct invocation *invocation, struct client_connection *connection,
    const struct log_range *range)
{
	struct follow follow = {
		.state = invocation->state,
		.connection = connection,
		.job = range->job,
		.attempt = range->first,
		.at = range->at,
	};
	json_t *ended = NULL;
	struct error error;
	enum follow_end end = follow_output(&follow, &ended, &error);

	if (end == FOLLOW_ENDED) {
		json_decref(ended);
		return STATUS_OK;
	}
	return error.code == STATUS_NOT_RUNNING
	    ? end_without_supervisor(invocation, range->job)
	    : cli_fail(&error);
}

int
verb_log(struct invocation *invocation)
{
	struct log_range range = { .state = invocation->state };
	struct client_connection connection;
	struct error error;
	int status = STATUS_OK;

	if (option_is_given(invocation, "attempt") &&
	    (option_is_given(invocation, "all") || option_is_given(invocation, "since")))
		return cli_complain(STATUS_USAGE, "attempt: not together with all or since");
	if (choose_range(invocation, &range, &error) == -1)
		return cli_fail(&error);
	if (!option_is_given(invocation, "follow")) {
		log_range_print(&range);
		return STATUS_OK;
	}
	if (client_open(&connection, invocation->state, &error) == 0) {
		status = follow_job(invocation, &connection, &range);
		client_close(&connection);
	} else if (error.code != STATUS_NOT_RUNNING)
		status = cli_fail(&error);
	else {
		log_range_print(&range);
		status = end_without_supervisor(invocation, range.job);
	}
	return status;
}
