//! Sign-ins that wait for a browser to come back, and codes that wait to be given tokens for.
//!
//! Kept in memory, each for a short time: what is lost with a node is begun again.
//! **Invariant:** a state or a code is used once, in time, and by the browser that holds the cookie it was made with.
//! **Never:** a state, a code or a cookie in the clear; only its SHA-256.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use mirage_domain::id::{Digest, WorkspaceId};

use super::{Named, Purpose, Refusal};
use crate::buckets::network;

/// How long somebody may take at the issuer.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long a code of ours waits: a page sends it as soon as it is there.
pub const GRANT_LIFETIME: Duration = Duration::from_secs(60);
/// Sign-ins that wait at once, and those of one address, which an office may share.
const WAITING_MAX: usize = 4_096;
const WAITING_OF_ADDRESS_MAX: usize = 64;

/// Too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("too many sign-ins wait for their issuer")]
    Full,
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// What a sign-in begins with.
pub struct Begun {
    pub state: String,
    pub nonce: String,
    /// SHA-256 of the verifier (RFC 7636, section 4.2).
    pub challenge: String,
    pub cookie: String,
}

/// A sign-in that waited.
pub struct Waiting {
    pub nonce: String,
    pub verifier: String,
    pub purpose: Purpose,
    browser: Digest,
    from: u128,
    until: Instant,
}

/// Whom a code of ours lets in, and to which workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub named: Named,
    pub workspace: WorkspaceId,
}

struct Grant {
    granted: Granted,
    browser: Digest,
    until: Instant,
}

/// See the module's doc.
#[derive(Default)]
pub struct Flows {
    waiting: Mutex<HashMap<Digest, Waiting>>,
    grants: Mutex<HashMap<Digest, Grant>>,
}

impl Flows {
    /// Lets a sign-in wait.
    pub fn begin(&self, purpose: Purpose, from: IpAddr, now: Instant) -> Result<Begun, Full> {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.retain(|_, one| now < one.until);
        let from = network(from);
        let of_address = waiting.values().filter(|one| one.from == from).count();
        if of_address >= WAITING_OF_ADDRESS_MAX || waiting.len() >= WAITING_MAX {
            return Err(Full::Full);
        }
        let [state, nonce, verifier, cookie] = [secret()?, secret()?, secret()?, secret()?];
        let challenge = BASE64URL_NOPAD.encode(&digest(&verifier).0);
        let one = Waiting {
            nonce: nonce.clone(),
            verifier,
            purpose,
            browser: digest(&cookie),
            from,
            until: now + LIFETIME,
        };
        waiting.insert(digest(&state), one);
        Ok(Begun {
            state,
            nonce,
            challenge,
            cookie,
        })
    }

    /// The sign-in of a state, which is used up by that.
    pub fn take(
        &self,
        state: &str,
        cookie: Option<&str>,
        now: Instant,
    ) -> Result<Waiting, Refusal> {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        let one = waiting.remove(&digest(state)).ok_or(Refusal::State)?;
        match cookie.map(digest) {
            _ if now >= one.until => Err(Refusal::State),
            Some(cookie) if cookie == one.browser => Ok(one),
            _ => Err(Refusal::Browser),
        }
    }

    /// A code for a browser that has come back.
    pub fn grant(&self, granted: Granted, cookie: &str, now: Instant) -> Result<String, Full> {
        let code = secret()?;
        let mut grants = self.grants.lock().expect("no holder panics");
        grants.retain(|_, one| now < one.until);
        if grants.len() >= WAITING_MAX {
            return Err(Full::Full);
        }
        let one = Grant {
            granted,
            browser: digest(cookie),
            until: now + GRANT_LIFETIME,
        };
        grants.insert(digest(&code), one);
        Ok(code)
    }

