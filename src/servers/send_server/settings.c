/*
 * settings: the options of the server.
 *
 * To add one: a field in settings.h, a setter and a row here, man/send_server.8.
 */

#include "servers/send_server/settings.h"
#include "servers/send_server/address.h"
#include "servers/send_server/credentials.h"

#include <curl/curl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_MS (INT64_C(366) * 86400 * 1000)

/* ---- values ---- */

static bool
read_number(const char *text, int64_t least, int64_t most, int64_t *ret_number)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < least || number > most)
		return false;
	*ret_number = number;
	return true;
}

/* As everywhere in jobberd: "5s", "1h30m", "250ms"; a bare number is seconds. */
static bool
read_duration(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "ms", 1 }, { "min", 60e3 }, { "m", 60e3 }, { "s", 1e3 }, { "h", 3600e3 },
		{ "d", 86400e3 }, { "", 1e3 } };
	double sum = 0;
	char *end;

	do {
		double number = strtod(text, &end);
		size_t unit = 0;

		if (text[0] < '0' || text[0] > '9' || text[1] == 'x' || text[1] == 'X')
			return false;
		while (strncmp(end, units[unit].name, strlen(units[unit].name)) != 0)
			unit++;
		if (units[unit].name[0] == '\0' && *end != '\0')
			return false;
		sum += number * units[unit].ms;
		text = end + strlen(units[unit].name);
	} while (*text != '\0' && sum <= (double)LONGEST_MS);
	if (sum < 1 || sum > (double)LONGEST_MS)
		return false;
	*ret_ms = (int64_t)sum;
	return true;
}

/* ---- setters: true, or why not ---- */

/* A password in a URL would be seen by everybody. */
static bool
set_smtp(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	CURLU *url = curl_url();
	char *user = NULL;
	bool is_smtp = strncmp(value, "smtp://", 7) == 0 || strncmp(value, "smtps://", 8) == 0;

	settings->smtp = value;
	words[0] = '\0';
	if (!is_smtp || curl_url_set(url, CURLUPART_URL, value, 0) != CURLUE_OK)
		words_set(words, "--smtp: %s is not smtp://HOST[:PORT] or smtps://…", value);
	else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
		words_set(words, "--smtp: user and password belong into the file of --credentials");
	curl_free(user);
	curl_url_cleanup(url);
	return words[0] == '\0';
}

static bool
set_from(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	json_t *address = json_string(value);
	bool is_one = address_check(address, words);

	json_decref(address);
	settings->from = value;
	return is_one;
}

static bool
set_tls(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	settings->tls = value;
	if (strcmp(value, "never") == 0 || strcmp(value, "try") == 0 ||
	    strcmp(value, "always") == 0)
		return true;
	words_set(words, "--tls: %s is not one of never, try, always", value);
	return false;
}

/* Tasks have another working directory. */
static bool
check_path(const char *option, const char *value, char words[WORDS_SIZE])
{
	if (value[0] == '/')
		return true;
	words_set(words, "%s: %s is not an absolute path", option, value);
	return false;
}

static bool
set_ca(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	settings->ca = value;
	return check_path("--ca", value, words);
}

static bool
set_credentials(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	struct credentials credentials;
	int result;

	settings->credentials = value;
	if (!check_path("--credentials", value, words))
		return false;
	result = credentials_read(value, &credentials, words);
	explicit_bzero(&credentials, sizeof(credentials));
	return result == 0;
}

static bool
set_number(const char *option, const char *value, int64_t least, int64_t most, int64_t *number,
    char words[WORDS_SIZE])
{
	if (read_number(value, least, most, number))
		return true;
	words_set(words, "%s: %s is not a number from %lld to %lld", option, value,
	    (long long)least, (long long)most);
	return false;
}

static bool
set_duration(const char *option, const char *value, int64_t *ms, char words[WORDS_SIZE])
{
	if (read_duration(value, ms))
		return true;
	words_set(words, "%s: %s is not a duration, like 5s or 1m30s", option, value);
	return false;
}

static bool
set_mail_retries(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	return set_number("--mail-retries", value, 0, 1000000, &settings->mail_retries, words);
}

