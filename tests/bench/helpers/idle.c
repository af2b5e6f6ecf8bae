/*
 * idle: a server that answers with its pid. With words this is a program that is its own
 * supervisor, which forks such servers; without any it is one.
 */

#include <jobber/jobber.h>

#include <unistd.h>

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	(void)server, (void)message, (void)from, (void)state;
	return gen_reply_with(json_integer(getpid()));
}

static const struct gen_server_ops idle = { .name = "idle", .handle_call = handle_call };

static const struct jobber_behaviour behaviours[] = {
	{ .name = "idle", .server = &idle },
	{ .name = NULL },
};

int
main(int argc, char **argv)
{
	return argc > 1 ? jobber_main(argc, argv, behaviours)
			: gen_server_main(&idle, argc, argv);
}
