//! The company's certificates: a root, an intermediate, and one leaf per name, made when asked for.
//!
//! One Ed25519 key drawn from the seed signs and serves everything: its signatures are
//! deterministic, so a certificate has the same bytes, and the same fingerprint, in every run.
//! **Invariant:** the chain that is sent is leaf and intermediate; only the root is in the CA file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::names::{Company, DOMAIN, draw};
use crate::traps;

/// The organization that the company's own certificate names.
pub(crate) const ORGANIZATION: &str = "Mirage Corp GmbH";
/// An Ed25519 private key in PKCS#8 (RFC 8410) up to the 32 bytes of the key itself.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// The mail box that the company's certificate names, and nothing else does.
pub(crate) fn contact() -> String {
    format!("certificates@{DOMAIN}")
}

/// Issues and remembers certificates; the `ResolvesServerCert` of every TLS server of the world.
pub(crate) struct Authority {
    company: Arc<Company>,
    issuer: Issuer<'static, KeyPair>,
    key: Arc<dyn SigningKey>,
    pub(crate) root_pem: String,
    intermediate: CertificateDer<'static>,
    /// By server name; the default certificate stands under the name it carries.
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub(crate) fn new(company: Arc<Company>) -> anyhow::Result<Authority> {
        let der = pkcs8(company.seed);
        let pair = || {
            KeyPair::from_pkcs8_der_and_sign_algo(
                &PrivatePkcs8KeyDer::from(der.clone()),
                &PKCS_ED25519,
            )
        };
        let root_params = ca_params("Mirage World Root");
        let root = root_params.self_signed(&pair()?)?;
        let root_issuer = Issuer::new(root_params, pair()?);
        let params = ca_params("Mirage World Intermediate");
        let intermediate = params.signed_by(&pair()?, &root_issuer)?.der().clone();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.clone()));
        let key = ring::sign::any_supported_type(&private).context("reading the world's key")?;
        Ok(Authority {
            company,
            issuer: Issuer::new(params, pair()?),
            key,
            root_pem: root.pem(),
            intermediate,
            issued: Mutex::default(),
        })
    }

    /// The certificate shown for `name`; for none, and for a name that is not ours, the default.
    pub(crate) fn certificate(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let name = name
            .map(str::to_ascii_lowercase)
            .filter(|name| self.is_ours(name));
        let name = name.unwrap_or_else(|| self.company.name("edge"));
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let made = issued.entry(name).or_insert_with_key(|name| {
            Arc::new(
                self.issue(name)
                    .expect("the names of the company make valid certificates"),
            )
        });
        Arc::clone(made)
    }

    fn is_ours(&self, name: &str) -> bool {
        self.company.machine(name).is_some() || traps::is_trap(name)
    }

    fn issue(&self, name: &str) -> anyhow::Result<CertifiedKey> {
        let is_company = name == DOMAIN || name == format!("www.{DOMAIN}");
        let mut params = if is_company {
            self.company_params()?
        } else {
            leaf_params(name)?
        };
        if name == self.company.name("expired") {
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let chain = if name == self.company.name("selfsigned") {
            vec![params.self_signed(self.issuer.key())?.der().clone()]
        } else {
            let leaf = params.signed_by(self.issuer.key(), &self.issuer)?;
            vec![leaf.der().clone(), self.intermediate.clone()]
        };
        Ok(CertifiedKey::new(chain, Arc::clone(&self.key)))
    }

    /// The certificate of the public site, which gives away a name, a mail box and a firm.
    fn company_params(&self) -> anyhow::Result<CertificateParams> {
        let mut params = leaf_params(DOMAIN)?;
        for name in [format!("www.{DOMAIN}"), self.company.name("api")] {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.try_into()?));
        }
        params
            .subject_alt_names
            .push(SanType::Rfc822Name(contact().try_into()?));
        params
            .distinguished_name
            .push(DnType::OrganizationName, ORGANIZATION);
        Ok(params)
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate(hello.server_name()))
    }
}

/// A server configuration that offers these protocols by ALPN.
pub(crate) fn server(
    authority: &Arc<Authority>,
    protocols: &[&str],
) -> anyhow::Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(authority) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    Ok(Arc::new(config))
}

fn pkcs8(seed: u64) -> Vec<u8> {
    let key = (0..4).flat_map(|part| draw(seed, &format!("key {part}")).to_be_bytes());
    PKCS8_PREFIX.into_iter().chain(key).collect()
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = dated(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(name: &str) -> anyhow::Result<CertificateParams> {
    let mut params = dated(name);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Named, numbered and dated by the name alone, so that every run makes the same bytes.
fn dated(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // The highest bit stays clear: a serial number is positive (RFC 5280, 4.1.2.2).
    let serial = draw(0, name) >> 1;
    params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    params
}
