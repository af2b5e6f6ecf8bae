/*
 * why: the one place that puts into words what a job waits for and how it ended. What
 * `list`, `show` and `why` say is from here, so that they cannot disagree.
 */

#include "cli/why.h"
#include "base/text.h"
#include "model/supervisor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LARGEST_RESULT 200 /* `show` has it whole */
#define MOST_IDS 10 /* of those waited for; the others are counted */

/* Words that are put one behind the other; what does not fit is left out. */
struct words {
	char *buffer;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3)))
say(struct words *words, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(words->buffer + words->used, words->size - words->used, format,
	    arguments);
	va_end(arguments);
	if (length > 0)
		words->used += (size_t)length < words->size - words->used
		    ? (size_t)length
		    : words->size - words->used - 1;
}

int64_t
why_limit(struct reason reason, int64_t timeout_ms, int64_t watchdog_ms)
{
	return reason.kind == REASON_WATCHDOG ? watchdog_ms : timeout_ms;
}

static const char *
reason_of(const struct why_job *job, struct reason reason, char *text, size_t size)
{
	return reason_words(
	    text, size, reason, why_limit(reason, job->timeout_ms, job->watchdog_ms));
}

const char *
why_ordinal(char *buffer, size_t size, int64_t number)
{
	int64_t tens = number % 100, ones = number % 10;
	const char *ending = tens >= 11 && tens <= 13 ? "th"
	    : ones == 1				      ? "st"
	    : ones == 2				      ? "nd"
	    : ones == 3				      ? "rd"
						      : "th";

	snprintf(buffer, size, "%" PRId64 "%s", number, ending);
	return buffer;
}

int64_t
why_running_ms(const struct why_job *job, const struct why_now *now)
{
	if (job->status != JOB_RUNNING)
		return job->started_at != 0 ? job->run_ms : -1;
	if (job->started_at == 0 || now->wall.ms < job->started_at)
		return 0;
	return now->wall.ms - job->started_at;
}

/* Delays count by the boot clock in the boot they were made in, by the wall after it. */
static int64_t
left_ms(const struct why_job *job, const struct why_now *now)
{
	if (job->wake_boot_id != NULL && strcmp(job->wake_boot_id, now->boot_id) == 0)
		return job->wake_boot_ms - now->boot.ms;
	return job->wake_at - now->wall.ms;
}

static void
say_ids(struct words *words, const char *array)
{
	size_t said = 0, count = 1;

	for (const char *c = array; *c != '\0'; c++)
		count += *c == ',';
	say(words, "waits for ");
	for (const char *c = array; *c != '\0'; c++) {
		if (*c == ',' && ++said == MOST_IDS) {
			say(words, " and %zu more", count - said);
			return;
		}
		if (*c == ',')
			say(words, ", ");
		else if (*c != '[' && *c != ']')
			say(words, "%c", *c);
	}
}

/* More attempts than places: the others were claimed ahead, to follow when one ends. */
static int64_t
claimed_ahead(const struct why_job *job)
{
	if (job->max_children == -1 || job->busy <= job->max_children)
		return 0;
	return job->busy - job->max_children;
}

bool
why_must_wait(const struct why_job *job)
{
	return !job->is_claimed &&
	    (job->hold != NULL || job->wake_at != 0 || job->is_paused ||
		!supervisor_lets_start(job->supervisor_state) ||
		(job->max_children != -1 && job->busy >= job->max_children));
}

static bool
is_restarting(const struct why_job *job)
{
	return job->is_server && job->status == JOB_ERRORED;
}

static void
say_line(struct words *words, const struct why_job *job)
{
	char ordinal[32];

	if (job->is_claimed)
		say(words, ", next in line");
	else if (job->line > 0)
		say(words, ", %s in line",
		    why_ordinal(ordinal, sizeof(ordinal), job->line + claimed_ahead(job)));
}

static void
say_next(struct words *words, const struct why_job *job)
{
	char rate[96];

	if (job->rate == 0) {
		say(words, is_restarting(job) ? "restarting" : "next to start");
		return;
	}
	say(words, "waits for its supervisor's rate (%s)",
	    supervisor_format_rate(rate, sizeof(rate), job->rate, job->rate_ms));
	say_line(words, job);
}

