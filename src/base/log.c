/*
 * log: one line a call, written with one write(2) so that the lines of the keeper and
 * of the supervisor process never mix. Text from outside goes through text_quote().
 */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum log_level threshold = LOG_LEVEL_INFO;

void
log_set_level(enum log_level level)
{
	threshold = level;
}

static void
write_line(enum log_level level, const char *name, const char *format, va_list arguments)
{
	char line[2048];
	int saved = errno, used, more;
	size_t length;

	if (level > threshold)
		return;
	used = snprintf(line, sizeof(line), "%s ", name);
	more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
	if (more < 0)
		more = 0;
	length = (size_t)used + (size_t)more;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	/* Nobody can be told that the log itself cannot be written. */
	if (write(STDERR_FILENO, line, length) == -1)
		errno = saved;
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
