-- The first schema: jobs, their attempts, and the history.
--
-- All times (…_at) are milliseconds since 1970-01-01 UTC; durations end in _ms. What the
-- columns mean and which of them may be written from outside: jobberd-db(5).

-- One row. The guards below, all triggers, are for others: jobberd's own connection has
-- triggers turned off. is_writing is 1 while a trigger puts right what a foreign writer
-- asked for, so that the guards let that pass. If somebody else sets it, which switches all
-- guards off, jobberd's next transaction sets it back. token names jobberd's last
-- transaction, so that one whose COMMIT failed can be looked for after a reopen.
CREATE TABLE writer (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  is_writing INTEGER NOT NULL DEFAULT 0,
  token      INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO writer (id) VALUES (1);

-- One row per life of a supervisor process.
CREATE TABLE generations (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  boot_id    TEXT NOT NULL,
  pid        INTEGER NOT NULL,
  version    TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  end_reason TEXT
) STRICT;

CREATE TABLE supervisors (
  name         TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 128),
  max_children INTEGER CHECK (max_children >= 0)   -- NULL: no limit
) STRICT, WITHOUT ROWID;
INSERT INTO supervisors VALUES ('serial', 1), ('servers', NULL);

-- Environments are stored once: hash is FNV-1a (64 bits) of vars, vars a JSON object.
CREATE TABLE environments (
  id   INTEGER PRIMARY KEY,
  hash INTEGER NOT NULL,
  vars TEXT NOT NULL CHECK (json_valid(vars) AND json_type(vars) = 'object')
) STRICT;
CREATE INDEX environments_by_hash ON environments (hash);

-- (No IN (…) in what is checked or indexed: SQLite would make a table in memory for each, at
-- every write of a row.)
-- Every number is at most 2^53 - 1, which JSON can carry exactly and no sum overflows.
CREATE TABLE jobs (
  id           INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 9007199254740991),
  kind         TEXT CHECK (kind = 'command' OR kind = 'server' -- NULL: command
                 OR kind = 'message'),
  status       TEXT NOT NULL DEFAULT 'new' CHECK (status = 'new' OR
                 status = 'running' OR status = 'errored' OR status = 'done' OR
                 status = 'failed' OR status = 'cancelled'),
  name         TEXT CHECK (name GLOB '[A-Za-z_]*' AND name NOT GLOB '*[^A-Za-z0-9_.:/-]*'
                 AND length(name) <= 128),
  type         TEXT CHECK (length(type) BETWEEN 1 AND 128),
  supervisor   TEXT NOT NULL DEFAULT 'default',
  priority     INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
  command      TEXT NOT NULL CHECK (json_valid(command) AND json_type(command) = 'array'
                 AND json_array_length(command) > 0),
  cwd          TEXT NOT NULL DEFAULT '/' CHECK (cwd GLOB '/*'),
  environment  INTEGER REFERENCES environments (id),        -- NULL: the supervisor's basics
  umask        INTEGER CHECK (umask BETWEEN 0 AND 511),     -- NULL: 18 (022)
  stdin        TEXT CHECK (stdin GLOB '/*'),                -- NULL: /dev/null
  max_retries  INTEGER DEFAULT 3                            -- NULL: without end
                 CHECK (max_retries BETWEEN 0 AND 9007199254740991),
  backoff      TEXT,                                        -- NULL: constant:5s
  jitter       INTEGER CHECK (jitter BETWEEN 0 AND 100),
  timeout_ms   INTEGER CHECK (timeout_ms BETWEEN 1 AND 9007199254740991),
  grace_ms     INTEGER                                      -- NULL: 10000
                 CHECK (grace_ms BETWEEN 0 AND 9007199254740991),
  max_output   INTEGER                                      -- NULL: 16 MiB
                 CHECK (max_output BETWEEN 65536 AND 9007199254740991),
  leave_children INTEGER CHECK (leave_children BETWEEN 0 AND 1),
  hold         TEXT CHECK (hold = 'user' OR hold = 'dependency'),
  wake_at      INTEGER CHECK (wake_at BETWEEN 0 AND 9007199254740991),
  wake_boot_ms INTEGER,                                     -- the same on the boot clock
  wake_boot_id TEXT,                                        -- of this boot
  failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
  retries      INTEGER GENERATED ALWAYS AS (max(failures - 1, 0)) VIRTUAL,
  progress     REAL CHECK (progress BETWEEN 0 AND 1),
  progress_text TEXT,
  result       TEXT CHECK (result IS NULL OR json_valid(result)),
  reason       TEXT,                                        -- of an end without an attempt
  detail       TEXT,
  created_at   INTEGER NOT NULL
                 DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
  ended_at     INTEGER,
  CHECK (ended_at IS NULL OR status = 'done' OR status = 'failed' OR status = 'cancelled'),
  CHECK ((wake_boot_ms IS NULL) = (wake_boot_id IS NULL)),
  CHECK (hold IS NULL OR status = 'new' OR status = 'errored' OR status = 'cancelled')
) STRICT;

