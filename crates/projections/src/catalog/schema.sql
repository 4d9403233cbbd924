CREATE TABLE findings (
    cursor INTEGER PRIMARY KEY,
    finding BLOB NOT NULL,
    workspace TEXT NOT NULL,
    scan TEXT NOT NULL,
    task TEXT NOT NULL,
    module TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    entity BLOB NOT NULL,
    parent_entity BLOB,
    parent_finding BLOB,
    relation TEXT,
    direction TEXT,
    in_scope INTEGER NOT NULL,
    rule TEXT NOT NULL,
    confidence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    attributes TEXT,
    evidence BLOB
);
CREATE INDEX findings_by_scan ON findings (scan);
CREATE INDEX findings_by_id ON findings (scan, finding, cursor, module);
CREATE INDEX findings_by_entity ON findings (entity);
CREATE INDEX findings_by_parent ON findings (parent_entity) WHERE parent_entity IS NOT NULL;
CREATE INDEX findings_of_seeds ON findings (scan) WHERE parent_entity IS NULL;

CREATE TABLE entities (
    entity BLOB NOT NULL,
    scan TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (entity, scan)
) WITHOUT ROWID;
CREATE INDEX entities_by_scan ON entities (scan, cursor, kind);

CREATE TABLE scans (
    scan TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    name TEXT,
    seeds INTEGER NOT NULL,
    seed_list BLOB NOT NULL,
    profile TEXT NOT NULL,
    request TEXT NOT NULL,
    settings BLOB NOT NULL,
    origin TEXT NOT NULL,
    of_scan TEXT,
    actor TEXT NOT NULL,
    requested_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX scans_by_workspace ON scans (workspace, cursor);

CREATE TABLE scan_changes (
    scan TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    change TEXT NOT NULL,
    detail TEXT,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (scan, cursor)
) WITHOUT ROWID;

CREATE TABLE tasks (
    task TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    scan TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    module TEXT NOT NULL,
    module_version INTEGER NOT NULL,
    inputs INTEGER NOT NULL,
    instead_of TEXT,
    scheduled_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tasks_by_scan ON tasks (scan, cursor);

CREATE TABLE task_changes (
    task TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    scan TEXT NOT NULL,
    change TEXT NOT NULL,
    attempt INTEGER,
    reason TEXT,
    settings BLOB,
    requests INTEGER NOT NULL,
    bytes_received INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (task, cursor)
) WITHOUT ROWID;

CREATE TABLE failures (
    cursor INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    scan TEXT NOT NULL,
    task TEXT NOT NULL,
    entity BLOB,
    finding BLOB,
    reason TEXT NOT NULL,
    detail TEXT,
    PRIMARY KEY (cursor, ordinal)
) WITHOUT ROWID;
CREATE INDEX failures_by_scan ON failures (scan, cursor);

CREATE TABLE remarks (
    cursor INTEGER PRIMARY KEY,
    scan TEXT NOT NULL,
    task TEXT NOT NULL,
    code TEXT NOT NULL,
    rule TEXT NOT NULL,
    entity BLOB,
    detail TEXT,
    count INTEGER NOT NULL
);
CREATE INDEX remarks_by_scan ON remarks (scan);

CREATE TABLE limits (
    cursor INTEGER PRIMARY KEY,
    scan TEXT NOT NULL,
    kind TEXT NOT NULL,
    value INTEGER NOT NULL
);
CREATE INDEX limits_by_scan ON limits (scan);

CREATE TABLE times (
    second INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
);

CREATE TABLE instants (
    nanosecond INTEGER PRIMARY KEY,
    position INTEGER NOT NULL
);

CREATE TABLE marks (
    scan TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    finding BLOB NOT NULL,
    verdict TEXT,
    reason TEXT,
    actor TEXT NOT NULL,
    marked_at INTEGER NOT NULL,
    PRIMARY KEY (scan, cursor)
) WITHOUT ROWID;
CREATE INDEX marks_by_workspace ON marks (workspace, cursor);

CREATE TABLE audit (
    cursor INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    outcome TEXT NOT NULL,
    kind TEXT NOT NULL,
    stream TEXT NOT NULL,
    operation TEXT,
    code TEXT,
    origin TEXT,
    subject TEXT,
    count INTEGER NOT NULL,
    trace TEXT
);
CREATE INDEX audit_by_workspace ON audit (workspace, cursor);
