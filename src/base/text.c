/* text: parsing and formatting of durations, sizes, times and names. */

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define LONGEST_MS (36525 * DAY_MS)
#define LAST_MS INT64_C(253402300799999) /* of the year 9999: no more than four digits */

struct unit {
	const char *name;
	double factor;
};

/* The longer of two names with a common beginning comes first. */
static const struct unit duration_units[] = {
	{ "ms", 1 }, { "min", MINUTE_MS }, { "m", MINUTE_MS }, { "s", SECOND_MS },
	{ "h", HOUR_MS }, { "d", DAY_MS }, { NULL, 0 },
};

static const struct unit size_units[] = {
	{ "KiB", 1024.0 }, { "MiB", 1048576.0 }, { "GiB", 1073741824.0 },
	{ "TiB", 1099511627776.0 }, { "kB", 1024.0 }, { "MB", 1048576.0 },
	{ "GB", 1073741824.0 }, { "K", 1024.0 }, { "k", 1024.0 }, { "M", 1048576.0 },
	{ "m", 1048576.0 }, { "G", 1073741824.0 }, { "g", 1073741824.0 },
	{ "T", 1099511627776.0 }, { "B", 1.0 }, { NULL, 0 },
};

bool
text_is_name(const char *text)
{
	size_t length;

	if (!isascii(text[0]) || !(isalpha((unsigned char)text[0]) || text[0] == '_'))
		return false;
	for (length = 1; text[length] != '\0'; length++) {
		if (!isascii(text[length]) || (!isalnum((unsigned char)text[length]) &&
						  strchr("_.:-", text[length]) == NULL))
			return false;
	}
	return length <= NAME_MAX_LENGTH;
}

bool
text_is_child_name(const char *text)
{
	const char *slash = strchr(text, '/');
	char parent[NAME_SIZE];

	if (slash == NULL || strlen(text) > NAME_MAX_LENGTH)
		return false;
	memcpy(parent, text, (size_t)(slash - text));
	parent[slash - text] = '\0';
	return text_is_name(parent) && text_is_name(slash + 1);
}

bool
text_is_variable(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		bool is_letter = (text[i] >= 'A' && text[i] <= 'Z') ||
		    (text[i] >= 'a' && text[i] <= 'z') || text[i] == '_';

		if (!is_letter && !(i > 0 && text[i] >= '0' && text[i] <= '9'))
			return false;
	}
	return length > 0;
}

int
text_number(const char *text, int64_t least, int64_t most, int64_t *ret_number)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || number < least || number > most)
		return -1;
	*ret_number = number;
	return 0;
}

/* Digits with at most one point; NULL if there is no number here. */
static const char *
read_number(const char *text, double *ret_number)
{
	double number = 0, place = 1;
	bool has_digit = false, has_point = false;

	for (; isdigit((unsigned char)*text) || (*text == '.' && !has_point); text++) {
		if (*text == '.') {
			has_point = true;
			continue;
		}
		has_digit = true;
		number = number * 10 + (*text - '0');
		place *= has_point ? 10 : 1;
	}
	*ret_number = number / place;
	return has_digit ? text : NULL;
}

static const struct unit *
read_unit(const struct unit *units, const char *text)
{
	for (; units->name != NULL; units++) {
		if (strncmp(text, units->name, strlen(units->name)) == 0)
			return units;
	}
	return NULL;
}

static int
read_quantity(const char *text, const struct unit *units, double bare_factor, double most,
    int64_t *ret_value)
{
	double sum = 0, number;
	const struct unit *unit;
	const char *start = text;

	errno = EINVAL;
	if (*text == '\0')
		return -1;
	while (*text != '\0') {
		const char *behind = read_number(text, &number);

		if (behind == NULL)
			return -1;
		if (*behind == '\0' && text == start) {
			sum = number * bare_factor;
			break;
		}
		unit = read_unit(units, behind);
		if (unit == NULL)
			return -1;
		sum += number * unit->factor;
		text = behind + strlen(unit->name);
	}
	if (!(sum >= 0 && sum <= most)) {
		errno = ERANGE;
		return -1;
	}
	*ret_value = (int64_t)llround(sum);
	return 0;
}

int
text_duration(const char *text, int64_t *ret_ms)
{
	return read_quantity(text, duration_units, SECOND_MS, LONGEST_MS, ret_ms);
}

const char *
text_duration_wanted(const char *text, int64_t least_ms)
{
	int64_t ms;

	if (text_duration(text, &ms) == -1 && errno == EINVAL)
		return "a duration like 90, 1h30m or 250ms";
	return least_ms > 0 ? "a duration above 0, 100 years at most"
			    : "a duration of 100 years at most";
}

int
text_size(const char *text, int64_t *ret_bytes)
{
	return read_quantity(text, size_units, 1, 4e18, ret_bytes);
}

/* Does text begin so? 'd' is any digit, '?' any byte, others are themselves. */
static bool
has_shape(const char *text, const char *shape)
{
	for (; *shape != '\0'; text++, shape++) {
		if (*text == '\0' || (*shape == 'd' && !isdigit((unsigned char)*text)) ||
		    (*shape != 'd' && *shape != '?' && *text != *shape))
			return false;
	}
	return true;
}

/* "Z", "+HH:MM" or "-HH:MM" and the end. */
static int
read_offset(const char *text, int *ret_minutes)
{
	int hours, minutes;

	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_minutes = 0;
		return 0;
	}
	if ((text[0] != '+' && text[0] != '-') || !has_shape(text + 1, "dd:dd") ||
	    text[6] != '\0' || sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2 ||
	    hours > 23 || minutes > 59)
		return -1;
	*ret_minutes = (hours * 60 + minutes) * (text[0] == '-' ? -1 : 1);
	return 0;
}

