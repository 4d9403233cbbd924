//! Chains, of findings and of entities: found in the catalog, and proven.

use std::sync::Arc;

use mirage_projections::catalog::Why;

use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::{Asking, Gateway};
use crate::rest::ids;
use crate::rest::moment::Moment;
use crate::why::{Proven, Prover};

/// A chain with its proof.
pub(crate) struct Told {
    pub(crate) proven: Proven,
    /// Who asked for the scan.
    pub(crate) actor: Option<String>,
}

/// How a finding came to be known.
pub(crate) async fn finding(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    finding: String,
) -> Result<Told, Problem> {
    let told = told(gateway, who, moment, move |asking| {
        let row = ids::finding(asking, &finding)?;
        let found = asking.catalog.why(&row.scan_id, row.finding_id)?;
        found.ok_or_else(|| Problem::new("no_such_finding", format!("`{finding}`")))
    });
    told.await
}

/// How an entity came to be known, in a scan or in the newest one that met it.
pub(crate) async fn entity(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    entity: String,
    scan: Option<String>,
) -> Result<Told, Problem> {
    let told = told(gateway, who, moment, move |asking| {
        let id = ids::entity(asking, &entity)?;
        let scan = scan.as_ref();
        let scan = scan.map(|scan| ids::scan(asking, scan)).transpose()?;
        let found = asking.catalog.why_entity(id, scan.as_ref())?;
        let absent = || Problem::new("no_such_entity", format!("`{entity}`"));
        found.ok_or_else(absent)
    });
    told.await
}

/// What is found, held against log, evidence and keys.
async fn told(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    find: impl FnOnce(&Asking<'_>) -> Result<Why, Problem> + Send + 'static,
) -> Result<Told, Problem> {
    let found = gateway.ask(who, moment, move |asking| {
        let why = find(asking)?;
        let scan = asking.catalog.scan_row(&why.scan_id)?;
        Ok((why, scan.map(|scan| scan.actor)))
    });
    let (why, actor) = found.await?;
    let commands = gateway.commands(who).await?;
    let prover = Prover {
        workspace: who.workspace(),
        log: &*gateway.log,
        evidence: Some(&*gateway.evidence),
        key: Some(&commands.key),
    };
    let proven = prover.prove(why).await;
    Ok(Told { proven, actor })
}
