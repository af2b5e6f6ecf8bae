/* socket: the sockets of a state directory, whatever the length of its path. */

#include "base/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	char path[64];
	int directory;
};

static int
begin(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	*state = scene;
	snprintf(scene->path, sizeof(scene->path), "/tmp/socket.XXXXXX");
	if (mkdtemp(scene->path) == NULL)
		return -1;
	scene->directory = open(scene->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scene->directory != -1 ? 0 : -1;
}

static int
finish(void **state)
{
	struct scene *scene = *state;

	unlinkat(scene->directory, "1.1", 0);
	close(scene->directory);
	if (rmdir(scene->path) == -1)
		return -1;
	free(scene);
	return 0;
}

static int
send_to(const struct scene *scene, const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/1.1", scene->path);
	result = sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address,
		     sizeof(address)) == (ssize_t)strlen(text)
	    ? 0
	    : -1;
	close(fd);
	return result;
}

static void
datagram_socket_is_its_owner_s_and_takes_the_place_of_an_old_one(void **state)
{
	const struct scene *scene = *state;
	int old = socket_bind_datagram(scene->directory, "1.1"), fd;
	struct stat info;
	char text[8] = "";

	assert_true(old != -1);
	assert_int_equal(send_to(scene, "old"), 0);
	fd = socket_bind_datagram(scene->directory, "1.1");
	assert_true(fd != -1);
	assert_int_equal(fstatat(scene->directory, "1.1", &info, 0), 0);
	assert_int_equal(info.st_mode, S_IFSOCK | 0600);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1); /* it does not wait */
	assert_int_equal(send_to(scene, "new"), 0);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "new", 3);
	assert_int_equal(recv(old, text, sizeof(text), 0), 3);
	assert_memory_equal(text, "old", 3);
	close(old);
	close(fd);
	assert_int_equal(send_to(scene, "late"), -1);
}

static void
longest_state_leaves_room_for_a_socket_s_name(void **state)
{
	struct sockaddr_un address;

	(void)state;
	assert_int_equal(socket_longest_state(), 83); /* as jobberd(1) says */
	assert_true(socket_longest_state() + strlen("/" NOTIFY_DIRECTORY "/") +
		NOTIFY_LARGEST_NAME < sizeof(address.sun_path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    datagram_socket_is_its_owner_s_and_takes_the_place_of_an_old_one, begin,
		    finish),
		cmocka_unit_test(longest_state_leaves_room_for_a_socket_s_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
