/*
 * spec_options: the options of a job, one setter and one row each. To add one: a field in
 * struct spec, a setter here (of a server: in spec_server.c, of a plain one in spec_plain.c, of
 * a label in spec_labels.c), a row in spec_options, and where it is stored (store/, migrations/,
 * spec_json.c).
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "model/spec_setters.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEPENDENCIES 1000
#define MAX_OUTPUT_WANTED "a size of at least 64K, like 16M"

static void
replace(char **text, const char *value)
{
	free(*text);
	*text = xstrdup(value);
}

int
spec_bad(struct error *error, const char *option, const char *value, const char *wanted)
{
	char quoted[80];

	return error_set(error, STATUS_USAGE, "%s: \"%s\" is not %s", option,
	    text_quote(quoted, sizeof(quoted), value), wanted);
}

static int
set_name(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (!text_is_name(value) && !text_is_child_name(value))
		return spec_bad(error, "name", value,
		    "a name: a letter or _, then letters, digits and _.:-, 128 at most");
	replace(&spec->name, value);
	if (spec->supervisor == NULL && strchr(value, '/') != NULL)
		spec->supervisor = xstrndup(value, strcspn(value, "/"));
	return 0;
}

int
spec_set_flag(bool *flag, const char *option, const char *value, struct error *error)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return spec_bad(error, option, value, "true or false");
	*flag = strcmp(value, "true") == 0;
	return 0;
}

static int
set_once(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->is_once, "once", value, error);
}

static int
set_supervisor(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (!text_is_name(value))
		return spec_bad(error, "supervisor", value, "a supervisor's name");
	replace(&spec->supervisor, value);
	return 0;
}

static int
set_type(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (!text_is_name(value))
		return spec_bad(error, "type", value, "a word like a name");
	replace(&spec->type, value);
	return 0;
}

static int
set_priority(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (text_number(value, 0, 9, &spec->priority) == -1)
		return spec_bad(error, "priority", value, "a number from 0 (first) to 9");
	return 0;
}

static int
set_max_retries(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (strcmp(value, "inf") == 0)
		spec->retry.max_retries = RETRY_FOR_EVER;
	else if (text_number(value, 0, 1000000, &spec->retry.max_retries) == -1)
		return spec_bad(error, "max-retries", value, "a number from 0 to 1000000 or inf");
	spec->has_max_retries = true;
	return 0;
}

static int
set_backoff(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (retry_parse_backoff(value, &spec->retry) == -1)
		return spec_bad(error, "backoff", value,
		    "KIND:PAUSE[,LONGEST] with constant, linear or exponential, like "
		    "exponential:1s,10m");
	spec->has_backoff = true;
	return 0;
}

static int
set_jitter(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	char number[8];
	size_t length = strlen(value);
	int64_t percent;

	(void)now;
	if (length > 0 && value[length - 1] == '%')
		length--;
	if (length < sizeof(number)) {
		memcpy(number, value, length);
		number[length] = '\0';
	}
	if (length >= sizeof(number) || text_number(number, 0, 100, &percent) == -1)
		return spec_bad(error, "jitter", value, "a percentage from 0 to 100");
	spec->retry.jitter_percent = (int)percent;
	return 0;
}

int
spec_set_duration(int64_t *ms, int64_t least, const char *option, const char *value,
    struct error *error)
{
	int64_t parsed;

	if (text_duration(value, &parsed) == -1 || parsed < least)
		return spec_bad(error, option, value, text_duration_wanted(value, least));
	*ms = parsed;
	return 0;
}

static int
set_timeout(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_duration(&spec->timeout_ms, 1, "timeout", value, error);
}

static int
set_grace(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (strcmp(value, "brutal_kill") == 0)
		spec->grace_ms = 0;
	else if (strcmp(value, "infinity") == 0)
		spec->grace_ms = SPEC_GRACE_FOR_EVER;
	else
		return spec_set_duration(&spec->grace_ms, 0, "grace", value, error);
	return 0;
}

static int
set_in(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_duration(&spec->start_in_ms, 0, "in", value, error);
}

static int
set_at(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	if (text_time(value, now, &spec->start_at) == 0)
		return 0;
	return spec_bad(error, "at", value, errno == ERANGE
		? "a time from 1970 to the year 9999"
		: "a time like 2026-11-22T20:00:00Z, \"2026-11-22 20:00\" or 20:00");
}

static int
add_dependencies(struct spec *spec, enum dependency_kind kind, const char *option,
    const char *value, struct error *error)
{
	char *copy = xstrdup(value), *rest = copy, *word;
	int result = 0;

	while (result == 0 && (word = strsep(&rest, ",")) != NULL) {
		int64_t id = 0;
		bool is_name = text_is_name(word);

		if (!is_name && text_number(word, 1, SPEC_LARGEST_ID, &id) == -1)
			result = spec_bad(error, option, value,
			    "a list of job ids and names like 41,report");
		else if (spec->dependency_count >= MOST_DEPENDENCIES)
			result = error_set(error, STATUS_USAGE,
			    "%s: a job can wait for %d others at most", option,
			    MOST_DEPENDENCIES);
		else {
			spec->dependencies = xreallocarray(spec->dependencies,
			    spec->dependency_count + 1, sizeof(spec->dependencies[0]));
			spec->dependencies[spec->dependency_count++] =
			    (struct dependency){ .on = id, .kind = kind,
				    .name = is_name ? xstrdup(word) : NULL };
		}
	}
	free(copy);
	return result;
}

static int
set_after(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return add_dependencies(spec, DEPENDENCY_DONE, "after", value, error);
}

static int
set_after_any(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return add_dependencies(spec, DEPENDENCY_ENDED, "after-any", value, error);
}

static int
set_cwd(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (value[0] != '/')
		return spec_bad(error, "cwd", value, "an absolute path");
	replace(&spec->cwd, value);
	return 0;
}

static int
set_env(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (!text_is_variable(value, strcspn(value, "=")))
		return spec_bad(error, "env", value, "NAME or NAME=VALUE");
	strings_add(&spec->environment_requests, value);
	return 0;
}

static int
set_env_all(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->wants_all_environment, "env-all", value, error);
}

static int
set_env_file(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	(void)error;
	strings_add(&spec->environment_files, value);
	return 0;
}

static int
set_stdin(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (value[0] == '\0')
		return spec_bad(error, "stdin", value, "a file's path or -");
	replace(&spec->stdin_path, value);
	return 0;
}

int
spec_check_resolved(const struct spec *spec, struct error *error)
{
	if (spec->wants_all_environment || spec->environment_requests.count > 0 ||
	    spec->environment_files.count > 0)
		return error_set(error, STATUS_USAGE,
		    "env, env-all and env-file are for the client to resolve: send "
		    "environment, an object");
	return spec->stdin_path != NULL && spec->stdin_path[0] != '/'
	    ? spec_bad(error, "stdin", spec->stdin_path, "an absolute path")
	    : 0;
}

static int
set_max_output(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	int64_t bytes;

	(void)now;
	if (text_size(value, &bytes) == -1)
		return spec_bad(error, "max-output", value,
		    errno == ERANGE ? "a size of 3637978T at most" : MAX_OUTPUT_WANTED);
	if (bytes < 65536)
		return spec_bad(error, "max-output", value, MAX_OUTPUT_WANTED);
	spec->max_output = bytes;
	return 0;
}

static int
set_log_rotate(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (rotation_parse(value, &spec->log_rotate) == 0)
		return 0;
	return spec_bad(error, "log-rotate", value, errno == ERANGE
		? "a size of 1024T at most"
		: "SIZE[,N] with a size of at least 64K and 1 to 1000 segments, like 10M,5");
}

static int
set_leave_children(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->leaves_children, "leave-children", value, error);
}

static int
set_hold(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->is_held, "hold", value, error);
}

const struct spec_option spec_options[] = {
	{ "name", 'n', "NAME", "a name of its own among live jobs", set_name, SPEC_ANY },
	{ "once", 0, NULL, "if a live job has the name, print its id and succeed",
	    set_once, SPEC_ANY },
	{ "supervisor", 's', "NAME", "who runs it: default, serial, …",
	    set_supervisor, SPEC_ANY },
	{ "type", 0, "TYPE", "a label to list by", set_type, SPEC_ANY },
	{ "priority", 0, "0..9", "0 goes first; 5 unless given", set_priority, SPEC_ANY },
	{ "max-retries", 'r', "N|inf", "how often a failed run is retried",
	    set_max_retries, SPEC_WORK },
	{ "backoff", 0, "KIND:D[,MAX]", "pause before a retry: constant, linear or exponential",
	    set_backoff, SPEC_WORK },
	{ "jitter", 0, "PERCENT", "move each pause by up to this, up or down",
	    set_jitter, SPEC_WORK },
	{ "timeout", 't', "DURATION", "end a run that takes longer", set_timeout, SPEC_ANY },
	{ "grace", 0, "DURATION", "from SIGTERM to SIGKILL; 10s, of servers 5s, unless given",
	    set_grace, SPEC_ANY },
	{ "in", 0, "DURATION", "do not start before this has passed", set_in, SPEC_COMMAND },
	{ "at", 0, "TIME", "do not start before this time", set_at, SPEC_COMMAND },
	{ "after", 0, "ID[,ID]", "start when all of these are done", set_after, SPEC_COMMAND },
	{ "after-any", 0, "ID[,ID]", "start when all of these have ended, however",
	    set_after_any, SPEC_COMMAND },
	{ "hold", 0, NULL, "do not start until released", set_hold, SPEC_COMMAND },
	{ "key", 0, "KEY", "with --limit: how many with this key run at once", spec_set_key,
	    SPEC_COMMAND },
	{ "limit", 0, "N", "so many with the same --key; the others wait", spec_set_limit,
	    SPEC_COMMAND },
	{ "meta", 0, "NAME=VALUE", "a word for people and queries", spec_set_meta, SPEC_ANY },
	{ "group", 0, "GROUP", "a name that others may have too; for messages to all of them",
	    spec_set_group, SPEC_ANY },
	{ "cwd", 'd', "DIR", "run there", set_cwd, SPEC_ANY },
	{ "env", 'e', "NAME[=V]", "also give it this variable", set_env, SPEC_ANY },
	{ "env-all", 0, NULL, "give it the whole environment", set_env_all, SPEC_ANY },
	{ "env-file", 0, "FILE", "give it the NAME=VALUE lines of a file",
	    set_env_file, SPEC_ANY },
	{ "stdin", 'i', "FILE|-", "its standard input; nothing unless given",
	    set_stdin, SPEC_COMMAND },
	{ "max-output", 0, "SIZE", "keep the head and tail of longer output; 16M",
	    set_max_output, SPEC_ANY },
	{ "log-rotate", 0, "SIZE[,N]", "rotate its output at each SIZE, and keep the last N; 5",
	    set_log_rotate, SPEC_ANY },
	{ "leave-children", 0, NULL, "let what it leaves running live on",
	    set_leave_children, SPEC_ANY },
	{ "restart", 0, "TYPE", "temporary, transient (unless given) or permanent",
	    spec_set_restart, SPEC_SERVER },
	{ "durable", 0, NULL, "keep its messages, timers and state on disk", spec_set_durable,
	    SPEC_SERVER },
	{ "restart-delay", 0, "KIND:D[,MAX]", "pause before it is started again: as --backoff",
	    spec_set_restart_delay, SPEC_SERVER },
	{ "significant", 0, NULL, "its end may end its supervisor (--auto-shutdown)",
	    spec_set_significant, SPEC_SERVER },
	{ "autostart", 0, "true|false", "does it start with its supervisor? true unless given",
	    spec_set_autostart, SPEC_SERVER },
	{ "init-timeout", 0, "DURATION", "end it if its init takes longer", spec_set_init_timeout,
	    SPEC_SERVER },
	{ "max-redeliveries", 0, "N|inf",
	    "after so many, set a message aside over which it crashes; 3",
	    spec_set_max_redeliveries, SPEC_SERVER },
	{ "pool", 0, "N", "so many processes with one mailbox; a message is retried like a job",
	    spec_set_pool, SPEC_SERVER },
	{ "max-messages", 0, "N", "in a pool: start a process anew after so many messages",
	    spec_set_max_messages, SPEC_SERVER },
	{ "plain", 0, NULL, "it is any program, and has no mailbox; then permanent unless given",
	    spec_set_plain, SPEC_SERVER },
	{ "ready", 0, "HOW", "it is started when: exec (unless given), notify or fd:N",
	    spec_set_ready, SPEC_PLAIN },
	{ "stop-signal", 0, "SIGNAL", "asks it to end; SIGTERM unless given",
	    spec_set_stop_signal, SPEC_PLAIN },
	{ "success-exit", 0, "LIST", "ends that are good ones, like 3,SIGTERM",
	    spec_set_success_exit, SPEC_PLAIN },
	{ "watchdog", 0, "DURATION", "end it when it gives no sign of life for so long",
	    spec_set_watchdog, SPEC_PLAIN },
	{ NULL, 0, NULL, NULL, NULL, SPEC_ANY },
};

const struct spec_option *
spec_option_find(const char *name)
{
	for (const struct spec_option *option = spec_options; option->name != NULL; option++) {
		size_t i = 0;

		while (option->name[i] != '\0' &&
		    (name[i] == option->name[i] || (name[i] == '_' && option->name[i] == '-')))
			i++;
		if (option->name[i] == '\0' && name[i] == '\0')
			return option;
	}
	return NULL;
}

int
spec_set(struct spec *spec, const struct spec_option *option, const char *value,
    struct wall now, struct error *error)
{
	if (option->kind == SPEC_COMMAND)
		spec->given_for_commands = option->name;
	else if (option->kind == SPEC_SERVER)
		spec->given_for_servers = option->name;
	else if (option->kind == SPEC_WORK)
		spec->given_for_work = option->name;
	else if (option->kind == SPEC_PLAIN)
		spec->given_for_plain = option->name;
	return option->set(spec, value, now, error);
}
