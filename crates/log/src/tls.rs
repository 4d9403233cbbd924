//! Why there is no TLS with a server, found among the causes of any client's error.

use std::error::Error;

use rustls::{AlertDescription, CertificateError};

/// Parts whose servers may be shown a certificate.
const SHOWN: [&str; 3] = ["catalog", "graph", "log"];

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody that is trusted signed the server's certificate.
    Authority,
    /// The server's certificate is for other names.
    Name,
    /// The server's certificate is too old, or not yet valid.
    Time,
    /// The server wants a certificate, and another one than it was shown.
    Certificate,
    /// The server speaks something else.
    Plain,
    Other,
}

impl Trouble {
    /// None where TLS is not what failed.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        match found(error)? {
            Found::Rustls(error) => Some(Self::of_rustls(error)),
            Found::CutOff => Some(Self::Plain),
        }
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
        match error {
            InvalidCertificate(why) => match why {
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Time,
                _ => Self::Authority,
            },
            AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                // Of one that another authority of the same name has signed.
                | AlertDescription::DecryptError,
            ) => Self::Certificate,
            InvalidMessage(_) => Self::Plain,
            _ => Self::Other,
        }
    }

    /// What to do, in the words of the configuration: `part.ca`, `part.certificate`, and the key of the address.
    pub fn fix(self, part: &str, address: &str) -> String {
        match self {
            Self::Authority => format!(
                "nobody that is trusted here signed its certificate; name the file of who did in `{part}.ca`"
            ),
            Self::Name => format!(
                "its certificate is for another name; put one that it holds into `{part}.{address}`"
            ),
            Self::Time => {
                "its certificate is too old or not yet valid; renew it, or set this clock"
                    .to_owned()
            }
            Self::Certificate if !SHOWN.contains(&part) => {
                "it wants a certificate, and this program has none to show it".to_owned()
            }
            Self::Certificate => format!(
                "it wants a certificate that it trusts; name one and its key in `{part}.certificate` and `{part}.key`"
            ),
            Self::Plain => format!(
                "it does not speak TLS there; correct `{part}.{address}`, or turn TLS on in the server"
            ),
            Self::Other => format!("look at `{part}.{address}` and `{part}.ca`"),
        }
    }
}

enum Found<'e> {
    Rustls(&'e rustls::Error),
    /// The server hung up on the first words of TLS.
    CutOff,
}

/// What of TLS stands among the causes; an I/O error hides its own from them.
fn found<'e>(error: &'e (dyn Error + 'static)) -> Option<Found<'e>> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref() {
            return Some(Found::Rustls(error));
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let inner: &'e (dyn Error + 'static) = error.get_ref()?;
            // As tokio-rustls says it.
            return match inner.to_string() == "tls handshake eof" {
                true => Some(Found::CutOff),
                false => found(inner),
            };
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_found_below_other_errors() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = std::io::Error::other(std::io::Error::other(unknown));
        let error = crate::evidence::Error::Unreachable(error.into());
        assert_eq!(Trouble::of(&error), Some(Trouble::Authority));
        let fix = Trouble::Authority.fix("evidence", "endpoint");
        assert!(fix.contains("`evidence.ca`"), "{fix}");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Trouble::of(&refused), None);
    }
}
