/*
 * beyond: what is wrong with JSON that jansson does not hold, and whose message it is. yajl takes
 * all of it, and comes to each token without making values, so neither length nor depth matter.
 * What a message has that can be held is put together again, and read as any message is.
 */

#include "wire/beyond.h"

#include <yajl/yajl_parse.h>

#include <stdbool.h>
#include <string.h>

#define TEXT(number) #number
#define NUMBER_TEXT(number) TEXT(number)

/* What is left of a message. */
struct rest {
	yajl_handle parser;
	const char *line;
	size_t depth;
	const char *key; /* the last one of the message itself, if its value is wanted */
	size_t key_end;
	bool has_outcome; /* result or error */
	struct buf out;
};

static void
begin_member(struct buf *out, const char *key)
{
	buf_add_text(out, out->length == 0 ? "{\"" : ",\"");
	buf_add_text(out, key);
	buf_add_text(out, "\"");
}

/* ---- what yajl comes to ---- */

/* It is whole; other values than these are no ids and no methods. */
static int
scalar_ends(struct rest *rest)
{
	if (rest->depth != 1 || rest->key == NULL)
		return true;
	begin_member(&rest->out, rest->key);
	/* From its colon on. */
	buf_add(&rest->out, rest->line + rest->key_end,
	    yajl_get_bytes_consumed(rest->parser) - rest->key_end);
	return true;
}

static int
on_null(void *arg)
{
	return scalar_ends(arg);
}

static int
on_number(void *arg, const char *digits, size_t length)
{
	(void)digits;
	(void)length;
	return scalar_ends(arg);
}

static int
on_string(void *arg, const unsigned char *text, size_t length)
{
	(void)text;
	(void)length;
	return scalar_ends(arg);
}

static bool
is_word(const unsigned char *text, size_t length, const char *word)
{
	return length == strlen(word) && memcmp(text, word, length) == 0;
}

static int
on_key(void *arg, const unsigned char *text, size_t length)
{
	struct rest *rest = arg;

	if (rest->depth != 1)
		return true;
	rest->key = is_word(text, length, "id") ? "id"
	    : is_word(text, length, "method")	? "method"
						: NULL;
	rest->key_end = yajl_get_bytes_consumed(rest->parser);
	if (is_word(text, length, "result") || is_word(text, length, "error"))
		rest->has_outcome = true;
	return true;
}

static int
on_begin(void *arg)
{
	struct rest *rest = arg;

	rest->depth++;
	return true;
}

static int
on_end(void *arg)
{
	struct rest *rest = arg;

	rest->depth--;
	return true;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_begin,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_begin,
	.yajl_end_array = on_end,
};

/* ---- the whole ---- */

/* Is it one JSON value? */
static bool
read_rest(struct rest *rest, const char *text, size_t length)
{
	size_t end;
	bool is_json;

	rest->parser = yajl_alloc(&callbacks, NULL, rest);
	if (rest->parser == NULL)
		return false;
	/* What is behind the value is looked at here: yajl would take a word without its end. */
	yajl_config(rest->parser, yajl_allow_trailing_garbage, 1);
	is_json = yajl_parse(rest->parser, (const unsigned char *)text, length) == yajl_status_ok;
	end = yajl_get_bytes_consumed(rest->parser);
	rest->key = NULL; /* a number that ends with the text is told of now, and is no member */
	is_json = is_json && yajl_complete_parse(rest->parser) == yajl_status_ok;
	yajl_free(rest->parser);
	while (end < length && memchr(" \t\r\n", text[end], 4) != NULL)
		end++;
	return is_json && end == length;
}

static const char *
limit(const char *text, size_t length)
{
	json_error_t error;
	json_t *value =
	    json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (value != NULL) {
		json_decref(value);
		return NULL;
	}
	switch (json_error_code(&error)) {
	case json_error_numeric_overflow:
		return "a number beyond 64 bits";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL in a string";
	case json_error_duplicate_key:
		return "a key that comes twice";
	case json_error_stack_overflow:
		return "more than " NUMBER_TEXT(JSON_PARSER_MAX_DEPTH) " levels in its line";
	default:
		/* There is no code for that alone. */
		return strncmp(error.text, "invalid Unicode", 15) == 0
		    ? "half a surrogate pair in a string"
		    : NULL;
	}
}

/* rest->out is the caller's in any case. */
static const char *
look(const char *text, size_t length, struct rest *rest)
{
	const char *what = limit(text, length);

	*rest = (struct rest){ .line = text };
	return what != NULL && read_rest(rest, text, length) ? what : NULL;
}

const char *
beyond(const char *text, size_t length)
{
	struct rest rest;
	const char *what = look(text, length, &rest);

	buf_done(&rest.out);
	return what;
}

static void
add_error(struct buf *out, const char *what)
{
	begin_member(out, "error");
	buf_addf(out, ":{\"code\":%d,\"message\":\"bad_return_value: an answer with %s\"}",
	    RPC_PARSE_ERROR, what);
}

const char *
beyond_message(const char *line, size_t length, struct rpc_message *ret_message)
{
	struct rest rest;
	const char *what = look(line, length, &rest);

	if (what != NULL && rest.has_outcome)
		add_error(&rest.out, what);
	buf_add_text(&rest.out, "}");
	if (what != NULL &&
	    rpc_parse(buf_start(&rest.out), rest.out.length, ret_message) != 0)
		what = NULL;
	buf_done(&rest.out);
	return what;
}
