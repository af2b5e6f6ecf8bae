/* map_progress: plain characters, no colour: the same with NO_COLOR. */

#include "cli/map_progress.h"
#include "base/text.h"
#include "cli/cli.h"

#include <bsd/string.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BAR_WIDTH 24
#define LEAST_MS 100 /* between two drawings */

/* ---- the words ---- */

static void
add(char *buffer, size_t size, const char *words)
{
	strlcat(buffer, words, size);
}

static void
add_bar(char *buffer, size_t size, const struct map_numbers *numbers)
{
	char bar[BAR_WIDTH + 4] = "[";
	int64_t full = numbers->total > 0 ? numbers->ended * BAR_WIDTH / numbers->total : 0;

	for (int i = 1; i <= BAR_WIDTH; i++)
		bar[i] = i <= full ? '#' : '.';
	strlcat(bar, "] ", sizeof(bar));
	add(buffer, size, bar);
}

static void
add_rate(char *buffer, size_t size, const struct map_numbers *numbers)
{
	double rate = numbers->running_ms > 0
	    ? (double)numbers->just_ended * 1000 / (double)numbers->running_ms
	    : 0;
	char words[96], left[32];

	if (numbers->just_ended == 0)
		return;
	snprintf(words, sizeof(words), ", %.*f/s", rate < 10 ? 1 : 0, rate);
	add(buffer, size, words);
	if (numbers->total <= numbers->ended)
		return;
	text_format_duration(left, sizeof(left),
	    (int64_t)((double)(numbers->total - numbers->ended) * 1000 / rate));
	snprintf(words, sizeof(words), ", %s left", left);
	add(buffer, size, words);
}

const char *
map_progress_words(char *buffer, size_t size, size_t width, const struct map_numbers *numbers)
{
	char words[64];

	buffer[0] = '\0';
	if (numbers->total > 0)
		add_bar(buffer, size, numbers);
	if (numbers->total >= 0)
		snprintf(words, sizeof(words), "%" PRId64 " of %" PRId64, numbers->ended,
		    numbers->total);
	else
		snprintf(words, sizeof(words), "%" PRId64 " ended", numbers->ended);
	add(buffer, size, words);
	if (numbers->failed > 0) {
		snprintf(words, sizeof(words), ", %" PRId64 " failed", numbers->failed);
		add(buffer, size, words);
	}
	add_rate(buffer, size, numbers);
	if (strlen(buffer) > width) /* ASCII */
		buffer[width] = '\0';
	return buffer;
}

/* ---- the terminal ---- */

void
map_progress_begin(struct map_progress *progress)
{
	*progress = (struct map_progress){ .is_wanted = cli_is_interactive() };
	progress->begin = clock_mono();
	progress->drawn.ms = progress->begin.ms - LEAST_MS;
}

void
map_progress_wipe(struct map_progress *progress)
{
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}

int
map_progress_wait_ms(const struct map_progress *progress)
{
	int64_t left_ms = progress->drawn.ms + LEAST_MS - clock_mono().ms;

	if (!progress->is_wanted || !progress->is_due)
		return -1;
	return left_ms > 0 ? (int)left_ms : 0;
}

void
map_progress_draw(struct map_progress *progress, const struct map_numbers *numbers)
{
	char line[256];
	size_t width = cli_line_width();

	if (map_progress_wait_ms(progress) != 0)
		return;
	map_progress_words(
	    line, sizeof(line), width < sizeof(line) ? width : sizeof(line) - 1, numbers);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	progress->is_shown = true;
	progress->is_due = false;
	progress->drawn = clock_mono();
}
