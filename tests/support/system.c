/* system: running the real program in tests. */

#include "support/system.h"
#include "support/witness.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_ARGUMENTS 64
#define TRY_LATER 75
#define LEAVING_MS 30000

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *
program(void)
{
	const char *path = getenv("JOBBERD");

	if (path == NULL)
		fail_msg("JOBBERD is not set: which program is to be tested?");
	return path;
}

/* ---- processes ---- */

static pid_t
launch(const char *const *arguments, int input, int output, int errors)
{
	const char *path = program();
	pid_t pid = fork();

	if (pid == -1)
		fail_msg("fork: %s", strerror(errno));
	if (pid == 0) {
		/* Should the test program die, what it started stops too. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(input, 0);
		dup2(output, 1);
		dup2(errors, 2);
		syscall(SYS_close_range, 3U, ~0U, 0U);
		execv(path, (char *const *)arguments);
		_exit(127);
	}
	return pid;
}

static int
exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool
is_alive(pid_t pid)
{
	char path[64], text[512] = "", *behind;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	behind = strrchr(text, ')');
	return behind != NULL && behind[2] != 'Z';
}

/* A zombie is gone. */
static bool
is_gone_in(pid_t pid, int ms)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	bool is_gone = fd == -1 || poll(&wanted, 1, ms) == 1;

	if (fd != -1)
		close(fd);
	return is_gone;
}

void
wait_gone(pid_t pid)
{
	if (!is_gone_in(pid, PATIENCE_MS))
		fail_msg("process %d does not end", (int)pid);
}

static char *
read_all(int fd)
{
	size_t length = 0, room = 4096;
	char *text = malloc(room);
	ssize_t got;

	while ((got = read(fd, text + length, room - length - 1)) != 0) {
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			break;
		length += (size_t)got;
		if (room - length < 2048)
			text = realloc(text, room *= 2);
	}
	text[length] = '\0';
	return text;
}

static struct result
run(const char *const *arguments, const char *input)
{
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	int errors = memfd_create("err", MFD_CLOEXEC), status;
	struct result result;
	pid_t pid;

	if (input != NULL && write(in, input, strlen(input)) != (ssize_t)strlen(input))
		fail_msg("cannot write the input");
	lseek(in, 0, SEEK_SET);
	pid = launch(arguments, in, out, errors);
	wait_gone(pid);
	waitpid(pid, &status, 0);
	lseek(out, 0, SEEK_SET);
	lseek(errors, 0, SEEK_SET);
	result = (struct result){ exit_status(status), read_all(out), read_all(errors) };
	close(in);
	close(out);
	close(errors);
	return result;
}

static void
collect(const char **arguments, size_t used, va_list list)
{
	const char *argument;

	while ((argument = va_arg(list, const char *)) != NULL && used < MOST_ARGUMENTS - 1)
		arguments[used++] = argument;
	arguments[used] = NULL;
}

struct result
jobberd(struct instance *instance, ...)
{
	const char *arguments[MOST_ARGUMENTS] = { "jobberd", "-C", instance->state };
	va_list list;

	va_start(list, instance);
	collect(arguments, 3, list);
	va_end(list);
	return run(arguments, NULL);
}

struct result
jobberd_with_input(struct instance *instance, const char *input, ...)
{
	const char *arguments[MOST_ARGUMENTS] = { "jobberd", "-C", instance->state };
	va_list list;

	va_start(list, input);
	collect(arguments, 3, list);
	va_end(list);
	return run(arguments, input);
}

void
result_done(struct result *result)
{
	free(result->out);
	free(result->err);
	*result = (struct result){ 0 };
}

void
assert_result(struct result result, int status, const char *out, const char *err)
{
	assert_string_equal(result.err, err);
	assert_string_equal(result.out, out);
	assert_int_equal(result.status, status);
	result_done(&result);
}

void
expect(struct result result, int status, const char *out, const char *err)
{
	if (result.status != status || (out != NULL && strcmp(result.out, out) != 0) ||
	    (err != NULL && strstr(result.err, err) == NULL))
		fail_msg("exit %d, \"%s\", \"%s\" instead of %d, \"%s\", \"%s\"", result.status,
		    result.out, result.err, status, out != NULL ? out : "…",
		    err != NULL ? err : "…");
	result_done(&result);
}

int64_t
submit_job(struct instance *instance, ...)
{
	const char *arguments[MOST_ARGUMENTS] = { "jobberd", "-C", instance->state, "submit" };
	struct result result;
	va_list list;
	int64_t id;

	va_start(list, instance);
	collect(arguments, 4, list);
	va_end(list);
	result = run(arguments, NULL);
	if (result.status != 0)
		fail_msg("submit: exit %d: %s", result.status, result.err);
	id = strtoll(result.out, NULL, 10);
	result_done(&result);
	return id;
}

int
wait_job(struct instance *instance, int64_t id)
{
	char word[32];
	struct result result;
	int status;

	snprintf(word, sizeof(word), "%lld", (long long)id);
	result = jobberd(instance, "wait", word, "--timeout", "50s", NULL);
	status = result.status;
	result_done(&result);
	return status;
}

/* ---- the instance ---- */

void
instance_init(struct instance *instance)
{
	const char *base = getenv("TMPDIR");

	*instance = (struct instance){ .log_fd = -1 };
	snprintf(instance->directory, sizeof(instance->directory), "%s/i.XXXXXX",
	    base != NULL ? base : "/tmp");
	if (mkdtemp(instance->directory) == NULL)
		fail_msg("mkdtemp: %s", strerror(errno));
	snprintf(instance->state, sizeof(instance->state), "%s/state", instance->directory);
}

void
instance_forget_log(struct instance *instance)
{
	if (instance->log_fd != -1)
		close(instance->log_fd);
	free(instance->log);
	instance->log_fd = -1;
	instance->log = NULL;
	instance->log_length = 0;
}

/* ---- a test that fails leaves its instance behind: what runs there is ended at exit ---- */

static pid_t keepers[1000];
static size_t keeper_count;

static void
end_keepers(void)
{
	for (size_t i = 0; i < keeper_count; i++) {
		/* One that was waited for is nobody's, or somebody else's, by now. */
		if (waitpid(keepers[i], NULL, WNOHANG) != 0)
			continue;
		kill(keepers[i], SIGCONT);
		kill(keepers[i], SIGTERM);
		kill(keepers[i], SIGTERM); /* at once */
		if (!is_gone_in(keepers[i], LEAVING_MS)) {
			print_message("it does not leave:\n");
			witness_processes(keepers[i]);
			kill(keepers[i], SIGKILL);
			waitpid(keepers[i], NULL, 0);
		}
	}
}

static void
end_at_exit(pid_t keeper)
{
	if (keeper_count == 0)
		atexit(end_keepers);
	if (keeper_count < sizeof(keepers) / sizeof(keepers[0]))
		keepers[keeper_count++] = keeper;
}

void
instance_launch(struct instance *instance, const char *const *extra)
{
	const char *arguments[MOST_ARGUMENTS] = { "jobberd", "-C", instance->state,
		"supervise" };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2];
	size_t used = 4;

	for (size_t i = 0; extra != NULL && extra[i] != NULL; i++)
		arguments[used++] = extra[i];
	instance_forget_log(instance);
	if (pipe2(pair, O_CLOEXEC) == -1)
		fail_msg("pipe: %s", strerror(errno));
	fcntl(pair[1], F_SETPIPE_SZ, 1 << 20); /* nobody may be reading for a while */
	instance->keeper = launch(arguments, null, pair[1], pair[1]);
	end_at_exit(instance->keeper);
	instance->log_fd = pair[0];
	close(pair[1]);
	close(null);
}

