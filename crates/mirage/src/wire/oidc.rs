//! Sign-in by an issuer of OpenID Connect: from the configuration to the gateway's settings.

use mirage_api::auth::oidc::{Oidc, Settings};
use mirage_api::error::Problem;
use reqwest::Certificate;

use crate::config::Config;

/// Without an issuer there is none; with one, the keys that belong to it have to be there.
pub(super) fn of(config: &Config) -> Result<Option<Oidc>, Problem> {
    let text = |key: &str| {
        let value = config.get(key).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    };
    let Some(issuer) = text("serve.oidc_issuer") else {
        return Ok(None);
    };
    let needed = |key: &str| {
        let missing = || {
            let detail = format!("serve.oidc_issuer is set, and {key} is not");
            Problem::new("bad_config", detail)
        };
        text(key).ok_or_else(missing)
    };
    let settings = Settings {
        issuer,
        client_id: needed("serve.oidc_client_id")?,
        address: needed("serve.oidc_redirect")?,
        secret: text("serve.oidc_secret"),
        label: text("serve.oidc_label").unwrap_or_default(),
        landing: text("serve.oidc_landing"),
        authorities: authorities(config)?,
    };
    let oidc = Oidc::new(settings);
    Ok(Some(
        oidc.map_err(|error| Problem::of("bad_config", &error))?,
    ))
}

fn authorities(config: &Config) -> Result<Vec<Certificate>, Problem> {
    let Some(path) = config.get("serve.oidc_ca") else {
        return Ok(Vec::new());
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new("bad_config", format!("serve.oidc_ca: {path}: {error}"))
    };
    let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&error))
}
