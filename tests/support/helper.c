/* helper: processes that a test runs beside the instance. */

#include "support/helper.h"
#include "support/outside.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_ARGUMENTS 64

static void
run_child(const char *const *arguments, int input, int output, int errors)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(input, 0);
	dup2(output, 1);
	dup2(errors, 2);
	syscall(SYS_close_range, 3U, ~0U, 0U);
	execvp(arguments[0], (char *const *)arguments);
	_exit(127);
}

static int
input_with(const char *text)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	size_t length = text != NULL ? strlen(text) : 0;

	if (fd == -1 || write(fd, text, length) != (ssize_t)length ||
	    lseek(fd, 0, SEEK_SET) == -1)
		fail_msg("cannot make its input: %s", strerror(errno));
	return fd;
}

void
helper_start(struct helper *helper, const char *input, const char *const *arguments)
{
	int in = input_with(input), out[2], err[2];

	*helper = (struct helper){ 0 };
	if (pipe2(out, O_CLOEXEC) == -1 || pipe2(err, O_CLOEXEC) == -1)
		fail_msg("pipe: %s", strerror(errno));
	helper->pid = fork();
	if (helper->pid == -1)
		fail_msg("fork: %s", strerror(errno));
	if (helper->pid == 0)
		run_child(arguments, in, out[1], err[1]);
	close(in);
	close(out[1]);
	close(err[1]);
	helper->out = (struct stream){ out[0], strdup(""), 0 };
	helper->err = (struct stream){ err[0], strdup(""), 0 };
	helper->pidfd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
}

void
helper_jobberd(struct helper *helper, struct instance *instance, const char *input, ...)
{
	const char *arguments[MOST_ARGUMENTS] = { getenv("JOBBERD"), "-C", instance->state };
	size_t used = 3;
	va_list list;

	va_start(list, input);
	while (used < MOST_ARGUMENTS - 1 &&
	    (arguments[used] = va_arg(list, const char *)) != NULL)
		used++;
	va_end(list);
	helper_start(helper, input, arguments);
}

/* The last thread of a process: of a keeper's two the one that does the work. */
static pid_t
last_thread(pid_t pid)
{
	char path[64];
	DIR *threads;
	const struct dirent *thread;
	pid_t last = pid;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	threads = opendir(path);
	assert_non_null(threads);
	while ((thread = readdir(threads)) != NULL) {
		if (thread->d_name[0] != '.')
			last = atoi(thread->d_name);
	}
	closedir(threads);
	return last;
}

static void
attach(struct helper *helper, pid_t traced, const char *option, va_list list)
{
	const char *arguments[MOST_ARGUMENTS] = { "strace", "-o", "/dev/null", "-p" };
	const char *expression;
	size_t used = 5;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)last_thread(traced));
	arguments[4] = pid;
	if (option != NULL)
		arguments[used++] = option;
	while ((expression = va_arg(list, const char *)) != NULL) {
		arguments[used++] = "-e";
		arguments[used++] = expression;
	}
	helper_start(helper, NULL, arguments);
	helper_expect(helper, " attached");
}

void
helper_strace(struct helper *helper, pid_t traced, ...)
{
	va_list list;

	va_start(list, traced);
	attach(helper, traced, NULL, list);
	va_end(list);
}

void
helper_strace_children(struct helper *helper, pid_t traced, ...)
{
	va_list list;

	va_start(list, traced);
	attach(helper, traced, "-f", list);
	va_end(list);
}

/* ---- what it says ---- */

static void
read_stream(struct stream *stream)
{
	char bytes[65536];
	ssize_t got = read(stream->fd, bytes, sizeof(bytes));

	if (got <= 0) {
		close(stream->fd);
		stream->fd = -1;
		return;
	}
	stream->text = realloc(stream->text, stream->length + (size_t)got + 1);
	memcpy(stream->text + stream->length, bytes, (size_t)got);
	stream->length += (size_t)got;
	stream->text[stream->length] = '\0';
}

static bool
is_over(const struct helper *helper)
{
	return helper->out.fd == -1 && helper->err.fd == -1;
}

/* Wait until it says something. false: nothing came in this time. */
static bool
listen_until(struct helper *helper, int64_t deadline)
{
	int64_t left = deadline - now_ms();
	struct pollfd wanted[] = {
		{ .fd = helper->out.fd, .events = POLLIN },
		{ .fd = helper->err.fd, .events = POLLIN },
	};

	if (poll(wanted, 2, left > 0 ? (int)left : 0) <= 0)
		return false;
	if (wanted[0].revents != 0)
		read_stream(&helper->out);
	if (wanted[1].revents != 0)
		read_stream(&helper->err);
	return true;
}

void
helper_expect(struct helper *helper, const char *text)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (strstr(helper->out.text, text) == NULL &&
	    strstr(helper->err.text, text) == NULL) {
		if (is_over(helper) || !listen_until(helper, deadline))
			fail_msg("it never said \"%s\" but: %s%s", text, helper->out.text,
			    helper->err.text);
	}
}

bool
helper_runs_for(struct helper *helper, int64_t ms)
{
	int64_t deadline = now_ms() + ms;

	while (!is_over(helper) && listen_until(helper, deadline))
		;
	return !is_over(helper);
}

int
helper_wait(struct helper *helper)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	int status;

	while (!is_over(helper)) {
		if (!listen_until(helper, deadline))
			fail_msg("a helper does not end: %s%s", helper->out.text,
			    helper->err.text);
	}
	wait_gone(helper->pid);
	waitpid(helper->pid, &status, 0);
	helper->pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void
helper_end(struct helper *helper)
{
	if (helper->pid != 0) {
		kill(helper->pid, SIGTERM);
		helper_wait(helper);
	}
	close(helper->pidfd);
	free(helper->out.text);
	free(helper->err.text);
	*helper = (struct helper){ 0 };
}
