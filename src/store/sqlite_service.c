/* sqlite_service: the columns that only a plain service's row of `servers` has. */

#include "store/sqlite_engine.h"

void
sqlite_bind_service(sqlite3_stmt *statement, int place, const struct spec *spec,
    struct service_text *text)
{
	const struct service *service = &spec->service;
	bool has_signal = spec->is_plain && service->stop_signal != SIGTERM;
	bool has_good_ends = spec->is_plain && service_has_good_ends(&service->good);

	*text = (struct service_text){ 0 };
	if (has_good_ends)
		service_format_good_ends(&text->good, &service->good);
	bind_number(statement, place, spec->is_plain);
	bind_text(statement, place + 1,
	    spec->is_plain ? service_format_ready(text->ready, service) : NULL);
	bind_text(statement, place + 2,
	    has_signal ? reason_signal_name(service->stop_signal, text->signal) : NULL);
	bind_text(statement, place + 3, has_good_ends ? buf_text(&text->good) : NULL);
	bind_unless(statement, place + 4, spec->is_plain ? service->watchdog_ms : -1, -1);
}

void
service_text_done(struct service_text *text)
{
	buf_done(&text->good);
}

bool
sqlite_read_service(sqlite3_stmt *row, int column, struct service *ret_service)
{
	const char *ready = column_text(row, column + 1), *stop = column_text(row, column + 2);
	const char *good = column_text(row, column + 3);

	*ret_service = (struct service)SERVICE_UNSET;
	if (column_number(row, column, 0) == 0)
		return false;
	/* We wrote them, and nobody else may: what is not understood is the default. */
	if (ready != NULL)
		service_parse_ready(ready, ret_service);
	if (stop != NULL)
		service_parse_signal(stop, &ret_service->stop_signal);
	if (good != NULL)
		service_parse_good_ends(good, &ret_service->good);
	ret_service->watchdog_ms = column_number(row, column + 4, -1);
	return true;
}
