-- Supervision: supervisors beneath others, their strategies and budgets, children in order.

ALTER TABLE supervisors ADD COLUMN parent TEXT;            -- NULL: the root
-- Among the parent's children; NULL: it is not one of them (any more).
ALTER TABLE supervisors ADD COLUMN position INTEGER CHECK (position >= 1);
ALTER TABLE supervisors ADD COLUMN strategy TEXT NOT NULL DEFAULT 'one_for_one'
  CHECK (strategy = 'one_for_one' OR strategy = 'one_for_all' OR strategy = 'rest_for_one');
ALTER TABLE supervisors ADD COLUMN max_restarts INTEGER NOT NULL DEFAULT 3
  CHECK (max_restarts BETWEEN 0 AND 1000000);
ALTER TABLE supervisors ADD COLUMN max_seconds INTEGER NOT NULL DEFAULT 5
  CHECK (max_seconds BETWEEN 1 AND 1000000);
ALTER TABLE supervisors ADD COLUMN budget TEXT NOT NULL DEFAULT 'shared'
  CHECK (budget = 'shared' OR budget = 'each');
ALTER TABLE supervisors ADD COLUMN auto_shutdown TEXT NOT NULL DEFAULT 'never'
  CHECK (auto_shutdown = 'never' OR auto_shutdown = 'any_significant'
    OR auto_shutdown = 'all_significant');
-- What its own parent does when it has ended:
ALTER TABLE supervisors ADD COLUMN restart TEXT NOT NULL DEFAULT 'permanent'
  CHECK (restart = 'temporary' OR restart = 'transient' OR restart = 'permanent');
ALTER TABLE supervisors ADD COLUMN significant INTEGER NOT NULL DEFAULT 0
  CHECK (significant BETWEEN 0 AND 1);
-- What it is at:
ALTER TABLE supervisors ADD COLUMN state TEXT NOT NULL DEFAULT 'running'
  CHECK (state = 'waiting' OR state = 'starting' OR state = 'running' OR state = 'regrouping'
    OR state = 'restarting' OR state = 'ending' OR state = 'ended');
ALTER TABLE supervisors ADD COLUMN group_from INTEGER;     -- regrouping: from this position on
ALTER TABLE supervisors ADD COLUMN has_run INTEGER NOT NULL DEFAULT 1
  CHECK (has_run BETWEEN 0 AND 1);                         -- since somebody started it
ALTER TABLE supervisors ADD COLUMN reason TEXT;            -- why it is ending, or has ended
ALTER TABLE supervisors ADD COLUMN ended_at INTEGER;
ALTER TABLE supervisors ADD COLUMN applied TEXT;           -- the file that describes it

CREATE INDEX supervisors_children ON supervisors (parent, position) WHERE parent IS NOT NULL;

-- One bad child of those that are always there harms no other.
UPDATE supervisors SET budget = 'each'
  WHERE name = 'default' OR name = 'serial' OR name = 'servers';

ALTER TABLE servers ADD COLUMN position INTEGER CHECK (position >= 1); -- NULL: dynamic
ALTER TABLE servers ADD COLUMN significant INTEGER NOT NULL DEFAULT 0
  CHECK (significant BETWEEN 0 AND 1);
ALTER TABLE servers ADD COLUMN autostart INTEGER NOT NULL DEFAULT 1
  CHECK (autostart BETWEEN 0 AND 1);                       -- 0: only when it is asked for
ALTER TABLE servers ADD COLUMN restart_delay TEXT;         -- words of backoff; NULL: none
ALTER TABLE servers ADD COLUMN in_a_row INTEGER NOT NULL DEFAULT 0; -- restarts, with one
ALTER TABLE servers ADD COLUMN stop_asked INTEGER NOT NULL DEFAULT 0
  CHECK (stop_asked BETWEEN 0 AND 1);                      -- by others than its supervisor
ALTER TABLE servers ADD COLUMN description TEXT;           -- as a file had it, with apply
CREATE INDEX servers_static ON servers (position) WHERE position IS NOT NULL;

