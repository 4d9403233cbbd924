//! `mirage config`: which layer says what, and whether all of it is valid.

use mirage_api::error::{Exit, Problem};

use super::{Answer, Context};
use crate::config::{Key, Layer};
use crate::output::{Failure, Field, Listing, Shape};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// A key's value in every layer, the winner first; without KEY, every key
    ///
    /// Exit codes: 0 ok, 3 no such key
    Explain {
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Name every unknown key and unfit value
    ///
    /// Exit codes: 0 all is valid, 2 it is not
    Check,
}

pub(crate) fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command {
        Command::Explain { key: Some(key) } => explain(context, &key),
        Command::Explain { key: None } => list(context),
        Command::Check => check(context),
    }
}

static LAYERS: Listing = Listing {
    key: "layer",
    fields: &[
        Field::new("wins", Shape::Text),
        Field::new("layer", Shape::Text),
        Field::new("value", Shape::Text),
    ],
};

fn explain(context: &Context, name: &str) -> Answer {
    let config = &context.config;
    let key = config.key(name).ok_or_else(|| {
        let problem = Problem::new("no_such_key", format!("`{name}`"));
        match config.nearest(name) {
            Some(hint) => problem.try_this(hint),
            None => problem,
        }
    })?;
    context.output.say(format_args!(
        "{}: {} ({})",
        key.name,
        key.help,
        key.form.name()
    ));
    let ways = match key.flag {
        Some(flag) => format!("--{}, {}", flag.replace('_', "-"), key.variable()),
        None => key.variable(),
    };
    context.output.say(format_args!(
        "set it by {ways}, or {} in mirage.toml",
        key.name
    ));
    let mut rows = context.output.rows(&LAYERS)?;
    for (at, (layer, value)) in config.layers(name).iter().enumerate() {
        rows.push(vec![
            (at == 0).into(),
            layer.to_string().into(),
            shown(key, value).into(),
        ])?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

/// A secret is known to be set, and no more. Addresses may hold one, too: `//USER:PASSWORD@`, or `password=`.
fn shown(key: &Key, value: &str) -> String {
    match (key.is_secret || value.to_lowercase().contains("password=")) && !value.is_empty() {
        true => "(secret)".into(),
        false => without_users(value),
    }
}

/// One address or several, without whom they name.
fn without_users(value: &str) -> String {
    let parts = value.split(',').map(|address| {
        let (scheme, rest) = address.split_once("://")?;
        let (_, host) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://(secret)@{host}"))
    });
    let parts = parts
        .zip(value.split(','))
        .map(|(shown, whole)| shown.unwrap_or_else(|| whole.to_owned()));
    parts.collect::<Vec<_>>().join(",")
}

static KEYS: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("key", Shape::Text),
        Field::new("value", Shape::Text),
        Field::new("layer", Shape::Text),
        Field::new("help", Shape::Text),
        Field::more("form", Shape::Text),
        Field::more("variable", Shape::Text),
    ],
};

fn list(context: &Context) -> Answer {
    let mut rows = context.output.rows(&KEYS)?;
    for key in context.config.keys() {
        let won = context.config.layers(&key.name).first();
        let layer = won.map(|(layer, _)| layer.to_string());
        let value = won.map(|(_, value)| shown(key, value));
        rows.push(vec![
            key.name.clone().into(),
            value.into(),
            layer.into(),
            key.help.into(),
            key.form.name().into(),
            key.variable().into(),
        ])?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

static FAULTS: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("key", Shape::Text),
        Field::new("layer", Shape::Text),
        Field::new("what", Shape::Text),
        Field::new("hint", Shape::Text),
    ],
};

fn check(context: &Context) -> Answer {
    let faults = &context.config.faults;
    if faults.is_empty() {
        let files =
            |layer: &Layer| matches!(layer, Layer::Here(_) | Layer::User(_) | Layer::System(_));
        let set = context.config.keys().filter(|key| {
            context
                .config
                .layers(&key.name)
                .iter()
                .any(|(layer, _)| files(layer))
        });
        context.output.say(format_args!(
            "the configuration is valid; {} keys are set in files",
            set.count()
        ));
        return Ok(Exit::Done);
    }
    let mut rows = context.output.rows(&FAULTS)?;
    for fault in faults {
        rows.push(vec![
            fault.key.clone().into(),
            fault.layer.to_string().into(),
            fault.what.clone().into(),
            fault.hint.clone().into(),
        ])?;
    }
    rows.end(None)?;
    let count = format!("{} faults", faults.len());
    Err(Failure::from(
        Problem::new("bad_config", count).try_this("mend what is listed"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let key = Key {
            name: "catalog.url".into(),
            form: crate::config::Form::Text,
            flag: None,
            default: None,
            is_secret: false,
            help: "",
        };
        for (value, wanted) in [
            ("postgres://me:hunter2@db/v", "postgres://(secret)@db/v"),
            ("postgres://me:a@hunter2@db", "postgres://(secret)@db"),
            ("postgres://db/v?password=hunter2", "(secret)"),
            ("host=db password='hunter2'", "(secret)"),
            (
                "nats://a, nats://t:hunter2@b",
                "nats://a, nats://(secret)@b",
            ),
            ("https://127.0.0.1:9000", "https://127.0.0.1:9000"),
            ("hello, you", "hello, you"),
        ] {
            assert_eq!(shown(&key, value), wanted);
        }
    }
}
