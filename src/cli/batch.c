/*
 * batch: many jobs. Requests of up to 1,000, each one transaction, and the next one
 * underway while the first is being recorded; what was printed is exactly what is in.
 */

#include "cli/batch.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "cli/batch_names.h"
#include "model/spec_json.h"

#include <bsd/sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_LINE (8 << 20)

/* What one request takes. */
struct portion {
	TAILQ_ENTRY(portion) entry;
	size_t count;
	struct spec specs[SUBMISSION_MOST];
	size_t lines[SUBMISSION_MOST]; /* where each stood, from 1 */
};

/*
 * In portions from the first: to move thousands of them would cost as much as to send them. So
 * does a page fault for every seven, where page tables are dear; slabs are of huge pages, if
 * the kernel gives them.
 */
struct slab {
	TAILQ_ENTRY(slab) entry;
	size_t used;
	struct portion portions[3];
};
#define SLAB_SIZE ((size_t)2 << 20)
_Static_assert(sizeof(struct slab) <= SLAB_SIZE, "one huge page");

struct batch_jobs {
	TAILQ_HEAD(slabs, slab) slabs;
	TAILQ_HEAD(portions, portion) portions;
	size_t count;
	struct batch_names names; /* until all lines are read */
};

static struct portion *
add_portion(struct batch_jobs *jobs)
{
	struct slab *slab = TAILQ_LAST(&jobs->slabs, slabs);
	struct portion *portion;

	if (slab == NULL || slab->used == sizeof(slab->portions) / sizeof(slab->portions[0])) {
		slab = xalloc_huge(SLAB_SIZE);
		slab->used = 0;
		TAILQ_INSERT_TAIL(&jobs->slabs, slab, entry);
	}
	portion = &slab->portions[slab->used++];
	portion->count = 0;
	TAILQ_INSERT_TAIL(&jobs->portions, portion, entry);
	return portion;
}

static void
add_job(struct batch_jobs *jobs, const struct spec *spec, size_t line)
{
	struct portion *last = TAILQ_LAST(&jobs->portions, portions);

	if (last == NULL || last->count == SUBMISSION_MOST)
		last = add_portion(jobs);
	last->specs[last->count] = *spec;
	last->lines[last->count++] = line;
	jobs->count++;
}

static void
drop_first_portion(struct batch_jobs *jobs)
{
	struct portion *first = TAILQ_FIRST(&jobs->portions);

	TAILQ_REMOVE(&jobs->portions, first, entry);
	for (size_t i = 0; i < first->count; i++)
		spec_done(&first->specs[i]);
}

static void
jobs_done(struct batch_jobs *jobs)
{
	struct slab *slab;

	while (!TAILQ_EMPTY(&jobs->portions))
		drop_first_portion(jobs);
	while ((slab = TAILQ_FIRST(&jobs->slabs)) != NULL) {
		TAILQ_REMOVE(&jobs->slabs, slab, entry);
		free(slab);
	}
}

/* The verb's own options hold for every job that does not say otherwise: merged as JSON. */
static int
read_json_line(const char *line, json_t *defaults, struct spec *spec, struct error *error)
{
	json_error_t where;
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &where);
	int result;

	if (object == NULL && json_error_code(&where) == json_error_null_character)
		return error_set(error, STATUS_USAGE, "a string cannot have a NUL in it");
	if (object == NULL)
		return error_set(error, STATUS_USAGE, "this is not JSON: %s", where.text);
	if (json_object_size(defaults) > 0) {
		json_t *merged = json_deep_copy(defaults);

		json_object_update(merged, object);
		json_decref(object);
		object = merged;
	}
	result = spec_from_json(spec, object, clock_wall(), error);
	json_decref(object);
	return result;
}

static int
read_shell_line(const char *line, json_t *defaults, struct spec *spec, struct error *error)
{
	json_t *object = json_deep_copy(defaults);
	json_t *command = json_pack("[s, s, s]", "/bin/sh", "-c", line);
	int result;

	if (command == NULL) {
		json_decref(object);
		return error_set(error, STATUS_USAGE, "this line is not UTF-8");
	}
	json_object_set_new(object, "command", command);
	result = spec_from_json(spec, object, clock_wall(), error);
	json_decref(object);
	return result;
}

/* Two live jobs of one name there cannot be; with `once` it is the same job. */
static int
check_name(struct batch_jobs *jobs, const struct spec *spec, size_t line, struct error *error)
{
	size_t first = spec->name != NULL ? batch_names_add(&jobs->names, spec->name, line) : 0;

	return first == 0 || spec->is_once
	    ? 0
	    : error_set(error, STATUS_USAGE, "the name %s is that of line %zu already",
		  spec->name, first);
}

static int
add_line(struct submission *submission, struct batch_jobs *jobs, char *line, size_t number,
    json_t *defaults, struct error *error)
{
	struct spec spec;
	int result;

	line += strspn(line, " \t\r");
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	result = line[0] == '{' ? read_json_line(line, defaults, &spec, error)
				: read_shell_line(line, defaults, &spec, error);
	if (result == -1)
		return -1;
	if (spec.is_server) {
		spec_done(&spec);
		return error_set(error, STATUS_USAGE, "kind: a server is started with start");
	}
	if (spec.stdin_path != NULL && strcmp(spec.stdin_path, "-") == 0) {
		spec_done(&spec);
		return error_set(
		    error, STATUS_USAGE, "stdin: - is where the jobs themselves come from");
	}
	if (submission_prepare(submission, &spec, error) == -1 ||
	    check_name(jobs, &spec, number, error) == -1) {
		spec_done(&spec);
		return -1;
	}
	add_job(jobs, &spec, number);
	return 0;
}

