//! The gateway of a node, asked in place of a data directory.
//!
//! `--server URL` names it, with the API key of the configuration, else with the session of `mirage login`.
//!
//! **Never:** a redirect that is followed: the credential goes to the server that was named, and nowhere else.

use std::time::Duration;

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Position;
use reqwest::{Certificate, Method, Url, redirect};
use serde_json::Value;

use super::signed_in::SignedIn;
use crate::cli::Context;
use crate::output::{Failure, Listing, values};

/// How long a connection may take to be there.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take, its body included.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long one may take whose length nobody knows, as long as it goes on.
const LONG_MAX: Duration = Duration::from_hours(24);
/// Largest answer that is taken, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows that are asked for at once.
const ROWS: &str = "1000";

/// Parameters of a read: those without a value are left out.
pub(crate) type Query<'a> = Vec<(&'a str, Option<String>)>;

/// See the module's doc.
pub(crate) struct Remote {
    client: reqwest::Client,
    pub(crate) base: Url,
    credential: Credential,
}

/// What a node says of itself to everybody.
pub(crate) struct Readiness {
    /// Of `/readyz`.
    pub(crate) document: Value,
    /// Its clock, as HTTP writes it.
    pub(crate) date: Option<String>,
}

/// What a request shows of who asks.
enum Credential {
    /// Nothing: for what gives a credential out.
    None,
    ApiKey(String),
    Session(SignedIn),
}

impl Context {
    /// The server that is to be asked, if one is named.
    pub(crate) fn remote(&self) -> Result<Option<Remote>, Failure> {
        let Some(mut remote) = self.stranger()? else {
            return Ok(None);
        };
        // What somebody has set goes before what is kept.
        let api_key = self.config.get("server.api_key").map(str::to_owned);
        remote.credential = match api_key {
            Some(api_key) => Credential::ApiKey(api_key),
            None => Credential::Session(SignedIn::find(&remote.base)?),
        };
        Ok(Some(remote))
    }

    /// The same as somebody who is not in, or only by what `mirage login` keeps.
    pub(crate) fn stranger(&self) -> Result<Option<Remote>, Failure> {
        let Some(url) = self.config.get("server.url") else {
            return Ok(None);
        };
        let wrong = |detail: &dyn std::fmt::Display| {
            Problem::new("bad_config", format!("server.url: {detail}"))
                .try_this("https://HOST:8640")
        };
        let base = Url::parse(url).map_err(|error| wrong(&error))?;
        if !matches!(base.scheme(), "http" | "https") || !base.username().is_empty() {
            return Err(wrong(&"http or https, without a name or a password").into());
        }
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(path) = self.config.get("server.ca") {
            let unreadable = |error: &dyn std::fmt::Display| {
                Problem::new("bad_config", format!("server.ca: {path}: {error}"))
            };
            let pem = std::fs::read(path).map_err(|error| unreadable(&error))?;
            let certificates = Certificate::from_pem_bundle(&pem);
            for certificate in certificates.map_err(|error| unreadable(&error))? {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client
            .build()
            .map_err(|error| Problem::of("internal", &error))?;
        Ok(Some(Remote {
            client,
            base,
            credential: Credential::None,
        }))
    }

    /// Refuses what only a data directory can answer.
    pub(crate) fn must_be_here(&self) -> Result<(), Problem> {
        match self.config.get("server.url") {
            None => Ok(()),
            Some(_) => {
                let detail = "this is done beside the log, not over a server";
                Err(Problem::new("usage", detail).try_this("leave out --server, and name --data"))
            }
        }
    }
}

impl Remote {
    fn url(&self, path: &[&str], query: &Query<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Each part is one segment, whatever it holds.
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let given = query
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let given: Vec<_> = given.collect();
        if !given.is_empty() {
            url.query_pairs_mut().extend_pairs(given);
        }
        url
    }

    /// The same as who has signed in there.
    pub(crate) fn signed_in(self) -> Result<Self, Failure> {
        let credential = Credential::Session(SignedIn::find(&self.base)?);
        Ok(Self { credential, ..self })
    }

    /// The request with what it shows of who asks.
    async fn of_caller(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        Ok(match &self.credential {
            Credential::None => request,
            Credential::ApiKey(key) => request.bearer_auth(key),
            Credential::Session(session) => request.bearer_auth(session.access(self).await?),
        })
    }

    /// Asks as a stranger, whoever else may be in.
    pub(crate) async fn open_post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(self.url(path, &Vec::new())).json(body);
        self.answer(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let request = self.of_caller(request).await?;
        self.answer(request).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let lost = |error: reqwest::Error| {
            // The address stands in the message; what lies below it is the cause.
            Failure::from(Problem::of("server_unreachable", &error))
        };
        let sent = request.send().await;
        let response = sent.map_err(lost)?;
        let status = response.status();
        let body = body(response).await?;
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &body).into());
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        json(&body)
    }

