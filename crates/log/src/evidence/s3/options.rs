//! Where the bucket is and what opens it. Nothing is taken from the environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use crate::evidence::Error;

/// How long a request that fails is tried again, unless the options say otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Tries of one request after the first: with the pauses below they take about ten seconds.
const RETRIES_MAX: usize = 8;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Of a bucket: what S3 once allowed.
const NAME_MAX: usize = 255;
const CONNECT: Duration = Duration::from_secs(5);

/// A bucket, and the credentials for it.
#[derive(Clone)]
pub struct Options {
    /// `http://host:port` or `https://…`; none for AWS.
    pub endpoint: Option<String>,
    pub region: String,
    pub bucket: String,
    /// Folders before the workspaces', without slashes around; may be empty.
    pub prefix: String,
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// `endpoint/bucket/key`; otherwise `bucket.endpoint/key`.
    pub is_path_style: bool,
    /// Whether the endpoint may be plain http.
    pub allows_http: bool,
    /// The local index of small items, a file that may be deleted at any time; none: a temporary one, made anew by each
    /// process from the packs.
    pub index: Option<PathBuf>,
    /// How long a request waits for an answer, and how long one that failed is tried again: [`PATIENCE`].
    pub patience: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint.as_deref().map(without_user))
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("access_key", &self.access_key)
            .field("secret_key", &"…")
            .field("session_token", &self.session_token.as_ref().map(|_| "…"))
            .field("ca", &self.ca)
            .field("is_path_style", &self.is_path_style)
            .field("allows_http", &self.allows_http)
            .field("index", &self.index)
            .field("patience", &self.patience)
            .finish()
    }
}

/// One with a user is refused when it is used, and must not be shown until then.
fn without_user(endpoint: &str) -> &str {
    endpoint.rsplit_once('@').map_or(endpoint, |(_, host)| host)
}

impl Options {
    /// A bucket of AWS in its first region, without a prefix; change the fields for any other.
    pub fn of(bucket: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            prefix: String::new(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: None,
            ca: None,
            is_path_style: true,
            allows_http: false,
            index: None,
            patience: PATIENCE,
        }
    }

    /// What tells this bucket from others.
    pub(super) fn identity(&self) -> String {
        let endpoint = self.endpoint.as_deref().unwrap_or("aws");
        format!("{endpoint} {} {} {}", self.region, self.bucket, self.prefix)
    }

