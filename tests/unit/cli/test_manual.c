/*
 * The man pages and the tables that the program is made of: what `help` says is in
 * jobberd(1), and nothing else is; every method is in jobberd-protocol(7).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "supervisor/client.h"
#include "support/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_OPTIONS 64

/* "…" on the terminal is "..." in a page. */
static void
without_ellipses(char *text)
{
	char *at;

	while ((at = strstr(text, "…")) != NULL)
		memcpy(at, "...", strlen("..."));
}

/* ---- options ---- */

struct option_names {
	char letter; /* 0: none */
	char name[32], argument[32];
};

struct options {
	struct option_names rows[MOST_OPTIONS];
	size_t count;
};

static struct option_names *
options_add(struct options *options)
{
	assert_true(options->count < MOST_OPTIONS);
	options->rows[options->count] = (struct option_names){ 0 };
	return &options->rows[options->count++];
}

static const struct option_names *
options_find(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->count; i++) {
		if (strcmp(options->rows[i].name, name) == 0)
			return &options->rows[i];
	}
	return NULL;
}

/* Items like ".It Fl n , Fl -name Ar NAME" and ".It Fl -once". */
static void
read_items(const struct page *page, struct page_section section, struct options *options)
{
	for (size_t i = section.from; i < section.to; i++) {
		const char *line = page->lines[i];
		struct option_names *row;

		if (!page_starts_with(line, ".It Fl "))
			continue;
		line += strlen(".It Fl ");
		row = options_add(options);
		if (line[0] != '-') {
			row->letter = line[0];
			if (!page_starts_with(line + 1, " , Fl "))
				fail_msg("line %zu is not \".It Fl x , Fl -long\"", i + 1);
			line += strlen("x , Fl ");
		}
		if (sscanf(line, "-%31s Ar %31s", row->name, row->argument) < 1)
			fail_msg("line %zu is not \".It Fl -long\"", i + 1);
	}
}

/* The sections that this one refers to may have options of it too. */
static void
read_references(const struct page *page, struct page_section section, struct options *options)
{
	for (size_t i = section.from; i < section.to; i++) {
		char heading[80];

		if (!page_starts_with(page->lines[i], ".Sx "))
			continue;
		snprintf(heading, sizeof(heading), ".Sh %s", page->lines[i] + 4);
		if (strlen(heading) > 2 && strcmp(heading + strlen(heading) - 2, " .") == 0)
			heading[strlen(heading) - 2] = '\0';
		read_items(page, page_find(page, heading), options);
	}
}

/* JOB OPTIONS has some that no server takes; its name is an argument. */
static void
drop_those_of_commands(struct options *options)
{
	size_t kept = 0;

	for (size_t i = 0; i < options->count; i++) {
		const struct spec_option *option = spec_option_find(options->rows[i].name);

		if (option == NULL ||
		    (option->kind != SPEC_COMMAND && strcmp(option->name, "name") != 0))
			options->rows[kept++] = options->rows[i];
	}
	options->count = kept;
}

static void
read_page_options(const struct page *page, const struct command *command,
    struct options *options)
{
	struct options common = { .count = 0 };
	struct page_section section;
	char heading[64];

	snprintf(heading, sizeof(heading), ".Ss %s", command->name);
	section = page_find(page, heading);
	options->count = 0;
	read_items(page, section, options);
	read_references(page, section, options);
	if (command->flags & COMMAND_STARTS_SERVER)
		drop_those_of_commands(options);
	read_items(page, page_find(page, ".Sh COMMON OPTIONS"), &common);
	for (size_t i = 0; i < common.count; i++) {
		if (options_find(options, common.rows[i].name) == NULL && /* the verb's own */
		    (strcmp(common.rows[i].name, "json") != 0 ||
			(command->flags & COMMAND_PRINTS_DATA)))
			*options_add(options) = common.rows[i];
	}
}

