#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words and numbers as people write and read them. All of it pure. */

#define NAME_MAX_LENGTH 128
#define NAME_SIZE (NAME_MAX_LENGTH + 1)

/* [A-Za-z_][A-Za-z0-9_.:-]*, at most NAME_MAX_LENGTH: never looks like an id or an option. */
bool text_is_name(const char *text);
/* The same for SUPERVISOR/CHILD, both such names, together at most NAME_MAX_LENGTH. */
bool text_is_child_name(const char *text);
/* Are these bytes the name of an environment's variable: [A-Za-z_][A-Za-z0-9_]*? */
bool text_is_variable(const char *text, size_t length);

/* A whole decimal number within [least, most] and nothing else. 0 or -1. */
int text_number(const char *text, int64_t least, int64_t most, int64_t *ret_number);

/*
 * "90", "1h30m", "250ms", "1.5s", "2d": numbers with ms s m min h d, combined; a bare
 * number is seconds. 0 or -1; at most 100 years, else errno is ERANGE.
 */
int text_duration(const char *text, int64_t *ret_ms);

/* What this text is not, if it is no duration, or one below least_ms. */
const char *text_duration_wanted(const char *text, int64_t least_ms);

/* "16M", "16MiB", "1.5g", "4096": bytes, factors of 1024. 0 or -1 with errno, ERANGE: too many. */
int text_size(const char *text, int64_t *ret_bytes);

/*
 * A point in time: RFC 3339 ("2026-11-22T20:00:00Z", "…+01:00"), "YYYY-MM-DD HH:MM[:SS]"
 * in local time, or "HH:MM", the next one in local time after `now`. 0, or -1
 * with errno, which is ERANGE for a time before 1970 or after the year 9999.
 */
int text_time(const char *text, struct wall now, struct wall *ret_time);

/* "4 ms", "0.4 s", "12 s", "2 min", "3 h 20 min", "5 d": at most two units, for people. */
const char *text_format_duration(char *buffer, size_t size, int64_t ms);

/* The same exactly, as text_duration() reads it: "1h30m", "250ms". */
const char *text_format_exact(char *buffer, size_t size, int64_t ms);

/* "17.0 MiB" */
const char *text_format_size(char *buffer, size_t size, int64_t bytes);

/* RFC 3339 in UTC with milliseconds, "2026-11-22T20:00:00.000Z". */
const char *text_format_time(char *buffer, size_t size, struct wall time);
/* "2026-11-22 21:00:00 +0100", where we are. */
const char *text_format_local_time(char *buffer, size_t size, struct wall time);

/*
 * Make text from outside safe for a log line or a terminal: control bytes, quotes and
 * backslashes become \n, \t, \", \\ or \xNN; bytes that are not UTF-8 become \xNN; cut
 * with "…" when it does not fit. Returns buffer.
 */
const char *text_quote(char *buffer, size_t size, const char *text);

/* The length of the UTF-8 character at text (1 to 4), 0 if it is not valid UTF-8. */
size_t text_utf8_length(const char *text, size_t left);

#endif