/* Its supervisor does not simply run. */
static void
say_state(struct words *words, const struct why_job *job)
{
	static const char *const texts[SUPERVISOR_STATE_COUNT] = {
		[SUPERVISOR_WAITING] = "its supervisor waits for its turn to start",
		[SUPERVISOR_STARTING] = "its turn comes when those before it are up",
		[SUPERVISOR_REGROUPING] = "its supervisor ends some of its children first",
		[SUPERVISOR_RESTARTING] = "its turn comes when those before it are up",
		[SUPERVISOR_ENDING] = "its supervisor is ending",
		[SUPERVISOR_ENDED] = "its supervisor has ended",
	};

	if (supervisor_lets_start(job->supervisor_state) && !job->is_static)
		say(words, "next to start");
	else
		say(words, "%s", texts[job->supervisor_state]);
	if (!supervisor_lets_start(job->supervisor_state) && job->supervisor_reason != NULL)
		say(words, " (%s)", job->supervisor_reason);
}

/* That is what it waits for, whatever its supervisor is at. */
static bool
lacks_a_place(const struct why_job *job)
{
	return supervisor_lets_start(job->supervisor_state) &&
	    (job->is_paused || (job->max_children != -1 && job->busy >= job->max_children));
}

static void
say_place(struct words *words, const struct why_job *job, const struct why_now *now)
{
	if (!now->is_supervised)
		say(words, "nothing runs it");
	else if (job->supervisor_state != SUPERVISOR_RUNNING && !lacks_a_place(job))
		say_state(words, job);
	else if (job->is_paused)
		say(words, "its supervisor is paused");
	else if (job->key != NULL && job->key_running >= job->key_limit && !job->is_claimed)
		say(words, "%" PRId64 " of %" PRId64 " with key %s run", job->key_running,
		    job->key_limit, job->key);
	else if (job->is_message && job->max_children == 0)
		say(words, "no process of its pool runs");
	else if (job->max_children == -1 || job->busy < job->max_children)
		say_next(words, job);
	else {
		say(words, "no free place (%" PRId64 " of %" PRId64 ")",
		    job->busy - claimed_ahead(job), job->max_children);
		say_line(words, job);
	}
}

static void
say_waiting(struct words *words, const struct why_job *job, const struct why_now *now)
{
	const char *verb = job->status == JOB_ERRORED ? "again" : "starts";
	int64_t left = left_ms(job, now);
	char span[32];

	if (job->is_server && job->has_process)
		say(words, "%s", !now->is_supervised ? "nothing supervises it"
			: job->is_plain		     ? "it has not said that it is ready"
						     : "its init has not answered yet");
	else if (job->is_claimed && claimed_ahead(job) > 0)
		say_place(words, job, now);
	else if (job->is_claimed)
		say(words, is_restarting(job) ? "restarting" : "being started");
	else if (job->hold != NULL && strcmp(job->hold, "dependency") != 0)
		say(words, "held by you");
	else if (job->hold != NULL && job->waits_for != NULL &&
	    strcmp(job->waits_for, "[]") != 0)
		say_ids(words, job->waits_for);
	else if (job->hold != NULL)
		say(words, "waits for other jobs");
	else if (job->wake_at == 0)
		say_place(words, job, now);
	else if (left <= 0)
		say(words, now->is_supervised ? "due now" : "due, but nothing runs it");
	else
		say(words, "%s in %s", verb,
		    text_format_duration(span, sizeof(span), left));
}

static void
say_reason(struct words *words, const struct why_job *job)
{
	char text[256];

	if (job->detail != NULL)
		say(words, "%s", job->detail);
	else
		say(words, "%s",
		    reason_of(job, job->reason, text, sizeof(text)));
	if (job->reason.kind == REASON_MAX_RESTARTS && job->last.kind != REASON_NONE)
		say(words, ", last %s",
		    reason_of(job, job->last, text, sizeof(text)));
}

/* What its end was, if it was not simply wanted. */
static void
say_clean_end(struct words *words, const struct why_job *job, enum why_form form)
{
	char text[256];

	reason_words(text, sizeof(text), job->reason, 0);
	if (text[0] != '\0')
		say(words, "%s%s", form == WHY_ALONE ? ": " : "", text);
}

/* Why its process is being ended, if not simply since somebody wants it, and that it is. */
static void
say_being_ended(struct words *words, struct reason stop, int64_t limit_ms)
{
	char text[256];

	reason_words(text, sizeof(text), stop, limit_ms);
	say(words, "%s%sbeing ended", text, text[0] != '\0' ? ", " : "");
}

