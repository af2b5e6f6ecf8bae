/* The list of mails: what becomes of each, how many are remembered, what a state has room for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servers/send_server/mails.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mail *
add(struct mails *mails, const char *address)
{
	json_t *message = json_pack(
	    "{s:[s], s:s, s:s}", "to", address, "subject", "s", "text", "t");
	struct mail *mail = NULL;

	assert_int_equal(mails_add(mails, message, &mail), MAILS_ADDED);
	json_decref(message);
	return mail;
}

static void
try(struct mails *mails, struct mail *mail, int code, bool is_unknown)
{
	struct smtp_outcome outcome = { .code = code, .is_sent = code == 250,
		.is_unknown = is_unknown };

	snprintf(outcome.answer, sizeof(outcome.answer), "%d answer", code);
	mails_sending(mails, mail, mail->number + 100, true);
	assert_ptr_equal(mails_find_task(mails, mail->number + 100, true), mail);
	mails_tried(mails, mail, &outcome);
}

static void
assert_report(const struct mails *mails, const char *expected)
{
	json_t *report = mails_report(mails);
	char *text = json_dumps(report, JSON_COMPACT);

	for (char *quote; (quote = strchr(text, '"')) != NULL;)
		*quote = '\'';
	assert_string_equal(text, expected);
	free(text);
	json_decref(report);
}

/* cases 237, 238 */
static void
mail_is_queued_sent_and_remembered_newest_first(void **state)
{
	struct mails mails;
	struct mail *first;

	(void)state;
	mails_init(&mails, 1, 10);
	assert_report(&mails, "{'emails':[],'max_retries':1}");
	first = add(&mails, "a@b");
	add(&mails, "c@d");
	assert_ptr_equal(mails_next(&mails), first);
	try(&mails, first, 250, false);
	assert_report(&mails,
	    "{'emails':[{'number':2,'address':'c@d','status':'queued','retries':0,"
	    "'answer':null},{'number':1,'address':'a@b','status':'sent','retries':0,"
	    "'answer':'250 answer'}],'max_retries':1}");
	assert_null(mails_next_retry(&mails, NULL));
	mails_done(&mails);
}

/* case 239 */
static void
refusal_of_the_mail_server_is_final_at_once(void **state)
{
	struct mails mails;

	(void)state;
	mails_init(&mails, 5, 10);
	try(&mails, add(&mails, "a@b"), 550, false);
	assert_null(mails_next_retry(&mails, NULL));
	assert_report(&mails, "{'emails':[{'number':1,'address':'a@b','status':'failed',"
			      "'retries':0,'answer':'550 answer'}],'max_retries':5}");
	mails_done(&mails);
}

/* case 240 */
static void
mail_is_tried_again_as_often_as_allowed(void **state)
{
	struct mails mails;
	struct mail *mail;

	(void)state;
	mails_init(&mails, 2, 10);
	mail = add(&mails, "a@b");
	try(&mails, mail, 450, false);
	for (int retry = 1; retry <= 2; retry++) {
		assert_null(mails_next(&mails));
		assert_ptr_equal(mails_next_retry(&mails, NULL), mail);
		assert_null(mails_next_retry(&mails, mail));
		mails_retry(&mails, mail);
		assert_ptr_equal(mails_next(&mails), mail);
		assert_int_equal(mail->retries, retry);
		try(&mails, mail, retry == 1 ? 0 : 450, false);
	}
	assert_null(mails_next_retry(&mails, NULL));
	assert_null(mail->message);
	mails_done(&mails);
}

/* case 241 */
static void
mail_is_never_tried_again_without_retries(void **state)
{
	struct mails mails;

	(void)state;
	mails_init(&mails, 0, 10);
	try(&mails, add(&mails, "a@b"), 450, false);
	assert_null(mails_next_retry(&mails, NULL));
	mails_done(&mails);
}

static void
unknown_outcome_is_tried_again_beyond_retries_but_not_for_ever(void **state)
{
	struct mails mails;
	struct mail *mail;

	(void)state;
	mails_init(&mails, 0, 10);
	mail = add(&mails, "a@b");
	for (int i = 0; i < MAIL_MOST_UNKNOWN; i++) {
		try(&mails, mail, 0, true);
		assert_ptr_equal(mails_next_retry(&mails, NULL), mail);
		mails_retry(&mails, mail);
		assert_int_equal(mail->retries, 0);
	}
	try(&mails, mail, 0, true);
	assert_null(mails_next_retry(&mails, NULL));
	assert_report(&mails,
	    "{'emails':[{'number':1,'address':'a@b','status':'failed','retries':0,"
	    "'answer':'it may have been sent: 0 answer','unknown':4}],'max_retries':0}");
	mails_done(&mails);
}

static size_t
length(const struct mails *mails)
{
	json_t *report = mails_report(mails);
	size_t size = json_array_size(json_object_get(report, "emails"));

	json_decref(report);
	return size;
}

