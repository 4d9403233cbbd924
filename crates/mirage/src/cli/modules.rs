//! `mirage modules`: what there is to collect with, and how each one is set.

use mirage_api::error::Exit;
use mirage_domain::entity::Kind;
use mirage_domain::module::{Manifest, Reach, Reads};
use mirage_workers::collectors;
use serde_json::{Value, json};

use super::scan::manifest;
use super::{Answer, Context, known};
use crate::output::{Field, Form, Listing, Shape, values};
use crate::wire::remote::Remote;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every module (the default)
    ///
    /// Exit codes: 0
    Ls,
    /// One module with its settings
    ///
    /// Exit codes: 0 ok, 3 no such module
    Info {
        #[arg(add = known::modules(), value_name = "NAME")]
        name: String,
    },
}

static LISTING: Listing = Listing {
    key: "name",
    fields: &[
        Field::new("name", Shape::Text),
        Field::new("profile", Shape::Text),
        Field::new("consumes", Shape::Text),
        Field::new("summary", Shape::Text),
        Field::more("produces", Shape::Text),
        Field::more("version", Shape::Number),
        Field::more("reads", Shape::Text),
        Field::more("reach", Shape::Text),
        Field::more("requests_per_minute_max", Shape::Number),
        Field::more("batch_max", Shape::Number),
        Field::more("deadline_s", Shape::Number),
        Field::more("settings", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    let command = arguments.command.unwrap_or(Command::Ls);
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, &command).await;
    }
    match command {
        Command::Ls => {
            let mut rows = context.output.rows(&LISTING)?;
            for collector in collectors::ALL {
                rows.push(row(collector.manifest()))?;
            }
            rows.end(None)?;
        }
        Command::Info { name } => info(context, manifest(&name, "no_such_module")?)?,
    }
    Ok(Exit::Done)
}

/// The same over a server: its modules, and no values of its settings.
async fn ask(context: &Context, remote: &Remote, command: &Command) -> Answer {
    match command {
        Command::Ls => {
            let all = remote.get(&["modules"], &Vec::new()).await?;
            let mut rows = context.output.rows(&LISTING)?;
            for module in all["items"].as_array().into_iter().flatten() {
                rows.push(values(&LISTING, module))?;
            }
            rows.end(None)?;
        }
        Command::Info { name } => {
            let module = remote.get(&["modules", name], &Vec::new()).await?;
            let output = context.output.in_full(&LISTING);
            output.thing(&LISTING, values(&LISTING, &module))?;
        }
    }
    Ok(Exit::Done)
}

fn row(manifest: &Manifest) -> Vec<Value> {
    let kinds = |kinds: &[Kind]| -> Value {
        kinds
            .iter()
            .map(|kind| kind.as_str())
            .collect::<Vec<_>>()
            .into()
    };
    let reads = match manifest.reads {
        Reads::Network => "network",
        Reads::Evidence => "evidence",
    };
    let reach = match manifest.reach {
        Reach::InScope => "in-scope",
        Reach::AllNames => "all-names",
    };
    vec![
        manifest.name.into(),
        manifest.profile.as_str().into(),
        kinds(manifest.consumes),
        manifest.summary.into(),
        kinds(manifest.produces),
        manifest.version.into(),
        reads.into(),
        reach.into(),
        manifest.requests_per_minute_max.into(),
        manifest.batch_max.into(),
        manifest.deadline_s.into(),
        settings(manifest),
    ]
}

fn settings(manifest: &Manifest) -> Value {
    let setting = |setting: &mirage_domain::module::Setting| {
        json!({
            "key": format!("{}.{}", manifest.name, setting.key),
            "help": setting.help,
            "default": setting.default,
            "is_secret": setting.is_secret,
            "is_operators": setting.is_operators,
        })
    };
    manifest
        .settings
        .iter()
        .map(setting)
        .collect::<Vec<_>>()
        .into()
}

static SETTINGS: Listing = Listing {
    key: "setting",
    fields: &[
        Field::new("setting", Shape::Text),
        Field::new("value", Shape::Text),
        Field::new("help", Shape::Text),
    ],
};

fn info(context: &Context, manifest: &'static Manifest) -> Result<(), crate::output::Failure> {
    if context.output.form != Form::Table {
        return context.output.thing(&LISTING, row(manifest));
    }
    let mut all = row(manifest);
    let settings = LISTING.fields.len() - 1;
    all[settings] = manifest.settings.len().into();
    context.output.in_full(&LISTING).thing(&LISTING, all)?;
    if manifest.settings.is_empty() {
        return Ok(());
    }
    let mut rows = context.output.rows(&SETTINGS)?;
    for setting in manifest.settings {
        let value = context
            .config
            .get(&format!("modules.{}.{}", manifest.name, setting.key));
        let value = match value {
            Some(value) if setting.is_secret && !value.is_empty() => Some("(secret)"),
            value => value,
        };
        rows.push(vec![
            format!("{}.{}", manifest.name, setting.key).into(),
            value.into(),
            setting.help.into(),
        ])?;
    }
    rows.end(None)?;
    Ok(())
}
