/* instance: starting and ending the program that is measured. */

#include "bench/kit/instance.h"
#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/measure.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_WORDS 32
#define PATIENCE_S 600 /* for any one process */

extern char **environ;

/* What runs now, so that a benchmark that fails leaves nothing running. */
static volatile pid_t running_keeper;
static bool is_guarded;

static void
end_keeper(void)
{
	if (running_keeper == 0)
		return;
	kill(running_keeper, SIGTERM);
	waitpid(running_keeper, NULL, 0);
	running_keeper = 0;
}

/* Told to leave, or it takes too long: for a signal handler, so only system calls. */
static void
leave(int number)
{
	static const char text[] = "this takes too long: given up\n";

	if (number == SIGALRM && write(STDERR_FILENO, text, sizeof(text) - 1) == -1)
		_exit(1);
	end_keeper();
	_exit(128 + number);
}

static void
guard(pid_t keeper)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
	struct sigaction action = { .sa_handler = leave };

	running_keeper = keeper;
	if (is_guarded)
		return;
	is_guarded = true;
	atexit(end_keeper);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

const char *
needed(const char *variable)
{
	const char *value = getenv(variable);

	if (value == NULL)
		errx(2, "%s is not set: this is run by tests/bench/run", variable);
	return value;
}

/* ---- directories ---- */

char *
directory_make(void)
{
	char *path = xasprintf("%s/XXXXXX", needed("SCRATCH"));

	if (mkdtemp(path) == NULL)
		err(1, "%s", path);
	return path;
}

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

void
directory_remove(const char *path)
{
	if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == -1)
		warn("%s", path);
}

void
instance_make(struct instance *instance)
{
	*instance = (struct instance){ .state = directory_make() };
}

void
instance_done(struct instance *instance)
{
	if (instance->keeper != 0)
		instance_stop(instance);
	directory_remove(instance->state);
	free(instance->state);
}

/* ---- processes ---- */

static pid_t
spawn(const char *program, const char *const *arguments, int input, int output,
    const char *errors)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int code;

	posix_spawn_file_actions_init(&actions);
	if (input == -1)
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	else
		posix_spawn_file_actions_adddup2(&actions, input, 0);
	if (output == -1)
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	else
		posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (errors != NULL)
		posix_spawn_file_actions_addopen(
		    &actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0600);
	code =
	    posix_spawn(&pid, program, &actions, NULL, (char *const *)arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (code != 0)
		errx(1, "%s: %s", program, strerror(code));
	return pid;
}

double
process_wait(pid_t pid, const char *what)
{
	struct rusage usage;
	int status;

	alarm(PATIENCE_S);
	while (wait4(pid, &status, 0, &usage) == -1) {
		if (errno != EINTR)
			err(1, "%s", what);
	}
	alarm(0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "%s ended with wait status %#x", what, (unsigned)status);
	return cpu_seconds(&usage);
}

static void
add_words(const char **arguments, size_t used, const char *const *words)
{
	for (; *words != NULL && used + 1 < MOST_WORDS; words++)
		arguments[used++] = *words;
	arguments[used] = NULL;
}

pid_t
instance_begin(
    const struct instance *instance, int input, int output, const char *const *words)
{
	const char *arguments[MOST_WORDS] = { "jobberd", "-C", instance->state };

	add_words(arguments, 3, words);
	return spawn(needed("JOBBERD"), arguments, input, output, "/dev/null");
}

void
instance_command(const struct instance *instance, int input, const char *const *words)
{
	process_wait(instance_begin(instance, input, -1, words), words[0]);
}

/* ---- supervise ---- */

/* Its log, for a person who is told that it did not start. */
static void
show_log(const char *path)
{
	FILE *log = fopen(path, "r");
	char line[512];

	while (log != NULL && fgets(line, sizeof(line), log) != NULL)
		fputs(line, stderr);
}

static void
await_ready(int fd, const char *log)
{
	char line[16384];
	ssize_t got = read(fd, line, sizeof(line) - 1);

	line[got > 0 ? got : 0] = '\0';
	if (strncmp(line, "ready: ", 7) != 0) {
		show_log(log);
		errx(1, "supervise did not become ready");
	}
}

/*
 * Its log goes to a file, as it would under a service manager or with 2>>log. What it
 * prints after the ready line is nothing, so the pipe need not be kept.
 */
void
instance_start_program(
    struct instance *instance, const char *program, const char *const *words)
{
	const char *arguments[MOST_WORDS] = { "jobberd", "-C", instance->state,
		"supervise" };
	char *log = xasprintf("%s/log", instance->state);
	int pair[2];

	add_words(arguments, 4, words);
	if (pipe2(pair, O_CLOEXEC) == -1)
		err(1, "pipe");
	instance->keeper = spawn(program, arguments, -1, pair[1], log);
	guard(instance->keeper);
	close(pair[1]);
	await_ready(pair[0], log);
	close(pair[0]);
	free(log);
}

void
instance_start(struct instance *instance, const char *const *words)
{
	instance_start_program(instance, needed("JOBBERD"), words);
}

double
instance_wait(struct instance *instance)
{
	pid_t keeper = instance->keeper;

	instance->keeper = running_keeper = 0;
	return process_wait(keeper, "supervise");
}

void
instance_stop(struct instance *instance)
{
	kill(instance->keeper, SIGTERM);
	instance_wait(instance);
}

pid_t
instance_supervisor(const struct instance *instance)
{
	return (pid_t)state_number(instance->state,
	    "SELECT pid FROM generations WHERE ended_at IS NULL "
	    "ORDER BY id DESC LIMIT 1");
}

/* ---- many jobs ---- */

int
lines_file(size_t count, const char *line)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);
	FILE *file = fd != -1 ? fdopen(dup(fd), "w") : NULL;

	if (file == NULL)
		err(1, "memfd");
	for (size_t i = 0; i < count; i++)
		fprintf(file, "%s\n", line);
	if (fclose(file) == EOF)
		err(1, "memfd");
	lseek(fd, 0, SEEK_SET);
	return fd;
}

void
instance_fill(const struct instance *instance, size_t count, const char *line)
{
	int lines = lines_file(count, line);

	instance_command(
	    instance, lines, (const char *const[]){ "submit", "--batch", NULL });
	close(lines);
}
