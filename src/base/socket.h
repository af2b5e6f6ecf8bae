#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

/*
 * The control socket of a state directory. Its path may be longer than a socket address
 * allows: it is reached through the directory's descriptor.
 */
#define SOCKET_FILE "jobberd.sock"

/* Listen, in place of a socket that an earlier life left. A descriptor, -1 with errno. */
int socket_listen(int directory);

/* Connect. A descriptor, -1 with errno (ENOENT, ECONNREFUSED: nobody is there). */
int socket_connect(const char *state_directory);

#endif
