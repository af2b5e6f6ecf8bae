#ifndef SERVERS_SEND_SERVER_MIME_H
#define SERVERS_SEND_SERVER_MIME_H

#include "servers/send_server/words.h"

#include <curl/curl.h>

/*
 * The body of a message, which message_check() has made: text, or text and HTML, and the
 * attachments. NULL, and why not: an attachment cannot be read.
 */
curl_mime *mime_new(CURL *curl, const json_t *message, char words[WORDS_SIZE]);

#endif
