/* Output that is rotated while it is written: nothing twice, nothing left out, little room. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <dirent.h>
#include <poll.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)

/* Bytes on disk of all that is below this directory. */
static int64_t
room_below(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int64_t bytes = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		struct stat info;

		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (S_ISDIR(info.st_mode)) {
			char *below = xasprintf("%s/%s", path, entry->d_name);

			bytes += room_below(below);
			free(below);
		} else
			bytes += (int64_t)info.st_blocks * 512;
	}
	if (directory != NULL)
		closedir(directory);
	return bytes;
}

static int64_t
room_of_output(struct instance *i)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/output", i->state);
	return room_below(path);
}

static int64_t
count_segments(struct instance *i, int64_t job)
{
	char path[400];
	int64_t count = 0;
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/output/%lld.1.segments", i->state, (long long)job);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		count += entry->d_name[0] == '0';
	if (directory != NULL)
		closedir(directory);
	return count;
}

/* Wait until there are so many. */
static void
wait_for_segments(struct instance *i, int64_t job, int64_t wanted)
{
	struct pollfd inotify = { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.events = POLLIN };
	int64_t until = now_ms() + PATIENCE_MS;
	char output[400], segments[400], bytes[4096];

	snprintf(output, sizeof(output), "%s/output", i->state);
	snprintf(segments, sizeof(segments), "%s/output/%lld.1.segments", i->state,
	    (long long)job);
	inotify_add_watch(inotify.fd, output, IN_CREATE);
	for (;;) {
		inotify_add_watch(inotify.fd, segments, IN_MOVED_TO);
		if (count_segments(i, job) >= wanted)
			break;
		if (poll(&inotify, 1, (int)(until - now_ms())) != 1)
			fail_msg("%lld segments after a minute, not %lld",
			    (long long)count_segments(i, job), (long long)wanted);
		while (read(inotify.fd, bytes, sizeof(bytes)) > 0)
			;
	}
	close(inotify.fd);
}

static char *
log_of(struct instance *i, const char *job)
{
	struct result result = jobberd(i, "log", job, NULL);

	assert_int_equal(result.status, 0);
	free(result.err);
	return result.out;
}

/* Byte for byte the numbers from 1 on, a line each; how many are they? */
static int64_t
check_numbers(const char *text, int64_t first)
{
	int64_t number = first - 1;

	while (*text != '\0') {
		char line[32], *end;

		snprintf(line, sizeof(line), "%lld\n", (long long)++number);
		if (strncmp(text, line, strlen(line)) != 0) {
			end = strchr(text, '\n');
			fail_msg("\"%.*s\" instead of %lld", end != NULL ? (int)(end - text) : 20,
			    text, (long long)number);
		}
		text += strlen(line);
	}
	return number;
}

/* Numbers, so many a ring of the bell, and on when it is told. */
static int64_t
submit_writer(struct instance *i, const char *rotate, const struct bell *tick,
    const struct bell *go, int rounds, int numbers)
{
	char command[900];

	snprintf(command, sizeof(command),
	    "for n in $(seq 0 %d); do seq $((n * %d + 1)) $(((n + 1) * %d)); echo > %s; "
	    "read x < %s; done", rounds - 1, numbers, numbers, tick->path, go->path);
	return submit_job(i, "--log-rotate", rotate, "--", "sh", "-c", command, NULL);
}

