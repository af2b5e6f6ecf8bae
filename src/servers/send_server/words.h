#ifndef SERVERS_SEND_SERVER_WORDS_H
#define SERVERS_SEND_SERVER_WORDS_H

#include <jansson.h>
#include <stddef.h>

/* Text that comes from others: mail servers, whoever sends mails, errors. */

/* Enough for a sentence, or an answer of a mail server. */
#define WORDS_SIZE 256

/*
 * Make it fit to be shown and stored: one line without control characters, valid UTF-8, and
 * cut with "…" where it does not fit. Returns buffer.
 */
char *words_clean(char *buffer, size_t size, const char *text, size_t length);
char *words_set(char buffer[WORDS_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A copy that is there: out of memory ends the process. */
char *words_copy(const char *text);
void *memory_new(size_t size);
/* The text of a JSON string, also if it is missing or something else: "" then. */
const char *words_of(const json_t *value);

#endif