-- The hot paths. Ended jobs are in none of these, so history costs nothing. A query uses one
-- if it has its WHERE word for word.
CREATE INDEX jobs_ready ON jobs (supervisor, priority, id)
  WHERE (status = 'new' OR status = 'errored') AND hold IS NULL AND wake_at IS NULL;
CREATE INDEX jobs_wake_boot ON jobs (wake_boot_ms)
  WHERE wake_boot_ms IS NOT NULL AND (status = 'new' OR status = 'errored');
CREATE INDEX jobs_wake_wall ON jobs (wake_at)
  WHERE wake_at IS NOT NULL AND wake_boot_ms IS NULL AND (status = 'new' OR status = 'errored');
CREATE UNIQUE INDEX jobs_live_name ON jobs (name)
  WHERE name IS NOT NULL AND (status = 'new' OR status = 'running' OR status = 'errored');
CREATE INDEX jobs_by_name ON jobs (name, id) WHERE name IS NOT NULL;
CREATE INDEX jobs_live ON jobs (id) WHERE (status = 'new' OR status = 'running' OR status = 'errored');

CREATE TABLE dependencies (
  job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  on_id  INTEGER NOT NULL,
  kind   TEXT NOT NULL CHECK (kind = 'done' OR kind = 'ended'),
  PRIMARY KEY (job_id, on_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_on ON dependencies (on_id);

-- Waiting jobs that others cancelled, or ended with too few retries, until jobberd has told
-- those that wait for them.
CREATE TABLE foreign_cancels (
  job_id INTEGER PRIMARY KEY
) STRICT;

-- Ended jobs that are being forgotten, and have so much history that it takes several
-- transactions: a part of it is gone already. A new supervisor process goes on with them.
CREATE TABLE deletions (
  job_id INTEGER PRIMARY KEY
) STRICT;

-- One row per run of a job as one process. Claimed (committed and handed to the keeper)
-- while started_at is NULL, open while ended_at is NULL.
CREATE TABLE attempts (
  job_id       INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  attempt      INTEGER NOT NULL CHECK (attempt >= 1),
  generation   INTEGER NOT NULL REFERENCES generations (id),
  claimed_at   INTEGER NOT NULL,
  started_at   INTEGER,
  ended_at     INTEGER,
  run_ms       INTEGER,           -- monotonic running time
  pid          INTEGER,
  pid_start    INTEGER,           -- start time in clock ticks since boot, while it runs
  stop_reason  TEXT,              -- set before the process is ended by us
  stop_at      INTEGER,
  reason       TEXT,
  exit_code    INTEGER CHECK (exit_code BETWEEN 0 AND 255),
  signal       INTEGER,
  core         INTEGER CHECK (core BETWEEN 0 AND 1),
  user_ms      INTEGER,
  system_ms    INTEGER,
  max_rss_kib  INTEGER,
  output_bytes INTEGER,           -- written
  output_left_out INTEGER,        -- of these, punched out of the middle
  last_lines   TEXT,
  children_killed INTEGER,        -- what it left running
  member       INTEGER,           -- of a message: the server of the pool that has it
  started_event INTEGER,          -- seq of the event that tells its start
  PRIMARY KEY (job_id, attempt),
  CHECK ((ended_at IS NULL) = (reason IS NULL)),
  CHECK (exit_code IS NULL OR signal IS NULL),
  CHECK (reason IS NULL OR reason NOT GLOB 'lost:*' OR (exit_code IS NULL AND signal IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attempts_open ON attempts (job_id) WHERE ended_at IS NULL;

-- What happened, append-only: started, completed, errored, retry failed, failed, …
-- That a job was submitted is its created_at.
CREATE TABLE events (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  job_id  INTEGER,
  attempt INTEGER,
  event   TEXT NOT NULL,
  detail  TEXT
) STRICT;
-- The start of a run is found by its attempt, which costs half of what an entry here does.
CREATE INDEX events_of_job ON events (job_id)
  WHERE job_id IS NOT NULL AND event <> 'started';

-- Which changes of status are legal.
CREATE TRIGGER jobs_status_legal BEFORE UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN (
  'new>running', 'new>errored', 'new>done', 'new>failed', 'new>cancelled',
  'running>done', 'running>errored', 'running>failed', 'running>new', 'running>cancelled',
  'errored>running', 'errored>done', 'errored>failed', 'errored>cancelled',
  'done>new', 'failed>new', 'cancelled>new')
  AND (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'this change of status is not legal'); END;

-- What others may write: new jobs … (NEW.id is -1 here when it is left out; one chosen
-- near 2^53 would be the last that AUTOINCREMENT gives. Most texts are NULL, and then not even
-- looked at.)
CREATE TRIGGER jobs_insert_guard BEFORE INSERT ON jobs
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'a job with this id exists already')
    WHERE EXISTS (SELECT 1 FROM jobs WHERE id = NEW.id);
  SELECT RAISE(ABORT, 'the id of a new job is given, not chosen') WHERE NEW.id <> -1;
  SELECT RAISE(ABORT, 'no text of a job has a NUL in it')
    WHERE instr(NEW.command || NEW.cwd, char(0))
       OR (NEW.name IS NOT NULL AND instr(NEW.name, char(0)))
       OR (NEW.type IS NOT NULL AND instr(NEW.type, char(0)))
       OR (NEW.stdin IS NOT NULL AND instr(NEW.stdin, char(0)))
       OR (NEW.backoff IS NOT NULL AND instr(NEW.backoff, char(0)));
  SELECT RAISE(ABORT, 'already_started: a live job has this name')
    WHERE EXISTS (SELECT 1 FROM jobs WHERE name = NEW.name AND name IS NOT NULL
                  AND status IN ('new', 'running', 'errored'));
  SELECT RAISE(ABORT, 'there is no supervisor of this name')
    WHERE NOT EXISTS (SELECT 1 FROM supervisors WHERE name = NEW.supervisor);
  SELECT RAISE(ABORT, 'there is no environment with this id')
    WHERE NEW.environment IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM environments WHERE id = NEW.environment);
  SELECT RAISE(ABORT, 'a job cannot have been submitted in the future, or before 1970')
    WHERE NEW.created_at NOT BETWEEN 0
      AND CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER);
  SELECT RAISE(ABORT, 'a new job has status new and nothing has happened to it yet')
    WHERE NEW.status <> 'new' OR NEW.failures <> 0 OR NEW.ended_at IS NOT NULL
       OR NEW.reason IS NOT NULL OR NEW.wake_boot_ms IS NOT NULL
       OR NEW.hold = 'dependency' OR NEW.result IS NOT NULL OR NEW.progress IS NOT NULL
       OR NEW.progress_text IS NOT NULL OR NEW.detail IS NOT NULL;
END;

-- … and of an existing one: status to cancelled; while it waits also priority, wake_at,
-- hold (user or NULL) and max_retries.
CREATE TRIGGER jobs_update_guard BEFORE UPDATE ON jobs
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'only status, priority, wake_at, hold and max_retries may be updated')
    WHERE NEW.id <> OLD.id OR NEW.kind IS NOT OLD.kind OR NEW.name IS NOT OLD.name
       OR NEW.type IS NOT OLD.type OR NEW.supervisor <> OLD.supervisor
       OR NEW.command <> OLD.command OR NEW.cwd <> OLD.cwd
       OR NEW.environment IS NOT OLD.environment OR NEW.umask IS NOT OLD.umask
       OR NEW.stdin IS NOT OLD.stdin OR NEW.backoff IS NOT OLD.backoff
       OR NEW.jitter IS NOT OLD.jitter OR NEW.timeout_ms IS NOT OLD.timeout_ms
       OR NEW.grace_ms IS NOT OLD.grace_ms OR NEW.max_output IS NOT OLD.max_output
       OR NEW.leave_children IS NOT OLD.leave_children
       OR NEW.failures <> OLD.failures OR NEW.progress IS NOT OLD.progress
       OR NEW.progress_text IS NOT OLD.progress_text OR NEW.result IS NOT OLD.result
       OR NEW.reason IS NOT OLD.reason OR NEW.detail IS NOT OLD.detail
       OR NEW.created_at <> OLD.created_at OR NEW.ended_at IS NOT OLD.ended_at
       OR NEW.wake_boot_ms IS NOT OLD.wake_boot_ms
       OR NEW.wake_boot_id IS NOT OLD.wake_boot_id;
  SELECT RAISE(ABORT, 'status may only be set to cancelled')
    WHERE NEW.status <> OLD.status AND NEW.status <> 'cancelled';
  SELECT RAISE(ABORT, 'this may only be updated while the job waits')
    WHERE OLD.status NOT IN ('new', 'errored')
      AND (NEW.priority <> OLD.priority OR NEW.wake_at IS NOT OLD.wake_at
           OR NEW.hold IS NOT OLD.hold OR NEW.max_retries IS NOT OLD.max_retries);
  SELECT RAISE(ABORT, 'hold may be set to user or NULL, and not while it waits for others')
    WHERE NEW.hold IS NOT OLD.hold AND (NEW.hold = 'dependency' OR OLD.hold = 'dependency');
END;

-- A delay that was moved from outside counts by the wall clock from then on.
CREATE TRIGGER jobs_wake_moved AFTER UPDATE OF wake_at ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.wake_boot_ms IS NOT NULL
  AND NEW.wake_at IS NOT OLD.wake_at
BEGIN
  UPDATE writer SET is_writing = 1;
  UPDATE jobs SET wake_boot_ms = NULL, wake_boot_id = NULL WHERE id = NEW.id;
  UPDATE writer SET is_writing = 0;
END;

-- A cancel from outside: a waiting job has ended with it; one that has a process stays
-- what it is, with the wish recorded, until jobberd has ended the process.
CREATE TRIGGER jobs_cancelled_waiting AFTER UPDATE OF status ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.status = 'cancelled'
  AND OLD.status <> 'cancelled'
  AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_id = NEW.id AND ended_at IS NULL)