    /// The client ends the process over a key that no header can hold, and asks for whatever path a bucket's name makes.
    fn check(&self) -> Result<(), Error> {
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_name = |text: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=NAME_MAX).contains(&text.len())
                && text.bytes().all(is_plain)
                && !text.contains("..")
        };
        let wrong = match () {
            () if !is_name(&self.bucket) || self.bucket == "." => {
                "`evidence.bucket` must be 1 to 255 letters, digits, `-`, `_` and `.`"
            }
            () if !is_name(&self.region) => {
                "`evidence.region` must be 1 to 255 letters, digits, `-`, `_` and `.`"
            }
            () if !is_word(&self.access_key) => {
                "`evidence.access_key` holds a space, a line break or what is no ASCII"
            }
            () if !is_word(&self.secret_key) => {
                "`evidence.secret_key` holds a space, a line break or what is no ASCII"
            }
            () if !self.session_token.as_deref().is_none_or(is_word) => {
                "the session token holds a space, a line break or what is no ASCII"
            }
            () => return Ok(()),
        };
        Err(Error::Open(wrong.into()))
    }

    pub(super) fn client(&self) -> Result<AmazonS3, Error> {
        self.check()?;
        let mut builder = AmazonS3Builder::new()
            .with_region(&self.region)
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_virtual_hosted_style_request(!self.is_path_style)
            .with_client_options(self.http()?)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: PAUSE_FIRST,
                    max_backoff: PAUSE_MAX,
                    ..BackoffConfig::default()
                },
                max_retries: RETRIES_MAX,
                retry_timeout: self.patience,
            });
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = self.endpoint()? {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().map_err(|error| Error::Open(error.into()))
    }

    fn endpoint(&self) -> Result<Option<String>, Error> {
        let Some(endpoint) = &self.endpoint else {
            return Ok(None);
        };
        let refused = |why: String| Error::Open(why.into());
        let endpoint = endpoint.trim_end_matches('/');
        if endpoint.contains('@') {
            // It would be shown with every failure.
            let why = "a key has a place of its own, `evidence.secret_key`, and not in `evidence.endpoint`";
            return Err(Error::Open(why.into()));
        }
        let (scheme, host) = endpoint
            .split_once("://")
            .ok_or_else(|| refused(format!("the endpoint {endpoint} is no http(s) address")))?;
        match scheme {
            "https" => {}
            "http" if self.ca.is_some() => {
                let why = "`evidence.ca` is named, and `evidence.endpoint` is plain http";
                return Err(Error::Open(why.into()));
            }
            "http" if self.allows_http => {}
            "http" => {
                let why = format!("the endpoint {endpoint} is plain http, which must be allowed");
                return Err(refused(why));
            }
            _ => {
                return Err(refused(format!(
                    "the endpoint {endpoint} is no http(s) address"
                )));
            }
        }
        Ok(Some(match self.is_path_style {
            true => endpoint.to_owned(),
            false => format!("{scheme}://{}.{host}", self.bucket),
        }))
    }

    fn http(&self) -> Result<ClientOptions, Error> {
        // Per read and answer, not for the whole of it: a large item takes as long as it takes.
        let mut http = ClientOptions::new()
            .with_allow_http(self.allows_http)
            .with_connect_timeout(CONNECT.min(self.patience))
            .with_timeout_disabled()
            .with_read_timeout(self.patience);
        if let Some(path) = &self.ca {
            let unusable = |why: String| {
                let path = path.display();
                Error::Open(
                    format!("`evidence.ca` names {path}, which cannot be used: {why}").into(),
                )
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let bundle = Certificate::from_pem_bundle(&pem);
            let bundle = bundle.map_err(|error| unusable(error.to_string()))?;
            if bundle.is_empty() {
                return Err(unusable("it holds no certificate".to_owned()));
            }
            for certificate in bundle {
                http = http.with_root_certificate(certificate);
            }
        }
        Ok(http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            session_token: Some("the-token".to_owned()),
            allows_http: true,
            ..Options::of("evidence", "key", "the-secret")
        }
    }

    #[test]
    fn what_is_printed_has_no_secrets() {
        let printed = format!("{:?}", options());
        assert!(
            printed.contains("127.0.0.1") && !printed.contains("the-"),
            "{printed}"
        );
    }

    #[test]
    fn plain_http_must_be_allowed() {
        let options = Options {
            allows_http: false,
            ..options()
        };
        let Err(Error::Open(why)) = options.endpoint() else {
            panic!("was allowed");
        };
        assert!(why.to_string().contains("plain http"), "{why}");
    }

    #[test]
    fn a_key_in_the_address_and_a_file_for_no_tls_are_refused() {
        let with_key = Options {
            endpoint: Some("https://me:the-secret@127.0.0.1".to_owned()),
            ..options()
        };
        let for_no_tls = Options {
            ca: Some("ca.pem".into()),
            ..options()
        };
        for (options, key) in [
            (with_key, "evidence.secret_key"),
            (for_no_tls, "evidence.ca"),
        ] {
            let Err(Error::Open(why)) = options.endpoint() else {
                panic!("was taken");
            };
            let said = format!("{why} {options:?}");
            assert!(said.contains(key) && !said.contains("the-secret"), "{said}");
        }
    }

    #[test]
    fn no_name_or_key_leaves_its_place_in_a_request() {
        type Set = fn(&mut Options, String);
        let hostile = ["a b", "a\r\nx: y", "a\n", "a\0", "é", "a\tb"];
        let in_paths = [
            "", ".", "..", "a/../b", "a/b", "a?x", "a#x", "a%2f", "*", ">",
        ];
        let set: [(&str, Set); 5] = [
            ("evidence.bucket", |options, text| options.bucket = text),
            ("evidence.region", |options, text| options.region = text),
            ("evidence.access_key", |options, text| {
                options.access_key = text
            }),
            ("evidence.secret_key", |options, text| {
                options.secret_key = text
            }),
            ("session token", |options, text| {
                options.session_token = Some(text)
            }),
        ];
        for (key, set) in set {
            let is_path = key == "evidence.bucket";
            let in_paths = in_paths.iter().filter(|_| is_path);
            for text in hostile.iter().chain(in_paths) {
                let mut options = options();
                set(&mut options, (*text).to_owned());
                let refused = options.client().unwrap_err();
                let Error::Open(why) = refused else {
                    panic!("{text:?}: {refused:?}");
                };
                assert!(why.to_string().contains(key), "{text:?}: {why}");
            }
        }
        assert!(options().check().is_ok());
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host() {
        let endpoint = |is_path_style| {
            Options {
                is_path_style,
                ..options()
            }
            .endpoint()
        };
        assert_eq!(endpoint(true).unwrap().unwrap(), "http://127.0.0.1:9");
        assert_eq!(
            endpoint(false).unwrap().unwrap(),
            "http://evidence.127.0.0.1:9"
        );
    }
}
