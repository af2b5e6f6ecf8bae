#ifndef KEEPER_ORDERS_H
#define KEEPER_ORDERS_H

#include "keeper/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What keeper and supervisor process say to each other over a link: messages of fixed
 * layout, both ends in this file. Orders go down, reports come up.
 *
 * A conversation begins with the keeper's whole table: a REPORT_STARTED for each process
 * it holds, a REPORT_ENDED for each end not acknowledged yet, a REPORT_JOURNAL for each
 * record that a killed keeper left, then REPORT_TABLE_END. Nothing may be ordered before
 * the supervisor process has settled that in one transaction.
 */

#define ORDERS_VERSION 5
#define ORDERS_LARGEST_PAYLOAD (8 << 20)     /* above the kernel's own limit for exec */

enum order_kind {
	ORDER_START,	   /* run this; `text` follows */
	ORDER_STOP,	   /* end this process: its stop signal, grace, SIGKILL */
	ORDER_RECALL,	   /* do not start this after all, if it still waits */
	ORDER_ACKNOWLEDGE, /* its end is recorded: forget it */
	ORDER_ADOPT,	   /* this process of a killed keeper is ours now */
	ORDER_READY,	   /* clients are answered from now on; `text` follows */
	ORDER_SIGNAL,	   /* it is for this one that they were; no job: for none that runs */
	ORDER_STOPPING,	   /* tell the service manager that we are leaving */
	ORDER_QUIT,	   /* all is recorded: leave */
	ORDER_KIND_COUNT
};

enum report_kind {
	REPORT_STARTED, /* with the supervisor's end of its socket pair, if there is one */
	REPORT_NOTIFY,	/* with the socket to which it says how it is */
	REPORT_REFUSED, /* no process could be made for want of resources: not its fault */
	REPORT_RECALLED, /* it was waiting for its turn and will not be started */
	REPORT_ENDED,
	REPORT_JOURNAL,
	REPORT_TABLE_END,
	REPORT_WISH, /* somebody signalled the keeper */
	REPORT_SIGNALLED, /* … with what is for the job of --exit-with: ORDER_SIGNAL is awaited */
	REPORT_KIND_COUNT
};

/* Why the keeper ended a process. */
enum stop_cause {
	STOP_NONE,
	STOP_CANCELLED,
	STOP_INTERRUPTED,
	STOP_TIMEOUT,
	STOP_WATCHDOG, /* SIGABRT, so that it may leave a core */
	STOP_CAUSE_COUNT
};

enum wish { WISH_STOP, WISH_STOP_NOW, WISH_LEAVE, WISH_COUNT };

/* How an attempt came to its end. */
enum end_kind {
	END_EXITED,   /* code: exit status */
	END_SIGNALLED, /* code: signal */
	END_NOT_EXECUTED, /* code: errno, of what is at `place` */
	END_UNKNOWN,  /* an adopted process went without a trace */
	END_KIND_COUNT
};

/* What a process that was not executed could not have. */
enum end_place {
	PLACE_PROGRAM,
	PLACE_DIRECTORY, /* … to work in */
	PLACE_INPUT,
	END_PLACE_COUNT
};

/* What cgroups can be used for. */
enum cgroup_use {
	CGROUPS_NONE,	/* no cgroup is delegated to us */
	CGROUPS_PLAIN,	/* each attempt has one: nothing of it escapes */
	CGROUPS_MEMORY, /* … and who is killed for want of memory is told */
	CGROUP_USE_COUNT
};

struct order_key {
	int64_t job, attempt, generation;
};

/* JOB.ATTEMPT: so the files of an attempt are called. */
struct order_name {
	char text[48];
};
struct order_name order_name(const struct order_key *key);

