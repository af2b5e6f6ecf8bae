/* sender: mails go out by tasks, at most `parallel` at once, and their ends come back here. */

#include "servers/send_server/deliver.h"
#include "servers/send_server/mailer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A task that libcurl's own limit has not ended hangs elsewhere: in a file, perhaps. */
#define TASK_EXTRA_MS 60000

static void
remove_file(const struct mailer *mailer, const struct mail *mail)
{
	char path[SPOOL_PATH_SIZE];

	unlink(spool_path(mailer, mail, path));
}

static void
settle(struct mailer *mailer, struct mail *mail, const struct smtp_outcome *outcome)
{
	if (outcome->is_sent)
		printf("Email to %s sent\n", mail->address);
	remove_file(mailer, mail);
	mails_tried(&mailer->mails, mail, outcome);
}

static void
settle_not_sent(struct mailer *mailer, struct mail *mail, const char *why)
{
	struct smtp_outcome outcome = { .code = 0 };

	words_set(outcome.answer, "%s", why);
	settle(mailer, mail, &outcome);
}

/* ---- tasks begin ---- */

static json_t *
describe_job(const struct mailer *mailer, const struct mail *mail)
{
	char path[SPOOL_PATH_SIZE];

	/* The default supervisor's places are for others: a mail waits for none. */
	json_t *job = json_pack("{s:[s, s, s], s:s, s:s, s:s}", "command", mailer->program,
	    DELIVER_OPTION, spool_path(mailer, mail, path), "cwd", "/", "type", "mail",
	    "supervisor", "servers");

	json_object_set_new(job, "timeout",
	    json_sprintf("%" PRId64 "ms", mailer->settings.timeout_ms + TASK_EXTRA_MS));
	return job;
}

static void
start(struct gen_server *server, struct mailer *mailer, struct mail *mail)
{
	struct gen_error error = { .data = NULL };
	char words[WORDS_SIZE];
	int64_t task;

	if (spool_write(mailer, mail, words) == -1) {
		settle_not_sent(mailer, mail, words);
		return;
	}
	task = gen_async(server, describe_job(mailer, mail), &error);
	if (task == -1)
		settle_not_sent(mailer, mail, error.reason);
	else
		mails_sending(&mailer->mails, mail, task, !gen_is_durable(server));
	gen_error_done(&error);
}

void
sender_pump(struct gen_server *server, struct mailer *mailer)
{
	struct mails *mails = &mailer->mails;
	struct mail *mail;

	while ((int64_t)mails->counts[MAIL_SENDING] < mailer->settings.parallel &&
	    (mail = mails_next(mails)) != NULL)
		start(server, mailer, mail);
}

/* ---- tasks end ---- */

static bool
read_number(const json_t *message, const char *name, json_int_t *ret_number)
{
	const json_t *value = json_object_get(message, name);

	*ret_number = json_integer_value(value);
	return json_is_integer(value);
}

static void
hear_result(struct mailer *mailer, const json_t *message, json_int_t task)
{
	struct mail *mail = mails_find_task(&mailer->mails, task, true);
	struct smtp_outcome outcome;

	if (mail == NULL)
		return;
	if (deliver_read_result(json_object_get(message, "result"), &outcome) == -1) {
		outcome = (struct smtp_outcome){ .is_unknown = true };
		words_set(outcome.answer, "its task gave no result");
	}
	settle(mailer, mail, &outcome);
}

/* Without a result. The kernel knows how it ended, nobody knows how far it came. */
static void
hear_down(struct mailer *mailer, const json_t *message, json_int_t ref)
{
	const char *reason = words_of(json_object_get(message, "reason"));
	struct smtp_outcome outcome = { .is_unknown = true };
	struct mail *mail;
	json_int_t task;

	mail = read_number(message, "down", &task) && task == ref
	    ? mails_find_task(&mailer->mails, task, true)
	    : NULL;
	if (mail == NULL)
		mail = mails_find_watch(&mailer->mails, ref);
	if (mail == NULL)
		return;
	if (strncmp(reason, "spawn:", strlen("spawn:")) == 0)
		outcome.is_unknown = false;
	words_set(outcome.answer, "its task ended: %s", reason);
	settle(mailer, mail, &outcome);
}

static void
watch(struct gen_server *server, struct mail *mail)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)mail->task);
	mail->watch = gen_monitor(server, id);
}

/* A durable server learns its tasks' ids when they are on disk. */
static void
hear_started(struct gen_server *server, struct mailer *mailer, const json_t *message,
    json_int_t ref)
{
	struct mail *mail = mails_find_task(&mailer->mails, ref, false);
	json_int_t task;

	if (mail == NULL)
		return;
	if (!read_number(message, "job", &task)) {
		settle_not_sent(mailer, mail, words_of(json_object_get(message, "error")));
		return;
	}
	mails_sending(&mailer->mails, mail, task, true);
	if (mailer->watches_all)
		watch(server, mail);
}

bool
sender_hear(struct gen_server *server, struct mailer *mailer, const json_t *message)
{
	json_int_t number;

	if (read_number(message, "task", &number))
		hear_result(mailer, message, number);
	else if (!read_number(message, "ref", &number))
		return false;
	else if (json_object_get(message, "down") != NULL)
		hear_down(mailer, message, number);
	else
		hear_started(server, mailer, message, number);
	sender_pump(server, mailer);
	return true;
}

/* ---- the server starts and ends ---- */

void
sender_watch(struct gen_server *server, struct mailer *mailer)
{
	struct mail *mail;

	mailer->watches_all = true;
	TAILQ_FOREACH(mail, &mailer->mails.list, entry) {
		if (mail->status == MAIL_SENDING && mail->is_id_known)
			watch(server, mail);
	}
}

void
sender_clean(const struct mailer *mailer)
{
	const struct mail *mail;

	TAILQ_FOREACH(mail, &mailer->mails.list, entry) {
		if (mail->status == MAIL_SENDING)
			remove_file(mailer, mail);
	}
}
