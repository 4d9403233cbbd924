//! An event read where it stands in its commit, without a look at its data first.
//!
//! That is the form in which nearly every event of a log stands: of the newest version, nothing sealed, its fields in
//! the order in which they are written. Scanning the data once to find their end, and once more to read them, would
//! cost a reader of the whole log a fifth of its time.
//!
//! **Never:** a guess. Whatever is not of this form is an error here, and read by the longer way (`commit`).

use std::fmt;

use jiff::Timestamp;
use mirage_domain::event::Event;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::commit::Entry;

/// See the module's doc.
pub(crate) struct Plain(pub(crate) Entry);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Plain;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a plain event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
        let kind: &str = field(&mut map, "kind")?;
        let version: u32 = field(&mut map, "v")?;
        let at: Timestamp = field(&mut map, "at")?;
        if Event::newest(kind) != Some(version) {
            return Err(other());
        }
        expect(&mut map, "data")?;
        let event = map.next_value_seed(Data(kind))?;
        match map.next_key::<&str>()? {
            None => Ok(Plain(Entry { event, at })),
            Some(_) => Err(other()),
        }
    }
}

/// The data of an event of this kind, in its newest version.
struct Data<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Event;

    fn deserialize<D: Deserializer<'de>>(self, data: D) -> Result<Event, D::Error> {
        Event::deserialize_data(self.0, data).unwrap_or_else(|| Err(other()))
    }
}

fn field<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    name: &str,
) -> Result<T, A::Error> {
    expect(map, name)?;
    map.next_value()
}

fn expect<'de, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<(), A::Error> {
    match map.next_key::<&str>()? {
        Some(found) if found == name => Ok(()),
        _ => Err(other()),
    }
}

fn other<E: Error>() -> E {
    E::custom("not of the plain form")
}
