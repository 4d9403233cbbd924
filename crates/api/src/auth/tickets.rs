//! Tickets: what opens one live stream where no header can be sent, as from a page in a browser.
//!
//! A page asks for one by its credential and names it in the stream's address. What the ticket opens is what that
//! credential opens, and the stream looks at the credential again as ever.
//!
//! Kept in memory for half a minute: what is lost with a node is asked for again.
//! **Invariant:** a ticket is used once.
//! **Never:** a ticket itself; only its SHA-256.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use data_encoding::BASE32_NOPAD;
use mirage_domain::id::Digest;

/// How long a ticket is good.
pub const LIFETIME: Duration = Duration::from_secs(30);
/// Tickets that are good at once, and those of one credential.
const MAX: usize = 8_192;
const OF_ONE_MAX: usize = 16;

/// Why there is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("too many tickets wait to be used")]
    Full,
    #[error("the system gives no random bytes")]
    NoRandom,
}

struct Waiting {
    token: String,
    until: Instant,
}

/// See the module's doc.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<Digest, Waiting>>);

impl Tickets {
    /// A ticket for who shows this token.
    pub fn issue(&self, token: &str, now: Instant) -> Result<String, Error> {
        let mut waiting = self.0.lock().expect("no holder panics");
        waiting.retain(|_, one| now < one.until);
        let of_one = waiting.values().filter(|one| one.token == token);
        if of_one.count() >= OF_ONE_MAX || waiting.len() >= MAX {
            return Err(Error::Full);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| Error::NoRandom)?;
        let ticket = BASE32_NOPAD.encode(&secret).to_ascii_lowercase();
        let one = Waiting {
            token: token.to_owned(),
            until: now + LIFETIME,
        };
        waiting.insert(Digest::of(ticket.as_bytes()), one);
        Ok(ticket)
    }

    /// The token of who asked for a ticket; answered once.
    pub fn take(&self, ticket: &str, now: Instant) -> Option<String> {
        let mut waiting = self.0.lock().expect("no holder panics");
        let one = waiting.remove(&Digest::of(ticket.as_bytes()))?;
        (now < one.until).then_some(one.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue("token", now).unwrap();
        assert_eq!(tickets.take(&ticket, now).as_deref(), Some("token"));
        assert_eq!(tickets.take(&ticket, now), None);
        let late = tickets.issue("token", now).unwrap();
        assert_eq!(tickets.take(&late, now + LIFETIME), None);
        assert_eq!(tickets.take("guessed", now), None);
    }

    #[test]
    fn who_asks_for_many_hinders_nobody_else() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..OF_ONE_MAX {
            tickets.issue("greedy", now).unwrap();
        }
        assert_eq!(tickets.issue("greedy", now), Err(Error::Full));
        assert!(tickets.issue("other", now).is_ok());
        assert!(tickets.issue("greedy", now + LIFETIME).is_ok());
    }
}
