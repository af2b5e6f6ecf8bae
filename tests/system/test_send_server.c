/*
 * send_server: the mail sender against a real mail server, which refuses, is slow, breaks off
 * and is down; and the sessions of its page, as they stand there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/example.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/page.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_SERVER SERVERS_DIRECTORY "/send_server"
#define PAGE "man/send_server.8"

struct scene {
	struct instance instance;
	struct helper smtp;
	bool smtp_runs;
	int went; /* lines that its fifo has taken */
	char port[8];
	char url[64];
};

/* ---- the mail server ---- */

/* On the same port as before, if there was one. */
static void
smtp_start(struct scene *scene, const char *certificate, const char *key)
{
	const char *arguments[] = { "/usr/bin/python3", TESTS_DIRECTORY "/support/smtp_server.py",
		scene->instance.directory, scene->port, certificate, key, NULL };

	helper_start(&scene->smtp, NULL, arguments);
	helper_expect(&scene->smtp, "listening ");
	helper_expect(&scene->smtp, "\n");
	snprintf(scene->port, sizeof(scene->port), "%d",
	    atoi(strstr(scene->smtp.out.text, "listening ") + strlen("listening ")));
	snprintf(scene->url, sizeof(scene->url), "smtp://localhost:%s", scene->port);
	scene->smtp_runs = true;
}

static void
smtp_stop(struct scene *scene)
{
	if (scene->smtp_runs)
		helper_end(&scene->smtp);
	scene->smtp_runs = false;
}

/* Let one slow mail go on. What is left in a fifo that nobody has open is gone: one by one. */
static void
smtp_go(struct scene *scene)
{
	char text[300];

	snprintf(text, sizeof(text), "%s/go", scene->instance.directory);
	fifo_write(text, "go\n");
	snprintf(text, sizeof(text), "went %d\n", ++scene->went);
	helper_expect(&scene->smtp, text);
}

/* What it has accepted, from 0. A new reference; NULL: no such mail. */
static json_t *
smtp_mail(struct scene *scene, size_t number)
{
	char path[300], *text, *rest, *line;
	json_t *mail = NULL;

	snprintf(path, sizeof(path), "%s/mails", scene->instance.directory);
	rest = text = file_text(path);
	while ((line = strsep(&rest, "\n")) != NULL && mail == NULL && line[0] != '\0') {
		if (number-- == 0)
			mail = json_loads(line, 0, NULL);
	}
	free(text);
	return mail;
}

static size_t
smtp_count(struct scene *scene)
{
	json_t *mail;
	size_t count = 0;

	while ((mail = smtp_mail(scene, count)) != NULL) {
		json_decref(mail);
		count++;
	}
	return count;
}

/* ---- scenes ---- */

static void
begin(struct scene *scene)
{
	*scene = (struct scene){ .port = "0" };
	instance_init(&scene->instance);
	instance_start(&scene->instance, NULL);
	free(fifo_make(&scene->instance, "go"));
	smtp_start(scene, NULL, NULL);
}

static void
finish(struct scene *scene)
{
	smtp_stop(scene);
	instance_finish(&scene->instance);
}

#define START(scene, ...)                                                                      \
	expect(jobberd(&(scene)->instance, "start", __VA_ARGS__, "--smtp", (scene)->url,       \
		   "--from", "me@example.org", NULL),                                          \
	    0, NULL, NULL)
#define PLAIN "m", "--", SEND_SERVER
#define DURABLE "--durable", "m", "--", SEND_SERVER
#define CAST(scene, ...)                                                                       \
	expect(jobberd(&(scene)->instance, "cast", "m", __VA_ARGS__, NULL), 0, "", NULL)

/* Wait until what it tells of itself has this, and give it. ' stands for ". To be freed. */
static char *
await_state(struct scene *scene, const char *part)
{
	int64_t until = now_ms() + PATIENCE_MS;
	struct result result;
	struct changes changes;

	changes_init(&changes, &scene->instance);
	for (;;) {
		result = jobberd(&scene->instance, "call", "m", "get_state", NULL);
		for (char *quote; (quote = strchr(result.out, '"')) != NULL;)
			*quote = '\'';
		if (strstr(result.out, part) != NULL)
			break;
		if (now_ms() > until)
			fail_msg("never: %s", part);
		result_done(&result);
		changes_wait(&changes, until);
	}
	changes_done(&changes);
	free(result.err);
	return result.out;
}

