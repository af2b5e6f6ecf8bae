-- Supervisors as people want them: what becomes of a job for which there is no place, how many
-- may start in a time, and a pause.

ALTER TABLE supervisors ADD COLUMN overflow TEXT NOT NULL DEFAULT 'wait'
  CHECK (overflow = 'wait' OR overflow = 'reject');
ALTER TABLE supervisors ADD COLUMN rate INTEGER           -- starts within rate_ms; NULL: any
  CHECK (rate BETWEEN 1 AND 10000);
ALTER TABLE supervisors ADD COLUMN rate_ms INTEGER
  CHECK (rate_ms BETWEEN 1 AND 9007199254740991);
ALTER TABLE supervisors ADD COLUMN paused INTEGER NOT NULL DEFAULT 0
  CHECK (paused BETWEEN 0 AND 1);

-- How many live jobs a supervisor has is asked at each job for one that rejects.
DROP INDEX jobs_live;
CREATE INDEX jobs_live ON jobs (supervisor, id)
  WHERE (status = 'new' OR status = 'running' OR status = 'errored');

CREATE TRIGGER jobs_insert_place_guard BEFORE INSERT ON jobs
WHEN (SELECT is_writing FROM writer) = 0
  AND (SELECT overflow FROM supervisors WHERE name = NEW.supervisor) = 'reject'
BEGIN
  SELECT RAISE(ABORT, 'max_children: every place of the supervisor is taken')
    WHERE (SELECT count(*) FROM jobs WHERE supervisor = NEW.supervisor
      AND (status = 'new' OR status = 'running' OR status = 'errored'))
      >= (SELECT max_children FROM supervisors WHERE name = NEW.supervisor);
END;

DROP TRIGGER supervisors_delete_guard;
CREATE TRIGGER supervisors_delete_guard BEFORE DELETE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'this supervisor is built in')
    WHERE OLD.name = 'default' OR OLD.name = 'serial' OR OLD.name = 'servers';
  SELECT RAISE(ABORT, 'this is the supervisor of a pool') WHERE OLD.pool IS NOT NULL;
  SELECT RAISE(ABORT, 'this supervisor has live jobs')
    WHERE EXISTS (SELECT 1 FROM jobs WHERE supervisor = OLD.name
      AND (status = 'new' OR status = 'running' OR status = 'errored'));
END;
DROP TRIGGER supervisors_name_guard;
CREATE TRIGGER supervisors_name_guard BEFORE UPDATE OF name ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.name <> OLD.name
BEGIN SELECT RAISE(ABORT, 'a supervisor keeps its name'); END;
-- One that could not be named to the program, or would do things to a terminal. (The length
-- in bytes differs behind a NUL, which ends the name for GLOB.)
CREATE TRIGGER supervisors_new_name_guard BEFORE INSERT ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'a supervisor is called [A-Za-z_][A-Za-z0-9_.:-]*')
    WHERE NEW.name NOT GLOB '[A-Za-z_]*' OR NEW.name GLOB '*[^A-Za-z0-9_.:-]*'
      OR length(CAST(NEW.name AS BLOB)) <> length(NEW.name);
END;
CREATE TRIGGER supervisors_new_rate_guard BEFORE INSERT ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.rate IS NULL) <> (NEW.rate_ms IS NULL)
BEGIN SELECT RAISE(ABORT, 'rate and rate_ms belong together'); END;
CREATE TRIGGER supervisors_rate_guard BEFORE UPDATE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.rate IS NULL) <> (NEW.rate_ms IS NULL)
BEGIN SELECT RAISE(ABORT, 'rate and rate_ms belong together'); END;

DROP VIEW supervisor_list;
CREATE VIEW supervisor_list AS
SELECT s.name, s.max_children, s.overflow, s.rate, s.rate_ms, s.paused, s.pool,
  count(j.id) FILTER (WHERE j.status = 'running') AS running,
  count(j.id) FILTER (WHERE j.status = 'new') AS new,
  count(j.id) FILTER (WHERE j.status = 'errored') AS errored,
  count(j.id) FILTER (WHERE j.status IN ('new', 'errored') AND j.hold IS NULL
    AND j.wake_at IS NULL) AS ready,
  count(j.id) FILTER (WHERE j.hold IS NOT NULL) AS held
FROM supervisors s LEFT JOIN jobs j
  ON j.supervisor = s.name AND j.status IN ('new', 'running', 'errored')
GROUP BY s.name;

-- At most max_running jobs with the same key have a process at a time; the others wait.
CREATE TABLE keys (
  job_id      INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  key         TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 256),
  max_running INTEGER NOT NULL CHECK (max_running BETWEEN 1 AND 1000000)
) STRICT;

-- What people want to know of their jobs.
CREATE TABLE meta (
  job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name   TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  value  TEXT NOT NULL,
  PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX meta_by_value ON meta (name, value);

-- A key counts from the job's submission on: it is not changed, and no row lies in wait for a
-- job to come, whose submission it would break.
CREATE TRIGGER keys_insert_guard BEFORE INSERT ON keys
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'there is no such job')
    WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id);
  SELECT RAISE(ABORT, 'this job has a key already')
    WHERE EXISTS (SELECT 1 FROM keys WHERE job_id = NEW.job_id);
  SELECT RAISE(ABORT, 'no key has a NUL in it') WHERE instr(NEW.key, char(0));
END;
CREATE TRIGGER keys_update_guard BEFORE UPDATE ON keys
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'a job keeps its key'); END;
-- That of a job that is deleted goes after its row.
CREATE TRIGGER keys_delete_guard BEFORE DELETE ON keys
WHEN (SELECT is_writing FROM writer) = 0
  AND EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
BEGIN SELECT RAISE(ABORT, 'a job keeps its key'); END;
CREATE TRIGGER meta_insert_guard BEFORE INSERT ON meta
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'there is no such job')
    WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id);
  SELECT RAISE(ABORT, 'no word of a job has a NUL in it')
    WHERE instr(NEW.name || NEW.value, char(0));
END;
CREATE TRIGGER meta_update_guard BEFORE UPDATE OF job_id ON meta
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.job_id <> OLD.job_id
BEGIN SELECT RAISE(ABORT, 'the words of a job stay with it'); END;
CREATE TRIGGER meta_words_guard BEFORE UPDATE ON meta
WHEN (SELECT is_writing FROM writer) = 0 AND instr(NEW.name || NEW.value, char(0))
BEGIN SELECT RAISE(ABORT, 'no word of a job has a NUL in it'); END;
