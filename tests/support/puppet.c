#include "support/puppet.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct puppet {
	json_t *state;
	struct gen_from *from;
};

/* Not lost when it ends without terminate. */
static struct puppet *volatile the_puppet;

static json_t *
text(const json_t *step, size_t place)
{
	return json_array_get(step, place);
}

static const char *
word(const json_t *step, size_t place)
{
	return json_string_value(text(step, place));
}

static int64_t
number(const json_t *step, size_t place)
{
	return json_integer_value(text(step, place));
}

static json_t *
value(const json_t *step, size_t place)
{
	json_t *found = json_array_get(step, place);

	return found != NULL ? json_incref(found) : NULL;
}

/* What a step gives; taken over. NULL: the error. */
static void
log_result(struct gen_server *server, const char *step, json_t *result,
    struct gen_error *error)
{
	char *dumped;

	if (result == NULL) {
		gen_log(server, "%s: %s (%s)", step, error->word, error->reason);
		gen_error_done(error);
		return;
	}
	dumped = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	gen_log(server, "%s: %s", step, dumped);
	free(dumped);
	json_decref(result);
}

static json_t *
long_string(int64_t length)
{
	char *bytes = xmalloc((size_t)length + 1);
	json_t *string;

	memset(bytes, 'x', (size_t)length);
	string = json_stringn(bytes, (size_t)length);
	free(bytes);
	return string;
}

static void
log_await(struct gen_server *server, const char *step, enum gen_await end, json_t *result,
    struct gen_error *error)
{
	if (end == GEN_AWAIT_OK)
		log_result(server, step, result, error);
	else
		log_result(server, step, NULL, error);
}

static void
do_talk(struct gen_server *server, const char *step, const json_t *words)
{
	struct gen_error error = { .data = NULL };

	if (strcmp(step, "call") == 0)
		log_result(server, step, gen_call(server, word(words, 1), value(words, 2),
		    text(words, 3) != NULL ? number(words, 3) : GEN_DEFAULT_TIMEOUT, &error),
		    &error);
	else if (strcmp(step, "cast") == 0)
		gen_cast(server, word(words, 1), value(words, 2));
	else if (strcmp(step, "send") == 0)
		gen_send(server, word(words, 1), value(words, 2));
	else if (strcmp(step, "cast_long") == 0)
		gen_cast(server, word(words, 1), long_string(number(words, 2)));
	else if (strcmp(step, "call_long") == 0)
		log_result(server, step, gen_call(server, word(words, 1),
		    long_string(number(words, 2)), GEN_INFINITY, &error), &error);
	else if (strcmp(step, "whereis") == 0)
		log_result(server, step, json_integer(gen_whereis(server, word(words, 1))), NULL);
	else if (strcmp(step, "monitor") == 0)
		log_result(server, step, json_integer(gen_monitor(server, word(words, 1))), NULL);
	else if (strcmp(step, "demonitor") == 0)
		gen_demonitor(server, number(words, 1));
	else if (strcmp(step, "progress") == 0)
		gen_progress(server, json_number_value(text(words, 1)), word(words, 2));
}

/* Both lists of a multi_call in one. */
static json_t *
multi_call(struct gen_server *server, const json_t *words, struct gen_error *error)
{
	json_t *replies = NULL, *bad = NULL;

	if (gen_multi_call(server, word(words, 1), value(words, 2),
		text(words, 3) != NULL ? number(words, 3) : GEN_DEFAULT_TIMEOUT, &replies, &bad,
		error) == -1)
		return NULL;
	return json_pack("[o, o]", replies, bad);
}

static void
do_groups(struct gen_server *server, const char *step, const json_t *words)
{
	struct gen_error error = { .data = NULL };
	int result;

	if (strcmp(step, "multi_call") == 0) {
		log_result(server, step, multi_call(server, words, &error), &error);
		return;
	}
	if (strcmp(step, "abcast") == 0)
		gen_abcast(server, word(words, 1), value(words, 2));
	if (strcmp(step, "join") != 0 && strcmp(step, "leave") != 0)
		return;
	result = step[0] == 'j' ? gen_join(server, word(words, 1), &error)
				: gen_leave(server, word(words, 1), &error);
	log_result(server, step, result == 0 ? json_true() : NULL, &error);
}

