/*
 * map_report: an item that has ended: its output, a sentence if it failed, or an object. Each
 * is told once by a client, from the database and the file, whoever ran it.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/escape.h"
#include "cli/map.h"
#include "cli/outfile.h"
#include "cli/row_json.h"
#include "model/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
print_output(const struct map *map, const struct map_job *job)
{
	struct outfile file;

	if (job->attempt == 0)
		return;
	outfile_open(&file, map->invocation->state, job->id, job->attempt);
	outfile_print(&file, true);
	/* Else the line that shows how far it is would be drawn over it. */
	if (file.is_mid_line && map->progress.is_wanted && isatty(STDOUT_FILENO))
		putchar('\n');
	outfile_close(&file);
}

/* Its output's file; null if it wrote nothing. */
static json_t *
output_json(const struct map *map, const struct map_job *job)
{
	char *path = xasprintf("%s/output/%" PRId64 ".%" PRId64, map->invocation->state, job->id,
	    job->attempt);
	json_t *json = job->attempt > 0 && access(path, F_OK) == 0 ? row_json_string(path)
								    : json_null();

	free(path);
	return json;
}

static void
print_object(const struct map *map, int64_t number, const char *item,
    const struct map_job *job)
{
	row_json_print(json_pack("{s:I, s:s, s:I, s:s, s:s, s:o, s:o, s:I}", "number",
	    (json_int_t)number, "item", item, "id", (json_int_t)job->id, "status",
	    job_status_name(job->status), "reason", job->reason != NULL ? job->reason : "",
	    "exit_code", job->exit_code >= 0 ? json_integer(job->exit_code) : json_null(),
	    "output", output_json(map, job), "left_out", (json_int_t)job->left_out));
	fflush(stdout);
}

static void
tell_failure(const char *item, const struct map_job *job)
{
	struct reason reason = { 0 };
	char words[REASON_TEXT_SIZE + 64], quoted[80];

	if (job->reason != NULL && reason_parse(job->reason, &reason) == -1)
		reason = reason_from_words(job->reason);
	reason_words(words, sizeof(words), reason, job->timeout_ms);
	cli_complain(0, "%s: %s (job %" PRId64 ")", text_quote(quoted, sizeof(quoted), item),
	    words[0] != '\0' ? words : job_status_name(job->status), job->id);
}

/* What takes the output for the whole of it is to know better. */
static void
tell_cut(const char *item, const struct map_job *job)
{
	char size[32], quoted[80];

	cli_complain(0, "%s: %s of its output left out, see --max-output (job %" PRId64 ")",
	    text_quote(quoted, sizeof(quoted), item),
	    text_format_size(size, sizeof(size), job->left_out), job->id);
}

int
map_report(struct map *map, int64_t number, const struct map_job *job, struct error *error)
{
	char *item;

	if (job->status == JOB_CANCELLED && map->is_interrupted) {
		map->cancelled++;
		return 0;
	}
	item = map_template_item(&map->template, job->command);
	if (item == NULL)
		return error_set(error, STATUS_STATE,
		    "job %" PRId64 " is not of this map any more", job->id);
	map_progress_wipe(&map->progress);
	if (map->invocation->wants_json)
		print_object(map, number, item, job);
	else
		print_output(map, job);
	if (ferror(stdout)) {
		free(item);
		return error_set(
		    error, STATUS_INTERNAL, "standard output cannot be written to");
	}
	if (job->status != JOB_DONE)
		tell_failure(item, job);
	if (job->left_out > 0)
		tell_cut(item, job);
	map->cut += job->left_out > 0;
	map->done += job->status == JOB_DONE;
	map->failed += job->status != JOB_DONE;
	free(item);
	return 0;
}

static int
report_in_order(struct map *map, struct error *error)
{
	int64_t lowest = map_flight_lowest(&map->flight);

	while (map->printed < map->fed && map->printed + 1 < lowest) {
		struct map_job job;
		int result = query_map_item(
		    map->query, map->name, map->printed + 1, &job, error);

		if (result == 0 && job.id == 0)
			result = error_set(error, STATUS_STATE,
			    "the job of item %" PRId64 " has been pruned before it was told",
			    map->printed + 1);
		if (result == 0)
			result = map_report(map, map->printed + 1, &job, error);
		map_job_done(&job);
		if (result == -1)
			return -1;
		map->printed++;
	}
	return 0;
}

int
map_report_ends(struct map *map, struct error *error)
{
	struct map_job job;
	int result = 0;

	if (map->is_ordered)
		return report_in_order(map, error);
	for (size_t i = 0; i < map->end_count && result == 0; i++) {
		result = query_map_job(map->query, map->ends[i].job, &job, error);
		if (result == 0 && job.id == 0)
			result = error_set(error, STATUS_STATE,
			    "the job of item %" PRId64 " has been pruned before it was told",
			    map->ends[i].number);
		if (result == 0)
			result = map_report(map, map->ends[i].number, &job, error);
		map_job_done(&job);
	}
	map->end_count = 0;
	return result;
}
