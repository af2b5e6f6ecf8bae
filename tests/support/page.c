/* page: mdoc as far as the tests have to know it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "page.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_PAGE (1 << 20)

void
page_read_file(struct page *page, const char *path)
{
	struct buf text = { 0 };
	char *rest, *line;

	if (file_read(AT_FDCWD, path, LARGEST_PAGE, &text) == -1)
		fail_msg("%s cannot be read", path);
	*page = (struct page){ .text = xstrdup(buf_text(&text)) };
	buf_done(&text);
	rest = page->text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		page->lines = xreallocarray(
		    page->lines, page->count + 1, sizeof(page->lines[0]));
		page->lines[page->count++] = line;
	}
}

void
page_read(struct page *page, const char *path)
{
	char *whole = xasprintf(TESTS_DIRECTORY "/../%s", path);

	page_read_file(page, whole);
	free(whole);
}

void
page_done(struct page *page)
{
	free(page->lines);
	free(page->text);
}

bool
page_starts_with(const char *line, const char *start)
{
	return strncmp(line, start, strlen(start)) == 0;
}

struct page_section
page_find(const struct page *page, const char *heading)
{
	bool is_whole = page_starts_with(heading, ".Sh ");
	size_t from = 0, to;

	while (from < page->count && strcmp(page->lines[from], heading) != 0)
		from++;
	if (from == page->count)
		return (struct page_section){ 0 };
	for (to = from + 1; to < page->count; to++) {
		if (page_starts_with(page->lines[to], ".Sh ") ||
		    (!is_whole && page_starts_with(page->lines[to], ".Ss ")))
			break;
	}
	return (struct page_section){ from + 1, to };
}

bool
page_line_has(const char *line, const char *word)
{
	char *copy = xstrdup(line), *rest = copy, *item;
	bool has = false;

	while (!has && (item = strsep(&rest, ", ")) != NULL)
		has = strcmp(item, word) == 0;
	free(copy);
	return has;
}
