/* serve: the verbs that run, end and describe the processes themselves. */

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "keeper/keeper.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Descriptors 0 to 2 exist, so that no file of ours becomes one of them. */
static void
ensure_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd != -1 && fd <= STDERR_FILENO);
	if (fd != -1)
		close(fd);
}

static void
print_ready(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

int
verb_supervise(struct invocation *invocation)
{
	const char *max_children = option_value(invocation, "max-children");
	const char *arguments[8] = { "jobberd", "-C", invocation->state, "_supervisor" };
	struct keeper_setup setup = {
		.state_directory = invocation->state,
		.program = "/proc/self/exe",
		.arguments = (char *const *)arguments,
		.ready = print_ready,
	};
	struct error error = { 0 };
	size_t count = 4;
	int status;

	option_number(invocation, "max-children", 0, 100000, -1); /* a bad one ends here */
	if (option_is_given(invocation, "drain"))
		arguments[count++] = "--drain";
	if (max_children != NULL) {
		arguments[count++] = "--max-children";
		arguments[count++] = max_children;
	}
	ensure_standard_descriptors();
	umask(077);
	if (file_make_directories(invocation->state) == -1)
		return cli_complain(
		    STATUS_CONFIG, "%s: %s", invocation->state, strerror(errno));
	status = keeper_run(&setup, &error);
	if (status != STATUS_OK && error.text[0] != '\0')
		return cli_fail(&error);
	return status;
}

int
verb_supervisor_process(struct invocation *invocation)
{
	struct supervisor_setup setup = {
		.state_directory = invocation->state,
		.drains = option_is_given(invocation, "drain"),
		.max_children = option_number(invocation, "max-children", 0, 100000, -1),
		.link_fd = KEEPER_LINK_FD,
		.listen_fd = KEEPER_LISTEN_FD,
	};
	struct error error = { 0 };
	int status;

	/* The lock is held by being open; none of the three goes further than here. */
	for (int fd = KEEPER_LINK_FD; fd < KEEPER_LINK_FD + KEEPER_FD_COUNT; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			return cli_complain(
			    STATUS_USAGE, "this verb is for `supervise` itself");
	}
	status = supervisor_run(&setup, &error);
	if (error.text[0] != '\0')
		log_error("%s", error.text);
	return status;
}

int
verb_shutdown(struct invocation *invocation)
{
	bool leaves = option_is_given(invocation, "leave");
	struct client_connection connection;
	struct error error;
	json_t *result;
	char byte;

	if (leaves && option_is_given(invocation, "now"))
		return cli_complain(STATUS_USAGE, "leave, now: only one of them");
	if (client_open(&connection, invocation->state, &error) == -1)
		return error.code == STATUS_NOT_RUNNING ? cli_not_running(invocation)
							: cli_fail(&error);
	result = client_call(&connection, "shutdown",
	    json_pack("{s:b, s:b}", "leave", leaves, "now",
		option_is_given(invocation, "now")),
	    NULL, &error);
	if (result == NULL) {
		client_close(&connection);
		return cli_fail(&error);
	}
	fprintf(stderr, "%s: %" JSON_INTEGER_FORMAT " running %s\n",
	    leaves ? "leaving" : "stopping",
	    json_integer_value(json_object_get(result, "running")),
	    leaves ? "run on" : "are ended");
	json_decref(result);
	/* The connection ends with the supervisor process. */
	while (read(connection.fd, &byte, 1) > 0)
		;
	client_close(&connection);
	return STATUS_OK;
}