BEGIN
  UPDATE writer SET is_writing = 1;
  UPDATE jobs SET reason = 'cancelled', hold = NULL, wake_at = NULL, wake_boot_ms = NULL,
    wake_boot_id = NULL,
    ended_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    WHERE id = NEW.id;
  INSERT INTO events (at, job_id, event)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), NEW.id, 'cancelled');
  INSERT INTO foreign_cancels VALUES (NEW.id);
  UPDATE writer SET is_writing = 0;
END;
CREATE TRIGGER jobs_cancelled_running AFTER UPDATE OF status ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.status = 'cancelled'
  AND OLD.status <> 'cancelled'
  AND EXISTS (SELECT 1 FROM attempts WHERE job_id = NEW.id AND ended_at IS NULL)
BEGIN
  UPDATE writer SET is_writing = 1;
  UPDATE jobs SET status = OLD.status WHERE id = NEW.id;
  UPDATE attempts SET stop_reason = 'cancelled',
    stop_at = coalesce(stop_at,
      CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
    WHERE job_id = NEW.id AND ended_at IS NULL;
  UPDATE writer SET is_writing = 0;
END;

-- Fewer retries from outside than a job that waits for its next one has had failures: it
-- has had its last run. One whose run is claimed has it still.
CREATE TRIGGER jobs_retries_used AFTER UPDATE OF max_retries ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.status = 'errored'
  AND NEW.failures > NEW.max_retries
  AND NOT EXISTS (SELECT 1 FROM attempts WHERE job_id = NEW.id AND ended_at IS NULL)
BEGIN
  UPDATE writer SET is_writing = 1;
  UPDATE jobs SET status = 'failed', hold = NULL, wake_at = NULL, wake_boot_ms = NULL,
    wake_boot_id = NULL,
    ended_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    WHERE id = NEW.id;
  INSERT INTO events (at, job_id, attempt, event)
    VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), NEW.id,
      (SELECT max(attempt) FROM attempts WHERE job_id = NEW.id), 'failed');
  INSERT INTO foreign_cancels VALUES (NEW.id);
  UPDATE writer SET is_writing = 0;
