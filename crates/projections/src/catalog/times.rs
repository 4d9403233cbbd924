//! Times as positions: which position was the last one not after a time.

use jiff::Timestamp;
use mirage_domain::id::Position;

use super::reader::Reader;
use super::sql::Sql;
use crate::claims::time;
use crate::{Error, Value};

const SECOND: i128 = 1_000_000_000;

impl Reader<'_> {
    /// The last position up to which every commit was recorded not after `at`; a time that no commit is later than
    /// answers this reader's own position.
    ///
    /// The position before the first later commit: clocks that step back do not change the order.
    pub fn resolve_time(&self, at: Timestamp) -> Result<Position, Error> {
        let second = at.as_nanosecond().div_euclid(SECOND);
        // Later seconds are few; within the time's own second the instants are.
        let later = Sql::new(
            "SELECT min(position) FROM times WHERE second > ?",
            [Value::Integer(second as i64)],
        );
        let within = Sql::new(
            "SELECT min(position) FROM instants WHERE nanosecond > ?",
            [time(at)],
        );
        let next = Timestamp::from_nanosecond((second + 1) * SECOND).unwrap_or(Timestamp::MAX);
        let within = within.and("AND nanosecond < ?", [time(next)]);
        let found = [self.number(later)?, self.number(within)?];
        let first = found.into_iter().filter(|position| *position > 0).min();
        Ok(first.map_or(self.position(), |first| {
            Position(first - 1).min(self.position())
        }))
    }
}