static void
await_mail(struct scene *scene, const char *address, const char *status, int retries,
    const char *answer)
{
	char part[400];

	snprintf(part, sizeof(part), "'address':'%s','status':'%s','retries':%d,'answer':%s",
	    address, status, retries, answer);
	free(await_state(scene, part));
}

static void
expect_log(struct scene *scene, const char *expected)
{
	struct result result = jobberd(&scene->instance, "log", "m", NULL);
	const char *behind = strchr(result.out, '\n'); /* the arguments */

	assert_true(strncmp(result.out, "Received arguments: [\"", 22) == 0);
	assert_non_null(behind);
	assert_string_equal(behind + 1, expected);
	result_done(&result);
}

static pid_t
pid_of(struct scene *scene, const char *where)
{
	char statement[200];

	snprintf(statement, sizeof(statement),
	    "SELECT pid FROM attempts a JOIN jobs j ON j.id = a.job_id WHERE a.ended_at IS NULL "
	    "AND %s", where);
	return (pid_t)sql_number(&scene->instance, statement);
}

/* ---- the page ---- */

/* Commands and what they print, as they stand, with a port of this test's. */
struct session {
	struct scene *scene;
	char command[500], expected[2000];
};

static void
add_line(char *text, size_t size, const char *line, const char *port)
{
	size_t length = strlen(text);
	const char *found = strstr(line, "2525");

	if (found != NULL)
		snprintf(text + length, size - length, "%.*s%s%s\n", (int)(found - line), line,
		    port, found + 4);
	else
		snprintf(text + length, size - length, "%s\n", line);
}

/*
 * Whoever types is slow enough for a mail to be sent. We are not: what is looked at is looked
 * at again until it is as the page says.
 */
static void
run_command(struct session *session)
{
	const char *arguments[] = { "sh", "-c", session->command, NULL };
	int64_t until = now_ms() + PATIENCE_MS;
	bool is_look = strstr(session->command, "get_state") != NULL ||
	    strstr(session->command, "jobberd log") != NULL;
	struct changes changes;

	if (session->command[0] == '\0')
		return;
	changes_init(&changes, &session->scene->instance);
	for (;;) {
		struct helper helper;
		int status;
		bool is_same;

		helper_start(&helper, NULL, arguments);
		status = helper_wait(&helper);
		is_same = strcmp(helper.out.text, session->expected) == 0;
		if (!is_same && (!is_look || now_ms() > until))
			fail_msg("%sprinted \"%s\" instead of \"%s\"", session->command,
			    helper.out.text, session->expected);
		if (status != 0)
			fail_msg("%sexit %d: %s", session->command, status, helper.err.text);
		helper_end(&helper);
		if (is_same)
			break;
		changes_wait(&changes, until);
	}
	changes_done(&changes);
	session->command[0] = session->expected[0] = '\0';
}

/* "\e" is how the page has a backslash. A line that begins with blanks continues another. */
static void
add_to_session(struct session *session, const char *line)
{
	const char *port = session->scene->port;
	char *last = session->expected, plain[200];
	size_t length = strlen(session->command);

	if (line[0] == '$') {
		run_command(session);
		snprintf(plain, sizeof(plain), "%s", line + 2);
		if (strlen(plain) > 2 && strcmp(plain + strlen(plain) - 2, "\\e") == 0)
			plain[strlen(plain) - 1] = '\0';
		add_line(session->command, sizeof(session->command), plain, port);
	} else if (length > 2 && strcmp(session->command + length - 2, "\\\n") == 0)
		add_line(session->command, sizeof(session->command), line, port);
	else {
		length = strlen(last);
		if (line[0] == ' ' && length > 0)
			last[length - 1] = '\0';
		add_line(last, sizeof(session->expected), line + strspn(line, " "), port);
	}
}

