//! Forged tokens, in families: none of them opens anything, and each has a good twin that does.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Map, Value, json};

use super::*;

const ISSUER: &str = "https://mirage.example.com";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn subject() -> Subject {
    Subject {
        user: UserId::new("usr_ada").unwrap(),
        session: SessionId::new("ses_one").unwrap(),
        workspace: WorkspaceId::new("default").unwrap(),
        role: Role::Analyst,
    }
}

/// A gateway, what its header and claims are, and the means of somebody who forges.
struct Forge {
    tokens: Tokens,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Names of what was forged, and the tokens.
    forged: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn text(map: &Map<String, Value>) -> String {
    Value::Object(map.clone()).to_string()
}

/// The key of somebody else, with its public half.
fn stranger() -> (EncodingKey, String) {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(folder.path(), now()).unwrap();
    let key = ring.signing(now());
    (key.signing.clone(), ring.jwks().keys[0].x.clone())
}

impl Forge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), now()).unwrap();
        let tokens = Tokens::new(ISSUER.to_owned(), ring);
        let good = tokens.sign(subject(), now());
        let object = |encoded: &str| {
            let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let parts: Vec<&str> = good.split('.').collect();
        Self {
            header: object(parts[0]),
            claims: object(parts[1]),
            tokens,
            forged: Vec::new(),
            _folder: folder,
        }
    }

    fn kid(&self) -> String {
        self.header["kid"].as_str().unwrap().to_owned()
    }

    /// Signed by the gateway's own key, so that nothing but what is said decides.
    fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let key = self.tokens.ring.signing(now());
        let signature = sign(message.as_bytes(), &key.signing, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn add(&mut self, name: impl Into<String>, token: String) {
        self.forged.push((name.into(), token));
    }

    /// One member of the header is another, the signature right.
    fn with_header(&mut self, member: &str, value: Value) {
        let mut header = self.header.clone();
        header.insert(member.to_owned(), value.clone());
        let token = self.signed(&text(&header), &text(&self.claims));
        self.add(format!("header {member} = {value}"), token);
    }

    /// One claim is another, the signature right.
    fn with_claim(&mut self, member: &str, value: Value) {
        let mut claims = self.claims.clone();
        claims.insert(member.to_owned(), value.clone());
        let token = self.signed(&text(&self.header), &text(&claims));
        self.add(format!("claim {member} = {value}"), token);
    }

    fn algorithms(&mut self) {
        let claims = text(&self.claims);
        for alg in [
            "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "RS384",
            "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "eddsa",
            "EDDSA", "EdDSA ", "Ed25519", "Ed448", "dir",
        ] {
            self.with_header("alg", json!(alg));
            let mut header = self.header.clone();
            header.insert("alg".into(), json!(alg));
            let bare = format!("{}.{}.", part(text(&header)), part(&claims));
            self.add(format!("alg {alg}, unsigned"), bare);
        }
        for alg in [
            Value::Null,
            json!(["EdDSA"]),
            json!({}),
            json!(0),
            json!(true),
        ] {
            self.with_header("alg", alg);
        }
    }

    /// The public key as the secret of an HMAC, in each form in which somebody may have it.
    fn public_key_as_secret(&mut self) {
        let x = self.tokens.ring.jwks().keys[0].x.clone();
        let raw = BASE64URL_NOPAD.decode(x.as_bytes()).unwrap();
        let jwks = serde_json::to_vec(&self.tokens.ring.jwks()).unwrap();
        let secrets = [
            x.into_bytes(),
            raw,
            jwks,
            b"".to_vec(),
            b"secret".to_vec(),
            self.kid().into_bytes(),
        ];
        let algorithms = [
            ("HS256", Algorithm::HS256),
            ("HS384", Algorithm::HS384),
            ("HS512", Algorithm::HS512),
        ];
        for (number, secret) in secrets.iter().enumerate() {
            for (alg, algorithm) in algorithms {
                for said in [alg, "EdDSA"] {
                    let mut header = self.header.clone();
                    header.insert("alg".into(), json!(said));
                    let message = format!("{}.{}", part(text(&header)), part(text(&self.claims)));
                    let key = EncodingKey::from_secret(secret);
                    let signature = sign(message.as_bytes(), &key, algorithm).unwrap();
                    self.add(
                        format!("{alg} as {said} under secret {number}"),
                        format!("{message}.{signature}"),
                    );
                }
            }
        }
    }

    fn key_ids(&mut self) {
        let kid = self.kid();
        let other = uuid::Uuid::now_v7().to_string();
        let (upper, longer) = (kid.to_uppercase(), format!("{kid}.pem"));
        let (below, above) = (format!("./{kid}"), format!("../tokens/{kid}"));
        for kid in [
            "",
            "0",
            &other,
            &upper,
            &longer,
            &below,
            &above,
            "../../../../etc/passwd",
            "/dev/null",
            "..\\..\\key",
            "file:///dev/null",
            "https://evil.example/jwks.json",
            "' OR '1'='1",
            "$(id)",
            "| cat",
            "\0",
            "%2e%2e%2f",
            "*",
            &kid[1..],
            &format!("{kid} "),
            &format!("{kid}\0"),
            &format!("{{{kid}}}"),
            &kid.replace('-', ""),
        ] {
            self.with_header("kid", json!(kid));
        }
        for kid in [Value::Null, json!([kid]), json!({ "kid": kid }), json!(1)] {
            self.with_header("kid", kid);
        }
    }

    /// Keys and addresses of keys in the header, signed by their owner; and ours with such members beside.
    fn keys_in_the_header(&mut self) {
        let (key, x) = stranger();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid(), "x": x});
        let members = [
            ("jwk", jwk),
            ("jku", json!("https://evil.example/jwks.json")),
            ("jku", json!(format!("{ISSUER}/.well-known/jwks.json"))),
            ("x5u", json!("https://evil.example/chain.pem")),
            ("x5c", json!(["MIIB"])),
            ("x5t", json!("AAAA")),
            ("x5t#S256", json!("AAAA")),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("enc", json!("A128GCM")),
            ("cty", json!("JWT")),
            ("iss", json!(ISSUER)),
        ];
        for (member, value) in members {
            self.with_header(member, value.clone());
            let mut header = self.header.clone();
            header.insert(member.to_owned(), value);
            let message = format!("{}.{}", part(text(&header)), part(text(&self.claims)));
            let signature = sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
            self.add(
                format!("{member}, signed by a stranger"),
                format!("{message}.{signature}"),
            );
        }
        let message = format!("{}.{}", part(text(&self.header)), part(text(&self.claims)));
        let signature = sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        self.add("signed by a stranger", format!("{message}.{signature}"));
    }

    fn types(&mut self) {
        for typ in [
            "JWT",
            "jwt",
            "at+JWT",
            "AT+JWT",
            "application/at+jwt",
            "dpop+jwt",
            "logout+jwt",
            "id_token",
            "",
        ] {
            self.with_header("typ", json!(typ));
        }
        self.with_header("typ", Value::Null);
        self.with_header("typ", json!(["at+jwt"]));
    }

    fn times(&mut self) {
        let second = now().as_second();
        for exp in [
            0,
            -1,
            i64::MIN,
            second,
            second - 1,
            second - 86_400,
            second + 901,
            second + 86_400 * 365,
            i64::MAX,
        ] {
            self.with_claim("exp", json!(exp));
        }
        for unfit in [
            json!(second.to_string()),
            json!((second + 600).to_string()),
            json!(second as f64 + 600.5),
            json!(1e300),
            json!(u64::MAX),
            json!([second + 600]),
            json!({ "exp": second + 600 }),
            json!(true),
            json!(""),
            json!("2036-01-01T00:00:00Z"),
            Value::Null,
        ] {
            for member in ["exp", "nbf", "iat"] {
                self.with_claim(member, unfit.clone());
            }
        }
        for member in ["nbf", "iat"] {
            for late in [second + 31, second + 600, second + 86_400, i64::MAX] {
                self.with_claim(member, json!(late));
            }
        }
        self.with_claim("nbf", json!(second - 1));
        self.with_claim("iat", json!(second - 60));
    }

    fn claims(&mut self) {
        let wrong = |claim: &Value| {
            let text = claim.as_str().unwrap();
            vec![
                json!(""),
                json!(format!("{text}.")),
                json!(format!("{text}\0")),
                json!([]),
                json!([text]),
                json!([[text]]),
                json!({ "0": text }),
                Value::Null,
                json!(0),
            ]
        };
        for member in ["iss", "aud", "sub", "sid", "workspace", "role"] {
            for value in wrong(&self.claims[member].clone()) {
                self.with_claim(member, value);
            }
        }
        self.with_claim("iss", json!(format!("{ISSUER}/")));
        self.with_claim("iss", json!("http://mirage.example.com"));
        self.with_claim("iss", json!([ISSUER, "https://evil.example"]));
        self.with_claim("aud", json!(["mirage", "other"]));
        self.with_claim("aud", json!("Mirage"));
        self.with_claim("role", json!("root"));
        self.with_claim("role", json!("Owner"));
        self.with_claim("workspace", json!("../system"));
        self.with_claim("workspace", json!("default/x"));
        self.with_claim("admin", json!(true));
        for member in self.claims.keys().cloned().collect::<Vec<_>>() {
            let mut claims = self.claims.clone();
            claims.remove(&member);
            let token = self.signed(&text(&self.header), &text(&claims));
            self.add(format!("no claim {member}"), token);
        }
        for member in self.header.keys().cloned().collect::<Vec<_>>() {
            let mut header = self.header.clone();
            header.remove(&member);
            let token = self.signed(&text(&header), &text(&self.claims));
            self.add(format!("no {member} in the header"), token);
        }
    }

    /// JSON that two readers may read differently, or that is none.
    fn documents(&mut self) {
        let (header, claims) = (text(&self.header), text(&self.claims));
        for member in self.claims.keys().cloned().collect::<Vec<_>>() {
            let value = &self.claims[&member];
            let twice = format!("{{\"{member}\":{value},{}", &claims[1..]);
            let token = self.signed(&header, &twice);
            self.add(format!("claim {member} twice"), token);
        }
        for member in self.header.keys().cloned().collect::<Vec<_>>() {
            let value = &self.header[&member];
            let twice = format!("{},\"{member}\":{value}}}", &header[..header.len() - 1]);
            let token = self.signed(&twice, &claims);
            self.add(format!("{member} twice in the header"), token);
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let nested = format!("{},\"x\":{deep}}}", &claims[..claims.len() - 1]);
        for odd in [
            "",
            "{}",
            "[]",
            "null",
            "0",
            "\"\"",
            "true",
            &deep,
            &nested,
            &format!("[{claims}]"),
            &format!("{claims}{claims}"),
            &format!("{claims},"),
            &claims[..claims.len() - 1],
            &claims.replace('"', "'"),
            &format!("\u{feff}{claims}"),
        ] {
            let token = self.signed(&header, odd);
            self.add(format!("claims are {odd:.40}"), token);
        }
        for odd in [
            "",
            "{}",
            "[]",
            "null",
            &deep,
            &format!("[{header}]"),
            &format!("{header}x"),
            &header.replace('"', "'"),
        ] {
            let token = self.signed(odd, &claims);
            self.add(format!("header is {odd:.40}"), token);
        }
    }

    fn signatures(&mut self) {
        let good = self.tokens.sign(subject(), now());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let identity = [&[1u8][..], &[0; 31]].concat();
        // s + order is the same number to who does not look: a second signature of one message.
        let mut carry = 0;
        let sum: Vec<u8> = bytes[32..]
            .iter()
            .zip(order)
            .map(|(left, right)| {
                let sum = u16::from(*left) + u16::from(right) + carry;
                carry = sum >> 8;
                sum as u8
            })
            .collect();
        let odd: [(&str, Vec<u8>); 12] = [
            ("r = s = 0", vec![0; 64]),
            (
                "r is the identity, s = 0",
                [identity.clone(), vec![0; 32]].concat(),
            ),
            ("r = 0", [&[0; 32], &bytes[32..]].concat()),
            ("s = 0", [&bytes[..32], &[0; 32]].concat()),
            ("s is the order", [&bytes[..32], &order].concat()),
            ("s and the order", [&bytes[..32], &sum].concat()),
            ("all ones", vec![0xff; 64]),
            (
                "r and s changed round",
                [&bytes[32..], &bytes[..32]].concat(),
            ),
            ("63 bytes", bytes[..63].to_vec()),
            ("65 bytes", [&bytes[..], &[0]].concat()),
            ("twice", [&bytes[..], &bytes[..]].concat()),
            ("none", Vec::new()),
        ];
        for (name, bytes) in odd {
            self.add(
                format!("signature: {name}"),
                format!("{message}.{}", part(bytes)),
            );
        }
        let other = Tokens::sign(
            &self.tokens,
            Subject {
                role: Role::Owner,
                ..subject()
            },
            now(),
        );
        let lent = other.rsplit_once('.').unwrap().0;
        self.add(
            "the signature of another token",
            format!("{lent}.{signature}"),
        );
    }

    /// The good token, damaged on the way.
    fn damage(&mut self) {
        let good = self.tokens.sign(subject(), now());
        let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        for at in (0..good.len()).step_by(7) {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(token) = String::from_utf8(bytes) {
                self.add(format!("bit of byte {at} flipped"), token);
            }
        }
        for length in (0..good.len()).step_by(23) {
            self.add(format!("cut to {length} bytes"), good[..length].to_owned());
        }
        for end in ["=", "==", "A", "AA", ".", " ", "\n", "\0", "é"] {
            self.add(format!("{end:?} added"), format!("{good}{end}"));
            self.add(format!("{end:?} before"), format!("{end}{good}"));
        }
        // The last character carries two bits; a lax decoder takes sixteen characters for one.
        let (start, last) = good.split_at(good.len() - 1);
        let others = BASE64URL_NOPAD.specification().symbols;
        for other in others.chars().filter(|other| !last.starts_with(*other)) {
            self.add(format!("ends in {other:?}"), format!("{start}{other}"));
        }
        let [header, claims, signature] = parts.try_into().expect("three parts");
        for (name, token) in [
            ("two parts", format!("{header}.{claims}")),
            (
                "five parts, as of a JWE",
                format!("{header}.{claims}.{claims}.{claims}.{signature}"),
            ),
            (
                "parts changed round",
                format!("{claims}.{header}.{signature}"),
            ),
            ("no header", format!(".{claims}.{signature}")),
            ("no claims", format!("{header}..{signature}")),
            ("dots only", "..".to_owned()),
            (
                "the other base 64",
                format!("{header}.{claims}.{}+/", &signature[..signature.len() - 2]),
            ),
            ("padded parts", format!("{header}=.{claims}=.{signature}==")),
            (
                "as JSON",
                json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
            ),
            ("with its scheme", format!("Bearer {good}")),
        ] {
            self.add(name, token);
        }
        let mut claims = self.claims.clone();
        claims.insert("jti".into(), json!("x".repeat(BYTES_MAX)));
        let long = self.signed(&text(&self.header), &text(&claims));
        self.add("longer than is looked at", long);
        self.add("a megabyte", "a".repeat(1 << 20));
    }
}