static void
fast_writer_takes_no_more_room_than_its_segments(void **state)
{
	struct instance i;
	struct bell tick;
	char command[900], *text, *line;
	int64_t most = 0, used;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	snprintf(command, sizeof(command),
	    "for n in $(seq 60); do head -c 5M /dev/zero; echo > %s; sleep 0.05; done; "
	    "echo end", tick.path);
	submit_job(&i, "--log-rotate", "1M,3", "--", "sh", "-c", command, NULL);
	for (int n = 0; n < 60; n++) {
		free(bell_wait(&tick));
		used = room_of_output(&i);
		most = used > most ? used : most;
	}
	assert_between(most, 1, 64 * MIB * SLOWNESS);
	assert_int_equal(wait_job(&i, 1), 0);
	assert_between(room_of_output(&i), 3 * MIB, 5 * MIB + 64 * KIB);
	assert_int_equal(sql_number(&i, "SELECT output_bytes FROM attempts"), 300 * MIB + 4);
	assert_int_equal(sql_number(&i, "SELECT output_left_out FROM attempts"), 297 * MIB);
	text = log_of(&i, "1");
	line = strchr(text, '\n');
	assert_non_null(line);
	*line = '\0';
	assert_string_equal(text, "… 297.0 MiB left out …");
	free(text);
	bell_done(&tick);
	instance_finish(&i);
}

/* Whatever is killed, and whenever. */
static void
each_byte_is_in_one_place_whoever_is_killed(void **state)
{
	struct instance i;
	struct bell tick, go;
	char *text;
	const int rounds = 24, numbers = 40000;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	submit_writer(&i, "256K,1000", &tick, &go, rounds, numbers);
	for (int n = 0; n < rounds; n++) {
		free(bell_wait(&tick));
		if (n % 4 == 1) /* else in the middle of it, perhaps */
			wait_for_segments(&i, 1, n);
		if (n % 8 == 7) {
			instance_kill_keeper(&i);
			instance_start(&i, NULL);
		} else if (n % 2 == 0)
			instance_kill_supervisor(&i);
		text = log_of(&i, "1");
		assert_int_equal(check_numbers(text, 1), (n + 1) * numbers);
		free(text);
		fifo_write(go.path, "go\n");
	}
	assert_int_equal(wait_job(&i, 1), 0);
	assert_true(count_segments(&i, 1) > 0);
	text = log_of(&i, "1");
	assert_int_equal(check_numbers(text, 1), rounds * numbers);
	free(text);
	assert_int_equal(sql_number(&i, "SELECT coalesce(output_left_out, 0) FROM attempts"), 0);
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

/* Copy this part of the output, as a rotation does. */
static void
copy_part(struct instance *i, const char *name, int64_t bytes)
{
	char path[400], *part = malloc((size_t)bytes);
	int fd;

	snprintf(path, sizeof(path), "%s/output/1.1", i->state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, part, (size_t)bytes), bytes);
	close(fd);
	snprintf(path, sizeof(path), "%s/output/1.1.segments/%s", i->state, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, part, (size_t)bytes), bytes);
	close(fd);
	free(part);
}