static void
run_sessions(struct scene *scene)
{
	struct session session = { .scene = scene };
	struct page page;
	struct page_section section;
	bool is_inside = false;
	size_t commands = 0;

	page_read(&page, PAGE);
	section = page_find(&page, ".Sh EXAMPLES");
	for (size_t i = section.from; i < section.to; i++) {
		const char *line = page.lines[i];

		if (strcmp(line, ".Ed") == 0) {
			if (is_inside)
				run_command(&session);
			is_inside = false;
		}
		is_inside = is_inside || line[0] == '$';
		commands += line[0] == '$';
		if (is_inside)
			add_to_session(&session, line);
	}
	assert_int_equal(commands, 16);
	page_done(&page);
}

/* One that nobody has now. */
static void
choose_port(char port[8])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(port, 8, "%d", ntohs(address.sin_port));
	close(fd);
}

/* cases 237, 238, 239, 240 */
static void
sessions_of_the_page_are_as_they_stand_there(void **state)
{
	struct scene scene = { .smtp_runs = false };
	char path[400], where[300], listen[40], old[4096];

	(void)state;
	instance_init(&scene.instance);
	instance_start(&scene.instance, NULL);
	snprintf(path, sizeof(path), "%s/refusing.py", scene.instance.directory);
	example_write(PAGE, path);
	choose_port(scene.port);
	snprintf(where, sizeof(where), "PYTHONPATH=%s", scene.instance.directory);
	snprintf(listen, sizeof(listen), "localhost:%s", scene.port);
	helper_start(&scene.smtp, NULL,
	    (const char *const[]){ "env", where, "/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l",
		listen, "-d", "-c", "refusing.Handler", NULL });
	scene.smtp_runs = true;
	helper_expect(&scene.smtp, "Server is listening");
	snprintf(old, sizeof(old), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s/../bin:" SERVERS_DIRECTORY, getenv("TMPDIR"));
	setenv("JOBBERD_STATE", scene.instance.state, 1);
	setenv("PATH", strcat(strcat(path, ":"), "/usr/bin:/bin"), 1);
	run_sessions(&scene);
	setenv("PATH", old, 1);
	unsetenv("JOBBERD_STATE");
	finish(&scene);
}

/* ---- what is sent ---- */

static const char *
field(json_t *mail, const char *name)
{
	const char *text = json_string_value(
	    json_object_get(json_object_get(mail, "header"), name));

	return text != NULL ? text : "";
}

static void
mail_arrives_as_it_was_written(void **state)
{
	struct scene scene;
	char message[900], path[400];
	FILE *file;
	json_t *mail;

	(void)state;
	begin(&scene);
	snprintf(path, sizeof(path), "%s/r\xc3\xa4tsel.txt", scene.instance.directory);
	file = fopen(path, "w");
	assert_true(file != NULL && fputs("in the file\n", file) >= 0 && fclose(file) == 0);
	START(&scene, PLAIN);
	snprintf(message, sizeof(message),
	    "{\"send\":{\"to\":[\"a@world.com\",\"b@world.com\"],\"subject\":\"Gr\xc3\xbc\xc3\x9f"
	    "e an alle, die so etwas in einer langen Zeile lesen\",\"text\":\"one\\n.\\n..two\\n"
	    "drei\xc3\xb6\\n\",\"html\":\"<p>h\xc3\xbc</p>\",\"attachments\":[\"%s\"]}}", path);
	expect(jobberd(&scene.instance, "call", "m", message, NULL), 0, "{\"number\":1}\n", NULL);
	await_mail(&scene, "a@world.com, b@world.com", "sent", 0, "'250 Message accepted'");
	mail = smtp_mail(&scene, 0);
	assert_non_null(mail);
	assert_string_equal(json_string_value(json_object_get(mail, "from")), "me@example.org");
	assert_int_equal(json_array_size(json_object_get(mail, "to")), 2);
	assert_string_equal(field(mail, "subject"),
	    "Gr\xc3\xbc\xc3\x9f" "e an alle, die so etwas in einer langen Zeile lesen");
	assert_string_equal(field(mail, "to"), "a@world.com, b@world.com");
	assert_string_equal(field(mail, "from"), "me@example.org");
	assert_non_null(strstr(field(mail, "message-id"), ".1@example.org>"));
	assert_true(strlen(field(mail, "date")) > 20);
	assert_string_equal(json_string_value(json_object_get(mail, "plain")),
	    "one\n.\n..two\ndrei\xc3\xb6\n");
	assert_string_equal(
	    json_string_value(json_object_get(mail, "html")), "<p>h\xc3\xbc</p>");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(mail, "attachments"), "r\xc3\xa4tsel.txt")),
	    "in the file\n");
	json_decref(mail);
	/* the file may come yet, so this is tried again; what is no file is not waited for */
	CAST(&scene, "{\"send\":{\"to\":\"a@world.com\",\"subject\":\"s\",\"text\":\"t\","
		     "\"attachments\":[\"/nowhere\"]}}");
	free(await_state(&scene, "'attachment /nowhere: No such file or directory'"));
	CAST(&scene, "{\"send\":{\"to\":\"a@world.com\",\"subject\":\"s\",\"text\":\"t\","
		     "\"attachments\":[\"/dev/null\"]}}");
	free(await_state(&scene, "'attachment /dev/null: it is not a file'"));
	assert_int_equal(smtp_count(&scene), 1);
	finish(&scene);
}

