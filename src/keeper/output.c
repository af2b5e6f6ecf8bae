/*
 * output: the files that attempts write to. Most commands that end well say nothing, and to
 * make a file and remove it again takes longer than to rename one twice: on a file system
 * without a journal, which gives no inode away that was in use seconds ago, several times as
 * long. So a file that has stayed empty becomes that of another attempt, if nobody can tell:
 * it is as it was made, and whoever had it open has closed it.
 */

#include "keeper/output.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define MOST_SPARES 64
#define MODE 0600

struct spare_name {
	char text[32];
};

static struct spare_name
spare_name(size_t number)
{
	struct spare_name name;

	snprintf(name.text, sizeof(name.text), "%zu", number);
	return name;
}

static int
open_directory(int at, const char *name)
{
	if (mkdirat(at, name, 0700) == -1 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
remove_spares(struct outputs *outputs)
{
	for (size_t i = 0; unlinkat(outputs->spare_fd, spare_name(i).text, 0) == 0; i++)
		;
	outputs->spares = 0;
}

int
outputs_open(struct outputs *outputs, int state_fd)
{
	/* Without room for the second, on a full disk, nothing is kept in it. */
	*outputs = (struct outputs){ .spare_fd = open_directory(state_fd, "spare") };
	outputs->fd = open_directory(state_fd, "output");
	if (outputs->fd == -1)
		return -1;
	remove_spares(outputs); /* of a keeper before us */
	return 0;
}

void
outputs_close(struct outputs *outputs)
{
	if (outputs->spare_fd != -1) {
		remove_spares(outputs);
		close(outputs->spare_fd);
	}
	if (outputs->fd != -1)
		close(outputs->fd);
	outputs->fd = outputs->spare_fd = -1;
}

/* The kernel grants a lease for writing if no other descriptor of the file is open. */
static bool
is_ours_alone(int fd)
{
	/* Who opens it now would break the lease, which must not cost us our life. */
	return fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0 &&
	    fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

static bool
is_as_new(int fd)
{
	struct stat info;

	return fstat(fd, &info) == 0 && info.st_mode == (S_IFREG | MODE) &&
	    info.st_uid == geteuid() && info.st_nlink == 1 && info.st_size == 0 &&
	    is_ours_alone(fd);
}

/* -1: make one. */
static int
take_spare(struct outputs *outputs, const char *name)
{
	struct spare_name spare;
	int fd;

	if (outputs->spares == 0)
		return -1;
	spare = spare_name(--outputs->spares);
	fd = openat(outputs->spare_fd, spare.text, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd != -1 && is_as_new(fd) &&
	    renameat(outputs->spare_fd, spare.text, outputs->fd, name) == 0)
		return fd;
	if (fd != -1)
		close(fd);
	unlinkat(outputs->spare_fd, spare.text, 0);
	return -1;
}

int
outputs_make(struct outputs *outputs, const struct order_key *key)
{
	struct order_name name = order_name(key);
	int fd = take_spare(outputs, name.text);

	if (fd != -1)
		return fd;
	return openat(outputs->fd, name.text,
	    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, MODE);
}

int64_t
outputs_size(const struct outputs *outputs, const struct order_key *key)
{
	struct stat info;

	return fstatat(outputs->fd, order_name(key).text, &info, AT_SYMLINK_NOFOLLOW) == 0
	    ? info.st_size
	    : 0;
}

void
outputs_drop(struct outputs *outputs, const struct order_key *key)
{
	struct order_name name = order_name(key);

	if (outputs->spares < MOST_SPARES &&
	    renameat(outputs->fd, name.text, outputs->spare_fd,
		spare_name(outputs->spares).text) == 0)
		outputs->spares++;
	else
		unlinkat(outputs->fd, name.text, 0);
}
