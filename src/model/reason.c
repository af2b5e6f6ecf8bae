/* reason: the closed set of terminate reasons, its text and its words. */

#include "model/reason.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_ERRNO 133

struct kind {
	const char *text;  /* as stored; a prefix where a number or name follows */
	const char *words; /* NULL: composed */
	bool is_failure, is_loss, is_stop;
};

static const struct kind kinds[] = {
	[REASON_NONE] = { "", "" },
	[REASON_NORMAL] = { "normal", "" },
	[REASON_EXIT] = { "exit:", NULL, .is_failure = true },
	[REASON_SIGNAL] = { "signal:", NULL, .is_failure = true },
	[REASON_TIMEOUT] = { "timeout", NULL, .is_failure = true },
	[REASON_OOM] = { "oom", "out of memory", .is_failure = true },
	[REASON_WATCHDOG] = { "watchdog", NULL, .is_failure = true },
	[REASON_SPAWN] = { "spawn:", NULL, .is_failure = true },
	[REASON_CANCELLED] = { "cancelled", "cancelled", .is_stop = true },
	[REASON_INTERRUPTED] = { "interrupted", "interrupted by shutdown", .is_stop = true },
	[REASON_LOST_KEEPER] = { "lost:keeper", "lost: the keeper was killed", .is_loss = true },
	[REASON_LOST_BOOT] = { "lost:boot", "lost: machine restarted", .is_loss = true },
	[REASON_DEPENDENCY] = { "dependency", "a job it waited for did not succeed",
	    .is_stop = true },
	[REASON_SHUTDOWN] = { "shutdown", NULL },
	[REASON_IGNORE] = { "ignore", "not wanted, its init says" },
	[REASON_MAX_RESTARTS] = { "max_restarts", "restarted too often", .is_failure = true },
	[REASON_OWN] = { "", NULL, .is_failure = true },
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == REASON_COUNT, "a row for every kind");

static const struct {
	const char *text; /* as stored, before the errno */
	const char *words;
} places[] = {
	[REASON_OF_PROGRAM] = { "", "cannot execute" },
	[REASON_OF_DIRECTORY] = { "cwd:", "cannot enter its working directory" },
	[REASON_OF_INPUT] = { "stdin:", "cannot open its input" },
};
_Static_assert(sizeof(places) / sizeof(places[0]) == REASON_PLACE_COUNT, "a row for every place");

const char *
reason_signal_name(int signal, char buffer[16])
{
	const char *name = sigabbrev_np(signal);

	if (name != NULL)
		snprintf(buffer, 16, "SIG%.11s", name);
	else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
		snprintf(buffer, 16, "SIGRTMIN+%d", signal - SIGRTMIN);
	else
		snprintf(buffer, 16, "SIG%d", signal);
	return buffer;
}

static int
signal_by_name(const char *name)
{
	char buffer[16];

	for (int signal = 1; signal <= SIGRTMAX; signal++) {
		if (strcmp(reason_signal_name(signal, buffer) + 3, name) == 0)
			return signal;
	}
	return -1;
}

int
reason_signal_number(const char *word)
{
	int64_t number;

	if (text_number(word, 1, SIGRTMAX, &number) == 0)
		return (int)number;
	return signal_by_name(strncmp(word, "SIG", 3) == 0 ? word + 3 : word);
}

static int
errno_by_name(const char *name)
{
	for (int number = 1; number <= LARGEST_ERRNO; number++) {
		const char *known = strerrorname_np(number);

		if (known != NULL && strcmp(known, name) == 0)
			return number;
	}
	return -1;
}

const char *
reason_format(char buffer[REASON_TEXT_SIZE], struct reason reason)
{
	const char *text = kinds[reason.kind].text, *name;
	char signal[16];

	switch (reason.kind) {
	case REASON_EXIT:
		snprintf(buffer, REASON_TEXT_SIZE, "%s%d", text, reason.number);
		break;
	case REASON_SIGNAL:
		snprintf(buffer, REASON_TEXT_SIZE, "%s%s%s", text,
		    reason_signal_name(reason.number, signal) + 3, reason.core ? "+core" : "");
		break;
	case REASON_SPAWN:
		name = reason.number > 0 ? strerrorname_np(reason.number) : NULL;
		snprintf(buffer, REASON_TEXT_SIZE, "%s%s%s", text, places[reason.place].text,
		    name != NULL ? name : "EIO");
		break;
	case REASON_SHUTDOWN:
		snprintf(buffer, REASON_TEXT_SIZE, "%s%s%s", text,
		    reason.own[0] != '\0' ? ":" : "", reason.own);
		break;
	case REASON_OWN:
		snprintf(buffer, REASON_TEXT_SIZE, "%s", reason.own);
		break;
	default:
		snprintf(buffer, REASON_TEXT_SIZE, "%s", text);
		break;
	}
	return buffer;
}

static void
parse_spawn(struct reason *reason, const char *detail)
{
	for (int place = REASON_OF_DIRECTORY; place < REASON_PLACE_COUNT; place++) {
		size_t length = strlen(places[place].text);

		if (strncmp(detail, places[place].text, length) == 0) {
			reason->place = place;
			detail += length;
			break;
		}
	}
	reason->number = errno_by_name(detail);
}

