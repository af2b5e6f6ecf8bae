/* family: supervisors and their children in system tests. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "support/family.h"
#include "support/outside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- started ---- */

static char *
shell_line(struct instance *instance, const char *options, const char *name,
    const char *arguments)
{
	return xasprintf("cd '%s' && exec \"$JOBBERD\" -C '%s' start %s %s -- "
			 SERVERS_DIRECTORY "/child log=%s/log %s",
	    instance->directory, instance->state, options != NULL ? options : "", name,
	    instance->directory, arguments != NULL ? arguments : "");
}

void
child_start_behind(struct helper *helper, struct instance *instance, const char *options,
    const char *name, const char *arguments)
{
	char *line = shell_line(instance, options, name, arguments);
	const char *words[] = { "sh", "-c", line, NULL };

	helper_start(helper, NULL, words);
	free(line);
}

struct result
child_start(struct instance *instance, const char *options, const char *name,
    const char *arguments)
{
	struct helper helper;
	struct result result;

	child_start_behind(&helper, instance, options, name, arguments);
	result.status = helper_wait(&helper);
	result.out = xstrdup(helper.out.text != NULL ? helper.out.text : "");
	result.err = xstrdup(helper.err.text != NULL ? helper.err.text : "");
	helper_end(&helper);
	return result;
}

int64_t
child_up(struct instance *instance, const char *options, const char *name,
    const char *arguments)
{
	struct result result = child_start(instance, options, name, arguments);
	int64_t id = strtoll(result.out, NULL, 10);

	expect(result, 0, NULL, NULL);
	return id;
}

/* ---- watched ---- */

static void
await_statement(struct instance *instance, const char *statement, const char *wanted)
{
	int64_t until = now_ms() + PATIENCE_MS;
	struct changes changes;
	char *answer;

	changes_init(&changes, instance);
	while (strcmp(answer = sql(instance, statement), wanted) != 0) {
		if (now_ms() >= until)
			fail_msg("%s: \"%s\" instead of \"%s\"", statement, answer, wanted);
		free(answer);
		changes_wait(&changes, until);
	}
	free(answer);
	changes_done(&changes);
}

void
await_sql(struct instance *instance, const char *wanted, const char *format, ...)
{
	char statement[1000];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(statement, sizeof(statement), format, arguments);
	va_end(arguments);
	await_statement(instance, statement, wanted);
}

void
await_up(struct instance *instance, const char *name, int attempt)
{
	await_sql(instance, "1",
	    "SELECT count(*) FROM jobs j JOIN attempts a ON a.job_id = j.id WHERE j.name = '%s' "
	    "AND j.status = 'running' AND a.ended_at IS NULL AND a.attempt >= %d",
	    name, attempt);
}

void
await_state(struct instance *instance, const char *supervisor, const char *state)
{
	await_sql(instance, state, "SELECT state FROM supervisors WHERE name = '%s'", supervisor);
}

static int64_t
number_of(struct instance *instance, const char *name, const char *what)
{
	char *statement = xasprintf("SELECT %s FROM attempts WHERE job_id = (SELECT max(id) "
				    "FROM jobs WHERE name = '%s')", what, name);
	int64_t number = sql_number(instance, statement);

	free(statement);
	return number;
}

pid_t
child_pid(struct instance *instance, const char *name)
{
	return (pid_t)number_of(instance, name, "max(iif(ended_at IS NULL, pid, 0))");
}

void
child_kill(struct instance *instance, const char *name)
{
	pid_t pid = child_pid(instance, name);

	if (pid <= 0)
		fail_msg("%s has no process", name);
	kill(pid, SIGKILL);
}

void
child_kill_often(struct instance *instance, const char *name, int times)
{
	for (int n = 1; n <= times; n++) {
		await_up(instance, name, n);
		child_kill(instance, name);
	}
}

int64_t
child_attempts(struct instance *instance, const char *name)
{
	return number_of(instance, name, "count(*)");
}

char *
child_status(struct instance *instance, const char *name)
{
	char *statement = xasprintf("SELECT status || iif(reason IS NULL OR status IN ('running', "
				    "'new'), '', ' ' || reason) FROM job_list WHERE name = '%s' "
				    "ORDER BY id DESC LIMIT 1", name);
	char *text = sql(instance, statement);

	free(statement);
	return text;
}

void
check_child(struct instance *instance, const char *name, const char *status)
{
	char *text = child_status(instance, name);

	if (strcmp(text, status) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", name, text, status);
	free(text);
}

static char *
log_path(struct instance *instance)
{
	return xasprintf("%s/log", instance->directory);
}

void
check_log(struct instance *instance, const char *wanted)
{
	char *path = log_path(instance), *text = file_text(path);

	for (char *end = text; (end = strchr(end, '\n')) != NULL;)
		*end = end[1] != '\0' ? ' ' : '\0';
	assert_string_equal(text, wanted);
	free(text);
	free(path);
}

void
clear_log(struct instance *instance)
{
	char *path = log_path(instance);

	unlink(path);
	free(path);
}

void
check_count(struct instance *instance, const char *supervisor, const char *wanted)
{
	struct result result = jobberd(instance, "count", supervisor, NULL);
	struct buf numbers = { 0 };

	assert_int_equal(result.status, 0);
	for (char *line = result.out, *next; *line != '\0'; line = next + 1) {
		next = strchr(line, '\n');
		assert_non_null(next);
		*next = '\0';
		buf_addf(&numbers, "%s%s", numbers.length > 0 ? " " : "",
		    strrchr(line, ' ') + 1);
	}
	assert_string_equal(buf_text(&numbers), wanted);
	buf_done(&numbers);
	result_done(&result);
}

void
flag_up(struct instance *instance, const char *name)
{
	file_make(instance, name);
}

void
flag_down(struct instance *instance, const char *name)
{
	char *path = xasprintf("%s/%s", instance->directory, name);

	unlink(path);
	free(path);
}
