/* deliver: the program as a task: one mail, read from a file, and what came of it. */

#include "servers/send_server/deliver.h"
#include "servers/send_server/credentials.h"

#include <curl/curl.h>

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- the result ---- */

json_t *
deliver_result(const struct smtp_outcome *outcome)
{
	return json_pack("{s:b, s:b, s:i, s:s}", "sent", (int)outcome->is_sent, "unknown",
	    (int)outcome->is_unknown, "code", outcome->code, "answer", outcome->answer);
}

int
deliver_read_result(const json_t *result, struct smtp_outcome *ret_outcome)
{
	struct smtp_outcome outcome = { .code = 0 };

	if (json_is_null(result)) {
		outcome.is_sent = true;
		words_set(outcome.answer, "sent; the answer was lost");
	} else if (!json_is_boolean(json_object_get(result, "sent")) ||
	    !json_is_string(json_object_get(result, "answer")))
		return -1;
	else {
		outcome.is_sent = json_is_true(json_object_get(result, "sent"));
		outcome.is_unknown = json_is_true(json_object_get(result, "unknown"));
		outcome.code = (int)json_integer_value(json_object_get(result, "code"));
		words_set(outcome.answer, "%s", words_of(json_object_get(result, "answer")));
	}
	*ret_outcome = outcome;
	return 0;
}

static int
send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1)
			return -1;
		bytes += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int
tell(const struct smtp_outcome *outcome)
{
	json_t *line = json_pack("{s:s, s:s, s:{s:o}}", "jsonrpc", "2.0", "method", "result",
	    "params", "value", deliver_result(outcome));
	char *text = json_dumps(line, JSON_COMPACT);
	const char *number = getenv("JOBBERD_FD");
	int fd = number != NULL ? (int)strtol(number, NULL, 10) : -1, result = -1;

	if (text != NULL)
		result = send_all(fd, text, strlen(text));
	if (result == 0)
		result = send_all(fd, "\n", 1);
	free(text);
	json_decref(line);
	return result;
}

/* ---- the mail ---- */

static json_t *
take_file(const char *path, char words[WORDS_SIZE])
{
	json_error_t error;
	json_t *file;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1) {
		words_set(words, "%s: %s", path, strerror(errno));
		return NULL;
	}
	unlink(path);
	file = json_loadfd(fd, 0, &error);
	if (file == NULL)
		words_set(words, "%s: %s", path, error.text);
	close(fd);
	return file;
}

static void
send_one(const json_t *file, struct smtp_outcome *outcome)
{
	struct smtp_delivery delivery = {
		.url = words_of(json_object_get(file, "url")),
		.from = words_of(json_object_get(file, "from")),
		.tls = words_of(json_object_get(file, "tls")),
		.ca = words_of(json_object_get(file, "ca")),
		.message_id = words_of(json_object_get(file, "message_id")),
		.timeout_ms = json_integer_value(json_object_get(file, "timeout_ms")),
		.message = json_object_get(file, "message"),
		.user = "",
		.password = "",
	};
	const char *path = words_of(json_object_get(file, "credentials"));
	struct credentials credentials = { .user = "" };

	if (path[0] != '\0') {
		if (credentials_read(path, &credentials, outcome->answer) == -1)
			return;
		delivery.user = credentials.user;
		delivery.password = credentials.password;
	}
	smtp_send(&delivery, outcome);
	explicit_bzero(&credentials, sizeof(credentials));
}

int
deliver_main(const char *path)
{
	struct smtp_outcome outcome = { .code = 0 };
	json_t *file = take_file(path, outcome.answer);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (file != NULL)
		send_one(file, &outcome);
	json_decref(file);
	curl_global_cleanup();
	/*
	 * Without a supervisor to hear it only the exit status is left: 0 and no result is a
	 * mail that was sent, which need not be sent again.
	 */
	return tell(&outcome) == 0 || outcome.is_sent ? EX_OK : EX_SOFTWARE;
}
