/* notification: the datagrams of sd_notify(3), taken apart. */

#include "wire/notification.h"
#include "base/text.h"

#include <string.h>

#define LARGEST_VALUE (NOTIFICATION_STATUS_SIZE - 1)
#define MOST_USEC INT64_C(9007199254740991)

static void
set_ready(struct notification *n, const char *value)
{
	n->is_ready = n->is_ready || strcmp(value, "1") == 0;
}

static void
set_stopping(struct notification *n, const char *value)
{
	n->is_stopping = n->is_stopping || strcmp(value, "1") == 0;
}

static void
set_reloading(struct notification *n, const char *value)
{
	n->is_reloading = n->is_reloading || strcmp(value, "1") == 0;
}

static void
set_watchdog(struct notification *n, const char *value)
{
	n->lives = n->lives || strcmp(value, "1") == 0;
	n->is_stuck = n->is_stuck || strcmp(value, "trigger") == 0;
}

static void
set_descriptors(struct notification *n, const char *value)
{
	n->gives_descriptors = n->gives_descriptors || strcmp(value, "1") == 0;
}

static void
set_other(struct notification *n, const char *value)
{
	(void)value;
	n->names_other = true;
}

/* What is stored is text: a byte that is none becomes a question mark. */
static void
set_status(struct notification *n, const char *value)
{
	size_t left = strlen(value), length;
	char *to = n->status;

	n->has_status = true;
	for (; left > 0; value += length, left -= length, to += length) {
		length = text_utf8_length(value, left);
		if (length > 0)
			memcpy(to, value, length);
		else {
			*to = '?';
			length = 1;
		}
	}
	*to = '\0';
}

/* Up to whole milliseconds: what is asked for is never cut short. */
static void
set_extend(struct notification *n, const char *value)
{
	int64_t usec;

	if (text_number(value, 1, MOST_USEC, &usec) == 0)
		n->extend_ms = (usec + 999) / 1000;
}

static void
set_watchdog_usec(struct notification *n, const char *value)
{
	(void)value;
	n->sets_watchdog = true;
}

static const struct {
	const char *name;
	void (*set)(struct notification *notification, const char *value);
} names[] = {
	{ "READY", set_ready },
	{ "STATUS", set_status },
	{ "STOPPING", set_stopping },
	{ "RELOADING", set_reloading },
	{ "WATCHDOG", set_watchdog },
	{ "WATCHDOG_USEC", set_watchdog_usec },
	{ "EXTEND_TIMEOUT_USEC", set_extend },
	{ "MAINPID", set_other },
	{ "FDSTORE", set_descriptors },
};

/* As much of it as is kept, whole characters, with a NUL. */
static void
copy_value(char copy[NOTIFICATION_STATUS_SIZE], const char *value, size_t length)
{
	if (length > LARGEST_VALUE) {
		length = LARGEST_VALUE;
		while (length > 0 && ((unsigned char)value[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(copy, value, length);
	copy[length] = '\0';
}

static void
parse_line(struct notification *n, const char *line, size_t length)
{
	const char *equals = memchr(line, '=', length);
	size_t name_length = equals != NULL ? (size_t)(equals - line) : 0;
	char value[NOTIFICATION_STATUS_SIZE];

	if (equals == NULL || memchr(line, '\0', length) != NULL)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) != name_length ||
		    memcmp(names[i].name, line, name_length) != 0)
			continue;
		copy_value(value, equals + 1, length - name_length - 1);
		names[i].set(n, value);
	}
}

void
notification_parse(struct notification *ret, const char *bytes, size_t length)
{
	const char *end = bytes + length;

	*ret = (struct notification){ .extend_ms = -1 };
	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		const char *stop = newline != NULL ? newline : end;

		parse_line(ret, bytes, (size_t)(stop - bytes));
		bytes = newline != NULL ? newline + 1 : end;
	}
}
