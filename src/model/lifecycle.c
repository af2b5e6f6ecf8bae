/*
 * lifecycle: one table; the classification comes first so that it needs no conditions.
 * Whether a failed run is retried, or a server started again, is decided in
 * lifecycle_classify_end(), after which pause in retry.c.
 * tests/unit/model/test_lifecycle.c pins the whole matrix.
 */

#include "model/lifecycle.h"

#include <string.h>

#define TO(status, ...) { .is_allowed = true, .next = (status), .actions = 0 __VA_ARGS__ }

const struct lifecycle_step lifecycle_table[JOB_STATUS_COUNT][JOB_EVENT_COUNT] = {
	[JOB_NEW] = {
		[JOB_STARTED] = TO(JOB_RUNNING),
		[JOB_RUN_FAILED] = TO(JOB_ERRORED, | ACTION_COUNT | ACTION_PAUSE),
		[JOB_FAILED_FINALLY] = TO(JOB_FAILED, | ACTION_COUNT | ACTION_END),
		[JOB_PUT_BACK_NEW] = TO(JOB_NEW),
		[JOB_ABANDONED] = TO(JOB_FAILED, | ACTION_END),
		[JOB_STOPPED] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_READY] = TO(JOB_RUNNING),
		[JOB_RESTARTED] = TO(JOB_ERRORED),
		[JOB_GAVE_UP] = TO(JOB_FAILED, | ACTION_END),
		[JOB_SHUT_DOWN] = TO(JOB_DONE, | ACTION_END),
		[JOB_CANCEL] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_DEPENDENCY_FAILED] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_RETRY] = TO(JOB_NEW, | ACTION_WAKE),
		[JOB_HOLD] = TO(JOB_NEW, | ACTION_HOLD),
		[JOB_RELEASE] = TO(JOB_NEW, | ACTION_UNHOLD),
		[JOB_REFUSED] = TO(JOB_FAILED, | ACTION_END),
	},
	[JOB_RUNNING] = {
		[JOB_SUCCEEDED] = TO(JOB_DONE, | ACTION_END),
		[JOB_RUN_FAILED] = TO(JOB_ERRORED, | ACTION_COUNT | ACTION_PAUSE),
		[JOB_FAILED_FINALLY] = TO(JOB_FAILED, | ACTION_COUNT | ACTION_END),
		[JOB_PUT_BACK_NEW] = TO(JOB_NEW),
		[JOB_PUT_BACK_ERRORED] = TO(JOB_ERRORED),
		[JOB_ABANDONED] = TO(JOB_FAILED, | ACTION_END),
		[JOB_STOPPED] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_RESTARTED] = TO(JOB_ERRORED),
		[JOB_GAVE_UP] = TO(JOB_FAILED, | ACTION_END),
		[JOB_CANCEL] = TO(JOB_RUNNING, | ACTION_STOP),
	},
	[JOB_ERRORED] = {
		[JOB_STARTED] = TO(JOB_RUNNING),
		[JOB_RUN_FAILED] = TO(JOB_ERRORED, | ACTION_COUNT | ACTION_PAUSE),
		[JOB_FAILED_FINALLY] = TO(JOB_FAILED, | ACTION_COUNT | ACTION_END),
		[JOB_PUT_BACK_ERRORED] = TO(JOB_ERRORED),
		[JOB_ABANDONED] = TO(JOB_FAILED, | ACTION_END),
		[JOB_STOPPED] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_READY] = TO(JOB_RUNNING),
		[JOB_RESTARTED] = TO(JOB_ERRORED),
		[JOB_GAVE_UP] = TO(JOB_FAILED, | ACTION_END),
		[JOB_SHUT_DOWN] = TO(JOB_DONE, | ACTION_END),
		[JOB_CANCEL] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_DEPENDENCY_FAILED] = TO(JOB_CANCELLED, | ACTION_END),
		[JOB_RETRY] = TO(JOB_ERRORED, | ACTION_WAKE),
		[JOB_HOLD] = TO(JOB_ERRORED, | ACTION_HOLD),
		[JOB_RELEASE] = TO(JOB_ERRORED, | ACTION_UNHOLD),
		[JOB_REFUSED] = TO(JOB_FAILED, | ACTION_END),
	},
	[JOB_DONE] = {
		[JOB_RETRY] = TO(JOB_NEW, | ACTION_RESET | ACTION_REVIVE),
	},
	[JOB_FAILED] = {
		[JOB_RETRY] = TO(JOB_NEW, | ACTION_RESET | ACTION_REVIVE),
	},
	[JOB_CANCELLED] = {
		[JOB_RETRY] = TO(JOB_NEW, | ACTION_RESET | ACTION_REVIVE | ACTION_UNHOLD),
	},
};

static const char *const status_names[] = {
	[JOB_NEW] = "new",
	[JOB_RUNNING] = "running",
	[JOB_ERRORED] = "errored",
	[JOB_DONE] = "done",
	[JOB_FAILED] = "failed",
	[JOB_CANCELLED] = "cancelled",
};
_Static_assert(sizeof(status_names) / sizeof(status_names[0]) == JOB_STATUS_COUNT,
    "a name for every status");

