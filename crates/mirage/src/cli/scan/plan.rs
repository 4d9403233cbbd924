//! `mirage scan --plan`: what would happen, and who would see it.

use mirage_api::error::Exit;
use mirage_domain::module::{Manifest, Profile, Reads};

use mirage_workers::node::ScanRequest;

use super::super::{Answer, Context};
use super::{request, seeds};
use crate::output::{Field, Form, Listing, Shape};

static LISTING: Listing = Listing {
    key: "module",
    fields: &[
        Field::new("module", Shape::Text),
        Field::new("profile", Shape::Text),
        Field::new("seen_by", Shape::Text),
        Field::new("consumes", Shape::Text),
        Field::new("produces", Shape::Text),
        Field::new("summary", Shape::Text),
    ],
};

/// Says the scope, lists the modules, starts nothing.
pub(super) fn show(context: &Context, request: &ScanRequest) -> Answer {
    seeds::tell(context, &request.seeds);
    for rule in &request.scope {
        let meaning = match rule.strip_prefix('!') {
            Some(rule) => format!("never {rule}"),
            None => format!("in scope {rule}"),
        };
        context.output.say(meaning);
    }
    context.output.say(limits(request));
    if request.profile == Profile::Active {
        context
            .output
            .say("active: needs consent, --yes or the answer to a question");
    }
    let mut rows = context.output.rows(&LISTING)?;
    for manifest in request::manifests_of(request) {
        let kinds = |kinds: &[mirage_domain::entity::Kind]| {
            kinds
                .iter()
                .map(|kind| kind.as_str())
                .collect::<Vec<_>>()
                .into()
        };
        rows.push(vec![
            manifest.name.into(),
            manifest.profile.as_str().into(),
            seen_by(manifest).into(),
            kinds(manifest.consumes),
            kinds(manifest.produces),
            manifest.summary.into(),
        ])?;
    }
    rows.end(None)?;
    if context.output.form == Form::Table {
        context.output.say("nothing was started");
    }
    Ok(Exit::Done)
}

/// Who sees the traffic of a module.
fn seen_by(manifest: &Manifest) -> &'static str {
    match (manifest.reads, manifest.profile) {
        (Reads::Evidence, _) => "nobody",
        (Reads::Network, Profile::Passive) => "third parties",
        (Reads::Network, Profile::Standard | Profile::Active) => "the target",
    }
}

fn limits(request: &ScanRequest) -> String {
    let limit = |name: &str, value: Option<u64>| match value {
        Some(value) => format!("{name} {value}"),
        None => format!("{name} without limit"),
    };
    let limits = &request.limits;
    [
        format!("profile {}", request.profile.as_str()),
        limit("depth", limits.depth.map(u64::from)),
        limit("requests", limits.requests),
        limit("seconds", limits.time_s),
    ]
    .join(", ")
}
