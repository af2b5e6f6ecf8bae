-- Servers: jobs that stay, have a mailbox, and are started again. A row of jobs has
-- kind = 'server', and what only a server has stands here.

CREATE TABLE servers (
  job_id           INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  restart          TEXT NOT NULL DEFAULT 'transient' CHECK (restart = 'temporary' OR
                     restart = 'transient' OR restart = 'permanent'),
  durable          INTEGER NOT NULL DEFAULT 0 CHECK (durable BETWEEN 0 AND 1),
  init_timeout_ms  INTEGER CHECK (init_timeout_ms BETWEEN 1 AND 9007199254740991),
  max_redeliveries INTEGER DEFAULT 3                       -- NULL: without end
                     CHECK (max_redeliveries BETWEEN 0 AND 9007199254740991),
  first_attempt    INTEGER NOT NULL DEFAULT 1,             -- of this life; the later ones
                                                           -- are its restarts
  trap_exit        INTEGER NOT NULL DEFAULT 0,             -- what its init has said
  resumes          INTEGER NOT NULL DEFAULT 0,             -- likewise
  mailbox          INTEGER NOT NULL DEFAULT 0,             -- not durable: as last told
  last_message_at  INTEGER,                                -- likewise
  state            TEXT,                                   -- durable: as last committed
  last_commit      TEXT,                                   -- durable: attempt and request id
  pool             INTEGER,                                -- the first server of its pool
  pool_size        INTEGER CHECK (pool_size >= 1),         -- of the first: how many they are
  max_messages     INTEGER CHECK (max_messages >= 1)       -- in a pool: to one process
) STRICT;
CREATE INDEX servers_of_pool ON servers (pool) WHERE pool IS NOT NULL;

-- A pool is several servers with one mailbox: its messages are jobs (kind = 'message', their
-- command is the pool's name and the message), which the supervisor of the pool's name runs,
-- one at each of its servers. This one belongs to the pool whose first server this is.
ALTER TABLE supervisors ADD COLUMN pool INTEGER;

-- Messages that are kept: those of durable servers until they are committed, and all
-- timers until they fire (wake_at). Those that were given too often are set aside (dead_at).
CREATE TABLE messages (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id        INTEGER REFERENCES jobs (id) ON DELETE CASCADE, -- in whose mailbox
  to_name       TEXT,               -- of a timer instead: who has the name when it fires
  kind          TEXT NOT NULL CHECK (kind = 'cast' OR kind = 'info'),
  message       TEXT NOT NULL,      -- JSON
  created_at    INTEGER NOT NULL,
  owner         INTEGER,            -- of a timer: who set it
  owner_attempt INTEGER,            -- … and goes with this attempt, unless it is durable
  ref           INTEGER,            -- … what a durable one calls it
  wake_at       INTEGER,
  wake_boot_ms  INTEGER,            -- the same on the boot clock
  wake_boot_id  TEXT,               -- of this boot
  deliveries    INTEGER NOT NULL DEFAULT 0, -- that ended with a crash
  dead_at       INTEGER,
  dead_reason   TEXT,
  CHECK ((wake_at IS NULL) = (wake_boot_ms IS NULL)),
  CHECK ((job_id IS NULL) <= (to_name IS NOT NULL))
) STRICT;
CREATE INDEX messages_of_job ON messages (job_id, seq);
CREATE INDEX messages_timers ON messages (wake_boot_ms) WHERE wake_boot_ms IS NOT NULL;
CREATE INDEX messages_of_owner ON messages (owner, ref) WHERE owner IS NOT NULL;

-- Who is to be told of whose end, and then is not any more. A task is a job of a server's
-- own, which also gets its result.
CREATE TABLE monitors (
  ref           INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id        INTEGER NOT NULL,   -- whose end
  owner         INTEGER NOT NULL,   -- which server is told
  owner_attempt INTEGER,            -- … while it is this one; NULL: a durable one
  is_task       INTEGER NOT NULL DEFAULT 0 CHECK (is_task BETWEEN 0 AND 1)
) STRICT;
CREATE INDEX monitors_of_job ON monitors (job_id);
CREATE INDEX monitors_of_owner ON monitors (owner);

CREATE TRIGGER servers_insert_guard BEFORE INSERT ON servers
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'servers are started with jobberd start'); END;
CREATE TRIGGER servers_update_guard BEFORE UPDATE ON servers
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'servers are written by jobberd'); END;
CREATE TRIGGER servers_delete_guard BEFORE DELETE ON servers
WHEN (SELECT is_writing FROM writer) = 0
  AND EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
BEGIN SELECT RAISE(ABORT, 'this server has its job still'); END;
CREATE TRIGGER jobs_insert_server_guard BEFORE INSERT ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.kind = 'server'
BEGIN SELECT RAISE(ABORT, 'servers are started with jobberd start'); END;
CREATE TRIGGER jobs_insert_message_guard BEFORE INSERT ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.kind = 'message'
  OR EXISTS (SELECT 1 FROM supervisors WHERE name = NEW.supervisor AND pool IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'messages to a pool are sent with jobberd cast'); END;
CREATE TRIGGER supervisors_insert_pool_guard BEFORE INSERT ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.pool IS NOT NULL
  OR EXISTS (SELECT 1 FROM supervisors WHERE name = NEW.name AND pool IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'pools are started with jobberd start'); END;
CREATE TRIGGER supervisors_update_pool_guard BEFORE UPDATE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
  AND (NEW.pool IS NOT OLD.pool OR OLD.pool IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'a pool is what its server was started with'); END;
CREATE TRIGGER messages_insert_guard BEFORE INSERT ON messages
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'messages are sent with jobberd cast'); END;
CREATE TRIGGER messages_update_guard BEFORE UPDATE ON messages
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'messages are written by jobberd'); END;
CREATE TRIGGER messages_delete_guard BEFORE DELETE ON messages
WHEN (SELECT is_writing FROM writer) = 0
  AND EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
BEGIN SELECT RAISE(ABORT, 'messages are dropped with jobberd messages drop'); END;

CREATE TRIGGER monitors_insert_guard BEFORE INSERT ON monitors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'monitors are written by jobberd'); END;
CREATE TRIGGER monitors_update_guard BEFORE UPDATE ON monitors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'monitors are written by jobberd'); END;
CREATE TRIGGER monitors_delete_guard BEFORE DELETE ON monitors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'monitors are written by jobberd'); END;

-- For people: servers with what is known of their lives.
CREATE VIEW server_list AS
SELECT j.id, j.name, j.status, s.restart, s.durable,
  (SELECT count(*) FROM attempts a WHERE a.job_id = j.id AND a.attempt > s.first_attempt)
    AS restarts,
  CASE WHEN s.durable THEN (SELECT count(*) FROM messages m WHERE m.job_id = j.id
    AND m.wake_boot_ms IS NULL AND m.dead_at IS NULL) ELSE s.mailbox END AS mailbox,
  (SELECT count(*) FROM messages m WHERE m.job_id = j.id AND m.dead_at IS NOT NULL) AS dead,
  coalesce(j.reason, (SELECT a.reason FROM attempts a
    WHERE a.job_id = j.id ORDER BY a.attempt DESC LIMIT 1)) AS reason,
  (SELECT group_concat(value, ' ') FROM json_each(j.command)) AS command,
  strftime('%Y-%m-%dT%H:%M:%fZ', s.last_message_at / 1000.0, 'unixepoch')
    AS last_message_at_text,
  s.state, s.pool
FROM servers s JOIN jobs j ON j.id = s.job_id;
