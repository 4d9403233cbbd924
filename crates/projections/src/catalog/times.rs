//! Times as positions: which position was the last one not after a time.

use jiff::Timestamp;
use mirage_domain::id::Position;

use super::reader::Reader;
use super::sql::Sql;
use crate::{Error, Value};

impl Reader<'_> {
    /// The last position whose commits were all recorded not after `time`, to the second; a time that no commit is
    /// later than answers this reader's own position.
    ///
    /// The position before the first commit of any later second: clocks that step back do not change the order.
    pub fn resolve_time(&self, time: Timestamp) -> Result<Position, Error> {
        let second = Value::Integer(time.as_nanosecond().div_euclid(1_000_000_000) as i64);
        let sql = Sql::new("SELECT min(position) FROM times WHERE second > ?", [second]);
        let later = self.number(sql)?;
        let before = Position(later.saturating_sub(1));
        Ok(match later {
            0 => self.position(),
            _ => before.min(self.position()),
        })
    }
}
