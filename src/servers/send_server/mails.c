/* mails: the list, and what becomes of a mail. */

#include "servers/send_server/mails.h"
#include "servers/send_server/address.h"
#include "servers/send_server/mail_json.h"

#include <stdlib.h>
#include <string.h>

/* What is added to a mail while it is sent: an answer, numbers. */
#define WEIGHT_GROWS (2 * WORDS_SIZE + 256)

static bool
has_ended(const struct mail *mail)
{
	return mail->message == NULL;
}

void
mails_init(struct mails *mails, int64_t max_retries, int64_t keep)
{
	*mails = (struct mails){ .max_retries = max_retries, .keep = keep };
	TAILQ_INIT(&mails->list);
}

static void
free_mail(struct mail *mail)
{
	free(mail->address);
	free(mail->answer);
	json_decref(mail->message);
	free(mail);
}

static void
forget(struct mails *mails, struct mail *mail)
{
	TAILQ_REMOVE(&mails->list, mail, entry);
	mails->counts[mail->status]--;
	mails->weight -= mail->weight;
	free_mail(mail);
}

void
mails_done(struct mails *mails)
{
	struct mail *mail;

	while ((mail = TAILQ_FIRST(&mails->list)) != NULL)
		forget(mails, mail);
}

static void
weigh(struct mails *mails, struct mail *mail)
{
	mails->weight -= mail->weight;
	mail->weight = mail_json_weight(mail) + (has_ended(mail) ? 0 : WEIGHT_GROWS);
	mails->weight += mail->weight;
}

static void
set_status(struct mails *mails, struct mail *mail, enum mail_status status)
{
	mails->counts[mail->status]--;
	mail->status = status;
	mails->counts[status]++;
	mail->task = mail->watch = 0;
}

static void
set_answer(struct mail *mail, const char *answer)
{
	free(mail->answer);
	mail->answer = words_copy(answer);
}

/* ---- how many are remembered ---- */

static struct mail *
oldest_ended(const struct mails *mails, enum mail_status status)
{
	struct mail *mail;

	TAILQ_FOREACH_REVERSE(mail, &mails->list, mail_list, entry) {
		if (has_ended(mail) && (mail->status == status || status == MAIL_STATUS_COUNT))
			return mail;
	}
	return NULL;
}

static int64_t
count_ended(const struct mails *mails, enum mail_status status)
{
	const struct mail *mail;
	int64_t count = 0;

	TAILQ_FOREACH(mail, &mails->list, entry)
		count += has_ended(mail) && mail->status == status;
	return count;
}

static void
end(struct mails *mails, struct mail *mail)
{
	struct mail *oldest;

	json_decref(mail->message);
	mail->message = NULL;
	weigh(mails, mail);
	oldest = oldest_ended(mails, mail->status);
	if (oldest != NULL && count_ended(mails, mail->status) > mails->keep)
		forget(mails, oldest);
}

/* What has ended makes room, the oldest first. */
static bool
make_room(struct mails *mails, size_t weight)
{
	struct mail *mail;

	while (mails->weight + weight > MAILS_LARGEST &&
	    (mail = oldest_ended(mails, MAIL_STATUS_COUNT)) != NULL)
		forget(mails, mail);
	return mails->weight + weight <= MAILS_LARGEST;
}

/* ---- new ones ---- */

static struct mail *
add(struct mails *mails, char *address, json_t *message)
{
	struct mail *mail = memory_new(sizeof(*mail));

	mail->number = ++mails->last_number;
	mail->address = address;
	mail->message = json_incref(message);
	mails->counts[MAIL_QUEUED]++;
	TAILQ_INSERT_HEAD(&mails->list, mail, entry);
	weigh(mails, mail);
	return mail;
}

enum mails_added
mails_add(struct mails *mails, json_t *message, struct mail **ret_mail)
{
	size_t weight = json_dumpb(message, NULL, 0, JSON_COMPACT);

	if (weight > MAIL_LARGEST)
		return MAILS_TOO_LARGE;
	if (!make_room(mails, weight + WEIGHT_GROWS + 2 * WORDS_SIZE))
		return MAILS_FULL;
	*ret_mail = add(mails, message_recipients(message), message);
	return MAILS_ADDED;
}

void
mails_add_refused(struct mails *mails, char *address, const char *why)
{
	struct mail *mail = add(mails, address, NULL);

	set_status(mails, mail, MAIL_FAILED);
	set_answer(mail, why);
	end(mails, mail);
	make_room(mails, 0);
}

/* ---- those that are sent ---- */

