-- A document is written far more often than what it is searched by. A generated column counts as changed with its document, so every write wrote its
-- indexes again; a plain one does not. That a column and its document agree is checked with every write instead.

CREATE TABLE plain_updates (
    sequence INTEGER PRIMARY KEY, -- the order of creation; wall clocks step back, this does not
    id TEXT NOT NULL CHECK (id IS json_extract(document, '$.id')),
    device TEXT NOT NULL CHECK (device IS json_extract(document, '$.device')),
    component TEXT NOT NULL CHECK (component IS json_extract(document, '$.component')),
    state TEXT NOT NULL CHECK (state IS json_extract(document, '$.state')),
    document TEXT NOT NULL
) STRICT;
INSERT INTO plain_updates SELECT sequence, id, device, component, state, document FROM updates;
DROP TABLE updates;
ALTER TABLE plain_updates RENAME TO updates;
CREATE UNIQUE INDEX updates_by_id ON updates (id);
CREATE INDEX updates_by_component ON updates (device, component);
CREATE INDEX updates_by_state ON updates (state);

CREATE TABLE plain_devices (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL CHECK (id IS json_extract(document, '$.id')),
    document TEXT NOT NULL
) STRICT;
INSERT INTO plain_devices SELECT sequence, id, document FROM devices;
DROP TABLE devices;
ALTER TABLE plain_devices RENAME TO devices;
CREATE UNIQUE INDEX devices_by_id ON devices (id);
