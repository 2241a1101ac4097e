-- How devices were set before their updates; a row lives as long as its update has not ended.

CREATE TABLE portraits (
    update_id TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
