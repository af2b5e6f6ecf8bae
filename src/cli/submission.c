/* submission: a job on its way, made whole: its directory, environment and standard input. */

#include "base/file.h"
#include "base/xalloc.h"
#include "cli/environment.h"
#include "cli/escape.h"
#include "cli/submit.h"
#include "keeper/spawn.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What cannot be read is the caller's mistake, what cannot be written is ours. */
static int
copy_stdin(int fd, const char *path, struct error *error)
{
	char bytes[65536];
	ssize_t got;

	while ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0) {
		if (file_write_all(fd, bytes, (size_t)got) == -1)
			return error_set_errno(error, STATUS_TRY_LATER, "%s", path);
	}
	return got == 0 ? 0 : error_set_errno(error, STATUS_USAGE, "standard input");
}

/* Standard input becomes a file of the instance, removed when the job is pruned. */
static int
keep_stdin(struct submission *submission, struct spec *spec, struct error *error)
{
	const char *state = submission->invocation->state;
	char *directory = xasprintf("%s/input", state), *path;
	int fd, result = -1;

	path = xasprintf("%s/%08x%08x", directory, arc4random(), arc4random());
	if (file_make_directories(directory) == -1 ||
	    (fd = open_unnamed(directory, path)) == -1) {
		error_set_errno(error, STATUS_TRY_LATER, "%s", path);
		goto out;
	}
	result = copy_stdin(fd, path, error);
	/* What was acknowledged must be there after a power cut, its input too. */
	if (result == 0 && (name_file(fd, path) == -1 || fsync(fd) == -1))
		result = error_set_errno(error, STATUS_TRY_LATER, "%s", path);
	if (result == -1)
		unlink(path);
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