static void
do_timers(struct gen_server *server, const char *step, const json_t *words)
{
	int64_t got;

	if (strcmp(step, "send_after") == 0)
		got = gen_send_after(server, word(words, 1), value(words, 2), number(words, 3));
	else if (strcmp(step, "cancel_timer") == 0)
		got = gen_cancel_timer(server, number(words, 1));
	else if (strcmp(step, "read_timer") == 0)
		got = gen_read_timer(server, number(words, 1));
	else
		return;
	log_result(server, step, json_integer(got), NULL);
}

static void
do_tasks(struct gen_server *server, const char *step, const json_t *words)
{
	struct gen_error error = { .data = NULL };
	json_t *result = NULL;
	enum gen_await end;
	int64_t id;

	if (strcmp(step, "start_job") == 0 || strcmp(step, "async") == 0) {
		id = step[0] == 's' ? gen_start_job(server, value(words, 1), &error)
				    : gen_async(server, value(words, 1), &error);
		log_result(server, step, id != -1 ? json_integer(id) : NULL, &error);
	} else if (strcmp(step, "link_task") == 0) {
		gen_link_task(server, number(words, 1));
	} else if (strcmp(step, "await") == 0) {
		end = gen_await(server, number(words, 1), number(words, 2), &result, &error);
		log_await(server, step, end, result, &error);
	} else if (strcmp(step, "shutdown_task") == 0) {
		end = gen_shutdown_task(server, number(words, 1), &result, &error);
		if (end == GEN_AWAIT_TIMEOUT)
			gen_log(server, "%s: ended now", step);
		else
			log_await(server, step, end, result, &error);
	}
}

/* Fifos of a test: our pid for who reads the one; until somebody writes to the other. */
static void
tell_pid(const char *path)
{
	FILE *file = fopen(path, "w");

	fprintf(file, "%d\n", (int)getpid());
	fclose(file);
}

static void
wait_for_line(const char *path)
{
	FILE *file = fopen(path, "r");

	getc(file);
	fclose(file);
}

static void
do_self(struct gen_server *server, struct puppet *puppet, struct gen_from *from,
    const char *step, const json_t *words)
{
	if (strcmp(step, "set") == 0) {
		json_decref(puppet->state);
		puppet->state = value(words, 1);
	} else if (strcmp(step, "keep") == 0)
		puppet->from = from;
	else if (strcmp(step, "answer") == 0)
		gen_reply(server, puppet->from, value(words, 1));
	else if (strcmp(step, "answer_error") == 0)
		gen_reply_error(server, puppet->from, word(words, 1), value(words, 2));
	else if (strcmp(step, "trap_exit") == 0)
		gen_trap_exit(server, json_is_true(text(words, 1)));
	else if (strcmp(step, "crash") == 0)
		abort();
	else if (strcmp(step, "exit") == 0)
		exit((int)number(words, 1));
	else if (strcmp(step, "tell") == 0)
		tell_pid(word(words, 1));
	else if (strcmp(step, "wait") == 0)
		wait_for_line(word(words, 1));
	else if (strcmp(step, "who") == 0)
		gen_log(server, "%s %lld %lld %s %s", gen_name(server),
		    (long long)gen_id(server), (long long)gen_attempt(server),
		    gen_is_durable(server) ? "durable" : "not durable",
		    from != NULL ? gen_from_name(from) : "nobody");
}

static enum gen_verb
verb(const json_t *script, enum gen_verb otherwise)
{
	static const char *const verbs[] = { "ok", "ignore", "reply", "noreply", "stop",
		"unknown" };
	const json_t *wanted = json_object_get(script, "verb");

	if (json_is_integer(wanted))
		return (enum gen_verb)json_integer_value(wanted);
	for (size_t i = 0; wanted != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(json_string_value(wanted), verbs[i]) == 0)
			return (enum gen_verb)i;
	}
	return otherwise;
}

static json_t *
member(const json_t *script, const char *name)
{
	json_t *found = json_object_get(script, name);

	return found != NULL ? json_incref(found) : NULL;
}

/* A number, or one for each server that has another name. */
static json_int_t
length_of_reply(const struct gen_server *server, const json_t *script)
{
	const json_t *length = json_object_get(script, "long_reply");

	return json_integer_value(json_is_object(length)
		? json_object_get(length, gen_name(server)) : length);
}

