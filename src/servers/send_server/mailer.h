#ifndef SERVERS_SEND_SERVER_MAILER_H
#define SERVERS_SEND_SERVER_MAILER_H

#include "servers/send_server/mails.h"
#include "servers/send_server/settings.h"

#include <jobber/gen_server.h>
#include <limits.h>

#define KEY_SIZE 17

/* The state of the server. */
struct mailer {
	struct settings settings;
	struct mails mails;
	char key[KEY_SIZE]; /* nobody else's: names files and messages */
	json_int_t tick;    /* the one that is awaited */
	int64_t timer;	    /* which brings it */
	bool watches_all;   /* mails of an earlier life may be under way */
	char program[PATH_MAX];
};

/* ---- sender.c: mails are sent by tasks ---- */

/* Start tasks for as many as may be sent at once. */
void sender_pump(struct gen_server *server, struct mailer *mailer);
/* An info that tells of a task, or of one that is no concern any more. false: it does not. */
bool sender_hear(struct gen_server *server, struct mailer *mailer, const json_t *message);
/* After a start of the server: of tasks that were abandoned no end would be told. */
void sender_watch(struct gen_server *server, struct mailer *mailer);
/* Remove what tasks have not taken. */
void sender_clean(const struct mailer *mailer);

/* ---- spool.c: what a task is given ---- */

#define SPOOL_PATH_SIZE PATH_MAX

char *spool_path(const struct mailer *mailer, const struct mail *mail,
    char path[SPOOL_PATH_SIZE]);
/* 0, or -1 and why not. */
int spool_write(const struct mailer *mailer, const struct mail *mail, char words[WORDS_SIZE]);

#endif