static bool
is_sane(const struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900;
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	    tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && is_leap ? 1 : 0) &&
	    tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

static int
read_next_clock_time(const char *text, struct wall now, struct wall *ret_time)
{
	int hour, minute;
	bool is_short = has_shape(text, "d:dd");
	time_t seconds = (time_t)(now.ms / 1000), last;
	struct tm tm;

	if ((!is_short && !has_shape(text, "dd:dd")) || text[is_short ? 4 : 5] != '\0' ||
	    sscanf(text, "%2d:%2d", &hour, &minute) != 2 || hour > 23 || minute > 59)
		return -1;
	/* Looked for, since mktime(3) may choose either of an hour that comes twice. */
	last = seconds + 2 * (time_t)(DAY_MS / 1000);
	for (time_t then = seconds - seconds % 60 + 60; then <= last; then += 60) {
		localtime_r(&then, &tm);
		if (tm.tm_hour == hour && tm.tm_min == minute) {
			ret_time->ms = (int64_t)then * 1000;
			return 0;
		}
	}
	return -1;
}

/* What follows the seconds: ".5" and the like, or nothing. Returns what is behind it. */
static const char *
read_fraction(const char *text, int *ret_ms)
{
	*ret_ms = 0;
	if (!has_shape(text, ".d"))
		return text;
	for (int place = 100; isdigit((unsigned char)*++text); place /= 10)
		*ret_ms += (*text - '0') * place;
	return text;
}

int
text_time(const char *text, struct wall now, struct wall *ret_time)
{
	struct tm tm = { .tm_isdst = -1 };
	int offset, fraction_ms = 0;
	int64_t ms;
	char separator;

	errno = EINVAL;
	if (!has_shape(text, "dddd-dd-dd?dd:dd") ||
	    sscanf(text, "%4d-%2d-%2d%c%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&separator, &tm.tm_hour, &tm.tm_min) != 6)
		return read_next_clock_time(text, now, ret_time);
	text += strlen("YYYY-MM-DD HH:MM");
	if (has_shape(text, ":dd") && sscanf(text, ":%2d", &tm.tm_sec) == 1)
		text = read_fraction(text + strlen(":SS"), &fraction_ms);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!is_sane(&tm) || strchr("Tt ", separator) == NULL)
		return -1;
	if (text[0] == '\0')
		ms = (int64_t)mktime(&tm) * 1000 + fraction_ms;
	else if (read_offset(text, &offset) == 0)
		ms = ((int64_t)timegm(&tm) - offset * 60) * 1000 + fraction_ms;
	else
		return -1;
	if (tm.tm_year < 70 || ms < 0 || ms > LAST_MS) {
		errno = ERANGE;
		return -1;
	}
	ret_time->ms = ms;
	return 0;
}

/* "3 h 20 min", "5 d": the lesser unit only where there is something of it. */
static void
format_two(char *buffer, size_t size, int64_t count, const char *unit, int64_t rest,
    const char *lesser_unit)
{
	if (rest > 0)
		snprintf(buffer, size, "%" PRId64 " %s %" PRId64 " %s", count, unit, rest,
		    lesser_unit);
	else
		snprintf(buffer, size, "%" PRId64 " %s", count, unit);
}

const char *
text_format_duration(char *buffer, size_t size, int64_t ms)
{
	if (ms > 0 && ms < 100)
		snprintf(buffer, size, "%" PRId64 " ms", ms);
	else if (ms < 10 * SECOND_MS && ms % SECOND_MS != 0)
		snprintf(buffer, size, "%.1f s", (double)ms / 1000);
	else if (ms < 2 * MINUTE_MS)
		snprintf(buffer, size, "%" PRId64 " s", ms / SECOND_MS);
	else if (ms < 2 * HOUR_MS)
		snprintf(buffer, size, "%" PRId64 " min", ms / MINUTE_MS);
	else if (ms < DAY_MS)
		format_two(
		    buffer, size, ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min");
	else if (ms < 10 * DAY_MS)
		format_two(buffer, size, ms / DAY_MS, "d", ms % DAY_MS / HOUR_MS, "h");
	else
		snprintf(buffer, size, "%" PRId64 " d", ms / DAY_MS);
	return buffer;
}

const char *
text_format_exact(char *buffer, size_t size, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {
		{ DAY_MS, "d" }, { HOUR_MS, "h" }, { MINUTE_MS, "m" }, { SECOND_MS, "s" },
		{ 1, "ms" },
	};
	size_t used = 0;

	if (ms <= 0)
		snprintf(buffer, size, "0s");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms < units[i].ms || used >= size)
			continue;
		used += (size_t)snprintf(buffer + used, size - used, "%" PRId64 "%s",
		    ms / units[i].ms, units[i].name);
		ms %= units[i].ms;
	}
	return buffer;
}

const char *
text_format_size(char *buffer, size_t size, int64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buffer;
}

const char *
text_format_time(char *buffer, size_t size, struct wall time)
{
	int fraction_ms = (int)((time.ms % 1000 + 1000) % 1000);
	time_t seconds = (time_t)(time.ms / 1000 - (time.ms % 1000 < 0));
	struct tm tm;
	char day[sizeof("2026-11-22T20:00:00") + 16];

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buffer, size, "%s.%03dZ", day, fraction_ms);
	return buffer;
}

const char *
text_format_local_time(char *buffer, size_t size, struct wall time)
{
	time_t seconds = (time_t)(time.ms / 1000);
	struct tm tm;

	localtime_r(&seconds, &tm);
	if (strftime(buffer, size, "%Y-%m-%d %H:%M:%S %z", &tm) == 0 && size > 0)
		buffer[0] = '\0';
	return buffer;
}
