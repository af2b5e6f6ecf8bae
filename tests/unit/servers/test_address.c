/* What may be an address or a message, and what is refused, in which words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servers/send_server/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
address_is_name_at_domain_and_nothing_else(void **state)
{
	static const struct {
		const char *address, *why; /* NULL: it may be one */
	} cases[] = {
		{ "hello@example.org", NULL },
		{ "a.b+c_d-e'f@sub.example.org", NULL },
		{ "root@localhost", NULL },
		{ "", "there is no @" },
		{ "hello", "there is no @" },
		{ "@example.org", "nothing before the @" },
		{ "hello@", "nothing behind the @" },
		{ "a@b@c", "more than one @" },
		{ "a@b..c", "a part of the domain is empty" },
		{ "a@.c", "a part of the domain is empty" },
		{ "a@c.", "a part of the domain is empty" },
		{ "A B <a@b.c>", "a blank" },
		{ "a@b.c,d@e.f", "a blank, or one of" },
		{ "a@b.c>", "a blank, or one of" },
		{ "\"a b\"@c", "a blank, or one of" },
		{ "gr\xc3\xbc\xc3\x9f" "e@example.org", "ASCII" },
		{ "a@b.c\r\nRCPT TO:<d@e.f>", "a line break" },
		{ "a@b.c\n", "a line break" },
		{ "a\rb@c", "a line break" },
		{ "a\tb@c", "a control character" },
		{ "a\x7f" "b@c", "a control character" },
	};
	char words[WORDS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *address = json_string(cases[i].address);
		bool is_one = address_check(address, words);

		if (is_one != (cases[i].why == NULL))
			fail_msg("%s: %s", cases[i].address, is_one ? "taken" : words);
		if (!is_one && strstr(words, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].address, words);
		json_decref(address);
	}
}

static void
address_may_not_be_longer_than_smtp_has_room_for(void **state)
{
	char local[70] = "", domain[300] = "", words[WORDS_SIZE];
	json_t *address;

	(void)state;
	memset(local, 'a', 64);
	memset(domain, 'b', 189);
	address = json_sprintf("%s@%s", local, domain);
	assert_true(address_check(address, words));
	json_decref(address);
	address = json_sprintf("%s@%sb", local, domain);
	assert_false(address_check(address, words));
	json_decref(address);
	address = json_sprintf("%sa@b", local);
	assert_false(address_check(address, words));
	json_decref(address);
}

static void
zero_byte_is_refused(void **state)
{
	json_t *text = json_stringn("a@b.c\0d", 7), *message;
	char words[WORDS_SIZE];

	(void)state;
	assert_false(address_check(text, words));
	assert_non_null(strstr(words, "a zero byte"));
	message = json_pack("{s:s, s:s, s:O}", "to", "a@b.c", "subject", "s", "text", text);
	assert_null(message_check(message, words));
	assert_string_equal(words, "text: it has a zero byte in it");
	json_decref(message);
	json_decref(text);
}

static void
message_has_what_a_mail_needs_and_nothing_else(void **state)
{
	static const struct {
		const char *message, *words; /* NULL: it may be one */
	} cases[] = {
		{ "{'to':'a@b.c','subject':'s','text':'t'}", NULL },
		{ "{'to':['a@b.c','d@e.f'],'subject':'s','text':'1\\n2','html':'<p>',"
		  "'attachments':['/etc/hosts']}",
		    NULL },
		{ "{'to':'a@b.c','subject':'','text':''}", NULL },
		{ "[]", "message: it is not an object" },
		{ "{'subject':'s','text':'t'}",
		    "to: it is neither an address nor an array of them" },
		{ "{'to':[],'subject':'s','text':'t'}",
		    "to: it is neither an address nor an array of them" },
		{ "{'to':['a@b.c',5],'subject':'s','text':'t'}",
		    "address: it is not a string" },
		{ "{'to':['a@b.c','b'],'subject':'s','text':'t'}",
		    "address b: there is no @ in it" },
		{ "{'to':'a@b.c','text':'t'}", "subject: it is missing" },
		{ "{'to':'a@b.c','subject':'s\\r\\nBcc: d@e.f','text':'t'}",
		    "subject: it has a line break in it" },
		{ "{'to':'a@b.c','subject':'s'}", "text: it is missing" },
		{ "{'to':'a@b.c','subject':'s','text':'t','html':5}",
		    "html: it is not a string" },
		{ "{'to':'a@b.c','subject':'s','text':'t','attachments':'/etc/hosts'}",
		    "attachments: it is not an array" },
		{ "{'to':'a@b.c','subject':'s','text':'t','attachments':['hosts']}",
		    "attachment: it is not an absolute path" },
		{ "{'to':'a@b.c','subject':'s','text':'t','attachments':['/a\\nb']}",
		    "attachment: it has a line break in it" },
		{ "{'to':'a@b.c','subject':'s','text':'t','bcc':'d@e.f'}",
		    "no message has this member: bcc" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200], words[WORDS_SIZE] = "";
		json_t *message, *checked;

		snprintf(text, sizeof(text), "%s", cases[i].message);
		for (char *quote; (quote = strchr(text, '\'')) != NULL;)
			*quote = '"';
		message = json_loads(text, 0, NULL);
		assert_non_null(message);
		checked = message_check(message, words);
		if (cases[i].words == NULL && checked == NULL)
			fail_msg("%s: %s", text, words);
		if (cases[i].words != NULL) {
			assert_null(checked);
			assert_string_equal(words, cases[i].words);
		} else
			assert_true(json_is_array(json_object_get(checked, "to")));
		json_decref(checked);
		json_decref(message);
	}
}

static void
recipients_are_shown_in_one_line(void **state)
{
	json_t *to = json_array(), *message = json_pack("{s:o}", "to", to);
	char *text;

	(void)state;
	json_array_append_new(to, json_string("a@b.c"));
	json_array_append_new(to, json_string("d\n@e.f"));
	text = message_recipients(message);
	assert_string_equal(text, "a@b.c, d @e.f");
	free(text);
	for (int i = 0; i < 100; i++)
		json_array_append_new(to, json_string("name@example.org"));
	text = message_recipients(message);
	assert_in_range(strlen(text), 200, WORDS_SIZE - 1);
	assert_string_equal(text + strlen(text) - strlen("…"), "…");
	free(text);
	json_decref(message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_is_name_at_domain_and_nothing_else),
		cmocka_unit_test(address_may_not_be_longer_than_smtp_has_room_for),
		cmocka_unit_test(zero_byte_is_refused),
		cmocka_unit_test(message_has_what_a_mail_needs_and_nothing_else),
		cmocka_unit_test(recipients_are_shown_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
