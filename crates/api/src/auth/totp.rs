//! One-time codes of an authenticator (RFC 6238): SHA-1, 30 seconds, 6 digits.
//!
//! That a code is accepted once is kept in the user's stream (`user.totp_used`), so it holds for all processes.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha1::Sha1;

/// Length of a step, in seconds.
pub const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose codes count, too: a clock that is off, a code typed slowly.
pub const STEPS_AROUND: u64 = 1;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Length of a fresh secret, in bytes: the length of the hash (RFC 4226, requirement 6).
const SECRET_BYTES: usize = 20;

/// A fresh secret in base 32, as authenticators take it; none if the system gives no random bytes.
pub fn fresh_secret() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE32_NOPAD.encode(&bytes))
}

/// What an authenticator reads as a picture; `name` is a sign-in name.
pub fn uri(secret: &str, name: &str) -> String {
    let name = name.replace('+', "%2B").replace('@', "%40");
    format!(
        "otpauth://totp/Mirage:{name}?secret={secret}&issuer=Mirage&digits={DIGITS}&period={STEP_SECONDS}"
    )
}

/// The step that a time lies in.
pub fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.as_second()).unwrap_or(0) / STEP_SECONDS
}

/// The code of a step, with leading zeros; none if the secret is not base 32.
pub fn code(secret: &str, step: u64) -> Option<String> {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).ok()?;
    let mut mac = <Hmac<Sha1>>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    // Dynamic truncation, RFC 4226, section 5.3.
    let offset = usize::from(hash[19] & 0xf);
    let bytes = hash[offset..offset + 4].try_into().expect("four bytes");
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    let modulus = 10u32.pow(DIGITS as u32);
    Some(format!("{:0DIGITS$}", number % modulus))
}

/// The step whose code this is, if it is one around the present; the caller uses it up.
pub fn step_of(secret: &str, shown: &str, now: Timestamp) -> Option<u64> {
    let present = step_at(now);
    let steps = present.saturating_sub(STEPS_AROUND)..=present + STEPS_AROUND;
    // Each is compared, and each in full, so that the time tells nothing.
    let equal = |step: &u64| code(secret, *step).is_some_and(|code| is_equal(&code, shown));
    steps.filter(equal).fold(None, |_, step| Some(step))
}

fn is_equal(left: &str, right: &str) -> bool {
    let pairs = left.bytes().zip(right.bytes());
    let difference = pairs.fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the RFC's examples: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of its eight digits.
        let examples = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (second, want) in examples {
            assert_eq!(code(SECRET, step_at(at(second))).as_deref(), Some(want));
        }
    }

    #[test]
    fn a_code_counts_one_step_around_its_own() {
        let shown = code(SECRET, 100).unwrap();
        for (step, want) in [
            (98, None),
            (99, Some(100)),
            (100, Some(100)),
            (101, Some(100)),
            (102, None),
        ] {
            let now = at(step * STEP_SECONDS as i64);
            assert_eq!(step_of(SECRET, &shown, now), want, "at step {step}");
        }
    }

    #[test]
    fn what_is_no_code_never_fits() {
        let now = at(59);
        for shown in ["", "28708", "2870820", "287083", "２８７０８２", " 287082"] {
            assert_eq!(step_of(SECRET, shown, now), None, "{shown:?}");
        }
        assert_eq!(step_of("not base 32", "287082", now), None);
    }

    #[test]
    fn a_fresh_secret_is_one_that_a_user_can_have() {
        let secret = fresh_secret().unwrap();
        assert_eq!(
            BASE32_NOPAD.decode(secret.as_bytes()).unwrap().len(),
            SECRET_BYTES
        );
        assert!(
            uri(&secret, "ada@example.com")
                .starts_with("otpauth://totp/Mirage:ada%40example.com?secret=")
        );
    }
}
