-- The chain of the journal. Facts that were stored before it have no link, so it begins behind the newest of them; of what is forgotten later, the
-- last link is kept there.

ALTER TABLE facts ADD COLUMN chain TEXT NOT NULL DEFAULT '';

CREATE TABLE chain_start (
    number INTEGER NOT NULL,
    chain TEXT NOT NULL
) STRICT;
INSERT INTO chain_start SELECT coalesce(max(number), 0), '' FROM facts;
