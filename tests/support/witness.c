/* witness: what processes are doing, as far as /proc tells, for a test that fails. */

#include "support/witness.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEEPEST 5

static void
read_text(pid_t pid, const char *name, char *text, size_t size)
{
	char path[300];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd != -1 ? read(fd, text, size - 1) : -1;
	if (fd != -1)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	for (ssize_t i = 0; i < length; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
	}
}

static void
print_thread(pid_t pid, const char *thread, int depth)
{
	static const char *const files[] = { "stat", "wchan", "syscall", "stack" };
	char name[300], text[2000];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(name, sizeof(name), "task/%s/%s", thread, files[i]);
		read_text(pid, name, text, sizeof(text));
		print_message("%*s%s: %s\n", 2 * depth + 2, "", files[i], text);
	}
}

static void
print_process(pid_t pid, int depth)
{
	char name[300], text[2000], *end;
	struct dirent *entry;
	DIR *threads;

	read_text(pid, "cmdline", text, sizeof(text));
	print_message("%*s%d: %s\n", 2 * depth, "", (int)pid, text);
	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	threads = depth < DEEPEST ? opendir(name) : NULL;
	while (threads != NULL && (entry = readdir(threads)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		print_thread(pid, entry->d_name, depth);
		snprintf(name, sizeof(name), "task/%s/children", entry->d_name);
		read_text(pid, name, text, sizeof(text));
		for (char *at = text; *at >= '0' && *at <= '9'; at = end + (*end == ' '))
			print_process((pid_t)strtol(at, &end, 10), depth + 1);
	}
	if (threads != NULL)
		closedir(threads);
}

void
witness_processes(pid_t pid)
{
	print_process(pid, 0);
}