/* Killed between two steps: a copy that is not complete, a segment without its hole. */
static void
segment_that_was_not_punched_out_yet_is_not_read_twice(void **state)
{
	struct instance i;
	struct bell tick, go;
	char path[400], *text;
	pid_t killed;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	submit_writer(&i, "64K,1000", &tick, &go, 2, 10000);
	free(bell_wait(&tick)); /* 48,894 bytes */
	kill(i.keeper, SIGSTOP); /* so that no other comes */
	killed = instance_supervisor_pid(&i);
	kill(killed, SIGKILL);
	wait_gone(killed);
	fifo_write(go.path, "go\n");
	free(bell_wait(&tick)); /* 108,894 */
	snprintf(path, sizeof(path), "%s/output/1.1.segments", i.state);
	assert_int_equal(mkdir(path, 0700), 0);
	copy_part(&i, "copying", 30000);
	text = log_of(&i, "1");
	assert_int_equal(check_numbers(text, 1), 20000);
	free(text);
	copy_part(&i, "0000000000000000", 65536);
	text = log_of(&i, "1");
	assert_int_equal(check_numbers(text, 1), 20000);
	free(text);
	assert_true(room_of_output(&i) > 200 * KIB);
	kill(i.keeper, SIGCONT);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	text = log_of(&i, "1");
	assert_int_equal(check_numbers(text, 1), 20000);
	free(text);
	assert_between(room_of_output(&i), 108894, 116 * KIB); /* the copy and the original */
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

static void
follower_sees_each_line_once_across_rotations(void **state)
{
	struct instance i;
	struct helper follower;
	struct bell tick, go;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	submit_writer(&i, "64K,1000", &tick, &go, 10, 20000);
	free(bell_wait(&tick));
	helper_jobberd(&follower, &i, NULL, "log", "-f", "1", NULL);
	helper_expect(&follower, "\n20000\n");
	for (int n = 1; n < 10; n++) {
		fifo_write(go.path, "go\n");
		free(bell_wait(&tick));
		if (n % 3 == 0)
			instance_kill_supervisor(&i);
		if (n % 3 == 1)
			wait_for_segments(&i, 1, n);
	}
	fifo_write(go.path, "go\n");
	assert_int_equal(helper_wait(&follower), 0);
	assert_int_equal(check_numbers(follower.out.text, 1), 200000);
	helper_end(&follower);
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

static void
old_segments_go_and_the_last_ones_stay(void **state)
{
	struct instance i;
	struct bell tick, go;
	char *text, *line;
	int64_t first;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	submit_writer(&i, "64K,2", &tick, &go, 10, 10000);
	for (int n = 0; n < 10; n++) {
		free(bell_wait(&tick));
		fifo_write(go.path, "go\n");
	}
	assert_int_equal(wait_job(&i, 1), 0);
	assert_between(count_segments(&i, 1), 0, 2);
	assert_int_equal(sql_number(&i, "SELECT output_left_out FROM attempts"),
	    sql_number(&i, "SELECT (output_bytes / 65536 - 2) * 65536 FROM attempts"));
	text = log_of(&i, "1");
	line = strstr(text, "left out …\n");
	assert_non_null(line);
	line = strchr(line + strlen("left out …\n"), '\n') + 1; /* behind a torn one */
	first = strtoll(line, NULL, 10);
	assert_int_equal(check_numbers(line, first), 100000);
	free(text);
	bell_done(&tick);
	bell_done(&go);
	instance_finish(&i);
}

static void
prune_and_delete_remove_segments_too(void **state)
{
	struct instance i;
	struct result result;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	for (int n = 1; n <= 2; n++) { /* one has marks of times, too */
		struct bell tick, go;

		bell_init(&tick, &i, n == 1 ? "tick" : "tock");
		bell_init(&go, &i, n == 1 ? "go" : "on");
		submit_writer(&i, "64K,100", &tick, &go, 2, 100000);
		free(bell_wait(&tick));
		wait_for_segments(&i, n, 5);
		if (n == 1)
			let_pass(&i, 1100);
		fifo_write(go.path, "go\n");
		free(bell_wait(&tick));
		fifo_write(go.path, "go\n");
		assert_int_equal(wait_job(&i, n), 0);
		bell_done(&tick);
		bell_done(&go);
	}
	assert_true(room_of_output(&i) > 2 * MIB);
	result = jobberd(&i, "delete", "1", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	result = jobberd(&i, "prune", "--older-than", "0s", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	assert_int_equal(room_of_output(&i), 0);
	instance_finish(&i);
}

static void
rotation_is_checked_shown_and_taken_from_others(void **state)
{
	struct instance i;
	struct result result;
	char *text;

	(void)state;
	instance_init(&i);
	instance_start(&i, NULL);
	result = jobberd(&i, "submit", "--log-rotate", "1K", "--", "true", NULL);
	assert_int_equal(result.status, 2);
	assert_has(result.err, "log-rotate: \"1K\" is not SIZE[,N]");
	result_done(&result);
	for (size_t n = 0; n < 3; n++) { /* no file can, no number can, and just not */
		static const char *const sizes[] = { "1025T,3", "8388608T", "1.5E" };

		result = jobberd(&i, "submit", "--log-rotate", sizes[n], "--", "true", NULL);
		assert_int_equal(result.status, 2);
		assert_has(result.err, n < 2 ? "\" is not a size of 1024T at most"
					     : "\" is not SIZE[,N]");
		result_done(&result);
	}
	result = jobberd(&i, "submit", "--log-rotate", "1M", "--max-output", "1M", "--", "true",
	    NULL);
	assert_int_equal(result.status, 2);
	assert_has(result.err, "log-rotate, max-output: only one of them");
	result_done(&result);
	submit_job(&i, "--log-rotate", "1.5M", "--", "true", NULL);
	result = jobberd(&i, "show", "1", NULL);
	assert_has(result.out, "log rotate:      each 1.5 MiB, the last 5 stay\n");
	assert_null(strstr(result.out, "max output"));
	result_done(&result);
	assert_null(foreign(&i, "INSERT INTO jobs (command, log_rotate) "
				"VALUES ('[\"true\"]', '1M,2')"));
	assert_null(foreign(&i, "INSERT INTO jobs (command, log_rotate) "
				"VALUES ('[\"true\"]', '1K')"));
	assert_int_equal(wait_job(&i, 2), 0);
	assert_int_equal(wait_job(&i, 3), 1);
	result = jobberd(&i, "why", "3", NULL);
	assert_has(result.out, "log_rotate is not SIZE or SIZE,N as --log-rotate takes it");
	result_done(&result);
	result = jobberd_with_input(&i,
	    "{\"command\": [\"true\"], \"log_rotate\": \"64K,7\"}\n", "submit", "--batch", NULL);
	assert_int_equal(result.status, 0);
	result_done(&result);
	text = sql(&i, "SELECT log_rotate FROM jobs WHERE id = 4");
	assert_string_equal(text, "65536,7");
	free(text);
	instance_finish(&i);
}

/* It goes on as one file, says so once, and makes up for it. */
static void
rotation_waits_while_the_disk_is_full(void **state)
{
	struct instance i;
	struct bell tick, go;
	char command[2000], path[400], *text;
	struct stat info;

	(void)state;
	instance_init(&i);
	if (!disk_mount(&i, "12m"))
		skip();
	instance_start(&i, NULL);
	bell_init(&tick, &i, "tick");
	bell_init(&go, &i, "go");
	snprintf(command, sizeof(command),
	    "echo > %s; read x < %s; seq 180000; echo > %s; read x < %s; seq 180001 360000; "
	    "echo > %s; read x < %s", tick.path, go.path, tick.path, go.path, tick.path, go.path);
	submit_job(&i, "--log-rotate", "1M,1000", "--", "sh", "-c", command, NULL);
	free(bell_wait(&tick));
	disk_fill(&i);
	snprintf(path, sizeof(path), "%s/filler", i.state);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(truncate(path, info.st_size - 3 * MIB / 2), 0);
	fifo_write(go.path, "go\n"); /* 1.1 MiB: there is no room for a copy */
	instance_expect(&i, "output cannot be rotated: a segment cannot be written: "
			    "No space left on device");
	free(bell_wait(&tick));
	assert_int_equal(count_segments(&i, 1), 0);
	disk_free(&i);
	fifo_write(go.path, "go\n");
	free(bell_wait(&tick));
	wait_for_segments(&i, 1, 2);
	fifo_write(go.path, "go\n");
	assert_int_equal(wait_job(&i, 1), 0);
	text = log_of(&i, "1");
	assert_int_equal(check_numbers(text, 1), 360000);
	free(text);
	bell_done(&tick);
	bell_done(&go);
	instance_stop(&i);
	disk_unmount(&i);
	instance_done(&i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_writer_takes_no_more_room_than_its_segments),
		cmocka_unit_test(each_byte_is_in_one_place_whoever_is_killed),
		cmocka_unit_test(segment_that_was_not_punched_out_yet_is_not_read_twice),
		cmocka_unit_test(follower_sees_each_line_once_across_rotations),
		cmocka_unit_test(old_segments_go_and_the_last_ones_stay),
		cmocka_unit_test(prune_and_delete_remove_segments_too),
		cmocka_unit_test(rotation_is_checked_shown_and_taken_from_others),
		cmocka_unit_test(rotation_waits_while_the_disk_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
