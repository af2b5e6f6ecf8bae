/*
 * spawn_fork: a process that stays the program it was forked from. It is told apart from the
 * keeper by its name, and by arguments and environment of its own where the kernel looks for
 * them, /proc/PID/cmdline and environ: what it forks in turn is known by that environment.
 */

#include "base/xalloc.h"
#include "keeper/spawn.h"
#include "keeper/tree.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAILED_STATUS 127 /* read by nobody */

const struct spawn_behaviour *
spawn_find_behaviour(const struct spawn_behaviour *behaviours, const char *name)
{
	for (; behaviours != NULL && behaviours->name != NULL; behaviours++) {
		if (strcmp(behaviours->name, name) == 0)
			return behaviours;
	}
	return NULL;
}

/* ---- in the child ---- */

static size_t
total_length(char *const *strings)
{
	size_t length = 0;

	for (; *strings != NULL; strings++)
		length += strlen(*strings) + 1;
	return length;
}

/* The strings one after the other, and pointers to them, NULL-terminated. */
static char **
copy_strings(char *const *strings, char **at)
{
	size_t count = 0;
	char **copies;

	while (strings[count] != NULL)
		count++;
	copies = xcalloc(count + 1, sizeof(copies[0]));
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(strings[i]) + 1;

		copies[i] = memcpy(*at, strings[i], length);
		*at += length;
	}
	return copies;
}

int
spawn_read_map(struct prctl_mm_map *ret_map)
{
	char text[1024], *at;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC), field;
	ssize_t length = fd != -1 ? read(fd, text, sizeof(text) - 1) : -1;
	uint64_t fields[52] = { 0 };

	if (fd != -1)
		close(fd);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	at = strrchr(text, ')');
	for (field = 3; at != NULL && field < 52; field++) {
		at = strchr(at + 1, ' ');
		if (at != NULL)
			fields[field] = strtoull(at + 1, NULL, 10);
	}
	if (at == NULL)
		return -1;
	*ret_map = (struct prctl_mm_map){
		.start_code = fields[26],
		.end_code = fields[27],
		.start_stack = fields[28],
		.start_data = fields[45],
		.end_data = fields[46],
		.start_brk = fields[47],
		.arg_start = fields[48],
		.arg_end = fields[49],
		.env_start = fields[50],
		.env_end = fields[51],
		.exe_fd = (uint32_t)-1,
	};
	return 0;
}

/*
 * A kernel without CONFIG_CHECKPOINT_RESTORE refuses: the process then looks like the keeper,
 * and works all the same.
 */
static void
show_in_proc(const struct prctl_mm_map *known, const char *arguments, const char *variables,
    const char *end)
{
	struct prctl_mm_map map;

	if (known != NULL)
		map = *known;
	else if (spawn_read_map(&map) == -1)
		return;
	map.brk = (uint64_t)(uintptr_t)sbrk(0);
	map.arg_start = (uint64_t)(uintptr_t)arguments;
	map.arg_end = map.env_start = (uint64_t)(uintptr_t)variables;
	map.env_end = (uint64_t)(uintptr_t)end;
	prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

/* Its arguments, its environment and its name. Returns the arguments. */
static char **
take_identity(const struct spawn *spawn)
{
	size_t length = total_length(spawn->arguments);
	char *text = xmalloc(length + total_length(spawn->variables)), *at = text;
	char **arguments = copy_strings(spawn->arguments, &at);

	environ = copy_strings(spawn->variables, &at);
	show_in_proc(spawn->map, text, text + length, at);
	prctl(PR_SET_NAME, spawn->behaviour->name);
	return arguments;
}

static int
count_strings(char *const *strings)
{
	int count = 0;

	while (strings[count] != NULL)
		count++;
	return count;
}

static void __attribute__((noreturn))
child_main(const struct spawn *spawn, int report_fd)
{
	struct spawn_plan plan = { .spawn = spawn };
	char **arguments;

	if (spawn_enter(&plan) == -1) {
		/* If that fails too, it is as if it had died a moment later. */
		if (write(report_fd, &plan, sizeof(plan)) == -1)
			_exit(FAILED_STATUS);
		_exit(FAILED_STATUS);
	}
	arguments = take_identity(spawn);
	_exit(spawn->behaviour->run(
	    spawn->behaviour->arg, count_strings(arguments), arguments));
}

/* ---- in the parent ---- */

/* Nothing comes, and the end, when all that can fail has not: the child closes what it has. */
static bool
has_failed(int fd, struct spawn_plan *plan)
{
	ssize_t got;

	do {
		got = read(fd, plan, sizeof(*plan));
	} while (got == -1 && errno == EINTR);
	return got == sizeof(*plan);
}

/* It was made between then and now; the journal's record is the child's own look. */
static int64_t
start_of(pid_t pid, int64_t no_later)
{
	int64_t start;
	char state;
	int status;

	if (spawn_start_ticks() <= no_later + 1 ||
	    tree_stat(pid, &start, &state, &status) == -1)
		return no_later;
	return start;
}

int
spawn_behaviour(const struct spawn *spawn, pid_t *ret_pid, int64_t *ret_start)
{
	struct spawn_plan plan;
	int ends[2], error;
	bool failed;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		child_main(spawn, ends[1]);
	error = errno;
	close(ends[1]);
	failed = pid != -1 && has_failed(ends[0], &plan);
	close(ends[0]);
	if (pid == -1) {
		errno = error;
		return -1;
	}
	if (!failed) {
		*ret_pid = pid;
		*ret_start = start_of(pid, spawn->record.pid_start);
		return 0;
	}
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	errno = plan.error;
	return plan.is_unrecorded ? -1 : plan.error;
}
