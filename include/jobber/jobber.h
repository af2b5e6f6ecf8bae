#ifndef JOBBER_JOBBER_H
#define JOBBER_JOBBER_H

#include <jobber/gen_server.h>

/*
 * A program that is its own supervisor: the whole command line of jobberd, whose behaviours
 * are forked from it without exec, so that they need not be programs of their own, and share its
 * memory. A job whose command begins with a behaviour's name is that behaviour; every other
 * is a program, as with jobberd itself.
 */

/*
 * Plain work, run as a job. `arguments`: the words behind the name, an array of strings. 0
 * with *ret_data (taken over; NULL: null), which becomes the job's result, or -1: it has
 * failed, and is retried as any job; *ret_data may then be a string that says why.
 */
typedef int jobber_work(const json_t *arguments, json_t **ret_data);

struct jobber_behaviour {
	const char *name; /* NULL ends the list */
	const struct gen_server_ops *server; /* one of these two */
	jobber_work *work;
};

/* The exit status for main. `behaviours` must live as long as the process. */
int jobber_main(int argc, char **argv, const struct jobber_behaviour *behaviours);

#endif