static void
say_running(struct words *words, const struct why_job *job, const struct why_now *now,
    enum why_form form)
{
	char text[256];
	const char *comma = "";

	if (form == WHY_ALONE) {
		say(words, "running for %s", text_format_duration(text, sizeof(text),
						 why_running_ms(job, now)));
		comma = ", ";
	}
	if (job->stop.kind != REASON_NONE) {
		say(words, "%s", comma);
		say_being_ended(words, job->stop,
		    why_limit(job->stop, job->timeout_ms, job->watchdog_ms));
		return;
	}
	if (!now->is_supervised) {
		say(words, "%snothing supervises it", comma);
		return;
	}
	if (job->progress >= 0) {
		say(words, "%s%.0f%%", comma, job->progress * 100);
		comma = " ";
	}
	if (job->progress_text != NULL)
		say(words, "%s%s", comma, job->progress_text);
	if (job->mailbox > 0)
		say(words, "%s%" PRId64 " message%s", words->used > 0 ? ", " : "", job->mailbox,
		    job->mailbox == 1 ? " waits" : "s wait");
}

/* Of a run that was lost nobody knows how long it was. */
static void
say_done(struct words *words, const struct why_job *job)
{
	char span[32];

	say(words, "done");
	if (job->run_ms != -1)
		say(words, " after %s", text_format_duration(span, sizeof(span), job->run_ms));
	if (job->result != NULL)
		say(words, ": ");
}

static void
say_end(struct words *words, const struct why_job *job, enum why_form form)
{
	const char *status = job_status_name(job->status);

	if (job->status == JOB_DONE) {
		if (form == WHY_ALONE)
			say_done(words, job);
		if (job->result != NULL && strlen(job->result) > LARGEST_RESULT)
			say(words, "a result of %zu bytes", strlen(job->result));
		else if (job->result != NULL)
			say(words, "%s", job->result);
		else if (job->is_server)
			say_clean_end(words, job, form);
		return;
	}
	if (form == WHY_ALONE &&
	    (job->reason.kind != REASON_CANCELLED || job->status != JOB_CANCELLED))
		say(words, "%s: ", status);
	say_reason(words, job);
}

/* A new job may have had runs that do not count; earlier lives of it do not matter. */
static bool
is_reason_to_wait(const struct why_job *job)
{
	if (job->status == JOB_ERRORED)
		return job->reason.kind != REASON_NONE;
	return job->reason.kind == REASON_INTERRUPTED || reason_is_loss(job->reason);
}

const char *
why_words(char *buffer, size_t size, const struct why_job *job, const struct why_now *now,
    enum why_form form)
{
	struct words words = { buffer, size, 0 };

	buffer[0] = '\0';
	switch (job->status) {
	case JOB_RUNNING:
		say_running(&words, job, now, form);
		break;
	case JOB_NEW:
	case JOB_ERRORED:
		if (is_reason_to_wait(job)) {
			say_reason(&words, job);
			say(&words, words.used > 0 ? "; " : "");
		}
		say_waiting(&words, job, now);
		break;
	default:
		say_end(&words, job, form);
		break;
	}
	return buffer;
}

const char *
why_attempt(char *buffer, size_t size, const struct rows *row)
{
	struct reason reason = why_reason(row, "reason");
	struct reason stop = why_reason(row, "stop_reason");
	int64_t timeout_ms = rows_number(row, "timeout_ms", 0);
	int64_t watchdog_ms = rows_number(row, "watchdog_ms", 0);
	struct words words = { buffer, size, 0 };

	if (reason.kind == REASON_NORMAL)
		snprintf(buffer, size, "done");
	else if (reason.kind != REASON_NONE)
		reason_words(buffer, size, reason, why_limit(reason, timeout_ms, watchdog_ms));
	else if (rows_text(row, "reason") != NULL)
		snprintf(buffer, size, "%s", rows_text(row, "reason"));
	else if (rows_number(row, "started_at", 0) == 0)
		snprintf(buffer, size, "being started");
	else if (stop.kind != REASON_NONE)
		say_being_ended(&words, stop, why_limit(stop, timeout_ms, watchdog_ms));
	else
		snprintf(buffer, size, "running");
	return buffer;
}
