/*
 * skim: a line is checked, and where its parts stand is noted, without making values. The JSON
 * is yajl's to read, which tells of each token as it comes to it. It takes some that jansson
 * does not (a key twice, a number beyond all bounds, a NUL in a string), so whatever could be
 * one of those is not plain. What is left are the short words and numbers that most messages are.
 */

#include "wire/skim.h"
#include "base/text.h"

#include <yajl/yajl_parse.h>

#include <stdlib.h>
#include <string.h>

#define MOST_DEPTH 16
#define MOST_KEYS 32 /* of all objects that are open at once */
#define MOST_DIGITS 15

struct skimmer {
	struct skim *skim;
	yajl_handle parser;
	const char *line;
	size_t length;
	size_t depth;
	size_t key_count;
	struct rpc_text keys[MOST_KEYS];    /* of the open objects, outermost first … */
	size_t first_key[MOST_DEPTH + 1]; /* … those of the one at this depth from here on */
	size_t value_from[2]; /* the value of the last key: of the message, and of its params */
	bool is_in_params;
	size_t end; /* of the message, when it is whole */
	bool (*wants)(struct rpc_text method);
};

/* What a callback of yajl's returns. */
enum { STOP = 0, GO_ON = 1 };

static bool
is_same(struct rpc_text a, struct rpc_text b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

bool
skim_is(struct rpc_text text, const char *word)
{
	return text.text != NULL && is_same(text, rpc_text(word));
}

bool
skim_string(struct rpc_text text, struct rpc_text *ret_value)
{
	if (text.text == NULL || text.text[0] != '"' ||
	    memchr(text.text, '\\', text.length) != NULL)
		return false;
	*ret_value = (struct rpc_text){ text.text + 1, text.length - 2 };
	return true;
}

bool
skim_integer(struct rpc_text text, int64_t *ret_value)
{
	char digits[MOST_DIGITS + 1];

	if (text.text == NULL || text.length > MOST_DIGITS ||
	    (text.text[0] != '-' && (text.text[0] < '0' || text.text[0] > '9')) ||
	    memchr(text.text, '.', text.length) != NULL)
		return false;
	memcpy(digits, text.text, text.length);
	digits[text.length] = '\0';
	*ret_value = strtoll(digits, NULL, 10);
	return true;
}

json_t *
skim_json(struct rpc_text text)
{
	struct rpc_text word;
	int64_t number;

	if (skim_string(text, &word))
		return json_stringn_nocheck(word.text, word.length);
	return skim_integer(text, &number) ? json_integer(number) : NULL;
}

struct rpc_text
skim_param(const struct skim *skim, const char *name)
{
	for (size_t i = 0; i < skim->member_count; i++) {
		if (skim_is(skim->members[i].name, name))
			return skim->members[i].value;
	}
	return (struct rpc_text){ 0 };
}

/* ---- where things stand ---- */

static size_t
here(const struct skimmer *skimmer)
{
	return yajl_get_bytes_consumed(skimmer->parser);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* What was read last, without what stands between its key and it. */
static struct rpc_text
value_since(const struct skimmer *skimmer, size_t from)
{
	const char *text = skimmer->line + from;

	while (*text == ':' || is_space(*text))
		text++;
	return (struct rpc_text){ text, (size_t)(skimmer->line + here(skimmer) - text) };
}

static struct rpc_text
last_key(const struct skimmer *skimmer)
{
	return skimmer->keys[skimmer->key_count - 1];
}

/* A member of the message itself. */
static int
take_member(struct skimmer *skimmer, struct rpc_text value, bool was_object)
{
	struct rpc_text name = last_key(skimmer);
	struct skim *to = skimmer->skim;

	if (skim_is(name, "error") || (skim_is(name, "params") && !was_object))
		return STOP;
	if (skim_is(name, "method"))
		return skim_string(value, &to->method) && skimmer->wants(to->method);
	if (skim_is(name, "id"))
		to->id = value;
	else if (skim_is(name, "result"))
		to->result = value;
	return GO_ON;
}

static int
take_param(struct skim *to, struct rpc_text name, struct rpc_text value)
{
	if (to->member_count == SKIM_MEMBERS)
		return STOP;
	to->members[to->member_count++] = (struct skim_member){ name, value };
	return GO_ON;
}

/* A value is whole. */
static int
value_ends(struct skimmer *skimmer, bool is_object)
{
	if (skimmer->depth == 0) {
		skimmer->end = here(skimmer);
		return is_object ? GO_ON : STOP;
	}
	if (skimmer->depth == 1) {
		skimmer->is_in_params = false;
		return take_member(
		    skimmer, value_since(skimmer, skimmer->value_from[0]), is_object);
	}
	if (skimmer->depth == 2 && skimmer->is_in_params)
		return take_param(skimmer->skim, last_key(skimmer),
		    value_since(skimmer, skimmer->value_from[1]));
	return GO_ON;
}

/* ---- what yajl comes to ---- */

static int
on_null(void *arg)
{
	return value_ends(arg, false);
}

static int
on_boolean(void *arg, int value)
{
	(void)value;
	return value_ends(arg, false);
}

static int
on_number(void *arg, const char *digits, size_t length)
{
	if (length > MOST_DIGITS || memchr(digits, 'e', length) != NULL ||
	    memchr(digits, 'E', length) != NULL)
		return STOP;
	return value_ends(arg, false);
}

static int
on_string(void *arg, const unsigned char *text, size_t length)
{
	(void)text;
	(void)length;
	return value_ends(arg, false);
}

static int
on_key(void *arg, const unsigned char *text, size_t length)
{
	struct skimmer *skimmer = arg;
	struct rpc_text key = { (const char *)text, length };

	/* Where it has escapes it is not in the line. */
	if (skimmer->key_count == MOST_KEYS || key.text < skimmer->line ||
	    key.text >= skimmer->line + skimmer->length)
		return STOP;
	for (size_t i = skimmer->first_key[skimmer->depth]; i < skimmer->key_count; i++) {
		if (is_same(skimmer->keys[i], key))
			return STOP;
	}
	skimmer->keys[skimmer->key_count++] = key;
	if (skimmer->depth == 1)
		skimmer->is_in_params = skim_is(key, "params");
	if (skimmer->depth <= 2)
		skimmer->value_from[skimmer->depth - 1] = here(skimmer);
	return GO_ON;
}

static int
on_begin_object(void *arg)
{
	struct skimmer *skimmer = arg;

	if (++skimmer->depth > MOST_DEPTH)
		return STOP;
	skimmer->first_key[skimmer->depth] = skimmer->key_count;
	return GO_ON;
}

/* A message is an object, and plain params are. */
static int
on_begin_array(void *arg)
{
	const struct skimmer *skimmer = arg;

	if (skimmer->depth == 0 || (skimmer->depth == 1 && skimmer->is_in_params))
		return STOP;
	return on_begin_object(arg);
}

static int
on_end_object(void *arg)
{
	struct skimmer *skimmer = arg;

	skimmer->key_count = skimmer->first_key[skimmer->depth--];
	return value_ends(skimmer, true);
}

static int
on_end_array(void *arg)
{
	struct skimmer *skimmer = arg;

	skimmer->key_count = skimmer->first_key[skimmer->depth--];
	return value_ends(skimmer, false);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_begin_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end_object,
	.yajl_start_array = on_begin_array,
	.yajl_end_array = on_end_array,
};

/* ---- the whole ---- */

/*
 * Nothing in it that the two libraries could see differently, but for numbers and keys: yajl
 * takes form feeds for spaces, and any bytes that look like UTF-8 for that.
 */
static bool
has_plain_text(const char *line, size_t length)
{
	const char *end = line + length;
	size_t bytes;

	if (memmem(line, length, "\\u", 2) != NULL)
		return false;
	for (; line < end; line += bytes) {
		unsigned char byte = (unsigned char)*line;

		bytes = byte < 0x80 ? 1 : text_utf8_length(line, (size_t)(end - line));
		if (bytes == 0 || (byte < ' ' && !is_space(*line)))
			return false;
	}
	return true;
}

static int
classify(struct skim *skim)
{
	struct rpc_text word;
	int64_t number;

	if (skim->id.text != NULL && !skim_string(skim->id, &word) &&
	    !skim_integer(skim->id, &number))
		return -1;
	if (skim->method.text != NULL)
		skim->kind = skim->id.text != NULL ? RPC_REQUEST : RPC_NOTIFICATION;
	else if (skim->result.text != NULL && skim->id.text != NULL)
		skim->kind = RPC_RESULT;
	else
		return -1;
	return 0;
}

int
skim(struct skim *ret, const char *line, size_t length, bool (*wants)(struct rpc_text method))
{
	struct skimmer skimmer = {
		.skim = ret, .line = line, .length = length, .wants = wants };
	bool is_read;

	ret->id = ret->method = ret->result = (struct rpc_text){ 0 };
	ret->member_count = 0;
	skimmer.parser = yajl_alloc(&callbacks, NULL, &skimmer);
	if (skimmer.parser == NULL)
		return -1;
	is_read = yajl_parse(skimmer.parser, (const unsigned char *)line, length) ==
		yajl_status_ok &&
	    yajl_complete_parse(skimmer.parser) == yajl_status_ok;
	yajl_free(skimmer.parser);
	/* yajl would wait for the rest of a word that begins behind it. */
	while (skimmer.end < length && is_space(line[skimmer.end]))
		skimmer.end++;
	return is_read && skimmer.end == length && has_plain_text(line, length) ? classify(ret)
										: -1;
}
