/*
 * mail_json: one mail as JSON.
 *
 * To add a stored field: struct mail in mails.h, mail_json_dump() and mail_json_load().
 */

#include "servers/send_server/mail_json.h"

#include <string.h>

static const char *const status_words[] = {
	[MAIL_QUEUED] = "queued",
	[MAIL_SENDING] = "sending",
	[MAIL_SENT] = "sent",
	[MAIL_FAILED] = "failed",
};
_Static_assert(sizeof(status_words) / sizeof(status_words[0]) == MAIL_STATUS_COUNT,
    "a word for every status");

const char *
mail_status_word(enum mail_status status)
{
	return status_words[status];
}

json_t *
mail_json_report(const struct mail *mail)
{
	json_t *report = json_pack("{s:I, s:s, s:s, s:I, s:s?}", "number", mail->number, "address",
	    mail->address, "status", mail_status_word(mail->status), "retries",
	    (json_int_t)mail->retries, "answer", mail->answer);

	if (mail->unknowns > 0)
		json_object_set_new(report, "unknown", json_integer(mail->unknowns));
	return report;
}

json_t *
mail_json_dump(const struct mail *mail)
{
	json_t *dumped = mail_json_report(mail);

	if (mail->message != NULL)
		json_object_set(dumped, "message", mail->message);
	if (mail->was_unknown)
		json_object_set_new(dumped, "was_unknown", json_true());
	if (mail->status == MAIL_SENDING)
		json_object_set_new(dumped, mail->is_id_known ? "task" : "ref",
		    json_integer(mail->task));
	if (mail->watch != 0)
		json_object_set_new(dumped, "watch", json_integer(mail->watch));
	return dumped;
}

size_t
mail_json_weight(const struct mail *mail)
{
	json_t *dumped = mail_json_dump(mail);
	size_t weight = json_dumpb(dumped, NULL, 0, JSON_COMPACT);

	json_decref(dumped);
	return weight + 1; /* and a comma */
}

/* ---- back ---- */

static int
find_status(const char *word)
{
	int status;

	for (status = 0; status < MAIL_STATUS_COUNT; status++) {
		if (strcmp(status_words[status], word) == 0)
			break;
	}
	return status;
}

static json_int_t
number_of(const json_t *item, const char *name)
{
	return json_integer_value(json_object_get(item, name));
}

struct mail *
mail_json_load(const json_t *item)
{
	int status = find_status(words_of(json_object_get(item, "status")));
	const json_t *answer = json_object_get(item, "answer");
	struct mail *mail;

	if (status == MAIL_STATUS_COUNT ||
	    (status < MAIL_SENT && json_object_get(item, "message") == NULL))
		return NULL;
	mail = memory_new(sizeof(*mail));
	mail->number = number_of(item, "number");
	mail->status = (enum mail_status)status;
	mail->address = words_copy(words_of(json_object_get(item, "address")));
	mail->answer = json_is_string(answer) ? words_copy(words_of(answer)) : NULL;
	mail->message = json_incref(json_object_get(item, "message"));
	mail->retries = number_of(item, "retries");
	mail->unknowns = number_of(item, "unknown");
	mail->was_unknown = json_is_true(json_object_get(item, "was_unknown"));
	mail->is_id_known = json_object_get(item, "task") != NULL;
	mail->task = number_of(item, mail->is_id_known ? "task" : "ref");
	mail->watch = number_of(item, "watch");
	return mail;
}
