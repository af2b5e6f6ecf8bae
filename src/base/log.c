/*
 * log: one line a call, written with one write(2) so that the lines of the keeper and
 * of the supervisor process never mix. Text from outside goes through text_quote().
 */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;

static struct {
	bool is_held;
	size_t used;
	char text[16384];
} held;

static void
write_held(void)
{
	/* Nobody can be told that the log itself cannot be written. */
	if (held.used > 0 && write(STDERR_FILENO, held.text, held.used) == -1)
		held.used = 0;
	held.used = 0;
}

void
log_hold(void)
{
	held.is_held = true;
}

void
log_release(void)
{
	int saved = errno;

	held.is_held = false;
	write_held();
	errno = saved;
}

void
log_set_level(enum log_level level)
{
	threshold = level;
}

static void
write_line(enum log_level level, const char *name, const char *format, va_list arguments)
{
	char line[2048];
	int saved = errno, more;
	size_t length;

	if (level > threshold)
		return;
	length = strlen(name);
	memcpy(line, name, length);
	line[length++] = ' ';
	more = vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	length += more > 0 ? (size_t)more : 0;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	if (held.used + length > sizeof(held.text))
		write_held();
	memcpy(held.text + held.used, line, length);
	held.used += length;
	if (!held.is_held)
		write_held();
	errno = saved;
}

#define DEFINE_LEVEL(function, level, name)                                               \
	void function(const char *format, ...)                                            \
	{                                                                                 \
		va_list arguments;                                                        \
                                                                                          \
		va_start(arguments, format);                                              \
		write_line(level, name, format, arguments);                               \
		va_end(arguments);                                                        \
	}

DEFINE_LEVEL(log_error, LOG_LEVEL_ERROR, "error")
DEFINE_LEVEL(log_warn, LOG_LEVEL_WARN, "warn")
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO, "info")
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG, "debug")
