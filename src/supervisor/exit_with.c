/*
 * exit_with: a supervise that stands for one of its jobs, as the first process of a container
 * does: when that job has ended for good, all else is stopped, and its status is ours. What the
 * keeper is signalled goes to its process.
 */

#include "base/log.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "supervisor/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int
status_of(const struct step *step)
{
	struct reason reason = step->lookup.ret_reason;
	int status;

	if (step->lookup.ret_status == JOB_DONE)
		return STATUS_OK;
	if (reason.kind == REASON_MAX_RESTARTS)
		reason = step->lookup.ret_last;
	status = reason_exit_status(reason);
	return status != STATUS_OK ? status : STATUS_NO;
}

static void
leave_with(struct supervisor *supervisor, const struct step *step)
{
	supervisor->exit_status = status_of(step);
	log_info("job=%" PRId64 " was what this supervise is for, exit=%d", step->lookup.ret_job,
	    supervisor->exit_status);
	supervisor_stop(supervisor, false);
}

static void
look_up(struct supervisor *supervisor, void (*act)(void *arg, struct step *step))
{
	const char *name = supervisor->setup->exit_with;
	struct step *step = turn_add(supervisor, STEP_LOOKUP, act, supervisor);

	if (text_number(name, 1, SPEC_LARGEST_ID, &step->lookup.job) == -1)
		step->lookup.name = xstrdup(name);
}

/* ---- it ends ---- */

static bool
is_among_ended(const struct supervisor *supervisor, int64_t job)
{
	for (size_t i = 0; i < supervisor->just_ended_count; i++) {
		if (supervisor->just_ended[i] == job)
			return true;
	}
	return false;
}

static void
looked_up(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	bool is_over = step->answer == STEP_OK &&
	    !job_status_is_live(step->lookup.ret_status) &&
	    is_among_ended(supervisor, step->lookup.ret_job);

	supervisor->just_ended_count = 0;
	if (is_over)
		leave_with(supervisor, step);
}

void
exit_with_jobs_ended(
    struct supervisor *supervisor, const struct ended_job *ended, size_t count)
{
	size_t before = supervisor->just_ended_count;

	if (supervisor->setup->exit_with == NULL || count == 0 ||
	    supervisor->phase != PHASE_RUNNING)
		return;
	supervisor->just_ended = xreallocarray(
	    supervisor->just_ended, before + count, sizeof(supervisor->just_ended[0]));
	for (size_t i = 0; i < count; i++)
		supervisor->just_ended[before + i] = ended[i].job;
	supervisor->just_ended_count = before + count;
	if (before == 0)
		look_up(supervisor, looked_up);
}

/* ---- signals for it ---- */

/* Whether it runs the keeper knows best: it may have started, or ended, a moment ago. */
static void
found_for_signals(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	struct order order = { .version = ORDERS_VERSION, .kind = ORDER_SIGNAL };
	struct live *live =
	    step->answer == STEP_OK ? live_find(supervisor, step->lookup.ret_job) : NULL;

	if (live != NULL)
		order.key = (struct order_key){ live->key.job, live->key.attempt,
			live->key.generation };
	link_send(supervisor->link, &order, sizeof(order), -1);
}

void
exit_with_signalled(struct supervisor *supervisor)
{
	if (supervisor->phase < PHASE_RUNNING)
		supervisor->was_signalled = true; /* when all is settled */
	else
		look_up(supervisor, found_for_signals);
}

/* ---- it has ended while there was no supervisor process, or one that has died of it ---- */

static void
found_at_start(void *arg, struct step *step)
{
	struct supervisor *supervisor = arg;
	int64_t lived_ms = clock_wall().ms - supervisor->setup->keeper_since_ms;

	if (step->answer == STEP_OK && !job_status_is_live(step->lookup.ret_status) &&
	    step->lookup.ret_ended_ago_ms <= lived_ms)
		leave_with(supervisor, step);
}

void
exit_with_begin(struct supervisor *supervisor)
{
	if (supervisor->setup->exit_with != NULL)
		look_up(supervisor, found_at_start);
	if (supervisor->was_signalled)
		look_up(supervisor, found_for_signals);
}

void
exit_with_done(struct supervisor *supervisor)
{
	free(supervisor->just_ended);
}
