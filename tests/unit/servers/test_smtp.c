/* What a mail's header looks like, which answer counts, what text from outside becomes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servers/send_server/credentials.h"
#include "servers/send_server/deliver.h"
#include "servers/send_server/header.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- header ---- */

static void
check_field(char *field, const char *expected)
{
	assert_string_equal(field, expected);
	free(field);
}

static void
header_is_encoded_where_it_is_not_plain(void **state)
{
	(void)state;
	check_field(header_text("Subject", "Hello, world"), "Subject: Hello, world");
	check_field(header_text("Subject", ""), "Subject: ");
	check_field(header_text("Subject", "Gr\xc3\xbc\xc3\x9f" "e"),
	    "Subject: =?UTF-8?B?R3LDvMOfZQ==?=");
	/* what looks encoded and is not */
	check_field(header_text("Subject", "=?UTF-8?Q?x?="),
	    "Subject: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=");
	check_field(header_encode("\xe2\x82\xac", " "), "=?UTF-8?B?4oKs?=");
}

/* Each word has at most 75 characters and whole ones; none is lost between two. */
static void
long_header_is_folded_between_characters(void **state)
{
	char text[200] = "a", *field;
	size_t words = 0;

	(void)state;
	for (int i = 0; i < 30; i++)
		strcat(text, "\xe2\x82\xac");
	field = header_encode(text, "\r\n ");
	for (char *rest = field, *word; (word = strsep(&rest, "\n")) != NULL; words++) {
		assert_in_range(strlen(word), 20, 77);
		assert_true(strncmp(word + (words > 0), "=?UTF-8?B?", 10) == 0);
		/* 3 bytes are 4 digits: only a word that ends within a character differs */
		assert_true(words > 0 || strncmp(word + 10, "YeKCrOKCrOKC", 12) == 0);
	}
	assert_int_equal(words, 3);
	free(field);
}

static void
recipients_have_a_line_each(void **state)
{
	json_t *to = json_pack("[s, s]", "a@b.c", "d@e.f");

	(void)state;
	check_field(header_addresses("To", to), "To: a@b.c,\r\n d@e.f");
	json_decref(to);
}

/* ---- answers ---- */

static void
add(struct smtp_answers *answers, const char *line)
{
	smtp_answers_add(answers, line, strlen(line));
}

static void
last_answer_counts_but_the_one_to_quit(void **state)
{
	struct smtp_answers answers = { .code = 0 };

	(void)state;
	add(&answers, "220 mail.example.org ESMTP\r\n");
	assert_string_equal(answers.last, "220 mail.example.org ESMTP");
	add(&answers, "250-mail.example.org\r\n");
	assert_int_equal(answers.code, 220);
	add(&answers, "250-SIZE\r\n");
	add(&answers, "250 HELP\r\n");
	assert_string_equal(answers.last, "250 mail.example.org SIZE HELP");
	add(&answers, "354 go on\r\n");
	assert_true(answers.wants_mail);
	add(&answers, "550-5.7.1 not\r\n");
	add(&answers, "550 5.7.1 you\r\n");
	assert_false(answers.wants_mail);
	add(&answers, "221 Bye\r\n");
	assert_int_equal(answers.code, 550);
	assert_string_equal(answers.last, "550 5.7.1 not 5.7.1 you");
}

static void
answer_that_is_none_does_no_harm(void **state)
{
	struct smtp_answers answers = { .code = 0 };
	char line[900];

	(void)state;
	add(&answers, "");
	add(&answers, "\r\n");
	add(&answers, "25");
	add(&answers, "hello\r\n");
	assert_int_equal(answers.code, 0);
	add(&answers, "250\r\n");
	assert_string_equal(answers.last, "250");
	memset(line, 'x', sizeof(line));
	memcpy(line, "451-", 4);
	for (int i = 0; i < 5; i++)
		smtp_answers_add(&answers, line, sizeof(line));
	add(&answers, "451 \x1b[31mred\xff\r\n");
	assert_int_equal(answers.code, 451);
	assert_in_range(strlen(answers.last), WORDS_SIZE - 8, WORDS_SIZE - 1);
	add(&answers, "451 \x1b[31mred\xff\r\n");
	assert_string_equal(answers.last, "451  [31mred?");
}

