/* server: the verbs that start servers, talk to them and end them. */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/row_json.h"
#include "cli/subject.h"
#include "cli/submit.h"
#include "cli/words.h"
#include "model/reason.h"
#include "model/spec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CALL_MS 5000
#define WORDS_SIZE (REASON_TEXT_SIZE + 64)

/* ---- requests ---- */

/* The server's name or id, or the group's. */
static const char *
addressee(const struct invocation *invocation)
{
	const char *group = option_value(invocation, "group");

	return group != NULL ? group : invocation->arguments[0];
}

/* A reason as it is stored, in words; what is none is its own words. */
static const char *
end_words(char words[WORDS_SIZE], const char *text)
{
	struct reason reason;

	if (reason_parse(text, &reason) == -1)
		reason = reason_from_words(text);
	reason_words(words, WORDS_SIZE, reason, 0);
	return words[0] != '\0' ? words : text;
}

/* What a code and its word mean to a person. */
static int
explain(const struct invocation *invocation, const struct error *error, json_t *data)
{
	const char *name = addressee(invocation);
	const json_t *job = json_object_get(data, "job"); /* what a message to a pool is */
	char *text, words[WORDS_SIZE];

	if (error->code == STATUS_NO && data != NULL) {
		json_t *more = json_object_get(data, "data");

		text = more != NULL ? json_dumps(more, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		cli_complain(STATUS_NO, "%s: %s%s%s", name, error->text,
		    text != NULL ? " " : "", text != NULL ? text : "");
		free(text);
		return STATUS_NO;
	}
	if (strcmp(error->text, "noproc") == 0)
		return cli_complain(error->code, "noproc: no server %s runs", name);
	if (strcmp(error->text, "restarting") == 0)
		return cli_complain(
		    error->code, "restarting: %s is being started again", name);
	if (strcmp(error->text, "overloaded") == 0)
		return cli_complain(
		    error->code, "overloaded: %s has too many messages to handle", name);
	if (strcmp(error->text, "timeout") == 0 && option_is_given(invocation, "group"))
		return cli_complain(error->code,
		    "timeout: it is not known yet who is in the group %s; nobody was asked", name);
	if (strcmp(error->text, "timeout") == 0)
		return cli_complain(error->code,
		    "timeout: %s has not answered; it may yet do what it was asked", name);
	if (error->code == STATUS_INTERNAL && job != NULL)
		return cli_complain(error->code, "%s: message %" JSON_INTEGER_FORMAT ": %s", name,
		    json_integer_value(job), end_words(words, error->text));
	if (error->code == STATUS_INTERNAL)
		return cli_complain(
		    error->code, "%s has ended: %s", name, end_words(words, error->text));
	return cli_complain(error->code, "%s: %s", name, error->text);
}

static json_t *
ask(const struct invocation *invocation, struct client_connection *connection,
    const char *method, json_t *params, int *ret_status)
{
	struct error error;
	json_t *data = NULL;
	json_t *result = client_call(connection, method, params, &data, &error);

	*ret_status = result != NULL ? STATUS_OK : explain(invocation, &error, data);
	json_decref(data);
	return result;
}

static json_t *
address(const struct invocation *invocation)
{
	return json_string(addressee(invocation));
}

/* The member of a request that says for whom it is. */
static const char *
address_kind(const struct invocation *invocation)
{
	return option_is_given(invocation, "group") ? "group" : "to";
}

/* The message that the words behind the name make, or all of them, if it is for a group. */
static json_t *
message_of(const struct invocation *invocation, struct error *error)
{
	int first = option_is_given(invocation, "group") ? 0 : 1;

	if (invocation->argument_count <= first) {
		error_set(error, STATUS_USAGE, "%s: there is no message (jobberd help %s)",
		    invocation->command->name, invocation->command->name);
		return NULL;
	}
	return words_to_message(invocation, first, error);
}

/* ---- call ---- */

static void
print_value(const json_t *value, bool is_raw)
{
	char *text;

	if (is_raw && json_is_string(value)) {
		printf("%s\n", json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	printf("%s\n", text);
	free(text);
}

int
verb_call(struct invocation *invocation)
{
	int64_t timeout_ms = option_duration(invocation, "timeout", DEFAULT_CALL_MS);
	struct client_connection connection;
	json_t *message, *params, *result, *data = NULL;
	struct error error;
	int status;

	if ((message = message_of(invocation, &error)) == NULL)
		return cli_fail(&error);
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(message);
		return status;
	}
	params = json_pack("{s:o, s:o, s:I, s:o}", address_kind(invocation),
	    address(invocation), "message", message, "timeout_ms", (json_int_t)timeout_ms,
	    "ref", client_new_ref());
	/* By the name of the call the next one and the server know what has been heard. */
	result = client_call_again(&connection, "call", params, &data, &error);
	if (result != NULL)
		print_value(result, option_is_given(invocation, "raw"));
	else
		status = explain(invocation, &error, data);
	json_decref(result);
	json_decref(data);
	client_close(&connection);
	return status;
}

/* ---- show --state ---- */

static int
ask_for_state(struct invocation *invocation)
{
	struct client_connection connection;
	int status = client_connect(invocation, &connection);
	json_t *result;

	if (status != STATUS_OK)
		return status;
	result = ask(invocation, &connection, "state",
	    json_pack("{s:o, s:i}", "to", address(invocation), "timeout_ms", DEFAULT_CALL_MS),
	    &status);
	if (result != NULL)
		print_value(result, false);
	json_decref(result);
	client_close(&connection);
	return status;
}

/* What was committed last is what a durable server itself would begin with. */
static int
print_committed(const struct rows *row, const char *name)
{
	const char *state = rows_text(row, "state");

	if (state == NULL)
		return cli_complain(STATUS_STATE, "%s has not committed a state yet", name);
	printf("%s\n", state);
	return STATUS_OK;
}

int
server_print_state(struct invocation *invocation)
{
	struct subject subject;
	struct error error;
	int status = -1;

	if (subject_open(&subject, invocation, &error) == -1)
		return cli_fail(&error);
	if (rows_number(subject.row, "durable", -1) == -1)
		status = cli_complain(STATUS_STATE, "%s is a command, not a server",
		    invocation->arguments[0]);
	else if (rows_number(subject.row, "durable", 0) != 0)
		status = print_committed(subject.row, invocation->arguments[0]);
	subject_close(&subject);
	return status != -1 ? status : ask_for_state(invocation);
}

/* ---- cast, send ---- */

static int
send_message(struct invocation *invocation, const char *method)
{
	struct client_connection connection;
	struct error error;
	json_t *message = message_of(invocation, &error), *result, *number;
	const char *member;
	int status;

	if (message == NULL)
		return cli_fail(&error);
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(message);
		return status;
	}
	result = ask(invocation, &connection, method,
	    json_pack("{s:o, s:o}", address_kind(invocation), address(invocation), "message",
		message),
	    &status);
	/* A pool's messages are jobs; of a group, it is told how many have it. */
	json_object_foreach(result, member, number)
		printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(number));
	json_decref(result);
	client_close(&connection);
	return status;
}

