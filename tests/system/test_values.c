/* values: JSON that nobody here can hold, from a server, a client, and the command line. */

#include "base/xalloc.h"
#include "support/outside.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * It answers a string with the line that it is, and replies the second of two; to an array of
 * one it writes the string in it, and replies what it gets for that. Anything else it replies.
 */
static const char program[] =
    "import json, os, socket, sys\n"
    "sys.setrecursionlimit(10000)\n"
    "s = socket.socket(fileno=int(os.environ['JOBBERD_FD']))\n"
    "lines = s.makefile('r')\n"
    "def write(line):\n"
    "    s.sendall(line.encode() + b'\\n')\n"
    "for line in lines:\n"
    "    m = json.loads(line)\n"
    "    if m['method'] == 'init':\n"
    "        write('{\"id\":\"%s\",\"result\":%s}' % (m['id'], sys.argv[1]))\n"
    "    elif m['method'] == 'call':\n"
    "        message = m['params']['message']\n"
    "        if isinstance(message, str):\n"
    "            write(message.replace('ID', m['id'])); continue\n"
    "        if isinstance(message, list):\n"
    "            if message[1:]: message = message[1]\n"
    "            else: write(message[0]); message = json.loads(next(lines))\n"
    "        write(json.dumps({'id': m['id'], 'result': message}))\n"
    "    elif m['method'] == 'terminate':\n"
    "        write('{\"id\":\"%s\",\"result\":true}' % m['id']); break\n";

