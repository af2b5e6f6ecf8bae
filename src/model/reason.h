#ifndef MODEL_REASON_H
#define MODEL_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Why an attempt, or a job, ended: a closed set. As stored (`text`): normal, exit:3,
 * signal:SEGV+core, timeout, oom, watchdog, spawn:ENOENT, spawn:cwd:ENOENT, spawn:stdin:ENOENT,
 * cancelled, interrupted, lost:keeper, lost:boot, dependency. In words, for people: "exit 3",
 * "killed by SIGSEGV (core dumped)", "cannot execute: No such file or directory". A server's
 * end may also be shutdown, shutdown:WHY, ignore, or words of its own.
 */
enum reason_kind {
	REASON_NONE, /* not ended */
	REASON_NORMAL,
	REASON_EXIT,   /* number: the exit status, 1 to 255 */
	REASON_SIGNAL, /* number: the signal */
	REASON_TIMEOUT,
	REASON_OOM,
	REASON_WATCHDOG, /* no sign of life for too long */
	REASON_SPAWN, /* number: errno; place */
	REASON_CANCELLED,
	REASON_INTERRUPTED,
	REASON_LOST_KEEPER,
	REASON_LOST_BOOT,
	REASON_DEPENDENCY,
	/* of servers */
	REASON_SHUTDOWN, /* asked to end, or its own wish; `own` may say more */
	REASON_IGNORE,	 /* its init said that it is not wanted */
	REASON_MAX_RESTARTS, /* of a job: it ended too often in too short a time */
	REASON_OWN,	 /* the server's, or a caller's, own words */
	REASON_COUNT
};

/* REASON_SPAWN: what could not be had. */
enum reason_place {
	REASON_OF_PROGRAM,
	REASON_OF_DIRECTORY,
	REASON_OF_INPUT,
	REASON_PLACE_COUNT
};

#define REASON_OWN_SIZE 120

struct reason {
	enum reason_kind kind;
	int number;
	bool core; /* REASON_SIGNAL: and a core was dumped */
	char own[REASON_OWN_SIZE]; /* UTF-8, cut off if longer */
	enum reason_place place; /* REASON_SPAWN */
};

#define REASON_TEXT_SIZE (REASON_OWN_SIZE + 16)

/* How it is stored. REASON_NONE is the empty text. Returns buffer. */
const char *reason_format(char buffer[REASON_TEXT_SIZE], struct reason reason);

/* The reverse. 0, or -1 when it is none of ours. */
int reason_parse(const char *text, struct reason *ret_reason);
/* What a server or its caller says: normal, shutdown and shutdown:… are ours, all else own. */
struct reason reason_from_words(const char *words);

/*
 * In words. limit_ms is what the attempt ran into, for "timed out after 30 s" and for the
 * watchdog's; 0 if unknown.
 */
const char *reason_words(char *buffer, size_t size, struct reason reason, int64_t limit_ms);

/* What a program that stands for it exits with: its own status, 128 + its signal, … */
int reason_exit_status(struct reason reason);

/* A run that ended so uses up a retry, and a transient server is started again. */
bool reason_is_failure(struct reason reason);

/* We do not know how it ended. */
bool reason_is_loss(struct reason reason);

/* Its end was somebody's wish or our own: neither success nor failure. */
bool reason_is_stop(struct reason reason);

/* "SIGSEGV" for 11; buffer holds it for numbers without a name. */
const char *reason_signal_name(int signal, char buffer[16]);
/* "SIGTERM", "TERM" or "15"; -1: none of them. */
int reason_signal_number(const char *word);

#endif
