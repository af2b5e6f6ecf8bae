/*
 * why_read: what is looked at to say why a job waits or how it ended, from a row of a query,
 * and what the words are measured against. No words are made here.
 */

#include "cli/why.h"
#include "keeper/lock.h"
#include "model/supervisor.h"

#include <string.h>

void
why_now(struct why_now *now, const char *state_directory)
{
	now->wall = clock_wall();
	now->boot = clock_boot();
	clock_boot_id(now->boot_id);
	now->is_supervised = lock_holder(state_directory) != 0;
}

struct reason
why_reason(const struct rows *row, const char *column)
{
	const char *text = rows_text(row, column);
	struct reason reason = { .kind = REASON_NONE };

	if (text != NULL && reason_parse(text, &reason) == -1)
		reason = reason_from_words(text); /* a server's own */
	return reason;
}

static enum supervisor_state
read_state(const struct rows *row)
{
	const char *text = rows_text(row, "supervisor_state");
	int state = SUPERVISOR_RUNNING;

	if (text != NULL)
		supervisor_state_parse(text, &state);
	return (enum supervisor_state)state;
}

void
why_read(struct why_job *job, const struct rows *row)
{
	const char *status = rows_text(row, "status"), *kind = rows_text(row, "kind");

	*job = (struct why_job){
		.reason = why_reason(row, "reason"),
		.detail = rows_text(row, "detail"),
		.timeout_ms = rows_number(row, "timeout_ms", 0),
		.watchdog_ms = rows_number(row, "watchdog_ms", 0),
		.is_plain = rows_number(row, "plain", 0) != 0,
		.started_at = rows_number(row, "started_at", 0),
		.run_ms = rows_number(row, "run_ms", -1),
		.progress = rows_real(row, "progress", -1),
		.progress_text = rows_text(row, "progress_text"),
		.result = rows_text(row, "result"),
		.hold = rows_text(row, "hold"),
		.waits_for = rows_text(row, "waits_for"),
		.wake_at = rows_number(row, "wake_at", 0),
		.wake_boot_ms = rows_number(row, "wake_boot_ms", 0),
		.wake_boot_id = rows_text(row, "wake_boot_id"),
		.line = rows_number(row, "line", 0),
		.busy = rows_number(row, "busy", 0),
		.max_children = rows_number(row, "max_children", -1),
		.is_server = kind != NULL && strcmp(kind, "server") == 0,
		.is_message = kind != NULL && strcmp(kind, "message") == 0,
		.is_paused = rows_number(row, "paused", 0) != 0,
		.supervisor_state = read_state(row),
		.supervisor_reason = rows_text(row, "supervisor_reason"),
		.is_static = rows_number(row, "position", 0) != 0,
		.rate = rows_number(row, "rate", 0),
		.rate_ms = rows_number(row, "rate_ms", 0),
		.key = rows_text(row, "key"),
		.key_running = rows_number(row, "key_running", 0),
		.key_limit = rows_number(row, "max_running", 0),
		.last = why_reason(row, "attempt_reason"),
		.mailbox = rows_number(row, "mailbox", 0),
	};
	if (status != NULL)
		job_status_parse(status, &job->status);
	if (rows_number(row, "attempt_ended_at", 0) != 0)
		return;
	job->stop = why_reason(row, "stop_reason");
	job->is_claimed = rows_number(row, "attempt", 0) != 0 && job->started_at == 0;
	job->has_process = job->started_at != 0;
}
