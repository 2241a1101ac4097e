-- What orders with an idempotency key made; the newest few, for a day.

CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    actor TEXT NOT NULL AS (json_extract(document, '$.actor')),
    key TEXT NOT NULL AS (json_extract(document, '$.key')),
    at TEXT NOT NULL AS (json_extract(document, '$.at'))
) STRICT;
CREATE UNIQUE INDEX receipts_by_key ON receipts (actor, key);
