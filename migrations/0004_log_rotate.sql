-- Output that is rotated: a segment each log_rotate bytes, of which the last log_keep stay.
-- It goes before max_output.

ALTER TABLE jobs ADD COLUMN log_rotate INTEGER            -- NULL: it is not rotated
  CHECK (log_rotate BETWEEN 65536 AND 1125899906842624);
ALTER TABLE jobs ADD COLUMN log_keep INTEGER              -- NULL: 5
  CHECK (log_keep BETWEEN 1 AND 1000);

CREATE TRIGGER jobs_rotate_guard BEFORE UPDATE OF log_rotate, log_keep ON jobs
WHEN (SELECT is_writing FROM writer) = 0
  AND (NEW.log_rotate IS NOT OLD.log_rotate OR NEW.log_keep IS NOT OLD.log_keep)
BEGIN
  SELECT RAISE(ABORT, 'only status, priority, wake_at, hold and max_retries may be updated');
END;