/* What `jobberd help VERB` prints. */
static void
read_help(struct page *help, const struct command *command)
{
	char path[] = "help.XXXXXX";
	int file = mkstemp(path), saved;

	assert_true(file != -1);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(file, STDOUT_FILENO);
	options_print_help(command);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(file);
	page_read_file(help, path);
	unlink(path);
}

/* Lines like "  -n, --name NAME      words". */
static void
read_help_options(const struct page *help, struct options *options)
{
	options->count = 0;
	for (size_t i = 0; i < help->count; i++) {
		const char *line = help->lines[i], *name = strstr(line, "--");
		struct option_names *row;

		if (!page_starts_with(line, "  ") || name == NULL || name > line + 6)
			continue;
		row = options_add(options);
		row->letter = line[2] == '-' ? line[3] : 0;
		sscanf(name, "--%31s", row->name);
		name += 2 + strlen(row->name);
		if (name[0] == ' ' && name[1] != ' ')
			sscanf(name, " %31s", row->argument);
		without_ellipses(row->argument);
	}
}

static void
compare_option(const struct command *command, const struct option_names *help,
    const struct option_names *page)
{
	if (page == NULL)
		fail_msg("%s: the page lacks --%s", command->name, help->name);
	else if (page->letter != help->letter)
		fail_msg("%s: --%s has another letter in the page", command->name, help->name);
	else if (strcmp(page->argument, help->argument) != 0)
		fail_msg("%s: --%s takes %s, in the page %s", command->name, help->name,
		    help->argument, page->argument);
}

/* ---- the tests ---- */

static int
read_manual(void **state)
{
	static struct page page;

	page_read(&page, "man/jobberd.1");
	*state = &page;
	return 0;
}

static int
forget_manual(void **state)
{
	page_done(*state);
	return 0;
}

static void
every_verb_begins_with_its_usage(void **state)
{
	const struct page *page = *state;

	for (const struct command *command = commands; command->name != NULL; command++) {
		char heading[64], usage[256];
		struct page_section section;
		struct page help;

		if (command->flags & COMMAND_IS_INTERNAL)
			continue;
		snprintf(heading, sizeof(heading), ".Ss %s", command->name);
		section = page_find(page, heading);
		if (section.from == section.to)
			fail_msg("%s is not in the page", command->name);
		read_help(&help, command);
		snprintf(usage, sizeof(usage), ".Dl %s", help.lines[0] + strlen("usage: "));
		without_ellipses(usage);
		assert_string_equal(page->lines[section.from], usage);
		page_done(&help);
	}
}

static void
every_verb_of_the_page_exists(void **state)
{
	const struct page *page = *state;
	struct page_section verbs = page_find(page, ".Sh VERBS");

	assert_true(verbs.to > verbs.from);
	for (size_t i = verbs.from; i < verbs.to; i++) {
		const struct command *command = commands;

		if (!page_starts_with(page->lines[i], ".Ss "))
			continue;
		while (command->name != NULL &&
		    strcmp(command->name, page->lines[i] + 4) != 0)
			command++;
		if (command->name == NULL || (command->flags & COMMAND_IS_INTERNAL))
			fail_msg("there is no verb %s", page->lines[i] + 4);
	}
}

static void
help_of_start_offers_nothing_that_is_refused(void **state)
{
	const struct command *command = commands;
	size_t for_pools = 0;
	struct page help;

	(void)state;
	while (strcmp(command->name, "start") != 0)
		command++;
	read_help(&help, command);
	for (size_t i = 0; i < help.count; i++) {
		assert_null(strstr(help.lines[i], "--name"));
		for_pools += strstr(help.lines[i], " in a pool: ") != NULL;
	}
	assert_int_equal(for_pools, 4); /* retries, backoff, jitter, messages */
	page_done(&help);
}

