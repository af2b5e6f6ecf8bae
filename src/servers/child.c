/*
 * child: a server for those who try out supervision: it can take its time, refuse, and write
 * down what happens to it. Arguments, in any order:
 *
 *	log=FILE           append "+NAME" when init has answered, "-NAME" when terminate has run
 *	trap               trap exits, so that terminate runs
 *	slow-init=MS       … so long before it answers
 *	slow-end=MS        … so long before terminate returns
 *	init-fifo=FILE     … until somebody has opened the fifo for writing, and closed it
 *	end-fifo=FILE
 *	refuse-if=FILE     init refuses while there is such a file, ignore-if likewise
 *	ignore-if=FILE
 *	crash-after=MS     abort, so long after init
 *
 * It hears: call pid, call attempt, cast crash, cast [stop, REASON], cast [slow, MS].
 */

#include <jobber/gen_server.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What follows NAME= among the arguments; "" if it is given alone, NULL if not at all. */
static const char *
option(const json_t *arguments, const char *name)
{
	size_t length = strlen(name), i;
	json_t *argument;

	json_array_foreach(arguments, i, argument) {
		const char *text = json_string_value(argument);

		if (text == NULL || strncmp(text, name, length) != 0)
			continue;
		if (text[length] == '=')
			return text + length + 1;
		if (text[length] == '\0')
			return "";
	}
	return NULL;
}

static void
sleep_ms(const char *text)
{
	long ms = text != NULL ? strtol(text, NULL, 10) : 0;
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (ms > 0 && nanosleep(&left, &left) == -1)
		; /* no signal makes it hurry */
}

static void
wait_for_writer(const char *path)
{
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char byte;

	while (fd != -1 && read(fd, &byte, 1) > 0)
		; /* until it has closed it */
	if (fd != -1)
		close(fd);
}

static bool
is_there(const char *path)
{
	return path != NULL && access(path, F_OK) == 0;
}

static void
note(const json_t *arguments, char sign)
{
	const char *path = option(arguments, "log"), *name = getenv("JOBBERD_NAME");
	char line[160];
	int fd, length;

	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	length = snprintf(line, sizeof(line), "%c%s\n", sign, name != NULL ? name : "");
	if (fd == -1 || write(fd, line, (size_t)length) != length)
		perror(path);
	if (fd != -1)
		close(fd);
}

static struct gen_return
init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	const char *crash = option(arguments, "crash-after");

	sleep_ms(option(arguments, "slow-init"));
	wait_for_writer(option(arguments, "init-fifo"));
	if (is_there(option(arguments, "refuse-if")))
		return gen_stop(json_string("refused"));
	if (is_there(option(arguments, "ignore-if")))
		return gen_ignore();
	gen_trap_exit(server, option(arguments, "trap") != NULL);
	if (crash != NULL)
		gen_send_after(server, NULL, json_string("crash"), strtol(crash, NULL, 10));
	note(arguments, '+');
	*ret_state = json_deep_copy(arguments);
	return gen_ok();
}

static const char *
word(const json_t *message)
{
	const char *text = json_string_value(
	    json_is_array(message) ? json_array_get(message, 0) : message);

	return text != NULL ? text : "";
}

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	const char *attempt = getenv("JOBBERD_ATTEMPT");

	(void)server;
	(void)from;
	(void)state;
	if (strcmp(word(message), "pid") == 0)
		return gen_reply_with(json_integer(getpid()));
	if (strcmp(word(message), "attempt") == 0)
		return gen_reply_with(json_string(attempt != NULL ? attempt : ""));
	return gen_unknown();
}

static struct gen_return
handle_message(struct gen_server *server, json_t *message, void *state)
{
	const json_t *argument = json_array_get(message, 1);
	char ms[32];

	(void)server;
	(void)state;
	if (strcmp(word(message), "crash") == 0)
		abort();
	if (strcmp(word(message), "stop") == 0)
		return gen_stop(json_incref((json_t *)argument));
	if (strcmp(word(message), "slow") == 0) {
		snprintf(ms, sizeof(ms), "%lld", (long long)json_integer_value(argument));
		sleep_ms(ms);
		return gen_noreply();
	}
	return gen_unknown();
}

static void
terminate(struct gen_server *server, const char *reason, void *state)
{
	(void)server;
	(void)reason;
	sleep_ms(option(state, "slow-end"));
	wait_for_writer(option(state, "end-fifo"));
	note(state, '-');
	json_decref(state);
}

static const struct gen_server_ops child_ops = {
	.name = "child",
	.init = init,
	.handle_call = handle_call,
	.handle_cast = handle_message,
	.handle_info = handle_message,
	.terminate = terminate,
};

int
main(int argc, char **argv)
{
	return gen_server_main(&child_ops, argc, argv);
}
