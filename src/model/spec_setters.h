#ifndef MODEL_SPEC_SETTERS_H
#define MODEL_SPEC_SETTERS_H

#include "model/spec.h"

/*
 * Between spec_options.c, which has the table of options, and the files with their setters.
 * Each sets a field or refuses in words, with nothing changed.
 */

typedef int spec_setter(
    struct spec *spec, const char *value, struct wall now, struct error *error);

/* "OPTION: "VALUE" is not WANTED": -1. */
int spec_bad(struct error *error, const char *option, const char *value, const char *wanted);
/* A flag is given as "true" or "false" in JSON; the command line says "true". */
int spec_set_flag(bool *flag, const char *option, const char *value, struct error *error);
int spec_set_duration(int64_t *ms, int64_t least, const char *option, const char *value,
    struct error *error);

/* spec_server.c */
spec_setter spec_set_restart, spec_set_durable, spec_set_init_timeout,
    spec_set_max_redeliveries, spec_set_pool, spec_set_max_messages, spec_set_significant,
    spec_set_autostart, spec_set_restart_delay;

/* spec_labels.c */
spec_setter spec_set_key, spec_set_limit, spec_set_meta, spec_set_group;

/* spec_plain.c */
spec_setter spec_set_plain, spec_set_ready, spec_set_stop_signal, spec_set_success_exit,
    spec_set_watchdog;

#endif
