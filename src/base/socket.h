#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

#include <stddef.h>

/*
 * The control socket of a state directory. Its path may be longer than a socket address
 * allows: it is reached through the directory's descriptor.
 */
#define SOCKET_FILE "jobberd.sock"

/* Listen, in place of a socket that an earlier life left. A descriptor, -1 with errno. */
int socket_listen(int directory);

/*
 * The directory of the sockets to which services say how they are: ID.ATTEMPT each. Theirs is
 * the whole path, which is to fit into a socket address.
 */
#define NOTIFY_DIRECTORY "notify"
#define NOTIFY_LARGEST_NAME 16 /* an id with so many digits is not seen in one's life */

/* A socket for datagrams, in place of one of this name. A descriptor, -1 with errno. */
int socket_bind_datagram(int directory, const char *name);
/* How long the path of a state directory may be that has such sockets. */
size_t socket_longest_state(void);

/* Connect. A descriptor, -1 with errno (ENOENT, ECONNREFUSED: nobody is there). */
int socket_connect(const char *state_directory);

#endif
