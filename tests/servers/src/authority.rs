//! Certificates for servers and their clients, signed by an authority that lives as long as a test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority that nobody trusts but who is given its file.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, each a PEM file that is gone with its authority.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// # Panics
    /// If no folder can be made; so do the rest.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate().expect("a key can be made");
        let own = params.self_signed(&key).expect("its own key signs it");
        write(&folder.path().join("ca.pem"), &own.pem());
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    /// What a client must trust: a PEM file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate of this machine: `localhost`, 127.0.0.1, ::1.
    pub fn server(&self) -> Identity {
        self.signed("server", &["localhost", "127.0.0.1", "::1"])
    }

    /// A certificate of names and addresses, for either side; it lies in files of this name.
    pub fn signed(&self, name: &str, hosts: &[&str]) -> Identity {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names and addresses");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params
            .signed_by(&key, &self.issuer)
            .expect("an authority signs");
        let at = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        let identity = Identity {
            certificate: at("pem"),
            key: at("key"),
        };
        write(&identity.certificate, &signed.pem());
        write(&identity.key, &key.serialize_pem());
        identity
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file in our own folder");
}
