/* cli: finds the verb and the instance, and runs it. */

#include "cli/cli.h"
#include "base/xalloc.h"
#include "cli/client.h"
#include "cli/escape.h"

#include <err.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define USUAL_WIDTH 80 /* where the terminal does not tell */

static const struct command *
find_command(const char *name)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}

int
cli_complain(int status, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("jobberd: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return status;
}

int
cli_fail(const struct error *error)
{
	return cli_complain(error->code, "%s", error->text);
}

void
cli_print_id(const struct invocation *invocation, int64_t id)
{
	printf(invocation->wants_json ? "{\"id\":%" PRId64 "}\n" : "%" PRId64 "\n", id);
}

bool
cli_is_interactive(void)
{
	return isatty(STDERR_FILENO) != 0;
}

size_t
cli_line_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col < 2)
		return USUAL_WIDTH - 1;
	return (size_t)size.ws_col - 1;
}

char *
cli_how_to_call(const struct invocation *invocation)
{
	struct buf line = { 0 };
	char *text;

	/* Found on PATH it is found there again; a path may be needed to get at it. */
	escape_add_word(&line,
	    strchr(invocation->program, '/') != NULL ? invocation->program : "jobberd");
	if (invocation->is_state_given) {
		buf_add_text(&line, " -C ");
		escape_add_word(&line, invocation->state);
	}
	text = xstrdup(buf_text(&line));
	buf_done(&line);
	return text;
}

int
cli_not_running(const struct invocation *invocation)
{
	char *call = cli_how_to_call(invocation);

	cli_complain(STATUS_NOT_RUNNING, "nothing runs on %s; start it with: %s supervise",
	    invocation->state, call);
	free(call);
	return STATUS_NOT_RUNNING;
}

static char *
default_state(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return xstrdup("/var/lib/jobberd");
	if (base != NULL && base[0] == '/')
		return xasprintf("%s/jobberd", base);
	if (home != NULL && home[0] == '/')
		return xasprintf("%s/.local/state/jobberd", home);
	exit(cli_complain(STATUS_CONFIG, "neither HOME nor XDG_STATE_HOME says where the state "
					 "directory is; give it with -C or JOBBERD_STATE"));
}

/* Absolute, so that it means the same to the supervisor and in what we print. */
static void
resolve_state(struct invocation *invocation)
{
	const char *from_environment = getenv("JOBBERD_STATE");
	char cwd[PATH_MAX], *resolved;

	if (invocation->state == NULL && from_environment != NULL &&
	    from_environment[0] != '\0')
		invocation->state = xstrdup(from_environment);
	invocation->is_state_given = invocation->state != NULL;
	if (invocation->state == NULL)
		invocation->state = default_state();
	resolved = realpath(invocation->state, NULL);
	if (resolved != NULL) {
		free(invocation->state);
		invocation->state = resolved;
	} else if (invocation->state[0] != '/' && getcwd(cwd, sizeof(cwd)) != NULL) {
		char *absolute = xasprintf("%s/%s", cwd, invocation->state);

		free(invocation->state);
		invocation->state = absolute;
	}
}

/* `jobberd -C DIR VERB …` is `jobberd VERB -C DIR …`. Returns how many to skip. */
static int
read_leading_options(struct invocation *invocation, int argc, char **argv)
{
	int used = 1;

	for (; used < argc && argv[used][0] == '-'; used++) {
		const char *word = argv[used];

		if (strncmp(word, "--state=", 8) == 0)
			options_take_state(invocation, word + 8);
		else if (strcmp(word, "-C") == 0 || strcmp(word, "--state") == 0)
			options_take_state(invocation, argv[++used]);
		else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
			options_print_overview();
			exit(STATUS_OK);
		} else if (strcmp(word, "--version") == 0) {
			printf("jobberd " JOBBERD_VERSION "\n");
			exit(STATUS_OK);
		} else
			exit(cli_complain(STATUS_USAGE, "there is no option %s before the verb; "
							"try `jobberd help`", word));
	}
	return used;
}

static int
finish(int status)
{
	if (fflush(stdout) == EOF || ferror(stdout))
		return cli_complain(STATUS_INTERNAL, "cannot write to standard output");
	return status;
}

int
cli_main(int argc, char **argv, const struct spawn_behaviour *behaviours)
{
	struct invocation invocation = {
		.program = argc > 0 ? argv[0] : "jobberd",
		.behaviours = behaviours,
	};
	int skipped, status;

	if (argc == 0)
		return STATUS_USAGE;
	skipped = read_leading_options(&invocation, argc, argv);
	if (skipped == argc) {
		options_print_overview();
		exit(finish(STATUS_USAGE));
	}
	invocation.command = find_command(argv[skipped]);
	if (invocation.command == NULL)
		exit(cli_complain(STATUS_USAGE, "there is no verb %s; try `jobberd help`",
		    argv[skipped]));
	options_parse(&invocation, argc - skipped, argv + skipped);
	if (!(invocation.command->flags & COMMAND_NEEDS_NO_STATE))
		resolve_state(&invocation);
	status = invocation.command->run(&invocation);
	spec_done(&invocation.spec);
	free(invocation.given);
	free(invocation.state);
	return finish(status);
}

int
verb_help(struct invocation *invocation)
{
	const struct command *command;

	if (invocation->argument_count == 0) {
		options_print_overview();
		return STATUS_OK;
	}
	command = find_command(invocation->arguments[0]);
	if (command == NULL)
		return cli_complain(
		    STATUS_USAGE, "there is no verb %s", invocation->arguments[0]);
	options_print_help(command);
	return STATUS_OK;
}

int
verb_version(struct invocation *invocation)
{
	(void)invocation;
	printf("jobberd " JOBBERD_VERSION "\n");
	return STATUS_OK;
}
