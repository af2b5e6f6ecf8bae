/* spec_plain: the setters of options that only plain services have. */

#include "base/text.h"
#include "model/spec_setters.h"

int
spec_set_plain(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_flag(&spec->is_plain, "plain", value, error);
}

int
spec_set_ready(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (service_parse_ready(value, &spec->service) == -1)
		return spec_bad(error, "ready", value,
		    "exec, notify, or fd:N with a descriptor from 3 to 1023");
	return 0;
}

int
spec_set_stop_signal(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (service_parse_signal(value, &spec->service.stop_signal) == -1)
		return spec_bad(error, "stop-signal", value,
		    "a signal that a program can hear, like SIGINT");
	return 0;
}

int
spec_set_success_exit(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	if (service_parse_good_ends(value, &spec->service.good) == -1)
		return spec_bad(error, "success-exit", value,
		    "a list of exit statuses and signals like 3,SIGTERM");
	return 0;
}

int
spec_set_watchdog(struct spec *spec, const char *value, struct wall now, struct error *error)
{
	(void)now;
	return spec_set_duration(&spec->service.watchdog_ms, 1, "watchdog", value, error);
}
