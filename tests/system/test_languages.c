/*
 * languages: the servers in jobberd-protocol(7) that are not in C, as they stand there, and a
 * server's exchange that was recorded: the program still speaks like that.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xalloc.h"
#include "support/example.h"
#include "support/helper.h"
#include "support/page.h"
#include "support/system.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE "man/jobberd-protocol.7"

/* ---- servers of the page ---- */

static void
crash(struct instance *i, const char *ready)
{
	char *pid = sql(i, "SELECT pid FROM attempts WHERE ended_at IS NULL");

	kill(atoi(pid), SIGKILL);
	free(pid);
	instance_expect(i, ready);
}

static void
try_server_behind(const char *words)
{
	struct instance i;
	char path[300];

	instance_init(&i);
	instance_start(&i, NULL);
	snprintf(path, sizeof(path), "%s/counter", i.directory);
	example_write_behind(PAGE, words, path);
	assert_int_equal(chmod(path, 0755), 0);
	expect(jobberd(&i, "start", "counter", "--", path, NULL), 0, "1\n", NULL);
	expect(jobberd(&i, "call", "counter", "get", NULL), 0, "0\n", NULL);
	expect(jobberd(&i, "cast", "counter", "add", "2", NULL), 0, "", NULL);
	expect(jobberd(&i, "cast", "counter", "add", "--", "-12", NULL), 0, "", NULL);
	expect(jobberd(&i, "send", "counter", "hello", NULL), 0, "", NULL);
	expect(jobberd(&i, "call", "counter", "get", NULL), 0, "-10\n", NULL);
	expect(jobberd(&i, "show", "--state", "counter", NULL), 0, "-10\n", NULL);
	expect(jobberd(&i, "call", "counter", "sing", NULL), 1, "", "unknown message");
	instance_kill_supervisor(&i);
	expect(jobberd(&i, "call", "counter", "get", NULL), 0, "-10\n", NULL);
	crash(&i, "ready attempt=2");
	expect(jobberd(&i, "call", "counter", "get", NULL), 0, "0\n", NULL);
	expect(jobberd(&i, "stop", "counter", "shutdown", NULL), 0, "", NULL);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM server_list WHERE status = 'done' "
					"AND reason = 'shutdown' AND restarts = 1"), 1);
	assert_int_equal(
	    sql_number(&i, "SELECT count(*) FROM events WHERE event GLOB '*not understood'"), 0);
	instance_finish(&i);
}

static void
server_in_python_is_one(void **state)
{
	(void)state;
	try_server_behind("A server in Python");
}

static void
server_in_bash_is_one(void **state)
{
	(void)state;
	try_server_behind("The same in bash");
}

/* ---- the recorded exchange ---- */

/* A server that hears and says what we do: it passes lines on. */
static const char relay[] =
    "#!/bin/sh\n"
    "cat \"${0%/*}/say\" >&3 &\n"
    "exec cat <&3 >\"${0%/*}/hear\"\n";

struct exchange {
	struct instance instance;
	FILE *say, *hear;
	struct helper helpers[8]; /* what was typed and has not ended */
	size_t helper_count;
	char recorded_id[64], id[64]; /* of the last call: it is never the same */
};

static void
write_relay(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(relay, file) >= 0 && fclose(file) == 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static void
begin(struct exchange *exchange)
{
	struct instance *i = &exchange->instance;
	char path[300];

	*exchange = (struct exchange){ .helper_count = 0 };
	instance_init(i);
	instance_start(i, NULL);
	snprintf(path, sizeof(path), "%s/counter", i->directory);
	write_relay(path);
	free(fifo_make(i, "say"));
	free(fifo_make(i, "hear"));
}

/* Both ends, once the server has been started. */
static void
open_ends(struct exchange *exchange)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/say", exchange->instance.directory);
	exchange->say = fopen(path, "w");
	snprintf(path, sizeof(path), "%s/hear", exchange->instance.directory);
	exchange->hear = fopen(path, "r");
	assert_true(exchange->say != NULL && exchange->hear != NULL);
}

