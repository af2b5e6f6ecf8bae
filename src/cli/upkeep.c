/* upkeep: prune, migrate and status. */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/database.h"
#include "cli/escape.h"
#include "cli/row_json.h"
#include "cli/select.h"
#include "cli/table.h"
#include "keeper/lock.h"
#include "store/migrate.h"
#include "store/query.h"
#include "store/upkeep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- prune ---- */

static json_t *
prune_params(const struct invocation *invocation, struct error *error)
{
	struct job_filter filter = { 0 };
	json_t *statuses;
	bool given;

	if (select_filter(invocation, &filter, &given, error) == -1)
		return NULL;
	statuses = json_array();
	for (int status = JOB_DONE; status < JOB_STATUS_COUNT; status++) {
		if (!filter.has_statuses || filter.statuses[status])
			json_array_append_new(statuses, json_string(job_status_name(status)));
	}
	if (json_array_size(statuses) == 0) {
		json_decref(statuses);
		error_set(error, STATUS_USAGE, "status: only done, failed and cancelled jobs "
					       "can be pruned");
		return NULL;
	}
	return json_pack("{s:o, s:I, s:I, s:b}", "statuses", statuses, "older_than_ms",
	    (json_int_t)option_duration(invocation, "older-than", 0), "keep",
	    (json_int_t)option_number(invocation, "keep", 0, INT32_MAX, 0), "dry_run",
	    option_is_given(invocation, "dry-run"));
}

static void
print_pruned(json_int_t count, bool is_dry_run)
{
	fprintf(stderr, "%" JSON_INTEGER_FORMAT " job%s %s\n", count, count == 1 ? "" : "s",
	    is_dry_run ? "would be pruned" : "pruned");
}

int
verb_prune(struct invocation *invocation)
{
	bool is_dry_run = option_is_given(invocation, "dry-run");
	struct client_connection connection;
	json_t *params, *result;
	struct error error;
	int status;

	if (!option_is_given(invocation, "older-than") &&
	    !option_is_given(invocation, "status") && !option_is_given(invocation, "keep"))
		return cli_complain(STATUS_USAGE,
		    "prune what? give --older-than, --status or --keep");
	params = prune_params(invocation, &error);
	if (params == NULL)
		return cli_fail(&error);
	status = client_connect(invocation, &connection);
	if (status != STATUS_OK) {
		json_decref(params);
		return status;
	}
	result = client_call(&connection, "prune", params, NULL, &error);
	client_close(&connection);
	if (result == NULL)
		return cli_fail(&error);
	if (invocation->wants_json) {
		json_dumpf(result, stdout, JSON_INDENT(1));
		putchar('\n');
	} else
		print_pruned(json_integer_value(json_object_get(result, "pruned")), is_dry_run);
	json_decref(result);
	return STATUS_OK;
}

/* ---- migrate ---- */

int
verb_migrate(struct invocation *invocation)
{
	int version, newest = migrate_newest();
	pid_t holder = lock_holder(invocation->state);
	struct error error;

	if (upkeep_version(invocation->state, &version, &error) == -1)
		return cli_fail(&error);
	if (version == newest) {
		fprintf(stderr, "the database has version %d, as this program\n", version);
		return STATUS_OK;
	}
	fprintf(stderr, "the database has version %d, this program's is %d\n", version, newest);
	if (option_is_given(invocation, "check"))
		return STATUS_NO;
	if (holder != 0)
		return cli_complain(STATUS_STATE,
		    "a supervisor runs on it (pid %d): end it first", (int)holder);
	if (upkeep_migrate(invocation->state, &error) == -1)
		return cli_fail(&error);
	fprintf(stderr, "migrated; the copy of before is %s/jobberd.db.backup-%d\n",
	    invocation->state, version);
	return STATUS_OK;
}

/* ---- status ---- */

static int64_t
file_size(const char *state, const char *name)
{
	char *path = xasprintf("%s/%s", state, name);
	struct stat info;
	int64_t size = stat(path, &info) == 0 ? (int64_t)info.st_size : 0;

	free(path);
	return size;
}

/* Bytes on disk, of which there may be fewer than in the files' lengths. */
static int64_t
directory_size(int at, const char *path, int64_t *ret_files)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int64_t size = 0;

	if (directory == NULL && fd != -1)
		close(fd);
	if (directory == NULL)
		return 0;
	while ((entry = readdir(directory)) != NULL) {
		struct stat info;

		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		size += (int64_t)info.st_blocks * 512;
		if (S_ISDIR(info.st_mode)) /* segments of one attempt */
			size += directory_size(dirfd(directory), entry->d_name, ret_files);
		else
			++*ret_files;
	}
	closedir(directory);
	return size;
}

static json_t *
supervisors_json(const struct invocation *invocation, struct error *error)
{
	const char *wanted =
	    invocation->argument_count > 0 ? invocation->arguments[0] : NULL;
	struct query *query = database_open(invocation->state, error);
	struct rows *rows = query != NULL ? query_supervisors(query, error) : NULL;
	json_t *list = rows != NULL ? json_array() : NULL;
	int more = 0;

	while (rows != NULL && (more = rows_next(rows, error)) == 1) {
		static const char *const counts[] = { "running", "ready", "new", "errored",
			"held" };
		const char *name = rows_text(rows, "name");
		json_t *row;

		if (wanted != NULL && strcmp(wanted, name) != 0)
			continue;
		row = json_pack("{s:o}", "name", row_json_string(name));
		json_object_set_new(row, "max_children",
		    rows_number(rows, "max_children", -1) == -1
			? json_null()
			: json_integer(rows_number(rows, "max_children", -1)));
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			json_object_set_new(row, counts[i],
			    json_integer(rows_number(rows, counts[i], 0)));
		json_array_append_new(list, row);
	}
	rows_close(rows);
	query_close(query);
	if (list != NULL && (more == -1 || json_array_size(list) == 0)) {
		json_decref(list);
		list = NULL;
		if (more != -1)
			error_set(error, STATUS_NOT_FOUND, "there is no supervisor %s", wanted);
	}
	return list;
}

