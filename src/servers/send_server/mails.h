#ifndef SERVERS_SEND_SERVER_MAILS_H
#define SERVERS_SEND_SERVER_MAILS_H

#include "servers/send_server/smtp.h"

#include <stdbool.h>
#include <sys/queue.h>

/* The list of mails, newest first, and what becomes of each. Nothing here sends anything. */

enum mail_status { MAIL_QUEUED, MAIL_SENDING, MAIL_SENT, MAIL_FAILED, MAIL_STATUS_COUNT };

struct mail {
	TAILQ_ENTRY(mail) entry;
	json_int_t number; /* from 1, in the order in which they came */
	enum mail_status status;
	char *address;	  /* of all recipients, for people */
	char *answer;	  /* the last one, in words; NULL: none yet */
	json_t *message;  /* NULL: it has ended, and is only remembered */
	int64_t retries;  /* counted ones */
	int64_t unknowns; /* tries of which nobody knows the outcome; they are not counted */
	bool was_unknown; /* the last try was one */
	bool is_id_known; /* of MAIL_SENDING: task is its id; else what a durable server has
			     until that comes */
	json_int_t task;
	json_int_t watch; /* gen_monitor() of the task of an earlier life; 0: none */
	size_t weight;	  /* in a state, in bytes */
};

TAILQ_HEAD(mail_list, mail);

struct mails {
	struct mail_list list;
	int64_t max_retries;
	int64_t keep; /* so many of those that have ended, of each kind */
	json_int_t last_number;
	size_t counts[MAIL_STATUS_COUNT];
	size_t weight;
};

/*
 * All of them must fit into one line of 1 MiB as a state, with what is waiting outside of it
 * for its turn: one message.
 */
#define MAIL_LARGEST (256U << 10)
#define MAILS_LARGEST (640U << 10)

/* A mail whose outcome is unknown is tried again so often beyond its retries. */
#define MAIL_MOST_UNKNOWN 3

void mails_init(struct mails *mails, int64_t max_retries, int64_t keep);
void mails_done(struct mails *mails);

enum mails_added { MAILS_ADDED, MAILS_TOO_LARGE, MAILS_FULL };

/* To the queue, a message that message_check() has made, which is copied by reference. */
enum mails_added mails_add(struct mails *mails, json_t *message, struct mail **ret_mail);
/* One that was refused, for the record. Frees address. */
void mails_add_refused(struct mails *mails, char *address, const char *why);

/* The oldest that is queued, or NULL. */
struct mail *mails_next(const struct mails *mails);
/* The one that this task sends; by id, or by what stands for it. NULL: none. */
struct mail *mails_find_task(const struct mails *mails, json_int_t task, bool is_id);
struct mail *mails_find_watch(const struct mails *mails, json_int_t watch);

void mails_sending(struct mails *mails, struct mail *mail, json_int_t task, bool is_id);
/*
 * What came of a try. A 5xx answer is final at once; all others are when the retries are
 * used up; an unknown outcome is not, a few times. The mail may be gone afterwards.
 */
void mails_tried(struct mails *mails, struct mail *mail, const struct smtp_outcome *outcome);
/*
 * The next failed one, from the oldest, after `mail` (NULL: from the beginning) that may be
 * tried again; mails_retry() puts it back into the queue.
 */
struct mail *mails_next_retry(const struct mails *mails, const struct mail *mail);
void mails_retry(struct mails *mails, struct mail *mail);

const char *mail_status_word(enum mail_status status);

/* {"emails": [{number, address, status, retries, answer, unknown?}], "max_retries": N} */
json_t *mails_report(const struct mails *mails);
/* An array, and back from it; what makes no sense in it is left out. */
json_t *mails_dump(const struct mails *mails);
void mails_load(struct mails *mails, const json_t *dumped);

#endif
