//! `mirage import`: a file that another tool wrote becomes a scan of its own.
//!
//! **Invariant:** the whole file is read once before anything is written: a bad file changes nothing.

mod commits;
mod far;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_domain::id::ScanId;
use mirage_log::evidence::FILE_BYTES_MAX;
use mirage_projections::catalog::State;
use mirage_workers::collectors::import::{BadFile, Checked, IMPORTERS, Importer};
use mirage_workers::node::{Looked, import};

use super::scan::end;
use super::{Answer, Context, known, suggest};
use crate::output::Failure;
use crate::wire;

/// The format of commits, which are appended as they are wherever they can be.
const COMMITS: &str = "commits";

/// Import a file of another tool as a scan of its own
///
/// The file is kept as evidence, and read by the module of its format alone: nothing is asked of the world.
/// Importing it again adds nothing; an import that was interrupted goes on.
/// Commits of scans are appended as they are where the workspace has the same id key and nothing else under their names;
/// elsewhere, and at a server, their findings become a scan. Their evidence is not among them.
///
/// Exit codes: 0 ok, 2 usage, or the file is not of that format (nothing was changed), 6 the log is damaged,
/// 7 the import failed, 8 still running at --timeout, 9 the store cannot be used, 130 interrupted
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file; - is stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// What wrote it: bbot, nmap, or commits for what `mirage export --format commits` and `mirage log export` write
    #[arg(long, add = known::formats(), value_name = "FORMAT")]
    format: String,
    /// A name for the scan [default: that of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What counts as in scope: a domain, =name, an address, a CIDR, KIND:KEY; !RULE excludes [default: the targets that the file names]
    #[arg(long, value_name = "RULE")]
    scope: Vec<String>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    let importer = importer(&arguments.format)?;
    let remote = context.remote()?;
    let path = arguments.file.clone();
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let mut file = opened.map_err(|error| Problem::of("internal", &error))??;
    if let Some(remote) = remote {
        return far::send(context, &remote, &arguments, file).await;
    }
    if importer.name() == COMMITS {
        let Some(why) = commits::obstacle(context, &mut file).await? else {
            return commits::append(context, &mut file).await;
        };
        context.output.say(format_args!(
            "its commits cannot stand in this log as they are: {why}; its findings are imported"
        ));
    }
    as_scan(context, arguments, importer, file).await
}

/// Imports a file as a scan of its own.
async fn as_scan(
    context: &Context,
    arguments: Arguments,
    importer: &'static Importer,
    file: File,
) -> Answer {
    let (path, format) = (arguments.file.clone(), importer.name());
    let looked = tokio::task::spawn_blocking(move || look(&path, file, importer)).await;
    let looked = looked.map_err(|error| Problem::of("internal", &error))??;
    tell(context, &looked.checked);
    let import = looked.import(&name(&arguments), arguments.scope);
    let import = import.map_err(|error| Problem::new("bad_scope", format!("`{}`", error.0)))?;
    let node = Arc::new(context.node_with_room().await?);
    let (scan, position) = node
        .commands
        .import(importer, import, looked.file, &wire::caller())
        .await
        .map_err(wire::of_command)?;
    context.output.say(match position {
        Some(position) => format!("import {scan} started at position {position}"),
        None if is_over(context, &scan).await? => {
            format!("this {format} file was imported before, as scan {scan}: nothing is added")
        }
        None => format!("import {scan} of this {format} file was begun before, and goes on"),
    });
    end(context, node, &scan, false).await
}

async fn is_over(context: &Context, scan: &ScanId) -> Result<bool, Failure> {
    let views = context.views().await?;
    let row = views.reader(None)?.scan_row(scan)?;
    Ok(row.is_some_and(|row| row.state == State::Finished))
}

fn importer(name: &str) -> Result<&'static Importer, Problem> {
    let names = || IMPORTERS.iter().map(|importer| importer.name());
    import::importer(name).ok_or_else(|| {
        let problem = Problem::new("usage", format!("there is no format `{name}`"));
        match suggest::nearest(name, names()) {
            Some(word) => problem.try_this(suggest::question(word)),
            None => problem.try_this(format!(
                "the formats are {}",
                names().collect::<Vec<_>>().join(", ")
            )),
        }
    })
}

fn bad(path: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new("bad_file", format!("{path}: {what}"))
}

/// Reads the whole file.
fn look(path: &str, file: File, importer: &Importer) -> Result<Looked, Problem> {
    import::look(file, importer).map_err(|BadFile { what, hint }| {
        bad(path, what).try_this(format!("{hint}; nothing was changed"))
    })
}

/// The file itself, or a copy of what can be read only once.
fn open(path: &str) -> Result<File, Failure> {
    let failed = |error: io::Error| bad(path, error);
    if path == "-" {
        return spooled(path, &mut io::stdin().lock());
    }
    let mut file = File::open(Path::new(path)).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    match () {
        () if about.is_dir() => Err(bad(path, "it is a folder").into()),
        () if !about.is_file() => spooled(path, &mut file),
        () if about.len() > FILE_BYTES_MAX => Err(too_large(path).into()),
        () => Ok(file),
    }
}

/// Copies into a file that has no name and goes with this process.
fn spooled(path: &str, from: &mut dyn Read) -> Result<File, Failure> {
    let failed = |error: io::Error| bad(path, error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    let copied = io::copy(&mut from.take(FILE_BYTES_MAX + 1), &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    match copied {
        0..=FILE_BYTES_MAX => Ok(file),
        _ => Err(too_large(path).into()),
    }
}

fn too_large(path: &str) -> Problem {
    bad(path, format!("it is larger than {FILE_BYTES_MAX} bytes"))
        .try_this("split it into several files and import each; nothing was changed")
}

fn tell(context: &Context, checked: &Checked) {
    let output = &context.output;
    output.say(format_args!(
        "{} records, {} of them cannot be read",
        checked.records + checked.bad,
        checked.bad
    ));
    for (line, why) in &checked.named {
        output.say(format_args!("  line {line}: {why}"));
    }
    let told = checked.named.len() as u64;
    if checked.bad > told {
        output.say(format_args!("  and {} more", checked.bad - told));
    }
}

/// The name that was given, else that of the file.
fn name(arguments: &Arguments) -> String {
    let file = match arguments.file.as_str() {
        "-" => "stdin".into(),
        path => Path::new(path)
            .file_name()
            .map_or_else(|| path.into(), |name| name.to_string_lossy().into_owned()),
    };
    arguments.name.clone().unwrap_or(file)
}
