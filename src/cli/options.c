/*
 * options: argv by way of getopt_long, usage and help, all from the table of verbs. The
 * options of a job come from spec_options and go through its setters.
 */

#include "base/text.h"
#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/escape.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row common_options[] = {
	{ "state", 'C', "DIR", "the instance: its state directory" },
	{ "help", 'h', NULL, "this text" },
	{ NULL, 0, NULL, NULL },
};
static const struct option_row json_option = { "json", 'j', NULL, "print JSON" };

#define MOST_OPTIONS 64
#define LEFT_WIDTH 32 /* columns of an option and its argument, before its help */
#define FIRST_VALUE 1000 /* what getopt_long returns for the first long option */

/* All options of a verb in one list: row i is option i of getopt_long. */
struct option_list {
	struct option_row rows[MOST_OPTIONS];
	const struct spec_option *specs[MOST_OPTIONS]; /* NULL: the verb's own */
	size_t count;
};

static void
add_row(struct option_list *list, const struct option_row *row,
    const struct spec_option *spec)
{
	if (list->count == MOST_OPTIONS)
		abort();
	list->rows[list->count] = *row;
	list->specs[list->count++] = spec;
}

static bool
has_row(const struct option_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->rows[i].name, name) == 0)
			return true;
	}
	return false;
}

/* A letter that the verb has for something else is not its letter there. */
static struct option_row
without_taken_letter(const struct option_list *list, struct option_row row)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->rows[i].letter == row.letter)
			row.letter = 0;
	}
	return row;
}

/* One whose name is an option of the verb's own is known by its letter there: its name is "". */
static void
add_common(struct option_list *list)
{
	for (const struct option_row *row = common_options; row->name != NULL; row++) {
		struct option_row common = *row;

		if (has_row(list, row->name))
			common.name = "";
		add_row(list, &common, NULL);
	}
}

static bool
makes_server(const struct command *command)
{
	return (command->flags & COMMAND_STARTS_SERVER) != 0;
}

/* Is it an option of what this verb makes? */
static bool
takes(const struct command *command, const struct spec_option *option)
{
	if (!(command->flags & COMMAND_TAKES_SPEC))
		return false;
	if (strcmp(option->name, "name") == 0 && makes_server(command))
		return false; /* it is an argument there */
	return option->kind == SPEC_ANY || option->kind == SPEC_WORK ||
	    (option->kind == SPEC_SERVER || option->kind == SPEC_PLAIN) == makes_server(command);
}

static void
collect(const struct command *command, struct option_list *list)
{
	list->count = 0;
	for (const struct option_row *row = command->options; row != NULL && row->name != NULL;
	     row++)
		add_row(list, row, NULL);
	for (const struct spec_option *spec = spec_options; spec->name != NULL; spec++) {
		const struct option_row row = { spec->name, spec->letter, spec->argument,
			spec->help };

		if (takes(command, spec))
			add_row(list, &row, spec);
	}
	if (command->flags & COMMAND_PRINTS_DATA) {
		const struct option_row json = without_taken_letter(list, json_option);

		add_row(list, &json, NULL);
	}
	add_common(list);
}

/* Of the servers only pools have something that is tried again. */
static const char *
whose(const struct command *command, const struct spec_option *option)
{
	return option != NULL && option->kind == SPEC_WORK && makes_server(command)
	    ? "in a pool: "
	    : "";
}

static void
print_option(const struct option_row *row, const char *whose_it_is)
{
	const char *argument = row->argument != NULL ? row->argument : "";
	char left[64];
	int width;

	snprintf(left, sizeof(left), "%s%c%s%s%s%s%s", row->letter != 0 ? "-" : " ",
	    row->letter != 0 ? row->letter : ' ',
	    row->name[0] == '\0'  ? ""
		: row->letter != 0 ? ","
				   : " ",
	    row->name[0] != '\0' ? " --" : "", row->name,
	    argument[0] != '\0' && argument[0] != '[' ? " " : "", argument);
	width = (int)escape_width(left, strlen(left));
	printf("  %s%*s %s%s\n", left, width < LEFT_WIDTH ? LEFT_WIDTH - width : 0, "",
	    whose_it_is, row->help);
}

