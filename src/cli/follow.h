#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/client.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Show a job's output as it comes, until the job has ended. It waits for the file to
 * grow, for the supervisor process to say that something has changed (a new attempt has a
 * file of its own), and for its answer to `wait`; never by a timer.
 */
struct follow {
	const char *state;
	/* Open. It is opened anew when the supervisor process was replaced. */
	struct client_connection *connection;
	int64_t job;
	int64_t attempt; /* the first to show, 0: the first of all; then the last shown */
	int64_t at;	 /* where in that one to begin */
	int64_t *left_out; /* as outfile's */
	/*
	 * Optional: signals that are blocked and let in only while waiting (as by
	 * ppoll(2)). After one has come interrupted(arg) is called; true gives up.
	 */
	const sigset_t *mask;
	bool (*interrupted)(void *arg);
	/*
	 * Optional: something was committed, of this job or another. What look() sees comes
	 * behind the output that the job wrote before: tell() is called when that is shown.
	 */
	void (*look)(void *arg);
	void (*tell)(void *arg);
	/* Optional: all of an attempt is shown, and there is a next one. */
	void (*attempt_over)(void *arg, int64_t attempt);
	void *arg;
};

enum follow_end {
	FOLLOW_ENDED, /* *ret_ended: the answer to `wait`, a new reference */
	FOLLOW_INTERRUPTED,
	FOLLOW_FAILED, /* *error: STATUS_NOT_RUNNING when nothing answers any more */
};

enum follow_end follow_output(struct follow *follow, json_t **ret_ended,
    struct error *error);

#endif
