/*
 * spawn_fork: a process that stays the program it was forked from. It is told apart from the
 * keeper by its name, and by arguments and environment of its own where the kernel looks for
 * them, /proc/PID/cmdline and environ: what it forks in turn is known by that environment.
 */

#include "base/xalloc.h"
#include "keeper/spawn.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>

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

/*
 * What became of it, in the number of an eventfd, which unlike a pipe neither ends a writer
 * whose reader is gone nor stays open as long as anybody has a copy.
 */
#define REPORTED UINT64_C(1)
#define UNRECORDED UINT64_C(2)
#define ERROR_SHIFT 2
#define ERROR_MASK UINT64_C(0xfff)
#define PLACE_SHIFT 14
#define PLACE_MASK UINT64_C(3)
#define START_SHIFT 16
_Static_assert(END_PLACE_COUNT - 1 <= PLACE_MASK, "any place fits");

static void
report(struct spawn_plan *plan)
{
	uint64_t number = REPORTED | (plan->is_unrecorded ? UNRECORDED : 0) |
	    (uint64_t)plan->error << ERROR_SHIFT | (uint64_t)plan->place << PLACE_SHIFT |
	    (uint64_t)plan->start << START_SHIFT;

	/* If that fails, the keeper will hear of its end. */
	if (write(plan->report_fd, &number, sizeof(number)) == -1)
		_exit(FAILED_STATUS);
	close(plan->report_fd);
}

/* Where no other descriptor is going to be. */
static int
move_report(int fd, int ready_fd)
{
	return fd > 3 && fd != ready_fd ? fd : fcntl(fd, F_DUPFD_CLOEXEC,
						   ready_fd > 3 ? ready_fd + 1 : 4);
}

static void __attribute__((noreturn))
child_main(struct spawn_plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	char **arguments;

	plan->report_fd = move_report(plan->report_fd, spawn->ready_fd);
	if (spawn_enter(plan) == -1) {
		report(plan);
		_exit(FAILED_STATUS);
	}
	report(plan);
	arguments = take_identity(spawn);
	_exit(spawn->behaviour->run(
	    spawn->behaviour->arg, count_strings(arguments), arguments));
}

/* ---- in the parent ---- */

int
spawn_fork_begin(struct spawn_plan *plan, pid_t *ret_pid)
{
	int error;
	pid_t pid;

	plan->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (plan->report_fd == -1)
		return -1;
	pid = fork();
	if (pid == 0)
		child_main(plan);
	if (pid == -1) {
		error = errno;
		close(plan->report_fd);
		errno = error;
		return -1;
	}
	*ret_pid = pid;
	return 0;
}

void
spawn_fork_look(struct spawn_plan *plan)
{
	uint64_t number;

	if (read(plan->report_fd, &number, sizeof(number)) != sizeof(number))
		return;
	plan->is_unrecorded = (number & UNRECORDED) != 0;
	plan->error = (int)(number >> ERROR_SHIFT & ERROR_MASK);
	plan->place = (enum end_place)(number >> PLACE_SHIFT & PLACE_MASK);
	plan->start = (int64_t)(number >> START_SHIFT);
	close(plan->report_fd);
	plan->report_fd = -1;
}
