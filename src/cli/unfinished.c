#include "cli/cli.h"
#define S(n) __attribute__((weak)) int n(struct invocation *i){(void)i;return 70;}
S(verb_run)S(verb_list)S(verb_show)S(verb_why)S(verb_attempts)S(verb_log)S(verb_events)S(verb_wait)S(verb_cancel)S(verb_retry)S(verb_hold)S(verb_release)S(verb_status)S(verb_prune)S(verb_migrate)S(verb_notify)