static void
bad_addresses_and_header_injection_are_refused_in_words(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN);
	CAST(&scene, "-t", "send", "a@b@c");
	CAST(&scene, "{\"send\":{\"to\":\"a@world.com\\r\\nRCPT TO:<b@world.com>\","
		     "\"subject\":\"s\",\"text\":\"t\"}}");
	CAST(&scene, "{\"send\":{\"to\":\"a@world.com\",\"subject\":\"s\\nBcc: b@world.com\","
		     "\"text\":\"t\"}}");
	CAST(&scene, "{\"send\":5}");
	free(await_state(&scene,
	    "{'emails':["
	    "{'number':4,'address':'','status':'failed','retries':0,'answer':"
	    "'refused: message: it is not an object'},"
	    "{'number':3,'address':'a@world.com','status':'failed','retries':0,'answer':"
	    "'refused: subject: it has a line break in it'},"
	    "{'number':2,'address':'a@world.com  RCPT TO:<b@world.com>','status':'failed',"
	    "'retries':0,'answer':'refused: address: it has a line break in it'},"
	    "{'number':1,'address':'a@b@c','status':'failed','retries':0,'answer':"
	    "'refused: address a@b@c: there is more than one @ in it'}],'max_retries':5}"));
	expect(jobberd(&scene.instance, "call", "m",
		   "{\"send\":{\"to\":\"a@world.com\",\"subject\":\"s\\rx\","
		   "\"text\":\"t\"}}", NULL),
	    1, "", "subject: it has a line break in it");
	expect(jobberd(&scene.instance, "call", "m", "send", "a@b@c", NULL), 1, "",
	    "address a@b@c: there is more than one @ in it");
	expect_log(&scene, "");
	assert_int_equal(smtp_count(&scene), 0);
	assert_int_equal(sql_number(&scene.instance, "SELECT count(*) FROM jobs"), 1);
	finish(&scene);
}

static void
answer_of_a_mail_server_is_shown_without_its_control_characters(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN);
	CAST(&scene, "send", "red@world.com");
	await_mail(&scene, "red@world.com", "failed", 0, "'550  [31mred  and  loud'");
	finish(&scene);
}

/* ---- when ---- */