static const char *const event_names[] = {
	[JOB_STARTED] = "started",
	[JOB_SUCCEEDED] = "succeeded",
	[JOB_RUN_FAILED] = "run failed",
	[JOB_FAILED_FINALLY] = "failed finally",
	[JOB_PUT_BACK_NEW] = "put back new",
	[JOB_PUT_BACK_ERRORED] = "put back errored",
	[JOB_ABANDONED] = "abandoned",
	[JOB_STOPPED] = "stopped",
	[JOB_READY] = "ready",
	[JOB_RESTARTED] = "restarted",
	[JOB_GAVE_UP] = "gave up",
	[JOB_SHUT_DOWN] = "shut down",
	[JOB_CANCEL] = "cancel",
	[JOB_DEPENDENCY_FAILED] = "dependency failed",
	[JOB_RETRY] = "retry",
	[JOB_HOLD] = "hold",
	[JOB_RELEASE] = "release",
	[JOB_REFUSED] = "refused",
};
_Static_assert(sizeof(event_names) / sizeof(event_names[0]) == JOB_EVENT_COUNT,
    "a name for every event");

enum supervision
lifecycle_supervise(const struct lifecycle_job *job, struct reason reason)
{
	enum supervisor_state state = job->supervised.state;
	bool ends_with_us = state == SUPERVISOR_ENDING || state == SUPERVISOR_ENDED;

	if (!job->is_server)
		return SUPERVISION_COUNT;
	if (reason.kind == REASON_CANCELLED)
		return SUPERVISION_STAYS_DOWN;
	if (!ends_with_us && (reason_is_stop(reason) || reason_is_loss(reason)))
		return SUPERVISION_COUNT;
	return supervision_decide(&job->supervised, reason);
}

/*
 * The end of a server's process. A machine that goes down again and again is no fault of its
 * servers: they have no limit of losses.
 */
static enum job_event
classify_server(const struct lifecycle_job *job, struct reason reason)
{
	enum supervision verdict = lifecycle_supervise(job, reason);

	if (reason.kind == REASON_CANCELLED)
		return JOB_STOPPED;
	if (verdict == SUPERVISION_COUNT)
		return job->supervised.restart == RESTART_TEMPORARY ? JOB_ABANDONED
								    : JOB_PUT_BACK_NEW;
	if (verdict == SUPERVISION_WITH_GROUP)
		return JOB_PUT_BACK_NEW;
	if (supervision_is_restart(verdict))
		return JOB_RESTARTED;
	return reason_is_failure(reason) || verdict == SUPERVISION_EXHAUSTED ||
		verdict == SUPERVISION_GIVES_UP
	    ? JOB_GAVE_UP
	    : JOB_SUCCEEDED;
}

enum job_event
lifecycle_classify_end(const struct lifecycle_job *job, struct reason reason)
{
	bool runs_once = job->retry.max_retries == 0;

	if (job->is_server)
		return classify_server(job, reason);
	if (reason.kind == REASON_NORMAL)
		return JOB_SUCCEEDED;
	if (reason.kind == REASON_CANCELLED)
		return JOB_STOPPED;
	if (reason_is_failure(reason)) {
		if (job->is_final || (reason.kind == REASON_EXIT &&
					 reason.number == LIFECYCLE_NO_RETRY_STATUS))
			return JOB_FAILED_FINALLY;
		if (job->retry.max_retries != RETRY_FOR_EVER &&
		    job->failures >= job->retry.max_retries)
			return JOB_FAILED_FINALLY;
		return JOB_RUN_FAILED;
	}
	if (runs_once || (reason_is_loss(reason) &&
			     job->losses_in_a_row + 1 >= LIFECYCLE_MAX_LOSSES))
		return JOB_ABANDONED;
	return job->failures > 0 ? JOB_PUT_BACK_ERRORED : JOB_PUT_BACK_NEW;
}

int
lifecycle_decide(const struct lifecycle_job *job, enum job_event event, uint32_t random,
    struct lifecycle_verdict *ret_verdict)
{
	const struct lifecycle_step *step = &lifecycle_table[job->status][event];
	struct lifecycle_verdict verdict = { .next = step->next, .actions = step->actions };

	if (!step->is_allowed)
		return -1;
	verdict.failures = step->actions & ACTION_RESET ? 0 : job->failures;
	if (step->actions & ACTION_COUNT && verdict.failures < INT64_MAX)
		verdict.failures++;
	if (step->actions & ACTION_PAUSE)
		verdict.pause_ms = retry_pause_ms(&job->retry, verdict.failures, random);
	if (event == JOB_RESTARTED && job->has_delay) {
		verdict.actions |= ACTION_PAUSE;
		verdict.pause_ms =
		    retry_pause_ms(&job->delay, job->restarts_in_a_row, random);
	}
	*ret_verdict = verdict;
	return 0;
}

bool
job_status_is_live(enum job_status status)
{
	return status == JOB_NEW || status == JOB_RUNNING || status == JOB_ERRORED;
}

const char *
job_status_name(enum job_status status)
{
	return status_names[status];
}

int
job_status_parse(const char *text, enum job_status *ret_status)
{
	for (int status = 0; status < JOB_STATUS_COUNT; status++) {
		if (strcmp(text, status_names[status]) == 0) {
			*ret_status = status;
			return 0;
		}
	}
	return -1;
}

const char *
job_event_name(enum job_event event)
{
	return event_names[event];
}
