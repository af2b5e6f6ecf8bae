/*
 * reports: what the keeper says of attempts becomes steps of the next transaction, and is
 * acknowledged when that is committed.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/plain.h"
#include "supervisor/pool.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000

static void
log_start(const struct attempt_key *key, int64_t pid)
{
	log_info("job=%" PRId64 " started attempt=%" PRId64 " pid=%" PRId64, key->job,
	    key->attempt, pid);
}

static void
started_recorded(void *arg, struct step *step)
{
	struct live *live = live_find(arg, step->started.key.job);

	if (step->answer == STEP_OK)
		log_start(&step->started.key, step->started.pid);
	if (live != NULL && live->key.attempt == step->started.key.attempt)
		claims_tell(live, false);
}

void
reports_record_start(struct live *live)
{
	struct step *step = turn_add(
	    live->supervisor, STEP_STARTED, started_recorded, live->supervisor);

	step->started.key = live->key;
	step->started.pid = live->pid;
	step->started.pid_start = live->pid_start;
	step->started.age_ms = clock_mono().ms - live->started.ms;
}

static struct reason
reason_not_executed(const struct report_ended *ended)
{
	static const enum reason_place places[] = {
		[PLACE_PROGRAM] = REASON_OF_PROGRAM,
		[PLACE_DIRECTORY] = REASON_OF_DIRECTORY,
		[PLACE_INPUT] = REASON_OF_INPUT,
	};
	_Static_assert(sizeof(places) / sizeof(places[0]) == END_PLACE_COUNT, "all places");

	return (struct reason){ .kind = REASON_SPAWN, .number = ended->code,
		.place = ended->place < END_PLACE_COUNT ? places[ended->place]
							: REASON_OF_PROGRAM };
}

struct reason
reports_reason(const struct report_ended *ended)
{
	static const enum reason_kind by_cause[] = {
		[STOP_NONE] = REASON_NONE,
		[STOP_CANCELLED] = REASON_CANCELLED,
		[STOP_INTERRUPTED] = REASON_INTERRUPTED,
		[STOP_TIMEOUT] = REASON_TIMEOUT,
		[STOP_WATCHDOG] = REASON_WATCHDOG,
	};
	_Static_assert(sizeof(by_cause) / sizeof(by_cause[0]) == STOP_CAUSE_COUNT,
	    "a reason for every cause");
	bool was_good = ended->how == END_EXITED && ended->code == 0;

	if (ended->how == END_UNKNOWN)
		return (struct reason){ .kind = REASON_LOST_KEEPER };
	if (ended->how == END_NOT_EXECUTED)
		return reason_not_executed(ended);
	/* It succeeded although we were about to end it: good. A cancel stays a cancel. */
	if (ended->cause != STOP_NONE && ended->cause < STOP_CAUSE_COUNT &&
	    !(was_good && ended->cause == STOP_INTERRUPTED))
		return (struct reason){ .kind = by_cause[ended->cause] };
	if (was_good)
		return (struct reason){ .kind = REASON_NORMAL };
	if (ended->is_oom)
		return (struct reason){ .kind = REASON_OOM };
	if (ended->how == END_EXITED)
		return (struct reason){ .kind = REASON_EXIT, .number = ended->code };
	return (struct reason){ .kind = REASON_SIGNAL, .number = ended->code,
		.core = ended->core != 0 };
}

/* "1/3" */
static void
format_retries(char *text, size_t size, const struct step *step)
{
	int64_t retries = step->ended.ret_failures > 0 ? step->ended.ret_failures - 1 : 0;

	if (step->ended.ret_max_retries == RETRY_FOR_EVER)
		snprintf(text, size, "%" PRId64 "/inf", retries);
	else
		snprintf(text, size, "%" PRId64 "/%" PRId64, retries,
		    step->ended.ret_max_retries);
}

static void
log_failure(const struct step *step)
{
	struct reason reason = step->ended.end.reason;
	char said[REASON_TEXT_SIZE + 64], words[sizeof(said)], retries[48];

	reason_words(said, sizeof(said), reason,
	    reason.kind == REASON_TIMEOUT ? step->ended.ret_timeout_ms : 0);
	text_quote(words, sizeof(words), said);
	format_retries(retries, sizeof(retries), step);
	if (step->ended.ret_counts && step->ended.ret_status == JOB_ERRORED)
		log_warn("job=%" PRId64 " %s reason=\"%s\" retries=%s retry_in_ms=%" PRId64,
		    step->ended.key.job,
		    step->ended.ret_failures > 1 ? "retry failed" : "errored", words, retries,
		    step->ended.ret_pause_ms);
	else if (step->ended.ret_counts)
		log_warn("job=%" PRId64 " %s reason=\"%s\" retries=%s", step->ended.key.job,
		    step->ended.ret_failures > 1 ? "retry failed" : "errored", words, retries);
	else if (step->ended.ret_is_server && reason_is_failure(reason))
		log_warn("job=%" PRId64 " %s reason=\"%s\"", step->ended.key.job,
		    job_status_name(step->ended.ret_status), words);
	else
		log_info("job=%" PRId64 " %s reason=\"%s\"", step->ended.key.job,
		    job_status_name(step->ended.ret_status), words);
}

