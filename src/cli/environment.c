/* environment: what of the caller's environment a job gets. */

#include "cli/environment.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_FILE (1 << 20)

extern char **environ;

bool
environment_is_basic(const char *variable)
{
	static const char *const names[] = { "PATH=", "HOME=", "USER=", "LOGNAME=", "SHELL=",
		"LANG=", "TZ=", "TMPDIR=", "LC_" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

void
environment_basics(struct strings *basics)
{
	for (char **variable = environ; *variable != NULL; variable++) {
		if (environment_is_basic(*variable))
			strings_add(basics, *variable);
	}
}

const char *
environment_get(const struct strings *environment, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < environment->count; i++) {
		if (strncmp(environment->items[i], name, length) == 0 &&
		    environment->items[i][length] == '=')
			return environment->items[i] + length + 1;
	}
	return NULL;
}

static int
read_file(struct spec *spec, const char *path, struct error *error)
{
	struct buf text = { 0 };
	char *rest, *line, *end;
	int result = 0, number = 0;

	if (file_read(AT_FDCWD, path, LARGEST_FILE, &text) == -1) {
		buf_done(&text);
		return error_set_errno(error, STATUS_USAGE, "env-file: %s", path);
	}
	rest = (char *)buf_text(&text);
	end = rest + text.length;
	while (result == 0 && (line = strsep(&rest, "\n")) != NULL) {
		size_t length = strcspn(line, "=");

		number++;
		if (rest == NULL && line + strlen(line) != end)
			result = error_set(error, STATUS_USAGE,
			    "env-file: %s:%d: this line has a NUL byte", path, number);
		else if (line[0] == '\0' || line[0] == '#')
			continue;
		else if (line[length] == '\0' || !text_is_variable(line, length))
			result = error_set(error, STATUS_USAGE,
			    "env-file: %s:%d: this line is not NAME=VALUE", path, number);
		else
			strings_set_variable(&spec->environment, line);
	}
	buf_done(&text);
	return result;
}

int
environment_resolve(struct spec *spec, struct error *error)
{
	if (spec->wants_all_environment) {
		for (char **variable = environ; *variable != NULL; variable++) {
			if (strchr(*variable, '=') != NULL)
				strings_set_variable(&spec->environment, *variable);
		}
	}
	for (size_t i = 0; i < spec->environment_files.count; i++) {
		if (read_file(spec, spec->environment_files.items[i], error) == -1)
			return -1;
	}
	for (size_t i = 0; i < spec->environment_requests.count; i++) {
		const char *request = spec->environment_requests.items[i], *value;
		char *assignment;

		if (strchr(request, '=') != NULL) {
			strings_set_variable(&spec->environment, request);
			continue;
		}
		value = getenv(request);
		if (value == NULL)
			continue; /* not set here, not set there */
		assignment = xasprintf("%s=%s", request, value);
		strings_set_variable(&spec->environment, assignment);
		free(assignment);
	}
	return 0;
}

static bool
is_executable(const char *cwd, const char *path)
{
	char *full = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", cwd, path);
	struct stat info;
	bool is = access(full, X_OK) == 0 && stat(full, &info) == 0 && S_ISREG(info.st_mode);

	free(full);
	return is;
}

bool
environment_finds(const struct strings *environment, const char *cwd, const char *program)
{
	const char *path = environment_get(environment, "PATH");
	char *copy, *rest, *directory;
	bool found = false;

	if (strchr(program, '/') != NULL)
		return is_executable(cwd, program);
	copy = xasprintf("%s:" JOBBERD_LIBEXEC,
	    path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
	rest = copy;
	while (!found && (directory = strsep(&rest, ":")) != NULL) {
		char *candidate = xasprintf(
		    "%s/%s", directory[0] != '\0' ? directory : ".", program);

		found = is_executable(cwd, candidate);
		free(candidate);
	}
	free(copy);
	return found;
}