int
verb_cast(struct invocation *invocation)
{
	return send_message(invocation, "cast");
}

int
verb_send(struct invocation *invocation)
{
	return send_message(invocation, "send");
}

/* ---- start and stop ---- */

int
server_print_started(const struct invocation *invocation, const json_t *result)
{
	bool existed = json_is_true(json_object_get(result, "existed"));

	if (invocation->wants_json)
		row_json_print(json_deep_copy(result));
	else
		printf("%" JSON_INTEGER_FORMAT "\n",
		    json_integer_value(json_object_get(result, "id")));
	if (json_is_true(json_object_get(result, "ignore")))
		return cli_complain(STATUS_NO,
		    "ignore: %s says that it is not wanted, and has ended",
		    invocation->arguments[0]);
	if (existed && cli_is_interactive())
		fprintf(stderr, "jobberd: it runs already\n");
	return STATUS_OK;
}

static int
explain_start(const struct invocation *invocation, const struct error *error, json_t *data)
{
	bool is_present = strncmp(error->text, "already_present", strlen("already_present")) == 0;

	submission_print_error(invocation, is_present ? "already_present" : "already_started",
	    json_integer_value(json_object_get(data, "holder")),
	    json_string_value(json_object_get(data, "supervisor")));
	return cli_fail(error);
}

