#ifndef MODEL_SUPERVISION_H
#define MODEL_SUPERVISION_H

#include "model/reason.h"
#include "model/restart.h"
#include "model/retry.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a supervisor does when one of its children has ended: OTP's rules, as a pure function.
 * A child is a server or another supervisor. A *static* child has a position among its
 * siblings: they start in that order, each when the one before it is up, and are ended in the
 * opposite one. Others (dynamic ones) start and end together.
 */

enum strategy {
	STRATEGY_ONE_FOR_ONE,  /* only the child that ended is started again */
	STRATEGY_ONE_FOR_ALL,  /* all of them are */
	STRATEGY_REST_FOR_ONE, /* it and those behind it */
	STRATEGY_COUNT
};

/* Whose restarts use up max_restarts. */
enum budget {
	BUDGET_SHARED, /* those of all children, OTP's way: too many end the supervisor */
	BUDGET_EACH,   /* each has its own: too many end this child alone */
	BUDGET_COUNT
};

/* Does the end of significant children end the supervisor? */
enum auto_shutdown {
	AUTO_SHUTDOWN_NEVER,
	AUTO_SHUTDOWN_ANY, /* the first one's */
	AUTO_SHUTDOWN_ALL, /* the last one's */
	AUTO_SHUTDOWN_COUNT
};

enum supervisor_state {
	SUPERVISOR_RUNNING,
	SUPERVISOR_WAITING,    /* for its turn among its siblings */
	SUPERVISOR_STARTING,   /* its children do, one after another */
	SUPERVISOR_REGROUPING, /* some of its children are being ended … */
	SUPERVISOR_RESTARTING, /* … and then started again, one after another */
	SUPERVISOR_ENDING,     /* all of its children are being ended */
	SUPERVISOR_ENDED,
	SUPERVISOR_STATE_COUNT
};

/* A child that has ended, and its supervisor. */
struct supervised {
	enum supervisor_state state;
	enum strategy strategy;
	enum budget budget;
	enum auto_shutdown auto_shutdown;
	int64_t max_restarts;
	int64_t recent_restarts; /* within max_seconds: what the budget has been used for */
	bool is_in_group;	 /* it is one of those which are being ended to be restarted */
	bool is_last_significant; /* no other significant child is up */

	enum restart_type restart;
	bool is_static;
	bool is_significant;
	bool is_first_start;   /* it had not come up, for the first time in this life */
	bool was_told_to_stop; /* by people, not only to be started again with its group */
	bool is_blameless;     /* something else is blamed, and dealt with */
};

enum supervision {
	SUPERVISION_STAYS_DOWN,
	SUPERVISION_WITH_GROUP,	  /* it is started again with those that are ended with it */
	SUPERVISION_RESTARTS,	  /* it alone is started again */
	SUPERVISION_RESTARTS_ALL, /* the others are ended first */
	SUPERVISION_RESTARTS_REST, /* those behind it are */
	SUPERVISION_EXHAUSTED,	  /* its own budget is: it stays down */
	SUPERVISION_GIVES_UP,	  /* the supervisor ends: the budget is used up */
	SUPERVISION_SHUTS_DOWN,	  /* the supervisor ends: a significant child did */
	SUPERVISION_START_FAILED, /* the supervisor ends: it could not be started */
	SUPERVISION_COUNT
};

enum supervision supervision_decide(const struct supervised *child, struct reason reason);

/* Does this use up a part of the budget? */
bool supervision_is_restart(enum supervision verdict);

/*
 * A server with a restart delay: how many restarts in a row this one is, after so many and a
 * run of run_ms (-1: not known). A healthy run, which is one at least as long as the budget's
 * time and as the pause before it, makes it the first.
 */
int64_t supervision_in_a_row(const struct retry_policy *delay, int64_t before, int64_t run_ms,
    int64_t window_ms);

/* May its children start, as far as they are not in a group that is being ended? */
bool supervisor_lets_start(enum supervisor_state state);

const char *strategy_name(enum strategy strategy);
const char *budget_name(enum budget budget);
const char *auto_shutdown_name(enum auto_shutdown auto_shutdown);
const char *supervisor_state_name(enum supervisor_state state);
/* 0, or -1 with nothing changed. */
int strategy_parse(const char *text, int *ret_strategy);
int budget_parse(const char *text, int *ret_budget);
int auto_shutdown_parse(const char *text, int *ret_auto_shutdown);
int supervisor_state_parse(const char *text, int *ret_state);

#endif
