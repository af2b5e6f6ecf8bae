#ifndef SERVERS_SEND_SERVER_SETTINGS_H
#define SERVERS_SEND_SERVER_SETTINGS_H

#include "servers/send_server/words.h"

#include <stdint.h>

/* What the words behind the program's name say. */
struct settings {
	json_t *arguments; /* to which the texts belong */
	const char *smtp, *from;
	const char *tls, *ca, *credentials; /* "": none */
	int64_t timeout_ms, retry_every_ms;
	int64_t mail_retries, parallel, keep;
};

/* 0, or -1 and why not; settings_done() in either case. */
int settings_init(struct settings *settings, const json_t *arguments, char words[WORDS_SIZE]);
void settings_done(struct settings *settings);

#endif
