#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"
#include "model/spec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The command line. One table (commands.c) generates usage, help and option parsing of
 * every verb. Data goes to standard output, everything else to standard error.
 */

struct invocation;
struct spawn_behaviour;

/* An option of a verb; `spec_options` (model/spec.h) are those of a job. */
struct option_row {
	const char *name;
	char letter;	      /* 0: none */
	const char *argument; /* as shown; NULL: a flag; "[=HOW]": it may be left out */
	const char *help;
};

enum command_flags {
	COMMAND_TAKES_SPEC = 1 << 0,	/* a job's options, and a command line behind them */
	COMMAND_PRINTS_DATA = 1 << 1,	/* takes --json */
	COMMAND_IS_INTERNAL = 1 << 2,	/* not in help */
	COMMAND_STARTS_SERVER = 1 << 4, /* the job is a server */
	COMMAND_NEEDS_NO_STATE = 1 << 3, /* has nothing to do with an instance */
};

struct command {
	const char *name;
	const char *arguments; /* as shown in the usage, "" if it takes none */
	const char *summary;   /* half a line */
	unsigned flags;
	int least, most; /* arguments; most -1: any number */
	const struct option_row *options; /* ends with a NULL name; NULL: none */
	int (*run)(struct invocation *invocation); /* returns the exit status */
};

extern const struct command commands[]; /* ends with a NULL name */

/* A verb as it was called. */
struct invocation {
	const struct command *command;
	const char *program; /* how to call us again: argv[0] */
	char *state;	     /* the state directory, absolute */
	bool is_state_given; /* by -C or JOBBERD_STATE: to be repeated in what we suggest */
	bool wants_json;
	struct spec spec; /* COMMAND_TAKES_SPEC: its options so far */
	struct given {
		const struct option_row *option;
		const char *value;
	} *given;
	size_t given_count;
	char **arguments;
	int argument_count;
	const struct spawn_behaviour *behaviours; /* of the program; `supervise` takes them */
};

/* The value of the verb's option, the last one given; NULL if it was not. */
const char *option_value(const struct invocation *invocation, const char *name);
bool option_is_given(const struct invocation *invocation, const char *name);

/*
 * A number or duration option, else `otherwise`. Ends the program with a sentence when it
 * is none.
 */
int64_t option_number(const struct invocation *invocation, const char *name, int64_t least,
    int64_t most, int64_t otherwise);
int64_t option_duration(const struct invocation *invocation, const char *name,
    int64_t otherwise);

/*
 * Run the program's arguments; returns the exit status. `behaviours`: of the program itself,
 * see keeper.h; or NULL.
 */
int cli_main(int argc, char **argv, const struct spawn_behaviour *behaviours);

/* options.c: read argv into *invocation; ends the program on bad usage and for --help. */
void options_parse(struct invocation *invocation, int argc, char **argv);
/* The value of --state, NULL if there was none behind it, which ends the program. */
void options_take_state(struct invocation *invocation, const char *value);
void options_print_help(const struct command *command);
void options_print_overview(void);

/* Say "jobberd: TEXT" and return the exit status of the error. */
int cli_fail(const struct error *error);
int cli_complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A job's id on a line, as an object with --json. */
void cli_print_id(const struct invocation *invocation, int64_t id);

/* Is standard error a terminal: may we show progress and explain? */
bool cli_is_interactive(void);
/* How long a line may be there that is written over again and again: the cursor stays in it. */
size_t cli_line_width(void);

/* "jobberd -C DIR" as a person would type it for this instance; to be freed. */
char *cli_how_to_call(const struct invocation *invocation);

/* What to say (once) when nothing runs; returns STATUS_NOT_RUNNING. */
int cli_not_running(const struct invocation *invocation);

/* show --state: the state of the server whose name or id is the argument. */
int server_print_state(struct invocation *invocation);
/* What came of a start, as the supervisor answers it: the exit status. */
int server_print_started(const struct invocation *invocation, const json_t *result);

/* The verbs, one function each, in files by family. */
int verb_supervise(struct invocation *invocation);
int verb_supervisor_process(struct invocation *invocation);
int verb_submit(struct invocation *invocation);
int verb_run(struct invocation *invocation);
int verb_map(struct invocation *invocation);
int verb_async(struct invocation *invocation);
int verb_await(struct invocation *invocation);
int verb_yield(struct invocation *invocation);
int verb_supervisor(struct invocation *invocation);
/*
 * A job that has no mailbox to be asked to stop in: cancel it, and wait until it is gone. 0, or
 * -1 with *error; nothing is wrong with one that has ended.
 */
struct client_connection;
int again_end_job(struct client_connection *connection, int64_t job, struct error *error);
/* The same for the command that is the verb's argument; and started again. -1: it is none. */
int again_stop_command(const struct invocation *invocation,
    struct client_connection *connection);
int again_start_command(const struct invocation *invocation,
    struct client_connection *connection);

int verb_apply(struct invocation *invocation);
int verb_whereis(struct invocation *invocation);
int verb_tree(struct invocation *invocation);
int verb_count(struct invocation *invocation);
int verb_children(struct invocation *invocation);
int verb_restart(struct invocation *invocation);
int verb_delete(struct invocation *invocation);
int verb_start(struct invocation *invocation);
int verb_call(struct invocation *invocation);
int verb_cast(struct invocation *invocation);
int verb_send(struct invocation *invocation);
int verb_stop(struct invocation *invocation);
int verb_messages(struct invocation *invocation);
int verb_list(struct invocation *invocation);
int verb_show(struct invocation *invocation);
int verb_why(struct invocation *invocation);
int verb_attempts(struct invocation *invocation);
int verb_log(struct invocation *invocation);
int verb_events(struct invocation *invocation);
int verb_wait(struct invocation *invocation);
int verb_cancel(struct invocation *invocation);
int verb_retry(struct invocation *invocation);
int verb_hold(struct invocation *invocation);
int verb_release(struct invocation *invocation);
int verb_status(struct invocation *invocation);
int verb_shutdown(struct invocation *invocation);
int verb_prune(struct invocation *invocation);
int verb_migrate(struct invocation *invocation);
int verb_notify(struct invocation *invocation);
int verb_help(struct invocation *invocation);
int verb_version(struct invocation *invocation);

#endif
