//! Findings: lists of them, and one of them.

use std::sync::Arc;

use mirage_domain::entity::Kind;
use mirage_domain::id::{Cursor, ModuleName, Position};
use mirage_projections::catalog::{FindingFilter, FindingRow, Listed, Page, Since};

use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::{Asking, Gateway};
use crate::rest::ids;
use crate::rest::moment::{At, Moment};

/// Which findings are asked for; scans by id, the beginning of one, or `@last`.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) scan: Option<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) modules: Vec<ModuleName>,
    pub(crate) in_scope: Option<bool>,
    pub(crate) since: Option<At>,
    pub(crate) new_since: Option<String>,
    pub(crate) min_confidence: Option<u8>,
}

impl Findings {
    fn filter(self, asking: &Asking<'_>) -> Result<FindingFilter, Problem> {
        let scan = |text: &String| ids::scan(asking, text);
        Ok(FindingFilter {
            scan: self.scan.as_ref().map(scan).transpose()?,
            kinds: self.kinds,
            modules: self.modules,
            entity: None,
            in_scope: self.in_scope,
            since: self.since.map(|since| match since {
                At::Position(position) => Since::Cursor(Cursor::after(position)),
                At::Time(time) => Since::Time(time),
            }),
            new_since: self.new_since.as_ref().map(scan).transpose()?,
            min_confidence: self.min_confidence,
        })
    }
}

/// Findings, in the order of their newest claims.
pub(crate) async fn list(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    asked: Findings,
    page: Page,
) -> Result<Listed<FindingRow>, Problem> {
    let listed = gateway.ask(who, moment, move |asking| {
        let filter = asked.filter(asking)?;
        Ok(asking.catalog.findings(&filter, &page)?)
    });
    listed.await
}

/// The finding that an id means, and as of which position it is told.
pub(crate) async fn get(
    gateway: &Arc<Gateway>,
    who: &Principal,
    moment: &Moment,
    finding: String,
) -> Result<(FindingRow, Position), Problem> {
    let found = gateway.ask(who, moment, move |asking| {
        let row = ids::finding(asking, &finding)?;
        Ok((row, asking.catalog.position()))
    });
    found.await
}
