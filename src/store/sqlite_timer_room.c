/*
 * sqlite_timer_room: how many more timers a server may set. Those that it has set count, whoever
 * they are for, so that nobody can use up what is another one's; what a monitor tells counts until
 * it is delivered, and is never refused; those of an earlier attempt, which are about to go
 * (forget.c), do not count. Counting them at every timer would cost more, the more there are: of
 * some servers it is known how many they may set at least, and they are counted again when that is
 * used up, which finds what has fired or was cancelled.
 */

#include "store/sqlite_engine.h"

#include <string.h>

static const char *const sql[] = {
	"SELECT count(*) FROM (SELECT 1 FROM messages WHERE owner = ?1 "
	"AND owner_attempt IS ?3 LIMIT ?2)",
};

int
sqlite_timer_room_prepare(struct sqlite_engine *engine, struct error *error)
{
	return statements_prepare(
	    &engine->timer_room, &engine->db, sql, sizeof(sql) / sizeof(sql[0]), error);
}

static int
count_room(struct sqlite_engine *engine, const struct attempt_key *owner, int64_t most,
    int64_t *ret_room)
{
	sqlite3_stmt *row = engine->timer_room.prepared[0];
	int code;

	bind_number(row, 1, owner->job);
	bind_number(row, 2, most);
	bind_unless(row, 3, owner->attempt, 0);
	code = sqlite3_step(row);
	*ret_room = code == SQLITE_ROW ? most - sqlite3_column_int64(row, 0) : 0;
	return statement_end(row, code);
}

int
sqlite_take_timer_room(struct sqlite_engine *engine, struct step *step,
    const struct attempt_key *owner, int64_t most, int64_t count)
{
	struct timer_room *known = &engine->timer_rooms[owner->job % TIMER_ROOMS];
	bool is_new = known->owner == owner->job && known->token == engine->token;
	int code = SQLITE_OK;

	if (most == 0 || count == 0)
		return code;
	/* One that asks without end is counted once in a turn. */
	if (known->owner != owner->job || (known->room < count && !is_new)) {
		*known = (struct timer_room){ .owner = owner->job, .token = engine->token };
		code = count_room(engine, owner, most, &known->room);
	}
	if (known->room < count)
		sqlite_refuse_overloaded(step);
	else
		known->room -= count;
	return code;
}

void
sqlite_forget_timer_rooms(struct sqlite_engine *engine)
{
	memset(engine->timer_rooms, 0, sizeof(engine->timer_rooms));
}
