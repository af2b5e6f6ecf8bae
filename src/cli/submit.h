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
	bool has_new_names; /* no job of the supervisor has ever had one of the names */
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

#define SUBMISSION_MOST 1000

/* 1 to SUBMISSION_MOST jobs that are recorded together: all or none. */
struct submission_request {
	const struct spec *specs; /* borrowed */
	size_t count;
	int64_t *ret_ids;   /* room for `count` of them */
	bool ret_existed[SUBMISSION_MOST]; /* --once: it is of a job that was there */
	size_t ret_bad;	    /* which one could not be, or `count` */
	int64_t ret_holder; /* the job that has its name, or 0 */
	bool ret_is_full;   /* every place of its supervisor is taken */
	/* submission's own: */
	char token[40]; /* "": it has none, and must not be repeated */
	bool is_repeated;
	struct buf encoded; /* to be sent; empty: not yet */
};

void submission_request_init(struct submission_request *request,
    const struct submission *submission, const struct spec *specs, size_t count,
    int64_t *ret_ids);
void submission_request_done(struct submission_request *request);

/*
 * Record it, and be done with it: 0 and the ids, or -1 with *error. With has_tokens the death
 * of the supervisor process is waited out. While it is being recorded `next` (or NULL) is
 * encoded, to be sent next or given to submission_request_done().
 */
int submission_send(struct submission *submission, struct submission_request *request,
    struct submission_request *next, struct error *error);

/* What a request says once for all its jobs, as an object; NULL with *error. */
json_t *submission_params(const struct submission *submission, struct error *error);

/*
 * Print what was recorded: ids, a line each, or with --json objects; a job that was not shows
 * who has its name (submit.c).
 */
void submission_print(
    const struct submission *submission, const struct submission_request *request);
void submission_print_refused(
    const struct submission *submission, const struct submission_request *request);
/*
 * The same of one job: the id of the holder of its name, 0 if there is none; with --json the
 * word too, or the supervisor that is full, NULL if none is. Anything else stands on standard
 * error only.
 */
void submission_print_error(const struct invocation *invocation, const char *word,
    int64_t holder, const char *full);

/* Warn when its program is no behaviour, and not found on the job's PATH. */
void submission_warn_if_missing(const struct submission *submission,
    const struct spec *spec);

/* The same without a supervisor (submission_write.c): for submission_send() alone. */
int submission_write(struct submission *submission, struct submission_request *request,
    struct error *error);
/*
 * Cancel a job that nobody runs, straight in the database. 0, or -1 with *error: it has ended, or
 * has been started, or the database cannot be written.
 */
int submission_take_back(const char *state_directory, int64_t job, struct error *error);

#endif