void
options_print_help(const struct command *command)
{
	struct option_list list;

	collect(command, &list);
	printf("usage: jobberd %s [options]%s%s\n%s\n\n", command->name,
	    command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
	for (size_t i = 0; i < list.count; i++)
		print_option(&list.rows[i], whose(command, list.specs[i]));
}

void
options_print_overview(void)
{
	printf("usage: jobberd [-C DIR] VERB [options] [--] [arguments]\n\n");
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (!(command->flags & COMMAND_IS_INTERNAL))
			printf("  %-10s %s\n", command->name, command->summary);
	}
	printf("\n`jobberd help VERB` tells its options; jobberd(1) tells all.\n");
}

void
options_take_state(struct invocation *invocation, const char *value)
{
	if (value == NULL || value[0] == '\0')
		exit(cli_complain(STATUS_USAGE, "--state wants DIR"));
	free(invocation->state);
	invocation->state = xstrdup(value);
}

static void
take_option(struct invocation *invocation, const struct option_list *list, size_t index,
    const char *value)
{
	const struct option_row *row = &list->rows[index];
	const struct option_row *own;
	struct error error;

	if (list->specs[index] != NULL) {
		if (spec_set(&invocation->spec, list->specs[index],
			value != NULL ? value : "true", clock_wall(), &error) == -1)
			exit(cli_fail(&error));
		return;
	}
	if (strcmp(row->name, "help") == 0) {
		options_print_help(invocation->command);
		exit(STATUS_OK);
	}
	if (row->letter == 'C') {
		options_take_state(invocation, value);
		return;
	}
	if (strcmp(row->name, "json") == 0) {
		invocation->wants_json = true;
		return;
	}
	for (own = invocation->command->options; strcmp(own->name, row->name) != 0; own++)
		;
	invocation->given = xreallocarray(
	    invocation->given, invocation->given_count + 1, sizeof(invocation->given[0]));
	invocation->given[invocation->given_count++] = (struct given){ own, value };
}

static void
bad_usage(const struct command *command)
{
	fprintf(stderr, "jobberd: usage: jobberd %s [options]%s%s (jobberd help %s)\n",
	    command->name,
	    command->arguments[0] != '\0' ? " " : "", command->arguments, command->name);
	exit(STATUS_USAGE);
}

static bool
begins_several(const struct option_list *list, const char *word)
{
	size_t length = strcspn(word, "="), count = 0;

	for (size_t i = 0; length > 2 && i < list->count; i++)
		count += strncmp(list->rows[i].name, word + 2, length - 2) == 0;
	return count > 1;
}

static bool
is_whole_name(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, length) == 0 &&
	    (word[length + 2] == '\0' || word[length + 2] == '=');
}

/* An option of jobs, by its letter or else by its word, that this verb does not take. */
static const struct spec_option *
find_not_taken(const struct command *command, const char *word, int letter)
{
	if (!(command->flags & COMMAND_TAKES_SPEC))
		return NULL;
	for (const struct spec_option *option = spec_options; option->name != NULL; option++) {
		if ((letter != 0 ? option->letter == letter
				 : is_whole_name(word, option->name)) &&
		    !takes(command, option))
			return option;
	}
	return NULL;
}

static int
not_taken(const struct command *command, const struct spec_option *option)
{
	if (strcmp(option->name, "name") == 0)
		return cli_complain(
		    STATUS_USAGE, "%s: the name is given as an argument", command->name);
	return cli_complain(STATUS_USAGE, "%s: --%s is %s", command->name, option->name,
	    makes_server(command)
		? "for commands: a server is restarted as --restart says, and has no "
		  "standard input"
		: "only for a server (jobberd help start)");
}

/* What getopt_long(3) has to say, as one sentence of ours. */
static int
bad_option(const struct command *command, const struct option_list *list, int value,
    const char *word)
{
	const struct option_row *row = NULL;
	const struct spec_option *option = find_not_taken(command, word, optopt);
	const char *verb = command->name;

	for (size_t i = 0; i < list->count; i++) {
		if (optopt == FIRST_VALUE + (int)i ||
		    (optopt != 0 && optopt == list->rows[i].letter))
			row = &list->rows[i];
	}
	if (row != NULL && value == ':')
		return cli_complain(STATUS_USAGE, "%s: %s%s wants %s", verb,
		    row->name[0] != '\0' ? "--" : "-C", row->name, row->argument);
	if (row != NULL)
		return cli_complain(STATUS_USAGE, "%s: --%s takes no value", verb, row->name);
	if (option != NULL)
		return not_taken(command, option);
	if (optopt != 0)
		return cli_complain(STATUS_USAGE, "%s has no option -%c (jobberd help %s)", verb,
		    optopt, verb);
	return cli_complain(STATUS_USAGE,
	    begins_several(list, word) ? "%s: %s may be several options (jobberd help %s)"
				       : "%s has no option %s (jobberd help %s)",
	    verb, word, verb);
}

