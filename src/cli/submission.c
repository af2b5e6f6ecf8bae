/* submission: jobs on their way, through the socket or straight into the database. */

#include "base/file.h"
#include "base/xalloc.h"
#include "cli/environment.h"
#include "cli/escape.h"
#include "cli/submit.h"
#include "keeper/spawn.h"
#include "model/spec_json.h"
#include "store/sqlite_engine.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_WAIT_MS 10000
#define MOST_CRASHES 10 /* of supervisor processes while one request is sent */

void
submission_init(struct submission *submission, const struct invocation *invocation)
{
	char cwd[PATH_MAX];

	*submission = (struct submission){ .invocation = invocation };
	environment_basics(&submission->environment);
	submission->cwd = xstrdup(getcwd(cwd, sizeof(cwd)) != NULL ? cwd : "/");
	submission->umask = (int64_t)umask(0);
	umask((mode_t)submission->umask);
}

void
submission_done(struct submission *submission)
{
	strings_done(&submission->environment);
	free(submission->cwd);
	if (submission->kept_input != NULL)
		unlink(submission->kept_input);
	free(submission->kept_input);
}

/*
 * A file that has no name before all of it is there, so that nothing is left of a submit
 * that is interrupted; where the file system has none such, one with its name at once.
 */
static int
open_unnamed(const char *directory, const char *path)
{
	int fd = open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);

	return fd != -1 ? fd : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int
name_file(int fd, const char *path)
{
	char link[64];

	if (access(path, F_OK) == 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* Standard input becomes a file of the instance, removed when the job is pruned. */
static int
keep_stdin(struct submission *submission, struct spec *spec, struct error *error)
{
	const char *state = submission->invocation->state;
	char *directory = xasprintf("%s/input", state), *path, bytes[65536];
	ssize_t got = 0;
	int fd, result = -1;

	path = xasprintf("%s/%08x%08x", directory, arc4random(), arc4random());
	if (file_make_directories(directory) == -1 ||
	    (fd = open_unnamed(directory, path)) == -1) {
		error_set_errno(error, STATUS_TRY_LATER, "%s", path);
		goto out;
	}
	while ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0) {
		if (file_write_all(fd, bytes, (size_t)got) == -1)
			break;
	}
	/* What was acknowledged must be there after a power cut, its input too. */
	if (got == 0 && name_file(fd, path) == 0 && fsync(fd) == 0)
		result = 0;
	else {
		error_set_errno(error, STATUS_TRY_LATER, "%s", path);
		unlink(path);
	}
	close(fd);
out:
	if (result == 0) {
		free(spec->stdin_path);
		spec->stdin_path = path;
		submission->kept_input = xstrdup(path);
		path = NULL;
	}
	free(directory);
	free(path);
	return result;
}

static void
make_absolute(char **path, const char *cwd)
{
	char *absolute;

	if (*path == NULL || (*path)[0] == '/')
		return;
	absolute = xasprintf("%s/%s", cwd, *path);
	free(*path);
	*path = absolute;
}

/* The one who starts it cannot wait for a FIFO's writer: see keeper/spawn.c. */
static int
check_stdin(const struct spec *spec, struct error *error)
{
	struct stat info;

	if (spec->stdin_path != NULL && stat(spec->stdin_path, &info) == 0 &&
	    S_ISFIFO(info.st_mode))
		return error_set(error, STATUS_USAGE,
		    "--stdin: %s is a FIFO, which only a shell can wait for: "
		    "sh -c 'exec PROGRAM <FIFO'", spec->stdin_path);
	return 0;
}

int
submission_prepare(struct submission *submission, struct spec *spec, struct error *error)
{
	if (environment_resolve(spec, error) == -1 || spec_check(spec, error) == -1)
		return -1;
	if (spec->stdin_path != NULL && strcmp(spec->stdin_path, "-") == 0)
		return keep_stdin(submission, spec, error);
	make_absolute(&spec->stdin_path, submission->cwd);
	return check_stdin(spec, error);
}

static bool
is_regular(const char *cwd, const char *path)
{
	char *full = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", cwd, path);
	struct stat info;
	bool is = strchr(path, '/') != NULL && stat(full, &info) == 0 &&
	    S_ISREG(info.st_mode);

	free(full);
	return is;
}

static void
warn_of_program(const struct spec *spec, const char *cwd)
{
	const char *program = spec->command.items[0];
	struct buf word = { 0 };

	escape_add_word(&word, program);
	if (strchr(program, ' ') != NULL && spec->command.count == 1)
		fprintf(stderr, "jobberd: no program %s is found; did you mean: sh -c %s?\n",
		    buf_text(&word), buf_text(&word));
	else if (is_regular(cwd, program))
		fprintf(stderr, "jobberd: %s is not executable\n", buf_text(&word));
	else if (strchr(program, '/') != NULL)
		fprintf(stderr, "jobberd: no program %s is there\n", buf_text(&word));
	else
		fprintf(stderr, "jobberd: no program %s is found on the job's PATH\n",
		    buf_text(&word));
	buf_done(&word);
}

void
submission_warn_if_missing(const struct submission *submission, const struct spec *spec)
{
	const struct strings *environment =
	    environment_get(&spec->environment, "PATH") != NULL ? &spec->environment
								: &submission->environment;
	const char *cwd = spec->cwd != NULL ? spec->cwd : submission->cwd;
	const char *program = spec->command.items[0];

	if (access(cwd, X_OK) == -1)
		cli_complain(0, "the job's directory %s: %s", cwd, strerror(errno));
	else if (spawn_find_behaviour(submission->invocation->behaviours, program) == NULL &&
	    !environment_finds(environment, cwd, program))
		warn_of_program(spec, cwd);
	else if (spec->stdin_path != NULL && access(spec->stdin_path, R_OK) == -1)
		cli_complain(0, "the job's standard input %s: %s", spec->stdin_path,
		    strerror(errno));
}

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
	json_decref(request->params);
	request->params = NULL;
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

static int
encode(struct submission *submission, struct submission_request *request,
    struct error *error)
{
	json_t *jobs;

	if (request->params != NULL)
		return 0;
	request->params = submission_params(submission, error);
	if (request->params == NULL || (jobs = encode_jobs(request, error)) == NULL) {
		submission_request_done(request);
		return -1;
	}
	json_object_set_new(request->params, "jobs", jobs);
	if (request->token[0] != '\0')
		json_object_set_new(request->params, "token", json_string(request->token));
	return 0;
}

static int
send_to_supervisor(struct submission *submission, struct submission_request *request,
    struct submission_request *next, struct error *error)
{
	struct error not_now;
	json_t *result, *data, *ids;

	json_object_set_new(request->params, "repeated", json_boolean(request->is_repeated));
	if (client_send(submission->connection, "submit", json_incref(request->params),
		error) == -1)
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
		}
		json_decref(data);
		return -1;
	}
	submission->has_existed =
	    json_array_size(json_object_get(result, "existed")) == request->count;
	ids = json_object_get(result, "ids");
	for (size_t i = 0; i < request->count; i++)
		request->ret_ids[i] = json_integer_value(json_array_get(ids, i));
	json_decref(result);
	return 0;
}

