#ifndef MODEL_REASON_H
#define MODEL_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Why an attempt, or a job, ended: a closed set. As stored (`text`): normal, exit:3,
 * signal:SEGV+core, timeout, oom, spawn:ENOENT, cancelled, interrupted, lost:keeper,
 * lost:boot, dependency. In words, for people: "exit 3", "killed by SIGSEGV (core
 * dumped)", "cannot execute: No such file or directory".
 */
enum reason_kind {
	REASON_NONE, /* not ended */
	REASON_NORMAL,
	REASON_EXIT,   /* number: the exit status, 1 to 255 */
	REASON_SIGNAL, /* number: the signal */
	REASON_TIMEOUT,
	REASON_OOM,
	REASON_SPAWN, /* number: errno */
	REASON_CANCELLED,
	REASON_INTERRUPTED,
	REASON_LOST_KEEPER,
	REASON_LOST_BOOT,
	REASON_DEPENDENCY,
	REASON_COUNT
};

struct reason {
	enum reason_kind kind;
	int number;
	bool core; /* REASON_SIGNAL: and a core was dumped */
};

#define REASON_TEXT_SIZE 40

/* How it is stored. REASON_NONE is the empty text. Returns buffer. */
const char *reason_format(char buffer[REASON_TEXT_SIZE], struct reason reason);

/* The reverse. 0, or -1 when it is none of ours. */
int reason_parse(const char *text, struct reason *ret_reason);

/*
 * In words. timeout_ms is the attempt's limit, for "timed out after 30 s"; 0 if unknown.
 */
const char *reason_words(char *buffer, size_t size, struct reason reason, int64_t timeout_ms);

/* A run that ended so uses up a retry. */
bool reason_is_failure(struct reason reason);

/* We do not know how it ended. */
bool reason_is_loss(struct reason reason);

/* Its end was somebody's wish or our own: neither success nor failure. */
bool reason_is_stop(struct reason reason);

/* "SIGSEGV" for 11; buffer holds it for numbers without a name. */
const char *reason_signal_name(int signal, char buffer[16]);

#endif