#[test]
fn no_forged_token_opens_anything() {
    let mut forge = Forge::new();
    forge.algorithms();
    forge.public_key_as_secret();
    forge.key_ids();
    forge.keys_in_the_header();
    forge.types();
    forge.times();
    forge.claims();
    forge.documents();
    forge.signatures();
    forge.damage();
    assert!(forge.forged.len() >= 200, "{}", forge.forged.len());
    for (name, token) in &forge.forged {
        let verified = forge.tokens.verify(token, now());
        assert!(verified.is_err(), "{name}: {verified:?}");
    }
    // The forge's own way of signing is right, so that what was refused was refused for what it says.
    let good = forge.signed(&text(&forge.header), &text(&forge.claims));
    assert!(forge.tokens.verify(&good, now()).is_ok());
}

#[test]
fn a_good_token_says_who_it_is_until_it_is_over() {
    let forge = Forge::new();
    let token = forge.tokens.sign(subject(), now());
    let claims = forge.tokens.verify(&token, now()).unwrap();
    let said = (claims.sub, claims.sid, claims.workspace, claims.role);
    let Subject {
        user,
        session,
        workspace,
        role,
    } = subject();
    assert_eq!(said, (user, session, workspace, role));
    let last = now() + LIFETIME - Duration::from_secs(1);
    assert!(forge.tokens.verify(&token, last).is_ok());
    let over = forge.tokens.verify(&token, now() + LIFETIME);
    assert_eq!(over, Err(Refusal::Over));
    assert!(forge.tokens.verify(&token, now() - CLOCK_AHEAD_MAX).is_ok());
    let early = now() - CLOCK_AHEAD_MAX - Duration::from_secs(1);
    assert_eq!(forge.tokens.verify(&token, early), Err(Refusal::Early));
}

