/*
 * The machine loses its power: everything that is not on the disk is gone, every process
 * too. An ext4 on a loop device is told to drop what it has not written; what a job did is
 * noted elsewhere.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/xalloc.h"
#include "support/helper.h"
#include "support/outside.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHUTDOWN _IOR('X', 125, uint32_t) /* ext4: go down … */
#define WITHOUT_FLUSH 2			  /* … and write nothing any more, not even the log */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static int
run_tool(const char *script, const char *directory)
{
	const char *arguments[] = { "sh", "-c", script, "sh", directory, NULL };
	struct helper helper;
	int status;

	helper_start(&helper, NULL, arguments);
	status = helper_wait(&helper);
	if (status != 0)
		print_message("%s: %s\n", script, helper.err.text);
	helper_end(&helper);
	return status;
}

/* A state directory on a disk of its own. false: there can be none here. */
static bool
machine_init(struct instance *i)
{
	if (getuid() != 0 || !disk_own_mounts())
		return false;
	if (run_tool("PATH=$PATH:/sbin:/usr/sbin; cd \"$1\" && mkdir disk && truncate -s 16M image "
		     "&& mkfs.ext4 -q -F image && mount -o loop image disk", i->directory) != 0)
		return false;
	snprintf(i->state, sizeof(i->state), "%.*s/disk/state",
	    (int)sizeof(i->state) - 16, i->directory);
	return true;
}

static void
disk_path(struct instance *i, char path[400])
{
	snprintf(path, 400, "%s/disk", i->directory);
}

static void
cut_power(struct instance *i)
{
	uint32_t how = WITHOUT_FLUSH;
	char path[400];
	int fd;

	disk_path(i, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, SHUTDOWN, &how), 0);
	close(fd);
}

/* Orphans of the keeper have come to us: they are all that runs below us now. */
static void
kill_orphans(void)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	for (;;) {
		char *rest;

		text = rest = file_text(path);
		while (isdigit((unsigned char)*rest)) {
			pid_t pid = (pid_t)strtol(rest, &rest, 10);

			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			rest += strspn(rest, " ");
		}
		if (text[0] == '\0')
			break;
		free(text);
	}
	free(text);
}

