/*
 * counter: a server that counts, and that can be made to fail; durable if it is started so.
 * A message is a word, or an array of a word and its argument:
 *
 *	call  get            the number            cast  add [N]      N more, 1 if missing
 *	call  add [N]        the new number        cast  crash        die of a signal
 *	call  slow MS        "slept", so late      cast  slow MS      do nothing for so long
 *	call  stop REASON    end, with a reply     cast  tick MS [N]  add N in MS milliseconds
 *	cast  pass NAME N    N more, and cast add N to that server
 *	call  later MS       the number, in MS milliseconds, while others are served
 *	call  pid            the process
 */

#include <jobber/gen_server.h>

#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct counter {
	json_int_t count;
	struct gen_from *waiting; /* who asked `later`; one at a time */
};

static const char *
word(const json_t *message)
{
	const char *text = json_string_value(
	    json_is_array(message) ? json_array_get(message, 0) : message);

	return text != NULL ? text : "";
}

static json_int_t
number(const json_t *message, size_t place, json_int_t otherwise)
{
	const json_t *value = json_array_get(message, place);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void
sleep_ms(json_int_t ms)
{
	poll(NULL, 0, ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms);
}

static struct gen_return
init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	struct counter *counter;
	const char *first = json_string_value(json_array_get(arguments, 0));

	if (first != NULL && strcmp(first, "ignore") == 0)
		return gen_ignore();
	if (first != NULL && strcmp(first, "refuse") == 0)
		return gen_stop(json_string("refused"));
	gen_trap_exit(server, first != NULL && strcmp(first, "trap") == 0);
	counter = calloc(1, sizeof(*counter));
	if (counter == NULL)
		return gen_stop(json_string("out of memory"));
	*ret_state = counter;
	return gen_ok();
}

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	struct counter *counter = state;
	const char *wanted = word(message);

	if (strcmp(wanted, "get") == 0)
		return gen_reply_with(json_integer(counter->count));
	if (strcmp(wanted, "add") == 0)
		return gen_reply_with(json_integer(counter->count += number(message, 1, 1)));
	if (strcmp(wanted, "pid") == 0)
		return gen_reply_with(json_integer(getpid()));
	if (strcmp(wanted, "stop") == 0)
		return gen_stop_with_reply(json_array_size(message) > 1
			? json_incref(json_array_get(message, 1))
			: json_string("normal"),
		    json_string("stopping"));
	if (strcmp(wanted, "slow") == 0) {
		sleep_ms(number(message, 1, 1000));
		return gen_reply_with(json_string("slept"));
	}
	if (strcmp(wanted, "later") == 0 && counter->waiting == NULL) {
		counter->waiting = from;
		gen_send_after(server, NULL, json_string("later"), number(message, 1, 1000));
		return gen_noreply();
	}
	return gen_unknown();
}

static struct gen_return
handle_cast(struct gen_server *server, json_t *message, void *state)
{
	struct counter *counter = state;
	const char *wanted = word(message);

	if (strcmp(wanted, "add") == 0)
		counter->count += number(message, 1, 1);
	else if (strcmp(wanted, "crash") == 0)
		abort();
	else if (strcmp(wanted, "slow") == 0)
		sleep_ms(number(message, 1, 1000));
	else if (strcmp(wanted, "pass") == 0) {
		counter->count += number(message, 2, 1);
		gen_cast(server, json_string_value(json_array_get(message, 1)),
		    json_pack("[s, I]", "add", number(message, 2, 1)));
	} else if (strcmp(wanted, "tick") == 0)
		gen_send_after(server, NULL,
		    json_pack("[s, I]", "add", number(message, 2, 1)), number(message, 1, 1000));
	else
		return gen_unknown();
	return gen_noreply();
}

static struct gen_return
handle_info(struct gen_server *server, json_t *message, void *state)
{
	struct counter *counter = state;
	const char *wanted = word(message);

	if (strcmp(wanted, "add") == 0) {
		counter->count += number(message, 1, 1);
		return gen_noreply();
	}
	if (strcmp(wanted, "later") == 0) {
		if (counter->waiting != NULL)
			gen_reply(server, counter->waiting, json_integer(counter->count));
		counter->waiting = NULL;
		return gen_noreply();
	}
	return gen_unknown();
}

static void
terminate(struct gen_server *server, const char *reason, void *state)
{
	gen_log(server, "terminate: %s", reason);
	free(state);
}

static json_t *
dump(void *state)
{
	const struct counter *counter = state;

	return json_integer(counter->count);
}

static struct gen_return
load(struct gen_server *server, const json_t *arguments, const json_t *dumped, void **ret_state)
{
	struct gen_return what = init(server, arguments, ret_state);

	if (what.verb == GEN_OK)
		((struct counter *)*ret_state)->count = json_integer_value(dumped);
	return what;
}

static const struct gen_server_ops counter_ops = {
	.name = "counter",
	.init = init,
	.handle_call = handle_call,
	.handle_cast = handle_cast,
	.handle_info = handle_info,
	.terminate = terminate,
	.dump = dump,
	.load = load,
};

int
main(int argc, char **argv)
{
	return gen_server_main(&counter_ops, argc, argv);
}
