#ifndef STORE_SQLITE_SUBMIT_H
#define STORE_SQLITE_SUBMIT_H

#include "store/sqlite_engine.h"

/* Between sqlite_submit.c, which writes new jobs, and sqlite_submit_check.c: may they be? */

/* What the jobs of one request have in common, looked up once. */
struct submission {
	struct step *step;
	int64_t environment; /* of jobs without variables of their own */
	char supervisor[NAME_SIZE]; /* known to exist … */
	int64_t most;		    /* … and to reject at so many live jobs; -1: not */
};

/* Refuse the whole step because of this job; never a failure of the turn: SQLITE_OK. */
int submission_refuse(struct step *step, size_t which, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The live job of this name: *ret_holder, 0 if there is none. */
int submission_find_holder(struct sqlite_engine *engine, const char *name, int64_t *ret_holder,
    enum job_status *ret_status);
/* The same of a job of its supervisor, whether it lives or not. */
int submission_find_namesake(struct sqlite_engine *engine, const struct spec *spec,
    int64_t *ret_holder, enum job_status *ret_status);
/* … because this job has its name. */
int submission_refuse_name(struct step *step, size_t which, int64_t holder,
    enum job_status status);
/* Does everything it names exist, and has its supervisor a place? Refuses if not. */
int submission_check(struct sqlite_engine *engine, struct submission *submission,
    size_t which);

#endif
