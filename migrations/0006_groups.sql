-- Groups: names that any number of live jobs may have, for messages to all of them.

CREATE TABLE groups (
  job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name    TEXT NOT NULL CHECK (name GLOB '[A-Za-z_]*' AND name NOT GLOB '*[^A-Za-z0-9_.:-]*'
            AND length(name) <= 128),
  attempt INTEGER,                        -- that has joined it and takes it along; NULL: none,
                                          -- the job was described so
  is_left INTEGER NOT NULL DEFAULT 0      -- by the attempt that runs; the next one is back
            CHECK (is_left BETWEEN 0 AND 1),
  PRIMARY KEY (job_id, name),
  CHECK (attempt IS NULL OR is_left = 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_by_name ON groups (name);

CREATE TRIGGER groups_insert_guard BEFORE INSERT ON groups
WHEN (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'there is no such job')
    WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id);
  SELECT RAISE(ABORT, 'a message to a pool is in no group')
    WHERE EXISTS (SELECT 1 FROM jobs WHERE id = NEW.job_id AND kind = 'message');
  SELECT RAISE(ABORT, 'a pool is in a group with its first server')
    WHERE EXISTS (SELECT 1 FROM servers WHERE job_id = NEW.job_id AND pool <> job_id);
  SELECT RAISE(ABORT, 'only a server itself joins and leaves for a time')
    WHERE NEW.attempt IS NOT NULL OR NEW.is_left <> 0
      OR EXISTS (SELECT 1 FROM groups WHERE job_id = NEW.job_id AND name = NEW.name
        AND (attempt IS NOT NULL OR is_left <> 0));
  SELECT RAISE(ABORT, 'no name of a group has a NUL in it') WHERE instr(NEW.name, char(0));
END;
CREATE TRIGGER groups_update_guard BEFORE UPDATE ON groups
WHEN (SELECT is_writing FROM writer) = 0
BEGIN SELECT RAISE(ABORT, 'groups are not changed: insert and delete them'); END;
CREATE TRIGGER groups_delete_guard BEFORE DELETE ON groups
WHEN (SELECT is_writing FROM writer) = 0 AND OLD.attempt IS NOT NULL
  AND EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id
    AND (status = 'new' OR status = 'running' OR status = 'errored'))
BEGIN SELECT RAISE(ABORT, 'this server has joined the group itself'); END;

-- Who is in a group.
CREATE VIEW group_list AS
SELECT g.name AS group_name, j.id, j.name, j.kind, j.status, j.type
FROM groups g JOIN jobs j ON j.id = g.job_id
WHERE g.is_left = 0 AND j.status IN ('new', 'running', 'errored');
