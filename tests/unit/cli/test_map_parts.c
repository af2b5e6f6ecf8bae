/* The parts of map that are alone: words, items, what is in flight, the line of progress. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/map.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words ---- */

static void
item_is_read_back_from_the_command_that_it_made(void **state)
{
	static const struct {
		const char *words[4], *item, *command;
	} cases[] = {
		{ { "echo" }, "a b", "[\"echo\",\"a b\"]" },
		{ { "echo" }, "", "[\"echo\",\"\"]" },
		{ { "cp", "{}", "{}.bak" }, "x", "[\"cp\",\"x\",\"x.bak\"]" },
		{ { "a{}b{}c" }, "{}", "[\"a{}b{}c\"]" },
		{ { "sh", "-c", "{}{}" }, "ab", "[\"sh\",\"-c\",\"abab\"]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strings template = { 0 };
		char *command, *item;

		for (size_t n = 0; n < 4 && cases[i].words[n] != NULL; n++)
			strings_add(&template, cases[i].words[n]);
		command = map_template_json(&template, cases[i].item);
		assert_string_equal(command, cases[i].command);
		item = map_template_item(&template, command);
		assert_string_equal(item, cases[i].item);
		free(item);
		free(command);
		strings_done(&template);
	}
}

static void
command_of_another_template_has_no_item(void **state)
{
	static const char *const others[] = { "[\"mv\",\"x\",\"x.bak\"]", "[\"cp\"]",
		"[\"cp\",\"x\",\"y.bak\"]", "[\"cp\",\"x\",\"x.bak\",\"x\"]", "[]", "5" };
	struct strings template = { 0 };

	(void)state;
	strings_add(&template, "cp");
	strings_add(&template, "{}");
	strings_add(&template, "{}.bak");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_null(map_template_item(&template, others[i]));
	strings_done(&template);
}

/* ---- items ---- */

static void
items_are_complete_with_their_end_or_that_of_the_input(void **state)
{
	struct map_items items = { .count = 0 };
	struct error error;
	char *item;
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	items.fd = pair[0];
	assert_false(map_items_is_ready(&items));
	assert_int_equal(write(pair[1], "a\n\nbc", 5), 5);
	assert_true(map_items_is_ready(&items));
	assert_int_equal(map_items_read(&items, &error), 0);
	assert_int_equal(map_items_next(&items, &item, &error), 1);
	assert_string_equal(item, "a");
	free(item);
	assert_int_equal(map_items_next(&items, &item, &error), 0);
	close(pair[1]);
	assert_int_equal(map_items_read(&items, &error), 0);
	assert_false(map_items_are_over(&items));
	assert_int_equal(map_items_next(&items, &item, &error), 1);
	assert_string_equal(item, "bc");
	free(item);
	assert_int_equal(map_items_next(&items, &item, &error), 0);
	assert_true(map_items_are_over(&items));
	assert_int_equal(items.count, 2);
	map_items_done(&items);
	close(pair[0]);
}

static void
line_with_a_nul_is_no_item(void **state)
{
	struct map_items items = { .count = 4, .is_at_end = true };
	struct error error;
	char *item;

	(void)state;
	buf_add(&items.in, "a\0b\n", 4);
	assert_int_equal(map_items_next(&items, &item, &error), -1);
	assert_string_equal(error.text,
	    "item 5: it has a NUL byte (-0 is for items that end with one)");
	items.is_nul = true;
	assert_int_equal(map_items_next(&items, &item, &error), 1);
	assert_string_equal(item, "a");
	free(item);
	map_items_done(&items);
}

/* ---- in flight ---- */

static void
flight_knows_the_lowest_and_keeps_only_what_lives(void **state)
{
	struct map_flight flight = { .count = 0 };

	(void)state;
	assert_true(map_flight_lowest(&flight) == MAP_NO_NUMBER);
	map_flight_add(&flight, 1, 10);
	for (int64_t n = 2; n <= 100000; n++) {
		map_flight_add(&flight, n, n * 10);
		if (n > 5)
			map_flight_end(&flight, map_flight_find(&flight, (n - 2) * 10));
	}
	assert_int_equal(map_flight_lowest(&flight), 1);
	assert_true(flight.room < 1000);
	assert_null(map_flight_find(&flight, 40));
	assert_null(map_flight_find(&flight, 41));
	map_flight_end(&flight, map_flight_find(&flight, 10));
	assert_int_equal(map_flight_lowest(&flight), 2);
	/* A job that somebody else has made in between has an id out of order. */
	map_flight_add(&flight, 100001, 7);
	map_flight_add(&flight, 100002, 2000000);
	assert_int_equal(map_flight_find(&flight, 7)->number, 100001);
	map_flight_done(&flight);
}

/* ---- progress ---- */

static void
progress_tells_counts_rate_and_what_is_left(void **state)
{
	static const struct {
		struct map_numbers numbers;
		size_t width;
		const char *words;
	} cases[] = {
		{ { .total = -1 }, 79, "0 ended" },
		{ { .ended = 30, .just_ended = 30, .total = -1, .running_ms = 2000 }, 79,
		    "30 ended, 15/s" },
		{ { .ended = 25, .just_ended = 5, .failed = 2, .total = 100,
		      .running_ms = 2000 }, 79,
		    "[######..................] 25 of 100, 2 failed, 2.5/s, 30 s left" },
		{ { .ended = 100, .just_ended = 100, .total = 100, .running_ms = 1000 }, 79,
		    "[########################] 100 of 100, 100/s" },
		{ { .ended = 3, .total = 100 }, 30, "[........................] 3 o" },
		{ { .total = 0 }, 79, "0 of 0" },
	};
	char buffer[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(map_progress_words(buffer, sizeof(buffer), cases[i].width,
					&cases[i].numbers), cases[i].words);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(item_is_read_back_from_the_command_that_it_made),
		cmocka_unit_test(command_of_another_template_has_no_item),
		cmocka_unit_test(items_are_complete_with_their_end_or_that_of_the_input),
		cmocka_unit_test(line_with_a_nul_is_no_item),
		cmocka_unit_test(flight_knows_the_lowest_and_keeps_only_what_lives),
		cmocka_unit_test(progress_tells_counts_rate_and_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