END;

-- Everything else is jobberd's own.
CREATE TRIGGER jobs_delete_guard BEFORE DELETE ON jobs
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'this job is live: cancel it first')
    WHERE OLD.status IN ('new', 'running', 'errored');
  SELECT RAISE(ABORT, 'a live job waits for this one')
    WHERE EXISTS (SELECT 1 FROM dependencies d JOIN jobs w ON w.id = d.job_id
      WHERE d.on_id = OLD.id AND w.status IN ('new', 'running', 'errored'));
END;
CREATE TRIGGER attempts_insert_guard BEFORE INSERT ON attempts
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'attempts are written by jobberd'); END;
CREATE TRIGGER attempts_update_guard BEFORE UPDATE ON attempts
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'attempts are written by jobberd'); END;
CREATE TRIGGER attempts_delete_guard BEFORE DELETE ON attempts
WHEN (SELECT is_writing FROM writer) = 0 AND OLD.ended_at IS NULL
BEGIN SELECT RAISE(ABORT, 'this attempt has not ended'); END;
-- Those of a job that is deleted go after its row.
CREATE TRIGGER attempts_history_guard BEFORE DELETE ON attempts
WHEN (SELECT is_writing FROM writer) = 0 AND OLD.ended_at IS NOT NULL
  AND EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
