/* supervision: what becomes of a supervisor's children when one of them has ended. */

#include "model/supervision.h"

#include <stddef.h>
#include <string.h>

static const char *const strategy_names[] = {
	[STRATEGY_ONE_FOR_ONE] = "one_for_one",
	[STRATEGY_ONE_FOR_ALL] = "one_for_all",
	[STRATEGY_REST_FOR_ONE] = "rest_for_one",
};
static const char *const budget_names[] = {
	[BUDGET_SHARED] = "shared",
	[BUDGET_EACH] = "each",
};
static const char *const auto_shutdown_names[] = {
	[AUTO_SHUTDOWN_NEVER] = "never",
	[AUTO_SHUTDOWN_ANY] = "any_significant",
	[AUTO_SHUTDOWN_ALL] = "all_significant",
};
static const char *const state_names[] = {
	[SUPERVISOR_WAITING] = "waiting",
	[SUPERVISOR_STARTING] = "starting",
	[SUPERVISOR_RUNNING] = "running",
	[SUPERVISOR_REGROUPING] = "regrouping",
	[SUPERVISOR_RESTARTING] = "restarting",
	[SUPERVISOR_ENDING] = "ending",
	[SUPERVISOR_ENDED] = "ended",
};
#define LENGTH(names) (sizeof(names) / sizeof((names)[0]))
_Static_assert(LENGTH(strategy_names) == STRATEGY_COUNT && LENGTH(budget_names) == BUDGET_COUNT &&
	LENGTH(auto_shutdown_names) == AUTO_SHUTDOWN_COUNT &&
	LENGTH(state_names) == SUPERVISOR_STATE_COUNT,
    "all names");

static int
parse(const char *const *names, size_t count, const char *text, int *ret)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (int)i;
			return 0;
		}
	}
	return -1;
}

const char *
strategy_name(enum strategy strategy)
{
	return strategy_names[strategy];
}

const char *
budget_name(enum budget budget)
{
	return budget_names[budget];
}

const char *
auto_shutdown_name(enum auto_shutdown auto_shutdown)
{
	return auto_shutdown_names[auto_shutdown];
}

const char *
supervisor_state_name(enum supervisor_state state)
{
	return state_names[state];
}

int
strategy_parse(const char *text, int *ret_strategy)
{
	return parse(strategy_names, STRATEGY_COUNT, text, ret_strategy);
}

int
budget_parse(const char *text, int *ret_budget)
{
	return parse(budget_names, BUDGET_COUNT, text, ret_budget);
}

int
auto_shutdown_parse(const char *text, int *ret_auto_shutdown)
{
	return parse(auto_shutdown_names, AUTO_SHUTDOWN_COUNT, text, ret_auto_shutdown);
}

int
supervisor_state_parse(const char *text, int *ret_state)
{
	return parse(state_names, SUPERVISOR_STATE_COUNT, text, ret_state);
}

bool
supervisor_lets_start(enum supervisor_state state)
{
	return state != SUPERVISOR_WAITING && state != SUPERVISOR_ENDING &&
	    state != SUPERVISOR_ENDED;
}

/* It is not to be started again: does that end its supervisor? */
static enum supervision
stays_down(const struct supervised *child)
{
	bool ends_it = child->auto_shutdown == AUTO_SHUTDOWN_ANY ||
	    (child->auto_shutdown == AUTO_SHUTDOWN_ALL && child->is_last_significant);

	return child->is_significant && ends_it ? SUPERVISION_SHUTS_DOWN
						: SUPERVISION_STAYS_DOWN;
}

static enum supervision
restarts(const struct supervised *child)
{
	static const enum supervision by_strategy[STRATEGY_COUNT] = {
		[STRATEGY_ONE_FOR_ONE] = SUPERVISION_RESTARTS,
		[STRATEGY_ONE_FOR_ALL] = SUPERVISION_RESTARTS_ALL,
		[STRATEGY_REST_FOR_ONE] = SUPERVISION_RESTARTS_REST,
	};

	if (child->is_blameless)
		return SUPERVISION_RESTARTS;
	if (child->recent_restarts >= child->max_restarts)
		return child->budget == BUDGET_EACH ? SUPERVISION_EXHAUSTED
						    : SUPERVISION_GIVES_UP;
	return child->is_static ? by_strategy[child->strategy] : SUPERVISION_RESTARTS;
}

enum supervision
supervision_decide(const struct supervised *child, struct reason reason)
{
	if (child->state == SUPERVISOR_ENDING || child->state == SUPERVISOR_ENDED)
		return SUPERVISION_STAYS_DOWN;
	if (child->was_told_to_stop)
		return SUPERVISION_STAYS_DOWN;
	if (child->is_in_group)
		return child->restart == RESTART_TEMPORARY ? SUPERVISION_STAYS_DOWN
							   : SUPERVISION_WITH_GROUP;
	if (reason.kind == REASON_IGNORE)
		return SUPERVISION_STAYS_DOWN;
	/* An init that refuses is not tried again; it fails its supervisor's start, too. */
	if (child->is_first_start)
		return child->state == SUPERVISOR_STARTING && child->is_static
		    ? SUPERVISION_START_FAILED
		    : SUPERVISION_STAYS_DOWN;
	return restart_is_wanted(child->restart, reason) ? restarts(child) : stays_down(child);
}

bool
supervision_is_restart(enum supervision verdict)
{
	return verdict == SUPERVISION_RESTARTS || verdict == SUPERVISION_RESTARTS_ALL ||
	    verdict == SUPERVISION_RESTARTS_REST;
}

int64_t
supervision_in_a_row(const struct retry_policy *delay, int64_t before, int64_t run_ms,
    int64_t window_ms)
{
	int64_t pause_ms = before > 0 ? retry_pause_ms(delay, before, 0) : 0;
	bool was_healthy = run_ms >= window_ms && run_ms >= pause_ms;

	return was_healthy ? 1 : before + 1;
}