static void
add_to_log(struct instance *instance, const char *bytes, size_t length)
{
	instance->log = realloc(instance->log, instance->log_length + length + 1);
	memcpy(instance->log + instance->log_length, bytes, length);
	instance->log_length += length;
	instance->log[instance->log_length] = '\0';
}

/* A supervisor process that is at fault is followed by another, and not missed by a test. */
static void
check_log(struct instance *instance)
{
	static const char *const faults[] = { "process ended signal=11", "process ended signal=6",
		"process ended signal=7", "process ended signal=8", "runtime error: " };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (instance->log != NULL && strstr(instance->log, faults[i]) != NULL)
			fail_msg("our own fault:\n%s", instance->log);
	}
}

void
instance_expect(struct instance *instance, const char *text)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	for (;;) {
		struct pollfd wanted = { .fd = instance->log_fd, .events = POLLIN };
		char bytes[4096];
		ssize_t got;

		if (instance->log != NULL && strstr(instance->log, text) != NULL)
			return;
		if (poll(&wanted, 1, (int)(deadline - now_ms())) != 1)
			fail_msg("the log never said \"%s\":\n%s", text,
			    instance->log != NULL ? instance->log : "");
		got = read(instance->log_fd, bytes, sizeof(bytes));
		if (got <= 0)
			fail_msg("the log ended without \"%s\":\n%s", text,
			    instance->log != NULL ? instance->log : "");
		add_to_log(instance, bytes, (size_t)got);
	}
}

