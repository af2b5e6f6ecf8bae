/* address: what may be an address, and what a message, in words if it may not. */

#include "servers/send_server/address.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS_LONGEST 254 /* RFC 5321, 4.5.3.1.3, without the brackets */
#define LOCAL_LONGEST 64
#define SUBJECT_LONGEST 900
#define RECIPIENTS_SHOWN WORDS_SIZE

static bool
refuse(char words[WORDS_SIZE], const char *what, const char *why)
{
	words_set(words, "%s: %s", what, why);
	return false;
}

/* What may be in a header field. */
static bool
check_line(const json_t *value, const char *what, char words[WORDS_SIZE])
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);

	if (text == NULL)
		return refuse(words, what, value == NULL ? "it is missing" : "it is not a string");
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\r' || byte == '\n')
			return refuse(words, what, "it has a line break in it");
		if (byte == '\0')
			return refuse(words, what, "it has a zero byte in it");
		if (byte < ' ' || byte == 0x7f)
			return refuse(words, what, "it has a control character in it");
	}
	return true;
}

static bool
check_body(const json_t *value, const char *what, char words[WORDS_SIZE])
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return refuse(words, what, value == NULL ? "it is missing" : "it is not a string");
	if (strlen(text) != json_string_length(value))
		return refuse(words, what, "it has a zero byte in it");
	return true;
}

/* ---- addresses ---- */

static const char *
find_fault(const char *text)
{
	const char *at = strchr(text, '@');
	size_t length = strlen(text);

	for (const char *byte = text; *byte != '\0'; byte++) {
		if ((unsigned char)*byte >= 0x80)
			return "only ASCII is possible in an address";
	}
	if (text[strcspn(text, " <>()[],;:\\\"")] != '\0')
		return "a blank, or one of <>()[],;:\\\", is not possible in an address";
	if (at == NULL)
		return "there is no @ in it";
	if (strchr(at + 1, '@') != NULL)
		return "there is more than one @ in it";
	if (at == text)
		return "there is nothing before the @";
	if (at[1] == '\0')
		return "there is nothing behind the @";
	if (at - text > LOCAL_LONGEST || length > ADDRESS_LONGEST)
		return "it is too long";
	if (at[1] == '.' || text[length - 1] == '.' || strstr(at, "..") != NULL)
		return "a part of the domain is empty";
	return NULL;
}

bool
address_check(const json_t *address, char words[WORDS_SIZE])
{
	char shown[100], what[120];
	const char *fault;

	if (!check_line(address, "address", words))
		return false;
	fault = find_fault(json_string_value(address));
	if (fault == NULL)
		return true;
	words_clean(shown, sizeof(shown), json_string_value(address), json_string_length(address));
	snprintf(what, sizeof(what), "address %s", shown);
	return refuse(words, what, fault);
}

/* ---- messages ---- */

static bool
check_recipients(const json_t *to, char words[WORDS_SIZE])
{
	const json_t *address;
	size_t i;

	if (json_array_size(to) == 0)
		return refuse(words, "to", "it is neither an address nor an array of them");
	if (json_array_size(to) > MESSAGE_MOST_RECIPIENTS)
		return refuse(words, "to", "these are more than 100");
	json_array_foreach(to, i, address) {
		if (!address_check(address, words))
			return false;
	}
	return true;
}

static bool
check_subject(const json_t *subject, char words[WORDS_SIZE])
{
	if (!check_line(subject, "subject", words))
		return false;
	return json_string_length(subject) <= SUBJECT_LONGEST ||
	    refuse(words, "subject", "it is too long");
}

static bool
check_html(const json_t *html, char words[WORDS_SIZE])
{
	return html == NULL || check_body(html, "html", words);
}

static bool
check_text(const json_t *text, char words[WORDS_SIZE])
{
	return check_body(text, "text", words);
}

/* That they can be read is seen when the message is sent. */
static bool
check_attachments(const json_t *attachments, char words[WORDS_SIZE])
{
	const json_t *path;
	size_t i;

	if (attachments == NULL)
		return true;
	if (!json_is_array(attachments))
		return refuse(words, "attachments", "it is not an array");
	if (json_array_size(attachments) > MESSAGE_MOST_ATTACHMENTS)
		return refuse(words, "attachments", "these are more than 100");
	json_array_foreach(attachments, i, path) {
		if (!check_line(path, "attachment", words))
			return false;
		if (json_string_value(path)[0] != '/')
			return refuse(words, "attachment", "it is not an absolute path");
	}
	return true;
}

static const struct {
	const char *name;
	bool (*check)(const json_t *value, char words[WORDS_SIZE]);
} members[] = {
	{ "to", check_recipients },
	{ "subject", check_subject },
	{ "text", check_text },
	{ "html", check_html },
	{ "attachments", check_attachments },
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static bool
check_names(const json_t *message, char words[WORDS_SIZE])
{
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)message, name, value) {
		for (i = 0; i < MEMBERS && strcmp(members[i].name, name) != 0; i++)
			;
		if (i == MEMBERS)
			return refuse(words, "no message has this member", name);
	}
	return true;
}

json_t *
message_check(const json_t *message, char words[WORDS_SIZE])
{
	json_t *copy, *to;

	if (!json_is_object(message)) {
		refuse(words, "message", "it is not an object");
		return NULL;
	}
	copy = json_deep_copy(message);
	to = json_object_get(copy, "to");
	if (json_is_string(to))
		json_object_set_new(copy, "to", json_pack("[O]", to));
	for (size_t i = 0; i < MEMBERS && copy != NULL; i++) {
		if (!members[i].check(json_object_get(copy, members[i].name), words)) {
			json_decref(copy);
			copy = NULL;
		}
	}
	if (copy != NULL && !check_names(copy, words)) {
		json_decref(copy);
		copy = NULL;
	}
	return copy;
}

json_t *
message_test(const json_t *address, char words[WORDS_SIZE])
{
	if (!address_check(address, words))
		return NULL;
	return json_pack("{s:[O], s:s, s:s}", "to", address, "subject", "Test message", "text",
	    "This is a test message.\n\nIt was sent by send_server, which jobberd runs.\n");
}

char *
message_recipients(const json_t *message)
{
	const json_t *to = json_object_get(message, "to"), *address;
	char joined[2 * RECIPIENTS_SHOWN] = "", shown[RECIPIENTS_SHOWN];
	size_t i, length = 0;

	if (json_is_string(to))
		snprintf(joined, sizeof(joined), "%s", json_string_value(to));
	json_array_foreach(to, i, address) {
		if (length < sizeof(joined))
			length += (size_t)snprintf(joined + length, sizeof(joined) - length, "%s%s",
			    i > 0 ? ", " : "", words_of(address));
	}
	return words_copy(words_clean(shown, sizeof(shown), joined, strlen(joined)));
}
