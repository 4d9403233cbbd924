-- Documents come in the order of their cursors, so those behind the last indexed one are those that are not indexed.
INSERT INTO parts (rowid, key, unspaced)
    SELECT cursor, key, unspaced FROM indexed
    WHERE cursor > (SELECT coalesce(max(id), 0) FROM words_docsize);
INSERT INTO words (rowid, key, text, marks)
    SELECT cursor, key, text, marks FROM indexed
    WHERE cursor > (SELECT coalesce(max(id), 0) FROM words_docsize);
