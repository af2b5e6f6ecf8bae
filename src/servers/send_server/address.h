#ifndef SERVERS_SEND_SERVER_ADDRESS_H
#define SERVERS_SEND_SERVER_ADDRESS_H

#include "servers/send_server/words.h"

#include <stdbool.h>

/*
 * What a message may be. Whatever ends up in a command of SMTP or in a header field is
 * checked here, so that nobody writes fields, recipients or commands of his own into one.
 */

#define MESSAGE_MOST_RECIPIENTS 100
#define MESSAGE_MOST_ATTACHMENTS 100

/* NAME@DOMAIN, in ASCII, and nothing around it. If it is not: false, and why not. */
bool address_check(const json_t *address, char words[WORDS_SIZE]);

/*
 * {"to": ADDRESS or [ADDRESS…], "subject": …, "text": …, "html"?: …, "attachments"?: [PATH…]}:
 * a new reference in which "to" is an array; NULL, and why not.
 */
json_t *message_check(const json_t *message, char words[WORDS_SIZE]);
/* One to try it out with. */
json_t *message_test(const json_t *address, char words[WORDS_SIZE]);

/* The recipients as one text, of a message that may be wrong. To be freed. */
char *message_recipients(const json_t *message);

#endif