static bool
set_retry_every(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	return set_duration("--retry-every", value, &settings->retry_every_ms, words);
}

static bool
set_parallel(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	return set_number("--parallel", value, 1, 1000, &settings->parallel, words);
}

static bool
set_keep(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	return set_number("--keep", value, 0, 1000, &settings->keep, words);
}

static bool
set_timeout(struct settings *settings, const char *value, char words[WORDS_SIZE])
{
	return set_duration("--timeout", value, &settings->timeout_ms, words);
}

typedef bool setter(struct settings *settings, const char *value, char words[WORDS_SIZE]);

enum {
	SMTP, FROM, TLS, CA, CREDENTIALS, TIMEOUT, /* how */
	MAIL_RETRIES, RETRY_EVERY, PARALLEL, KEEP, /* when, and how many */
	COUNT
};

static const struct option options[] = {
	[SMTP] = { "smtp", required_argument, NULL, SMTP },
	[FROM] = { "from", required_argument, NULL, FROM },
	[TLS] = { "tls", required_argument, NULL, TLS },
	[CA] = { "ca", required_argument, NULL, CA },
	[CREDENTIALS] = { "credentials", required_argument, NULL, CREDENTIALS },
	[MAIL_RETRIES] = { "mail-retries", required_argument, NULL, MAIL_RETRIES },
	[RETRY_EVERY] = { "retry-every", required_argument, NULL, RETRY_EVERY },
	[PARALLEL] = { "parallel", required_argument, NULL, PARALLEL },
	[KEEP] = { "keep", required_argument, NULL, KEEP },
	[TIMEOUT] = { "timeout", required_argument, NULL, TIMEOUT },
	[COUNT] = { NULL, 0, NULL, 0 },
};

static setter *const setters[COUNT] = {
	[SMTP] = set_smtp,
	[FROM] = set_from,
	[TLS] = set_tls,
	[CA] = set_ca,
	[CREDENTIALS] = set_credentials,
	[MAIL_RETRIES] = set_mail_retries,
	[RETRY_EVERY] = set_retry_every,
	[PARALLEL] = set_parallel,
	[KEEP] = set_keep,
	[TIMEOUT] = set_timeout,
};

/* ---- all of them ---- */

static int
read_options(struct settings *settings, int argc, char **argv, char words[WORDS_SIZE])
{
	int option;

	optind = 0; /* glibc's way to begin anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (option == ':') {
			words_set(words, "%s wants a value", argv[optind - 1]);
			return -1;
		}
		if (option == '?') {
			words_set(words, "%s is not an option", argv[optind - 1]);
			return -1;
		}
		if (!setters[option](settings, optarg, words))
			return -1;
	}
	if (optind < argc) {
		words_set(words, "%s is not an option", argv[optind]);
		return -1;
	}
	if (settings->from == NULL) {
		words_set(words, "--from is missing");
		return -1;
	}
	return 0;
}

/* A name and a password go through the network only if they cannot be read there. */
static const char *
default_tls(const struct settings *settings)
{
	return settings->credentials[0] != '\0' ? "always" : "never";
}

int
settings_init(struct settings *settings, const json_t *arguments, char words[WORDS_SIZE])
{
	int argc = 1 + (int)json_array_size(arguments), result;
	char **argv = memory_new(((size_t)argc + 1) * sizeof(argv[0]));
	json_t *copy = json_deep_copy(arguments);

	*settings = (struct settings){ .arguments = copy, .smtp = "smtp://localhost", .ca = "",
		.credentials = "", .timeout_ms = 600000, .retry_every_ms = 5000,
		.mail_retries = 5, .parallel = 4, .keep = 100 };
	argv[0] = (char *)"send_server";
	for (int i = 1; i < argc; i++) /* getopt changes their order only */
		argv[i] = (char *)words_of(json_array_get(copy, (size_t)i - 1));
	result = read_options(settings, argc, argv, words);
	if (result == 0 && settings->tls == NULL)
		settings->tls = default_tls(settings);
	free(argv);
	return result;
}

void
settings_done(struct settings *settings)
{
	json_decref(settings->arguments);
}