/* What the word that the supervisor process uses means. */
static const char *
cgroup_words(const json_t *word)
{
	const char *text = json_is_string(word) ? json_string_value(word) : "no";

	if (strcmp(text, "memory") == 0)
		return "yes, memory watched";
	return strcmp(text, "yes") == 0 ? "yes" : "no, not delegated";
}

static void
print_process(const json_t *process, const struct invocation *invocation)
{
	const json_t *troubles = json_object_get(process, "troubles");
	const json_t *strays = json_object_get(process, "strays"), *item;
	json_int_t restarts = json_integer_value(json_object_get(process, "restarts"));
	char age[32], *call;
	size_t index;

	if (process == NULL) {
		call = cli_how_to_call(invocation);
		printf("nothing runs; start it with: %s supervise\n", call);
		free(call);
		return;
	}
	printf("%s for %s, keeper %" JSON_INTEGER_FORMAT
	       ", supervisor process %" JSON_INTEGER_FORMAT " (restarted %" JSON_INTEGER_FORMAT
	       " time%s)\n",
	    json_string_value(json_object_get(process, "phase")),
	    text_format_duration(age, sizeof(age),
		clock_wall().ms - json_integer_value(json_object_get(process, "started_at"))),
	    json_integer_value(json_object_get(process, "keeper_pid")),
	    json_integer_value(json_object_get(process, "supervisor_pid")),
	    restarts, restarts == 1 ? "" : "s");
	printf("cgroups: %s\n", cgroup_words(json_object_get(process, "cgroups")));
	json_array_foreach(troubles, index, item)
		printf("trouble: %s\n", json_string_value(item));
	json_array_foreach(strays, index, item)
		printf("stray process: %" JSON_INTEGER_FORMAT "\n", json_integer_value(item));
}

static void
print_supervisors(const json_t *supervisors)
{
	static const char *const headers[] = { "supervisor", "places", "running", "ready",
		"new", "errored", "held" };
	static const char *const keys[] = { "name", "max_children", "running", "ready", "new",
		"errored", "held" };
	struct table_setup setup = {
		.file = stdout,
		.columns = sizeof(keys) / sizeof(keys[0]),
		.headers = headers,
		.width = table_terminal_width(),
	};
	struct table *table = table_new(&setup);
	const json_t *row;
	size_t index;

	json_array_foreach(supervisors, index, row) {
		for (size_t i = 0; i < setup.columns; i++) {
			const json_t *value = json_object_get(row, keys[i]);
			struct buf cell = { 0 };

			if (json_is_integer(value))
				buf_addf(&cell, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
			else
				escape_add_text(&cell,
				    json_is_string(value) ? json_string_value(value) : "any");
			table_add(table, &cell);
			buf_done(&cell);
		}
	}
	table_close(table);
}

static void
print_sizes(const json_t *status)
{
	json_int_t files = json_integer_value(json_object_get(status, "output_files"));
	char database[32], wal[32], output[32];

	printf("database %s and %s of log, %" JSON_INTEGER_FORMAT " output file%s %s\n"
	       "nothing is pruned by itself\n",
	    text_format_size(database, sizeof(database),
		json_integer_value(json_object_get(status, "database_bytes"))),
	    text_format_size(wal, sizeof(wal),
		json_integer_value(json_object_get(status, "wal_bytes"))),
	    files, files == 1 ? "" : "s",
	    text_format_size(output, sizeof(output),
		json_integer_value(json_object_get(status, "output_bytes"))));
}

static json_t *
status_json(const struct invocation *invocation, json_t *process, json_t *supervisors)
{
	char *path = xasprintf("%s/output", invocation->state);
	int64_t files = 0, output = directory_size(AT_FDCWD, path, &files);
	json_t *status = json_pack("{s:o, s:I, s:I, s:I, s:I}", "state",
	    row_json_string(invocation->state),
	    "database_bytes", (json_int_t)file_size(invocation->state, "jobberd.db"),
	    "wal_bytes", (json_int_t)file_size(invocation->state, "jobberd.db-wal"),
	    "output_files", (json_int_t)files, "output_bytes", (json_int_t)output);

	free(path);
	json_object_set_new(status, "process", process != NULL ? process : json_null());
	json_object_set_new(
	    status, "supervisors", supervisors != NULL ? supervisors : json_null());
	return status;
}

int
verb_status(struct invocation *invocation)
{
	json_t *process, *supervisors, *status;
	struct error error;
	int result;

	process = client_status(invocation->state, &error);
	if (process == NULL && error.code != STATUS_NOT_RUNNING)
		return cli_fail(&error);
	result = process != NULL ? STATUS_OK : STATUS_NOT_RUNNING;
	if (process == NULL && file_size(invocation->state, "jobberd.db") == 0)
		return cli_not_running(invocation);
	supervisors = supervisors_json(invocation, &error);
	if (supervisors == NULL && (process == NULL || invocation->argument_count > 0)) {
		json_decref(process);
		return cli_fail(&error);
	}
	/* Without its database the process still says what troubles it. */
	if (supervisors == NULL)
		result = cli_fail(&error);
	status = status_json(invocation, process, supervisors);
	if (invocation->wants_json) {
		json_dumpf(status, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		print_process(process, invocation);
		if (supervisors != NULL)
			print_supervisors(supervisors);
		print_sizes(status);
	}
	json_decref(status);
	return result;
}
