//! Ids as people write them: whole, shortened to a unique prefix, `@last`, or `kind:key`.

use mirage_api::error::Problem;
use mirage_domain::id::ScanId;

use super::Context;
use crate::output::Failure;

/// The scan that is meant.
pub(crate) async fn scan(_: &Context, text: &str) -> Result<ScanId, Failure> {
    Ok(ScanId::new(text).map_err(|error| Problem::new("bad_id", format!("`{text}`: {error}")))?)
}
