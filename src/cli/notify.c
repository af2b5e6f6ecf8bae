/* notify: from inside a job, a line to its supervisor process over the job's fd 3. */

#include "base/buf.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/words.h"
#include "wire/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RPC_LARGEST_NOTE == 64 << 10, "note_text() says so");

/* What the supervisor process takes; it would tell nobody that it did not. */
static json_t *
note_text(const char *method, const char *word, struct error *error)
{
	json_t *text = NULL;

	if (strlen(word) > RPC_LARGEST_NOTE)
		error_set(error, STATUS_USAGE, "%s: this text is longer than 64 KiB", method);
	else if ((text = json_string(word)) == NULL)
		error_set(error, STATUS_USAGE, "%s: this text is not UTF-8", method);
	return text;
}

static json_t *
progress_params(char *const *words, int count, struct error *error)
{
	char *end;
	double fraction = strtod(words[0], &end);
	json_t *params, *text = NULL;

	if (*end == '%' && end[1] == '\0')
		fraction /= 100;
	else if (*end != '\0' || end == words[0])
		fraction = -1;
	if (!(fraction >= 0 && fraction <= 1)) {
		error_set(error, STATUS_USAGE,
		    "progress: \"%s\" is not a fraction from 0 to 1, or a percentage", words[0]);
		return NULL;
	}
	if (count > 1 && (text = note_text("progress", words[1], error)) == NULL)
		return NULL;
	params = json_pack("{s:f}", "fraction", fraction);
	if (text != NULL)
		json_object_set_new(params, "text", text);
	return params;
}

static json_t *
result_params(char *const *words, int count, struct error *error)
{
	json_t *value = words_one(words[0], false, error);

	(void)count;
	return value != NULL ? json_pack("{s:o}", "value", value) : NULL;
}

static json_t *
log_params(char *const *words, int count, struct error *error)
{
	json_t *text = note_text("log", words[0], error);

	(void)count;
	return text != NULL ? json_pack("{s:o}", "text", text) : NULL;
}

static const struct {
	const char *method;
	int most; /* words */
	json_t *(*params)(char *const *words, int count, struct error *error);
} notes[] = {
	{ "progress", 2, progress_params },
	{ "result", 1, result_params },
	{ "log", 1, log_params },
};

/* The supervisor process may be gone with its keeper: an error, not our death by SIGPIPE. */
static int
send_note(const char *method, json_t *params)
{
	const char *text = getenv("JOBBERD_FD");
	struct buf line = { 0 };
	int64_t fd;
	int status = STATUS_OK;

	if (text == NULL || text_number(text, 3, 65535, &fd) == -1) {
		json_decref(params);
		return cli_complain(
		    STATUS_STATE, "this is not inside a job: JOBBERD_FD is not set");
	}
	rpc_add_notification(&line, method, params);
	if (buf_send(&line, (int)fd) == -1)
		status = cli_complain(STATUS_TRY_LATER,
		    "the supervisor cannot be told: %s", strerror(errno));
	buf_done(&line);
	return status;
}

int
verb_notify(struct invocation *invocation)
{
	char **words = invocation->arguments + 1;
	int count = invocation->argument_count - 1;
	struct error error;
	json_t *params;

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		if (strcmp(notes[i].method, invocation->arguments[0]) != 0)
			continue;
		if (count > notes[i].most)
			return cli_complain(STATUS_USAGE, "%s takes %d word%s at most",
			    notes[i].method, notes[i].most, notes[i].most == 1 ? "" : "s");
		params = notes[i].params(words, count, &error);
		if (params == NULL)
			return cli_fail(&error);
		return send_note(notes[i].method, params);
	}
	return cli_complain(
	    STATUS_USAGE, "notify tells progress, result or log, not %s",
	    invocation->arguments[0]);
}
