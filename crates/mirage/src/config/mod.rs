//! Configuration in layers: flag > `MIRAGE_*` > `./mirage.toml` > user > system > default.
//!
//! One table of keys, [`keys::all`]; `config explain` shows which layer won.
//! **Invariant:** an unknown key or an unfit value is a fault, and no command but `config` and `doctor` runs with one.
//! **Never:** a secret shown.

mod keys;
pub(crate) mod layers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mirage_api::error::Problem;

#[cfg(test)]
pub(crate) use keys::Form;
pub(crate) use keys::Key;

use crate::cli::time;

/// Where a value comes from, strongest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    Flag(String),
    Environment(String),
    /// `./mirage.toml`
    Here(PathBuf),
    User(PathBuf),
    System(PathBuf),
    Default,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Here(path) => write!(f, "here {}", path.display()),
            Self::User(path) => write!(f, "user {}", path.display()),
            Self::System(path) => write!(f, "system {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) layer: Layer,
    pub(crate) key: String,
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        // What stands on the command line is usage; what stands elsewhere is configuration.
        let (code, detail) = match (&fault.layer, fault.key.as_str()) {
            (layer @ Layer::Flag(_), _) => ("usage", format!("{layer}: {}", fault.what)),
            (layer, "") => ("bad_config", format!("{layer}: {}", fault.what)),
            (layer, key) => ("bad_config", format!("{layer}: `{key}`: {}", fault.what)),
        };
        let problem = Self::new(code, detail);
        match &fault.hint {
            Some(hint) => problem.try_this(hint),
            None => problem,
        }
    }
}

/// Every value of every layer.
#[derive(Debug, Default)]
pub(crate) struct Config {
    keys: BTreeMap<String, Key>,
    /// By key, strongest layer first.
    values: BTreeMap<String, Vec<(Layer, String)>>,
    pub(crate) faults: Vec<Fault>,
}

impl Config {
    /// Reads every layer; what is wrong with it is kept in `faults`.
    pub(crate) fn load(matches: &clap::ArgMatches) -> Self {
        let keys = keys::all().map(|key| (key.name.clone(), key)).collect();
        let mut config = Self {
            keys,
            ..Self::default()
        };
        layers::read(&mut config, matches);
        config.values.values_mut().for_each(|values| values.sort());
        config
    }

    /// Takes a value in, or notes the fault.
    fn take(&mut self, layer: Layer, name: &str, value: String) {
        let what = match self.keys.get(name) {
            None => "there is no such key".to_owned(),
            Some(key) => match key.form.check(&value) {
                Ok(()) => {
                    self.values
                        .entry(name.to_owned())
                        .or_default()
                        .push((layer, value));
                    return;
                }
                Err(what) => what,
            },
        };
        let hint = match self.keys.get(name) {
            Some(key) => key.form.nearest(&value),
            None => self.nearest(name),
        };
        self.faults.push(Fault {
            layer,
            key: name.to_owned(),
            what,
            hint,
        });
    }

    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        let known = self.keys.keys().map(String::as_str);
        crate::cli::suggest::nearest(name, known).map(crate::cli::suggest::question)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.values()
    }
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.get(name)
    }

    /// The value of every layer that has one, strongest first.
    pub(crate) fn layers(&self, name: &str) -> &[(Layer, String)] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value that won; `None` where there is none and no default.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(self.keys.contains_key(name), "{name} stands in the table");
        self.layers(name).first().map(|(_, value)| value.as_str())
    }

    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let text = self.get(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// A value that was checked when it was taken in.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn span(&self, name: &str) -> Option<Duration> {
        time::span(self.get(name)?).ok()
    }
}
