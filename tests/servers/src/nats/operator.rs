//! An operator with one account and its user, for servers that trust no list of users.
//!
//! A claim is a JWT that its issuer's nkey signed, with the algorithm that NATS calls `ed25519-nkey`
//! (ADR-14 of nats-architecture-and-design).

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// See the module's doc.
pub struct Operator {
    /// Of a server's configuration.
    pub(super) configuration: String,
    creds: String,
    seed: String,
}

impl Operator {
    /// # Panics
    /// Where the machine gives no random bytes.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let (system_key, account_key) = (system.public_key(), account.public_key());
        let itself = json!({"type": "operator", "version": 2, "system_account": system_key});
        let limits = |storage: i64| {
            json!({
                "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
                "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
            })
        };
        let of_account =
            |storage| json!({"type": "account", "version": 2, "limits": limits(storage)});
        let of_user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let root = claim(&operator, &operator.public_key(), itself);
        let configuration = format!(
            "operator: {root}\nsystem_account: {system_key}\nresolver: MEMORY\nresolver_preload: {{\n  {system_key}: \
             {}\n  {account_key}: {}\n}}\n",
            claim(&operator, &system_key, of_account(0)),
            claim(&operator, &account_key, of_account(-1)),
        );
        let seed = user.seed().expect("a key that was made has a seed");
        let token = claim(&account, &user.public_key(), of_user);
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        Self {
            configuration,
            creds,
            seed,
        }
    }

    /// What stands in the user's `.creds` file.
    pub fn creds(&self) -> &str {
        &self.creds
    }

    /// The secret in it.
    pub fn seed(&self) -> &str {
        &self.seed
    }
}

fn claim(issuer: &KeyPair, subject: &str, nats: Value) -> String {
    let mut claims = json!({
        "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "tests", "sub": subject, "nats": nats,
    });
    let id = BASE32_NOPAD.encode(&Sha256::digest(claims.to_string()));
    claims["jti"] = id.into();
    let part = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let head = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let signed = format!("{head}.{}", part(claims));
    let signature = issuer
        .sign(signed.as_bytes())
        .expect("a key with a seed signs");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}
