//! Fields that may be sealed: a value, or the trace of one whose key was destroyed.
//!
//! A sealed field stands as `null` in an event's data, its box beside it (`mirage-log`, `commit.rs`).
//! **Invariant:** which fields may be sealed is declared here from the first day, by event kind and JSON pointer.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that a destroyed key can erase. Serialises as the value, or as `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sealable<T> {
    Open(T),
    Erased,
}

impl<T> Sealable<T> {
    /// The value, unless it was erased.
    pub fn open(&self) -> Option<&T> {
        match self {
            Self::Open(value) => Some(value),
            Self::Erased => None,
        }
    }
}

impl<T: Default> Default for Sealable<T> {
    fn default() -> Self {
        Self::Open(T::default())
    }
}

impl<T> From<T> for Sealable<T> {
    fn from(value: T) -> Self {
        Self::Open(value)
    }
}

impl<T: Serialize> Serialize for Sealable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.open().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sealable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Erased, Self::Open))
    }
}

/// The fields that may be sealed: event kind, and JSON pointers into its data (`*` stands for any index).
pub const SEALABLE: &[(&str, &[&str])] = &[
    ("audit.read", &["/from", "/subject"]),
    ("audit.refused", &["/from"]),
    ("scan.requested", &["/name", "/scope"]),
    ("subscription.changed", &["/name", "/url"]),
    ("subscription.created", &["/name", "/url", "/secret"]),
    ("subscription.secret_rotated", &["/secret"]),
    ("task.failed", &["/detail"]),
    ("task.finished", &["/failures/*/detail"]),
    ("task.found", &["/key", "/attributes"]),
    ("task.remarked", &["/detail"]),
    ("task.scheduled", &["/inputs/*/key"]),
    ("team.created", &["/name"]),
    ("user.created", &["/name", "/email"]),
    ("user.identity_linked", &["/subject"]),
    ("user.password_set", &["/phc"]),
    ("user.totp_set", &["/secret"]),
    ("workspace.created", &["/name"]),
    ("workspace.key_issued", &["/name"]),
];

/// Whether the field at `pointer` of an event of `kind` may be sealed.
pub fn may_seal(kind: &str, pointer: &str) -> bool {
    let matches = |pattern: &&str| {
        let (pattern, pointer) = (pattern.split('/'), pointer.split('/'));
        pattern.clone().count() == pointer.clone().count()
            && pattern
                .zip(pointer)
                .all(|(want, have)| want == "*" || want == have)
    };
    SEALABLE
        .iter()
        .any(|(name, pointers)| *name == kind && pointers.iter().any(&matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erased_field_is_null_and_comes_back_erased() {
        let erased: Sealable<String> = Sealable::Erased;
        assert_eq!(serde_json::to_string(&erased).unwrap(), "null");
        assert_eq!(
            serde_json::from_str::<Sealable<String>>("null").unwrap(),
            erased
        );
        assert_eq!(
            serde_json::from_str::<Sealable<u8>>("7").unwrap(),
            Sealable::Open(7)
        );
    }

    #[test]
    fn only_declared_fields_may_be_sealed() {
        assert!(may_seal("task.scheduled", "/inputs/12/key"));
        assert!(!may_seal("task.scheduled", "/inputs/12/kind"));
        assert!(!may_seal("task.scheduled", "/inputs/key"));
    }
}
