/* spec_words: what a person is told that was understood of a job. */

#include "base/text.h"
#include "model/spec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOST_AFTER 3 /* of those waited for; the others are counted */

struct words {
	char *buffer;
	size_t size;
};

/* What does not fit is left out. */
static void __attribute__((format(printf, 2, 3)))
say(struct words *words, const char *format, ...)
{
	size_t used = strlen(words->buffer);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words->buffer + used, words->size - used, format, arguments);
	va_end(arguments);
}

static void
say_runs(struct words *words, const struct retry_policy *retry)
{
	const char *more = retry->backoff != BACKOFF_CONSTANT ? " and more" : "";
	char pause[32];

	text_format_duration(pause, sizeof(pause), retry->base_ms);
	if (retry->max_retries == 0)
		say(words, "one run");
	else if (retry->max_retries == RETRY_FOR_EVER)
		say(words, "runs until it succeeds, %s%s apart", pause, more);
	else
		say(words, "up to %" PRId64 " runs, %s%s apart", retry->max_retries + 1, pause,
		    more);
}

static void
say_dependencies(struct words *words, const struct spec *spec)
{
	for (size_t i = 0; i < spec->dependency_count; i++) {
		const struct dependency *dependency = &spec->dependencies[i];

		say(words, i == 0 ? ", after " : ", ");
		if (i == MOST_AFTER && spec->dependency_count > MOST_AFTER + 1) {
			say(words, "%zu more", spec->dependency_count - i);
			return;
		}
		if (dependency->name != NULL)
			say(words, "%s", dependency->name);
		else
			say(words, "%" PRId64, dependency->on);
		if (dependency->kind == DEPENDENCY_ENDED)
			say(words, " however it ends");
	}
}

const char *
spec_describe(const struct spec *spec, struct wall now, char *buffer, size_t size)
{
	struct words words = { buffer, size };
	char text[64];

	buffer[0] = '\0';
	say_runs(&words, &spec->retry);
	if (spec->timeout_ms != SPEC_UNSET)
		say(&words, ", %s each at most",
		    text_format_duration(text, sizeof(text), spec->timeout_ms));
	if (spec->start_in_ms > 0)
		say(&words, ", in %s",
		    text_format_duration(text, sizeof(text), spec->start_in_ms));
	if (spec->start_at.ms != SPEC_UNSET)
		say(&words, ", at %s%s",
		    text_format_local_time(text, sizeof(text), spec->start_at),
		    spec->start_at.ms <= now.ms ? ", which has passed" : "");
	say_dependencies(&words, spec);
	if (spec->is_held)
		say(&words, ", when it is released");
	return buffer;
}
