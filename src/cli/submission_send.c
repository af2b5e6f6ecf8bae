/*
 * submission_send: jobs to the supervisor process, as requests that may be sent again when it
 * dies before it answers.
 */

#include "cli/submit.h"
#include "model/spec_json.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CRASHES 10 /* of supervisor processes while one request is sent */

/* A request whose answer is lost may be sent again, if it can tell its jobs by their token. */
static void
make_token(struct submission_request *request)
{
	for (size_t i = 0; i < request->count; i++) {
		if (request->specs[i].is_once)
			return; /* ids of other jobs: the token could not tell them */
	}
	snprintf(request->token, sizeof(request->token), "t%08x%08x%08x%08x", arc4random(),
	    arc4random(), arc4random(), arc4random());
}

void
submission_request_init(struct submission_request *request,
    const struct submission *submission, const struct spec *specs, size_t count,
    int64_t *ret_ids)
{
	*request = (struct submission_request){
		.specs = specs, .count = count, .ret_ids = ret_ids, .ret_bad = count
	};
	if (submission->has_tokens)
		make_token(request);
}

void
submission_request_done(struct submission_request *request)
{
	buf_done(&request->encoded);
}

static json_t *
encode_jobs(struct submission_request *request, struct error *error)
{
	json_t *jobs = json_array();

	for (size_t i = 0; i < request->count; i++) {
		json_t *job = spec_to_json(&request->specs[i], error);

		if (job == NULL) {
			request->ret_bad = i;
			json_decref(jobs);
			return NULL;
		}
		json_array_append_new(jobs, job);
	}
	return jobs;
}

json_t *
submission_params(const struct submission *submission, struct error *error)
{
	json_t *params = json_pack("{s:o*, s:I}", "environment",
	    environment_to_json(&submission->environment), "umask",
	    (json_int_t)submission->umask);

	if (json_object_set_new(params, "cwd", json_string(submission->cwd)) == 0)
		return params;
	json_decref(params);
	error_set(error, STATUS_USAGE, "the current directory's path is not UTF-8");
	return NULL;
}

/* All that can be done before it is its turn, down to the bytes. */
static int
encode(struct submission *submission, struct submission_request *request,
    struct error *error)
{
	json_t *params, *jobs;

	if (request->encoded.length > 0)
		return 0;
	params = submission_params(submission, error);
	if (params == NULL || (jobs = encode_jobs(request, error)) == NULL) {
		json_decref(params);
		return -1;
	}
	json_object_set_new(params, "jobs", jobs);
	if (request->token[0] != '\0')
		json_object_set_new(params, "token", json_string(request->token));
	json_object_set_new(params, "repeated", json_boolean(request->is_repeated));
	if (submission->has_new_names)
		json_object_set_new(params, "new_names", json_true());
	client_encode(submission->connection, "submit", params, &request->encoded);
	return 0;
}

static int
send_to_supervisor(struct submission *submission, struct submission_request *request,
    struct submission_request *next, struct error *error)
{
	struct error not_now;
	json_t *result, *data, *ids, *index;
	size_t i;

	if (client_write(submission->connection, &request->encoded, error) == -1)
		return -1;
	if (next != NULL)
		encode(submission, next, &not_now); /* it says so itself when it is sent */
	result = client_answer(submission->connection, &data, error);
	if (result == NULL) {
		if (data != NULL) {
			request->ret_bad =
			    (size_t)json_integer_value(json_object_get(data, "index"));
			request->ret_holder =
			    json_integer_value(json_object_get(data, "holder"));
			request->ret_is_full = json_object_get(data, "supervisor") != NULL &&
			    request->ret_bad < request->count;
		}
		json_decref(data);
		return -1;
	}
	submission->has_existed =
	    json_array_size(json_object_get(result, "existed")) == request->count;
	json_array_foreach(json_object_get(result, "existed"), i, index) {
		if (json_integer_value(index) < (json_int_t)request->count)
			request->ret_existed[json_integer_value(index)] = true;
	}
	ids = json_object_get(result, "ids");
	for (i = 0; i < request->count; i++)
		request->ret_ids[i] = json_integer_value(json_array_get(ids, i));
	json_decref(result);
	return 0;
}

/* The next supervisor process answers, or, with the keeper gone too, the database. */
static int
reconnect(struct submission *submission, struct error *error)
{
	client_close(submission->connection);
	if (client_open_to_submit(
		submission->connection, submission->invocation->state, error) == 0)
		return 0;
	if (error->code != STATUS_NOT_RUNNING)
		return -1;
	submission->connection = NULL;
	return 0;
}

static int
send_somehow(struct submission *submission, struct submission_request *request,
    struct submission_request *next, struct error *error)
{
	submission->is_in_doubt = false;
	for (int crashes = 0; submission->connection != NULL; crashes++) {
		if (encode(submission, request, error) == -1)
			return -1;
		if (send_to_supervisor(submission, request, next, error) == 0) {
			submission->is_in_doubt = false;
			return 0;
		}
		if (!submission->connection->is_lost) {
			submission->is_in_doubt = false;
			return -1;
		}
		submission->is_in_doubt = true;
		if (request->token[0] == '\0' || submission->connection->is_silent ||
		    crashes == MOST_CRASHES || reconnect(submission, error) == -1)
			return -1;
		request->is_repeated = true;
		buf_clear(&request->encoded);
	}
	if (submission_write(submission, request, error) == -1)
		return -1;
	submission->is_in_doubt = false;
	return 0;
}

int
submission_send(struct submission *submission, struct submission_request *request,
    struct submission_request *next, struct error *error)
{
	int result = send_somehow(submission, request, next, error);
	bool is_in = result == 0 && !submission->has_existed;

	submission_request_done(request);
	/* Kept input belongs to a job now, or may. */
	if (is_in || submission->is_in_doubt) {
		free(submission->kept_input);
		submission->kept_input = NULL;
	}
	submission->has_sent = submission->has_sent || is_in;
	return result;
}
