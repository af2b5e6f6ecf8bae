/*
 * commands: every verb, once. To add one: a row here, its function in a file of its
 * family, and its section in jobberd(1), which a test compares with this table.
 */

#include "cli/cli.h"

static const struct option_row supervise_options[] = {
	{ "drain", 0, NULL, "leave when nothing is left to do" },
	{ "linger", 0, "DURATION", "with --drain: wait so long for a first client that submits" },
	{ "max-children", 0, "N", "how many of `default` run at once, recorded" },
	{ "exit-with", 0, "NAME", "leave when this job has ended, with its exit status" },
	{ NULL, 0, NULL, NULL },
};

/* What supervise says to the process that it starts. */
static const struct option_row supervisor_process_options[] = {
	{ "drain", 0, NULL, "" },
	{ "linger", 0, "MS", "" },
	{ "max-children", 0, "N", "" },
	{ "exit-with", 0, "NAME", "" },
	{ "since", 0, "MS", "" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row submit_options[] = {
	{ "batch", 'b', NULL, "read jobs from standard input, one a line: JSON or shell" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row map_options[] = {
	{ "jobs", 'j', "N", "how many run at once; as many as usable CPUs unless given" },
	{ "ordered", 0, NULL, "print in the order of the items, not in that of their ends" },
	{ "null", '0', NULL, "items end with a NUL, not with a newline" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row await_options[] = {
	{ "timeout", 't', "DURATION", "end them after this (exit 124); 5s unless given" },
	{ "keep", 0, NULL, "let them run on then, and when one of them fails" },
	{ "raw", 'r', NULL, "print values that are strings as they are" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row yield_options[] = {
	{ "timeout", 't', "DURATION", "wait so long for them; not at all unless given" },
	{ "shutdown", 0, "[=HOW]", "end them: with so much time (5s), or brutal_kill" },
	{ "raw", 'r', NULL, "print values that are strings as they are" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row call_options[] = {
	{ "group", 'g', "GROUP", "every server of this group, and print all answers" },
	{ "timeout", 0, "DURATION", "how long to wait for the answer; 5s unless given" },
	{ "text", 't', NULL, "take every word as text, whatever it looks like" },
	{ "raw", 'r', NULL, "print an answer that is a string as it is" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row message_options[] = {
	{ "group", 'g', "GROUP", "to every server of this group, and print how many they are" },
	{ "text", 't', NULL, "take every word as text, whatever it looks like" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row stop_options[] = {
	{ "timeout", 't', "DURATION", "give up waiting after this (exit 124)" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row messages_options[] = {
	{ "dead", 0, NULL, "those that were set aside, and why" },
	{ "no-header", 'H', NULL, "leave out the header" },
	{ "columns", 'o', "COLUMNS", "these columns, separated by commas" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row list_options[] = {
	{ "live", 'l', NULL, "only jobs that wait or run" },
	{ "all", 'a', NULL, "all jobs, not only the ten that ended last" },
	{ "status", 0, "STATUS,…", "only jobs of these statuses" },
	{ "failed", 0, NULL, "the same as --status failed" },
	{ "name", 'n', "NAME", "only jobs of this name; * and ? match" },
	{ "type", 0, "TYPE", "only jobs of this type" },
	{ "kind", 0, "KIND", "only those of this kind: command, server or message (to a pool)" },
	{ "supervisor", 's', "NAME", "only jobs of this supervisor" },
	{ "group", 'g', "GROUP", "only jobs of this group" },
	{ "key", 0, "KEY", "only jobs with this key" },
	{ "meta", 0, "CONDITION", "only jobs with such a word: NAME=VALUE, or != < <= > >=" },
	{ "limit", 0, "N", "at most so many" },
	{ "count", 0, NULL, "only print how many, of the live ones unless something is chosen" },
	{ "no-header", 'H', NULL, "leave out the header" },
	{ "columns", 'o', "COLUMNS", "these columns, separated by commas" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row whereis_options[] = {
	{ "group", 'g', "GROUP", "the ids of all live jobs of this group" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row show_options[] = {
	{ "state", 0, NULL, "only what a server keeps between two messages, as JSON" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row table_options[] = {
	{ "no-header", 'H', NULL, "leave out the header" },
	{ "columns", 'o', "COLUMNS", "these columns, separated by commas" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row log_options[] = {
	{ "follow", 'f', NULL, "go on until the job has ended" },
	{ "attempt", 0, "N", "of this attempt instead of the last" },
	{ "all", 'a', NULL, "of all attempts, one after the other" },
	{ "since", 0, "TIME|DURATION", "only what was written since then, of all attempts" },
	{ "tail", 'n', "N", "only the last N lines" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row events_options[] = {
	{ "follow", 'f', NULL, "go on with what happens" },
	{ "since", 0, "SEQ", "only those behind this number" },
	{ "limit", 0, "N", "the last N" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row wait_options[] = {
	{ "any", 0, NULL, "until one of them has ended" },
	{ "all", 0, NULL, "until all of them have ended (the default)" },
	{ "timeout", 't', "DURATION", "give up waiting after this (exit 124)" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row change_options[] = {
	{ "status", 0, "STATUS,…", "all jobs of these statuses" },
	{ "name", 'n', "NAME", "all jobs of this name; * and ? match" },
	{ "failed", 0, NULL, "the same as --status failed" },
	{ "yes", 'y', NULL, "do not ask" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row supervisor_verb_options[] = {
	{ "max-children", 0, "N|none", "how many of its jobs run at once" },
	{ "overflow", 0, "wait|reject", "what becomes of a job for which there is no place" },
	{ "rate", 0, "N/TIME|none", "how many may start within a time, like 10/min" },
	{ "parent", 0, "NAME", "add: beneath this supervisor" },
	{ "strategy", 0, "WHICH", "one_for_one, one_for_all or rest_for_one" },
	{ "max-restarts", 0, "N", "so many restarts of its servers …; 3" },
	{ "max-seconds", 0, "N", "… within so long; one more ends it; 5" },
	{ "budget", 0, "shared|each", "do all servers share these restarts, or has each its own?" },
	{ "restart", 0, "TYPE", "what its parent does when it has ended; permanent" },
	{ "auto-shutdown", 0, "WHEN", "it ends with any_significant or all_significant children" },
	{ "significant", 0, NULL, "its own end is significant to its parent" },
	{ "no-header", 'H', NULL, "leave out the header" },
	{ "columns", 'o', "COLUMNS", "these columns, separated by commas" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row apply_options[] = {
	{ "dry-run", 0, NULL, "only say what would be done" },
	{ "prune", 0, NULL, "remove what this file has described before and does not any more" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row shutdown_options[] = {
	{ "leave", 0, NULL, "let running jobs run on; the next supervise adopts them" },
	{ "now", 0, NULL, "no grace: SIGKILL at once" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row prune_options[] = {
	{ "older-than", 0, "DURATION", "only what ended at least so long ago" },
	{ "status", 0, "STATUS,…", "only of done, failed, cancelled (all three unless given)" },
	{ "keep", 0, "N", "keep the last N of each name" },
	{ "dry-run", 0, NULL, "only say how many" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_row migrate_options[] = {
	{ "check", 0, NULL, "only say whether it is needed (exit 1 if so)" },
	{ NULL, 0, NULL, NULL },
};

#define SUPERVISOR_ARGUMENTS                                                              \
	"list | show NAME | add NAME | set NAME | pause NAME | resume NAME | drain NAME | " \
	"start NAME | stop NAME | restart NAME | rm NAME"
#define SUPERVISOR_SUMMARY                                                               \
	"supervisors, which run jobs: make, change, list, start, stop and remove them"

const struct command commands[] = {
	{ "supervise", "", "run jobs, in the foreground", 0, 0, 0, supervise_options,
	    verb_supervise },
	{ "submit", "[--] COMMAND [ARGUMENT …]", "record a job and print its id",
	    COMMAND_TAKES_SPEC | COMMAND_PRINTS_DATA, 0, -1, submit_options, verb_submit },
	{ "run", "[--] COMMAND [ARGUMENT …]", "submit, show the output, exit with its status",
	    COMMAND_TAKES_SPEC, 1, -1, NULL, verb_run },
	{ "map", "[--] COMMAND [ARGUMENT | {} …]", "a job for each line of standard input",
	    COMMAND_TAKES_SPEC | COMMAND_PRINTS_DATA, 1, -1, map_options, verb_map },
	{ "async", "[--] COMMAND [ARGUMENT …]", "start a task and print its id",
	    COMMAND_TAKES_SPEC, 1, -1, NULL, verb_async },
	{ "await", "ID …", "wait for tasks and print their values", 0, 1, -1, await_options,
	    verb_await },
	{ "yield", "ID …", "the values of tasks, as far as they have ended",
	    COMMAND_PRINTS_DATA, 1, -1, yield_options, verb_yield },
	{ "start", "NAME [--] [PROGRAM [ARGUMENT …]]", "start a server and wait for its init",
	    COMMAND_TAKES_SPEC | COMMAND_STARTS_SERVER | COMMAND_PRINTS_DATA, 1, -1, NULL,
	    verb_start },
	{ "call", "NAME MESSAGE … | --group GROUP MESSAGE …", "ask a server and print its answer",
	    0, 1, -1, call_options, verb_call },
	{ "cast", "NAME MESSAGE … | --group GROUP MESSAGE …",
	    "send a server a message that wants no answer", 0, 1, -1, message_options, verb_cast },
	{ "send", "NAME MESSAGE … | --group GROUP MESSAGE …", "the same, as an info", 0, 1, -1,
	    message_options, verb_send },
	{ "stop", "NAME [REASON]", "let a server clean up and end", 0, 1, 2, stop_options,
	    verb_stop },
	{ "restart", "NAME", "stop a server and start it again, as it was described", 0, 1, 1,
	    stop_options, verb_restart },
	{ "messages", "NAME | retry SEQ … | drop SEQ …",
	    "the mailbox of a durable server, and what was set aside of it",
	    COMMAND_PRINTS_DATA, 1, -1, messages_options, verb_messages },
	{ "list", "", "the jobs there are", COMMAND_PRINTS_DATA, 0, 0, list_options, verb_list },
	{ "show", "ID", "one job whole", COMMAND_PRINTS_DATA, 1, 1, show_options,
	    verb_show },
	{ "why", "ID", "what a job waits for, or how it ended", COMMAND_PRINTS_DATA, 1, 1, NULL,
	    verb_why },
	{ "whereis", "NAME | --group GROUP", "the id of the live job that has this name",
	    COMMAND_PRINTS_DATA, 0, 1, whereis_options, verb_whereis },
	{ "attempts", "ID", "the runs of a job", COMMAND_PRINTS_DATA, 1, 1, table_options,
	    verb_attempts },
	{ "log", "[ID]", "the output of a job, of the latest unless given", 0, 0, 1, log_options,
	    verb_log },
	{ "events", "[ID]", "what happened", COMMAND_PRINTS_DATA, 0, 1, events_options,
	    verb_events },
	{ "wait", "ID …", "wait until jobs have ended", COMMAND_PRINTS_DATA, 1, -1,
	    wait_options, verb_wait },
	{ "cancel", "[ID …]", "end jobs, whether they wait or run", COMMAND_PRINTS_DATA, 0, -1,
	    change_options, verb_cancel },
	{ "retry", "[ID …]", "let ended jobs start afresh, waiting ones at once",
	    COMMAND_PRINTS_DATA, 0, -1, change_options, verb_retry },
	{ "hold", "[ID …]", "keep waiting jobs from starting", COMMAND_PRINTS_DATA, 0, -1,
	    change_options, verb_hold },
	{ "release", "[ID …]", "let held jobs start", COMMAND_PRINTS_DATA, 0, -1,
	    change_options, verb_release },
	{ "status", "[NAME]", "how the supervisors are", COMMAND_PRINTS_DATA, 0, 1, NULL,
	    verb_status },
	{ "tree", "", "the supervisors and what they run", COMMAND_PRINTS_DATA, 0, 0, NULL,
	    verb_tree },
	{ "count", "[SUPERVISOR]", "how many children there are, as OTP counts them",
	    COMMAND_PRINTS_DATA, 0, 1, NULL, verb_count },
	{ "children", "SUPERVISOR", "the live jobs of a supervisor", COMMAND_PRINTS_DATA, 1, 1,
	    table_options, verb_children },
	{ "supervisor", SUPERVISOR_ARGUMENTS, SUPERVISOR_SUMMARY, COMMAND_PRINTS_DATA, 1, 2,
	    supervisor_verb_options, verb_supervisor },
	{ "sup", SUPERVISOR_ARGUMENTS, SUPERVISOR_SUMMARY, /* another name of it */
	    COMMAND_IS_INTERNAL | COMMAND_PRINTS_DATA, 1, 2, supervisor_verb_options,
	    verb_supervisor },
	{ "apply", "FILE", "make supervisors and servers as a file describes them",
	    COMMAND_PRINTS_DATA, 1, 1, apply_options, verb_apply },
	{ "shutdown", "", "end the running supervise", 0, 0, 0, shutdown_options,
	    verb_shutdown },
	{ "prune", "", "forget ended jobs and remove their output", COMMAND_PRINTS_DATA, 0, 0,
	    prune_options, verb_prune },
	{ "delete", "ID", "forget one ended job and remove its output", 0, 1, 1, NULL,
	    verb_delete },
	{ "migrate", "", "bring the database to this program's version", 0, 0, 0,
	    migrate_options, verb_migrate },
	{ "notify", "progress FRACTION [TEXT] | result JSON | log TEXT",
	    "from inside a job: tell how it goes", COMMAND_NEEDS_NO_STATE, 2, 3, NULL,
	    verb_notify },
	{ "help", "[VERB]", "this list, or one verb in detail", COMMAND_NEEDS_NO_STATE, 0, 1,
	    NULL, verb_help },
	{ "version", "", "the version of this program", COMMAND_NEEDS_NO_STATE, 0, 0, NULL,
	    verb_version },
	{ "_supervisor", "", "", COMMAND_IS_INTERNAL, 0, 0, supervisor_process_options,
	    verb_supervisor_process },
	{ NULL, NULL, NULL, 0, 0, 0, NULL, NULL },
};