/* case 240; the ticks are counted from the start of the server, not from a mail's first try */
static void
failed_mail_is_tried_again_at_ticks(void **state)
{
	struct scene scene;
	int64_t started, sent;
	struct helper log;

	(void)state;
	begin(&scene);
	started = now_ms();
	START(&scene, PLAIN, "--mail-retries", "2", "--retry-every", "1500ms");
	let_pass(&scene.instance, 800);
	helper_jobberd(&log, &scene.instance, NULL, "log", "-f", "m", NULL);
	sent = now_ms();
	CAST(&scene, "send", "later@world.com");
	helper_expect(&log, "Retrying email later@world.com...\n");
	assert_between(now_ms() - started, 1500, INT64_MAX);
	assert_between(now_ms() - sent, 0, IS_SANITIZED ? 10000 : 1490);
	helper_expect(&log, "Retrying email later@world.com...\n"
			    "Retrying email later@world.com...\n");
	assert_between(now_ms() - started, 3000, INT64_MAX);
	assert_between(now_ms() - sent, 0, IS_SANITIZED ? 20000 : 2990);
	await_mail(&scene, "later@world.com", "failed", 2, "'450 4.2.0 Try again later'");
	let_pass(&scene.instance, 1600); /* a tick at which nothing is left to do */
	expect_log(&scene, "Retrying email later@world.com...\n"
			   "Retrying email later@world.com...\n");
	assert_int_equal(sql_number(&scene.instance,
			     "SELECT count(*) FROM jobs WHERE type = 'mail'"), 3);
	helper_end(&log);
	finish(&scene);
}

/* case 241 */
static void
failed_mail_is_not_tried_again_without_retries(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN, "--mail-retries", "0", "--retry-every", "20ms");
	CAST(&scene, "send", "later@world.com");
	await_mail(&scene, "later@world.com", "failed", 0, "'450 4.2.0 Try again later'");
	let_pass(&scene.instance, 200);
	expect_log(&scene, "");
	finish(&scene);
}

static void
mail_is_sent_when_the_mail_server_is_up_again(void **state)
{
	struct scene scene;
	struct helper log;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN, "--mail-retries", "1000000", "--retry-every", "100ms");
	smtp_stop(&scene);
	CAST(&scene, "send", "hello@world.com");
	helper_jobberd(&log, &scene.instance, NULL, "log", "-f", "m", NULL);
	helper_expect(&log, "Retrying email hello@world.com...\n");
	free(await_state(&scene, "'answer':'Failed to connect to localhost port"));
	smtp_start(&scene, NULL, NULL);
	helper_expect(&log, "Email to hello@world.com sent\n");
	free(await_state(&scene, "'answer':'250 Message accepted'"));
	assert_int_equal(smtp_count(&scene), 1);
	helper_end(&log);
	finish(&scene);
}

/* case 243: in OTP get_state would wait for the mail */
static void
server_answers_while_a_mail_server_takes_its_time(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN, "--parallel", "2");
	CAST(&scene, "send", "slow1@world.com");
	CAST(&scene, "send", "slow2@world.com");
	CAST(&scene, "send", "slow3@world.com");
	helper_expect(&scene.smtp, "waiting slow1@world.com");
	helper_expect(&scene.smtp, "waiting slow2@world.com");
	await_mail(&scene, "slow1@world.com", "sending", 0, "null");
	await_mail(&scene, "slow2@world.com", "sending", 0, "null");
	await_mail(&scene, "slow3@world.com", "queued", 0, "null");
	smtp_go(&scene);
	helper_expect(&scene.smtp, "waiting slow3@world.com");
	smtp_go(&scene);
	smtp_go(&scene);
	await_mail(&scene, "slow1@world.com", "sent", 0, "'250 Message accepted'");
	await_mail(&scene, "slow2@world.com", "sent", 0, "'250 Message accepted'");
	await_mail(&scene, "slow3@world.com", "sent", 0, "'250 Message accepted'");
	assert_non_null(strstr(scene.smtp.out.text, "most 2"));
	assert_null(strstr(scene.smtp.out.text, "most 3"));
	finish(&scene);
}

/* ---- the server ---- */

/* case 245 */
static void
unknown_requests_do_no_harm(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN);
	CAST(&scene, "send", "hello@world.com");
	await_mail(&scene, "hello@world.com", "sent", 0, "'250 Message accepted'");
	CAST(&scene, "what");
	CAST(&scene, "send");
	CAST(&scene, "{\"send\":1,\"more\":2}");
	expect(jobberd(&scene.instance, "send", "m", "what", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "send", "m", "{\"ref\":5,\"job\":6}", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "send", "m", "{\"task\":5}", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "send", "m", "{\"down\":5,\"ref\":5}", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "send", "m", "{\"retry\":0}", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "call", "m", "what", NULL), 1, "", "unknown_message");
	await_mail(&scene, "hello@world.com", "sent", 0, "'250 Message accepted'");
	assert_int_equal(sql_number(&scene.instance,
			     "SELECT count(*) FROM events WHERE detail GLOB 'unknown message:*'"),
	    5);
	finish(&scene);
}

