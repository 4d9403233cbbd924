//! The SQL of views in PostgreSQL's words: one text serves both stores.

use std::fmt::Write;

/// Makes a view's schema PostgreSQL's: texts sort by bytes, as SQLite's do, and integers have 64 bits.
pub(super) fn schema(sqlite: &str) -> String {
    let mut out = String::with_capacity(2 * sqlite.len());
    let mut rest = sqlite;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let (word, later) = rest.split_at(if end == 0 { first.len_utf8() } else { end });
        out.push_str(match word {
            "BLOB" => "BYTEA",
            "INTEGER" => "BIGINT",
            "TEXT" => "TEXT COLLATE \"C\"",
            word => word,
        });
        rest = later;
    }
    out.replace("WITHOUT ROWID", "")
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Numbers the `?` of a statement; those within quotes are text.
pub(super) fn numbered(sqlite: &str) -> String {
    let mut out = String::with_capacity(sqlite.len() + 32);
    let (mut number, mut quote) = (0, None);
    for c in sqlite.chars() {
        match (c, quote) {
            ('?', None) => {
                number += 1;
                let _ = write!(out, "${number}");
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_speaks_postgresql() {
        let sqlite = "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB, c TEXT NOT NULL, TEXTS BLOB) WITHOUT ROWID;
            CREATE INDEX t_by_c ON t (c);\n";
        let wanted = "CREATE TABLE t (a BIGINT PRIMARY KEY, b BYTEA, c TEXT COLLATE \"C\" NOT NULL, TEXTS BYTEA) ;
            CREATE INDEX t_by_c ON t (c);\n";
        assert_eq!(schema(sqlite), wanted);
    }

    #[test]
    fn marks_are_numbered_outside_of_quotes() {
        let sql = "SELECT '?', 'it''s ?', \"a?\" FROM t WHERE a = ? AND b IN (?, ?)";
        let wanted = "SELECT '?', 'it''s ?', \"a?\" FROM t WHERE a = $1 AND b IN ($2, $3)";
        assert_eq!(numbered(sql), wanted);
    }
}