static void
options_of_each_verb_are_those_of_its_help(void **state)
{
	const struct page *page = *state;

	for (const struct command *command = commands; command->name != NULL; command++) {
		struct options in_page, in_help;
		struct page help;

		if (command->flags & COMMAND_IS_INTERNAL)
			continue;
		read_help(&help, command);
		read_help_options(&help, &in_help);
		read_page_options(page, command, &in_page);
		assert_true(in_help.count >= 2);
		for (size_t i = 0; i < in_help.count; i++)
			compare_option(command, &in_help.rows[i],
			    options_find(&in_page, in_help.rows[i].name));
		for (size_t i = 0; i < in_page.count; i++) {
			if (options_find(&in_help, in_page.rows[i].name) == NULL)
				fail_msg("%s has no --%s", command->name,
				    in_page.rows[i].name);
		}
		assert_int_equal(in_page.count, in_help.count); /* none of them twice */
		page_done(&help);
	}
}

/* ".Cm list , show" on the lines of the item of --json. */
static bool
is_named_with_json(const struct page *page, const char *verb)
{
	struct page_section section = page_find(page, ".Sh COMMON OPTIONS");
	bool is_in_item = false;

	for (size_t i = section.from; i < section.to; i++) {
		const char *line = page->lines[i];

		if (page_starts_with(line, ".It "))
			is_in_item = strcmp(line, ".It Fl j , Fl -json") == 0;
		if (is_in_item && page_starts_with(line, ".Cm ") && page_line_has(line, verb))
			return true;
	}
	return false;
}

static void
json_names_the_verbs_that_print_data(void **state)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		bool prints = (command->flags & COMMAND_PRINTS_DATA) != 0;

		if (command->flags & COMMAND_IS_INTERNAL)
			continue;
		if (is_named_with_json(*state, command->name) != prints)
			fail_msg("%s %s --json", command->name, prints ? "takes" : "has no");
	}
}

/* The numbers of enum status_code, from its source. */
static size_t
read_status_codes(int codes[32])
{
	struct page header;
	size_t count = 0;

	page_read(&header, "src/base/error.h");
	for (size_t i = 0; i < header.count && count < 32; i++) {
		if (sscanf(header.lines[i], " STATUS_%*[A-Z_] = %d", &codes[count]) == 1)
			count++;
	}
	page_done(&header);
	return count;
}

static void
exit_status_has_every_status_code_and_no_other(void **state)
{
	const struct page *page = *state;
	struct page_section section = page_find(page, ".Sh EXIT STATUS");
	size_t found = 0, count;
	int codes[32], code;

	count = read_status_codes(codes);
	assert_true(count > 10);
	for (size_t i = section.from; i < section.to; i++) {
		size_t at = 0;

		if (sscanf(page->lines[i], ".It %d", &code) != 1)
			continue;
		while (at < count && codes[at] != code)
			at++;
		if (at == count)
			fail_msg("%d is no status code", code);
		found++;
	}
	assert_int_equal(found, count);
}

static void
every_method_is_in_the_protocol_page(void **state)
{
	struct page_section section;
	struct page page;

	(void)state;
	page_read(&page, "man/jobberd-protocol.7");
	section = page_find(&page, ".Sh CONTROL SOCKET");
	for (const struct method *method = methods; method->name != NULL; method++) {
		size_t i = section.from;

		while (i < section.to && !(page_starts_with(page.lines[i], ".Ss ") &&
					     page_line_has(page.lines[i], method->name)))
			i++;
		if (i == section.to)
			fail_msg("%s is not in the page", method->name);
	}
	page_done(&page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_begins_with_its_usage),
		cmocka_unit_test(every_verb_of_the_page_exists),
		cmocka_unit_test(options_of_each_verb_are_those_of_its_help),
		cmocka_unit_test(help_of_start_offers_nothing_that_is_refused),
		cmocka_unit_test(json_names_the_verbs_that_print_data),
		cmocka_unit_test(exit_status_has_every_status_code_and_no_other),
		cmocka_unit_test(every_method_is_in_the_protocol_page),
	};

	return cmocka_run_group_tests_name("manual", tests, read_manual, forget_manual);
}
