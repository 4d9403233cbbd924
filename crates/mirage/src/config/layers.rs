//! Reading the layers: the command line, the environment, three files, the defaults.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use toml::Value;

use super::{Config, Fault, Layer};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const FILE: &str = "mirage.toml";
const PREFIX: &str = "MIRAGE_";

pub(super) fn read(config: &mut Config, matches: &ArgMatches) {
    flags(config, matches);
    environment(
        config,
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    );
    file(config, Layer::Here, Path::new(FILE));
    if let Some(folder) = user_folder() {
        file(config, Layer::User, &folder.join(FILE));
    }
    file(config, Layer::System, &Path::new("/etc/mirage").join(FILE));
    defaults(config);
}

/// What stands on the command line itself, at the innermost command.
fn flags(config: &mut Config, matches: &ArgMatches) {
    let mut leaf = matches;
    while let Some((_, inner)) = leaf.subcommand() {
        leaf = inner;
    }
    let flags: Vec<_> = config
        .keys()
        .filter_map(|key| Some((key.name.clone(), key.flag?)))
        .collect();
    for (name, flag) in flags {
        let is_written = matches!(leaf.try_contains_id(flag), Ok(true))
            && leaf.value_source(flag) == Some(ValueSource::CommandLine);
        if is_written && let Ok(Some(values)) = leaf.try_get_raw(flag) {
            let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
            config.take(Layer::Flag(flag.replace('_', "-")), &name, values.join(","));
        }
    }
}

fn environment(config: &mut Config, variables: impl Iterator<Item = (String, String)>) {
    let known: Vec<_> = config
        .keys()
        .map(|key| (key.variable(), key.name.clone()))
        .collect();
    for (variable, value) in variables {
        let Some(rest) = variable
            .strip_prefix(PREFIX)
            .filter(|rest| !is_service_link(rest))
        else {
            continue;
        };
        let rest = rest.to_lowercase();
        let name = known.iter().find(|(known, _)| *known == variable);
        let name = name.map_or(rest, |(_, name)| name.clone());
        config.take(Layer::Environment(variable), &name, value);
    }
}

/// Kubernetes sets these in every pod beside a service named `mirage`; they are not meant for us.
fn is_service_link(rest: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let after_port = rest
        .strip_prefix("PORT_")
        .and_then(|rest| rest.split('_').next());
    rest == "PORT" || rest.starts_with("SERVICE_") || after_port.is_some_and(is_number)
}

/// Where a user keeps what is set for this program.
pub(crate) fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let folder = match std::env::consts::OS {
        "windows" => absolute("APPDATA"),
        "macos" => absolute("HOME").map(|home| home.join("Library/Application Support")),
        _ => absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config"))),
    };
    folder.map(|folder| folder.join("mirage"))
}

fn file(config: &mut Config, layer: fn(PathBuf) -> Layer, path: &Path) {
    let layer = layer(path.to_owned());
    let what = match contents(path) {
        Ok(None) => return,
        Ok(Some(text)) => match text.parse::<toml::Table>() {
            Ok(table) => return walk(config, &layer, "", &table),
            Err(error) => error.message().to_owned(),
        },
        Err(error) => error.to_string(),
    };
    config.faults.push(Fault {
        layer,
        key: String::new(),
        what,
        hint: None,
    });
}

fn contents(path: &Path) -> std::io::Result<Option<String>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    match text.len() as u64 {
        0..=FILE_BYTES_MAX => Ok(Some(text)),
        _ => Err(std::io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        ))),
    }
}

/// Takes every value of a table in, the tables inside by their dotted names. TOML bounds the nesting.
fn walk(config: &mut Config, layer: &Layer, prefix: &str, table: &toml::Table) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match (value, scalar(value)) {
            (Value::Table(inner), _) => walk(config, layer, &format!("{name}."), inner),
            (_, Some(text)) => config.take(layer.clone(), &name, text),
            (_, None) => {
                let what = "the value is neither text, number, flag nor a list of them".to_owned();
                config.faults.push(Fault {
                    layer: layer.clone(),
                    key: name,
                    what,
                    hint: None,
                });
            }
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(items?.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn defaults(config: &mut Config) {
    let of_table: Vec<_> = config
        .keys()
        .filter_map(|key| Some((key.name.clone(), key.default.clone()?)))
        .collect();
    for (name, default) in of_table {
        config.take(Layer::Default, &name, default);
    }
    if let Some(dir) = crate::wire::default_dir() {
        config.take(Layer::Default, "data", dir.to_string_lossy().into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let keys = super::super::keys::all()
            .map(|key| (key.name.clone(), key))
            .collect();
        Config {
            keys,
            ..Config::default()
        }
    }

    #[test]
    fn variables_of_the_cluster_are_not_ours_and_a_slip_is_a_fault() {
        let mut config = config();
        let variables = [
            ("MIRAGE_PORT", "tcp://10.0.0.1:80"),
            ("MIRAGE_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("MIRAGE_SERVICE_HOST", "10.0.0.1"),
            ("MIRAGE_SCAN_PROFILE", "passive"),
            ("MIRAGE_COLOUR", "never"),
            ("HOME", "/"),
        ];
        environment(
            &mut config,
            variables.iter().map(|(a, b)| ((*a).into(), (*b).into())),
        );
        assert_eq!(config.get("scan.profile"), Some("passive"));
        assert_eq!(config.faults.len(), 1);
        assert_eq!(
            config.faults[0].hint.as_deref(),
            Some("did you mean `color`?")
        );
    }

    #[test]
    fn tables_and_lists_of_a_file_become_keys() {
        let mut config = config();
        let text = "output = 'json'\n[scan]\nports = [80, '8000-8100']\nprofile = 'pasive'\ndeep = 1\nrate = 1.5";
        walk(&mut config, &Layer::Default, "", &text.parse().unwrap());
        assert_eq!(config.list("scan.ports"), ["80", "8000-8100"]);
        let faults: Vec<&str> = config
            .faults
            .iter()
            .map(|fault| fault.key.as_str())
            .collect();
        assert_eq!(faults, ["scan.deep", "scan.profile", "scan.rate"]);
    }
}
