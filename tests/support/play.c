/* play: puppets on the stage of the real program. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "support/play.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
play_is_puppet(int argc, char **argv, int *ret_status)
{
	if (argc < 2 || argv[1][0] != '{')
		return false;
	*ret_status = gen_server_main(&puppet_ops, argc, argv);
	return true;
}

void
play_begin(struct play *play)
{
	*play = (struct play){ .here = NULL };
	instance_init(&play->instance);
	instance_start(&play->instance, NULL);
	play->here = fifo_make(&play->instance, "here");
	play->go = fifo_make(&play->instance, "go");
}

void
play_done(struct play *play)
{
	if (play->news.pidfd != 0)
		helper_end(&play->news);
	free(play->here);
	free(play->go);
	if (play->instance.keeper != 0)
		instance_stop(&play->instance);
	check_accounts(&play->instance);
	instance_done(&play->instance);
}

/* To be freed. */
static char *
script_text(const struct play *play, const char *script)
{
	struct buf text = { 0 };
	char *copy;

	for (const char *at = script; *at != '\0'; at++) {
		if (strncmp(at, "HERE", 4) == 0) {
			buf_addf(&text, "\"%s\"", play->here);
			at += 3;
		} else if (strncmp(at, "GO", 2) == 0) {
			buf_addf(&text, "\"%s\"", play->go);
			at += 1;
		} else
			buf_add(&text, *at == '\'' ? "\"" : at, 1);
	}
	copy = xstrdup(buf_text(&text));
	buf_done(&text);
	return copy;
}

static const char *
own_program(void)
{
	static char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(length > 0);
	path[length] = '\0';
	return path;
}

struct result
play_try_start(struct play *play, const char *option, const char *name, const char *script)
{
	char *text = script_text(play, script);
	struct result result = option != NULL
	    ? jobberd(&play->instance, "start", option, name, "--", own_program(), text, NULL)
	    : jobberd(&play->instance, "start", name, "--", own_program(), text, NULL);

	free(text);
	return result;
}

void
play_start(struct play *play, const char *name, const char *script)
{
	expect(play_try_start(play, NULL, name, script), 0, NULL, NULL);
}

void
play_start_with(struct play *play, const char *option, const char *other, const char *name,
    const char *script)
{
	char *text = script_text(play, script);

	expect(jobberd(&play->instance, "start", option, other, name, "--", own_program(),
			text, NULL), 0, NULL, NULL);
	free(text);
}

void
play_start_pool(struct play *play, const char *size, const char *name, const char *script)
{
	char *text = script_text(play, script);

	expect(jobberd(&play->instance, "start", "--durable", "--pool", size,
			"--max-retries", "0", name, "--", own_program(), text, NULL), 0, NULL,
	    NULL);
	free(text);
}

void
play_start_beside(struct play *play, struct helper *starter, const char *name,
    const char *script)
{
	char *text = script_text(play, script);

	helper_jobberd(starter, &play->instance, NULL, "start", name, "--", own_program(), text,
	    NULL);
	free(text);
}

struct result
play_call(struct play *play, const char *name, const char *message)
{
	char *text = script_text(play, message);
	struct result result = jobberd(&play->instance, "call", name, text, NULL);

	free(text);
	return result;
}

void
play_call_beside(struct play *play, struct helper *caller, const char *name,
    const char *message)
{
	char *text = script_text(play, message);

	helper_jobberd(caller, &play->instance, NULL, "call", "--timeout", "1h", name, text, NULL);
	free(text);
}

void
play_cast(struct play *play, const char *name, const char *message)
{
	char *text = script_text(play, message);

	expect(jobberd(&play->instance, "cast", name, text, NULL), 0, "", NULL);
	free(text);
}

void
play_stop(struct play *play, const char *name)
{
	expect(jobberd(&play->instance, "stop", name, NULL), 0, "", NULL);
}

pid_t
play_pid(struct play *play)
{
	char *text = fifo_read(play->here);
	pid_t pid = atoi(text);

	free(text);
	assert_true(pid > 1);
	return pid;
}

void
play_go(struct play *play)
{
	fifo_write(play->go, "go\n");
}

void
play_follow(struct play *play)
{
	helper_jobberd(&play->news, &play->instance, NULL, "events", "-f", NULL);
}

void
play_until(struct play *play, const char *text)
{
	helper_expect(&play->news, text);
}

void
play_history(struct play *play, const char *name, const char *wanted)
{
	char *statement = xasprintf(
	    "SELECT group_concat(detail, '; ') FROM (SELECT e.detail FROM events e "
	    "JOIN jobs j ON j.id = e.job_id WHERE e.event = 'log' AND j.name = '%s' "
	    "ORDER BY e.seq)", name);
	char *history = sql(&play->instance, statement);

	assert_string_equal(history, wanted);
	free(history);
	free(statement);
}
