/* spec_server: the setters of options that only servers have. */

#include "base/text.h"
#include "model/spec_setters.h"

#include <string.h>

int
spec_set_restart(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (restart_parse(value, &spec->restart) == -1)
		return spec_bad(error, "restart", value, "temporary, transient or permanent");
	return 0;
}

int
spec_set_durable(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->is_durable, "durable", value, error);
}

int
spec_set_init_timeout(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_duration(&spec->init_timeout_ms, 1, "init-timeout", value, error);
}

int
spec_set_max_redeliveries(struct spec *spec, const char *value, struct wall now,
    struct error *error)
{
	(void)now;
	if (strcmp(value, "inf") == 0)
		spec->max_redeliveries = SPEC_FOR_EVER;
	else if (text_number(value, 0, 1000000, &spec->max_redeliveries) == -1)
		return spec_bad(error, "max-redeliveries", value,
		    "a number from 0 to 1000000 or inf");
	return 0;
}

int
spec_set_pool(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (text_number(value, 1, SPEC_LARGEST_POOL, &spec->pool_size) == -1)
		return spec_bad(error, "pool", value, "a number from 1 to 1000");
	return 0;
}

int
spec_set_max_messages(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (text_number(value, 1, SPEC_LARGEST_ID, &spec->max_messages) == -1)
		return spec_bad(error, "max-messages", value, "a number from 1");
	return 0;
}

int
spec_set_significant(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->is_significant, "significant", value, error);
}

int
spec_set_autostart(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	bool is_wanted;

	(void)now;
	if (spec_set_flag(&is_wanted, "autostart", value, error) == -1)
		return -1;
	spec->is_only_on_demand = !is_wanted;
	return 0;
}

int
spec_set_restart_delay(struct spec *spec, const char *value, struct wall now,
    struct error *error)
{
	(void)now;
	if (retry_parse_backoff(value, &spec->restart_delay) == -1)
		return spec_bad(error, "restart-delay", value,
		    "constant:D, linear:D[,MAX] or exponential:D[,MAX]");
	spec->has_restart_delay = true;
	return 0;
}
