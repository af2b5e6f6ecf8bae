#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/*
 * What a person is told when something cannot be done: one sentence, and the exit
 * status the command line ends with.
 */

enum status_code {
	STATUS_OK = 0,
	STATUS_NO = 1,		  /* the answer is no; a waited-for job failed */
	STATUS_USAGE = 2,	  /* the command line or a job's description is wrong */
	STATUS_NOT_RUNNING = 3,	  /* no supervisor answers on this state directory */
	STATUS_NOT_FOUND = 4,	  /* no such job, supervisor or file */
	STATUS_STATE = 5,	  /* its state does not allow it, already_started */
	STATUS_INTERNAL = 70,	  /* EX_SOFTWARE */
	STATUS_TRY_LATER = 75,	  /* EX_TEMPFAIL: busy, full, overloaded */
	STATUS_NOT_PERMITTED = 77, /* EX_NOPERM */
	STATUS_CONFIG = 78,	  /* EX_CONFIG: the configuration or database is refused */
	STATUS_TIMED_OUT = 124,	  /* the verb's own time passed */
	STATUS_RUN_FAILED = 125,  /* `run` itself failed, not its job */
	STATUS_CANNOT_EXECUTE = 126,
	STATUS_NO_COMMAND = 127,
	STATUS_SIGNALLED = 128,	  /* plus the signal's number */
};

struct error {
	int code; /* enum status_code */
	char text[512];
};

/*
 * Fill in *error (which may be NULL) and return -1, so that a caller can say
 * `return error_set(…)`.
 */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same, followed by ": " and the words of errno. Where permission is what is missing,
 * STATUS_CONFIG becomes STATUS_NOT_PERMITTED.
 */
int error_set_errno(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
