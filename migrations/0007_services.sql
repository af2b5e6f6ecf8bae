-- Plain services: servers that are any program. They have no mailbox; what they have instead
-- stands here.

ALTER TABLE servers ADD COLUMN plain INTEGER NOT NULL DEFAULT 0
  CHECK (plain BETWEEN 0 AND 1);
ALTER TABLE servers ADD COLUMN ready TEXT                 -- plain: exec, notify or fd:N
  CHECK ((ready IS NOT NULL) = plain);
ALTER TABLE servers ADD COLUMN stop_signal TEXT           -- plain: like SIGINT; NULL: SIGTERM
  CHECK (stop_signal IS NULL OR plain);
ALTER TABLE servers ADD COLUMN success_exit TEXT          -- plain: like 3,SIGTERM
  CHECK (success_exit IS NULL OR plain);
ALTER TABLE servers ADD COLUMN watchdog_ms INTEGER        -- plain: a sign of life so often
  CHECK (watchdog_ms IS NULL OR
    (watchdog_ms BETWEEN 1 AND 9007199254740991 AND ready = 'notify'));
