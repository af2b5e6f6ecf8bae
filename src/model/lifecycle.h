#ifndef MODEL_LIFECYCLE_H
#define MODEL_LIFECYCLE_H

#include "model/reason.h"
#include "model/restart.h"
#include "model/retry.h"
#include "model/supervision.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The life of a job: state × event → next state and actions. Pure: every engine of the
 * store calls it inside its transaction, so the rules stand here and nowhere else.
 */

enum job_status {
	JOB_NEW,
	JOB_RUNNING,
	JOB_ERRORED, /* failed, will run again */
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATUS_COUNT
};

enum job_event {
	/* of an attempt */
	JOB_STARTED,	      /* the keeper reports its process */
	JOB_SUCCEEDED,	      /* exit 0 */
	JOB_RUN_FAILED,	      /* a counted failure, retries left */
	JOB_FAILED_FINALLY,   /* a counted failure, none left; or it asked for no retry */
	JOB_PUT_BACK_NEW,     /* interrupted or lost, not counted, no failures so far */
	JOB_PUT_BACK_ERRORED, /* interrupted or lost, not counted, after failures */
	JOB_ABANDONED,	      /* interrupted or lost and may not run again */
	JOB_STOPPED,	      /* its process is gone after a cancel */
	JOB_READY,	      /* a server's init has answered */
	JOB_RESTARTED,	      /* a server has ended and is to be started again, at once */
	JOB_GAVE_UP,	      /* a server has ended badly, for good */
	JOB_SHUT_DOWN,	      /* a server that has no process, with its supervisor */
	/* of people and of other jobs */
	JOB_CANCEL,
	JOB_DEPENDENCY_FAILED,
	JOB_RETRY,
	JOB_HOLD,
	JOB_RELEASE,
	JOB_REFUSED, /* its row makes no sense: never started */
	JOB_EVENT_COUNT
};

enum job_action {
	ACTION_COUNT = 1 << 0,	 /* failures + 1 */
	ACTION_PAUSE = 1 << 1,	 /* set the retry timer */
	ACTION_WAKE = 1 << 2,	 /* forget wake_at: it may start now */
	ACTION_RESET = 1 << 3,	 /* failures = 0: a fresh life */
	ACTION_END = 1 << 4,	 /* ended_at, reason; wake waiters and dependents */
	ACTION_STOP = 1 << 5,	 /* stop_reason and stop_at, then end its process */
	ACTION_HOLD = 1 << 6,	 /* hold = user */
	ACTION_UNHOLD = 1 << 7,	 /* hold = NULL */
	ACTION_REVIVE = 1 << 8,	 /* ended_at and reason = NULL: its name is live again */
};

struct lifecycle_step {
	bool is_allowed;
	enum job_status next;
	unsigned actions; /* enum job_action bits */
};

extern const struct lifecycle_step lifecycle_table[JOB_STATUS_COUNT][JOB_EVENT_COUNT];

/* What the rules look at in a job. */
struct lifecycle_job {
	enum job_status status;
	int64_t failures;
	struct retry_policy retry;
	int losses_in_a_row; /* attempts lost directly before this one */
	bool is_final;	     /* a failure that is not to be retried, whatever its reason */

	bool is_server; /* then also: */
	struct supervised supervised;
	bool has_delay;		   /* before it is started again: */
	struct retry_policy delay;
	int64_t restarts_in_a_row; /* with the one that may come now */
};

struct lifecycle_verdict {
	enum job_status next;
	unsigned actions;
	int64_t failures; /* after the event */
	int64_t pause_ms; /* with ACTION_PAUSE */
};

/* A poison job must end: so many losses in a row are the last. */
#define LIFECYCLE_MAX_LOSSES 3
/* A command that exits so asks not to be retried. */
#define LIFECYCLE_NO_RETRY_STATUS 100

/*
 * What the end of a server's attempt means for its supervisor, SUPERVISION_COUNT: nothing, since
 * it was interrupted or lost, and comes back when we do.
 */
enum supervision lifecycle_supervise(const struct lifecycle_job *job, struct reason reason);

/* What the end of an attempt means for its job. */
enum job_event lifecycle_classify_end(const struct lifecycle_job *job, struct reason reason);

/*
 * What follows from the event: 0, or -1 when the state does not allow it (*ret_verdict
 * is then untouched). `random` is for the jitter.
 */
int lifecycle_decide(const struct lifecycle_job *job, enum job_event event, uint32_t random,
    struct lifecycle_verdict *ret_verdict);

bool job_status_is_live(enum job_status status);
const char *job_status_name(enum job_status status);
int job_status_parse(const char *text, enum job_status *ret_status); /* 0 or -1 */
const char *job_event_name(enum job_event event);

#endif
