/*
 * claim: what a claim costs in the store, with many waiting rows against 10,000. Every
 * claim is withdrawn again, which is not timed, so that the number of rows stays.
 */

#include "base/xalloc.h"
#include "bench/kit/database.h"
#include "bench/kit/instance.h"
#include "bench/kit/measure.h"
#include "store/sqlite_engine.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FEW_ROWS 10000
#define MANY_ROWS 1000000
#define FULL_ROWS 10000000 /* over 1 GB */
#define ROWS_AT_ONCE 100000
#define BLOCKS 10 /* in turns on either database, a round */
#define CLAIMS_A_BLOCK 640
#define MOST_PLACES 64

struct side {
	struct instance instance;
	struct store *store;
};

/* ---- databases with waiting rows ---- */

static void
fill(const char *state, int64_t count)
{
	sqlite3 *database = database_connect(state, true);
	sqlite3_stmt *insert = database_prepare(database,
	    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < ?1) INSERT INTO jobs (command) SELECT '[\"/bin/true\"]' FROM n");

	database_run(database, "PRAGMA synchronous = OFF; PRAGMA cache_size = -65536");
	for (int64_t done = 0; done < count; done += ROWS_AT_ONCE) {
		int64_t left = count - done;

		sqlite3_bind_int64(insert, 1, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE);
		database_run(database, "BEGIN IMMEDIATE");
		database_step(database, insert);
		database_run(database, "COMMIT");
	}
	sqlite3_finalize(insert);
	database_run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
	database_close(database);
}

static void
turned(void *arg, enum store_answer answer)
{
	(void)arg;
	if (answer != STORE_OK)
		errx(1, "the store answered: %s", store_answer_words(answer));
}

static void
run(struct side *side, struct batch *batch)
{
	store_turn(side->store, batch, turned, NULL);
}

static void
side_open(struct side *side, int64_t count)
{
	struct error error;
	struct batch batch;
	struct step *step;

	instance_make(&side->instance);
	database_make(side->instance.state);
	fill(side->instance.state, count);
	side->store = sqlite_store_open(side->instance.state, 0, false, &error);
	if (side->store == NULL)
		errx(1, "%s", error.text);
	batch_init(&batch);
	step = batch_add(&batch, STEP_GENERATION, NULL, NULL);
	step->generation.pid = 1;
	step->generation.version = "bench";
	run(side, &batch);
	batch_done(&batch);
}

static void
side_close(struct side *side)
{
	store_close(side->store);
	instance_done(&side->instance);
}

/* ---- claims ---- */

static void
withdraw(struct side *side, const struct step *claim)
{
	struct batch batch;

	batch_init(&batch);
	for (size_t i = 0; i < claim->claim.ret_count; i++) {
		struct step *step = batch_add(&batch, STEP_WITHDRAW, NULL, NULL);

		step->withdraw.key = claim->claim.ret_jobs[i].key;
	}
	run(side, &batch);
	batch_done(&batch);
}

/* Nanoseconds of one turn that claims this many. */
static int64_t
claim(struct side *side, int64_t places)
{
	struct batch batch;
	struct step *step;
	int64_t begin, took;

	batch_init(&batch);
	step = batch_add(&batch, STEP_CLAIM, NULL, NULL);
	memcpy(step->claim.supervisor, "default", sizeof("default"));
	step->claim.places = places;
	begin = now_ns();
	run(side, &batch);
	took = now_ns() - begin;
	if (step->claim.ret_count != (size_t)places)
		errx(1, "%zu of %" PRId64 " were claimed", step->claim.ret_count, places);
	withdraw(side, step);
	batch_done(&batch);
	return took;
}

static int64_t
claim_block(struct side *side, int64_t places)
{
	int64_t took = 0;

	for (int64_t done = 0; done < CLAIMS_A_BLOCK; done += places)
		took += claim(side, places);
	return took;
}

static void
run_round(struct side *few, struct side *many, int64_t places, struct row *row)
{
	int64_t took_few = 0, took_many = 0;
	double claims = BLOCKS * CLAIMS_A_BLOCK;

	for (int block = 0; block < BLOCKS; block++) {
		took_few += claim_block(few, places);
		took_many += claim_block(many, places);
	}
	progress("claim, %" PRId64 " a turn: %.2f and %.2f us each", places,
	    (double)took_few / claims / 1000, (double)took_many / claims / 1000);
	row_add(row, (double)took_few / claims / 1000, NOT_MEASURED,
	    (double)took_many / claims / 1000);
}

int
main(void)
{
	int64_t count = setting("ROWS", setting("FULL", 0) != 0 ? FULL_ROWS : MANY_ROWS);
	struct side few, many;
	char *one = xasprintf(
	    "claim, one a turn: %" PRId64 " waiting rows against %d", count, FEW_ROWS);
	char *most = xasprintf("claim, %d a turn: %" PRId64 " waiting rows against %d",
	    MOST_PLACES, count, FEW_ROWS);
	struct row row_one = row_make(one, "%.2f us", AT_MOST, 1.2);
	struct row row_most = row_make(most, "%.2f us", AT_MOST, 1.2);

	xalloc_keep_some(); /* as the supervisor process does */
	progress(
	    "claim: filling databases with %d and %" PRId64 " rows", FEW_ROWS, count);
	side_open(&few, FEW_ROWS);
	side_open(&many, count);
	for (size_t round = 0; round < rounds(); round++) {
		run_round(&few, &many, 1, &row_one);
		run_round(&few, &many, MOST_PLACES, &row_most);
	}
	row_print(&row_one);
	row_print(&row_most);
	side_close(&few);
	side_close(&many);
	free(one);
	free(most);
	return 0;
}