/* "$ jobberd start counter -- ./counter 5" */
static void
type(struct exchange *exchange, char *line)
{
	struct helper *helper = &exchange->helpers[exchange->helper_count++];
	const char *words[16] = { getenv("JOBBERD"), "-C", exchange->instance.state };
	char program[300], *word;
	size_t count = 3;

	assert_true(exchange->helper_count <= 8);
	snprintf(program, sizeof(program), "%s/counter", exchange->instance.directory);
	assert_string_equal(strsep(&line, " "), "$");
	assert_string_equal(strsep(&line, " "), "jobberd");
	while ((word = strsep(&line, " ")) != NULL && count < 15)
		words[count++] = strcmp(word, "./counter") == 0 ? program : word;
	helper_start(helper, NULL, words);
	if (exchange->say == NULL)
		open_ends(exchange);
}

static json_t *
parse(const char *text)
{
	json_t *message = json_loads(text, 0, NULL);

	if (message == NULL)
		fail_msg("not JSON: %s", text);
	return message;
}

static void
say(struct exchange *exchange, const char *text)
{
	json_t *message = parse(text), *id = json_object_get(message, "id");
	char *line;

	if (json_is_string(id) && strcmp(json_string_value(id), exchange->recorded_id) == 0)
		json_object_set_new(message, "id", json_string(exchange->id));
	line = json_dumps(message, JSON_COMPACT);
	assert_true(fprintf(exchange->say, "%s\n", line) > 0 && fflush(exchange->say) == 0);
	free(line);
	json_decref(message);
}

/* A client's call has an id of its own, and the client has a pid. */
static void
forget_client(json_t *message, char id[64])
{
	json_t *params = json_object_get(message, "params");
	const char *from = json_string_value(json_object_get(params, "from"));

	if (from == NULL || strncmp(from, "client:", 7) != 0)
		return;
	snprintf(id, 64, "%s", json_string_value(json_object_get(message, "id")));
	json_object_del(message, "id");
	json_object_del(params, "from");
}

static void
hear(struct exchange *exchange, const char *text)
{
	json_t *wanted = parse(text), *message;
	char *line = NULL;
	size_t room = 0;

	assert_true(getline(&line, &room, exchange->hear) > 0);
	message = parse(line);
	forget_client(wanted, exchange->recorded_id);
	forget_client(message, exchange->id);
	if (!json_equal(wanted, message))
		fail_msg("heard %s instead of %s", line, text);
	json_decref(wanted);
	json_decref(message);
	free(line);
}

static void
take(struct exchange *exchange, char *message)
{
	if (message[0] == '$')
		type(exchange, message);
	else if (message[0] == '-')
		say(exchange, message + strlen("--> "));
	else
		hear(exchange, message + strlen("<-- "));
	free(message);
}

static void
recorded_exchange_of_a_server_is_still_true(void **state)
{
	struct page page;
	struct exchange exchange;
	char *message = NULL;
	size_t i = 0, count = 0;

	(void)state;
	page_read(&page, PAGE);
	begin(&exchange);
	while (!page_starts_with(page.lines[i], "A server, recorded"))
		i++;
	while (!page_starts_with(page.lines[i++], ".Bd"))
		;
	for (; strcmp(page.lines[i], ".Ed") != 0; i++, count++) {
		char *line = page.lines[i], *longer;

		if (line[0] == ' ') { /* broken in the page */
			longer = xasprintf("%s%s", message, line + strspn(line, " "));
			free(message);
			message = longer;
			continue;
		}
		if (message != NULL)
			take(&exchange, message);
		message = xstrdup(line);
	}
	take(&exchange, message);
	assert_true(count > 25);
	fclose(exchange.say);
	for (i = 0; i < exchange.helper_count; i++) {
		assert_int_equal(helper_wait(&exchange.helpers[i]), 0);
		helper_end(&exchange.helpers[i]);
	}
	fclose(exchange.hear);
	page_done(&page);
	instance_finish(&exchange.instance);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_in_python_is_one),
		cmocka_unit_test(server_in_bash_is_one),
		cmocka_unit_test(recorded_exchange_of_a_server_is_still_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
