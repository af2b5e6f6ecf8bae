/* spec: a job's description as a whole; its options are in spec_options.c. */

#include "model/spec.h"

#include <stdlib.h>
#include <string.h>

void
spec_init(struct spec *spec)
{
	*spec = (struct spec){
		.priority = SPEC_UNSET,
		.retry = retry_default,
		.timeout_ms = SPEC_UNSET,
		.grace_ms = SPEC_UNSET,
		.max_output = SPEC_UNSET,
		.umask = SPEC_UNSET,
		.start_in_ms = SPEC_UNSET,
		.start_at.ms = SPEC_UNSET,
		.restart = RESTART_TRANSIENT,
		.init_timeout_ms = SPEC_UNSET,
		.max_redeliveries = SPEC_UNSET,
		.pool_size = SPEC_UNSET,
		.key_limit = SPEC_UNSET,
		.max_messages = SPEC_UNSET,
		.restart_delay = retry_default,
		.service = SERVICE_UNSET,
	};
}

void
spec_done(struct spec *spec)
{
	strings_done(&spec->command);
	strings_done(&spec->environment_requests);
	strings_done(&spec->environment_files);
	strings_done(&spec->environment);
	free(spec->name);
	free(spec->supervisor);
	free(spec->type);
	free(spec->cwd);
	free(spec->stdin_path);
	free(spec->key);
	free(spec->description);
	strings_done(&spec->meta);
	strings_done(&spec->groups);
	for (size_t i = 0; i < spec->dependency_count; i++)
		free(spec->dependencies[i].name);
	free(spec->dependencies);
	spec_init(spec);
}

bool
spec_is_static(const struct spec *spec)
{
	return spec->name != NULL && strchr(spec->name, '/') != NULL;
}

/* SUPERVISOR/CHILD has that supervisor. */
static int
check_child(const struct spec *spec, struct error *error)
{
	size_t length = strcspn(spec->name, "/");

	if (spec->pool_size != SPEC_UNSET)
		return error_set(error, STATUS_USAGE,
		    "name: a pool is not one of a supervisor's children in order");
	if (strlen(spec->supervisor) != length ||
	    strncmp(spec->supervisor, spec->name, length) != 0)
		return error_set(error, STATUS_USAGE, "name: %s is not a child of %s",
		    spec->name, spec->supervisor);
	return 0;
}

static int
check_plain(const struct spec *spec, struct error *error)
{
	if (spec->is_durable || spec->pool_size != SPEC_UNSET ||
	    spec->max_redeliveries != SPEC_UNSET)
		return error_set(error, STATUS_USAGE,
		    "durable, pool, max-redeliveries: not for a plain service, which has no "
		    "mailbox");
	if (spec->service.watchdog_ms != -1 && spec->service.ready != READY_NOTIFY)
		return error_set(error, STATUS_USAGE,
		    "watchdog: only with ready notify, by which it gives a sign of life");
	return 0;
}

static int
check_server(const struct spec *spec, struct error *error)
{
	bool is_pool = spec->pool_size != SPEC_UNSET;

	if (spec->given_for_commands != NULL)
		return error_set(error, STATUS_USAGE, "%s: not for a server",
		    spec->given_for_commands);
	if (spec->given_for_work != NULL && !is_pool)
		return error_set(error, STATUS_USAGE,
		    "%s: not for a server, unless it is a pool (pool)", spec->given_for_work);
	if (spec->name == NULL)
		return error_set(error, STATUS_USAGE, "a server needs a name");
	if (spec->max_messages != SPEC_UNSET && !is_pool)
		return error_set(error, STATUS_USAGE, "max-messages: only for a pool (pool)");
	if (!spec->is_plain && spec->given_for_plain != NULL)
		return error_set(error, STATUS_USAGE, "%s: only for a plain service (plain)",
		    spec->given_for_plain);
	if (is_pool && !spec->is_durable)
		return error_set(error, STATUS_USAGE,
		    "pool: its messages are kept, which durable must say");
	if (is_pool && (spec->restart != RESTART_TRANSIENT ||
			   spec->max_redeliveries != SPEC_UNSET))
		return error_set(error, STATUS_USAGE,
		    "restart, max-redeliveries: not for a pool, whose processes are always "
		    "started again and whose messages are retried");
	if (spec->is_significant && spec_restart(spec) == RESTART_PERMANENT)
		return error_set(error, STATUS_USAGE,
		    "significant: not for a permanent server, whose end is never its last");
	if (spec_is_static(spec) && check_child(spec, error) == -1)
		return -1;
	return spec->is_plain ? check_plain(spec, error) : 0;
}

int
spec_check(const struct spec *spec, struct error *error)
{
	if (spec->command.count == 0 || spec->command.items[0][0] == '\0')
		return error_set(error, STATUS_USAGE, "there is no command to run");
	if (spec->is_once && spec->name == NULL)
		return error_set(error, STATUS_USAGE, "once: needs a name");
	if (spec->start_in_ms != SPEC_UNSET && spec->start_at.ms != SPEC_UNSET)
		return error_set(error, STATUS_USAGE, "in, at: only one of them");
	if ((spec->key != NULL) != (spec->key_limit != SPEC_UNSET))
		return error_set(error, STATUS_USAGE, "key, limit: only both together");
	if (spec->log_rotate.bytes > 0 && spec->max_output != SPEC_UNSET)
		return error_set(error, STATUS_USAGE, "log-rotate, max-output: only one of them");
	if (!spec->is_server &&
	    (spec->given_for_servers != NULL || spec->given_for_plain != NULL))
		return error_set(error, STATUS_USAGE, "%s: only for a server (jobberd start)",
		    spec->given_for_servers != NULL ? spec->given_for_servers
						    : spec->given_for_plain);
	if (!spec->is_server && spec_is_static(spec))
		return error_set(error, STATUS_USAGE,
		    "name: \"%s\" is not a job's name, SUPERVISOR/CHILD is for servers",
		    spec->name);
	return spec->is_server ? check_server(spec, error) : 0;
}

bool
spec_has_labels(const struct spec *spec)
{
	return spec->key != NULL || spec->meta.count > 0 || spec->groups.count > 0;
}

enum restart_type
spec_restart(const struct spec *spec)
{
	return spec->is_plain && !spec->has_restart ? RESTART_PERMANENT : spec->restart;
}

const char *
spec_supervisor(const struct spec *spec)
{
	return spec->supervisor != NULL ? spec->supervisor
	    : spec->is_server		? "servers"
					: "default";
}