/* case 247 */
static void
terminate_logs_its_reason_whatever_it_is(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN);
	expect(jobberd(&scene.instance, "stop", "m", "{\"shutdown\":[1,\"\\n\"]}", NULL), 0, "",
	    NULL);
	expect_log(&scene, "Terminating with reason shutdown:[1,\"\\n\"]\n");
	finish(&scene);
}

/* Whoever stops it is told, and so is the log; the task does not outlive it. */
static void
mails_that_are_not_sent_at_the_end_are_told(void **state)
{
	struct scene scene;
	pid_t task;

	(void)state;
	begin(&scene);
	START(&scene, PLAIN);
	CAST(&scene, "send", "slow@world.com");
	helper_expect(&scene.smtp, "waiting slow@world.com");
	task = pid_of(&scene, "j.type = 'mail'");
	assert_true(task > 0);
	expect(jobberd(&scene.instance, "stop", "m", NULL), 0, "", NULL);
	expect_log(&scene, "Terminating with reason normal\n1 not sent\n");
	wait_gone(task);
	finish(&scene);
}

/* case 248 */
static void
wrong_arguments_are_a_start_that_fails_with_words(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	expect(jobberd(&scene.instance, "start", "m", "--", SEND_SERVER, "max_retries", NULL), 70,
	    NULL, "max_retries is not an option");
	expect_log(&scene, "");
	finish(&scene);
}

/* ---- TLS, and who we are ---- */