/* ---- with nothing running ---- */

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

static int
write_to_database(struct submission *submission, struct submission_request *request,
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
	for (size_t i = 0; i < submission->environment.count; i++)
		strings_add(&step->submit.environment, submission->environment.items[i]);
	if (write_batch(store, &batch, error) == -1)
		goto out;
	if (step->answer != STEP_OK) {
		*error = step->error;
		request->ret_bad = step->submit.ret_bad;
		request->ret_holder = step->submit.ret_holder;
		goto out;
	}
	submission->has_existed = true;
	for (size_t i = 0; i < count; i++)
		submission->has_existed =
		    submission->has_existed && step->submit.ret_existed[i];
	memcpy(request->ret_ids, step->submit.ret_ids, count * sizeof(request->ret_ids[0]));
	result = 0;
out:
	batch_done(&batch);
	store_close(store);
	return result;
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
	if (submission->connection != NULL && encode(submission, request, error) == -1)
		return -1;
	for (int crashes = 0; submission->connection != NULL; crashes++) {
		if (send_to_supervisor(submission, request, next, error) == 0) {
			submission->is_in_doubt = false;
			return 0;
		}
		if (!submission->connection->is_lost) {
			submission->is_in_doubt = false;
			return -1;
		}
		submission->is_in_doubt = true;
		if (request->token[0] == '\0' || crashes == MOST_CRASHES ||
		    reconnect(submission, error) == -1)
			return -1;
		request->is_repeated = true;
	}
	if (write_to_database(submission, request, error) == -1)
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
