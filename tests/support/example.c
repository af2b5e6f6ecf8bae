/* example: what a reader of a page would type, compiled. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/example.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/page.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORDS 32

void
build_directory(char directory[PATH_MAX])
{
	char path[PATH_MAX];

	if (realpath(getenv("JOBBERD"), path) == NULL)
		fail_msg("JOBBERD is not the program");
	snprintf(directory, PATH_MAX, "%s", dirname(path));
}

/* What mandoc shows for `\e` is a backslash; nothing else is escaped in programs. */
static void
write_line(FILE *file, const char *line)
{
	for (; *line != '\0'; line++) {
		putc(*line, file);
		if (*line == '\\' && line[1] == 'e')
			line++;
	}
	putc('\n', file);
}

void
example_write(const char *page, const char *path)
{
	example_write_behind(page, NULL, path);
}

void
example_write_behind(const char *name, const char *words, const char *path)
{
	struct page page;
	struct page_section section;
	FILE *file = fopen(path, "w");
	size_t i;

	page_read(&page, name);
	section = page_find(&page, ".Sh EXAMPLES");
	i = section.from;
	while (words != NULL && i < section.to && !page_starts_with(page.lines[i], words))
		i++;
	while (i < section.to && strcmp(page.lines[i], ".Bd -literal") != 0 &&
	    (words == NULL || !page_starts_with(page.lines[i], ".Bd -literal")))
		i++;
	if (i == section.to)
		fail_msg("%s has no example behind \"%s\"", name, words != NULL ? words : "");
	for (i++; strcmp(page.lines[i], ".Ed") != 0; i++)
		write_line(file, page.lines[i]);
	assert_int_equal(fclose(file), 0);
	page_done(&page);
}

void
example_compile(const char *source, const char *program, const char *const *libraries)
{
	char directory[PATH_MAX], search[PATH_MAX + 2];
	const char *words[MOST_WORDS] = { "cc", "-Wall", "-Wextra", "-Werror",
		"-I" TESTS_DIRECTORY "/../include", "-o", program, source, search };
	struct helper compiler;
	size_t count = 9;

	build_directory(directory);
	snprintf(search, sizeof(search), "-L%s", directory);
	while (*libraries != NULL)
		words[count++] = *libraries++;
	if (IS_SANITIZED)
		words[count++] = "-fsanitize=address,undefined";
	assert_true(count < MOST_WORDS);
	helper_start(&compiler, NULL, words);
	if (helper_wait(&compiler) != 0)
		fail_msg("it does not compile: %s", compiler.err.text);
	helper_end(&compiler);
}
