#ifndef SERVERS_SEND_SERVER_SMTP_H
#define SERVERS_SEND_SERVER_SMTP_H

#include "servers/send_server/words.h"

#include <stdbool.h>

/* One mail to a mail server. */

struct smtp_delivery {
	const char *url, *from;
	const char *tls; /* never, try, always */
	const char *ca;	 /* a file of certificates to trust; "": the system's */
	const char *user, *password; /* "": none */
	const char *message_id;	     /* NAME@DOMAIN, the same each time */
	json_int_t timeout_ms;
	const json_t *message; /* message_check() has made it */
};

struct smtp_outcome {
	int code;	 /* of the last answer of the mail server; 0: it has not answered */
	bool is_sent;	 /* it has taken the mail */
	bool is_unknown; /* it has got the mail, and has not said whether it takes it */
	char answer[WORDS_SIZE];
};

void smtp_send(const struct smtp_delivery *delivery, struct smtp_outcome *ret_outcome);

/*
 * What the mail server says, line by line: the last answer that counts is kept. The one to
 * QUIT does not. Separate so that it can be tested.
 */
struct smtp_answers {
	char lines[WORDS_SIZE * 4]; /* of the answer that is being read */
	size_t length;
	int code;
	bool wants_mail; /* 354, and nothing after it */
	char last[WORDS_SIZE];
};

void smtp_answers_add(struct smtp_answers *answers, const char *line, size_t length);

#endif
