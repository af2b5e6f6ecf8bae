/* work: a plain function as a job. Its result and its words go the way of any job's. */

#include "base/log.h"
#include "runtime/runtime.h"
#include "wire/line.h"
#include "wire/rpc.h"


#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum told { TOLD, TOO_LONG, UNHEARD };

/* Takes over params. */
static enum told
tell(int fd, const char *method, json_t *params)
{
	struct buf line = { 0 };
	enum told told = TOLD;

	rpc_add_notification(&line, method, params);
	if (line.length > LINE_LARGEST + 1) /* a newline is not counted */
		told = TOO_LONG;
	else if (buf_send(&line, fd) == -1)
		told = UNHEARD;
	buf_done(&line);
	return told;
}

static void
tell_log(int fd, const char *text)
{
	tell(fd, "log", json_pack("{s:o}", "text", json_text(text)));
}

/* Why it failed, in words, if it says so. */
static int
failed(int fd, const json_t *why)
{
	char *text;

	if (why == NULL)
		return EXIT_FAILURE;
	text = reason_text(why);
	if (tell(fd, "log", json_pack("{s:o}", "text", json_text(text))) == TOO_LONG)
		tell_log(fd, "the reason is longer than a line may be");
	free(text);
	return EXIT_FAILURE;
}

/*
 * Whose keeper was killed is not heard any more. It is adopted and its end will be known, but a
 * result would be lost: so that it is not, the work is done again.
 */
static int
succeeded(int fd, const json_t *data)
{
	enum told told = tell(fd, "result",
	    json_pack("{s:O?}", "value", data));

	if (told == TOLD || (told == UNHEARD && (data == NULL || json_is_null(data))))
		return EXIT_SUCCESS;
	if (told == TOO_LONG)
		tell_log(fd, "the result is longer than a line may be");
	else
		log_error("the result cannot be told: the supervisor of this job is gone");
	return EX_SOFTWARE;
}

int
jobber_work_run(jobber_work *work, int fd, int argc, char **argv)
{
	json_t *arguments = words_to_json(argc, argv), *data = NULL;
	int result = work(arguments, &data), status;

	if (result == 0)
		status = succeeded(fd, data);
	else if (result == -1)
		status = failed(fd, data);
	else {
		tell_log(fd, "bad_return_value: neither 0 nor -1");
		status = EX_SOFTWARE;
	}
	json_decref(data);
	json_decref(arguments);
	return status;
}
