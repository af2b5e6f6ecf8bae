/* notification: any bytes of a service, taken apart; its status is text, within its room. */

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "wire/notification.h"

#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notification said;
	size_t status;

	notification_parse(&said, (const char *)data, size);
	status = strnlen(said.status, sizeof(said.status));
	must(status < sizeof(said.status));
	for (size_t at = 0; at < status;) {
		size_t width = text_utf8_length(said.status + at, status - at);

		must(width > 0);
		at += width;
	}
	must(said.extend_ms == -1 || said.extend_ms > 0);
	return 0;
}
