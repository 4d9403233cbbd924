//! `new`: writes a thing of a known kind from its template and lists it where it belongs.
//!
//! **Invariant:** either everything is written or nothing; a name that is taken is never overwritten.

mod insert;
mod name;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::workspace;
use name::Name;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(clap::Subcommand)]
enum Kind {
    /// A source that a scan asks
    Collector { name: Name },
    /// A decision of an aggregate
    Command {
        /// The aggregate's folder in crates/domain/src
        aggregate: Name,
        /// The verb: `pause` becomes PauseScan for the aggregate `scan`
        name: Name,
    },
    /// A view of the log
    Projection { name: Name },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let plan = arguments.kind.plan();
    for path in plan.write(workspace::root())? {
        println!(
            "wrote {}",
            path.strip_prefix(workspace::root())
                .unwrap_or(&path)
                .display()
        );
    }
    let status = workspace::cargo()
        .args(["fmt", "--package", plan.package])
        .status();
    ensure!(
        status.context("starting cargo fmt")?.success(),
        "the new code does not parse"
    );
    println!("next: {}", plan.next);
    Ok(())
}

/// A new file and the lines that list it in the table of contents beside it.
struct Plan {
    package: &'static str,
    /// From the root.
    folder: String,
    /// The file in `folder` that lists it.
    contents: &'static str,
    name: Name,
    text: String,
    lines: Vec<Line>,
    next: &'static str,
}