    /// Whether the node is ready, and for what it waits.
    pub(crate) async fn readiness(&self) -> Result<Readiness, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("readyz");
        }
        let lost = |error: reqwest::Error| Problem::of("server_unreachable", &error);
        let response = self.client.get(url).send().await.map_err(lost)?;
        let date = response.headers().get("date");
        let date = date.and_then(|date| Some(date.to_str().ok()?.to_owned()));
        let document = json(&body(response).await?)?;
        Ok(Readiness { document, date })
    }

    /// One document.
    pub(crate) async fn get(&self, path: &[&str], query: &Query<'_>) -> Result<Value, Failure> {
        self.send(self.client.get(self.url(path, query))).await
    }

    /// One document that takes long.
    pub(crate) async fn get_long(
        &self,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<Value, Failure> {
        let request = self.client.get(self.url(path, query));
        self.send(request.timeout(LONG_MAX)).await
    }

    /// The bytes of an item of any length, into a writer; answers the position that they were made at.
    pub(crate) async fn bytes(
        &self,
        path: &[&str],
        query: &Query<'_>,
        out: &mut dyn std::io::Write,
    ) -> Result<Position, Failure> {
        let lost = |error: reqwest::Error| Problem::of("server_unreachable", &error);
        let request = self.client.get(self.url(path, query)).timeout(LONG_MAX);
        let request = self.of_caller(request).await?;
        let mut response = in_time(request.send()).await?.map_err(lost)?;
        let status = response.status();
        if !status.is_success() {
            let body = in_time(response.bytes()).await?.map_err(lost)?;
            return Err(refusal(status.as_u16(), &body).into());
        }
        let at = response.headers().get("mirage-as-of");
        let at = at.and_then(|at| at.to_str().ok()?.parse().ok());
        while let Some(piece) = in_time(response.chunk()).await?.map_err(lost)? {
            out.write_all(&piece)?;
        }
        out.flush()?;
        Ok(Position(at.unwrap_or_default()))
    }

    /// Every item of a list, page by page; answers the position that it was made at.
    pub(crate) async fn each(
        &self,
        path: &[&str],
        query: &Query<'_>,
        limit: Option<u64>,
        mut take: impl FnMut(&Value) -> Result<(), Failure>,
    ) -> Result<(Position, bool), Failure> {
        let (mut left, mut cursor) = (limit.unwrap_or(u64::MAX), None);
        loop {
            let mut page = query.clone();
            if query.iter().all(|(name, _)| *name != "limit") {
                let rows = ROWS.parse().map_or(left, |rows: u64| rows.min(left));
                page.push(("limit", Some(rows.to_string())));
            }
            page.push(("cursor", cursor.take()));
            let answered = self.get(path, &page).await?;
            let items = answered["items"].as_array().map_or(&[][..], Vec::as_slice);
            for item in items
                .iter()
                .take(usize::try_from(left).unwrap_or(usize::MAX))
            {
                take(item)?;
            }
            left = left.saturating_sub(items.len() as u64);
            cursor = answered["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || left == 0 {
                return Ok((as_of(&answered), cursor.is_some()));
            }
        }
    }

    /// Writes a list in the asked form; answers how many, as of when.
    pub(crate) async fn list(
        &self,
        context: &Context,
        listing: &'static Listing,
        path: &[&str],
        query: &Query<'_>,
    ) -> Result<(u64, Position), Failure> {
        let mut rows = context.output.rows(listing)?;
        let pushed = self.each(path, query, None, |item| rows.push(values(listing, item)));
        let (at, _) = pushed.await?;
        Ok((rows.end(Some(at.0))?, at))
    }

    /// Takes something away.
    pub(crate) async fn delete(
        &self,
        path: &[&str],
        query: &Query<'_>,
        key: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut request = self.client.delete(self.url(path, query));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    /// Sends a file of any length.
    pub(crate) async fn upload(
        &self,
        path: &[&str],
        query: &Query<'_>,
        file: std::fs::File,
    ) -> Result<Value, Failure> {
        let request = self.client.post(self.url(path, query)).timeout(LONG_MAX);
        let request = request.header("content-type", "application/octet-stream");
        self.send(request.body(tokio::fs::File::from_std(file)))
            .await
    }

    /// Changes something; the key makes it happen once.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        key: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut request = self.client.request(method, self.url(path, &Vec::new()));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(request).await
    }
}