BEGIN SELECT RAISE(ABORT, 'attempts are history: they go with their job'); END;
CREATE TRIGGER events_insert_guard BEFORE INSERT ON events
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'events are written by jobberd'); END;
CREATE TRIGGER events_update_guard BEFORE UPDATE ON events
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'events are history'); END;
CREATE TRIGGER events_delete_guard BEFORE DELETE ON events
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'events are history'); END;
CREATE TRIGGER dependencies_insert_guard BEFORE INSERT ON dependencies
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'dependencies are given with submit --after'); END;
CREATE TRIGGER dependencies_update_guard BEFORE UPDATE ON dependencies
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'dependencies are given with submit --after'); END;
CREATE TRIGGER dependencies_delete_guard BEFORE DELETE ON dependencies
WHEN (SELECT is_writing FROM writer) = 0 AND EXISTS (SELECT 1 FROM jobs
  WHERE id = OLD.job_id AND status IN ('new', 'running', 'errored'))
BEGIN SELECT RAISE(ABORT, 'the job of this dependency is live'); END;
CREATE TRIGGER foreign_cancels_insert_guard BEFORE INSERT ON foreign_cancels
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'foreign_cancels is written by jobberd'); END;
CREATE TRIGGER foreign_cancels_delete_guard BEFORE DELETE ON foreign_cancels
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'foreign_cancels is written by jobberd'); END;
CREATE TRIGGER deletions_insert_guard BEFORE INSERT ON deletions
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'deletions is written by jobberd'); END;
CREATE TRIGGER deletions_update_guard BEFORE UPDATE ON deletions
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'deletions is written by jobberd'); END;
CREATE TRIGGER deletions_delete_guard BEFORE DELETE ON deletions
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'deletions is written by jobberd'); END;
CREATE TRIGGER generations_insert_guard BEFORE INSERT ON generations
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'generations are written by jobberd'); END;
CREATE TRIGGER generations_update_guard BEFORE UPDATE ON generations
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'generations are written by jobberd'); END;
CREATE TRIGGER generations_delete_guard BEFORE DELETE ON generations
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'generations are written by jobberd'); END;
CREATE TRIGGER writer_delete_guard BEFORE DELETE ON writer
BEGIN SELECT RAISE(ABORT, 'this row guards all others'); END;
CREATE TRIGGER environments_insert_guard BEFORE INSERT ON environments
WHEN (SELECT is_writing FROM writer) = 0 AND instr(NEW.vars, char(0))
BEGIN SELECT RAISE(ABORT, 'no environment has a NUL in it'); END;
CREATE TRIGGER environments_update_guard BEFORE UPDATE ON environments
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'environments are shared by jobs: insert another'); END;
CREATE TRIGGER environments_delete_guard BEFORE DELETE ON environments
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'environments are shared by jobs'); END;
CREATE TRIGGER supervisors_delete_guard BEFORE DELETE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'this supervisor is built in'); END;
CREATE TRIGGER supervisors_name_guard BEFORE UPDATE OF name ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.name <> OLD.name
BEGIN SELECT RAISE(ABORT, 'this supervisor is built in'); END;