-- Restarts, as far as they may still count, on both clocks.
CREATE TABLE restarts (
  id         INTEGER PRIMARY KEY,
  supervisor TEXT NOT NULL,      -- '' the root
  job_id     INTEGER,            -- the child that ended, or …
  child      TEXT,               -- … a supervisor
  at         INTEGER NOT NULL,
  boot_ms    INTEGER NOT NULL,
  boot_id    TEXT NOT NULL,
  CHECK ((job_id IS NULL) <> (child IS NULL))
) STRICT;
CREATE INDEX restarts_of ON restarts (supervisor, at);

CREATE TRIGGER restarts_insert_guard BEFORE INSERT ON restarts
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'restarts are written by jobberd'); END;
CREATE TRIGGER restarts_update_guard BEFORE UPDATE ON restarts
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'restarts are written by jobberd'); END;
CREATE TRIGGER restarts_delete_guard BEFORE DELETE ON restarts
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'restarts are written by jobberd'); END;
CREATE TRIGGER supervisors_insert_tree_guard BEFORE INSERT ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.parent IS NOT NULL
  OR NEW.position IS NOT NULL OR NEW.state <> 'running' OR NEW.reason IS NOT NULL
  OR NEW.group_from IS NOT NULL OR NEW.ended_at IS NOT NULL OR NEW.applied IS NOT NULL)
BEGIN
  SELECT RAISE(ABORT, 'a supervisor beneath another is made with jobberd supervisor add');
END;
-- OR REPLACE would put a new one into the place of one that has jobs, and no other guard sees it.
CREATE TRIGGER supervisors_replace_guard BEFORE INSERT ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
  AND EXISTS (SELECT 1 FROM supervisors WHERE name = NEW.name AND pool IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'there is a supervisor of this name: UPDATE it');
END;
CREATE TRIGGER supervisors_update_tree_guard BEFORE UPDATE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0 AND (NEW.parent IS NOT OLD.parent
  OR NEW.position IS NOT OLD.position OR NEW.state <> OLD.state
  OR NEW.strategy <> OLD.strategy OR NEW.has_run <> OLD.has_run
  OR NEW.reason IS NOT OLD.reason OR NEW.group_from IS NOT OLD.group_from
  OR NEW.ended_at IS NOT OLD.ended_at OR NEW.applied IS NOT OLD.applied)
BEGIN
  SELECT RAISE(ABORT, 'what a supervisor is at is changed with jobberd supervisor');
END;
CREATE TRIGGER supervisors_delete_tree_guard BEFORE DELETE ON supervisors
WHEN (SELECT is_writing FROM writer) = 0
  AND EXISTS (SELECT 1 FROM supervisors c WHERE c.parent = OLD.name)
BEGIN SELECT RAISE(ABORT, 'this supervisor has supervisors beneath it'); END;
CREATE TRIGGER jobs_insert_child_guard BEFORE INSERT ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND instr(NEW.name, '/') > 0
BEGIN
  SELECT RAISE(ABORT, 'SUPERVISOR/CHILD is the name of a server in the order of its siblings');
END;

DROP VIEW supervisor_list;
CREATE VIEW supervisor_list AS
SELECT s.name, s.parent, s.state, s.reason, s.max_children, s.overflow, s.rate, s.rate_ms,
  s.paused, s.pool, s.strategy,
  (SELECT count(*) FROM restarts r WHERE r.supervisor = s.name) AS restarts,
  count(j.id) FILTER (WHERE j.status = 'running') AS running,
  count(j.id) FILTER (WHERE j.status = 'new') AS new,
  count(j.id) FILTER (WHERE j.status = 'errored') AS errored,
  count(j.id) FILTER (WHERE j.status IN ('new', 'errored') AND j.hold IS NULL
    AND j.wake_at IS NULL) AS ready,
  count(j.id) FILTER (WHERE j.hold IS NOT NULL) AS held
FROM supervisors s LEFT JOIN jobs j
  ON j.supervisor = s.name AND j.status IN ('new', 'running', 'errored')
GROUP BY s.name;