#[test]
fn a_rotation_turns_no_good_token_away_and_a_revoked_key_all_of_its_own() {
    use crate::auth::key_ring::{KEPT_AFTER, ROTATE_AFTER, SHOWN_BEFORE};
    let forge = Forge::new();
    let ring = &forge.tokens.ring;
    let end = ROTATE_AFTER + SHOWN_BEFORE + KEPT_AFTER;
    let mut held: Vec<(Timestamp, String)> = Vec::new();
    let mut checked = 0;
    for minute in (0..=end.as_secs() / 60).step_by(7) {
        let time = now() + Duration::from_secs(minute * 60);
        ring.rotate(time).unwrap();
        held.retain(|(signed, _)| time < *signed + LIFETIME);
        for (_, token) in &held {
            assert!(forge.tokens.verify(token, time).is_ok(), "minute {minute}");
            checked += 1;
        }
        held.push((time, forge.tokens.sign(subject(), time)));
    }
    assert!(checked > 10_000, "{checked}");

    let time = held.last().unwrap().0;
    for key in ring.jwks().keys {
        std::fs::remove_file(forge._folder.path().join(format!("{}.pem", key.kid))).unwrap();
    }
    ring.rotate(time).unwrap();
    for (_, token) in &held {
        assert_eq!(forge.tokens.verify(token, time), Err(Refusal::Key));
    }
}

#[test]
fn anybody_can_verify_with_the_public_key_set() {
    let forge = Forge::new();
    let token = forge.tokens.sign(subject(), now());
    let shown = serde_json::to_string(&forge.tokens.ring.jwks()).unwrap();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&shown).unwrap();
    let key = DecodingKey::from_jwk(set.find(&forge.kid()).unwrap()).unwrap();
    let read = jsonwebtoken::decode::<Claims>(&token, &key, &forge.tokens.validation()).unwrap();
    assert_eq!(read.claims.workspace, subject().workspace);
}