static void
cleaned_text_is_one_line_of_whole_characters(void **state)
{
	char small[10];

	(void)state;
	assert_string_equal(words_clean(small, sizeof(small), "a\r\nb", 4), "a  b");
	assert_string_equal(words_clean(small, sizeof(small), "ab\n", 3), "ab");
	assert_string_equal(words_clean(small, sizeof(small), "", 0), "");
	assert_string_equal(words_clean(small, sizeof(small), "123456789", 9), "123456…");
	assert_string_equal(words_clean(small, sizeof(small), "12345\xc3\xbc" "89", 9), "12345…");
	assert_string_equal(words_clean(small, sizeof(small), "\xc3", 1), "?");
}

/* ---- results ---- */

static void
result_of_a_task_says_what_came_of_the_mail(void **state)
{
	struct smtp_outcome outcome = { .code = 451, .is_unknown = true, .answer = "451 no" };
	json_t *result = deliver_result(&outcome);

	(void)state;
	memset(&outcome, 0, sizeof(outcome));
	assert_int_equal(deliver_read_result(result, &outcome), 0);
	assert_int_equal(outcome.code, 451);
	assert_true(outcome.is_unknown);
	assert_false(outcome.is_sent);
	assert_string_equal(outcome.answer, "451 no");
	json_decref(result);
}

static void
task_that_succeeded_without_a_result_has_sent_its_mail(void **state)
{
	json_t *null = json_null(), *other = json_string("what");
	struct smtp_outcome outcome;

	(void)state;
	assert_int_equal(deliver_read_result(null, &outcome), 0);
	assert_true(outcome.is_sent);
	assert_int_equal(deliver_read_result(other, &outcome), -1);
	json_decref(other);
}

/* ---- credentials ---- */

static int
read_file(const char *content, mode_t mode, struct credentials *credentials, char *words)
{
	char path[100];
	int fd, result;

	snprintf(path, sizeof(path), "%s/credentials", getenv("TMPDIR"));
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	result = credentials_read(path, credentials, words);
	unlink(path);
	return result;
}

static void
credentials_are_two_lines_that_nobody_else_may_read(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0601 };
	struct credentials credentials;
	char words[WORDS_SIZE];

	(void)state;
	assert_int_equal(read_file("me\nse cret\n", 0600, &credentials, words), 0);
	assert_string_equal(credentials.user, "me");
	assert_string_equal(credentials.password, "se cret");
	assert_int_equal(read_file("me\r\nsecret", 0400, &credentials, words), 0);
	assert_string_equal(credentials.user, "me");
	assert_string_equal(credentials.password, "secret");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(read_file("me\nx\n", modes[i], &credentials, words), -1);
		assert_non_null(strstr(words, "others may read it"));
	}
	assert_int_equal(read_file("me\n", 0600, &credentials, words), -1);
	assert_int_equal(read_file("", 0600, &credentials, words), -1);
	assert_int_equal(read_file("\nx\n", 0600, &credentials, words), -1);
	assert_int_equal(credentials_read("/nowhere", &credentials, words), -1);
	assert_string_equal(words, "/nowhere: No such file or directory");
	assert_int_equal(credentials_read("/", &credentials, words), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_encoded_where_it_is_not_plain),
		cmocka_unit_test(long_header_is_folded_between_characters),
		cmocka_unit_test(recipients_have_a_line_each),
		cmocka_unit_test(last_answer_counts_but_the_one_to_quit),
		cmocka_unit_test(answer_that_is_none_does_no_harm),
		cmocka_unit_test(cleaned_text_is_one_line_of_whole_characters),
		cmocka_unit_test(result_of_a_task_says_what_came_of_the_mail),
		cmocka_unit_test(task_that_succeeded_without_a_result_has_sent_its_mail),
		cmocka_unit_test(credentials_are_two_lines_that_nobody_else_may_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