void
instance_start(struct instance *instance, ...)
{
	const char *arguments[MOST_ARGUMENTS];
	va_list list;

	va_start(list, instance);
	collect(arguments, 0, list);
	va_end(list);
	instance_launch(instance, arguments);
	instance_expect(instance, "ready: ");
}

/* Until none of its processes is there any more: they must not wait for room in the pipe. */
static void
read_log(struct instance *instance)
{
	char bytes[4096];
	ssize_t got;

	while ((got = read(instance->log_fd, bytes, sizeof(bytes))) > 0)
		add_to_log(instance, bytes, (size_t)got);
}

int
instance_wait(struct instance *instance)
{
	int status;

	read_log(instance);
	wait_gone(instance->keeper);
	waitpid(instance->keeper, &status, 0);
	instance->keeper = 0;
	check_log(instance);
	return exit_status(status);
}

void
instance_stop(struct instance *instance)
{
	kill(instance->keeper, SIGTERM);
	assert_int_equal(instance_wait(instance), 0);
}

pid_t
instance_supervisor_pid(struct instance *instance)
{
	char *pid = sql(instance, "SELECT pid FROM generations WHERE ended_at IS NULL "
				  "ORDER BY id DESC LIMIT 1");
	pid_t number = (pid_t)atoi(pid);

	free(pid);
	return number;
}

void
instance_kill_keeper(struct instance *instance)
{
	pid_t supervisor = instance_supervisor_pid(instance);

	kill(instance->keeper, SIGKILL);
	waitpid(instance->keeper, NULL, 0);
	instance->keeper = 0;
	read_log(instance);
	if (supervisor > 0)
		wait_gone(supervisor);
	check_log(instance);
}

/* What the keeper has said, as far as nobody has read it yet, and what all do. */
static void
tell_state(struct instance *instance)
{
	char bytes[4096];
	ssize_t got;

	fcntl(instance->log_fd, F_SETFL, O_NONBLOCK);
	while ((got = read(instance->log_fd, bytes, sizeof(bytes))) > 0)
		print_message("%.*s", (int)got, bytes);
	witness_processes(instance->keeper);
}

/* A supervisor process takes the request from the listening socket when it is ready. */
static void
await_answer(struct instance *instance)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	for (;;) {
		struct result result = jobberd(instance, "status", "--json", NULL);
		int status = result.status;

		if (status != 0 && (status != TRY_LATER || now_ms() > deadline)) {
			tell_state(instance);
			fail_msg("status: exit %d, %s", status, result.err);
		}
		result_done(&result);
		if (status == 0)
			return;
	}
}

pid_t
instance_kill_supervisor(struct instance *instance)
{
	pid_t supervisor = instance_supervisor_pid(instance);

	kill(supervisor, SIGKILL);
	wait_gone(supervisor);
	await_answer(instance);
	return supervisor;
}

