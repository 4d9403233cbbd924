//! `/imports`: a file of another tool becomes a scan of its own, once.
//!
//! **Invariant:** the file is whole and was read to its end before anything is written.
//! **Never:** commits that are appended as they are: whoever could send those could start whatever no role may start.

use std::fs::File;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use mirage_domain::id::{Position, ScanId};
use mirage_workers::collectors::import::{BadFile, Importer};
use mirage_workers::node::{Looked, import};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::io::AsyncWriteExt;
use utoipa::{IntoParams, ToSchema};

use super::answer::Refusal;
use super::flow::Place;
use super::query::{Query, words};
use super::{Shared, Writer};
use crate::ask::scans::of_command;
use crate::error::Problem;
use crate::live::PATIENCE;

/// Largest file that is taken, in bytes: of so many as there are places, each lies on this node's disk meanwhile.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Importer, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || serde::de::Error::custom(format!("`{text}` is no format of an import"));
    import::importer(&text).ok_or_else(wrong)
}

/// What the file is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportFile {
    /// What wrote it: `bbot`, `nmap`, or `commits` for an export of a scan, whose findings are imported.
    #[serde(deserialize_with = "format")]
    #[param(value_type = String)]
    format: &'static Importer,
    /// Of the scan; what is longer is cut.
    #[serde(default)]
    #[param(max_length = 200)]
    name: Option<String>,
    /// Rules of what counts as in scope, between commas; the default is what the file says that it was about.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Vec<String>, style = Form, explode = false)]
    scope: Vec<String>,
}

/// A record that cannot be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unreadable {
    line: u64,
    why: String,
}

/// What came of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    #[schema(value_type = String)]
    scan_id: ScanId,
    /// Reads with this as `min_position` show it.
    #[schema(value_type = u64)]
    position: Position,
    /// False where the file was imported before; nothing was added then.
    is_new: bool,
    /// Records that can be read.
    records: u64,
    /// Records that cannot.
    bad: u64,
    /// The first of those.
    unreadable: Vec<Unreadable>,
}

/// Import a file, at most 1 GiB of it, as a scan of its own
///
/// It is kept as evidence, and read by the module of its format alone: nothing is asked of the world. An import happens
/// once for a format and the bytes of a file, with any idempotency key or none; who sends it again is answered 200.
#[utoipa::path(post, path = "/imports", operation_id = "import_file", tag = "scans",
    params(ImportFile, ("idempotency-key" = Option<String>, Header, description = "Adds nothing: the file itself is the key")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file, gzip or not"),
    responses((status = 201, body = Imported, headers(("location" = String, description = "The scan"))),
        (status = 200, body = Imported, headers(("location" = String, description = "The scan")))))]
pub(crate) async fn create(
    State(gateway): Shared,
    writer: Writer,
    Query(query): Query<ImportFile>,
    body: Body,
) -> Result<Response, Refusal> {
    let importer = query.format;
    let place = gateway.uploads.place(writer.who.workspace()).await?;
    let file = received(body, FILE_BYTES_MAX).await?;
    let (looked, _place) = looked(file, importer, place).await?;
    let name = query.name.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| importer.name().to_owned());
    let import = looked.import(&name, query.scope);
    let import = import.map_err(|error| Problem::new("bad_scope", format!("`{}`", error.0)))?;
    let commands = gateway.commands(&writer.who).await?;
    let caller = writer.caller(&[], None);
    let Looked { file, checked, .. } = looked;
    let begun = commands.import(importer, import, file, &caller).await;
    let (scan_id, begun) = begun.map_err(of_command)?;
    let (status, position) = match begun {
        Some(position) => (StatusCode::CREATED, position),
        None => (StatusCode::OK, gateway.log.head().await?.position),
    };
    let named = checked.named.into_iter();
    let location = [(header::LOCATION, format!("/api/v1/scans/{scan_id}"))];
    let imported = Imported {
        scan_id,
        position,
        is_new: begun.is_some(),
        records: checked.records,
        bad: checked.bad,
        unreadable: named.map(|(line, why)| Unreadable { line, why }).collect(),
    };
    Ok((status, location, axum::Json(imported)).into_response())
}

/// Takes the body in, into a file that has no name and goes with this process.
async fn received(body: Body, bytes_max: u64) -> Result<File, Problem> {
    let file = tempfile::tempfile().map_err(|error| unkept(&error))?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut pieces, mut bytes) = (body.into_data_stream(), 0);
    loop {
        let late = |_| Problem::new("bad_body", "the body stopped coming");
        let piece = tokio::time::timeout(PATIENCE, pieces.next()).await;
        let Some(piece) = piece.map_err(late)? else {
            break;
        };
        let piece = piece.map_err(|error| Problem::new("bad_body", error))?;
        bytes += piece.len() as u64;
        if bytes > bytes_max {
            let detail = format!("the file is larger than {bytes_max} bytes");
            return Err(Problem::new("body_too_large", detail)
                .try_this("split it into several files and import each"));
        }
        file.write_all(&piece)
            .await
            .map_err(|error| unkept(&error))?;
    }
    file.flush().await.map_err(|error| unkept(&error))?;
    Ok(file.into_std().await)
}

fn unkept(error: &std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::StorageFull => Problem::of("disk_full", error),
        _ => Problem::of("internal", error),
    }
}

/// Reads the file in a thread that may take its time; its place stays taken as long, whoever has left meanwhile.
async fn looked(
    file: File,
    importer: &'static Importer,
    place: Place,
) -> Result<(Looked, Place), Problem> {
    let look = move || (import::look(file, importer), place);
    let (looked, place) = tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| Problem::of("internal", &error))?;
    let bad = |BadFile { what, hint }| {
        Problem::new("bad_file", what).try_this(format!("{hint}; nothing was changed"))
    };
    Ok((looked.map_err(bad)?, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_taken_up_to_its_bound() {
        let bytes = vec![b'x'; 1000];
        assert!(received(Body::from(bytes.clone()), 1000).await.is_ok());
        let refused = received(Body::from(bytes), 999).await.unwrap_err();
        assert_eq!(refused.row.code, "body_too_large");
    }
}
