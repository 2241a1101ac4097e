-- Rollouts, and which updates belong to one.

CREATE TABLE rollouts (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (id IS json_extract(document, '$.id')),
    document TEXT NOT NULL
) STRICT;

ALTER TABLE updates ADD COLUMN rollout TEXT CHECK (rollout IS json_extract(document, '$.rollout'));
CREATE INDEX updates_by_rollout ON updates (rollout) WHERE rollout IS NOT NULL;