    /// Whom a code lets in; it is used up by that.
    pub fn redeem(
        &self,
        code: &str,
        cookie: Option<&str>,
        now: Instant,
    ) -> Result<Granted, Refusal> {
        let mut grants = self.grants.lock().expect("no holder panics");
        let one = grants.remove(&digest(code)).ok_or(Refusal::Grant)?;
        match cookie.map(digest) {
            _ if now >= one.until => Err(Refusal::Grant),
            Some(cookie) if cookie == one.browser => Ok(one.granted),
            _ => Err(Refusal::Browser),
        }
    }
}

/// Found by hash, so that how long a look takes tells nothing of what is kept.
fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// 32 random bytes in 43 characters, which RFC 7636 has as the least of a verifier.
fn secret() -> Result<String, Full> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Full::NoRandom)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn purpose() -> Purpose {
        Purpose::SignIn(WorkspaceId::new("default").unwrap())
    }

    fn granted() -> Granted {
        Granted {
            named: Named {
                issuer: "https://id.example".into(),
                subject: "s".into(),
            },
            workspace: WorkspaceId::new("default").unwrap(),
        }
    }

    fn refused(taken: Result<Waiting, Refusal>) -> Option<Refusal> {
        taken.err()
    }

    #[test]
    fn a_state_is_used_once_in_time_and_by_its_browser() {
        let (flows, now) = (Flows::default(), Instant::now());
        let begin = || flows.begin(purpose(), FROM, now).unwrap();
        let begun = begin();
        assert!(flows.take(&begun.state, Some(&begun.cookie), now).is_ok());
        let again = flows.take(&begun.state, Some(&begun.cookie), now);
        assert_eq!(refused(again), Some(Refusal::State));
        for cookie in [None, Some("another")] {
            let taken = flows.take(&begin().state, cookie, now);
            assert_eq!(refused(taken), Some(Refusal::Browser), "{cookie:?}");
        }
        let begun = begin();
        let late = flows.take(&begun.state, Some(&begun.cookie), now + LIFETIME);
        assert_eq!(refused(late), Some(Refusal::State));
    }

    #[test]
    fn a_code_is_used_once_in_time_and_by_its_browser() {
        let (flows, now) = (Flows::default(), Instant::now());
        let grant = || flows.grant(granted(), "own", now).unwrap();
        let code = grant();
        assert_eq!(flows.redeem(&code, Some("own"), now), Ok(granted()));
        let again = flows.redeem(&code, Some("own"), now);
        assert_eq!(again, Err(Refusal::Grant));
        let foreign = flows.redeem(&grant(), Some("another"), now);
        assert_eq!(foreign, Err(Refusal::Browser));
        let late = flows.redeem(&grant(), Some("own"), now + GRANT_LIFETIME);
        assert_eq!(late, Err(Refusal::Grant));
    }

    #[test]
    fn an_address_lets_few_sign_ins_wait_and_hinders_no_other() {
        let (flows, now) = (Flows::default(), Instant::now());
        for _ in 0..WAITING_OF_ADDRESS_MAX {
            flows.begin(purpose(), FROM, now).unwrap();
        }
        assert!(flows.begin(purpose(), FROM, now).is_err());
        let other = IpAddr::from([192, 0, 2, 2]);
        assert!(flows.begin(purpose(), other, now).is_ok());
        assert!(flows.begin(purpose(), FROM, now + LIFETIME).is_ok());
    }

    #[test]
    fn all_addresses_together_are_bounded() {
        let (flows, now) = (Flows::default(), Instant::now());
        let begun = (0..=WAITING_MAX as u32).map(|number| {
            let from = IpAddr::from((number + (10 << 24)).to_be_bytes());
            flows.begin(purpose(), from, now).is_ok()
        });
        assert_eq!(begun.filter(|is_begun| *is_begun).count(), WAITING_MAX);
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        let (flows, now) = (Flows::default(), Instant::now());
        let begun = flows.begin(purpose(), FROM, now).unwrap();
        let waiting = flows.take(&begun.state, Some(&begun.cookie), now).unwrap();
        assert_eq!(waiting.verifier.len(), 43);
        let hash = BASE64URL_NOPAD.decode(begun.challenge.as_bytes()).unwrap();
        assert_eq!(hash, Digest::of(waiting.verifier.as_bytes()).0);
    }
}
