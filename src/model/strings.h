#ifndef MODEL_STRINGS_H
#define MODEL_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

/* Begins as all zeros; the strings are the list's own. */
struct strings { /* NULL-terminated once something was added */
	char **items;
	size_t count;
};

void strings_add(struct strings *strings, const char *text);
void strings_add_owned(struct strings *strings, char *text); /* takes over text */
void strings_add_all(struct strings *strings, const struct strings *others);
bool strings_are_equal(const struct strings *one, const struct strings *other);
void strings_done(struct strings *strings);

/* Set NAME=VALUE, in place of an older value of that name; order is kept. */
void strings_set_variable(struct strings *environment, const char *assignment);

#endif