/* As much as there is room for, whole characters. */
static void
set_own(struct reason *reason, const char *words)
{
	size_t length = strlen(words);

	if (length >= sizeof(reason->own)) {
		length = sizeof(reason->own) - 1;
		while (length > 0 && ((unsigned char)words[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(reason->own, words, length);
	reason->own[length] = '\0';
}

struct reason
reason_from_words(const char *words)
{
	struct reason reason = { .kind = REASON_OWN };

	if (strcmp(words, "normal") == 0)
		reason.kind = REASON_NORMAL;
	else if (strcmp(words, "shutdown") == 0)
		reason.kind = REASON_SHUTDOWN;
	else if (strncmp(words, "shutdown:", 9) == 0) {
		reason.kind = REASON_SHUTDOWN;
		set_own(&reason, words + 9);
	} else
		set_own(&reason, words[0] != '\0' ? words : "unknown");
	return reason;
}

static int
parse_detail(enum reason_kind kind, const char *detail, struct reason *ret_reason)
{
	struct reason reason = { .kind = kind };
	char name[REASON_TEXT_SIZE];
	size_t length = strlen(detail);
	int64_t status;

	if (length >= sizeof(name))
		return -1;
	memcpy(name, detail, length + 1);
	switch (kind) {
	case REASON_EXIT:
		if (text_number(name, 1, 255, &status) == -1)
			return -1;
		reason.number = (int)status;
		break;
	case REASON_SIGNAL:
		if (length > 5 && strcmp(name + length - 5, "+core") == 0) {
			reason.core = true;
			name[length - 5] = '\0';
		}
		reason.number = signal_by_name(name);
		break;
	case REASON_SPAWN:
		parse_spawn(&reason, name);
		break;
	case REASON_SHUTDOWN:
		if (length > 0 && name[0] != ':')
			return -1;
		set_own(&reason, length > 0 ? name + 1 : "");
		break;
	default:
		if (length > 0)
			return -1;
	}
	if (reason.number < 0)
		return -1;
	*ret_reason = reason;
	return 0;
}

int
reason_parse(const char *text, struct reason *ret_reason)
{
	for (int kind = REASON_NORMAL; kind < REASON_COUNT; kind++) {
		size_t length = strlen(kinds[kind].text);

		if (length > 0 && strncmp(text, kinds[kind].text, length) == 0)
			return parse_detail(kind, text + length, ret_reason);
	}
	return -1;
}

const char *
reason_words(char *buffer, size_t size, struct reason reason, int64_t limit_ms)
{
	char piece[32];

	switch (reason.kind) {
	case REASON_EXIT:
		snprintf(buffer, size, "exit %d", reason.number);
		break;
	case REASON_SIGNAL:
		snprintf(buffer, size, "killed by %s%s",
		    reason_signal_name(reason.number, piece),
		    reason.core ? " (core dumped)" : "");
		break;
	case REASON_TIMEOUT:
		if (limit_ms > 0)
			snprintf(buffer, size, "timed out after %s",
			    text_format_duration(piece, sizeof(piece), limit_ms));
		else
			snprintf(buffer, size, "timed out");
		break;
	case REASON_WATCHDOG:
		if (limit_ms > 0)
			snprintf(buffer, size, "watchdog: no sign of life for %s",
			    text_format_duration(piece, sizeof(piece), limit_ms));
		else
			snprintf(buffer, size, "watchdog: no sign of life");
		break;
	case REASON_SPAWN:
		snprintf(buffer, size, "%s: %s", places[reason.place].words,
		    strerror(reason.number));
		break;
	case REASON_SHUTDOWN:
		snprintf(buffer, size, "shutdown%s%s", reason.own[0] != '\0' ? ": " : "",
		    reason.own);
		break;
	case REASON_OWN:
		snprintf(buffer, size, "%s", reason.own);
		break;
	default:
		snprintf(buffer, size, "%s", kinds[reason.kind].words);
		break;
	}
	return buffer;
}

int
reason_exit_status(struct reason reason)
{
	switch (reason.kind) {
	case REASON_NORMAL:
		return STATUS_OK;
	case REASON_EXIT:
		return reason.number;
	case REASON_SIGNAL:
		return STATUS_SIGNALLED + reason.number;
	case REASON_TIMEOUT:
		return STATUS_TIMED_OUT;
	case REASON_SPAWN:
		if (reason.place != REASON_OF_PROGRAM)
			return STATUS_RUN_FAILED;
		return reason.number == ENOENT ? STATUS_NO_COMMAND : STATUS_CANNOT_EXECUTE;
	default:
		return STATUS_RUN_FAILED;
	}
}

bool
reason_is_failure(struct reason reason)
{
	return kinds[reason.kind].is_failure;
}

bool
reason_is_loss(struct reason reason)
{
	return kinds[reason.kind].is_loss;
}

bool
reason_is_stop(struct reason reason)
{
	return kinds[reason.kind].is_stop;
}