/// What a table of contents gets.
enum Line {
    /// `mod NAME;`, with what stands before it, in its sorted place.
    Module(&'static str),
    /// An entry of the slice `ALL`, in its sorted place.
    Entry(String),
    /// A `pub use`, in its sorted place.
    Export(String),
    /// A last arm or variant of the block that opens with this line.
    Last { opening: &'static str, text: String },
}

impl Kind {
    fn plan(&self) -> Plan {
        match self {
            Self::Collector { name } => collector(name),
            Self::Command { aggregate, name } => command(aggregate, name),
            Self::Projection { name } => projection(name),
        }
    }
}

fn collector(name: &Name) -> Plan {
    Plan {
        package: "mirage-workers",
        folder: "crates/workers/src/collectors".to_owned(),
        contents: "mod.rs",
        text: fill(include_str!("collector.txt"), name, None),
        lines: vec![
            Line::Module(""),
            Line::Entry(format!("&{name}::{}", name.camel())),
        ],
        name: name.clone(),
        next: "say what it is, fill the manifest, then record an answer for its tests",
    }
}

fn projection(name: &Name) -> Plan {
    Plan {
        package: "mirage-projections",
        folder: "crates/projections/src".to_owned(),
        contents: "lib.rs",
        text: fill(include_str!("projection.txt"), name, None),
        lines: vec![
            Line::Module("pub "),
            Line::Entry(format!("registered::<{name}::{}>()", name.camel())),
        ],
        name: name.clone(),
        next: "say what it answers, then its schema, its claims and its queries",
    }
}

fn command(aggregate: &Name, name: &Name) -> Plan {
    let (verb, noun) = (name.camel(), aggregate.camel());
    let last = |opening, text| Line::Last { opening, text };
    Plan {
        package: "mirage-domain",
        folder: format!("crates/domain/src/{aggregate}"),
        contents: "mod.rs",
        text: fill(include_str!("command.txt"), name, Some(aggregate)),
        lines: vec![
            Line::Module(""),
            Line::Export(format!("{name}::{{{verb}Error, {verb}{noun}}}")),
            last("pub enum Command {", format!("{verb}({verb}{noun}),")),
            last(
                "pub enum Error {",
                format!("#[error(transparent)]\n{verb}(#[from] {verb}Error),"),
            ),
            last(
                "match command {",
                format!("Command::{verb}(command) => {name}::decide({aggregate}, command)?,"),
            ),
        ],
        name: name.clone(),
        next: "say what is asked and when it is refused, with a test for each rule",
    }
}

/// A template with the names put in.
fn fill(template: &str, name: &Name, aggregate: Option<&Name>) -> String {
    let mut text = template
        .replace("{{name}}", &name.to_string())
        .replace("{{Name}}", &name.camel());
    if let Some(aggregate) = aggregate {
        text = text.replace("{{aggregate}}", &aggregate.to_string());
        text = text.replace("{{Aggregate}}", &aggregate.camel());
    }
    text
}

impl Plan {
    /// Writes below `root` and answers with the paths.
    fn write(&self, root: &Path) -> anyhow::Result<[PathBuf; 2]> {
        let folder = root.join(&self.folder);
        let (file, contents) = (
            folder.join(format!("{}.rs", self.name)),
            folder.join(self.contents),
        );
        if file.exists() || folder.join(self.name.to_string()).exists() {
            bail!("the name {} is taken: {}", self.name, self.folder);
        }
        let before = fs::read_to_string(&contents)
            .with_context(|| format!("reading {}", contents.display()))?;
        let mut after = before;
        for line in &self.lines {
            after = line.insert(&after, &self.name)?;
        }
        fs::write(&file, &self.text).with_context(|| format!("writing {}", file.display()))?;
        fs::write(&contents, after).with_context(|| format!("writing {}", contents.display()))?;
        Ok([file, contents])
    }
}

impl Line {
    fn insert(&self, text: &str, name: &Name) -> anyhow::Result<String> {
        match self {
            Self::Module(before) => insert::module(text, before, &name.to_string()),
            Self::Entry(entry) => insert::entry(text, entry),
            Self::Export(path) => insert::export(text, path),
            Self::Last {
                opening,
                text: lines,
            } => insert::last(text, opening, lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn tree(folder: &str, contents: &str, text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(folder)).unwrap();
        fs::write(root.path().join(folder).join(contents), text).unwrap();
        root
    }

    const COLLECTORS: &str = "//! All of them.\n\nmod crtsh;\nmod whois;\n\n\
                              pub static ALL: &[&dyn Collector] = &[&crtsh::Crtsh, &whois::Whois];\n";

    #[test]
    fn a_collector_is_one_file_and_two_lines() {
        let plan = collector(&name("hacker_target"));
        let root = tree(&plan.folder, plan.contents, COLLECTORS);
        let [file, contents] = plan.write(root.path()).unwrap();
        assert!(
            fs::read_to_string(file)
                .unwrap()
                .contains("pub(super) struct HackerTarget;")
        );
        let contents = fs::read_to_string(contents).unwrap();
        assert!(
            contents.contains("mod crtsh;\nmod hacker_target;\nmod whois;\n"),
            "{contents}"
        );
        let entries = "    &crtsh::Crtsh,\n    &hacker_target::HackerTarget,\n    &whois::Whois,\n";
        assert!(contents.contains(entries), "{contents}");
    }

    #[test]
    fn a_name_that_is_taken_is_not_overwritten() {
        let plan = collector(&name("crtsh"));
        let root = tree(&plan.folder, "crtsh.rs", "mine");
        assert!(
            plan.write(root.path())
                .unwrap_err()
                .to_string()
                .contains("taken")
        );
    }

    #[test]
    fn nothing_is_written_where_the_list_is_not_as_expected() {
        let plan = collector(&name("crtsh"));
        let root = tree(&plan.folder, plan.contents, "mod whois;\n");
        assert!(plan.write(root.path()).is_err());
        assert!(!root.path().join(&plan.folder).join("crtsh.rs").exists());
    }

    #[test]
    fn a_command_is_listed_where_its_aggregate_decides() {
        let before = "mod pause;\n\npub use pause::{PauseError, PauseScan};\n\npub enum Command {\n    Pause(PauseScan),\n}\n\
                      pub enum Error {\n    #[error(transparent)]\n    Pause(#[from] PauseError),\n}\n\
                      fn decide() {\n    Ok(match command {\n        Command::Pause(command) => pause::decide(scan, command)?,\n    })\n}\n";
        let plan = command(&name("scan"), &name("archive"));
        let root = tree(&plan.folder, plan.contents, before);
        let [file, contents] = plan.write(root.path()).unwrap();
        assert!(
            fs::read_to_string(file)
                .unwrap()
                .contains("pub struct ArchiveScan;")
        );
        let contents = fs::read_to_string(contents).unwrap();
        for line in [
            "mod archive;\nmod pause;\n",
            "pub use archive::{ArchiveError, ArchiveScan};\npub use pause",
            "    Pause(PauseScan),\n    Archive(ArchiveScan),\n}",
            "    #[error(transparent)]\n    Archive(#[from] ArchiveError),\n}",
            "        Command::Archive(command) => archive::decide(scan, command)?,\n    })",
        ] {
            assert!(contents.contains(line), "{line} is missing in\n{contents}");
        }
    }

    #[test]
    fn templates_leave_no_gap_and_pass_the_rules_for_files() {
        let (scan, archive) = (name("scan"), name("archive"));
        for plan in [
            collector(&archive),
            projection(&archive),
            command(&scan, &archive),
        ] {
            assert!(!plan.text.contains("{{"), "{}", plan.text);
            assert!(plan.text.starts_with("//! "));
            assert!(syn::parse_file(&plan.text).is_ok(), "{}", plan.text);
        }
    }
}
