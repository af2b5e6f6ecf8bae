/*
 * keeper_notify: the sockets to which services say how they are, one for each attempt that
 * has one: STATE/notify/JOB.ATTEMPT. We make it and hold it, so that what is said while there is no
 * supervisor process waits there for the next one, which gets a copy like of every other
 * socket. What is said we do not read.
 */

#include "base/socket.h"
#include "keeper/keeper.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int
open_directory(struct keeper *keeper)
{
	if (keeper->notify_fd != -1)
		return 0;
	if (mkdirat(keeper->state_fd, NOTIFY_DIRECTORY, 0700) == -1 && errno != EEXIST)
		return -1;
	keeper->notify_fd = openat(
	    keeper->state_fd, NOTIFY_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return keeper->notify_fd != -1 ? 0 : -1;
}

void
keeper_notify_sweep(struct keeper *keeper)
{
	int fd = openat(keeper->state_fd, NOTIFY_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (directory == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(directory);
}

int
keeper_notify_open(struct keeper *keeper, struct child *child)
{
	int fd;

	if (open_directory(keeper) == -1)
		return -1;
	fd = socket_bind_datagram(keeper->notify_fd, order_name(&child->key).text);
	if (fd == -1)
		return -1;
	child->notify_fd = keeper_move_high(fd);
	keeper_report_notify(keeper, child);
	return 0;
}

void
keeper_notify_close(struct keeper *keeper, struct child *child)
{
	if (child->notify_fd == -1)
		return;
	close(child->notify_fd);
	child->notify_fd = -1;
	unlinkat(keeper->notify_fd, order_name(&child->key).text, 0);
}

void
keeper_report_notify(struct keeper *keeper, const struct child *child)
{
	struct report report = { .version = ORDERS_VERSION, .kind = REPORT_NOTIFY,
		.key = child->key };

	if (child->notify_fd != -1)
		keeper_report(keeper, &report, child->notify_fd);
}
