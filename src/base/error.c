/* error: a sentence for a person and an exit status, carried upwards by value. */

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
error_set(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return -1;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return -1;
}

int
error_set_errno(struct error *error, int code, const char *format, ...)
{
	int saved = errno;
	va_list arguments;
	size_t length;

	if (error == NULL)
		return -1;
	error->code = code == STATUS_CONFIG && (saved == EACCES || saved == EPERM)
	    ? STATUS_NOT_PERMITTED
	    : code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	length = strlen(error->text);
	snprintf(error->text + length, sizeof(error->text) - length, ": %s", strerror(saved));
	errno = saved;
	return -1;
}