static const struct {
	const char *json, *what;
} rows[] = {
	{ "1180591620717411303424", "a number beyond 64 bits" },
	{ "1e999", "a number beyond 64 bits" },
	{ "\"a\\u0000\"", "a NUL in a string" },
	{ "\"\\ud800\"", "half a surrogate pair in a string" },
	{ "{\"a\":1,\"a\":2}", "a key that comes twice" },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

#define CALL(i, ...) jobberd(i, "call", "--timeout", "1h", __VA_ARGS__, NULL)

/* Its init answers this. */
static struct result
start(struct instance *i, const char *init)
{
	return jobberd(i, "start", "s", "--", "python3", "-c", program, init, NULL);
}

static void
begin(struct instance *i)
{
	instance_init(i);
	instance_start(i, NULL);
	expect(start(i, "{\"ok\":true}"), 0, "1\n", NULL);
}

/* All that was said has hurt nobody. */
static void
finish(struct instance *i)
{
	expect(CALL(i, "s", "5"), 0, "5\n", NULL);
	assert_int_equal(sql_number(i, "SELECT count(*) FROM attempts"), 1);
	instance_finish(i);
}

/* It used to wait until its time had passed. */
static void
caller_is_told_what_is_wrong_with_an_answer(void **state)
{
	struct instance i;
	char line[100], words[100];

	(void)state;
	begin(&i);
	for (size_t row = 0; row < ROWS; row++) {
		snprintf(line, sizeof(line), "{\"id\":\"ID\",\"result\":[%s]}", rows[row].json);
		snprintf(words, sizeof(words), "jobberd: s: bad_return_value: an answer with %s\n",
		    rows[row].what);
		expect(CALL(&i, "-t", "s", line), 1, "", words);
	}
	assert_int_equal(sql_number(&i,
	    "SELECT count(*) FROM events WHERE event = 'message not understood' AND "
	    "detail = 'an answer: a number beyond 64 bits'"), 1);
	finish(&i);
}

static void
init_that_answers_with_what_is_not_held_is_a_bad_return_value(void **state)
{
	struct instance i;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	expect(start(&i, "{\"ok\":1e999}"), 70, NULL,
	    "bad_return_value: an answer with a number beyond 64 bits");
	instance_finish(&i);
}

static void
server_that_asks_is_told_under_its_own_id(void **state)
{
	struct instance i;
	char line[100], answer[200];

	(void)state;
	begin(&i);
	for (size_t row = 0; row < ROWS; row++) {
		json_t *message;
		char *word;

		snprintf(line, sizeof(line), "{\"id\":%zu,\"method\":\"cast\",\"params\":"
		    "{\"to\":\"s\",\"message\":%s}}", row, rows[row].json);
		message = json_pack("[s]", line);
		word = json_dumps(message, 0);
		snprintf(answer, sizeof(answer), "{\"id\":%zu,\"error\":{\"code\":-32602,"
		    "\"message\":\"%s\"},\"jsonrpc\":\"2.0\"}\n", row, rows[row].what);
		expect(CALL(&i, "s", word), 0, answer, NULL);
		free(word);
		json_decref(message);
	}
	finish(&i);
}

/* The line that is answered to this one. To be freed. */
static char *
ask(FILE *in, const char *line)
{
	char *answer = NULL;
	size_t room = 0;

	assert_int_equal(dprintf(fileno(in), "%s\n", line), strlen(line) + 1);
	assert_true(getline(&answer, &room, in) > 0);
	return answer;
}

static void
client_that_asks_is_told_under_its_own_id(void **state)
{
	struct instance i;
	char line[200], wanted[200], *answer;
	FILE *in;

	(void)state;
	begin(&i);
	in = fdopen(connect_client(&i), "r");
	for (size_t row = 0; row < ROWS; row++) {
		snprintf(line, sizeof(line), "{\"id\":\"i%zu\",\"method\":\"%s\",\"params\":"
		    "{\"to\":\"s\",\"message\":%s}}", row, row % 2 == 0 ? "call" : "cast",
		    rows[row].json);
		snprintf(wanted, sizeof(wanted), "{\"id\":\"i%zu\",\"error\":{\"code\":-32602,"
		    "\"message\":\"%s\"},\"jsonrpc\":\"2.0\"}\n", row, rows[row].what);
		answer = ask(in, line);
		assert_string_equal(answer, wanted);
		free(answer);
	}
	answer = ask(in, "{\"id\":9,\"method\":\"call\",\"params\":{\"to\":\"s\",\"message\":6}}");
	assert_string_equal(answer, "{\"id\":9,\"result\":6,\"jsonrpc\":\"2.0\"}\n");
	free(answer);
	fclose(in);
	finish(&i);
}

/* They used to be sent as strings. */
static void
word_that_is_json_and_cannot_be_sent_is_refused(void **state)
{
	struct instance i;
	char words[100];

	(void)state;
	begin(&i);
	for (size_t row = 0; row < ROWS; row++) {
		const char *word = rows[row].json;

		snprintf(words, sizeof(words), "is JSON with %s, and cannot be sent\n",
		    rows[row].what);
		expect(CALL(&i, "s", "a", word), 2, "", words);
		expect(jobberd(&i, "cast", "s", word, NULL), 2, "", words);
		expect(jobberd(&i, "stop", "s", word, NULL), 2, "", words);
		expect(jobberd(&i, "notify", "result", word, NULL), 2, "", words);
	}
	expect(CALL(&i, "s", "1e999"), 2, "",
	    "jobberd: \"1e999\" is JSON with a number beyond 64 bits, and cannot be sent\n");
	expect(CALL(&i, "s", "\xff"), 2, "", "jobberd: \"\\xff\" is not UTF-8\n");
	finish(&i);
}

static char *
nested(size_t levels)
{
	char *text = xcalloc(1, 2 * levels + 1);

	memset(text, '[', levels);
	memset(text + levels, ']', levels);
	return text;
}

/* The line around it has two levels of its own. */
static void
word_has_at_most_2046_levels(void **state)
{
	struct instance i;
	char *word;

	(void)state;
	begin(&i);
	word = nested(2046);
	expect(jobberd(&i, "cast", "s", word, NULL), 0, "", NULL);
	free(word);
	for (size_t levels = 2047; levels <= 2049; levels++) {
		word = nested(levels);
		expect(jobberd(&i, "cast", "s", word, NULL), 2, "",
		    "more than 2048 levels in its line");
		free(word);
	}
	finish(&i);
}

static void
word_that_is_no_json_is_a_string_whatever_it_begins_with(void **state)
{
	static const char *const words[] = { "1e999 apples", "\"\\u0000", "1e999 \"" };
	struct instance i;

	(void)state;
	begin(&i);
	for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++) {
		char *out = xasprintf("%s\n", words[word]);

		expect(CALL(&i, "-r", "s", "echo", words[word]), 0, out, NULL);
		free(out);
	}
	finish(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caller_is_told_what_is_wrong_with_an_answer),
		cmocka_unit_test(init_that_answers_with_what_is_not_held_is_a_bad_return_value),
		cmocka_unit_test(server_that_asks_is_told_under_its_own_id),
		cmocka_unit_test(client_that_asks_is_told_under_its_own_id),
		cmocka_unit_test(word_that_is_json_and_cannot_be_sent_is_refused),
		cmocka_unit_test(word_has_at_most_2046_levels),
		cmocka_unit_test(word_that_is_no_json_is_a_string_whatever_it_begins_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
