-- Values are JSON documents. What is searched by is a generated column, so that a column and its document cannot disagree.

PRAGMA application_id = 1330921799; -- "OTAG"

CREATE TABLE updates (
    sequence INTEGER PRIMARY KEY, -- the order of creation; wall clocks step back, this does not
    document TEXT NOT NULL,
    id TEXT NOT NULL AS (json_extract(document, '$.id')),
    device TEXT NOT NULL AS (json_extract(document, '$.device')),
    component TEXT NOT NULL AS (json_extract(document, '$.component')),
    state TEXT NOT NULL AS (json_extract(document, '$.state'))
) STRICT;
CREATE UNIQUE INDEX updates_by_id ON updates (id);
CREATE INDEX updates_by_component ON updates (device, component);
CREATE INDEX updates_by_state ON updates (state);

CREATE TABLE devices (
    sequence INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    id TEXT NOT NULL AS (json_extract(document, '$.id'))
) STRICT;
CREATE UNIQUE INDEX devices_by_id ON devices (id);

CREATE TABLE images (
    sequence INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    sha256 TEXT NOT NULL AS (json_extract(document, '$.sha256')),
    added TEXT NOT NULL AS (json_extract(document, '$.added'))
) STRICT;
CREATE UNIQUE INDEX images_by_sha256 ON images (sha256);

CREATE TABLE facts (
    number INTEGER PRIMARY KEY CHECK (number > 0), -- gapless: greatest + 1 inside the transaction, so a rollback gives the number back
    document TEXT NOT NULL,
    subject TEXT NOT NULL AS (json_extract(document, '$.subject')),
    subject_id TEXT NOT NULL AS (json_extract(document, '$.subject_id'))
) STRICT;
CREATE INDEX facts_by_subject ON facts (subject, subject_id);

CREATE TABLE settings (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