static void
switch_on(struct instance *i, int boot)
{
	char path[400], id[64];
	int fd;

	disk_path(i, path);
	assert_int_equal(umount(path), 0);
	assert_int_equal(run_tool("cd \"$1\" && mount -o loop image disk", i->directory), 0);
	snprintf(path, sizeof(path), "%s/boot_id", i->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	snprintf(id, sizeof(id), "%08d-0000-4000-8000-000000000000\n", boot);
	assert_int_equal(write(fd, id, strlen(id)), strlen(id));
	close(fd);
	umount(BOOT_ID);
	if (mount(path, BOOT_ID, NULL, MS_BIND, NULL) == -1)
		fail_msg("%s: %s", BOOT_ID, strerror(errno));
}

static void
machine_done(struct instance *i)
{
	char path[400];

	disk_path(i, path);
	umount(BOOT_ID);
	umount(path);
}

/* Says `in ID` when it is submitted, `done ID` when it is told that it has ended. */
#define CLIENT                                                                              \
	"n=0; while n=$((n+1)); do "                                                        \
	"id=$(\"$1\" -C \"$2\" submit -r 0 --cwd \"$3\" -- sh -c "                          \
	"'echo \"s $JOBBERD_ID.\" >> witness; sleep 0.01') || exit 0; echo in $id; "        \
	"id=$(\"$1\" -C \"$2\" submit --backoff constant:10ms --cwd \"$3\" -- sh -c "       \
	"'exit $((JOBBERD_ATTEMPT < 2))') || exit 0; echo in $id; "                         \
	"[ $((n % 5)) != 0 ] || { \"$1\" -C \"$2\" wait $id && echo done $id; }; done"

static void
start_client(struct instance *i, struct helper *client)
{
	const char *arguments[] = { "sh", "-c", CLIENT, "sh", getenv("JOBBERD"), i->state,
		i->directory, NULL };

	helper_start(client, NULL, arguments);
}

static void
check_promises(struct instance *i, const char *said)
{
	char *copy = strdup(said), *rest = copy, *line, question[200];

	while ((line = strsep(&rest, "\n")) != NULL) {
		bool is_done = strncmp(line, "done ", 5) == 0;
		const char *id = strchr(line, ' ');

		if (id == NULL || (id = id + 1)[0] == '\0')
			continue;
		snprintf(question, sizeof(question),
		    "SELECT count(*) FROM jobs WHERE id = %s%s", id,
		    is_done ? " AND status = 'done'" : "");
		if (sql_number(i, question) != 1)
			fail_msg("\"%s\" was not true after the power cut", line);
	}
	free(copy);
}

static void
check_run_once(struct instance *i)
{
	char start[32];
	int64_t jobs = sql_number(i, "SELECT max(id) FROM jobs");

	for (int64_t id = 1; id <= jobs; id++) {
		snprintf(start, sizeof(start), "s %lld.", (long long)id);
		assert_between(witness_count(i, "witness", start), 0, 1);
	}
	assert_true(witness_count(i, "witness", "s") > 0);
}

/*
 * What was said before the cut must hold. Not what is said during it: a sync that is under way
 * when ext4 is shut down may succeed and yet be lost (a bare pwrite and fdatasync loop lost 1
 * in 40 so), which no real cut does.
 */
static void
cut_while_clients_submit(struct instance *i, int boot, unsigned *seed)
{
	struct helper client;
	char *said;

	instance_start(i, NULL);
	start_client(i, &client);
	helper_expect(&client, "in ");
	helper_runs_for(&client, 50 + rand_r(seed) % 400);
	said = strdup(client.out.text);
	cut_power(i);
	kill(i->keeper, SIGKILL);
	assert_int_equal(waitpid(i->keeper, NULL, 0), i->keeper);
	i->keeper = 0;
	assert_int_equal(helper_wait(&client), 0);
	kill_orphans();
	switch_on(i, boot);
	check_promises(i, said);
	free(said);
	helper_end(&client);
}

static void
power_cuts_lose_nothing_acknowledged_and_start_nothing_twice(void **state)
{
	unsigned seed = (unsigned)getpid();
	struct instance i;
	char *text;

	(void)state;
	print_message("seed %u\n", seed);
	instance_init(&i);
	if (!machine_init(&i)) {
		instance_done(&i);
		print_message("needs root and a loop device\n");
		skip();
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int boot = 1; boot <= 6; boot++)
		cut_while_clients_submit(&i, boot, &seed);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	check_accounts(&i);
	check_run_once(&i);
	assert_int_equal(sql_number(&i, "SELECT count(*) FROM attempts WHERE reason LIKE "
					"'lost:%' AND reason <> 'lost:boot'"), 0);
	text = sql(&i, "SELECT group_concat(DISTINCT status) FROM jobs WHERE max_retries > 0");
	assert_string_equal(text, "done");
	free(text);
	machine_done(&i);
	instance_done(&i);
}

static void
job_submitted_with_nothing_running_survives_a_power_cut_with_its_input(void **state)
{
	struct instance i;
	struct result result;
	char *text;

	(void)state;
	instance_init(&i);
	if (!machine_init(&i)) {
		instance_done(&i);
		print_message("needs root and a loop device\n");
		skip();
	}
	result = jobberd_with_input(&i, "kept\n", "submit", "--stdin", "-", "--", "cat", NULL);
	assert_string_equal(result.out, "1\n");
	result_done(&result);
	cut_power(&i);
	switch_on(&i, 1);
	instance_start(&i, "--drain", NULL);
	assert_int_equal(instance_wait(&i), 0);
	text = sql(&i, "SELECT status || last_lines FROM jobs JOIN attempts ON job_id = id");
	assert_string_equal(text, "donekept\n");
	free(text);
	check_accounts(&i);
	machine_done(&i);
	instance_done(&i);
}

/* list answers, from the log of the database too. */
static void
check_list(struct instance *i, const char *words)
{
	struct result result = jobberd(i, "list", NULL);

	assert_string_equal(result.err, "");
	assert_int_equal(result.status, 0);
	assert_has(result.out, words);
	result_done(&result);
}

/* Its blocks are smaller than a page: memory that is shared in a file may have room for a part. */
static void
supervisor_process_that_finds_a_full_disk_of_small_blocks_lives(void **state)
{
	struct instance i;
	char *gate, *command, *shared;
	pid_t supervisor;

	(void)state;
	instance_init(&i);
	if (!machine_init(&i)) {
		instance_done(&i);
		print_message("needs root and a loop device\n");
		skip();
	}
	instance_start(&i, NULL);
	gate = fifo_make(&i, "gate");
	command = xasprintf("read x < %s; exit 4", gate);
	submit_job(&i, "-r", "0", "--", "sh", "-c", command, NULL);
	instance_expect(&i, "job=1 started");
	disk_fill(&i);
	supervisor = instance_supervisor_pid(&i);
	kill(i.keeper, SIGSTOP);
	kill(supervisor, SIGKILL);
	wait_gone(supervisor);
	check_list(&i, "running");
	/* What SQLite gives up first when it is opened may be used by others before it is back. */
	shared = xasprintf("%s/jobberd.db-shm", i.state);
	assert_int_equal(truncate(shared, 3), 0);
	sync();
	disk_fill(&i);
	check_list(&i, "running");
	kill(i.keeper, SIGCONT);
	instance_expect(&i, "disk full");
	check_list(&i, "running");
	fifo_write(gate, "x\n");
	disk_free(&i);
	assert_int_equal(wait_job(&i, 1), 1);
	assert_int_equal(sql_number(&i, "SELECT exit_code FROM attempts"), 4);
	instance_stop(&i);
	machine_done(&i);
	instance_done(&i);
	free(shared);
	free(command);
	free(gate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    supervisor_process_that_finds_a_full_disk_of_small_blocks_lives),
		cmocka_unit_test(power_cuts_lose_nothing_acknowledged_and_start_nothing_twice),
		cmocka_unit_test(
		    job_submitted_with_nothing_running_survives_a_power_cut_with_its_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
