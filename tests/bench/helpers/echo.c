/*
 * echo: a server of libjobber that does nothing. A call is answered with its message, with our
 * pid if that is "pid"; a cast is forgotten.
 */

#include <jobber/gen_server.h>

#include <string.h>
#include <unistd.h>

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	const char *word = json_string_value(message);

	(void)server;
	(void)from;
	(void)state;
	if (word != NULL && strcmp(word, "pid") == 0)
		return gen_reply_with(json_integer(getpid()));
	return gen_reply_with(json_incref(message));
}

static struct gen_return
handle_cast(struct gen_server *server, json_t *message, void *state)
{
	(void)server;
	(void)message;
	(void)state;
	return gen_noreply();
}

int
main(int argc, char **argv)
{
	static const struct gen_server_ops ops = {
		.name = "echo", .handle_call = handle_call, .handle_cast = handle_cast,
	};

	return gen_server_main(&ops, argc, argv);
}
