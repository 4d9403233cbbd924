//! All that this process logs, its libraries included: for tests that look for secrets there.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use data_encoding::{BASE64, HEXLOWER};
use tracing_subscriber::filter::LevelFilter;

/// See the module's doc.
pub struct Overheard(Mutex<Vec<u8>>);

/// Begins to listen, once for the process; what its other tests log is heard, too.
///
/// # Panics
/// If somebody else listens already.
pub fn overhear() -> &'static Overheard {
    static HEARD: OnceLock<Overheard> = OnceLock::new();
    static LISTENS: OnceLock<()> = OnceLock::new();
    let heard = HEARD.get_or_init(|| Overheard(Mutex::default()));
    LISTENS.get_or_init(|| {
        // It takes in what is written for the crate `log`, too.
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || Listener(heard))
            .init();
    });
    heard
}

impl Overheard {
    /// All so far.
    pub fn text(&self) -> String {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Nothing so far holds the secret: as it is, as a list of bytes, in base 64 or 16.
    ///
    /// # Panics
    /// With the line that does.
    pub fn holds_no(&self, secret: &str) {
        assert!(secret.len() > 7, "a word that stands anywhere is no secret");
        let bytes = format!("{:?}", secret.as_bytes());
        let forms = [
            secret.to_owned(),
            bytes.trim_matches(['[', ']']).to_owned(),
            BASE64
                .encode(secret.as_bytes())
                .trim_end_matches('=')
                .to_owned(),
            HEXLOWER.encode(secret.as_bytes()),
        ];
        let text = self.text();
        let told = text
            .lines()
            .find(|line| forms.iter().any(|form| line.contains(form.as_str())));
        assert!(told.is_none(), "`{secret}` is logged: {told:?}");
    }
}

/// An error as it may be shown: its words and those of its causes, and all of it for a programmer.
pub fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|error| format!("{error} {error:?} ")).collect()
}

/// Writes to what was overheard.
struct Listener(&'static Overheard);

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut heard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
