#ifndef MODEL_SPEC_JSON_H
#define MODEL_SPEC_JSON_H

#include "model/spec.h"

#include <jansson.h>

/*
 * A job as a JSON object: keys are option names, values strings, numbers, booleans or
 * arrays of them, `command` an array of strings. `env` may be an object too.
 */

/* Fill in *spec (initialised by this) from `object`. 0, or -1 with *error and nothing to free. */
int spec_from_json(struct spec *spec, const json_t *object, struct wall now,
    struct error *error);

/*
 * The canonical object, as a client sends it: with the environment resolved and times in
 * UTC. A new reference; NULL with *error if a string is not UTF-8.
 */
json_t *spec_to_json(const struct spec *spec, struct error *error);

/*
 * A scalar as the text that the command line would have for it, perhaps in `buffer`; `null` for
 * null, and NULL if it is no scalar.
 */
const char *option_text(const json_t *value, const char *null, char *buffer, size_t size);

/*
 * `text`, from option_text(), was refused: a number with a fraction is quoted in *error (which
 * may be NULL) as it stands in JSON, 3.5 and not 3.500. Returns -1.
 */
int option_refuse(struct error *error, const char *text, const json_t *value);

/* A list of strings as a JSON array; NULL if one is not UTF-8. */
json_t *strings_to_json(const struct strings *strings);

/* The reverse, 0 or -1 when it is not an array of strings. Appends. */
int strings_from_json(struct strings *strings, const json_t *array);

/* Both from JSON text. 0, or -1 when it is not an array of strings, an object of strings. */
int strings_parse(struct strings *strings, const char *json);
int environment_parse(struct strings *environment, const char *json);

/* NAME=VALUE strings as an object, and back (0 or -1). */
json_t *environment_to_json(const struct strings *environment);
int environment_from_json(struct strings *environment, const json_t *object);

#endif