-- For people. Times as text in UTC; the command as one line.
CREATE VIEW job_list AS
SELECT j.id, j.name, j.status, j.type, j.supervisor, j.priority,
  (SELECT count(*) FROM attempts a WHERE a.job_id = j.id) AS tries,
  j.max_retries + 1 AS max_tries, j.failures, j.retries, j.max_retries,
  (SELECT group_concat(value, ' ') FROM json_each(j.command)) AS command, j.cwd,
  coalesce(j.reason, (SELECT a.reason FROM attempts a
    WHERE a.job_id = j.id ORDER BY a.attempt DESC LIMIT 1)) AS reason,
  j.detail, j.progress, j.progress_text, j.result,
  strftime('%Y-%m-%dT%H:%M:%fZ', j.created_at / 1000.0, 'unixepoch') AS created_at_text,
  strftime('%Y-%m-%dT%H:%M:%fZ', j.wake_at / 1000.0, 'unixepoch') AS wake_at_text,
  strftime('%Y-%m-%dT%H:%M:%fZ', j.ended_at / 1000.0, 'unixepoch') AS ended_at_text
FROM jobs j;

CREATE VIEW attempt_list AS
SELECT job_id, attempt, generation, reason, exit_code, signal, core, pid, run_ms, user_ms,
  system_ms, max_rss_kib, output_bytes, output_left_out, children_killed,
  strftime('%Y-%m-%dT%H:%M:%fZ', claimed_at / 1000.0, 'unixepoch') AS claimed_at_text,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at_text,
  strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at_text
FROM attempts;

CREATE VIEW event_list AS
SELECT seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at_text,
  job_id, attempt, event, detail
FROM events;

-- The same by the way of the indexes: for the events of one job.
CREATE VIEW job_events AS
SELECT seq, at, job_id, attempt, event, detail
FROM events WHERE job_id IS NOT NULL AND event <> 'started'
UNION ALL
SELECT e.seq, e.at, a.job_id, a.attempt, e.event, e.detail
FROM attempts a JOIN events e ON e.seq = a.started_event;

-- What each waiting job waits for: cause is claimed (it is being started), held,
-- dependency, time or place; line is its place among the ready ones of its supervisor.
CREATE VIEW waiting AS
SELECT j.id AS job_id, j.status, j.supervisor,
  CASE WHEN o.job_id IS NOT NULL THEN 'claimed'
       WHEN j.hold = 'user' THEN 'held'
       WHEN j.hold = 'dependency' THEN 'dependency'
       WHEN j.wake_at IS NOT NULL THEN 'time'
       ELSE 'place' END AS cause,
  j.wake_at,
  CASE WHEN j.hold = 'dependency' THEN
    (SELECT group_concat(d.on_id) FROM dependencies d JOIN jobs b ON b.id = d.on_id
      WHERE d.job_id = j.id AND b.status IN ('new', 'running', 'errored')) END AS waits_for,
  CASE WHEN o.job_id IS NULL AND j.hold IS NULL AND j.wake_at IS NULL THEN
    row_number() OVER (PARTITION BY j.supervisor,
      o.job_id IS NULL AND j.hold IS NULL AND j.wake_at IS NULL
      ORDER BY j.priority, j.id) END AS line
FROM jobs j LEFT JOIN attempts o ON o.job_id = j.id AND o.ended_at IS NULL
WHERE j.status IN ('new', 'running', 'errored') AND j.status <> 'running';

-- Every supervisor with its counts, zeros included.
CREATE VIEW supervisor_list AS
SELECT s.name, s.max_children,
  count(j.id) FILTER (WHERE j.status = 'running') AS running,
  count(j.id) FILTER (WHERE j.status = 'new') AS new,
  count(j.id) FILTER (WHERE j.status = 'errored') AS errored,
  count(j.id) FILTER (WHERE j.status IN ('new', 'errored') AND j.hold IS NULL
    AND j.wake_at IS NULL) AS ready,
  count(j.id) FILTER (WHERE j.hold IS NOT NULL) AS held
FROM supervisors s LEFT JOIN jobs j
  ON j.supervisor = s.name AND j.status IN ('new', 'running', 'errored')
GROUP BY s.name;
