CREATE TABLE claims (
    cursor INTEGER PRIMARY KEY,
    finding BLOB NOT NULL,
    workspace TEXT NOT NULL,
    scan TEXT NOT NULL,
    module TEXT NOT NULL,
    subject BLOB,
    relation TEXT,
    object BLOB NOT NULL,
    direction TEXT,
    in_scope INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL
);
CREATE INDEX claims_by_subject ON claims (subject, object, relation) WHERE subject IS NOT NULL;
CREATE INDEX claims_by_object ON claims (object, subject, relation);
CREATE INDEX claims_inward ON claims (subject) WHERE direction = 'in';

CREATE TABLE nodes (
    entity BLOB NOT NULL,
    scan TEXT NOT NULL,
    workspace TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    PRIMARY KEY (entity, scan)
) WITHOUT ROWID;
CREATE INDEX nodes_by_scan ON nodes (scan, cursor);
