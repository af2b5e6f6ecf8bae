#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "base/clock.h"
#include "model/lifecycle.h"
#include "store/query.h"

#include <stdbool.h>
#include <stddef.h>

/* Why a job waits, or how it ended, in words. Pure but for why_now(). */

/* What the words are measured against. */
struct why_now {
	struct wall wall;
	struct boot boot;
	char boot_id[CLOCK_BOOT_ID_SIZE];
	bool is_supervised; /* a supervise runs on this state directory */
};

/* What is looked at in a job. Texts are borrowed and may be NULL; numbers: 0 is none. */
struct why_job {
	enum job_status status;
	struct reason reason;	/* of its end, or of its last attempt's */
	const char *detail;	/* of an end without an attempt */
	int64_t timeout_ms, watchdog_ms;
	bool is_claimed;	/* an attempt of it is being started */
	struct reason stop;	/* why its process is being ended */
	int64_t started_at, run_ms; /* -1: not known */
	double progress;	/* -1: none */
	const char *progress_text;
	const char *result;	/* JSON, what the job said itself */
	const char *hold;	/* "user", "dependency" */
	const char *waits_for;	/* a JSON array of ids */
	int64_t wake_at, wake_boot_ms;
	const char *wake_boot_id;
	int64_t line;		/* its place among the ready ones */
	int64_t busy, max_children; /* places of its supervisor; -1: no limit */
	bool is_server; /* then also: */
	bool is_plain;
	bool is_message; /* to a pool */
	bool is_paused;	 /* its supervisor is */
	enum supervisor_state supervisor_state;
	const char *supervisor_reason; /* why it is ending or has ended; or NULL */
	bool is_static; /* a child in order */
	int64_t rate, rate_ms; /* … has this rate; 0: none */
	const char *key;
	int64_t key_running, key_limit; /* with its key */
	bool has_process;
	struct reason last;	/* of its last attempt */
	int64_t mailbox;	/* messages that wait in it */
};

enum why_form {
	WHY_IN_LIST, /* what the status does not say: nothing for a job that is done */
	WHY_ALONE,   /* a sentence on its own */
};

#define WHY_SIZE 1024

void why_now(struct why_now *now, const char *state_directory);

/* What an attempt that ended so ran into: its time-out, or that of its watchdog. */
int64_t why_limit(struct reason reason, int64_t timeout_ms, int64_t watchdog_ms);

/* A column with a terminate reason; REASON_NONE: it is NULL. A server's own words are one too. */
struct reason why_reason(const struct rows *row, const char *column);

/* From a row of query_jobs(); borrows the row's texts. */
void why_read(struct why_job *job, const struct rows *row);

/*
 * "exit 22; again in 3.4 s", "no free place (2 of 2), 3rd in line", "waits for 41, 43",
 * "timed out after 30 s". Not escaped. Returns buffer.
 */
const char *why_words(char *buffer, size_t size, const struct why_job *job,
    const struct why_now *now, enum why_form form);

/* How an attempt ended, or that it has not: of a row of query_attempts(). */
const char *why_attempt(char *buffer, size_t size, const struct rows *row);

/* How long its last attempt has run, or ran; -1 if there was none. */
int64_t why_running_ms(const struct why_job *job, const struct why_now *now);

/* Is there more to wait for than the start itself: a place, a time, others, a person? */
bool why_must_wait(const struct why_job *job);

/* "1st", "2nd", "3rd", "4th", "11th", "21st" */
const char *why_ordinal(char *buffer, size_t size, int64_t number);

#endif
