/*
 * output_remove: output that nobody will read any more: of jobs that are forgotten, and of
 * attempts that are long past. A server that crashes each second would fill the disk else.
 */

#include "model/output_name.h"
#include "supervisor/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void
remove_segments(struct supervisor *supervisor, int64_t job, int64_t attempt)
{
	char name[OUTPUT_NAME_SIZE];
	int fd = openat(supervisor->output_fd, output_name(name, job, attempt, OUTPUT_SEGMENTS),
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	}
	if (directory != NULL)
		closedir(directory);
	else if (fd != -1)
		close(fd);
	if (fd != -1)
		unlinkat(supervisor->output_fd, name, AT_REMOVEDIR);
}

/* Most of it is not there, which is well. */
void
output_remove(struct supervisor *supervisor, int64_t job, int64_t attempt)
{
	static const char *const kinds[] = { "", OUTPUT_TIMES, OUTPUT_NEW_TIMES };
	char name[OUTPUT_NAME_SIZE];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		unlinkat(supervisor->output_fd, output_name(name, job, attempt, kinds[i]), 0);
	remove_segments(supervisor, job, attempt);
}

void
output_remove_old(struct supervisor *supervisor, int64_t job, int64_t attempt, bool is_server)
{
	int64_t kept = is_server ? OUTPUTS_KEPT_OF_SERVER : OUTPUTS_KEPT_OF_COMMAND;

	if (attempt > kept)
		output_remove(supervisor, job, attempt - kept);
}

void
output_remove_job(struct supervisor *supervisor, int64_t job, int64_t last_attempt,
    const char *stdin_path)
{
	const char *state = supervisor->setup->state_directory;
	size_t length = strlen(state);
	int64_t gone = last_attempt - OUTPUTS_KEPT_OF_COMMAND; /* who keeps the most */

	for (int64_t attempt = last_attempt; attempt > 0 && attempt > gone; attempt--)
		output_remove(supervisor, job, attempt);
	/* Ours only: right below STATE/input, and not by way of it to somewhere else. */
	if (stdin_path != NULL && strncmp(stdin_path, state, length) == 0 &&
	    strncmp(stdin_path + length, "/input/", 7) == 0 &&
	    strchr(stdin_path + length + 7, '/') == NULL)
		unlink(stdin_path);
}
