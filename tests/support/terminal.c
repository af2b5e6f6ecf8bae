/* terminal: a pseudo terminal, and the program at its other end. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "support/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_ARGUMENTS 64

void
terminal_start(struct terminal *terminal, struct instance *instance, int width, ...)
{
	const char *arguments[MOST_ARGUMENTS] = { getenv("JOBBERD"), "-C", instance->state };
	const struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)width };
	size_t count = 3;
	va_list list;

	va_start(list, width);
	while (count + 1 < MOST_ARGUMENTS &&
	    (arguments[count] = va_arg(list, const char *)) != NULL)
		count++;
	va_end(list);
	*terminal = (struct terminal){ 0 };
	terminal->pid = forkpty(&terminal->fd, NULL, NULL, &size);
	if (terminal->pid == 0) {
		setenv("TERM", "xterm", 1);
		execv(arguments[0], (char *const *)arguments);
		_exit(127);
	}
	assert_true(terminal->pid > 0);
}

/* Read what there is. false at the end: EIO, when nobody has the other end open any more. */
static bool
read_some(struct terminal *terminal)
{
	struct pollfd polled = { .fd = terminal->fd, .events = POLLIN };
	char bytes[4096];
	ssize_t got;

	if (poll(&polled, 1, PATIENCE_MS) == 0)
		fail_msg("the terminal stays silent; it has:\n%s", terminal->text);
	got = read(terminal->fd, bytes, sizeof(bytes));
	if (got == -1 && errno == EINTR)
		return true;
	if (got <= 0)
		return false;
	terminal->text = realloc(terminal->text, terminal->length + (size_t)got + 1);
	assert_non_null(terminal->text);
	memcpy(terminal->text + terminal->length, bytes, (size_t)got);
	terminal->length += (size_t)got;
	terminal->text[terminal->length] = '\0';
	return true;
}

void
terminal_expect(struct terminal *terminal, const char *text)
{
	while (terminal->text == NULL || strstr(terminal->text, text) == NULL) {
		if (!read_some(terminal))
			fail_msg("not on the screen: \"%s\"; there is:\n%s", text,
			    terminal->text != NULL ? terminal->text : "");
	}
}

void
terminal_type(struct terminal *terminal, const char *keys)
{
	assert_int_equal(write(terminal->fd, keys, strlen(keys)), strlen(keys));
}

int
terminal_wait(struct terminal *terminal)
{
	int status;

	while (read_some(terminal))
		;
	while (waitpid(terminal->pid, &status, 0) == -1)
		assert_int_equal(errno, EINTR);
	terminal->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
terminal_done(struct terminal *terminal)
{
	if (terminal->pid != 0) {
		kill(terminal->pid, SIGKILL);
		waitpid(terminal->pid, NULL, 0);
	}
	close(terminal->fd);
	free(terminal->text);
	*terminal = (struct terminal){ .fd = -1 };
}