static void
prepare(const struct option_list *list, bool stops_at_first, struct option *longs,
    char *shorts)
{
	size_t used = 0;

	/* '+': what follows the first argument is the job's own command line. */
	if (stops_at_first)
		shorts[used++] = '+';
	shorts[used++] = ':'; /* what is wrong is said by bad_option() */
	for (size_t i = 0; i < list->count; i++) {
		const struct option_row *row = &list->rows[i];

		longs[i] = (struct option){ row->name,
			row->argument == NULL	      ? no_argument
			    : row->argument[0] == '[' ? optional_argument
						      : required_argument,
			NULL, FIRST_VALUE + (int)i };
		if (row->letter == 0)
			continue;
		shorts[used++] = row->letter;
		if (row->argument != NULL)
			shorts[used++] = ':';
	}
	longs[list->count] = (struct option){ 0 };
	shorts[used] = '\0';
}

static size_t
find_option(const struct option_list *list, int value)
{
	size_t i = 0;

	if (value >= FIRST_VALUE)
		return (size_t)(value - FIRST_VALUE);
	while (i < list->count && list->rows[i].letter != value)
		i++;
	return i;
}

/* getopt_long(3), to which the whole name of one that is not taken may be short for another. */
static int
next_option(const struct command *command, int argc, char **argv, const char *shorts,
    const struct option *longs)
{
	const char *word = argv[optind != 0 ? optind : 1];
	int value = getopt_long(argc, argv, shorts, longs, NULL);
	const struct spec_option *option =
	    value >= FIRST_VALUE ? find_not_taken(command, word, 0) : NULL;

	if (option != NULL)
		exit(not_taken(command, option));
	return value;
}

void
options_parse(struct invocation *invocation, int argc, char **argv)
{
	const struct command *command = invocation->command;
	struct option longs[MOST_OPTIONS + 1];
	char shorts[3 * MOST_OPTIONS + 3];
	struct option_list list;
	int value;

	collect(command, &list);
	prepare(&list, (command->flags & COMMAND_TAKES_SPEC) != 0, longs, shorts);
	spec_init(&invocation->spec);
	optind = opterr = 0;
	while ((value = next_option(command, argc, argv, shorts, longs)) != -1) {
		if (value == '?' || value == ':')
			exit(bad_option(command, &list, value, argv[optind - 1]));
		take_option(invocation, &list, find_option(&list, value), optarg);
	}
	invocation->arguments = argv + optind;
	invocation->argument_count = argc - optind;
	if (invocation->argument_count < command->least ||
	    (command->most != -1 && invocation->argument_count > command->most))
		bad_usage(command);
}

const char *
option_value(const struct invocation *invocation, const char *name)
{
	for (size_t i = invocation->given_count; i-- > 0;) {
		if (strcmp(invocation->given[i].option->name, name) == 0)
			return invocation->given[i].value != NULL ? invocation->given[i].value
								  : "";
	}
	return NULL;
}

bool
option_is_given(const struct invocation *invocation, const char *name)
{
	return option_value(invocation, name) != NULL;
}

int64_t
option_number(const struct invocation *invocation, const char *name, int64_t least,
    int64_t most, int64_t otherwise)
{
	const char *text = option_value(invocation, name);
	int64_t number = otherwise;

	if (text != NULL && text_number(text, least, most, &number) == -1)
		exit(most == INT64_MAX
			? cli_complain(STATUS_USAGE, "%s: \"%s\" is not a number from %lld up",
			      name, text, (long long)least)
			: cli_complain(STATUS_USAGE,
			      "%s: \"%s\" is not a number from %lld to %lld", name, text,
			      (long long)least, (long long)most));
	return number;
}

int64_t
option_duration(const struct invocation *invocation, const char *name, int64_t otherwise)
{
	const char *text = option_value(invocation, name);
	int64_t ms = otherwise;

	if (text != NULL && text_duration(text, &ms) == -1)
		exit(cli_complain(STATUS_USAGE, "%s: \"%s\" is not %s", name, text,
		    text_duration_wanted(text, 0)));
	return ms;
}