/// All of an answer, if it is not too long.
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let lost = |error: reqwest::Error| Problem::of("server_unreachable", &error);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(lost)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            let detail = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
            return Err(Problem::new("server_unreachable", detail).into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    let read = serde_json::from_slice(body);
    Ok(read.map_err(|error| {
        let detail = format!("an answer that is no JSON: {error}");
        Problem::new("server_unreachable", detail)
    })?)
}

/// A step of an answer of any length.
async fn in_time<T>(step: impl Future<Output = T>) -> Result<T, Problem> {
    let late = |_| Problem::new("server_unreachable", "the server fell silent");
    tokio::time::timeout(ANSWER_MAX, step).await.map_err(late)
}

/// The position that a document was made at.
pub(crate) fn as_of(document: &Value) -> Position {
    Position(document["as_of"].as_u64().unwrap_or_default())
}

/// The problem that a server told, with the code of this program's table; its trace goes along for its operator.
fn refusal(status: u16, body: &[u8]) -> Problem {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let Some(code) = text("code") else {
        let detail = format!("status {status}, and no document that says why");
        return Problem::new("server_unreachable", detail);
    };
    let mut problem = Problem::new(&code, text("detail").unwrap_or_default());
    if let Some(trace) = text("trace_id").filter(|_| problem.exit() != Exit::NotFound) {
        problem.cause = Some(format!("trace {trace} at the server"));
    }
    match text("hint") {
        Some(hint) => problem.try_this(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(base: &str) -> Remote {
        Remote {
            client: reqwest::Client::new(),
            base: base.parse().unwrap(),
            credential: Credential::None,
        }
    }

    #[test]
    fn an_id_is_one_segment_whatever_it_holds() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let remote = remote("http://127.0.0.1:1/under/");
        let query = vec![("q", Some("a&b=c".to_owned())), ("at", None)];
        let url = remote.url(&["entities", "url:http://a/../b?c#d"], &query);
        let wanted = "http://127.0.0.1:1/under/api/v1/entities/url:http:%2F%2Fa%2F..%2Fb%3Fc%23d?q=a%26b%3Dc";
        assert_eq!(url.as_str(), wanted);
    }

    #[test]
    fn a_refusal_keeps_its_code_and_one_without_a_document_is_told() {
        let body = br#"{"code":"no_such_scan","detail":"`x`","hint":"look"}"#;
        let problem = refusal(404, body);
        assert_eq!((problem.row.code, problem.hint()), ("no_such_scan", "look"));
        assert_eq!(refusal(502, b"<html>").row.code, "server_unreachable");
    }
}