static struct gen_return
perform(struct gen_server *server, struct puppet *puppet, struct gen_from *from,
    const json_t *script, enum gen_verb otherwise)
{
	struct gen_return what = gen_noreply();
	const json_t *steps = json_object_get(script, "do"), *words;
	size_t i;

	json_array_foreach(steps, i, words) {
		const char *step = word(words, 0);

		do_self(server, puppet, from, step, words);
		do_talk(server, step, words);
		do_groups(server, step, words);
		do_timers(server, step, words);
		do_tasks(server, step, words);
	}
	what.verb = verb(script, otherwise);
	what.reply = member(script, "reply");
	if (json_object_get(script, "long_reply") != NULL)
		what.reply = long_string(length_of_reply(server, script));
	if (json_object_get(script, "nul_reply") != NULL)
		what.reply = json_stringn("a\0b", 3);
	if (json_object_get(script, "reply_state") != NULL)
		what.reply = json_incref(puppet->state);
	what.reason = member(script, "reason");
	what.continue_with = member(script, "continue");
	if (json_object_get(script, "timeout") != NULL)
		what = gen_then_timeout(
		    what, json_integer_value(json_object_get(script, "timeout")));
	what.hibernates = json_object_get(script, "hibernate") != NULL;
	return what;
}

static void
log_callback(struct gen_server *server, const char *callback, const json_t *message)
{
	char *dumped;

	if (json_is_object(message)) {
		if (!json_is_true(json_object_get(message, "quiet")) &&
		    json_object_get(message, "down") == NULL &&
		    json_object_get(message, "exit") == NULL &&
		    json_object_get(message, "task") == NULL) {
			gen_log(server, "%s", callback);
			return;
		}
		if (json_is_true(json_object_get(message, "quiet")))
			return;
	}
	dumped = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	gen_log(server, "%s %s", callback, dumped);
	free(dumped);
}

static struct gen_return
make(struct gen_server *server, const json_t *arguments, const json_t *dumped,
    void **ret_state)
{
	struct puppet *puppet = xcalloc(1, sizeof(*puppet));
	const char *first = json_string_value(json_array_get(arguments, 0));
	json_t *script = json_loads(first != NULL ? first : "{}", 0, NULL);
	struct gen_return what;

	puppet->state = dumped != NULL ? json_deep_copy(dumped) : json_integer(0);
	*ret_state = the_puppet = puppet;
	what = perform(server, puppet, NULL, script, GEN_OK);
	json_decref(script);
	return what;
}

static struct gen_return
init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	return make(server, arguments, NULL, ret_state);
}

static struct gen_return
load(struct gen_server *server, const json_t *arguments, const json_t *dumped,
    void **ret_state)
{
	return make(server, arguments, dumped, ret_state);
}

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	log_callback(server, "call", message);
	if (!json_is_object(message))
		return gen_reply_with(json_incref(message));
	return perform(server, state, from, message, GEN_REPLY);
}

static struct gen_return
handle_cast(struct gen_server *server, json_t *message, void *state)
{
	log_callback(server, "cast", message);
	return perform(server, state, NULL, message, GEN_NOREPLY);
}

static struct gen_return
handle_info(struct gen_server *server, json_t *message, void *state)
{
	log_callback(server, "info", message);
	return perform(server, state, NULL, message, GEN_NOREPLY);
}

static struct gen_return
handle_continue(struct gen_server *server, json_t *argument, void *state)
{
	log_callback(server, "continue", argument);
	return perform(server, state, NULL, argument, GEN_NOREPLY);
}

static json_t *
dump(void *state)
{
	struct puppet *puppet = state;

	return json_is_string(puppet->state) &&
		strcmp(json_string_value(puppet->state), "none") == 0
	    ? NULL
	    : json_incref(puppet->state);
}

/* A state that is an array is steps for the end. */
static void
terminate(struct gen_server *server, const char *reason, void *state)
{
	struct puppet *puppet = state;
	json_t *script = json_pack("{s:O}", "do", puppet->state);
	char *dumped = json_dumps(puppet->state, JSON_COMPACT | JSON_ENCODE_ANY);

	gen_log(server, "terminate %s %s", reason, dumped);
	perform(server, puppet, NULL, script, GEN_NOREPLY);
	free(dumped);
	json_decref(script);
	json_decref(puppet->state);
	free(puppet);
	the_puppet = NULL;
}

const struct gen_server_ops puppet_ops = {
	.name = "puppet",
	.init = init,
	.handle_continue = handle_continue,
	.handle_call = handle_call,
	.handle_cast = handle_cast,
	.handle_info = handle_info,
	.terminate = terminate,
	.dump = dump,
	.load = load,
};

const struct gen_server_ops puppet_bare_ops = {
	.name = "bare",
	.init = init,
	.terminate = terminate,
};