void
reports_log_end(const struct step *step)
{
	if (step->ended.ret_status == JOB_DONE)
		log_info("job=%" PRId64 " completed run_ms=%" PRId64, step->ended.key.job,
		    step->ended.end.run_ms);
	else
		log_failure(step);
	if (!job_status_is_live(step->ended.ret_status))
		log_info("job=%" PRId64 " exiting status=%s", step->ended.key.job,
		    job_status_name(step->ended.ret_status));
}

static void
end_recorded(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	const struct attempt_key *key = &step->ended.key;
	struct live *live = live_find(supervisor, key->job);

	if (step->answer == STEP_OK && step->ended.started.pid != 0)
		log_start(key, step->ended.started.pid);
	if (step->answer == STEP_OK)
		reports_log_end(step);
	else
		log_warn("job=%" PRId64 " attempt=%" PRId64
			 " ended, but the database knows no such attempt (any more)",
		    key->job, key->attempt);
	if (step->answer == STEP_OK)
		output_remove_old(
		    supervisor, key->job, key->attempt, step->ended.ret_is_server);
	if (step->answer == STEP_OK && step->ended.ret_status == JOB_ERRORED)
		turn_wake_in(supervisor, step->ended.ret_pause_ms - step->ended.age_ms);
	reports_acknowledge(supervisor, key);
	if (step->answer != STEP_OK || live == NULL || live->place == NULL)
		live_anything_ready(supervisor);
	else if (job_status_is_live(step->ended.ret_status))
		live->place->may_have_ready = true;
	if (live == NULL || live->key.attempt != key->attempt)
		return;
	if (step->ended.started.pid != 0)
		claims_tell(live, false);
	if (live->server != NULL && step->answer == STEP_OK)
		server_ended(live->server, step);
	live_remove(live);
}

/* What it said last counts, and its output is complete: only now is its end decided. */
void
reports_record_end(struct live *live)
{
	const struct report_ended *ended = &live->end->ended;
	bool is_plain = live->server != NULL && live->server->plain != NULL;
	bool starts = ended->start.pid != 0;
	struct step *step;
	struct attempt_end *end;

	if (is_plain && starts) { /* before it was ready */
		reports_record_start(live);
		starts = false;
	}
	talk_drain(live);
	if (is_plain)
		plain_last_words(live->server, ended->how != END_NOT_EXECUTED);
	output_end(live, ended->output_bytes);
	live->last_lines = output_last_lines(live, ended->output_bytes);
	if (live->server != NULL)
		gauge_last(live->server);
	step = turn_add(live->supervisor, STEP_ENDED, end_recorded, live->supervisor);
	step->ended.key = live->key;
	step->ended.age_ms = clock_mono().ms - ended->at_mono_ms;
	step->ended.random = arc4random();
	if (starts) {
		step->ended.started.pid = live->pid;
		step->ended.started.pid_start = live->pid_start;
		step->ended.started.age_ms = clock_mono().ms - live->started.ms;
	}
	if (live->server != NULL)
		turn_tells(live->supervisor);
	end = &step->ended.end;
	*end = (struct attempt_end){
		.reason = reports_reason(ended),
		.exit_code = ended->how == END_EXITED ? ended->code : -1,
		.signal = ended->how == END_SIGNALLED ? ended->code : 0,
		.core = ended->core != 0,
		.run_ms = ended->how == END_NOT_EXECUTED ? -1 : ended->run_ms,
		.user_ms = ended->user_ms,
		.system_ms = ended->system_ms,
		.max_rss_kib = ended->max_rss_kib,
		.output_bytes = ended->output_bytes,
		.output_left_out = live->left_out,
		.last_lines = live->last_lines,
		.children_killed = ended->children_killed,
	};
	if (live->server != NULL) {
		end->reason = server_reason(live->server, end->reason);
		step->ended.handling = mailbox_handling(live->server);
	}
	if (live->handling != NULL)
		step->ended.had_message = pool_member_ended(live, end->reason);
}

void
reports_acknowledge(struct supervisor *supervisor, const struct attempt_key *key)
{
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_ACKNOWLEDGE,
		.key = { key->job, key->attempt, key->generation } };

	if (supervisor->link != NULL)
		link_send(supervisor->link, &order, sizeof(order), -1);
}