static json_t *
start_params(struct submission *submission, struct invocation *invocation,
    struct error *error)
{
	struct spec *spec = &invocation->spec;
	char **words = invocation->arguments + 1;
	json_t *params, *job;

	if (words[0] == NULL)
		return json_pack("{s:s}", "name", invocation->arguments[0]);
	if (strcmp(words[0], "--") == 0)
		words++;
	for (; *words != NULL; words++)
		strings_add(&spec->command, *words);
	if (submission_prepare(submission, spec, error) == -1)
		return NULL;
	submission_warn_if_missing(submission, spec);
	params = submission_params(submission, error);
	job = params != NULL ? spec_to_json(spec, error) : NULL;
	if (job == NULL) {
		json_decref(params);
		return NULL;
	}
	json_object_set_new(params, "job", job);
	/* By the token the next supervisor process knows if the job is there; else by its name. */
	if (!spec->is_once)
		json_object_set_new(params, "token", client_new_ref());
	return params;
}

/* Not for its init, but for a place, or for a supervisor that is paused: no time-out ends that. */
static void
tell_what_start_waits_for(void *arg)
{
	const struct invocation *invocation = arg;
	struct subject subject;
	struct why_job job;
	struct error error;
	char words[WHY_SIZE];

	if (subject_open(&subject, invocation, &error) == -1)
		return;
	why_read(&job, subject.row);
	if (why_must_wait(&job))
		cli_complain(0, "still waiting: %s",
		    why_words(words, sizeof(words), &job, &subject.now, WHY_ALONE));
	subject_close(&subject);
}

int
verb_start(struct invocation *invocation)
{
	const char *name = invocation->arguments[0];
	struct client_connection connection;
	struct submission submission;
	json_t *params, *result, *data = NULL;
	struct error error;
	int status;

	if (invocation->argument_count > 1 &&
	    spec_set(&invocation->spec, spec_option_find("name"), name, clock_wall(), &error) == -1)
		return cli_fail(&error);
	invocation->spec.is_server = true;
	submission_init(&submission, invocation);
	params = start_params(&submission, invocation, &error);
	submission_done(&submission);
	if (params == NULL)
		return cli_fail(&error);
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(params);
		return status;
	}
	connection.still_waits = tell_what_start_waits_for;
	connection.still_waits_arg = invocation;
	result = client_call_again(&connection, "start", params, &data, &error);
	if (result != NULL)
		status = server_print_started(invocation, result);
	else
		status = invocation->argument_count == 1 && error.code == STATUS_STATE
		    ? again_start_command(invocation, &connection)
		    : -1;
	if (status == -1)
		status = explain_start(invocation, &error, data);
	json_decref(result);
	json_decref(data);
	client_close(&connection);
	return status;
}

int
verb_stop(struct invocation *invocation)
{
	int64_t timeout_ms = option_duration(invocation, "timeout", -1);
	struct client_connection connection;
	json_t *params, *result, *reason = NULL, *data = NULL;
	struct error error;
	int status;

	if (invocation->argument_count > 1) {
		reason = words_one(invocation->arguments[1], false, &error);
		if (reason == NULL)
			return cli_fail(&error);
		if (json_is_string(reason) && json_string_length(reason) == 0) {
			json_decref(reason);
			return cli_complain(STATUS_USAGE, "an empty reason says nothing");
		}
	}
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(reason);
		return status;
	}
	params = json_pack("{s:o, s:o*}", "to", address(invocation), "reason", reason);
	if (timeout_ms >= 0)
		json_object_set_new(params, "timeout_ms", json_integer(timeout_ms));
	result = client_call_again(&connection, "stop", params, &data, &error);
	if (result == NULL)
		status = error.code == STATUS_NOT_FOUND && timeout_ms == -1
		    ? again_stop_command(invocation, &connection)
		    : -1;
	if (status == -1)
		status = explain(invocation, &error, data);
	json_decref(result);
	json_decref(data);
	client_close(&connection);
	return status;
}
