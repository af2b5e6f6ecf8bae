#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

#include "base/clock.h"
#include "base/error.h"
#include "model/restart.h"
#include "model/retry.h"
#include "model/rotation.h"
#include "model/service.h"
#include "model/strings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A job's description, as `submit` takes it, checked. The client and the supervisor
 * process both fill it in through spec_set(), so that they cannot disagree on what is
 * a good job. Every string is owned by the spec.
 */

#define SPEC_FOR_EVER (-2)
#define SPEC_UNSET (-1) /* an integer that was not given: the default of the database */
#define SPEC_DEFAULT_GRACE_MS 10000 /* of a command, and … */
#define SPEC_SERVER_GRACE_MS 5000   /* … of a server, as OTP has it */
#define SPEC_DEFAULT_MAX_OUTPUT (INT64_C(16) << 20)
#define SPEC_DEFAULT_PRIORITY 5
#define SPEC_DEFAULT_MAX_REDELIVERIES 3
#define SPEC_LARGEST_POOL 1000
#define SPEC_MOST_GROUPS 1000 /* that a job is in */
#define SPEC_LARGEST_ID ((INT64_C(1) << 53) - 1)
#define SPEC_GRACE_FOR_EVER SPEC_LARGEST_ID /* `infinity` */

enum dependency_kind { DEPENDENCY_DONE, DEPENDENCY_ENDED };

struct dependency {
	int64_t on; /* a job's id; of one by name the id that it had when last looked for */
	char *name; /* NULL: by id */
	enum dependency_kind kind;
};

struct spec {
	struct strings command; /* exact argv, at least one */
	char *name;
	char *supervisor;
	char *type;
	char *cwd;	  /* absolute */
	char *stdin_path; /* absolute; NULL: /dev/null */
	bool is_once;	  /* a live name is an answer, not an error */
	bool leaves_children;
	bool is_held;
	bool wants_all_environment;	      /* --env-all, for the client to resolve */
	struct strings environment_requests;  /* --env: NAME or NAME=VALUE */
	struct strings environment_files;     /* --env-file, for the client to resolve */
	struct strings environment;	      /* resolved NAME=VALUE, on top of the request's */
	int64_t priority;		      /* 0 (first) to 9, or SPEC_UNSET */
	struct retry_policy retry;
	bool has_max_retries, has_backoff; /* given, not the default */
	int64_t timeout_ms;		   /* of a run, or SPEC_UNSET: none */
	int64_t grace_ms; /* between SIGTERM and SIGKILL, or SPEC_UNSET, SPEC_GRACE_FOR_EVER */
	int64_t max_output;		   /* bytes an attempt, or SPEC_UNSET */
	struct rotation_rule log_rotate;   /* instead of max_output; bytes 0: not rotated */
	int64_t umask;			   /* or SPEC_UNSET */
	int64_t start_in_ms;		   /* --in, or SPEC_UNSET */
	struct wall start_at;		   /* --at, or ms SPEC_UNSET */
	struct dependency *dependencies;
	size_t dependency_count;
	char *key;	      /* NULL: none; else also: */
	int64_t key_limit;    /* so many with this key run at once; or SPEC_UNSET */
	struct strings meta;  /* NAME=VALUE, for people */
	struct strings groups; /* names that others may have too */

	bool is_server; /* it has a mailbox, stays, and is restarted; then also: */
	enum restart_type restart;
	bool has_restart; /* given, not the default */
	bool is_durable;
	int64_t init_timeout_ms;  /* or SPEC_UNSET: none */
	int64_t max_redeliveries; /* SPEC_FOR_EVER, or SPEC_UNSET */
	/*
	 * A pool: so many servers of this description, and one mailbox, or SPEC_UNSET. Its
	 * limits of retries and time are those of its messages.
	 */
	int64_t pool_size;
	int64_t max_messages; /* to one process of a pool, or SPEC_UNSET: without end */
	int64_t pool;	      /* which it is one of: the job of the first; 0: none */
	int64_t position;     /* of a claimed one: among its siblings in order; 0: none */
	bool is_significant;  /* its end may end its supervisor */
	bool is_only_on_demand; /* its supervisor does not start it by itself */
	bool has_restart_delay;
	struct retry_policy restart_delay; /* the pause before it is started again */
	char *description; /* what a file says of it, to be compared with the next; or NULL */

	bool is_plain; /* it has no mailbox and does not speak to us; then also: */
	struct service service;

	/*
	 * A message to a pool, which is the command: to whom, and its JSON text. What else it
	 * is described with the pool says.
	 */
	bool is_message;

	/* The name of an option that was given and is for one kind only, or NULL. */
	const char *given_for_commands, *given_for_servers, *given_for_work,
	    *given_for_plain;
};

/*
 * SPEC_WORK: of what is done once and retried: commands, and messages to pools. SPEC_PLAIN: of
 * servers that are plain.
 */
enum spec_kind { SPEC_ANY, SPEC_COMMAND, SPEC_SERVER, SPEC_WORK, SPEC_PLAIN };

/* One option of submit, run and start; also a key of a --batch line. */
struct spec_option {
	const char *name; /* without the two hyphens */
	char letter;	  /* 0: none */
	const char *argument; /* as shown; NULL: a flag */
	const char *help;
	int (*set)(struct spec *spec, const char *value, struct wall now, struct error *error);
	enum spec_kind kind; /* what it is for */
};

extern const struct spec_option spec_options[]; /* ends with a NULL name */

void spec_init(struct spec *spec);
void spec_done(struct spec *spec);

/* The row of an option; '_' is as good as '-'. NULL if there is none. */
const struct spec_option *spec_option_find(const char *name);

/* Call its setter. 0, or -1 with *error and nothing changed. */
int spec_set(struct spec *spec, const struct spec_option *option, const char *value,
    struct wall now, struct error *error);

/* Does the whole make a job? To be called after the last spec_set(). 0 or -1 with *error. */
int spec_check(const struct spec *spec, struct error *error);

/*
 * Of one that no command line stands behind: is everything resolved that only a client can
 * resolve, the environment and the path of the input? 0 or -1 with *error.
 */
int spec_check_resolved(const struct spec *spec, struct error *error);

/* Is it SUPERVISOR/CHILD, one in the order of its siblings, by its name? */
bool spec_is_static(const struct spec *spec);

/* Has it a key, words for people, or groups? */
bool spec_has_labels(const struct spec *spec);

/* Who runs it: what was asked for, or `default` for a command and `servers` for a server. */
const char *spec_supervisor(const struct spec *spec);

/* When it is started again: what was asked for, or `permanent` for a plain service. */
enum restart_type spec_restart(const struct spec *spec);

/* What a person is told that was understood: "up to 4 runs, 5 s apart, 30 s each at most". */
const char *spec_describe(const struct spec *spec, struct wall now, char *buffer,
    size_t size);

#endif
