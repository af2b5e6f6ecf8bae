#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "cli/cli.h"

/*
 * A word is the JSON value that it is, or else a string. NULL with *error: it is not UTF-8, or
 * JSON that cannot be sent.
 */
json_t *words_one(const char *word, bool is_text, struct error *error);

/*
 * The message that the words from `first` on make: one alone is itself, several are an array,
 * - is read from standard input. NULL with *error.
 */
json_t *words_to_message(const struct invocation *invocation, int first, struct error *error);

#endif
