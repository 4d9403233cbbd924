CREATE TABLE documents (
    cursor INTEGER PRIMARY KEY,
    finding BLOB NOT NULL,
    entity BLOB NOT NULL,
    workspace TEXT NOT NULL,
    scan TEXT NOT NULL,
    module TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    text TEXT,
    unspaced TEXT
);
CREATE INDEX documents_by_finding ON documents (finding);

-- What is indexed of a document. Marks are one token each, so that a filter is a list of the index like any word; each
-- names its workspace, so that no list of another one, and none of all claims, is walked beside it.
CREATE VIEW indexed AS SELECT cursor, key, text, unspaced,
    replace(replace('w' || workspace || ' s' || workspace || scan || ' m' || workspace || module ||
        ' k' || workspace || kind, '-', ''), '_', '') AS marks
    FROM documents;

CREATE VIRTUAL TABLE words USING fts5 (
    key, text, marks,
    content = 'indexed', content_rowid = 'cursor', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE VIRTUAL TABLE parts USING fts5 (
    key, unspaced,
    content = 'indexed', content_rowid = 'cursor', columnsize = 0, tokenize = 'trigram remove_diacritics 1'
);

-- The words themselves in their order: what a beginning may go on to.
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, instance);