struct order_start {
	struct order_key after; /* take over its place when it ends; job 0: start at once */
	int64_t timeout_ms;	/* -1: none */
	int64_t grace_ms;
	uint32_t umask;
	uint16_t leaves_children;
	uint16_t is_awaited; /* it does nothing before it is spoken to: tell at once */
	uint16_t stop_signal; /* 0: SIGTERM */
	uint16_t ready_fd; /* its end of the socket pair has this number, too; 0: only 3 */
	uint16_t notifies; /* make a socket for it: STATE/notify/JOB.ATTEMPT */
	uint16_t knows_pid; /* its variable PID_VARIABLE has room for its pid */
	uint32_t argument_count, variable_count;
	uint32_t text_length; /* arguments, variables, cwd, stdin (may be ""), NUL after each */
	uint32_t text_in_memfd;
};

/* Where a pid is written before the program runs: as many digits as one can have. */
#define PID_VARIABLE "WATCHDOG_PID"
#define PID_ROOM "0000000000"

struct order_stop {
	uint32_t cause; /* enum stop_cause */
	uint32_t pad;
	int64_t grace_ms; /* or STOP_OWN_GRACE: as the start order said */
};

#define STOP_OWN_GRACE (-1)

struct order_adopt {
	int64_t pid, pid_start;
	int64_t timeout_ms; /* what is left of it; -1: none */
	int64_t grace_ms;
	int64_t age_ms; /* how long it runs already */
	uint32_t leaves_children;
	uint32_t stop_cause; /* it is to be ended: why; else STOP_NONE */
	uint32_t stop_signal; /* these two as in order_start */
	uint32_t notifies;
};

struct order_quit {
	uint32_t status; /* the keeper's exit status */
	uint32_t leaves; /* commands run on */
};

struct order {
	uint32_t version, kind;
	struct order_key key;
	union {
		struct order_start start;
		struct order_stop stop;
		struct order_adopt adopt;
		struct order_quit quit;
		uint32_t text_length; /* ORDER_READY */
	};
};

struct report_started {
	int64_t pid, pid_start;
	int64_t at_mono_ms;
	uint32_t is_adopted;
	uint32_t pad;
};

struct report_ended {
	/*
	 * A start that was not reported before, since the end came so soon: its pid is not 0.
	 * The socket comes along only if something is left to be read from it.
	 */
	struct report_started start;
	uint32_t how;	/* enum end_kind */
	int32_t code;
	uint32_t core;
	uint32_t cause; /* enum stop_cause: the keeper ended it */
	int64_t run_ms; /* -1: unknown */
	int64_t at_mono_ms;
	int64_t user_ms, system_ms, max_rss_kib; /* -1: unknown */
	int64_t output_bytes;
	int64_t children_killed;
	uint32_t is_oom; /* END_SIGNALLED: the kernel did it for want of memory */
	uint32_t place;	 /* END_NOT_EXECUTED: enum end_place */
};

struct report_refused {
	int32_t error; /* errno */
	uint32_t pad;
};

struct report_journal {
	int64_t pid, pid_start;
};

struct report_table_end {
	uint32_t restarts; /* how many supervisor processes there were before this one */
	uint32_t cgroups;  /* enum cgroup_use */
};

struct report_wish {
	uint32_t wish; /* enum wish */
	uint32_t pad;
};

struct report {
	uint32_t version, kind;
	struct order_key key;
	union {
		struct report_started started;
		struct report_ended ended;
		struct report_refused refused;
		struct report_journal journal;
		struct report_table_end table_end;
		struct report_wish wish;
	};
};

/* ---- messages ---- */

/* link_send() for an order that carries text; a start that no packet holds goes by memfd. */
void orders_send_start(struct link *link, const struct order *order, const char *text);
void orders_send_text(struct link *link, const struct order *order, const char *text);

/* A start order taken apart: pointers into `text`, which is allocated. */
struct start_text {
	char *text;
	char **arguments, **variables; /* NULL-terminated */
	const char *cwd, *stdin_path;  /* stdin_path "": none */
};

/*
 * Check and take apart a message (and memfd) with ORDER_START. 0, or -1 when anything about
 * it is out of bounds.
 */
int orders_read_start(const void *message, size_t length, int descriptor,
    struct start_text *ret_text);
void start_text_done(struct start_text *text);

/* A whole message of exactly this kind of struct and version, else NULL. */
const struct order *orders_check_order(const void *message, size_t length);
const struct report *orders_check_report(const void *message, size_t length);

#endif