/* What the verb's own options say, as the keys of a job. */
static json_t *
read_defaults(const struct submission *submission, struct error *error)
{
	struct spec spec = submission->invocation->spec; /* borrowed, with a command added */
	json_t *object;

	spec.command = (struct strings){ 0 };
	object = spec_to_json(&spec, error);
	if (object == NULL)
		return NULL;
	json_object_del(object, "command");
	for (size_t i = 0; i < spec.environment_requests.count; i++) {
		if (i == 0)
			json_object_set_new(object, "env", json_array());
		json_array_append_new(json_object_get(object, "env"),
		    json_string(spec.environment_requests.items[i]));
	}
	for (size_t i = 0; i < spec.environment_files.count; i++) {
		if (i == 0)
			json_object_set_new(object, "env-file", json_array());
		json_array_append_new(json_object_get(object, "env-file"),
		    json_string(spec.environment_files.items[i]));
	}
	if (spec.wants_all_environment)
		json_object_set_new(object, "env-all", json_true());
	return object;
}

static int
read_all(struct submission *submission, struct batch_jobs *jobs, struct error *error)
{
	json_t *defaults = read_defaults(submission, error);
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t length;
	int result = defaults == NULL ? -1 : 0;

	batch_names_init(&jobs->names);
	while (result == 0 && (length = getline(&line, &room, stdin)) != -1) {
		struct error why;

		number++;
		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		if (strlen(line) != (size_t)length || length > LARGEST_LINE)
			result = error_set(error, STATUS_USAGE,
			    "line %zu: %s; nothing was submitted", number,
			    length > LARGEST_LINE ? "it is longer than 8 MiB"
						  : "it has a NUL byte");
		else if (add_line(submission, jobs, line, number, defaults, &why) == -1)
			result = error_set(error, why.code, "line %zu: %s; nothing was submitted",
			    number, why.text);
	}
	if (result == 0 && ferror(stdin))
		result = error_set_errno(error, STATUS_USAGE, "standard input");
	batch_names_done(&jobs->names);
	free(line);
	json_decref(defaults);
	return result;
}

static void
show_progress(size_t done, size_t count)
{
	if (cli_is_interactive() && count > SUBMISSION_MOST)
		fprintf(stderr, "\r%zu of %zu submitted%s", done, count,
		    done == count ? "\n" : "");
}

static void
portion_request(struct submission_request *request, const struct submission *submission,
    const struct portion *portion, int64_t *ids)
{
	submission_request_init(
	    request, submission, portion->specs, portion->count, ids);
}

static int
explain_failure(const struct submission *submission, const struct portion *portion,
    const struct submission_request *request, const struct error *why, struct error *error)
{
	size_t at = request->ret_bad < request->count ? request->ret_bad : 0;

	if (submission->is_in_doubt)
		return error_set(error, why->code,
		    "%s; what has an id is in, and whether lines %zu to %zu are is not known",
		    why->text, portion->lines[0], portion->lines[portion->count - 1]);
	return error_set(error, why->code,
	    "line %zu: %s; what has an id is in, go on from line %zu", portion->lines[at],
	    why->text, portion->lines[0]);
}

static int
send_all(struct submission *submission, struct batch_jobs *jobs, struct error *error)
{
	int64_t ids[SUBMISSION_MOST];
	struct submission_request request, next = { 0 };
	struct portion *portion = TAILQ_FIRST(&jobs->portions), *behind;
	size_t done = 0;

	portion_request(&request, submission, portion, ids);
	for (; portion != NULL; portion = behind, request = next) {
		struct error why;

		behind = TAILQ_NEXT(portion, entry);
		if (behind != NULL)
			portion_request(&next, submission, behind, ids);
		if (submission_send(submission, &request, behind != NULL ? &next : NULL,
			&why) == -1) {
			if (behind != NULL)
				submission_request_done(&next);
			if (submission->invocation->wants_json)
				submission_print_refused(submission, &request);
			return explain_failure(submission, portion, &request, &why, error);
		}
		done += request.count;
		submission_print(submission, &request);
		show_progress(done, jobs->count);
		drop_first_portion(jobs);
	}
	return 0;
}

int
batch_submit(struct submission *submission)
{
	struct batch_jobs jobs = { .slabs = TAILQ_HEAD_INITIALIZER(jobs.slabs),
		.portions = TAILQ_HEAD_INITIALIZER(jobs.portions) };
	struct error error;
	int result = read_all(submission, &jobs, &error);

	submission->has_tokens = true;
	if (result == 0 && jobs.count == 0)
		cli_complain(STATUS_OK, "there are no jobs on standard input");
	else if (result == 0)
		result = send_all(submission, &jobs, &error);
	jobs_done(&jobs);
	return result == 0 ? STATUS_OK : cli_fail(&error);
}
