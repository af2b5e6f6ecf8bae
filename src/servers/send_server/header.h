#ifndef SERVERS_SEND_SERVER_HEADER_H
#define SERVERS_SEND_SERVER_HEADER_H

#include <jansson.h>

/*
 * Fields of a mail's header, without the line break at the end. The texts have been checked:
 * UTF-8 without control characters. To be freed.
 */

/* "NAME: text", as encoded words (RFC 2047) where it is not plain ASCII. */
char *header_text(const char *name, const char *text);
/* "NAME: a, b,": one address a line. */
char *header_addresses(const char *name, const json_t *addresses);
/* The text alone, encoded if it must be, in words with this between them. */
char *header_encode(const char *text, const char *between);

#endif
