/* words: what is said to servers, from the words of the command line or standard input. */

#include "cli/words.h"
#include "base/text.h"
#include "wire/beyond.h"

#include <stdio.h>
#include <string.h>

json_t *
words_one(const char *word, bool is_text, struct error *error)
{
	json_t *value =
	    is_text ? NULL : json_loads(word, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	const char *what = is_text || value != NULL ? NULL : beyond(word, strlen(word));
	char quoted[64];

	if (what != NULL) {
		error_set(error, STATUS_USAGE, "\"%s\" is JSON with %s, and cannot be sent",
		    text_quote(quoted, sizeof(quoted), word), what);
		return NULL;
	}
	if (value == NULL)
		value = json_string(word);
	if (value == NULL)
		error_set(error, STATUS_USAGE, "\"%s\" is not UTF-8",
		    text_quote(quoted, sizeof(quoted), word));
	return value;
}

static json_t *
read_message(struct error *error)
{
	json_error_t where;
	json_t *value = json_loadf(stdin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);

	if (value == NULL)
		error_set(error, STATUS_USAGE, "standard input is not one JSON value: %s",
		    where.text);
	return value;
}

json_t *
words_to_message(const struct invocation *invocation, int first, struct error *error)
{
	bool is_text = option_is_given(invocation, "text");
	char *const *words = invocation->arguments + first;
	int count = invocation->argument_count - first;
	json_t *message = NULL, *word = NULL;

	if (count == 1 && strcmp(words[0], "-") == 0 && !is_text)
		return read_message(error);
	if (count > 1)
		message = json_array();
	for (int i = 0; i < count; i++) {
		word = words_one(words[i], is_text, error);
		if (word == NULL) {
			json_decref(message);
			return NULL;
		}
		if (count > 1)
			json_array_append_new(message, word);
	}
	return count > 1 ? message : word;
}
