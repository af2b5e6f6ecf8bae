/* credentials: user and password, from a file: what is in argv, everybody sees. */

#include "servers/send_server/credentials.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int
check(int fd, char words[WORDS_SIZE], const char *path)
{
	struct stat file;

	if (fd == -1 || fstat(fd, &file) == -1)
		words_set(words, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(file.st_mode))
		words_set(words, "%s: it is not a file", path);
	else if ((file.st_mode & 077) != 0)
		words_set(words, "%s: others may read it (mode %03o; 600 is wanted)", path,
		    file.st_mode & 0777);
	else
		return 0;
	return -1;
}

/* The next line, cut off. NULL: there is none, or it is empty or does not fit. */
static const char *
take_line(char **rest)
{
	char *line = strsep(rest, "\n");
	size_t length = line != NULL ? strlen(line) : 0;

	if (length > 0 && line[length - 1] == '\r')
		line[--length] = '\0';
	return length > 0 && length < CREDENTIAL_SIZE ? line : NULL;
}

int
credentials_read(
    const char *path, struct credentials *ret_credentials, char words[WORDS_SIZE])
{
	/* Not blocking: it may be a fifo. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;
	char text[2 * CREDENTIAL_SIZE + 4] = "", *rest = text;
	const char *user, *password;
	ssize_t length;

	result = check(fd, words, path);
	if (result == 0) {
		length = read(fd, text, sizeof(text) - 1);
		text[length > 0 ? length : 0] = '\0';
		user = take_line(&rest);
		password = take_line(&rest);
		if (user != NULL && password != NULL) {
			memcpy(ret_credentials->user, user, strlen(user) + 1);
			memcpy(ret_credentials->password, password, strlen(password) + 1);
		} else {
			words_set(words, "%s: it is not two lines, user and password", path);
			result = -1;
		}
		explicit_bzero(text, sizeof(text));
	}
	if (fd != -1)
		close(fd);
	return result;
}
