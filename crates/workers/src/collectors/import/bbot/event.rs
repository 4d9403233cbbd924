//! A BBOT event as its file writes it: one JSON object a line, 1.x to 3.x.

use mirage_domain::entity::Entity;
use serde_json::{Map, Value};

/// Characters of a text that are kept beside its hash.
const TEXT_CHARACTERS: usize = 200;
/// Members that are not kept: what the data says stands in the entity, and the way to it in the parents.
const LEFT_OUT: &[&str] = &["data", "data_json", "discovery_path", "parent_chain"];
/// Members of structured data that are not kept: bodies, which only the file holds.
const BODIES: &[&str] = &["body", "raw_header", "raw_body", "blob", "header"];
/// Types whose data is a secret or stands beside one.
const SECRET: &[&str] = &["PASSWORD", "HASHED_PASSWORD"];

/// Longest name of an event, in bytes; BBOT's own have about 60.
const NAME_BYTES_MAX: usize = 200;
/// Events above one that are looked for.
const CHAIN_MAX: usize = 256;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event(Map<String, Value>);

impl Event {
    /// Reads a line; the error says what it lacks.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let Value::Object(members) = without_nul(value) else {
            return Err("not a JSON object".to_owned());
        };
        let event = Self(members);
        match event.kind().is_empty() {
            true => Err("without a type".to_owned()),
            false if event.data().is_null() => Err("without data".to_owned()),
            false => Ok(event),
        }
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A name that others refer to.
    fn name_of(&self, name: &str) -> Option<&str> {
        self.text_of(name).filter(|text| is_name(text))
    }

    /// The type: `DNS_NAME`.
    pub(super) fn kind(&self) -> &str {
        self.name_of("type").unwrap_or_default()
    }

    pub(super) fn is_scan(&self) -> bool {
        self.kind() == "SCAN"
    }

    /// `data_json` of 3.x, else `data`.
    pub(super) fn data(&self) -> &Value {
        let given = ["data_json", "data"].map(|name| self.0.get(name));
        given
            .into_iter()
            .flatten()
            .find(|data| !data.is_null())
            .unwrap_or(&Value::Null)
    }

    /// Data that is one text.
    pub(super) fn text(&self) -> Option<&str> {
        self.data().as_str()
    }

    /// A text of structured data.
    pub(super) fn part(&self, name: &str) -> Option<&str> {
        self.data()
            .get(name)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    pub(super) fn port(&self) -> Option<u16> {
        let given = self.0.get("port").or_else(|| self.data().get("port"))?;
        let number = given.as_u64().or_else(|| given.as_str()?.parse().ok())?;
        u16::try_from(number).ok()
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.text_of("host").or_else(|| self.part("host"))
    }

    /// Names and addresses to which the host resolved.
    pub(super) fn resolved(&self) -> impl Iterator<Item = &str> {
        let list = self.0.get("resolved_hosts").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        let list = self.0.get("tags").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The module that found it: for DNS the type of the record.
    pub(super) fn module(&self) -> &str {
        self.name_of("module").unwrap_or_default()
    }

    pub(super) fn context(&self) -> &str {
        self.text_of("discovery_context").unwrap_or_default()
    }

    /// What names this event alone; early files have only its `id`.
    pub(super) fn uuid(&self) -> Option<&str> {
        self.name_of("uuid").or_else(|| self.id())
    }

    /// What names every event of this type and data.
    pub(super) fn id(&self) -> Option<&str> {
        self.name_of("id")
    }

    pub(super) fn parent_uuid(&self) -> Option<&str> {
        self.name_of("parent_uuid")
    }

    /// `source` in 1.x.
    pub(super) fn parent_id(&self) -> Option<&str> {
        self.name_of("parent").or_else(|| self.name_of("source"))
    }

    /// The events above, nearest first, as far as the file says, without the event itself.
    pub(super) fn chain(&self) -> Vec<String> {
        let list = self.0.get("parent_chain").and_then(Value::as_array);
        let above = list.into_iter().flatten().rev().filter_map(Value::as_str);
        above
            .filter(|uuid| is_name(uuid) && Some(*uuid) != self.uuid())
            .take(CHAIN_MAX)
            .map(str::to_owned)
            .collect()
    }

    /// What the scan was aimed at.
    pub(super) fn targets(&self) -> impl Iterator<Item = &str> {
        let target = self.data().get("target");
        let lists = ["target", "targets", "whitelist", "seeds"];
        let lists = lists
            .into_iter()
            .filter_map(move |name| target?.get(name)?.as_array());
        lists.flatten().filter_map(Value::as_str)
    }

    pub(super) fn is_secret(&self) -> bool {
        SECRET.contains(&self.kind())
    }

    /// Everything that is kept of the event besides its entity.
    pub(super) fn attributes(&self, entity: &Entity) -> Map<String, Value> {
        let kept = |name: &String| !LEFT_OUT.contains(&name.as_str());
        let members = self.0.iter().filter(|(name, _)| kept(name));
        let mut attributes: Map<String, Value> = members
            .filter(|(_, value)| !is_empty(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if self.is_secret() {
            // A module tells what it found in its own words.
            attributes.remove("discovery_context");
            return attributes;
        }
        match self.data() {
            Value::String(text) if text != entity.key() => {
                let beginning: String = text.chars().take(TEXT_CHARACTERS).collect();
                attributes.insert("text".to_owned(), beginning.into());
            }
            Value::Object(data) => {
                let mut data = data.clone();
                data.retain(|name, value| !BODIES.contains(&name.as_str()) && !is_empty(value));
                attributes.insert("data".to_owned(), data.into());
            }
            Value::String(_) => {}
            other => {
                attributes.insert("data".to_owned(), other.clone());
            }
        }
        attributes
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && !text.contains(char::is_whitespace)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// NUL is legal in JSON, and not in every store.
fn without_nul(value: Value) -> Value {
    let clean = |text: String| match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(list) => list.into_iter().map(without_nul).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (clean(name), without_nul(value)))
            .collect(),
        other => other,
    }
}
