//! Ids as people write them: whole, a unique prefix, `@last`, or `kind:key` for an entity.

use std::fmt::Display;

use mirage_api::error::Problem;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::{EntityId, ScanId};
use mirage_domain::relation::{Relation, UnknownRelation};
use mirage_projections::catalog::{EntityDetail, FindingRow, Reader, Resolved};

use super::{Context, suggest};
use crate::output::Failure;
use crate::wire::Views;

/// The newest scan.
pub(crate) const LAST: &str = "@last";

/// The scan that is meant.
pub(crate) fn scan(reader: &Reader<'_>, text: &str) -> Result<ScanId, Failure> {
    one(reader.scan_by_id(text)?, text, "no_such_scan", |scan| {
        scan.to_string()
    })
}

/// The finding that is meant.
pub(crate) fn finding(reader: &Reader<'_>, text: &str) -> Result<FindingRow, Failure> {
    one(
        reader.finding_by_id(text)?,
        text,
        "no_such_finding",
        |found| format!("{} (scan {})", found.finding_id, found.scan_id),
    )
}

/// The entity that is meant: `kind:key`, or the beginning of its id.
pub(crate) async fn entity(
    context: &Context,
    views: &Views,
    reader: &Reader<'_>,
    text: &str,
) -> Result<EntityDetail, Failure> {
    if text.contains(':') {
        let id = named(context, views, text).await?;
        let found = id.map(|id| reader.entity(id)).transpose()?.flatten();
        return found.ok_or_else(|| Problem::new("no_such_entity", format!("`{text}`")).into());
    }
    one(
        reader.entity_by_id(text)?,
        text,
        "no_such_entity",
        |found| found.entity.entity_id.to_string(),
    )
}

/// The id of the entity that is meant, whether or not any claim about it stands.
pub(crate) async fn entity_id(
    context: &Context,
    views: &Views,
    reader: &Reader<'_>,
    text: &str,
) -> Result<EntityId, Failure> {
    if text.contains(':') {
        let id = named(context, views, text).await?;
        return id.ok_or_else(|| Problem::new("no_such_entity", format!("`{text}`")).into());
    }
    one(
        reader.entity_id_by_prefix(text)?,
        text,
        "no_such_entity",
        EntityId::to_string,
    )
}

/// The id of `kind:key`; `None` where the workspace has not begun.
async fn named(context: &Context, views: &Views, text: &str) -> Result<Option<EntityId>, Failure> {
    let (word, key) = text.split_once(':').unwrap_or_default();
    let kind = kind(word)?;
    let entity = Entity::new(kind, key)
        .map_err(|error| Problem::new("bad_id", format!("`{text}`: {error}")))?;
    let id_key = context.id_key(views.log.clone()).await?;
    Ok(id_key.map(|id_key| entity.id(&id_key)))
}

/// A kind by its name.
pub(crate) fn kind(word: &str) -> Result<Kind, Problem> {
    word.parse()
        .map_err(|error: mirage_domain::entity::UnknownKind| {
            let problem = Problem::new("usage", error);
            let kinds = || Kind::ALL.iter().map(|kind| kind.as_str());
            match suggest::nearest(word, kinds()) {
                Some(kind) => problem.try_this(suggest::question(kind)),
                None => problem.try_this(format!(
                    "the kinds are {}",
                    kinds().collect::<Vec<_>>().join(", ")
                )),
            }
        })
}

/// A relation by its name.
pub(crate) fn relation(word: &str) -> Result<Relation, Problem> {
    word.parse().map_err(|error: UnknownRelation| {
        let names = || Relation::ALL.iter().map(|relation| relation.as_str());
        let hint = match suggest::nearest(word, names()) {
            Some(name) => suggest::question(name),
            None => format!(
                "the relations are {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        };
        Problem::new("usage", error).try_this(hint)
    })
}

fn one<T, S: Display>(
    resolved: Resolved<T>,
    text: &str,
    code: &str,
    name: impl Fn(&T) -> S,
) -> Result<T, Failure> {
    match resolved {
        Resolved::One(found) => Ok(found),
        Resolved::None if text == LAST => {
            let problem = Problem::new(code, "there is none yet");
            Err(problem.try_this("begin with `mirage scan`").into())
        }
        Resolved::None => Err(Problem::new(code, format!("`{text}`")).into()),
        Resolved::Ambiguous(found) => {
            let names: Vec<String> = found.iter().map(|found| name(found).to_string()).collect();
            let detail = format!("`{text}` fits {}", names.join(", "));
            Err(Problem::new("ambiguous_id", detail).into())
        }
    }
}
