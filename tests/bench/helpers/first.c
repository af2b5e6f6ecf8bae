/*
 * first: a job that tells when it began. Static and without anything before main that
 * costs, so that what is measured is the way to here. Usage: first FIFO
 */

#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct timespec now;
	int64_t ns;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (argc != 2 || (fd = open(argv[1], O_WRONLY)) == -1)
		return 1;
	return write(fd, &ns, sizeof(ns)) == sizeof(ns) ? 0 : 1;
}