static void
remove_tree(const char *path)
{
	const char *arguments[] = { "rm", "-rf", path, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execvp("rm", (char *const *)arguments);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

void
instance_done(struct instance *instance)
{
	if (instance->keeper != 0) {
		kill(instance->keeper, SIGTERM);
		kill(instance->keeper, SIGTERM);
		instance_wait(instance);
	}
	instance_forget_log(instance);
	remove_tree(instance->directory);
}

/* ---- the database ---- */

static sqlite3 *
open_database(struct instance *instance, int flags)
{
	char path[400];
	sqlite3 *database;

	snprintf(path, sizeof(path), "%s/jobberd.db", instance->state);
	if (sqlite3_open_v2(path, &database, flags, NULL) != SQLITE_OK)
		fail_msg("%s: %s", path, sqlite3_errmsg(database));
	sqlite3_busy_timeout(database, PATIENCE_MS);
	return database;
}

char *
sql(struct instance *instance, const char *statement)
{
	sqlite3 *database = open_database(instance, SQLITE_OPEN_READWRITE);
	sqlite3_stmt *prepared;
	char *text = NULL;

	if (sqlite3_prepare_v2(database, statement, -1, &prepared, NULL) != SQLITE_OK)
		fail_msg("%s: %s", statement, sqlite3_errmsg(database));
	if (sqlite3_step(prepared) == SQLITE_ROW &&
	    sqlite3_column_text(prepared, 0) != NULL)
		text = strdup((const char *)sqlite3_column_text(prepared, 0));
	sqlite3_finalize(prepared);
	sqlite3_close(database);
	return text != NULL ? text : strdup("");
}

int64_t
sql_number(struct instance *instance, const char *statement)
{
	char *text = sql(instance, statement);
	int64_t number = strtoll(text, NULL, 10);

	free(text);
	return number;
}

char *
foreign(struct instance *instance, const char *statement)
{
	sqlite3 *database = open_database(instance, SQLITE_OPEN_READWRITE);
	char *message = NULL, *copy;

	sqlite3_exec(database, statement, NULL, NULL, &message);
	copy = message != NULL ? strdup(message) : NULL;
	sqlite3_free(message);
	sqlite3_close(database);
	return copy;
}

void
check_accounts(struct instance *instance)
{
	static const struct {
		const char *question, *good;
	} checks[] = {
		{ "PRAGMA integrity_check", "ok" },
		{ "SELECT count(*) FROM pragma_foreign_key_check", "0" },
		/* an ended job has ended by an attempt, or says why it had none */
		{ "SELECT group_concat(id) FROM jobs j WHERE status IN "
		  "('done','failed','cancelled') AND (ended_at IS NULL OR (reason IS NULL AND "
		  "NOT EXISTS (SELECT 1 FROM attempts WHERE job_id = j.id)))", "" },
		/* a running one has exactly one open attempt that was started */
		{ "SELECT group_concat(id) FROM jobs j WHERE kind IS NOT 'server' AND "
		  "(status = 'running') <> EXISTS "
		  "(SELECT 1 FROM attempts WHERE job_id = j.id AND ended_at IS NULL "
		  "AND started_at IS NOT NULL)", "" },
		/* attempts do not overlap */
		{ "SELECT group_concat(a.job_id) FROM attempts a JOIN attempts b "
		  "ON b.job_id = a.job_id AND b.attempt = a.attempt + 1 "
		  "WHERE a.ended_at IS NULL OR a.ended_at > b.claimed_at + 2", "" },
		/* a job that is done was done by its last attempt, and by no other */
		{ "SELECT group_concat(id) FROM jobs j WHERE status = 'done' AND "
		  "kind IS NOT 'server' AND (SELECT count(*) "
		  "FROM attempts WHERE job_id = j.id AND reason = 'normal') <> 1", "" },
		{ "SELECT is_writing FROM writer", "0" },
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		char *answer = sql(instance, checks[i].question);

		if (strcmp(answer, checks[i].good) != 0)
			fail_msg("%s: \"%s\"", checks[i].question, answer);
		free(answer);
	}
}

void
instance_finish(struct instance *instance)
{
	instance_stop(instance);
	check_accounts(instance);
	instance_done(instance);
}

/* ---- files ---- */

char *
fifo_make(struct instance *instance, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", instance->directory, name) == -1 ||
	    mkfifo(path, 0600) == -1)
		fail_msg("mkfifo: %s", strerror(errno));
	return path;
}

char *
fifo_read(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	char *line = calloc(1, 4096);
	size_t used = 0;

	while (used < 4095) {
		if (poll(&wanted, 1, PATIENCE_MS) != 1)
			fail_msg("nobody writes to %s", path);
		if (read(fd, line + used, 1) != 1 || line[used] == '\n')
			break;
		used++;
	}
	line[used] = '\0';
	close(fd);
	return line;
}

void
fifo_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

void
file_make(struct instance *instance, const char *name)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance->directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

char *
file_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd != -1 ? read_all(fd) : strdup("");

	if (fd != -1)
		close(fd);
	return text;
}

void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

void
wait_until_nothing_runs(struct instance *instance)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/jobberd.lock", instance->state);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}
