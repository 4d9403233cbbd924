//! Files that a setting names: read and understood once, for as long as they stay as they are.
//!
//! The file is the user's own, and the only thing besides the probe that a collector reads.

use std::sync::Arc;
use std::time::SystemTime;

use mirage_domain::id::Digest;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

use crate::collectors::CollectError;

/// What a file's bytes mean; the error says what is wrong with them.
pub(in crate::collectors) type Understand<T> = fn(Vec<u8>) -> Result<T, String>;

/// A file as it was understood, and the SHA-256 of its bytes.
pub(in crate::collectors) struct Understood<T> {
    pub(in crate::collectors) content: T,
    pub(in crate::collectors) digest: Digest,
}

/// The last file of one module. A changed file, or another scan's, takes its place.
pub(in crate::collectors) struct Kept<T>(Mutex<Option<(Stamp, Outcome<T>)>>);

/// What was wrong with a file is kept as well: it is read once for all inputs.
type Outcome<T> = Result<Arc<Understood<T>>, CollectError>;

#[derive(PartialEq, Eq)]
struct Stamp {
    path: String,
    bytes: u64,
    changed: Option<SystemTime>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(in crate::collectors) const fn new() -> Self {
        Self(Mutex::const_new(None))
    }

    /// The file at `path`, of at most `bytes_max`. `Refused` if it cannot be read, `Malformed` if not understood.
    pub(in crate::collectors) async fn read(
        &self,
        path: &str,
        bytes_max: u64,
        understand: Understand<T>,
    ) -> Outcome<T> {
        let refused = |reason: String| CollectError::Refused(format!("{path}: {reason}"));
        let mut kept = self.0.lock().await;
        // Before it is opened: a pipe would wait for its writer.
        let metadata = tokio::fs::metadata(path).await;
        let metadata = metadata.map_err(|error| refused(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > bytes_max {
            return Err(refused(format!("no file of at most {bytes_max} bytes")));
        }
        let stamp = Stamp {
            path: path.to_owned(),
            bytes: metadata.len(),
            changed: metadata.modified().ok(),
        };
        if let Some((known, outcome)) = kept.as_ref()
            && *known == stamp
        {
            return outcome.clone();
        }
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|error| refused(error.to_string()))?;
        let mut bytes = Vec::new();
        let mut file = file.take(bytes_max);
        let read = file.read_to_end(&mut bytes).await;
        read.map_err(|error| refused(error.to_string()))?;
        let work = tokio::task::spawn_blocking(move || {
            let digest = Digest::of(&bytes);
            understand(bytes).map(|content| Arc::new(Understood { content, digest }))
        });
        let understood = work.await.map_err(|error| refused(error.to_string()))?;
        let wrong = |reason| CollectError::Malformed(format!("{path}: {reason}"));
        let outcome = understood.map_err(wrong);
        *kept = Some((stamp, outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text(bytes: Vec<u8>) -> Result<String, String> {
        String::from_utf8(bytes).map_err(|_| "no text".to_owned())
    }

    #[tokio::test]
    async fn a_file_is_read_once_until_it_changes() {
        let kept = Kept::new();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let first = kept.read(&path, 10, text).await.unwrap();
        let second = kept.read(&path, 10, text).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.digest, Digest::of(b"one"));
        file.write_all(b" two").unwrap();
        let third = kept.read(&path, 10, text).await.unwrap();
        assert_eq!(third.content, "one two");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_too_long_or_not_understood_is_said_so() {
        let kept = Kept::new();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"\xff\xff\xff").unwrap();
        let path = file.path().to_str().unwrap();
        for (path, most, reason) in [
            ("no/such/file", 10, "refused"),
            ("/", 10, "refused"),
            (path, 2, "refused"),
            (path, 10, "malformed"),
            (path, 10, "malformed"),
        ] {
            let failed = kept.read(path, most, text).await.err();
            assert_eq!(failed.map(|error| error.reason()), Some(reason), "{path}");
        }
    }
}
