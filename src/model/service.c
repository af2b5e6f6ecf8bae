/* service: what a plain service is described with, as text and back, and how it is judged. */

#include "model/service.h"
#include "base/text.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ready_names[] = {
	[READY_EXEC] = "exec",
	[READY_NOTIFY] = "notify",
	[READY_FD] = "fd:",
};
_Static_assert(sizeof(ready_names) / sizeof(ready_names[0]) == READY_KIND_COUNT, "all names");

int
service_parse_ready(const char *text, struct service *service)
{
	int64_t fd = 0;

	if (strncmp(text, "fd:", 3) == 0) {
		if (text_number(text + 3, 3, SERVICE_LARGEST_FD, &fd) == -1)
			return -1;
		service->ready = READY_FD;
	} else if (strcmp(text, "exec") == 0)
		service->ready = READY_EXEC;
	else if (strcmp(text, "notify") == 0)
		service->ready = READY_NOTIFY;
	else
		return -1;
	service->ready_fd = (int)fd;
	return 0;
}

const char *
service_format_ready(char buffer[16], const struct service *service)
{
	if (service->ready == READY_FD)
		snprintf(buffer, 16, "fd:%d", service->ready_fd);
	else
		snprintf(buffer, 16, "%s", ready_names[service->ready]);
	return buffer;
}

int
service_parse_signal(const char *text, int *ret_signal)
{
	int number = reason_signal_number(text);

	if (number == -1 || number == SIGKILL || number == SIGSTOP)
		return -1;
	*ret_signal = number;
	return 0;
}

static int
add_good_end(const char *word, struct good_ends *good)
{
	int64_t code;
	int number;

	if (text_number(word, 0, 255, &code) == 0) {
		good->codes[code / 32] |= UINT32_C(1) << code % 32;
		return 0;
	}
	number = reason_signal_number(word);
	if (number == -1)
		return -1;
	good->signals |= UINT64_C(1) << (number - 1);
	return 0;
}

int
service_parse_good_ends(const char *text, struct good_ends *ret_good)
{
	char *copy = xstrdup(text), *rest = copy, *word;
	struct good_ends good = { 0 };
	int result = 0;

	while (result == 0 && (word = strsep(&rest, ",")) != NULL)
		result = add_good_end(word, &good);
	free(copy);
	if (result == 0)
		*ret_good = good;
	return result;
}

static bool
has_code(const struct good_ends *good, int code)
{
	return code >= 0 && code < 256 &&
	    (good->codes[code / 32] & UINT32_C(1) << code % 32) != 0;
}

static bool
has_signal(const struct good_ends *good, int number)
{
	return number >= 1 && number <= 64 &&
	    (good->signals & UINT64_C(1) << (number - 1)) != 0;
}

void
service_format_good_ends(struct buf *text, const struct good_ends *good)
{
	const char *comma = "";
	char name[16];

	for (int code = 0; code < 256; code++) {
		if (!has_code(good, code))
			continue;
		buf_addf(text, "%s%d", comma, code);
		comma = ",";
	}
	for (int number = 1; number <= 64; number++) {
		if (!has_signal(good, number))
			continue;
		buf_addf(text, "%s%s", comma, reason_signal_name(number, name));
		comma = ",";
	}
}

bool
service_has_good_ends(const struct good_ends *good)
{
	static const struct good_ends none = { 0 };

	return memcmp(good, &none, sizeof(none)) != 0;
}

struct reason
service_judge(const struct service *service, struct reason seen)
{
	bool is_good = (seen.kind == REASON_EXIT && has_code(&service->good, seen.number)) ||
	    (seen.kind == REASON_SIGNAL && has_signal(&service->good, seen.number));

	if (is_good)
		seen = (struct reason){ .kind = REASON_NORMAL };
	return seen;
}