static void
ended_mails_are_forgotten_oldest_first_beyond_keep(void **state)
{
	struct mails mails;

	(void)state;
	mails_init(&mails, 0, 2);
	for (int i = 0; i < 5; i++) {
		try(&mails, add(&mails, "sent@b"), 250, false);
		mails_add_refused(&mails, strdup("refused"), "refused: it is not one");
		add(&mails, "waiting@b");
	}
	assert_int_equal(length(&mails), 2 + 2 + 5);
	assert_int_equal(mails.counts[MAIL_SENT], 2);
	assert_int_equal(mails.counts[MAIL_FAILED], 2);
	assert_int_equal(TAILQ_FIRST(&mails.list)->number, 15);
	mails_done(&mails);
	mails_init(&mails, 0, 0);
	mails_add_refused(&mails, strdup("refused"), "refused");
	try(&mails, add(&mails, "sent@b"), 250, false);
	assert_int_equal(length(&mails), 0);
	assert_int_equal(mails.weight, 0);
	mails_done(&mails);
}

static json_t *
message_of(size_t bytes)
{
	char *text = malloc(bytes + 1);
	json_t *message;

	memset(text, 'x', bytes);
	text[bytes] = '\0';
	message = json_pack("{s:[s], s:s, s:s}", "to", "a@b", "subject", "s", "text", text);
	free(text);
	return message;
}

/* What waits must fit into one line of 1 MiB, with the answers that are still to come. */
static void
list_is_full_before_the_state_is_too_large(void **state)
{
	json_t *large = message_of(MAIL_LARGEST + 1), *message = message_of(50000), *dumped;
	struct mails mails;
	struct mail *mail;
	size_t count = 0;

	(void)state;
	mails_init(&mails, 5, 1000);
	assert_int_equal(mails_add(&mails, large, &mail), MAILS_TOO_LARGE);
	for (int i = 0; i < 200; i++)
		try(&mails, add(&mails, "sent@b"), 250, false);
	while (mails_add(&mails, message, &mail) == MAILS_ADDED)
		count++;
	assert_in_range(count, 10, 13);
	assert_int_equal(mails.counts[MAIL_SENT], 0); /* they have made room */
	dumped = mails_dump(&mails);
	assert_in_range(json_dumpb(dumped, NULL, 0, JSON_COMPACT), 500000, MAILS_LARGEST);
	/* the estimate is not below the truth */
	assert_true(json_dumpb(dumped, NULL, 0, JSON_COMPACT) <= mails.weight + 2);
	try(&mails, mail, 250, false);
	assert_int_equal(mails_add(&mails, message, &mail), MAILS_ADDED);
	mails_done(&mails);
	json_decref(dumped);
	json_decref(large);
	json_decref(message);
}

static void
state_survives_being_dumped_and_loaded(void **state)
{
	struct mails mails, loaded;
	struct mail *mail;
	json_t *before, *after;

	(void)state;
	mails_init(&mails, 3, 10);
	try(&mails, add(&mails, "sent@b"), 250, false);
	try(&mails, add(&mails, "refused@b"), 550, false);
	try(&mails, add(&mails, "later@b"), 450, false);
	try(&mails, add(&mails, "unknown@b"), 0, true);
	mails_sending(&mails, add(&mails, "sending@b"), 7, true);
	mail = add(&mails, "starting@b");
	mails_sending(&mails, mail, 8, false);
	mail->watch = 9;
	add(&mails, "queued@b");
	before = mails_dump(&mails);
	mails_init(&loaded, 3, 10);
	mails_load(&loaded, before);
	after = mails_dump(&loaded);
	assert_true(json_equal(before, after));
	assert_true(json_dumpb(before, NULL, 0, JSON_COMPACT) <= loaded.weight + 2);
	assert_memory_equal(loaded.counts, mails.counts, sizeof(mails.counts));
	assert_int_equal(loaded.last_number, 7);
	assert_int_equal(mails_find_task(&loaded, 7, true)->number, 5);
	assert_null(mails_find_task(&loaded, 7, false));
	assert_int_equal(mails_find_task(&loaded, 8, false)->number, 6);
	assert_int_equal(mails_find_watch(&loaded, 9)->number, 6);
	assert_null(mails_find_watch(&loaded, 0));
	mails_done(&loaded);
	/* with fewer retries now, nothing waits for one that never comes */
	mails_init(&loaded, 0, 10);
	mails_load(&loaded, before);
	assert_string_equal(mails_next_retry(&loaded, NULL)->address, "unknown@b");
	mails_done(&loaded);
	mails_done(&mails);
	json_decref(before);
	json_decref(after);
}

static void
what_makes_no_sense_is_not_loaded(void **state)
{
	json_t *dumped = json_loads("[5, {}, {\"status\":\"no\"}, {\"status\":\"queued\"}, "
				    "{\"status\":\"sending\",\"task\":1}, {\"status\":\"sent\"}]",
	    0, NULL);
	struct mails mails;

	(void)state;
	mails_init(&mails, 0, 10);
	mails_load(&mails, dumped);
	assert_int_equal(length(&mails), 1);
	mails_done(&mails);
	json_decref(dumped);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_is_queued_sent_and_remembered_newest_first),
		cmocka_unit_test(refusal_of_the_mail_server_is_final_at_once),
		cmocka_unit_test(mail_is_tried_again_as_often_as_allowed),
		cmocka_unit_test(mail_is_never_tried_again_without_retries),
		cmocka_unit_test(unknown_outcome_is_tried_again_beyond_retries_but_not_for_ever),
		cmocka_unit_test(ended_mails_are_forgotten_oldest_first_beyond_keep),
		cmocka_unit_test(list_is_full_before_the_state_is_too_large),
		cmocka_unit_test(state_survives_being_dumped_and_loaded),
		cmocka_unit_test(what_makes_no_sense_is_not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
