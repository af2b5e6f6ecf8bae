/* text: numbers, durations, sizes, times and backoffs as people write them, and quoting. */

#include "base/text.h"
#include "base/xalloc.h"
#include "fuzz/fuzz.h"
#include "model/retry.h"

#include <stdbool.h>
#include <string.h>

#define NOW_MS INT64_C(1795000000000)

static void
check_quantities(const char *text)
{
	int64_t value, again;
	char written[100];

	if (text_number(text, -5, 1000000, &value) == 0)
		must(value >= -5 && value <= 1000000);
	if (text_size(text, &value) == 0) {
		must(value >= 0);
		text_format_size(written, sizeof(written), value);
	}
	if (text_duration(text, &value) == 0) {
		must(value >= 0 && value <= INT64_C(36525) * 86400000);
		text_format_duration(written, sizeof(written), value);
		text_format_exact(written, sizeof(written), value);
		must(text_duration(written, &again) == 0 && again == value);
	}
}

static void
check_time(const char *text)
{
	struct wall time, again;
	char written[100];

	if (text_time(text, (struct wall){ NOW_MS }, &time) == 0) {
		must(time.ms >= 0);
		text_format_time(written, sizeof(written), time);
		must(text_time(written, (struct wall){ 0 }, &again) == 0 && again.ms == time.ms);
	}
}

static void
check_backoff(const char *text)
{
	struct retry_policy policy = retry_default, again = retry_default;
	char written[100];

	if (retry_parse_backoff(text, &policy) == -1)
		return;
	must(policy.backoff < BACKOFF_COUNT && policy.base_ms >= 0 && policy.cap_ms >= 0);
	for (int64_t failures = 1; failures < 100; failures += 7)
		must(retry_pause_ms(&policy, failures, UINT32_MAX) >= 0);
	must(retry_pause_ms(&policy, INT64_MAX, 0) >= 0);
	retry_format_backoff(written, sizeof(written), &policy);
	must(retry_parse_backoff(written, &again) == 0);
	must(again.backoff == policy.backoff && again.base_ms == policy.base_ms);
	must(policy.backoff == BACKOFF_CONSTANT || again.cap_ms == policy.cap_ms);
}

/* UTF-8, nothing that a terminal obeys, and no more than there is room for. */
static void
check_quote(const char *text, size_t size)
{
	char *buffer = xmalloc(size);
	size_t length, step;

	text_quote(buffer, size, text);
	length = size > 0 ? strlen(buffer) : 0;
	must(size == 0 || length < size);
	for (size_t at = 0; at < length; at += step) {
		step = text_utf8_length(buffer + at, length - at);
		must(step > 0 && (unsigned char)buffer[at] >= 0x20 && buffer[at] != 0x7f);
	}
	free(buffer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	check_quantities(text);
	check_time(text);
	check_backoff(text);
	text_is_name(text);
	check_quote(text, size > 0 ? data[size - 1] : 0);
	check_quote(text, 4 * strlen(text) + 1);
	free(text);
	return 0;
}
