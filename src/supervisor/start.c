/* start: a claimed job as an order. */

#include "supervisor/start.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void
add_string(struct buf *text, const char *string)
{
	buf_add(text, string, strlen(string) + 1);
}

static void
add_variable(struct buf *text, uint32_t *count, const char *name, const char *value)
{
	buf_add_text(text, name);
	buf_add(text, "=", 1);
	add_string(text, value);
	++*count;
}

static void
add_number(struct buf *text, uint32_t *count, const char *name, int64_t value)
{
	buf_addf(text, "%s=%" PRId64, name, value);
	buf_add(text, "", 1);
	++*count;
}

/* A job that came with no environment, by INSERT, gets our own basics. */
static void
add_basics(struct buf *text, uint32_t *count, bool *ret_has_path)
{
	static const char *const names[] = { "PATH", "HOME", "USER", "LOGNAME", "SHELL",
		"LANG", "TZ", "TMPDIR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value == NULL)
			continue;
		if (strcmp(names[i], "PATH") == 0) {
			buf_addf(text, "PATH=%s:" JOBBERD_LIBEXEC, value);
			buf_add(text, "", 1);
			++*count;
			*ret_has_path = true;
		} else
			add_variable(text, count, names[i], value);
	}
}

/* What speaks of us, or of our own service manager, is not for a service of ours. */
static bool
is_ours(const char *item, bool is_plain)
{
	return strncmp(item, "JOBBERD_", 8) == 0 ||
	    (is_plain && (strncmp(item, "NOTIFY_SOCKET=", 14) == 0 ||
			     strncmp(item, "WATCHDOG_", 9) == 0));
}

static void
add_recorded(struct buf *text, uint32_t *count, const struct strings *environment,
    bool is_plain, bool *ret_has_path)
{
	for (size_t i = 0; i < environment->count; i++) {
		const char *item = environment->items[i];

		if (is_ours(item, is_plain))
			continue;
		if (strncmp(item, "PATH=", 5) == 0) {
			buf_add_text(text, item);
			add_string(text, ":" JOBBERD_LIBEXEC);
			*ret_has_path = true;
		} else
			add_string(text, item);
		++*count;
	}
}

/* The socket that the keeper makes for it, and how often a sign of life is due. */
static void
add_notify(struct supervisor *supervisor, struct buf *text, uint32_t *count,
    const struct claimed_job *claimed)
{
	const struct service *service = &claimed->spec.service;

	buf_addf(text, "NOTIFY_SOCKET=%s/" NOTIFY_DIRECTORY "/%" PRId64 ".%" PRId64,
	    supervisor->setup->state_directory, claimed->key.job, claimed->key.attempt);
	buf_add(text, "", 1);
	++*count;
	if (service->watchdog_ms == -1)
		return;
	buf_addf(text, "WATCHDOG_USEC=%" PRId64 "000", service->watchdog_ms);
	buf_add(text, "", 1);
	++*count;
	add_variable(text, count, PID_VARIABLE, PID_ROOM);
}

static void
add_service(struct order_start *start, const struct service *service)
{
	start->stop_signal = (uint16_t)service->stop_signal;
	start->ready_fd = (uint16_t)service->ready_fd;
	start->notifies = service->ready == READY_NOTIFY;
	start->knows_pid = service->watchdog_ms != -1;
}

static uint32_t
add_environment(struct supervisor *supervisor, struct buf *text,
    const struct claimed_job *claimed)
{
	uint32_t count = 0;
	bool has_path = false;

	if (claimed->environment != NULL)
		add_recorded(text, &count, claimed->environment, claimed->spec.is_plain,
		    &has_path);
	else
		add_basics(text, &count, &has_path);
	if (!has_path)
		add_variable(text, &count, "PATH", DEFAULT_PATH ":" JOBBERD_LIBEXEC);
	add_number(text, &count, "JOBBERD_ID", claimed->key.job);
	add_number(text, &count, "JOBBERD_ATTEMPT", claimed->key.attempt);
	add_number(text, &count, "JOBBERD_FD", 3);
	if (claimed->spec.name != NULL)
		add_variable(text, &count, "JOBBERD_NAME", claimed->spec.name);
	/* Which instance these ids are of; also lets a job submit to its own. */
	add_variable(text, &count, "JOBBERD_STATE", supervisor->setup->state_directory);
	if (claimed->spec.is_plain && claimed->spec.service.ready == READY_NOTIFY)
		add_notify(supervisor, text, &count, claimed);
	return count;
}

void
start_order(struct supervisor *supervisor, const struct claimed_job *claimed,
    const struct attempt_key *after)
{
	const struct spec *spec = &claimed->spec;
	struct buf text = { 0 };
	struct order order = {
		.version = ORDERS_VERSION,
		.kind = ORDER_START,
		.key = { claimed->key.job, claimed->key.attempt, claimed->key.generation },
	};

	if (after != NULL)
		order.start.after =
		    (struct order_key){ after->job, after->attempt, after->generation };
	for (size_t i = 0; i < spec->command.count; i++)
		add_string(&text, spec->command.items[i]);
	order.start.argument_count = (uint32_t)spec->command.count;
	order.start.variable_count = add_environment(supervisor, &text, claimed);
	add_string(&text, spec->cwd != NULL ? spec->cwd : "/");
	add_string(&text, spec->stdin_path != NULL ? spec->stdin_path : "");
	order.start.timeout_ms = spec->timeout_ms != SPEC_UNSET ? spec->timeout_ms : -1;
	order.start.grace_ms = spec->grace_ms != SPEC_UNSET ? spec->grace_ms
	    : spec->is_server				      ? SPEC_SERVER_GRACE_MS
							      : SPEC_DEFAULT_GRACE_MS;
	if (spec->is_plain)
		add_service(&order.start, &spec->service);
	order.start.umask = spec->umask != SPEC_UNSET ? (uint32_t)spec->umask : 022;
	order.start.leaves_children = spec->leaves_children;
	order.start.is_awaited = spec->is_server;
	order.start.text_length = (uint32_t)text.length;
	orders_send_start(supervisor->link, &order, buf_start(&text));
	buf_done(&text);
}
