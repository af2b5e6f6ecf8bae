#ifndef SUPPORT_PAGE_H
#define SUPPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* A man page, or any text of the repository, in lines. */
struct page {
	char *text;
	char **lines;
	size_t count;
};

/* Lines from `from` to before `to`. */
struct page_section {
	size_t from, to;
};

/* `path` is below the repository's root. Fails the test if it cannot be read. */
void page_read(struct page *page, const char *path);
/* The same of any file. */
void page_read_file(struct page *page, const char *path);
void page_done(struct page *page);

/*
 * What stands below the heading ".Sh TITLE" (up to the next of these) or ".Ss TITLE" (up to
 * the next of either). Both 0 if there is no such heading.
 */
struct page_section page_find(const struct page *page, const char *heading);

bool page_starts_with(const char *line, const char *start);

/* Does this line, like ".It Va a , b" or ".Ss a, b", have the word? */
bool page_line_has(const char *line, const char *word);

#endif
