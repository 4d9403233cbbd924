//! `/scans/{scan}/export`: a scan for other programs, as the command line exports it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mirage_domain::id::Position;
use mirage_projections::Projection;
use mirage_projections::catalog::{self, Catalog};
use serde::{Deserialize, Deserializer};

use super::answer::Refusal;
use super::flow::{self, Outflow};
use super::query::{Query, read_query, words};
use super::{Path, Shared, ids};
use crate::auth::Principal;
use crate::export::{self, FIELDS, Format, Source, Wanted};
use crate::gateway::Gateway;

/// A column of CSV, as its place among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(usize);

impl std::str::FromStr for Column {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let at = FIELDS.iter().position(|field| *field == text);
        at.map(Self)
            .ok_or_else(|| format!("`{text}` is no field of a finding"))
    }
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

read_query! {
    /// In which form.
    ExportScan {
        /// `commits`, `cloudevents`, `csv`, `graphml`, `gexf`, `dot` or `json`.
        #[serde(deserialize_with = "format")]
        #[param(value_type = String)]
        format: Format,
        /// Of CSV, only these fields, in this order.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        fields: Vec<Column>,
    }
}

/// A scan as a file, of any length; an answer that breaks off is no whole file
///
/// `commits` is lossless but for evidence, `cloudevents` has every event, `csv` the findings; the others are the graph. The
/// header `mirage-as-of` names the position that it was made at.
#[utoipa::path(get, path = "/scans/{scan}/export", operation_id = "export_scan", tag = "scans",
    params(("scan" = String, Path, description = "Its id, the beginning of it, or @last"), ExportScan),
    responses((status = 200,
        content((String = "application/x-ndjson"), (String = "text/csv"), (String = "application/xml"),
            (String = "text/vnd.graphviz"), (serde_json::Value = "application/json")),
        headers(("mirage-as-of" = u64, description = "The position that it was made at")))))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(scan): Path<String>,
    Query(query): Query<ExportScan>,
) -> Result<Response, Refusal> {
    let (format, moment) = (query.format, query.moment());
    let found = gateway.ask_with(format.view(), &who, &moment, move |asking, _| {
        Ok((ids::scan(asking, &scan)?, asking.catalog.position()))
    });
    let (scan, at) = found.await?;
    let place = gateway.flows.place(who.workspace()).await?;
    let name = format!("{scan}.{}", format.ending());
    let wanted = Wanted {
        scan,
        format,
        columns: query.fields.iter().map(|column| column.0).collect(),
    };
    let body = flow::flow(place, move |out| write(&gateway, &who, &wanted, at, out));
    let headers = [
        (header::CONTENT_TYPE, format.media().to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (super::answer::AS_OF, at.to_string()),
    ];
    Ok((headers, body.await?).into_response())
}

fn write(
    gateway: &Arc<Gateway>,
    who: &Principal,
    wanted: &Wanted,
    at: Position,
    out: &mut Outflow,
) -> Result<(), export::Error> {
    // Databases of its own: those of short questions are not to be kept that long.
    let db = gateway.runner.db(Catalog::NAME)?;
    let catalog = catalog::Reader::new(&db, who.workspace(), Some(at))?;
    let view = match wanted.format.view() {
        Catalog::NAME => None,
        view => Some(gateway.runner.db(view)?),
    };
    let source = Source {
        log: &*gateway.log,
        catalog: &catalog,
        view: view.as_ref().unwrap_or(&db),
    };
    // The thread is one that may wait: for the log, and for whoever reads.
    let written = export::write(&source, wanted, out);
    futures::executor::block_on(written).map(drop)
}
