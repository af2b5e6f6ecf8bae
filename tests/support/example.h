#ifndef SUPPORT_EXAMPLE_H
#define SUPPORT_EXAMPLE_H

#include <limits.h>

/* A program that stands in a page, as it stands there. */

/* The directory in which the program under test, and the libraries, were built. */
void build_directory(char directory[PATH_MAX]);

/* The first literal display (not an indented one) of the page's EXAMPLES becomes this file. */
void example_write(const char *page, const char *path);
/* The first one behind a line that begins with these words, indented or not. */
void example_write_behind(const char *page, const char *words, const char *path);

/* Compile it with these of our static libraries and others (NULL-terminated), or fail. */
void example_compile(const char *source, const char *program, const char *const *libraries);

#endif
