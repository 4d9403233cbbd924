//! Public keys: SSH keys as published, and fingerprints of PGP keys that are marked as such.

use std::sync::LazyLock;

use data_encoding::{BASE64, BASE64_NOPAD};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use regex::Regex;

use super::{Mention, pattern};

/// Characters of a key; RSA of 16 384 bits has 2 800.
const KEY_CHARS_MAX: usize = 4096;

static SSH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) +(AAAA[0-9A-Za-z+/]{40,}={0,2})",
    )
});
/// draft-ietf-openpgp-… `openpgp4fpr:` as security.txt has it (RFC 9116 §2.5.4).
static PGP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\bopenpgp4fpr:([0-9a-f]{40}|[0-9a-f]{64})\b"));

pub(super) fn of(text: &str) -> impl Iterator<Item = Mention> {
    let ssh = SSH
        .captures_iter(text)
        .filter_map(|found| ssh(&found[1], &found[2]));
    let pgp = PGP.captures_iter(text).filter_map(|found| {
        let entity = Entity::new(Kind::PublicKey, &format!("pgp:{}", &found[1]));
        entity.ok().map(Mention::new)
    });
    ssh.chain(pgp)
}

/// The blob begins with its algorithm's name (RFC 4253 §6.6), which a text that only looks like one does not.
fn ssh(algorithm: &str, blob: &str) -> Option<Mention> {
    if blob.len() > KEY_CHARS_MAX {
        return None;
    }
    let bytes = BASE64.decode(blob.as_bytes()).ok()?;
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length != algorithm.len() || !rest.starts_with(algorithm.as_bytes()) {
        return None;
    }
    let hash = BASE64_NOPAD.encode(&Digest::of(&bytes).0);
    let mut mention =
        Mention::new(Entity::new(Kind::PublicKey, &format!("ssh:SHA256:{hash}")).ok()?);
    mention.attributes = vec![("algorithm", algorithm.to_owned())];
    Some(mention)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        of(text)
            .map(|mention| mention.entity.key().to_owned())
            .collect()
    }

    #[test]
    fn a_key_is_known_by_its_fingerprint() {
        // GitHub's, with the fingerprint that it publishes beside it.
        let text = "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        assert_eq!(
            keys(text),
            ["ssh:SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"]
        );
        let text = "Encryption: openpgp4fpr:d1a66e1a23b182c9980f788cfbfcc82a015e7330";
        assert_eq!(keys(text), ["pgp:D1A66E1A23B182C9980F788CFBFCC82A015E7330"]);
        for text in [
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
            "ssh-ed25519 AAAA",
            "d1a66e1a23b182c9980f788cfbfcc82a015e7330",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }
}
