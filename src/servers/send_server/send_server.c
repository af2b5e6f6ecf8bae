/*
 * send_server: a server that sends e-mails. send_server(8) has its messages and options.
 *
 * It does no more than keep the list: mails are sent by tasks, which are this program too, so
 * it answers while a mail server takes its time. Each callback of a durable one is a
 * transaction: a mail is in the list, or its message still in the mailbox; a task is started
 * if and only if the list says so.
 */

#include "servers/send_server/address.h"
#include "servers/send_server/deliver.h"
#include "servers/send_server/mailer.h"

#include <sys/random.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOO_LARGE "it has more than 256 KiB; what is large is attached as a file"

/* ---- the state ---- */

static void
mailer_free(struct mailer *mailer)
{
	mails_done(&mailer->mails);
	settings_done(&mailer->settings);
	free(mailer);
}

static void
set_key(char key[KEY_SIZE])
{
	unsigned char bytes[(KEY_SIZE - 1) / 2];

	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

/* Read once: after an upgrade the name stands for the new program. */
static void
set_program(char program[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", program, PATH_MAX - 1);

	program[length > 0 ? length : 0] = '\0';
}

static void
await_tick(struct gen_server *server, struct mailer *mailer)
{
	mailer->tick++;
	mailer->timer = gen_send_after(server, NULL, json_pack("{s:I}", "retry", mailer->tick),
	    mailer->settings.retry_every_ms);
}

static struct gen_return
make(struct gen_server *server, const json_t *arguments, struct mailer **ret_mailer)
{
	struct mailer *mailer = memory_new(sizeof(*mailer));
	char *text = json_dumps(arguments, JSON_COMPACT), words[WORDS_SIZE];
	int result = settings_init(&mailer->settings, arguments, words);

	printf("Received arguments: %s\n", text != NULL ? text : "");
	free(text);
	mails_init(&mailer->mails, mailer->settings.mail_retries, mailer->settings.keep);
	if (result == -1) {
		mailer_free(mailer);
		return gen_stop(json_string(words));
	}
	set_program(mailer->program);
	gen_trap_exit(server, true);
	*ret_mailer = mailer;
	return gen_ok();
}

static struct gen_return
init(struct gen_server *server, const json_t *arguments, void **ret_state)
{
	struct mailer *mailer = NULL;
	struct gen_return what = make(server, arguments, &mailer);

	if (mailer == NULL)
		return what;
	set_key(mailer->key);
	await_tick(server, mailer);
	*ret_state = mailer;
	return what;
}

static json_t *
dump(void *state)
{
	const struct mailer *mailer = state;

	return json_pack("{s:s, s:I, s:I, s:I, s:o}", "key", mailer->key, "tick", mailer->tick,
	    "timer", (json_int_t)mailer->timer, "last", mailer->mails.last_number, "mails",
	    mails_dump(&mailer->mails));
}

static json_int_t
number_of(const json_t *dumped, const char *name)
{
	return json_integer_value(json_object_get(dumped, name));
}

static struct gen_return
load(struct gen_server *server, const json_t *arguments, const json_t *dumped, void **ret_state)
{
	struct mailer *mailer = NULL;
	struct gen_return what = make(server, arguments, &mailer);

	if (mailer == NULL)
		return what;
	snprintf(mailer->key, sizeof(mailer->key), "%s", words_of(json_object_get(dumped, "key")));
	mailer->tick = number_of(dumped, "tick");
	mailer->timer = number_of(dumped, "timer");
	mails_load(&mailer->mails, json_object_get(dumped, "mails"));
	mailer->mails.last_number = number_of(dumped, "last");
	sender_watch(server, mailer);
	if (gen_read_timer(server, mailer->timer) == -1)
		await_tick(server, mailer);
	*ret_state = mailer;
	return what;
}

/* ---- mails come ---- */

/* ["send", ADDRESS], {"send": MESSAGE}: what is to be sent. NULL: it is neither. */
static const json_t *
find_message(const json_t *request)
{
	if (json_is_object(request) && json_object_size(request) == 1)
		return json_object_get(request, "send");
	if (json_array_size(request) == 2 &&
	    strcmp(words_of(json_array_get(request, 0)), "send") == 0)
		return json_array_get(request, 1);
	return NULL;
}

static json_t *
check(const json_t *request, const json_t *message, char words[WORDS_SIZE])
{
	return json_is_array(request) ? message_test(message, words)
				      : message_check(message, words);
}

/* For whom the refused one was. */
static char *
recipients(const json_t *request, const json_t *message)
{
	json_t *whole;
	char *text;

	if (json_is_object(request))
		return message_recipients(message);
	whole = json_pack("{s:O}", "to", message);
	text = message_recipients(whole);
	json_decref(whole);
	return text;
}

/* One that does not fit waits outside of the list, in the mailbox of timers. */
static void
wait_for_room(struct gen_server *server, const struct mailer *mailer, json_t *message)
{
	gen_send_after(server, NULL, json_pack("{s:O}", "send", message),
	    mailer->settings.retry_every_ms);
}

static void
take(struct gen_server *server, struct mailer *mailer, const json_t *request,
    const json_t *message)
{
	char words[WORDS_SIZE], refused[WORDS_SIZE];
	json_t *checked = check(request, message, words);
	enum mails_added added = MAILS_TOO_LARGE;
	struct mail *mail;

	if (checked != NULL) {
		words_set(words, TOO_LARGE);
		added = mails_add(&mailer->mails, checked, &mail);
	}
	if (added == MAILS_TOO_LARGE)
		mails_add_refused(&mailer->mails, recipients(request, message),
		    words_set(refused, "refused: %s", words));
	else if (added == MAILS_FULL)
		wait_for_room(server, mailer, checked);
	json_decref(checked);
	sender_pump(server, mailer);
}

static struct gen_return
handle_cast(struct gen_server *server, json_t *message, void *state)
{
	const json_t *found = find_message(message);

	if (found == NULL)
		return gen_unknown();
	take(server, state, message, found);
	return gen_noreply();
}

/* Whoever calls hears what is wrong, so it is not recorded. */
static struct gen_return
answer_send(struct gen_server *server, struct mailer *mailer, const json_t *request,
    struct gen_from *from)
{
	char words[WORDS_SIZE];
	json_t *checked = check(request, find_message(request), words);
	enum mails_added added = MAILS_TOO_LARGE;
	struct mail *mail = NULL;

	if (checked != NULL) {
		words_set(words, TOO_LARGE);
		added = mails_add(&mailer->mails, checked, &mail);
		if (added == MAILS_FULL)
			words_set(words, "too many mails are waiting");
		json_decref(checked);
	}
	if (added != MAILS_ADDED) {
		gen_reply_error(server, from, words, NULL);
		return gen_noreply();
	}
	gen_reply(server, from, json_pack("{s:I}", "number", mail->number));
	sender_pump(server, mailer);
	return gen_noreply();
}

static struct gen_return
handle_call(struct gen_server *server, json_t *message, struct gen_from *from, void *state)
{
	struct mailer *mailer = state;

	if (strcmp(words_of(message), "get_state") == 0)
		return gen_reply_with(mails_report(&mailer->mails));
	if (find_message(message) == NULL)
		return gen_unknown();
	return answer_send(server, mailer, message, from);
}

/* ---- ticks ---- */

static void
retry_all(struct gen_server *server, struct mailer *mailer)
{
	struct mail *mail = NULL;

	while ((mail = mails_next_retry(&mailer->mails, mail)) != NULL) {
		printf("Retrying email %s...\n", mail->address);
		mails_retry(&mailer->mails, mail);
	}
	sender_pump(server, mailer);
}

static struct gen_return
handle_info(struct gen_server *server, json_t *message, void *state)
{
	struct mailer *mailer = state;
	const json_t *tick = json_object_get(message, "retry");

	if (json_is_integer(tick)) {
		if (json_integer_value(tick) == mailer->tick) {
			await_tick(server, mailer);
			retry_all(server, mailer);
		}
		return gen_noreply();
	}
	if (json_is_object(message) && find_message(message) != NULL) {
		take(server, mailer, message, find_message(message));
		return gen_noreply();
	}
	return sender_hear(server, mailer, message) ? gen_noreply() : gen_unknown();
}

/* ---- the end ---- */

static size_t
count_unfinished(const struct mails *mails)
{
	const struct mail *mail;
	size_t count = 0;

	TAILQ_FOREACH(mail, &mails->list, entry)
		count += mail->message != NULL;
	return count;
}

static void
terminate(struct gen_server *server, const char *reason, void *state)
{
	struct mailer *mailer = state;
	size_t unfinished = count_unfinished(&mailer->mails);
	char words[4 * WORDS_SIZE];

	words_clean(words, sizeof(words), reason, strlen(reason));
	printf("Terminating with reason %s\n", words);
	if (unfinished > 0)
		printf("%zu not sent%s\n", unfinished,
		    gen_is_durable(server) ? ", and kept until the next start" : "");
	fflush(stdout);
	if (!gen_is_durable(server))
		sender_clean(mailer);
	mailer_free(mailer);
}

static const struct gen_server_ops send_server_ops = {
	.name = "send_server",
	.init = init,
	.handle_call = handle_call,
	.handle_cast = handle_cast,
	.handle_info = handle_info,
	.terminate = terminate,
	.dump = dump,
	.load = load,
};

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], DELIVER_OPTION) == 0)
		return deliver_main(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0); /* it is a file, which is read while we run */
	return gen_server_main(&send_server_ops, argc, argv);
}
