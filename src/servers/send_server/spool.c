/*
 * spool: a mail in a file, for the task that sends it, since arguments are seen by everybody.
 * The name cannot be guessed, so nobody has a link there.
 */

#include "servers/send_server/mailer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
spool_path(const struct mailer *mailer, const struct mail *mail, char path[SPOOL_PATH_SIZE])
{
	const char *directory = getenv("TMPDIR");

	if (directory == NULL || directory[0] != '/')
		directory = "/tmp";
	snprintf(path, SPOOL_PATH_SIZE, "%s/send_server-%s-%lld", directory, mailer->key,
	    (long long)mail->number);
	return path;
}

static json_t *
describe(const struct mailer *mailer, const struct mail *mail)
{
	const struct settings *settings = &mailer->settings;
	json_t *file = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:O}", "url", settings->smtp,
	    "from", settings->from, "tls", settings->tls, "ca", settings->ca, "credentials",
	    settings->credentials, "timeout_ms", (json_int_t)settings->timeout_ms, "message",
	    mail->message);

	json_object_set_new(file, "message_id",
	    json_sprintf("%s.%lld%s", mailer->key, (long long)mail->number,
		strchr(settings->from, '@')));
	return file;
}

int
spool_write(const struct mailer *mailer, const struct mail *mail, char words[WORDS_SIZE])
{
	char path[SPOOL_PATH_SIZE];
	json_t *file;
	int fd, result = -1;

	unlink(spool_path(mailer, mail, path)); /* of a try that did not come so far */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd != -1) {
		file = describe(mailer, mail);
		result = json_dumpfd(file, fd, JSON_COMPACT);
		json_decref(file);
		close(fd);
	}
	if (result == -1) {
		words_set(words, "%s: %s", path, strerror(errno));
		unlink(path);
	}
	return result;
}
