/*
 * smtp: one mail by libcurl. Either all recipients are accepted, or none gets it: a mail has
 * one outcome.
 */

#include "servers/send_server/smtp.h"
#include "servers/send_server/header.h"
#include "servers/send_server/mime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CODE_BYE 221
#define CODE_SEND_MAIL 354

/* ---- answers ---- */

static void
end_answer(struct smtp_answers *answers, int code)
{
	if (code != CODE_BYE) {
		answers->code = code;
		answers->wants_mail = code == CODE_SEND_MAIL;
		words_clean(answers->last, sizeof(answers->last), answers->lines, answers->length);
	}
	answers->length = 0;
}

static void
append(struct smtp_answers *answers, const char *text, size_t length)
{
	size_t left = sizeof(answers->lines) - answers->length;

	if (length > left)
		length = left;
	memcpy(answers->lines + answers->length, text, length);
	answers->length += length;
}

/* Three digits, or -1. */
static int
read_code(const char *line, size_t length)
{
	int code = 0;

	for (size_t i = 0; i < 3; i++) {
		if (i == length || line[i] < '0' || line[i] > '9')
			return -1;
		code = 10 * code + line[i] - '0';
	}
	return code;
}

void
smtp_answers_add(struct smtp_answers *answers, const char *line, size_t length)
{
	int code = read_code(line, length);

	if (code == -1)
		return;
	while (line[length - 1] == '\n' || line[length - 1] == '\r')
		length--;
	if (answers->length == 0)
		append(answers, line, 3);
	if (length > 4) {
		append(answers, " ", 1);
		append(answers, line + 4, length - 4);
	}
	if (length == 3 || line[3] != '-')
		end_answer(answers, code);
}

static size_t
hear(char *line, size_t size, size_t count, void *arg)
{
	smtp_answers_add(arg, line, size * count);
	return size * count;
}

/* ---- the header ---- */

static struct curl_slist *
add_field(struct curl_slist *fields, char *field)
{
	struct curl_slist *longer = curl_slist_append(fields, field);

	free(field);
	if (longer == NULL)
		abort();
	return longer;
}

static struct curl_slist *
make_header(const struct smtp_delivery *delivery)
{
	struct curl_slist *fields = NULL;
	time_t now = time(NULL);
	char text[WORDS_SIZE];
	struct tm parts;

	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", localtime_r(&now, &parts));
	fields = add_field(fields, header_text("Date", text));
	snprintf(text, sizeof(text), "From: %s", delivery->from);
	fields = add_field(fields, words_copy(text));
	fields = add_field(fields,
	    header_addresses("To", json_object_get(delivery->message, "to")));
	fields = add_field(fields, header_text("Subject",
	    words_of(json_object_get(delivery->message, "subject"))));
	snprintf(text, sizeof(text), "Message-ID: <%s>", delivery->message_id);
	return add_field(fields, words_copy(text));
}

static struct curl_slist *
make_recipients(const json_t *to)
{
	struct curl_slist *recipients = NULL;
	char text[WORDS_SIZE + 2];
	const json_t *address;
	size_t i;

	json_array_foreach(to, i, address) {
		snprintf(text, sizeof(text), "<%s>", words_of(address));
		recipients = add_field(recipients, words_copy(text));
	}
	return recipients;
}

/* ---- the connection ---- */

static long
tls_of(const char *word)
{
	return strcmp(word, "always") == 0 ? CURLUSESSL_ALL
	    : strcmp(word, "try") == 0	   ? CURLUSESSL_TRY
					   : CURLUSESSL_NONE;
}

static void
set_connection(CURL *curl, const struct smtp_delivery *delivery)
{
	char from[WORDS_SIZE + 2];

	snprintf(from, sizeof(from), "<%s>", delivery->from);
	curl_easy_setopt(curl, CURLOPT_URL, delivery->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USE_SSL, tls_of(delivery->tls));
	if (delivery->ca[0] != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, delivery->ca);
	if (delivery->user[0] != '\0') {
		curl_easy_setopt(curl, CURLOPT_USERNAME, delivery->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, delivery->password);
	}
	/* libcurl's own limits are 5 minutes to connect and 2 for an answer. */
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)delivery->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT,
	    (long)(delivery->timeout_ms / 1000 + 1));
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
}

static void
set_failure(struct smtp_outcome *outcome, const struct smtp_answers *answers, CURLcode result,
    const char *words)
{
	const char *why = words[0] != '\0' ? words : curl_easy_strerror(result);

	if (answers->code >= 400) {
		outcome->code = answers->code;
		words_set(outcome->answer, "%s", answers->last);
		return;
	}
	outcome->is_unknown = answers->wants_mail;
	words_set(outcome->answer, "%s", why);
}

static void
perform(CURL *curl, struct smtp_answers *answers, struct smtp_outcome *outcome)
{
	char words[CURL_ERROR_SIZE] = "";
	CURLcode result;

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, hear);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, answers);
	result = curl_easy_perform(curl);
	if (result != CURLE_OK) {
		set_failure(outcome, answers, result, words);
		return;
	}
	outcome->is_sent = true;
	outcome->code = answers->code;
	words_set(outcome->answer, "%s", answers->last);
}

void
smtp_send(const struct smtp_delivery *delivery, struct smtp_outcome *ret_outcome)
{
	struct smtp_answers answers = { .code = 0 };
	struct smtp_outcome outcome = { .code = 0 };
	CURL *curl = curl_easy_init();
	struct curl_slist *header, *recipients;
	curl_mime *mime;

	if (curl == NULL)
		abort();
	mime = mime_new(curl, delivery->message, outcome.answer);
	if (mime != NULL) {
		header = make_header(delivery);
		recipients = make_recipients(json_object_get(delivery->message, "to"));
		set_connection(curl, delivery);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, header);
		curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
		curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
		perform(curl, &answers, &outcome);
	} else
		header = recipients = NULL;
	curl_easy_cleanup(curl);
	curl_mime_free(mime);
	curl_slist_free_all(header);
	curl_slist_free_all(recipients);
	*ret_outcome = outcome;
}