static void
write_credentials(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_true(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
password_comes_from_a_file_and_goes_through_tls_only(void **state)
{
	struct scene scene;
	char path[300], certificate[300], key[300];
	struct helper openssl;

	(void)state;
	begin(&scene);
	smtp_stop(&scene);
	snprintf(path, sizeof(path), "%s/credentials", scene.instance.directory);
	snprintf(certificate, sizeof(certificate), "%s/cert.pem", scene.instance.directory);
	snprintf(key, sizeof(key), "%s/key.pem", scene.instance.directory);
	helper_start(&openssl, NULL,
	    (const char *const[]){ "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
		key, "-out", certificate, NULL });
	assert_int_equal(helper_wait(&openssl), 0);
	helper_end(&openssl);
	smtp_start(&scene, certificate, key);
	write_credentials(path, "me\nsecret\n", 0644);
	expect(jobberd(&scene.instance, "start", "m", "--", SEND_SERVER, "--from", "me@example.org",
		   "--credentials", path, NULL),
	    70, NULL, "others may read it (mode 644; 600 is wanted)");
	write_credentials(path, "me\nsecret\n", 0600);

	/* a certificate that nobody vouches for */
	START(&scene, PLAIN, "--credentials", path, "--mail-retries", "0");
	CAST(&scene, "send", "hello@world.com");
	free(await_state(
	    &scene, "'status':'failed','retries':0,'answer':'SSL certificate problem"));
	expect(jobberd(&scene.instance, "stop", "m", NULL), 0, "", NULL);

	START(&scene, PLAIN, "--credentials", path, "--ca", certificate);
	CAST(&scene, "send", "hello@world.com");
	await_mail(&scene, "hello@world.com", "sent", 0, "'250 Message accepted'");
	write_credentials(path, "me\nguess\n", 0600);
	CAST(&scene, "send", "hello@world.com");
	free(await_state(&scene, "'status':'failed','retries':0,'answer':'535"));
	assert_int_equal(
	    sql_number(&scene.instance, "SELECT count(*) FROM jobs WHERE command GLOB "
					"'*secret*' OR command GLOB '*guess*'"),
	    0);
	finish(&scene);

	/* a mail server without TLS gets no password */
	begin(&scene);
	snprintf(path, sizeof(path), "%s/credentials", scene.instance.directory);
	write_credentials(path, "me\nsecret\n", 0600);
	START(&scene, PLAIN, "--credentials", path, "--mail-retries", "0");
	CAST(&scene, "send", "hello@world.com");
	free(await_state(
	    &scene, "'status':'failed','retries':0,'answer':'STARTTLS not supported"));
	finish(&scene);
}

/* ---- what is killed ---- */

static void
mail_of_unknown_outcome_is_tried_again_and_says_so(void **state)
{
	struct scene scene;
	json_t *mail;

	(void)state;
	begin(&scene);
	/* Time to look at it before it is tried again. */
	START(&scene, PLAIN, "--mail-retries", "0", "--retry-every", IS_SANITIZED ? "4s" : "1s");
	CAST(&scene, "send", "gone@world.com");
	free(await_state(&scene, "'answer':'it may have been sent: "));
	free(await_state(&scene, "'status':'sent','retries':0,'answer':'250 Message accepted',"
				 "'unknown':1}"));
	mail = smtp_mail(&scene, 0);
	assert_non_null(strstr(field(mail, "message-id"), ".1@example.org>"));
	json_decref(mail);
	expect_log(&scene, "Retrying email gone@world.com...\nEmail to gone@world.com sent\n");
	finish(&scene);
}

static void
task_that_is_killed_is_an_unknown_outcome(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, DURABLE, "--mail-retries", "0", "--retry-every", "100ms");
	CAST(&scene, "send", "slow@world.com");
	helper_expect(&scene.smtp, "waiting slow@world.com\n");
	assert_int_equal(kill(pid_of(&scene, "j.type = 'mail'"), SIGKILL), 0);
	helper_expect(&scene.smtp, "lost slow@world.com\nwaiting slow@world.com\n");
	smtp_go(&scene); /* both wait */
	smtp_go(&scene);
	free(await_state(&scene, "'status':'sent','retries':0,'answer':'250 Message accepted',"
				 "'unknown':1}"));
	assert_int_equal(smtp_count(&scene), 1);
	finish(&scene);
}

/* Its task goes on, and tells the next life of it. */
static void
durable_server_that_is_killed_sends_a_mail_once(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, DURABLE, "--parallel", "1");
	CAST(&scene, "send", "slow@world.com");
	CAST(&scene, "send", "later@world.com");
	helper_expect(&scene.smtp, "waiting slow@world.com\n");
	assert_int_equal(kill(pid_of(&scene, "j.kind = 'server'"), SIGKILL), 0);
	instance_expect(&scene.instance, "ready attempt=2");
	await_mail(&scene, "slow@world.com", "sending", 0, "null");
	await_mail(&scene, "later@world.com", "queued", 0, "null");
	smtp_go(&scene);
	await_mail(&scene, "slow@world.com", "sent", 0, "'250 Message accepted'");
	free(await_state(&scene, "'450 4.2.0 Try again later'"));
	assert_int_equal(smtp_count(&scene), 1);
	finish(&scene);
}

/* The mail is sent while nobody is there; the exit status is all that is left to say so. */
static void
mail_that_is_sent_while_the_keeper_is_gone_is_not_sent_twice(void **state)
{
	struct scene scene;
	pid_t task;

	(void)state;
	begin(&scene);
	START(&scene, DURABLE);
	CAST(&scene, "send", "slow@world.com");
	helper_expect(&scene.smtp, "waiting slow@world.com\n");
	task = pid_of(&scene, "j.type = 'mail'");
	instance_kill_keeper(&scene.instance);
	assert_true(is_alive(task));
	instance_start(&scene.instance, NULL);
	smtp_go(&scene);
	await_mail(&scene, "slow@world.com", "sent", 0, "'sent; the answer was lost'");
	assert_int_equal(smtp_count(&scene), 1);
	finish(&scene);
}

/* As long as it is stopped nothing is told of its tasks: they were ended, or may have been. */
static void
durable_server_that_was_stopped_and_started_again_has_its_mails(void **state)
{
	struct scene scene;

	(void)state;
	begin(&scene);
	START(&scene, DURABLE, "--mail-retries", "0", "--retry-every", "100ms");
	CAST(&scene, "send", "slow@world.com");
	helper_expect(&scene.smtp, "waiting slow@world.com\n");
	expect(jobberd(&scene.instance, "stop", "m", NULL), 0, "", NULL);
	expect(jobberd(&scene.instance, "start", "m", NULL), 0, NULL, NULL);
	free(await_state(&scene, "'unknown':1}"));
	helper_expect(&scene.smtp, "lost slow@world.com\nwaiting slow@world.com\n");
	smtp_go(&scene); /* both wait */
	smtp_go(&scene);
	await_mail(&scene, "slow@world.com", "sent", 0, "'250 Message accepted'");
	finish(&scene);
}