struct mail *
mails_next(const struct mails *mails)
{
	struct mail *mail;

	if (mails->counts[MAIL_QUEUED] == 0)
		return NULL;
	TAILQ_FOREACH_REVERSE(mail, &mails->list, mail_list, entry) {
		if (mail->status == MAIL_QUEUED)
			return mail;
	}
	return NULL;
}

struct mail *
mails_find_task(const struct mails *mails, json_int_t task, bool is_id)
{
	struct mail *mail;

	TAILQ_FOREACH(mail, &mails->list, entry) {
		if (mail->status == MAIL_SENDING && mail->task == task &&
		    mail->is_id_known == is_id)
			return mail;
	}
	return NULL;
}

struct mail *
mails_find_watch(const struct mails *mails, json_int_t watch)
{
	struct mail *mail;

	TAILQ_FOREACH(mail, &mails->list, entry) {
		if (mail->status == MAIL_SENDING && mail->watch == watch && watch != 0)
			return mail;
	}
	return NULL;
}

void
mails_sending(struct mails *mails, struct mail *mail, json_int_t task, bool is_id)
{
	set_status(mails, mail, MAIL_SENDING);
	mail->task = task;
	mail->is_id_known = is_id;
}

static bool
may_be_tried_again(const struct mails *mails, const struct mail *mail)
{
	if (mail->was_unknown)
		return mail->unknowns <= MAIL_MOST_UNKNOWN;
	return mail->retries < mails->max_retries;
}

static void
failed(struct mails *mails, struct mail *mail, const struct smtp_outcome *outcome)
{
	char words[WORDS_SIZE];

	mail->was_unknown = outcome->is_unknown;
	mail->unknowns += outcome->is_unknown;
	set_answer(mail, !outcome->is_unknown
		? outcome->answer
		: words_set(words, "it may have been sent: %s", outcome->answer));
	set_status(mails, mail, MAIL_FAILED);
	if (outcome->code / 100 == 5 || !may_be_tried_again(mails, mail))
		end(mails, mail);
	else
		weigh(mails, mail);
}

void
mails_tried(struct mails *mails, struct mail *mail, const struct smtp_outcome *outcome)
{
	if (!outcome->is_sent) {
		failed(mails, mail, outcome);
		return;
	}
	mail->was_unknown = false;
	set_answer(mail, outcome->answer);
	set_status(mails, mail, MAIL_SENT);
	end(mails, mail);
}

/* ---- those that are tried again ---- */

struct mail *
mails_next_retry(const struct mails *mails, const struct mail *after)
{
	struct mail *mail = after != NULL ? TAILQ_PREV(after, mail_list, entry)
					  : TAILQ_LAST(&mails->list, mail_list);

	while (mail != NULL && (mail->status != MAIL_FAILED || has_ended(mail)))
		mail = TAILQ_PREV(mail, mail_list, entry);
	return mail;
}

void
mails_retry(struct mails *mails, struct mail *mail)
{
	mail->retries += !mail->was_unknown;
	set_status(mails, mail, MAIL_QUEUED);
}

/* ---- all of them ---- */

json_t *
mails_report(const struct mails *mails)
{
	json_t *emails = json_array();
	const struct mail *mail;

	TAILQ_FOREACH(mail, &mails->list, entry)
		json_array_append_new(emails, mail_json_report(mail));
	return json_pack("{s:o, s:I}", "emails", emails, "max_retries",
	    (json_int_t)mails->max_retries);
}

json_t *
mails_dump(const struct mails *mails)
{
	json_t *dumped = json_array();
	const struct mail *mail;

	TAILQ_FOREACH(mail, &mails->list, entry)
		json_array_append_new(dumped, mail_json_dump(mail));
	return dumped;
}

/* Fewer retries may be allowed now than when it failed. */
static void
end_hopeless(struct mails *mails)
{
	struct mail *mail = mails_next_retry(mails, NULL), *newer;

	for (; mail != NULL; mail = newer) {
		newer = mails_next_retry(mails, mail);
		if (!may_be_tried_again(mails, mail))
			end(mails, mail);
	}
}

void
mails_load(struct mails *mails, const json_t *dumped)
{
	const json_t *item;
	struct mail *mail;
	size_t i;

	json_array_foreach(dumped, i, item) {
		mail = mail_json_load(item);
		if (mail == NULL)
			continue;
		mails->counts[mail->status]++;
		TAILQ_INSERT_TAIL(&mails->list, mail, entry);
		weigh(mails, mail);
		if (mail->number > mails->last_number)
			mails->last_number = mail->number;
	}
	end_hopeless(mails);
}
