#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "cli/cli.h"
#include "cli/client.h"

/*
 * What the verbs that submit have in common: the jobs of one request, checked, on their
 * way to the supervisor process or, when nothing runs, into the database.
 */
struct submission {
	const struct invocation *invocation;
	struct client_connection *connection; /* NULL: nothing runs */
	struct strings environment;	      /* the basics, for all jobs */
	char *cwd;
	int64_t umask;
	bool has_tokens;  /* a request whose answer is lost may be repeated */
	char *kept_input; /* a file of the instance that belongs to no job yet, or NULL */
	bool has_existed; /* --once: nothing of the last request was new */
	bool has_sent;	  /* something was recorded */
	bool is_in_doubt; /* the last one's answer was lost: it may be in */
};

void submission_init(struct submission *submission, const struct invocation *invocation);
void submission_done(struct submission *submission);

/* Complete a job's description: environment, stdin, paths. 0 or -1 with *error. */
int submission_prepare(struct submission *submission, struct spec *spec,
    struct error *error);

/*
 * Record `count` (1 to 1000) jobs, all or none. 0 and their ids; -1 with *error, *ret_bad
 * which one it was (or count) and *ret_holder the job that has its name, or 0. The specs stay
 * the caller's. With has_tokens the death of the supervisor process is waited out.
 */
int submission_send(struct submission *submission, const struct spec *specs, size_t count,
    int64_t *ret_ids, size_t *ret_bad, int64_t *ret_holder, struct error *error);

/* Warn when its program is not found on the job's PATH. */
void submission_warn_if_missing(const struct submission *submission,
    const struct spec *spec);

#endif
