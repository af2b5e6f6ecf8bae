/* submit: one job from the command line, or many from standard input. */

#include "cli/submit.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "cli/batch.h"
#include "cli/row_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
explain(const struct submission *submission, const struct spec *spec, int64_t id)
{
	char text[256];

	if (cli_is_interactive() && submission->has_existed)
		fprintf(stderr, "job %" PRId64 " has the name %s already\n", id, spec->name);
	else if (cli_is_interactive())
		fprintf(stderr, "job %" PRId64 ": %s\n", id,
		    spec_describe(spec, clock_wall(), text, sizeof(text)));
}

static void
say_how_to_run(const struct invocation *invocation)
{
	char *call = cli_how_to_call(invocation);

	fprintf(stderr, "jobberd: recorded; nothing runs yet; start it with: %s supervise\n",
	    call);
	free(call);
}

static void
print_id(const struct submission *submission, int64_t id, bool has_existed)
{
	if (!submission->invocation->wants_json)
		printf("%" PRId64 "\n", id);
	else
		printf("{\"id\":%" PRId64 "%s}\n", id, has_existed ? ",\"existed\":true" : "");
}

void
submission_print(const struct submission *submission, const struct submission_request *request)
{
	for (size_t i = 0; i < request->count; i++)
		print_id(submission, request->ret_ids[i], request->ret_existed[i]);
	fflush(stdout);
}

void
submission_print_error(const struct invocation *invocation, const char *word, int64_t holder,
    const char *full)
{
	if (!invocation->wants_json) {
		if (holder != 0)
			printf("%" PRId64 "\n", holder);
	} else if (full != NULL)
		row_json_print(
		    json_pack("{s:s, s:s}", "error", "max_children", "supervisor", full));
	else if (holder != 0)
		row_json_print(
		    json_pack("{s:s, s:I}", "error", word, "id", (json_int_t)holder));
}

void
submission_print_refused(
    const struct submission *submission, const struct submission_request *request)
{
	submission_print_error(submission->invocation, "already_started", request->ret_holder,
	    request->ret_is_full ? spec_supervisor(&request->specs[request->ret_bad]) : NULL);
}

static int
submit_one(struct submission *submission, struct invocation *invocation)
{
	struct spec *spec = &invocation->spec;
	int64_t id;
	struct submission_request request;
	struct error error;

	for (int i = 0; i < invocation->argument_count; i++)
		strings_add(&spec->command, invocation->arguments[i]);
	if (submission_prepare(submission, spec, &error) == -1)
		return cli_fail(&error);
	submission_warn_if_missing(submission, spec);
	submission_request_init(&request, submission, spec, 1, &id);
	if (submission_send(submission, &request, NULL, &error) == -1) {
		submission_print_refused(submission, &request);
		return cli_fail(&error);
	}
	submission_print(submission, &request);
	explain(submission, spec, id);
	return STATUS_OK;
}

int
verb_submit(struct invocation *invocation)
{
	bool is_batch = option_is_given(invocation, "batch");
	struct client_connection connection;
	struct submission submission;
	struct error error;
	int status;

	if (is_batch != (invocation->argument_count == 0))
		return cli_complain(STATUS_USAGE,
		    is_batch ? "batch: the jobs come from standard input, not as arguments"
			     : "there is no command to run");
	submission_init(&submission, invocation);
	if (client_open_to_submit(&connection, invocation->state, &error) == 0)
		submission.connection = &connection;
	else if (error.code != STATUS_NOT_RUNNING) {
		submission_done(&submission);
		return cli_fail(&error);
	}
	status = is_batch ? batch_submit(&submission) : submit_one(&submission, invocation);
	if (submission.connection == NULL && submission.has_sent && status == STATUS_OK)
		say_how_to_run(invocation);
	if (submission.connection != NULL)
		client_close(&connection);
	submission_done(&submission);
	return status;
}
