/* mime: a message as MIME, by libcurl. */

#include "servers/send_server/mime.h"
#include "servers/send_server/header.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every line's end as mail has it. To be freed. */
static char *
with_crlf(const char *text)
{
	char *copy = memory_new(2 * strlen(text) + 1), *end = copy;

	for (; *text != '\0'; text++) {
		if (*text == '\n' && (end == copy || end[-1] != '\r'))
			*end++ = '\r';
		*end++ = *text;
	}
	return copy;
}

static void
add_body(curl_mime *mime, const char *text, const char *type)
{
	curl_mimepart *part = curl_mime_addpart(mime);
	char *lines = with_crlf(text);

	curl_mime_data(part, lines, CURL_ZERO_TERMINATED);
	curl_mime_type(part, type);
	curl_mime_encoder(part, "quoted-printable");
	free(lines);
}

/* The same in two ways, of which a reader shows the last that it can. */
static void
add_alternatives(CURL *curl, curl_mime *mime, const char *text, const char *html)
{
	curl_mime *both = curl_mime_init(curl);
	curl_mimepart *part = curl_mime_addpart(mime);

	add_body(both, text, "text/plain; charset=UTF-8");
	add_body(both, html, "text/html; charset=UTF-8");
	curl_mime_subparts(part, both);
	curl_mime_type(part, "multipart/alternative");
}

/* A fifo would be waited for, a directory is none of a mail's. */
static int
check_file(const char *path, char words[WORDS_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat file;
	int result = -1;

	if (fd == -1)
		words_set(words, "attachment %s: %s", path, strerror(errno));
	else if (fstat(fd, &file) == -1 || !S_ISREG(file.st_mode))
		words_set(words, "attachment %s: it is not a file", path);
	else
		result = 0;
	if (fd != -1)
		close(fd);
	return result;
}

static int
add_attachment(curl_mime *mime, const char *path, char words[WORDS_SIZE])
{
	curl_mimepart *part;
	char *name;

	if (check_file(path, words) == -1)
		return -1;
	part = curl_mime_addpart(mime);
	name = header_encode(strrchr(path, '/') + 1, " ");
	curl_mime_filedata(part, path);
	curl_mime_filename(part, name);
	curl_mime_encoder(part, "base64");
	free(name);
	return 0;
}

curl_mime *
mime_new(CURL *curl, const json_t *message, char words[WORDS_SIZE])
{
	const json_t *html = json_object_get(message, "html"), *path;
	const char *text = words_of(json_object_get(message, "text"));
	curl_mime *mime = curl_mime_init(curl);
	size_t i;

	if (html != NULL)
		add_alternatives(curl, mime, text, words_of(html));
	else
		add_body(mime, text, "text/plain; charset=UTF-8");
	json_array_foreach(json_object_get(message, "attachments"), i, path) {
		if (add_attachment(mime, words_of(path), words) == -1) {
			curl_mime_free(mime);
			return NULL;
		}
	}
	return mime;
}
