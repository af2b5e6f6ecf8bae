/* submission_write: jobs straight into the database, and out again, with nothing running. */

#include "base/file.h"
#include "base/xalloc.h"
#include "cli/submit.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DATABASE_WAIT_MS 10000

struct written {
	enum store_answer answer;
};

static void
turned(void *arg, enum store_answer answer)
{
	((struct written *)arg)->answer = answer;
}

/* A copy, since a step takes its specs over; what only the client resolves stays behind. */
static int
copy_specs(const struct submission *submission, const struct spec *specs, size_t count,
    struct spec *copies, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		json_t *object = spec_to_json(&specs[i], error);
		int result = object == NULL
		    ? -1
		    : spec_from_json(&copies[i], object, clock_wall(), error);

		json_decref(object);
		if (result == -1) {
			while (i > 0)
				spec_done(&copies[--i]);
			return -1;
		}
		if (copies[i].cwd == NULL)
			copies[i].cwd = xstrdup(submission->cwd);
		if (copies[i].umask == SPEC_UNSET)
			copies[i].umask = submission->umask;
	}
	return 0;
}

static int
write_batch(struct store *store, struct batch *batch, struct error *error)
{
	struct written written;

	store_turn(store, batch, turned, &written);
	if (written.answer == STORE_OK)
		written.answer = store_sync(store);
	if (written.answer == STORE_OK)
		return 0;
	return error_set(error, STATUS_TRY_LATER, "%s", store_answer_words(written.answer));
}

int
submission_write(struct submission *submission, struct submission_request *request,
    struct error *error)
{
	size_t count = request->count;
	struct store *store;
	struct batch batch;
	struct step *step;
	int result = -1;

	if (file_make_directories(submission->invocation->state) == -1)
		return error_set_errno(
		    error, STATUS_CONFIG, "%s", submission->invocation->state);
	store = sqlite_store_open(
	    submission->invocation->state, DATABASE_WAIT_MS, false, error);
	if (store == NULL)
		return -1;
	batch_init(&batch);
	step = batch_add(&batch, STEP_SUBMIT, NULL, NULL);
	step->submit.specs = xcalloc(count, sizeof(*step->submit.specs));
	if (copy_specs(submission, request->specs, count, step->submit.specs, error) == -1)
		goto out;
	step->submit.count = count;
	if (request->token[0] != '\0')
		step->submit.token = xstrdup(request->token);
	step->submit.is_repeated = request->is_repeated;
	step->submit.has_new_names = submission->has_new_names;
	for (size_t i = 0; i < submission->environment.count; i++)
		strings_add(&step->submit.environment, submission->environment.items[i]);
	if (write_batch(store, &batch, error) == -1)
		goto out;
	if (step->answer != STEP_OK) {
		*error = step->error;
		request->ret_bad = step->submit.ret_bad;
		request->ret_holder = step->submit.ret_holder;
		request->ret_is_full = step->submit.ret_is_full;
		goto out;
	}
	submission->has_existed = true;
	for (size_t i = 0; i < count; i++)
		submission->has_existed =
		    submission->has_existed && step->submit.ret_existed[i];
	memcpy(request->ret_existed, step->submit.ret_existed, count * sizeof(bool));
	memcpy(request->ret_ids, step->submit.ret_ids, count * sizeof(request->ret_ids[0]));
	result = 0;
out:
	batch_done(&batch);
	store_close(store);
	return result;
}

int
submission_take_back(const char *state_directory, int64_t job, struct error *error)
{
	struct store *store = sqlite_store_open(state_directory, DATABASE_WAIT_MS, false, error);
	struct batch batch;
	struct step *step;
	int result;

	if (store == NULL)
		return -1;
	batch_init(&batch);
	step = batch_add(&batch, STEP_CHANGE, NULL, NULL);
	step->change.job = job;
	step->change.event = JOB_CANCEL;
	result = write_batch(store, &batch, error);
	if (result == 0 && step->answer != STEP_OK) {
		*error = step->error;
		result = -1;
	} else if (result == 0 && step->change.ret_status != JOB_CANCELLED)
		result = error_set(error, STATUS_STATE, "job %" PRId64 " is running", job);
	batch_done(&batch);
	store_close(store);
	return result;
}