static void
take_start(struct live *live, const struct report_started *start, int descriptor)
{
	live->is_ordered = true;
	live_has_started(live);
	live->pid = start->pid;
	live->pid_start = start->pid_start;
	live->started.ms = start->at_mono_ms;
	live->socket_fd = descriptor;
	live->supervisor->pause_ms = 0;
}

static void
started(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	struct live *live = live_find_key(supervisor, &report->key);

	if (live == NULL && supervisor->phase == PHASE_ATTACHING) {
		const struct attempt_key key = { report->key.job, report->key.attempt,
			report->key.generation };

		live = live_add(supervisor, &key, NULL);
		live->was_attached = true;
	}
	if (live == NULL) {
		if (descriptor != -1)
			close(descriptor);
		return;
	}
	take_start(live, &report->started, descriptor);
	/* An adopted one has its start in the database already. */
	if (supervisor->phase != PHASE_ATTACHING &&
	    (!report->started.is_adopted || live->must_note_start))
		reports_record_start(live);
	if (live->server != NULL)
		server_started(live);
	/* Whose output and words these are is known when it has been compared. */
	if (supervisor->phase > PHASE_SETTLING || live->is_in_store)
		output_watch(live);
}

static void
recalled(struct supervisor *supervisor, const struct report *report)
{
	struct live *live = live_find_key(supervisor, &report->key);

	if (live == NULL || live->is_started || live->has_ended)
		return;
	live_unlink(live);
	claims_withdraw(live);
}

static void
ended(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	struct live *live = live_find_key(supervisor, &report->key);

	if (live == NULL && supervisor->phase == PHASE_ATTACHING) {
		const struct attempt_key key = { report->key.job, report->key.attempt,
			report->key.generation };

		live = live_add(supervisor, &key, NULL); /* it never had a process */
	}
	if (live == NULL || live->has_ended) {
		if (descriptor != -1)
			close(descriptor);
		return;
	}
	if (report->ended.start.pid != 0)
		take_start(live, &report->ended.start, descriptor);
	live->has_ended = true;
	claims_promote(live, &report->ended);
	live->end = xmalloc(sizeof(*live->end));
	*live->end = *report;
	if (supervisor->phase > PHASE_SETTLING || live->is_in_store || live->is_orphan)
		reports_record_end(live); /* else when it has been compared */
}

/* The socket to which it says how it is. */
static void
notify_socket(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	struct live *live = live_find_key(supervisor, &report->key);

	if (live == NULL || live->notify_fd != -1) {
		if (descriptor != -1)
			close(descriptor);
		return;
	}
	live->notify_fd = descriptor;
	if (live->is_started && live->server != NULL && live->server->plain != NULL)
		plain_listen(live->server->plain);
}

static void
pause_over(void *arg)
{
	live_anything_ready(arg);
}

/* Many are refused at once, and one pause is for all of them. */
static void
begin_pause(struct supervisor *supervisor)
{
	if (timer_is_set(&supervisor->pause_timer))
		return;
	supervisor->pause_ms =
	    supervisor->pause_ms == 0 ? FIRST_PAUSE_MS : 2 * supervisor->pause_ms;
	if (supervisor->pause_ms > LONGEST_PAUSE_MS)
		supervisor->pause_ms = LONGEST_PAUSE_MS;
	loop_timer_set(supervisor->loop, &supervisor->pause_timer, supervisor->pause_ms);
}

/* No process could be made: ours, not the job's. */
static void
refused(struct supervisor *supervisor, const struct report *report)
{
	struct live *live = live_find_key(supervisor, &report->key);

	if (live == NULL)
		return;
	supervisor->pause_error = report->refused.error;
	begin_pause(supervisor);
	log_warn("job=%" PRId64 " could not be started: %s; starting pauses for %" PRId64 " ms",
	    report->key.job, strerror(report->refused.error),
	    loop_timer_left(supervisor->loop, &supervisor->pause_timer));
	claims_withdraw(live);
}

void
reports_take(struct supervisor *supervisor, const struct report *report, int descriptor)
{
	switch (report->kind) {
	case REPORT_STARTED:
		started(supervisor, report, descriptor);
		break;
	case REPORT_NOTIFY:
		notify_socket(supervisor, report, descriptor);
		break;
	case REPORT_ENDED:
		ended(supervisor, report, descriptor);
		break;
	case REPORT_REFUSED:
		refused(supervisor, report);
		break;
	case REPORT_RECALLED:
		recalled(supervisor, report);
		break;
	default:
		break;
	}
}

void
reports_init(struct supervisor *supervisor)
{
	supervisor->pause_timer = (struct timer){ .fire = pause_over, .arg = supervisor };
}
