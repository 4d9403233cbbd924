//! Values on their way to PostgreSQL and back, in the shapes that views keep.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Value;
use crate::row::ValueRef;

type Fault = Box<dyn Error + Sync + Send>;

impl Value {
    /// The bytes that PostgreSQL reads as a column of a view; none is null.
    pub(super) fn written<T>(&self, write: impl FnOnce(Option<&[u8]>) -> T) -> T {
        match self {
            Self::Null => write(None),
            Self::Integer(integer) => write(Some(&integer.to_be_bytes())),
            Self::Text(text) => write(Some(text.as_bytes())),
            Self::Id(id) => write(Some(id)),
            Self::Blob(bytes) => write(Some(bytes)),
        }
    }
}

/// A value of a question, as the type that the statement gives it.
impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self {
            Self::Integer(integer) if *kind == Type::INT4 => {
                out.extend_from_slice(&i32::try_from(*integer)?.to_be_bytes());
                Ok(IsNull::No)
            }
            Self::Integer(_) if *kind != Type::INT8 => {
                Err(format!("an integer is bound where {kind} is asked for").into())
            }
            value => Ok(value.written(|bytes| match bytes {
                None => IsNull::Yes,
                Some(bytes) => {
                    out.extend_from_slice(bytes);
                    IsNull::No
                }
            })),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of an answer: what PostgreSQL makes of sums, counts and conditions are integers here.
impl<'a> FromSql<'a> for ValueRef<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        Ok(match *kind {
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::NUMERIC => Self::Integer(whole(raw).ok_or("a number is no 64-bit integer")?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        let known = [
            Type::INT8,
            Type::INT4,
            Type::BOOL,
            Type::NUMERIC,
            Type::BYTEA,
        ];
        known.contains(kind) || <&str as FromSql<'_>>::accepts(kind)
    }
}

/// A NUMERIC without a fraction: digits to the base 10 000, the first counting 10 000^weight.
fn whole(raw: &[u8]) -> Option<i64> {
    let (shorts, _) = raw.as_chunks::<2>();
    let mut shorts = shorts.iter().map(|short| i16::from_be_bytes(*short));
    let (count, weight) = (shorts.next()?, shorts.next()?);
    let (sign, _scale) = (shorts.next()?, shorts.next()?);
    let mut sum: i64 = 0;
    for place in 0..=weight.max(count - 1) {
        let digit = if place < count { shorts.next()? } else { 0 };
        match place <= weight {
            true => sum = sum.checked_mul(10_000)?.checked_add(digit.into())?,
            false if digit == 0 => {}
            false => return None,
        }
    }
    match sign {
        0 => Some(sum),
        0x4000 => Some(-sum),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(shorts: &[i16]) -> Vec<u8> {
        shorts
            .iter()
            .flat_map(|short| short.to_be_bytes())
            .collect()
    }

    #[test]
    fn sums_are_integers() {
        assert_eq!(whole(&numeric(&[0, 0, 0, 0])), Some(0));
        assert_eq!(whole(&numeric(&[1, 0, 0, 0, 42])), Some(42));
        assert_eq!(whole(&numeric(&[1, 1, 0x4000, 0, 3])), Some(-30_000));
        assert_eq!(whole(&numeric(&[2, 1, 0, 0, 12, 3456])), Some(123_456));
        assert_eq!(whole(&numeric(&[1, -1, 0, 4, 5000])), None, "a half");
        let nine = numeric(&[5, 4, 0, 0, 9_999, 9_999, 9_999, 9_999, 9_999]);
        assert_eq!(whole(&nine), None, "beyond 64 bits");
    }
}
