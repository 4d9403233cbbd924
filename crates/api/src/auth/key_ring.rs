//! The keys that sign access tokens: made here, rotated, and their public halves shown as a JWKS.
//!
//! One PKCS#8 file a key in a folder of their own, mode 0600, named after a UUIDv7, which is its id and tells its age.
//! A key signs once it has been shown for a while, so that whoever caches the JWKS has it by then, and it verifies until
//! the last token that it signed is over. Losing them all costs nobody more than a refresh.
//! **Invariant:** a key is found by its id in this ring and nowhere else; nothing that a token says is a path or an address.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use data_encoding::BASE64;
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::Serialize;
use uuid::Uuid;

/// Age at which a key gets a successor.
pub const ROTATE_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time for which a key is shown before it signs.
pub const SHOWN_BEFORE: Duration = Duration::from_secs(10 * 60);
/// Time for which a key verifies after its successor began to sign: longer than any access token lasts.
pub const KEPT_AFTER: Duration = Duration::from_secs(60 * 60);
/// Keys that are read of a folder, at most; a folder with more is not one of ours.
pub const KEYS_MAX: usize = 64;

/// RFC 8410: a version 0 PKCS#8 of Ed25519, up to its 32 bytes of secret.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the folder of signing keys {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is no Ed25519 key in PKCS#8; take it out of the folder")]
    Form(PathBuf),
    #[error("{0} may be read by others; chmod 600 it, or take it out if others could have read it")]
    Open(PathBuf),
    #[error("the folder has more than {KEYS_MAX} keys")]
    TooMany,
}

/// One key: it signs, or verifies only.
pub struct Key {
    pub id: String,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: DecodingKey,
    /// The public half, base 64 without padding.
    x: String,
    made_at: Timestamp,
}

/// The public half of a key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    pub kid: String,
    pub x: String,
}

/// The answer of `/.well-known/jwks.json` (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwks {
    pub keys: Vec<PublicKey>,
}

type Keys = BTreeMap<String, Arc<Key>>;

/// See the module's doc.
pub struct KeyRing {
    folder: PathBuf,
    keys: RwLock<Keys>,
}

impl KeyRing {
    /// Reads the keys of a folder, and makes the first one where there is none.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, Error> {
        let ring = Self {
            folder: folder.to_owned(),
            keys: RwLock::default(),
        };
        ring.rotate(now)?;
        Ok(ring)
    }

    /// The key that signs now: the newest that was shown long enough, else the oldest there is.
    pub fn signing(&self, now: Timestamp) -> Arc<Key> {
        let keys = self.read();
        let ripe = keys.values().rev().find(|key| key.age(now) >= SHOWN_BEFORE);
        let signing = ripe.or_else(|| keys.values().next());
        signing.expect("a ring is never without a key").clone()
    }

    /// The key of this id.
    pub fn key(&self, id: &str) -> Option<Arc<Key>> {
        self.read().get(id).cloned()
    }

    /// Public halves, oldest first.
    pub fn jwks(&self) -> Jwks {
        let public = |key: &Arc<Key>| PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: key.id.clone(),
            x: key.x.clone(),
        };
        let keys = self.read().values().map(public).collect();
        Jwks { keys }
    }

    /// Makes a successor where the newest key is old, deletes what no good token was signed with, and takes in what
    /// other processes did to the folder: a file that somebody removed verifies nothing any more. Call it every minute.
    pub fn rotate(&self, now: Timestamp) -> Result<(), Error> {
        let mut keys = self.load()?;
        let newest = keys.values().next_back();
        if newest.is_none_or(|key| key.age(now) >= ROTATE_AFTER) {
            let made = make(&self.folder, now).map_err(|source| self.failed(source));
            match made {
                Ok(key) => {
                    keys.insert(key.id.clone(), Arc::new(key));
                }
                // A mounted folder may be read-only: whoever mounts it rotates.
                Err(_) if !keys.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        for id in over(&keys, now) {
            // Another process may have been first; in a read-only folder it stays on disk and is still not used.
            let _ = fs::remove_file(file(&self.folder, &id));
            keys.remove(&id);
        }
        *self.keys.write().expect("no holder panics") = keys;
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.keys.read().expect("no holder panics")
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Folder {
            path: self.folder.clone(),
            source,
        }
    }

    fn load(&self) -> Result<Keys, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Keys::new()),
            Err(error) => return Err(self.failed(error)),
        };
        let mut keys = Keys::new();
        for entry in entries {
            let path = entry.map_err(|error| self.failed(error))?.path();
            if path.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            if keys.len() >= KEYS_MAX {
                return Err(Error::TooMany);
            }
            match read(&path) {
                Ok(key) => keys.insert(key.id.clone(), Arc::new(key)),
                // Deleted by another process between the listing and here.
                Err(Error::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    None
                }
                Err(error) => return Err(error),
            };
        }
        Ok(keys)
    }
}

impl Key {
    fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.made_at)).unwrap_or(Duration::ZERO)
    }

    fn of_pem(id: Uuid, pem: &str) -> Option<Self> {
        let signing = EncodingKey::from_ed_pem(pem.as_bytes()).ok()?;
        let public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA).ok()?;
        let AlgorithmParameters::OctetKeyPair(pair) = public.algorithm else {
            return None;
        };
        let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
        let made_at = Timestamp::new(i64::try_from(seconds).ok()?, nanoseconds as i32).ok()?;
        Some(Self {
            id: id.to_string(),
            verifying: DecodingKey::from_ed_components(&pair.x).ok()?,
            signing,
            x: pair.x,
            made_at,
        })
    }
}

