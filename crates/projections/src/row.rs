//! A row of an answer, whichever store gave it: columns in the four shapes that views keep.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use mirage_domain::id::Cursor;

use crate::error::Cause;
use crate::store::neo4j::Record;

/// What a column holds. Stores have more shapes; a view keeps only these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ValueRef<'r> {
    Null,
    Integer(i64),
    Text(&'r str),
    Blob(&'r [u8]),
}

impl<'r> ValueRef<'r> {
    pub(crate) fn as_str(self) -> Result<&'r str, Cause> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unlike("text")),
        }
    }

    fn unlike(self, wanted: &'static str) -> Cause {
        let found = match self {
            Self::Null => "null",
            Self::Integer(_) => "an integer",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        };
        Cause::Shape { wanted, found }
    }
}

/// See the module's doc.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Neo4j(&'r Record),
    Postgres(&'r tokio_postgres::Row),
}

/// The place of a column, or its name.
pub(crate) trait Place: Copy {
    fn of_sqlite<'r>(self, row: &'r rusqlite::Row<'_>) -> rusqlite::Result<SqliteRef<'r>>;
    fn of_neo4j(self, record: &Record) -> Option<ValueRef<'_>>;
    fn of_postgres(self, row: &tokio_postgres::Row) -> PostgresResult<'_>;
}

type SqliteRef<'r> = rusqlite::types::ValueRef<'r>;
type PostgresResult<'r> = Result<ValueRef<'r>, tokio_postgres::Error>;

impl Place for &str {
    fn of_sqlite<'r>(self, row: &'r rusqlite::Row<'_>) -> rusqlite::Result<SqliteRef<'r>> {
        row.get_ref(self)
    }
    fn of_neo4j(self, record: &Record) -> Option<ValueRef<'_>> {
        record.named(self)
    }
    fn of_postgres(self, row: &tokio_postgres::Row) -> PostgresResult<'_> {
        row.try_get(self)
    }
}
impl Place for usize {
    fn of_sqlite<'r>(self, row: &'r rusqlite::Row<'_>) -> rusqlite::Result<SqliteRef<'r>> {
        row.get_ref(self)
    }
    fn of_neo4j(self, record: &Record) -> Option<ValueRef<'_>> {
        record.at(self)
    }
    fn of_postgres(self, row: &tokio_postgres::Row) -> PostgresResult<'_> {
        row.try_get(self)
    }
}

impl Row<'_> {
    /// Names of the columns, in the statement's order.
    pub(crate) fn columns(&self) -> Vec<&str> {
        match self {
            Self::Sqlite(row) => AsRef::<rusqlite::Statement<'_>>::as_ref(*row)
                .column_names()
                .collect(),
            Self::Neo4j(record) => record.columns(),
            Self::Postgres(row) => row.columns().iter().map(|column| column.name()).collect(),
        }
    }

    pub(crate) fn get<P: Place, T: Column>(&self, place: P) -> Result<T, Cause> {
        T::of(self.get_ref(place)?)
    }

    pub(crate) fn get_ref<P: Place>(&self, place: P) -> Result<ValueRef<'_>, Cause> {
        match self {
            Self::Sqlite(row) => of_sqlite(place.of_sqlite(row)?),
            Self::Neo4j(record) => place.of_neo4j(record).ok_or(Cause::Shape {
                wanted: "a column",
                found: "none",
            }),
            Self::Postgres(row) => Ok(place.of_postgres(row)?),
        }
    }
}

fn of_sqlite(value: SqliteRef<'_>) -> Result<ValueRef<'_>, Cause> {
    Ok(match value {
        SqliteRef::Null => ValueRef::Null,
        SqliteRef::Integer(integer) => ValueRef::Integer(integer),
        SqliteRef::Text(text) => ValueRef::Text(std::str::from_utf8(text).map_err(Cause::value)?),
        SqliteRef::Blob(bytes) => ValueRef::Blob(bytes),
        SqliteRef::Real(_) => {
            return Err(Cause::Shape {
                wanted: "an integer",
                found: "a fraction",
            });
        }
    })
}

/// What can be read from a column.
pub(crate) trait Column: Sized {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause>;
}

impl Column for i64 {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        match value {
            ValueRef::Integer(integer) => Ok(integer),
            other => Err(other.unlike("an integer")),
        }
    }
}

macro_rules! narrower {
    ($($integer:ty),+) => {
        $(impl Column for $integer {
            fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
                Self::try_from(i64::of(value)?).map_err(Cause::value)
            }
        })+
    };
}
narrower!(u8, u32, u64);

impl Column for bool {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        Ok(i64::of(value)? != 0)
    }
}
impl Column for String {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        value.as_str().map(str::to_owned)
    }
}
impl Column for Vec<u8> {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        match value {
            ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
            other => Err(other.unlike("bytes")),
        }
    }
}
impl<const N: usize> Column for [u8; N] {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        match value {
            ValueRef::Blob(bytes) => bytes.try_into().map_err(Cause::value),
            // Neo4j keeps ids as text, which it can index.
            ValueRef::Text(hex) => {
                let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(Cause::value)?;
                bytes[..].try_into().map_err(Cause::value)
            }
            other => Err(other.unlike("bytes")),
        }
    }
}
impl<T: Column> Column for Option<T> {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::of(value).map(Some),
        }
    }
}

/// Nanoseconds since 1970, as views keep times.
impl Column for Timestamp {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        Timestamp::from_nanosecond(i64::of(value)?.into()).map_err(Cause::value)
    }
}

/// A packed cursor.
impl Column for Cursor {
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        i64::of(value).map(Cursor::unpacked)
    }
}

/// An id or a name that reads back from its text.
pub(crate) struct Parsed<T>(pub(crate) T);

impl<T> Column for Parsed<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    fn of(value: ValueRef<'_>) -> Result<Self, Cause> {
        value.as_str()?.parse().map(Self).map_err(Cause::value)
    }
}

/// A column that reads back from its text.
pub(crate) fn parsed<T>(row: &Row<'_>, place: impl Place) -> Result<T, Cause>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, Parsed<T>>(place).map(|parsed| parsed.0)
}

/// A column that reads back from its text, or is null.
pub(crate) fn parsed_option<T>(row: &Row<'_>, place: impl Place) -> Result<Option<T>, Cause>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let parsed = row.get::<_, Option<Parsed<T>>>(place)?;
    Ok(parsed.map(|parsed| parsed.0))
}

pub(crate) fn time(row: &Row<'_>, place: impl Place) -> Result<Timestamp, Cause> {
    row.get(place)
}
