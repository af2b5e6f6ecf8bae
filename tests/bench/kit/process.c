/* process: /proc/PID of somebody else. */

#include "bench/kit/process.h"
#include "base/buf.h"
#include "base/file.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
read_proc(pid_t pid, const char *name, struct buf *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	if (file_read(AT_FDCWD, path, 1 << 20, text) == -1)
		err(1, "%s", path);
}

/* The number behind "NAME:" at the beginning of a line. */
static int64_t
number_behind(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (at == NULL)
		errx(1, "/proc does not tell %s", name);
	return strtoll(at + strlen(name), NULL, 10);
}

int64_t
process_private_bytes(pid_t pid)
{
	struct buf text = { 0 };
	int64_t kib;

	read_proc(pid, "smaps_rollup", &text);
	kib = number_behind(buf_text(&text), "\nPrivate_Clean:") +
	    number_behind(buf_text(&text), "\nPrivate_Dirty:");
	buf_done(&text);
	return kib * 1024;
}

void
process_activity(pid_t pid, struct process_activity *ret_activity)
{
	struct buf text = { 0 };

	read_proc(pid, "status", &text);
	ret_activity->switches =
	    number_behind(buf_text(&text), "\nvoluntary_ctxt_switches:") +
	    number_behind(buf_text(&text), "\nnonvoluntary_ctxt_switches:");
	buf_clear(&text);
	read_proc(pid, "schedstat", &text);
	ret_activity->cpu_ns = strtoll(buf_text(&text), NULL, 10);
	buf_done(&text);
}
