/* table: columns that stand below each other, whatever is in them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/escape.h"
#include "cli/table.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const headers[] = { "id", "command", "why" };
static const size_t shares[] = { 0, 1, 2 };

static void
add(struct table *table, const char *text)
{
	struct buf cell = { 0 };

	buf_add_text(&cell, text);
	table_add(table, &cell);
	buf_done(&cell);
}

/* The table of these cells, three a row, to be freed. */
static char *
print_setup(size_t width, bool has_header, bool last_gives_way, const char *const *cells,
    size_t count)
{
	char *text;
	size_t length;
	struct table_setup setup = {
		.file = open_memstream(&text, &length),
		.columns = 3,
		.headers = has_header ? headers : NULL,
		.shares = shares,
		.last_gives_way = last_gives_way,
		.width = width,
	};
	struct table *table = table_new(&setup);

	for (size_t i = 0; i < count; i++)
		add(table, cells[i]);
	table_close(table);
	fclose(setup.file);
	return text;
}

static char *
print_table(size_t width, bool has_header, const char *const *cells, size_t count)
{
	return print_setup(width, has_header, false, cells, count);
}

static void
check(size_t width, bool has_header, const char *const *cells, size_t count,
    const char *wanted)
{
	char *text = print_table(width, has_header, cells, count);

	assert_string_equal(text, wanted);
	free(text);
}

static const char *const cells[] = {
	"1", "make report", "",
	"20", "sh -c 漢字", "no free place (2 of 2), 3rd in line",
	"3", "-", "exit 3",
};

static void
check_giving_way(size_t width, const char *wanted)
{
	char *text = print_setup(width, true, true, cells, 9);

	assert_string_equal(text, wanted);
	free(text);
}

static void
off_a_terminal_cells_are_whole_and_separated_by_tabs(void **state)
{
	(void)state;
	check(0, true, cells, 9,
	    "ID\tCOMMAND\tWHY\n1\tmake report\t\n"
	    "20\tsh -c 漢字\tno free place (2 of 2), 3rd in line\n3\t-\texit 3\n");
	check(0, false, cells, 3, "1\tmake report\t\n");
	check(0, true, NULL, 0, "ID\tCOMMAND\tWHY\n");
	check(0, false, NULL, 0, "");
}

static void
on_a_terminal_columns_are_aligned_without_blank_ends(void **state)
{
	(void)state;
	check(80, true, cells, 9,
	    "ID  COMMAND      WHY\n1   make report\n"
	    "20  sh -c 漢字   no free place (2 of 2), 3rd in line\n"
	    "3   -            exit 3\n");
	check(80, true, NULL, 0, "ID  COMMAND  WHY\n");
	check(80, false, NULL, 0, "");
}

static void
narrow_terminal_cuts_the_columns_that_may_be_cut(void **state)
{
	(void)state;
	check(40, true, cells, 9,
	    "ID  COMMAND      WHY\n1   make report\n"
	    "20  sh -c 漢字   no free place (2 of 2)…\n"
	    "3   -            exit 3\n");
	check(30, true, cells, 9,
	    "ID  COMMAND   WHY\n1   make re…\n"
	    "20  sh -c …   no free place (…\n"
	    "3   -         exit 3\n");
}

static void
last_column_that_gives_way_has_what_the_others_leave(void **state)
{
	(void)state;
	check_giving_way(40, "ID  COMMAND      WHY\n1   make report\n"
			     "20  sh -c 漢字   no free place (2 of 2)…\n"
			     "3   -            exit 3\n");
	check_giving_way(25, "ID  COMMAND      WHY\n1   make report\n"
			     "20  sh -c 漢字   no free…\n"
			     "3   -            exit 3\n");
	check_giving_way(24, "ID  COMMAND\n1   make report\n20  sh -c 漢字\n3   -\n");
	check_giving_way(14, "ID  COMMAND\n1   make repo…\n20  sh -c 漢字\n3   -\n");
}

static void
check_widths(bool last_gives_way)
{
	for (size_t width = 1; width < 60; width++) {
		char *text = print_setup(width, true, last_gives_way, cells, 9);
		char *rest = text, *line;
		int lines = 0;

		while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
			assert_true(escape_width(line, strlen(line)) <= width);
			lines++;
		}
		assert_int_equal(lines, 4);
		free(text);
	}
}

/* Whatever the width, no line is wider. */
static void
no_line_is_wider_than_the_terminal(void **state)
{
	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	check_widths(false);
	check_widths(true);
}

/* More rows than are kept for their widths: all of them come, in order. */
static void
long_table_is_printed_whole(void **state)
{
	enum { ROWS = 5000 };
	char numbers[ROWS][16], *text, *rest, *line;
	const char **many = calloc((size_t)3 * ROWS, sizeof(many[0]));

	(void)state;
	assert_non_null(many);
	for (int i = 0; i < ROWS; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", i);
		many[3 * i] = numbers[i];
		many[3 * i + 1] = many[3 * i + 2] = "x";
	}
	text = rest = print_table(80, true, many, (size_t)3 * ROWS);
	strsep(&rest, "\n");
	for (int i = 0; i < ROWS; i++) {
		line = strsep(&rest, "\n");
		assert_int_equal(strtol(line, NULL, 10), i);
	}
	assert_string_equal(rest, "");
	free(text);
	free(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_a_terminal_cells_are_whole_and_separated_by_tabs),
		cmocka_unit_test(on_a_terminal_columns_are_aligned_without_blank_ends),
		cmocka_unit_test(narrow_terminal_cuts_the_columns_that_may_be_cut),
		cmocka_unit_test(last_column_that_gives_way_has_what_the_others_leave),
		cmocka_unit_test(no_line_is_wider_than_the_terminal),
		cmocka_unit_test(long_table_is_printed_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
