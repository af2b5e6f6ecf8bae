/*
 * What a user of libjobber has: pages that tell every function of the headers, an example that
 * compiles as it stands there, and a library that gives no other names.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "support/example.h"
#include "support/fake.h"
#include "support/helper.h"
#include "support/outside.h"
#include "support/page.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNNING "{'id':0,'result':{'ok':true,'trap_exit':false,'resumes':true}}"

static const char *const pages[] = { "gen_server", "gen_reply", "gen_call", "gen_send_after",
	"gen_async", "gen_multi_call" };
#define PAGES (sizeof(pages) / sizeof(pages[0]))

/* ---- pages ---- */

static bool
page_has(const struct page *page, const char *macro, const char *name)
{
	size_t length = strlen(macro);

	for (size_t i = 0; i < page->count; i++) {
		if (strncmp(page->lines[i], macro, length) == 0 &&
		    page_line_has(page->lines[i], name))
			return true;
	}
	return false;
}

/* In the NAME of one page, and in the same one's SYNOPSIS. */
static void
check_told(const struct page *all, const char *name)
{
	for (size_t i = 0; i < PAGES; i++) {
		if (page_has(&all[i], ".Nm ", name) &&
		    (page_has(&all[i], ".Fn ", name) || page_has(&all[i], ".Fo ", name)))
			return;
	}
	fail_msg("no page tells %s()", name);
}

static void
every_function_of_the_header_has_a_page(void **state)
{
	struct page all[PAGES], header;
	char path[100], name[64];
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < PAGES; i++) {
		snprintf(path, sizeof(path), "man/%s.3", pages[i]);
		page_read(&all[i], path);
	}
	page_read(&header, "include/jobber/gen_server.h");
	for (size_t i = 0; i < header.count; i++) {
		const char *at = strstr(header.lines[i], "gen_");

		/* a declaration begins in the first column */
		if (header.lines[i][0] < 'a' || header.lines[i][0] > 'z' || at == NULL)
			continue;
		for (; at != NULL; at = strstr(at + 1, "gen_")) {
			if (sscanf(at, "%63[a-z_]", name) == 1 && at[strlen(name)] == '(') {
				check_told(all, name);
				found++;
			}
		}
	}
	assert_between((int64_t)found, 36, 100);
	page_done(&header);
	for (size_t i = 0; i < PAGES; i++)
		page_done(&all[i]);
}

/* ---- the example ---- */

static void
example_of_the_page_compiles_and_serves(void **state)
{
	char source[64], program[64];
	const char *arguments[] = { program, "ignored", NULL };
	struct fake fake;

	(void)state;
	snprintf(source, sizeof(source), "%s/stack.c", getenv("TMPDIR"));
	snprintf(program, sizeof(program), "%s/stack", getenv("TMPDIR"));
	example_write("man/gen_server.3", source);
	example_compile(source, program,
	    (const char *const[]){ "-l:libjobber.a", "-ljansson", "-lm", NULL });
	fake_start_program(&fake, arguments);
	fake_init(&fake, "{\"name\":\"stack\",\"id\":1,\"args\":[\"hello\"]}");
	fake_hears(&fake, RUNNING);
	fake_cast(&fake, "['push','world']");
	fake_call(&fake, 1, "'pop'");
	fake_hears_reply(&fake, 1, "'world'");
	fake_call(&fake, 2, "'pop'");
	fake_hears_reply(&fake, 2, "'hello'");
	fake_call(&fake, 3, "'peek'");
	fake_hears_log(&fake, "unknown message: peek");
	fake_hears(&fake, "{'id':3,'error':{'code':1,'message':'unknown_message'}}");
	fake_call(&fake, 4, "'pop'");
	fake_hears_log(&fake, "0 left at the end: normal");
	fake_hears_reply(&fake, 4, "null");
	fake_hears(&fake, "{'method':'stop','params':{'reason':'normal'}}");
	assert_int_equal(fake_ended(&fake), 0);
	unlink(program);
	unlink(source);
}

/* ---- the server that is shipped for tests ---- */

static void
counter_counts(void **state)
{
	char path[PATH_MAX + 20], directory[PATH_MAX];
	const char *arguments[] = { path, NULL };
	struct fake fake;

	(void)state;
	build_directory(directory);
	snprintf(path, sizeof(path), "%s/servers/counter", directory);
	fake_start_program(&fake, arguments);
	fake_init(&fake, "{\"name\":\"counter\",\"id\":1,\"durable\":true,\"state\":40}");
	fake_hears(&fake, RUNNING);
	fake_say(&fake, "{'jsonrpc':'2.0','method':'cast',"
			"'params':{'seq':3,'message':['add',2]}}");
	fake_result(&fake, fake_hears_request(&fake, "commit", "{'seq':3,'state':42}"), "true");
	fake_call(&fake, 1, "'get'");
	fake_result(&fake,
	    fake_hears_request(&fake, "commit",
		"{'seq':null,'state':42,'reply':[{'id':1,'result':42}]}"),
	    "true");
	fake_say(&fake, "{'jsonrpc':'2.0','id':2,'method':'terminate',"
			"'params':{'reason':'shutdown'}}");
	fake_hears_log(&fake, "terminate: shutdown");
	fake_hears_reply(&fake, 2, "true");
	assert_int_equal(fake_ended(&fake), 0);
}

/* ---- the library ---- */

static void
library_gives_no_other_names(void **state)
{
	static const struct {
		const char *name;
		int least, most;
	} libraries[] = { { "libjobber.a", 36, 100 }, { "libjobber.so.0", 36, 100 },
		{ "libjobber-main.a", 1, 1 }, { "libjobber-main.so.0", 1, 1 } };
	char directory[PATH_MAX], library[PATH_MAX + 20];
	const char *arguments[] = { "nm", "-g", "-P", "--defined-only", library, NULL };
	struct helper nm;

	(void)state;
	build_directory(directory);
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		char *rest, *line;
		size_t found = 0;

		snprintf(library, sizeof(library), "%s/%s", directory, libraries[i].name);
		arguments[1] = strstr(library, ".so") == NULL ? "-g" : "-D";
		helper_start(&nm, NULL, arguments);
		assert_int_equal(helper_wait(&nm), 0);
		rest = nm.out.text;
		while ((line = strsep(&rest, "\n")) != NULL) {
			if (strncmp(line, "gen_", 4) == 0 || strncmp(line, "jobber_", 7) == 0)
				found++;
			else if (strchr(line, ' ') != NULL &&
			    strncmp(line, "JOBBER_", 7) != 0)
				fail_msg("%s: %s", libraries[i].name, line);
		}
		assert_between(
		    (int64_t)found, libraries[i].least, libraries[i].most);
		helper_end(&nm);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_of_the_header_has_a_page),
		cmocka_unit_test(example_of_the_page_compiles_and_serves),
		cmocka_unit_test(counter_counts),
		cmocka_unit_test(library_gives_no_other_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
