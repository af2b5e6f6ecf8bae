/* jobberd-protocol(7) has a recorded exchange: the program still speaks like that. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/outside.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without blanks, and with one N for each long number: pids, times, error codes. */
static char *
normal(const char *text)
{
	char *result = xcalloc(1, strlen(text) + 1), *at = result;

	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789");

		if (digits > 2)
			*at++ = 'N';
		else if (digits > 0)
			at = stpncpy(at, text, digits);
		else if (!isspace((unsigned char)*text))
			*at++ = *text;
		text += digits > 0 ? digits : 1;
	}
	return result;
}

/* `changed` says that something was committed: when is nobody's business here. */
static void
expect_answer(FILE *in, const char *wanted)
{
	char *line = NULL, *left, *right = normal(wanted);
	size_t room = 0;

	do {
		assert_true(getline(&line, &room, in) > 0);
	} while (strstr(line, "\"changed\"") != NULL);
	left = normal(line);
	assert_string_equal(left, right);
	free(left);
	free(right);
	free(line);
}

/* The next message of the page, its lines joined; NULL at the end. To be freed. */
static char *
next_message(char **rest)
{
	char *message = NULL, *line;

	while (*rest != NULL && strncmp(*rest, ".Ed", 3) != 0) {
		bool is_first = strncmp(*rest, "--> ", 4) == 0 || strncmp(*rest, "<-- ", 4) == 0;
		char *longer;

		if (is_first && message != NULL)
			break;
		line = strsep(rest, "\n");
		if (message == NULL && !is_first)
			continue;
		longer = message == NULL
		    ? xstrdup(line)
		    : xasprintf("%s%s", message, line + strspn(line, " "));
		free(message);
		message = longer;
	}
	return message;
}

static void
recorded_exchange_is_still_true(void **state)
{
	struct instance i;
	char *page = file_text(TESTS_DIRECTORY "/../man/jobberd-protocol.7"), *message;
	char *rest = strstr(page, "A client, recorded.");
	int fd, answers = 0;
	FILE *in;

	(void)state;
	assert_non_null(rest);
	instance_init(&i);
	instance_start(&i, "--max-children", "2", NULL);
	fd = connect_client(&i);
	in = fdopen(fd, "r");
	while ((message = next_message(&rest)) != NULL) {
		if (message[0] == '-') {
			assert_true(write(fd, message + 4, strlen(message + 4)) > 0);
			assert_int_equal(write(fd, "\n", 1), 1);
		} else if (strstr(message, "\"changed\"") == NULL) {
			expect_answer(in, message + 4);
			answers++;
			if (strstr(message, "\"ids\":[1,2]") != NULL)
				instance_expect(&i, "job=2 started"); /* as when it was recorded */
		}
		free(message);
	}
	assert_int_equal(answers, 13);
	fclose(in);
	free(page);
	instance_stop(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_exchange_is_still_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
