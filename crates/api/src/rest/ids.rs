//! Ids in paths and parameters: whole ones, or the beginning of one; an entity also as `kind:key`.

use mirage_domain::entity::Entity;
use mirage_domain::id::{EntityId, ScanId};
use mirage_projections::catalog::{FindingRow, Resolved};

use crate::error::Problem;
use crate::gateway::Asking;

/// The scan that is meant, in the workspace that asks.
pub(crate) fn scan(asking: &Asking<'_>, text: &str) -> Result<ScanId, Problem> {
    let found = asking.catalog.scan_by_id(text)?;
    one(found, text, "no_such_scan")
}

/// The finding that is meant.
pub(crate) fn finding(asking: &Asking<'_>, text: &str) -> Result<FindingRow, Problem> {
    one(asking.catalog.finding_by_id(text)?, text, "no_such_finding")
}

/// The entity that is meant, whether or not any claim about it stands.
pub(crate) fn entity(asking: &Asking<'_>, text: &str) -> Result<EntityId, Problem> {
    let Some((kind, key)) = text.split_once(':') else {
        let found = asking.catalog.entity_id_by_prefix(text)?;
        return one(found, text, "no_such_entity");
    };
    let kind = kind
        .parse()
        .map_err(|error| Problem::new("bad_id", error))?;
    let wrong = |error| Problem::new("bad_id", format!("`{text}`: {error}"));
    let entity = Entity::new(kind, key).map_err(wrong)?;
    Ok(entity.id(&asking.commands.key))
}

fn one<T>(resolved: Resolved<T>, text: &str, code: &str) -> Result<T, Problem> {
    match resolved {
        Resolved::One(found) => Ok(found),
        Resolved::None => Err(Problem::new(code, format!("`{text}`"))),
        Resolved::Ambiguous(found) => {
            let detail = format!("`{text}` fits {} of them", found.len());
            Err(Problem::new("ambiguous_id", detail))
        }
    }
}
