/* runtime: a supervisor's bytes to a server. Whatever they are, the server ends with the stream. */

#include "fuzz/fuzz.h"
#include "runtime/runtime.h"

#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

/* What fits into a socket at once. */
#define MOST (32 << 10)

static struct gen_from *waiting;

static struct gen_return
init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	(void)arguments;
	gen_trap_exit(server, true); /* what is in the mailbox is handled at the end */
	waiting = NULL;
	*ret_state = json_integer(0);
	return gen_ok();
}

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	(void)server, (void)state;
	if (json_is_string(message) && waiting == NULL) {
		waiting = from;
		return gen_noreply();
	}
	if (json_is_array(message))
		return gen_stop_with_reply(json_string("normal"), json_incref(message));
	return json_is_null(message) ? gen_unknown() : gen_reply_with(json_incref(message));
}

static struct gen_return
act(struct gen_server *server, json_t *message)
{
	int64_t number = json_integer_value(message);
	const char *text = json_string_value(message);

	if (text == NULL)
		text = "";
	if (strcmp(text, "call") == 0)
		json_decref(gen_call(server, "other", NULL, 5, NULL));
	else if (strcmp(text, "answer") == 0 && waiting != NULL) {
		gen_reply(server, waiting, NULL);
		waiting = NULL;
	} else if (strcmp(text, "timer") == 0)
		gen_cancel_timer(server, gen_send_after(server, NULL, NULL, 5));
	else if (strcmp(text, "monitor") == 0)
		gen_demonitor(server, gen_monitor(server, "other"));
	else if (strcmp(text, "job") == 0)
		gen_start_job(server, json_object(), NULL);
	else if (strcmp(text, "continue") == 0)
		return gen_then_continue(gen_noreply(), NULL);
	else if (strcmp(text, "bad") == 0)
		return gen_ok();
	else if (number > 0)
		gen_await(server, number, 0, NULL, NULL);
	return gen_noreply();
}

static struct gen_return
handle_message(struct gen_server *server, json_t *message, void *state)
{
	(void)state;
	return act(server, message);
}

static void
terminate(struct gen_server *server, const char *reason, void *state)
{
	gen_log(server, "%s", reason);
	json_decref(state);
}

static json_t *
dump(void *state)
{
	return json_incref(state);
}

static struct gen_return
load(struct gen_server *server, const json_t *arguments, const json_t *dumped, void **ret_state)
{
	(void)dumped;
	return init(server, arguments, ret_state);
}

static const struct gen_server_ops ops = {
	.name = "fuzzed",
	.init = init,
	.handle_continue = handle_message,
	.handle_call = handle_call,
	.handle_cast = handle_message,
	.handle_info = handle_message,
	.terminate = terminate,
	.dump = dump,
	.load = load,
};

/* The first byte says whether the server is durable. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const inits[] = {
		"{\"id\":0,\"method\":\"init\",\"params\":{\"name\":\"a\"}}\n",
		"{\"id\":0,\"method\":\"init\",\"params\":{\"durable\":true,\"state\":1}}\n",
	};
	const char *first = inits[size > 0 && data[0] == 'd'];
	char *none[] = { (char *)"fuzzed", NULL };
	int ends[2], status;

	if (size == 0 || size > MOST)
		return 0;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	must(send(ends[0], first, strlen(first), 0) == (ssize_t)strlen(first));
	must(send(ends[0], data + 1, size - 1, 0) == (ssize_t)size - 1);
	close(ends[0]);
	status = gen_server_run(&ops, ends[1], 1, none);
	must(status == 0 || status == 70);
	return 0;
}
