//! Devices that wait to be let in: a code for the device, and one that a person types (RFC 8628).
//!
//! Kept in memory, each for ten minutes: what is lost with a node is asked for again.
//! **Invariant:** a code is used once, and a device is let in by nobody but who was in when it was decided.
//! **Never:** a device code; only its SHA-256.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use data_encoding::BASE32_NOPAD;
use mirage_domain::id::{Digest, SessionId, UserId, WorkspaceId};

use crate::buckets::{Buckets, Wait, network};

/// How long a code is good.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// Between two polls of a device; every one that comes too soon adds as much (RFC 8628, section 3.5).
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Devices that wait at once, and those of one address: somebody who asks for many hinders nobody else.
const WAITING_MAX: usize = 4_096;
const WAITING_OF_ADDRESS_MAX: usize = 16;
/// Codes that a person may type in a row, right or wrong; then one a minute.
pub const GUESSES: u32 = 10;
const GUESS_REFILL: Duration = Duration::from_secs(60);
/// No vowels, so that no word comes out, and nothing that is read as something else (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a user code: about 34 bits, of which ten are guessed.
const CODE_LETTERS: usize = 8;

/// A device as it is shown to the person who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    pub address: IpAddr,
}

/// The codes of a device, told once.
pub struct Codes {
    pub device: String,
    pub user: String,
}

/// Who allowed a device, by which session, and for which workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    pub user: UserId,
    pub session: SessionId,
    pub workspace: WorkspaceId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    None,
    Allowed(Allowed),
    Denied,
}

/// Why there is no code, or why it opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("too many devices wait to be let in")]
    Full,
    #[error("the system gives no random bytes")]
    NoRandom,
    #[error("nobody has decided yet")]
    Pending,
    #[error("poll every {0} seconds")]
    SlowDown(u64),
    #[error("the device was refused")]
    Denied,
    #[error("the code is not good, or not any more")]
    Expired,
    #[error("no device waits with this code")]
    NoDevice,
    #[error("try again in {0} seconds")]
    TooManyGuesses(u64),
}

struct Waiting {
    user_code: String,
    device: Device,
    until: Instant,
    interval: Duration,
    polled: Option<Instant>,
    word: Word,
}

/// See the module's doc.
pub struct Devices {
    waiting: Mutex<HashMap<Digest, Waiting>>,
    guesses: Mutex<Buckets<String>>,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            guesses: Mutex::new(Buckets::new(GUESSES, GUESS_REFILL)),
        }
    }
}

impl Devices {
    /// Lets a device wait.
    pub fn begin(&self, device: Device, now: Instant) -> Result<Codes, Error> {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.retain(|_, one| now < one.until);
        let from = network(device.address);
        let of_address = waiting
            .values()
            .filter(|one| network(one.device.address) == from);
        if of_address.count() >= WAITING_OF_ADDRESS_MAX || waiting.len() >= WAITING_MAX {
            return Err(Error::Full);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| Error::NoRandom)?;
        let user = loop {
            let code = user_code()?;
            if waiting.values().all(|one| one.user_code != code) {
                break code;
            }
        };
        let codes = Codes {
            device: BASE32_NOPAD.encode(&secret).to_ascii_lowercase(),
            user: format!("{}-{}", &user[..4], &user[4..]),
        };
        let one = Waiting {
            user_code: user,
            device,
            until: now + LIFETIME,
            interval: INTERVAL,
            polled: None,
            word: Word::None,
        };
        waiting.insert(Digest::of(codes.device.as_bytes()), one);
        Ok(codes)
    }

    /// The device that waits with this code, for somebody who is in.
    pub fn show(&self, who: &UserId, typed: &str, now: Instant) -> Result<Device, Error> {
        self.find(who, typed, now, |one| one.device.clone())
    }

    /// Says once whether the device with this code is let in.
    pub fn decide(
        &self,
        by: Allowed,
        typed: &str,
        is_allowed: bool,
        now: Instant,
    ) -> Result<Device, Error> {
        let who = by.user.clone();
        self.find(&who, typed, now, |one| {
            one.word = match is_allowed {
                true => Word::Allowed(by),
                false => Word::Denied,
            };
            one.device.clone()
        })
    }

    fn find<T>(
        &self,
        who: &UserId,
        typed: &str,
        now: Instant,
        found: impl FnOnce(&mut Waiting) -> T,
    ) -> Result<T, Error> {
        self.count_guess(who, now)?;
        let typed = plain(typed).ok_or(Error::NoDevice)?;
        let mut waiting = self.waiting.lock().expect("no holder panics");
        let is_open = |one: &&mut Waiting| {
            one.user_code == typed && one.word == Word::None && now < one.until
        };
        let one = waiting.values_mut().find(is_open);
        one.map(found).ok_or(Error::NoDevice)
    }

    fn count_guess(&self, who: &UserId, now: Instant) -> Result<(), Error> {
        let mut guesses = self.guesses.lock().expect("no holder panics");
        let who = who.to_string();
        if let Some(Wait(wait)) = guesses.wait(&who, now) {
            return Err(Error::TooManyGuesses(wait.as_secs() + 1));
        }
        guesses.filled(&who, now).left -= 1;
        Ok(())
    }

    /// Who allowed the device that polls; answered once.
    pub fn poll(&self, device_code: &str, now: Instant) -> Result<Allowed, Error> {
        let key = Digest::of(device_code.as_bytes());
        let mut waiting = self.waiting.lock().expect("no holder panics");
        let one = waiting
            .get_mut(&key)
            .filter(|one| now < one.until)
            .ok_or(Error::Expired)?;
        let is_early = |last| now.saturating_duration_since(last) < one.interval;
        if one.polled.is_some_and(is_early) {
            one.interval += INTERVAL;
            one.polled = Some(now);
            return Err(Error::SlowDown(one.interval.as_secs()));
        }
        one.polled = Some(now);
        if one.word == Word::None {
            return Err(Error::Pending);
        }
        match waiting.remove(&key).map(|one| one.word) {
            Some(Word::Allowed(allowed)) => Ok(allowed),
            _ => Err(Error::Denied),
        }
    }
}

/// A code as it is kept: whoever types it may leave out the dash, or write small.
fn plain(typed: &str) -> Option<String> {
    // A code has ten bytes; whatever is far longer was not typed.
    let letters = typed.get(..typed.len().min(32))?.bytes();
    let letters = letters.filter(|byte| !matches!(byte, b'-' | b' '));
    let code: Vec<u8> = letters.map(|byte| byte.to_ascii_uppercase()).collect();
    let is_code = code.len() == CODE_LETTERS && code.iter().all(|byte| LETTERS.contains(byte));
    is_code.then(|| String::from_utf8(code).expect("ASCII"))
}

fn user_code() -> Result<String, Error> {
    let mut code = String::new();
    while code.len() < CODE_LETTERS {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| Error::NoRandom)?;
        // 240 is the largest multiple of 20 in a byte: what is above would make some letters likelier.
        let fair = bytes.into_iter().filter(|byte| *byte < 240);
        let letters = fair.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        code.extend(letters.take(CODE_LETTERS - code.len()));
    }
    Ok(code)
}

#[cfg(test)]
mod tests;
