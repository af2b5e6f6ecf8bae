/*
 * follow: a job's output as it comes. The file wakes us through inotify, the supervisor
 * process through its socket; what the job wrote before its end was told is shown before
 * we return.
 */

#include "cli/follow.h"
#include "cli/database.h"
#include "cli/outfile.h"
#include "store/query.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

struct following {
	struct follow *follow;
	struct query *query;
	struct outfile file;
	bool has_file; /* of follow->attempt */
	int64_t first_attempt; /* of which follow->at is meant */
	int inotify_fd;
	int watch; /* -1: the file is not there yet */
	json_int_t wait_id;
	bool is_pruned; /* the job: nobody will tell of its end */
};

/* Ask to be told of the job's end and of every change. 0 or -1 with *error. */
static int
ask(struct following *following, struct error *error)
{
	struct client_connection *connection = following->follow->connection;

	if (client_send(connection, "follow", NULL, error) == -1)
		return -1;
	following->wait_id = client_send(connection, "wait",
	    json_pack("{s:[I]}", "ids", (json_int_t)following->follow->job), error);
	return following->wait_id == -1 ? -1 : 0;
}

/*
 * The supervisor process went away. Its keeper starts another one, which a new connection
 * waits for; without a keeper there is nobody to connect to.
 */
static int
ask_again(struct following *following, struct error *error)
{
	struct client_connection *connection = following->follow->connection;

	client_close(connection);
	if (client_open(connection, following->follow->state, error) == -1)
		return -1;
	connection->has_changed = true; /* as good as: we do not know what we missed */
	return ask(following, error);
}

static void
close_file(struct following *following)
{
	if (following->watch != -1)
		inotify_rm_watch(following->inotify_fd, following->watch);
	following->watch = -1;
	if (following->has_file)
		outfile_close(&following->file);
	following->has_file = false;
}

static void
open_file(struct following *following, int64_t attempt)
{
	close_file(following);
	following->follow->attempt = attempt;
	outfile_open(
	    &following->file, following->follow->state, following->follow->job, attempt);
	following->file.left_out = following->follow->left_out;
	if (attempt == following->first_attempt)
		outfile_begin_at(&following->file, following->follow->at);
	following->has_file = true;
}

/* The watch comes before the look, so that nothing is written unseen between them. */
static void
print_file(struct following *following, bool is_end)
{
	if (!following->has_file)
		return;
	if (following->watch == -1 && following->inotify_fd != -1 && !is_end)
		following->watch = inotify_add_watch(
		    following->inotify_fd, following->file.path, IN_MODIFY);
	outfile_print(&following->file, is_end);
}

/*
 * Show what there is, of attempts that have begun meanwhile too. An attempt is over, and
 * its file complete, when there is a next one.
 */
static int
print_attempts(struct following *following, bool is_end, struct error *error)
{
	struct follow *follow = following->follow;
	int64_t last;

	if (query_last_attempt(following->query, follow->job, &last, error) == -1)
		return -1;
	if (!following->has_file && last > 0)
		open_file(following, follow->attempt > 0 ? follow->attempt : 1);
	while (following->has_file && follow->attempt < last) {
		print_file(following, true);
		if (follow->attempt_over != NULL)
			follow->attempt_over(follow->arg, follow->attempt);
		open_file(following, follow->attempt + 1);
	}
	print_file(following, is_end);
	return 0;
}

static void
drain_inotify(struct following *following)
{
	char bytes[4096];

	while (read(following->inotify_fd, bytes, sizeof(bytes)) > 0)
		;
}

/* 1: something is there to be read; 0: a signal gave up; -1 with *error. */
static int
wait_for_anything(struct following *following, struct error *error)
{
	struct follow *follow = following->follow;

	for (;;) {
		struct pollfd polled[2] = {
			{ .fd = follow->connection->fd, .events = POLLIN },
			{ .fd = following->inotify_fd, .events = POLLIN },
		};

		if (ppoll(polled, 2, NULL, follow->mask) > 0) {
			if (polled[1].revents != 0)
				drain_inotify(following);
			return 1;
		}
		if (errno != EINTR)
			return error_set_errno(error, STATUS_INTERNAL, "poll");
		if (follow->interrupted != NULL && follow->interrupted(follow->arg))
			return 0;
	}
}

/* 1 with the answer to `wait`, 0 if it has not come, -1 with *error. */
static int
receive(struct following *following, json_t **ret_ended, struct error *error)
{
	struct client_connection *connection = following->follow->connection;
	struct pollfd polled = { .fd = connection->fd, .events = POLLIN };
	int got = 1, result = 0;

	while (got == 1 && result == 0) {
		struct rpc_message message;
		/* 0 looks only at what has been read already. */
		int64_t timeout_ms = poll(&polled, 1, 0) == 1 ? 1 : 0;

		got = client_receive(connection, timeout_ms, true, &message, error);
		if (got != 1)
			continue;
		if (json_integer_value(message.id) == following->wait_id) {
			result = message.kind == RPC_RESULT ? 1 : -1;
			following->is_pruned = message.code == STATUS_NOT_FOUND;
			if (result == 1)
				*ret_ended = json_incref(message.result);
			else if (following->is_pruned)
				error_set(error, message.code, "%s any more", message.message);
			else
				error_set(error, message.code, "%s", message.message);
		}
		rpc_message_done(&message);
	}
	return result != 0 ? result : got;
}

static enum follow_end
go_on(struct following *following, json_t **ret_ended, struct error *error)
{
	struct client_connection *connection = following->follow->connection;
	struct follow *follow = following->follow;

	connection->has_changed = true;
	for (;;) {
		int got = receive(following, ret_ended, error);

		if (got == 1 && print_attempts(following, true, error) == -1)
			return FOLLOW_FAILED;
		if (got == 1)
			return FOLLOW_ENDED;
		if (got == -1 && (following->is_pruned || ask_again(following, error) == -1)) {
			struct error ignored;

			print_attempts(following, true, &ignored);
			return FOLLOW_FAILED;
		}
		if (connection->has_changed) {
			connection->has_changed = false;
			if (follow->look != NULL)
				follow->look(follow->arg);
			if (print_attempts(following, false, error) == -1)
				return FOLLOW_FAILED;
			if (follow->tell != NULL)
				follow->tell(follow->arg);
			continue;
		}
		print_file(following, false);
		got = wait_for_anything(following, error);
		if (got != 1)
			return got == 0 ? FOLLOW_INTERRUPTED : FOLLOW_FAILED;
	}
}

enum follow_end
follow_output(struct follow *follow, json_t **ret_ended, struct error *error)
{
	struct following following = {
		.follow = follow,
		.first_attempt = follow->attempt,
		.query = database_open(follow->state, error),
		.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.watch = -1,
	};
	enum follow_end end = FOLLOW_FAILED;

	if (following.query != NULL && ask(&following, error) == 0)
		end = go_on(&following, ret_ended, error);
	close_file(&following);
	if (following.inotify_fd != -1)
		close(following.inotify_fd);
	query_close(following.query);
	return end;
}
