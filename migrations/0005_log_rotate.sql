-- Output that is rotated: SIZE or SIZE,N as --log-rotate of submit takes it; a segment each
-- SIZE, of which the last N stay. It goes before max_output.

ALTER TABLE jobs ADD COLUMN log_rotate TEXT               -- NULL: it is not rotated
  CHECK (log_rotate GLOB '[0-9]*' AND length(log_rotate) <= 64);

CREATE TRIGGER jobs_rotate_guard BEFORE UPDATE OF log_rotate ON jobs
WHEN (SELECT is_writing FROM writer) = 0 AND NEW.log_rotate IS NOT OLD.log_rotate
BEGIN
  SELECT RAISE(ABORT, 'only status, priority, wake_at, hold and max_retries may be updated');
END;

CREATE TRIGGER jobs_insert_rotate_guard BEFORE INSERT ON jobs
WHEN NEW.log_rotate IS NOT NULL AND (SELECT is_writing FROM writer) = 0
BEGIN
  SELECT RAISE(ABORT, 'no text of a job has a NUL in it')
    WHERE instr(NEW.log_rotate, char(0));
END;
