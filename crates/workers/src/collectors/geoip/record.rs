//! Records of a MaxMind DB, decoded within bounds.
//!
//! A file can make a record of pointers to itself as large as it likes.

use std::cell::Cell;
use std::fmt;

use mirage_domain::entity::{Entity, Kind};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Values and bytes of texts of one record; the largest honest ones have names in eight languages, some 5 KB.
const WEIGHT_MAX: usize = 64 * 1024;
/// Objects and arrays inside one another; honest records have three.
const DEPTH_MAX: usize = 16;

/// A record as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record(pub(super) Value);

impl Record {
    /// Country, region and city as far as the record says them; the point if it knows no country.
    pub(super) fn place(&self) -> Option<Entity> {
        let country = self
            .text("/country/iso_code")
            .or_else(|| self.text("/registered_country/iso_code"));
        let region = self.text("/subdivisions/0/iso_code").unwrap_or_default();
        let city = self.text("/city/names/en").unwrap_or_default();
        let place = |text: &str| Entity::new(Kind::Location, text).ok();
        let Some(country) = country else {
            let (latitude, longitude) = self.point()?;
            return place(&format!("geo:{latitude},{longitude}"));
        };
        let whole = format!("{country}/{region}/{city}");
        let in_region = format!("{country}/{region}");
        let texts = [
            (!city.is_empty()).then_some(whole),
            (!region.is_empty()).then_some(in_region),
            Some(country.to_owned()),
        ];
        // A city whose name is no part of a key is left out, and not the country with it.
        texts.into_iter().flatten().find_map(|text| place(&text))
    }

    pub(super) fn attributes(&self) -> Vec<(&'static str, Value)> {
        let named = [
            ("latitude", "/location/latitude"),
            ("longitude", "/location/longitude"),
            ("accuracy_km", "/location/accuracy_radius"),
            ("time_zone", "/location/time_zone"),
            ("country", "/country/names/en"),
            ("city", "/city/names/en"),
        ];
        let value = |path| self.0.pointer(path).filter(|value| !value.is_object());
        named
            .into_iter()
            .filter_map(|(name, path)| Some((name, value(path)?.clone())))
            .collect()
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.0.pointer(path)?.as_str()
    }

    fn point(&self) -> Option<(f64, f64)> {
        let number = |path| self.0.pointer(path).and_then(Value::as_f64);
        Some((
            number("/location/latitude")?,
            number("/location/longitude")?,
        ))
    }
}

impl<'de> serde::Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight = Cell::new(0);
        let bounded = Bounded {
            weight: &weight,
            depth: 0,
        };
        bounded.deserialize(deserializer).map(Self)
    }
}

/// Decodes one value of a record whose weight so far is known.
#[derive(Clone, Copy)]
struct Bounded<'w> {
    weight: &'w Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn charge<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.weight.set(self.weight.get().saturating_add(1 + bytes));
        match self.weight.get() > WEIGHT_MAX {
            true => Err(E::custom("the record is too large")),
            false => Ok(()),
        }
    }

    fn inner<E: Error>(&self) -> Result<Self, E> {
        match self.depth >= DEPTH_MAX {
            true => Err(E::custom("the record is too deep")),
            false => Ok(Self {
                depth: self.depth + 1,
                ..*self
            }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a MaxMind DB")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.charge(0).map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.charge(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.charge(0).map(|()| value.into())
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.charge(0).map(|()| value.to_string().into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.charge(0)?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.charge(value.len()).map(|()| value.into())
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Value, E> {
        self.charge(value.len())?;
        Ok(data_encoding::HEXUPPER.encode(value).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.charge(0)?;
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.charge(0)?;
        let inner = self.inner()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.charge(key.len())?;
            values.insert(key, map.next_value_seed(inner)?);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_as_fine_as_its_record() {
        for (record, key) in [
            (
                json!({"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BE"}], "city": {"names": {"en": "Berlin"}}}),
                Some("de/be/berlin"),
            ),
            (
                json!({"country": {"iso_code": "DE"}, "city": {"names": {"en": "K\u{f6}ln"}}}),
                Some("de//k\u{f6}ln"),
            ),
            (
                json!({"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BE"}]}),
                Some("de/be"),
            ),
            (
                json!({"registered_country": {"iso_code": "FR"}}),
                Some("fr"),
            ),
            (
                json!({"country": {"iso_code": "DE"}, "city": {"names": {"en": "a:b"}}}),
                Some("de"),
            ),
            (
                json!({"location": {"latitude": 52.52, "longitude": 13.405}}),
                Some("geo:52.5200,13.4050"),
            ),
            (json!({"country": {"iso_code": "Germany"}}), None),
            (json!({"country": "DE"}), None),
            (json!([]), None),
        ] {
            let place = Record(record.clone()).place();
            assert_eq!(place.as_ref().map(Entity::key), key, "{record}");
        }
    }

    #[test]
    fn a_record_has_bounds() {
        let decode = |value: &Value| serde_json::from_value::<Record>(value.clone());
        let wide = json!(vec!["x"; WEIGHT_MAX / 2 + 1]);
        let long = json!("x".repeat(WEIGHT_MAX));
        let deep = (0..=DEPTH_MAX).fold(json!(1), |inner, _| json!([inner]));
        for value in [wide, long, deep] {
            assert!(decode(&value).is_err());
        }
        let honest = json!({"a": [1, 2.5, "x", true, -3]});
        assert_eq!(decode(&honest).unwrap(), Record(honest));
    }
}
