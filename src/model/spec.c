/* spec: a job's description as a whole; its options are in spec_options.c. */

#include "model/spec.h"

#include <stdlib.h>

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
	for (size_t i = 0; i < spec->dependency_count; i++)
		free(spec->dependencies[i].name);
	free(spec->dependencies);
	spec_init(spec);
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
	if (spec->is_held && spec->dependency_count > 0)
		return error_set(error, STATUS_USAGE, "hold, after: only one of them");
	if (spec->is_server && spec->given_for_commands != NULL)
		return error_set(error, STATUS_USAGE, "%s: not for a server",
		    spec->given_for_commands);
	if (!spec->is_server && spec->given_for_servers != NULL)
		return error_set(error, STATUS_USAGE, "%s: only for a server (jobberd start)",
		    spec->given_for_servers);
	if (spec->is_server && spec->name == NULL)
		return error_set(error, STATUS_USAGE, "a server needs a name");
	return 0;
}

const char *
spec_supervisor(const struct spec *spec)
{
	return spec->supervisor != NULL ? spec->supervisor
	    : spec->is_server		? "servers"
					: "default";
}