#define MAILS 30

static void
kill_something(struct scene *scene, unsigned what)
{
	pid_t pid;

	if (what == 0)
		instance_kill_supervisor(&scene->instance);
	else if (what == 1) {
		instance_kill_keeper(&scene->instance);
		instance_start(&scene->instance, NULL);
	} else {
		pid = pid_of(scene, what == 2 ? "j.kind = 'server'" : "j.type = 'mail'");
		if (pid > 0)
			kill(pid, SIGKILL);
		if (what == 2) /* no faster than a server may be restarted */
			let_pass(&scene->instance, 1700);
	}
}

static void
mail_that_was_accepted_is_sent_whatever_is_killed(void **state)
{
	struct scene scene;
	unsigned seed = (unsigned)getpid();
	char *last = NULL;

	(void)state;
	print_message("seed %u\n", seed);
	begin(&scene);
	START(&scene, DURABLE, "--mail-retries", "1000000", "--retry-every", "50ms");
	for (int n = 0; n < MAILS; n++) {
		char address[40];

		snprintf(address, sizeof(address), "m%d@world.com", n);
		CAST(&scene, "send", address);
		if (n % 4 == 3)
			kill_something(&scene, (unsigned)rand_r(&seed) % 4);
	}
	do {
		free(last);
		last = await_state(&scene, "'emails'");
	} while (strstr(last, "'queued'") != NULL || strstr(last, "'sending'") != NULL ||
	    strstr(last, "'failed'") != NULL);
	for (int n = 0; n < MAILS; n++) {
		char part[60];
		bool has_come = false;
		json_t *mail;

		snprintf(part, sizeof(part), "'address':'m%d@world.com','status':'sent'", n);
		assert_has(last, part);
		snprintf(part, sizeof(part), "m%d@world.com", n);
		for (size_t i = 0; (mail = smtp_mail(&scene, i)) != NULL; i++) {
			has_come = has_come || strcmp(field(mail, "to"), part) == 0;
			json_decref(mail);
		}
		if (!has_come)
			fail_msg("%s has not come", part);
	}
	free(last);
	finish(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_of_the_page_are_as_they_stand_there),
		cmocka_unit_test(mail_arrives_as_it_was_written),
		cmocka_unit_test(bad_addresses_and_header_injection_are_refused_in_words),
		cmocka_unit_test(answer_of_a_mail_server_is_shown_without_its_control_characters),
		cmocka_unit_test(failed_mail_is_tried_again_at_ticks),
		cmocka_unit_test(failed_mail_is_not_tried_again_without_retries),
		cmocka_unit_test(mail_is_sent_when_the_mail_server_is_up_again),
		cmocka_unit_test(server_answers_while_a_mail_server_takes_its_time),
		cmocka_unit_test(unknown_requests_do_no_harm),
		cmocka_unit_test(terminate_logs_its_reason_whatever_it_is),
		cmocka_unit_test(mails_that_are_not_sent_at_the_end_are_told),
		cmocka_unit_test(wrong_arguments_are_a_start_that_fails_with_words),
		cmocka_unit_test(password_comes_from_a_file_and_goes_through_tls_only),
		cmocka_unit_test(mail_of_unknown_outcome_is_tried_again_and_says_so),
		cmocka_unit_test(task_that_is_killed_is_an_unknown_outcome),
		cmocka_unit_test(durable_server_that_is_killed_sends_a_mail_once),
		cmocka_unit_test(mail_that_is_sent_while_the_keeper_is_gone_is_not_sent_twice),
		cmocka_unit_test(durable_server_that_was_stopped_and_started_again_has_its_mails),
		cmocka_unit_test(mail_that_was_accepted_is_sent_whatever_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