/// The keys with which no token was signed that could still be good: their successor signs for longer than one lasts.
fn over(keys: &Keys, now: Timestamp) -> Vec<String> {
    let successors = keys.values().skip(1);
    let pairs = keys.values().zip(successors);
    let is_over = |(_, next): &(&Arc<Key>, &Arc<Key>)| next.age(now) >= SHOWN_BEFORE + KEPT_AFTER;
    pairs
        .filter(is_over)
        .map(|(key, _)| key.id.clone())
        .collect()
}

fn file(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.pem"))
}

fn read(path: &Path) -> Result<Key, Error> {
    let failed = |source| Error::Folder {
        path: path.to_owned(),
        source,
    };
    let meta = fs::metadata(path).map_err(failed)?;
    if is_open(&meta) {
        return Err(Error::Open(path.to_owned()));
    }
    let pem = fs::read_to_string(path).map_err(failed)?;
    let id = path.file_stem().and_then(|stem| stem.to_str());
    let id = id.and_then(|stem| Uuid::parse_str(stem).ok());
    let key = id.and_then(|id| Key::of_pem(id, &pem));
    key.ok_or_else(|| Error::Form(path.to_owned()))
}

#[cfg(unix)]
fn is_open(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // A group is how an orchestrator hands a mounted secret over; everybody is nobody's intention.
    meta.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn is_open(_: &fs::Metadata) -> bool {
    false
}

fn make(folder: &Path, now: Timestamp) -> io::Result<Key> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    let der = [&PKCS8_PREFIX[..], &secret].concat();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64.encode(&der)
    );
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        u64::try_from(now.as_second()).unwrap_or(0),
        now.subsec_nanosecond().unsigned_abs(),
    ));
    write(folder, &id.to_string(), &pem)?;
    Key::of_pem(id, &pem).ok_or_else(|| io::Error::other("a fresh key reads back"))
}

/// The whole file under its name, or nothing.
fn write(folder: &Path, id: &str, pem: &str) -> io::Result<()> {
    let mut folders = fs::DirBuilder::new();
    folders.recursive(true);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folders.mode(0o700);
        options.mode(0o600);
    }
    folders.create(folder)?;
    let fresh = folder.join(format!("{id}.new"));
    let mut file = options.open(&fresh)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, self::file(folder, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: Duration) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + time
    }

    fn ids(ring: &KeyRing) -> Vec<String> {
        ring.jwks().keys.into_iter().map(|key| key.kid).collect()
    }

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tokens");
        let first = KeyRing::open(&folder, at(Duration::ZERO)).unwrap();
        let again = KeyRing::open(&folder, at(Duration::from_secs(5))).unwrap();
        assert_eq!(first.jwks(), again.jwks());
        assert_eq!(first.jwks().keys.len(), 1);
        let shown = serde_json::to_value(first.jwks()).unwrap();
        assert_eq!(
            shown["keys"][0].as_object().unwrap().len(),
            6,
            "no secret: {shown}"
        );
    }

    #[test]
    fn a_successor_is_shown_before_it_signs_and_the_old_key_outlives_its_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), at(Duration::ZERO)).unwrap();
        let old = ids(&ring);
        assert_eq!(
            ring.signing(at(Duration::ZERO)).id,
            old[0],
            "there is no other"
        );

        ring.rotate(at(ROTATE_AFTER)).unwrap();
        let both = ids(&ring);
        assert_eq!((both.len(), &both[0]), (2, &old[0]));
        assert_eq!(ring.signing(at(ROTATE_AFTER)).id, old[0]);
        let later = at(ROTATE_AFTER + SHOWN_BEFORE);
        assert_eq!(ring.signing(later).id, both[1]);
        ring.rotate(later).unwrap();
        assert_eq!(ids(&ring), both, "its last token may still be good");

        ring.rotate(at(ROTATE_AFTER + SHOWN_BEFORE + KEPT_AFTER))
            .unwrap();
        assert_eq!(ids(&ring), both[1..]);
    }

    #[test]
    fn a_removed_file_verifies_nothing_and_another_process_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), at(Duration::ZERO)).unwrap();
        let old = ids(&ring).remove(0);
        fs::remove_file(file(folder.path(), &old)).unwrap();
        let other = KeyRing::open(folder.path(), at(Duration::from_secs(1))).unwrap();
        ring.rotate(at(Duration::from_secs(2))).unwrap();
        assert!(ring.key(&old).is_none());
        assert_eq!(ring.jwks(), other.jwks());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_may_read_is_refused_and_ours_are_not() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), at(Duration::ZERO)).unwrap();
        let path = file(folder.path(), &ids(&ring)[0]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = KeyRing::open(folder.path(), at(Duration::ZERO));
        assert!(matches!(refused, Err(Error::Open(_))));
    }

    #[test]
    fn what_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let id = Uuid::now_v7().to_string();
        write(
            folder.path(),
            &id,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let refused = KeyRing::open(folder.path(), at(Duration::ZERO));
        assert!(matches!(refused, Err(Error::Form(path)) if path.ends_with(format!("{id}.pem"))));
    }
}
