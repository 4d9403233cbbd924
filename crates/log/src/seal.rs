//! Sealed fields: a value in a box that only its key opens.
//!
//! A destroyed key erases a person.
//! XChaCha20-Poly1305; the additional data are stream, event version and pointer, so a box fits one place only.
//! **Invariant:** the chain runs over ciphertext: a destroyed key breaks no hash.

use std::collections::BTreeMap;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64;
use mirage_domain::id::{StreamId, Version};
use mirage_domain::sealed::may_seal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::commit::{Commit, EncodeError, EncodedCommit, encode_with};

/// The one algorithm so far.
const ALGORITHM: &str = "XC20P";

/// A sealed value, as it stands beside an event's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boxed {
    /// The key's name.
    key: String,
    alg: String,
    /// Base 64 of 24 bytes.
    nonce: String,
    /// Base 64 of ciphertext and tag.
    #[serde(rename = "box")]
    sealed: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the field {0} may not be sealed")]
    NotDeclared(String),
    #[error("the field {0} is not there")]
    Absent(String),
    #[error("the box at {0} is of another place, key or content")]
    Broken(String),
    #[error("the box at {0} needs an algorithm that this program does not know; upgrade this node")]
    Algorithm(String),
}

/// The keys that a reader has.
pub trait Keyring: Send + Sync {
    /// `None` if the reader does not have it or it was destroyed.
    fn key(&self, name: &str) -> Option<[u8; 32]>;
}

/// A reader without keys.
pub struct NoKeys;

impl Keyring for NoKeys {
    fn key(&self, _: &str) -> Option<[u8; 32]> {
        None
    }
}

/// With what to seal: a named key, and fresh 24-byte nonces.
pub struct Sealer<'a> {
    pub name: &'a str,
    pub key: [u8; 32],
    pub nonce: &'a mut dyn FnMut() -> [u8; 24],
}

/// Writes a commit with the fields at `pointers` sealed in every event that may have them and has them.
pub fn encode_sealed(
    commit: &Commit,
    pointers: &[&str],
    sealer: &mut Sealer<'_>,
) -> Result<EncodedCommit, EncodeError> {
    let first = commit.version.0;
    encode_with(commit, |version, data| {
        let kind = commit.events[(version.0 - first) as usize].event.kind();
        let mut value: Value = serde_json::from_str(data.get()).map_err(|_| absent("/"))?;
        let mut boxes = BTreeMap::new();
        for pointer in pointers.iter().filter(|pointer| may_seal(kind, pointer)) {
            let Some(field) = value.pointer_mut(pointer).filter(|field| !field.is_null()) else {
                continue;
            };
            let plain = field.take().to_string();
            let place = place(&commit.stream, version, pointer);
            boxes.insert((*pointer).to_owned(), close(sealer, &place, &plain));
        }
        let data = RawValue::from_string(value.to_string()).map_err(|_| absent("/"))?;
        Ok((data, boxes))
    })
}

fn absent(pointer: &str) -> SealError {
    SealError::Absent(pointer.to_owned())
}

fn place(stream: &StreamId, version: Version, pointer: &str) -> String {
    format!("{stream}\0{}\0{pointer}", version.0)
}

fn close(sealer: &mut Sealer<'_>, place: &str, plain: &str) -> Boxed {
    let nonce = (sealer.nonce)();
    let payload = Payload {
        msg: plain.as_bytes(),
        aad: place.as_bytes(),
    };
    let sealed = XChaCha20Poly1305::new(&sealer.key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("a field is far shorter than the cipher's limit");
    Boxed {
        key: sealer.name.to_owned(),
        alg: ALGORITHM.to_owned(),
        nonce: BASE64.encode(&nonce),
        sealed: BASE64.encode(&sealed),
    }
}

/// Puts the values of the boxes whose keys the reader has back into `data`.
pub(crate) fn unseal(
    stream: &StreamId,
    version: Version,
    data: &RawValue,
    boxes: &BTreeMap<String, Boxed>,
    keys: &dyn Keyring,
) -> Result<Box<RawValue>, SealError> {
    let mut value: Value = serde_json::from_str(data.get()).map_err(|_| absent("/"))?;
    for (pointer, boxed) in boxes {
        let field = value.pointer_mut(pointer).ok_or_else(|| absent(pointer))?;
        let Some(key) = keys.key(&boxed.key) else {
            continue;
        };
        *field = open(boxed, &key, &place(stream, version, pointer), pointer)?;
    }
    RawValue::from_string(value.to_string()).map_err(|_| absent("/"))
}

fn open(boxed: &Boxed, key: &[u8; 32], place: &str, pointer: &str) -> Result<Value, SealError> {
    let broken = || SealError::Broken(pointer.to_owned());
    if boxed.alg != ALGORITHM {
        return Err(SealError::Algorithm(pointer.to_owned()));
    }
    let nonce = BASE64
        .decode(boxed.nonce.as_bytes())
        .map_err(|_| broken())?;
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| broken())?;
    let sealed = BASE64
        .decode(boxed.sealed.as_bytes())
        .map_err(|_| broken())?;
    let payload = Payload {
        msg: &sealed,
        aad: place.as_bytes(),
    };
    let plain = XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(nonce), payload)
        .map_err(|_| broken())?;
    serde_json::from_slice(&plain).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::{DecodeError, decode, decode_with};
    use crate::contract::{commit_of, found};
    use mirage_domain::event::Event;
    use mirage_domain::sealed::Sealable;
    use mirage_domain::task;

    struct One([u8; 32]);

    impl Keyring for One {
        fn key(&self, name: &str) -> Option<[u8; 32]> {
            (name == "person-1").then_some(self.0)
        }
    }

    fn sealed() -> (Commit, EncodedCommit) {
        let (stream, event) = found(1);
        let commit = commit_of(stream, None, vec![event]);
        let mut count = 0;
        let mut nonce = || {
            count += 1;
            [count; 24]
        };
        let mut sealer = Sealer {
            name: "person-1",
            key: [9; 32],
            nonce: &mut nonce,
        };
        let encoded = encode_sealed(&commit, &["/key", "/attributes"], &mut sealer).unwrap();
        (commit, encoded)
    }

    fn key_of(commit: &Commit) -> Sealable<String> {
        match &commit.events[0].event {
            Event::Task(task::Event::Found(finding)) => finding.key.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_opens_the_box_and_without_it_the_field_is_erased() {
        let (commit, encoded) = sealed();
        let text = String::from_utf8(encoded.bytes.to_vec()).unwrap();
        assert!(!text.contains("host-1.example.com"), "{text}");
        assert_eq!(decode_with(&encoded.bytes, &One([9; 32])).unwrap(), commit);
        assert_eq!(key_of(&decode(&encoded.bytes).unwrap()), Sealable::Erased);
    }

    #[test]
    fn another_key_or_another_place_does_not_open_it() {
        let (_, encoded) = sealed();
        let wrong = decode_with(&encoded.bytes, &One([8; 32])).unwrap_err();
        assert!(
            matches!(wrong, DecodeError::Seal(SealError::Broken(_))),
            "{wrong}"
        );
        let text = String::from_utf8(encoded.bytes.to_vec()).unwrap();
        let moved = text.replacen(r#""version":1"#, r#""version":2"#, 1);
        assert!(decode_with(moved.as_bytes(), &One([9; 32])).is_err());
    }
}
