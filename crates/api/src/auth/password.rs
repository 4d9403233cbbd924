//! Passwords: slow to guess from what is kept, and as slow for names that nobody has.
//!
//! argon2id with the parameters that OWASP gives as a minimum (Password Storage Cheat Sheet). One check takes some 20 ms
//! and 19 MiB: how many go on at once is the caller's to bound.
//! **Never:** a password in an error, a log, or an event.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory of one check, in KiB: 19 MiB.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes; one, as nothing is computed in parallel.
pub const LANES: u32 = 1;
/// Shortest password, in characters (ASVS 4.0, 2.1.1).
pub const CHARACTERS_MIN: usize = 12;
/// Longest password, in bytes; enough for any sentence, and it bounds the work of hashing one.
pub const BYTES_MAX: usize = 512;

/// What a check of a name that nobody has is held against: of the same cost as a real one. Salt and hash are made up.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bWlyYWdlLW5vYm9keS0xNg$\
    AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a password has at least {CHARACTERS_MIN} characters")]
    Short,
    #[error("a password has at most {BYTES_MAX} bytes")]
    Long,
    #[error("a password must not contain the sign-in name, nor be one character over and over")]
    Easy,
    #[error("the system gives no random bytes")]
    Random,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether a password is fit for a user of this sign-in name. No rules of composition (NIST SP 800-63B, 3.1.1.2).
pub fn check(password: &str, name: &str) -> Result<(), Error> {
    if password.len() > BYTES_MAX {
        return Err(Error::Long);
    }
    if password.chars().count() < CHARACTERS_MIN {
        return Err(Error::Short);
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    let is_one_character = lower.chars().all(|character| Some(character) == first);
    // A name of one or two letters would stand in most sentences.
    if is_one_character || (name.len() > 2 && lower.contains(&name.to_lowercase())) {
        return Err(Error::Easy);
    }
    Ok(())
}

/// What is kept of a password: a PHC string with a fresh salt. Blocks for some 20 ms.
pub fn hash(password: &str) -> Result<String, Error> {
    if password.len() > BYTES_MAX {
        return Err(Error::Long);
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| Error::Random)?;
    let hash: PasswordHash = argon2()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("bounded password, salt and constants");
    Ok(hash.to_string())
}

/// Whether the password is the one that `phc` was made of; `None` stands for a name that nobody has, or a user without a
/// password, takes as long, and is never right. Blocks for some 20 ms.
pub fn verify(password: &str, phc: Option<&str>) -> bool {
    if password.len() > BYTES_MAX {
        return false;
    }
    let parsed = phc.and_then(|phc| PasswordHash::new(phc).ok());
    let held = PasswordHash::new(NOBODY).expect("a constant of the right form");
    let is_equal = argon2()
        .verify_password(password.as_bytes(), parsed.as_ref().unwrap_or(&held))
        .is_ok();
    is_equal && parsed.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_what_was_made_of_it_and_nothing_else() {
        let kept = hash("correct horse battery").unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        assert!(verify("correct horse battery", Some(&kept)));
        assert!(!verify("correct horse batterz", Some(&kept)));
        assert!(!verify("", Some(&kept)));
        assert_ne!(hash("correct horse battery").unwrap(), kept, "salted");
    }

    #[test]
    fn nobody_has_no_password_and_a_broken_string_no_match() {
        for phc in [
            None,
            Some(""),
            Some("$argon2id$"),
            Some("correct horse battery"),
        ] {
            assert!(!verify("correct horse battery", phc));
        }
    }

    #[test]
    fn a_weak_password_is_refused() {
        let check = |password: &str| check(password, "ada");
        assert_eq!(check("elevenchars"), Err(Error::Short));
        assert_eq!(check("aaaaaaaaaaaaaaa"), Err(Error::Easy));
        assert_eq!(check("my name is Ada, surely"), Err(Error::Easy));
        assert_eq!(check(&"ab".repeat(BYTES_MAX)), Err(Error::Long));
        assert_eq!(check("correct horse battery"), Ok(()));
    }

    /// The cost is a function of these alone: a stopwatch would measure the machine's other work.
    #[test]
    fn a_name_that_nobody_has_costs_as_much() {
        let kept = hash("another horse battery").unwrap();
        let cost = |phc: &str| {
            let parsed = PasswordHash::new(phc).unwrap();
            let (salt, hash) = (parsed.salt.unwrap(), parsed.hash.unwrap());
            let params = Params::try_from(&parsed).unwrap();
            let work = (params.m_cost(), params.t_cost(), params.p_cost());
            (
                parsed.algorithm.to_string(),
                parsed.version,
                work,
                salt.len(),
                hash.len(),
            )
        };
        assert_eq!(cost(NOBODY), cost(&kept));
    }
}
