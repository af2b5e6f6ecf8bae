#ifndef SERVERS_SEND_SERVER_MAIL_JSON_H
#define SERVERS_SEND_SERVER_MAIL_JSON_H

#include "servers/send_server/mails.h"

/* A mail as JSON: as others see it, and as it is kept. */

json_t *mail_json_report(const struct mail *mail);
json_t *mail_json_dump(const struct mail *mail);
/* NULL: it is none. */
struct mail *mail_json_load(const json_t *item);
/* Bytes of what mail_json_dump() gives. */
size_t mail_json_weight(const struct mail *mail);

#endif
