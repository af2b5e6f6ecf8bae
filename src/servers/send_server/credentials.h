#ifndef SERVERS_SEND_SERVER_CREDENTIALS_H
#define SERVERS_SEND_SERVER_CREDENTIALS_H

#include "servers/send_server/words.h"

#define CREDENTIAL_SIZE 512

/* Who we are to the mail server. */
struct credentials {
	char user[CREDENTIAL_SIZE];
	char password[CREDENTIAL_SIZE];
};

/*
 * A file of two lines, the user and the password, that nobody but its owner may read. 0, or
 * -1 and why not.
 */
int credentials_read(const char *path, struct credentials *ret_credentials,
    char words[WORDS_SIZE]);

#endif
