//! Requests to Meilisearch and its tasks: one client, bounded in time, size and number.
//!
//! Every request may be sent twice: documents have ids of their own, and settings are put as a whole. So what passes
//! (a server that starts again, one that has too much to do) is asked again until the patience is over.
//!
//! **Never:** a redirect that is followed, or a proxy of the environment: the key goes to the one server it is for.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{Fault, Options};

/// Longest answer: a page of the longest documents.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A server on the way takes milliseconds; a silent network must not look like a slow one.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Between two tries, and between two looks at a task: from the first, half as long again each time, to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

/// What is sent along with a request.
pub(super) enum Body {
    None,
    Json(Json),
    /// A document a line.
    Lines(Vec<u8>),
}

pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    options: Options,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enqueued {
    task_uid: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Enqueued,
    Processing,
    Succeeded,
    Failed,
    Canceled,
}

#[derive(Deserialize)]
struct Task {
    status: State,
    error: Option<Problem>,
}

/// The body of an error. Its message may quote what was sent, so it is not kept.
#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Whom the patience is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// A batch waits as long as the options say.
    Batch,
    /// A question is asked once, and once again where a connection that was kept open turns out dead.
    Question,
}

impl Client {
    pub(super) fn new(options: Options) -> Result<Self, Fault> {
        let base = base(&options.url)?;
        let is_word = |key: &String| key.bytes().all(|byte| byte.is_ascii_graphic());
        if !options.key.as_ref().is_none_or(is_word) {
            return Err(Fault::Key);
        }
        // Whoever starts the process has installed the provider; a test may not have.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = trusting(reqwest::Client::builder(), &options)?
            .connect_timeout(CONNECT_MAX)
            .timeout(options.request_max)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(Fault::Unreachable)?;
        Ok(Self {
            http,
            base,
            options,
        })
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        patience: Patience,
    ) -> Result<T, Fault> {
        self.ask(Method::GET, path, &Body::None, patience).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        json: Json,
        patience: Patience,
    ) -> Result<T, Fault> {
        let body = Body::Json(json);
        self.ask(Method::POST, path, &body, patience).await
    }

    /// Hands a task in, and answers its number.
    pub(super) async fn enqueue(
        &self,
        method: Method,
        path: &str,
        body: &Body,
    ) -> Result<u64, Fault> {
        let enqueued: Enqueued = self.ask(method, path, body, Patience::Batch).await?;
        Ok(enqueued.task_uid)
    }

    /// Hands a task in and waits for its end.
    pub(super) async fn run(&self, method: Method, path: &str, body: Body) -> Result<(), Fault> {
        let task = self.enqueue(method, path, &body).await?;
        self.done(task).await
    }

    /// Waits for the end of a task.
    pub(super) async fn done(&self, task: u64) -> Result<(), Fault> {
        let begun = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let path = format!("tasks/{task}");
            let found: Task = self.get(&path, Patience::Batch).await?;
            match found.status {
                State::Succeeded => return Ok(()),
                State::Canceled => return Err(Fault::TaskCanceled(task)),
                State::Failed => return Err(failed(task, found.error.unwrap_or_default())),
                State::Enqueued | State::Processing => {}
            }
            let waited = begun.elapsed();
            if waited >= self.options.task_max {
                return Err(Fault::TaskLate { task, waited });
            }
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Body,
        patience: Patience,
    ) -> Result<T, Fault> {
        let begun = Instant::now();
        let (mut pause, mut tries) = (PAUSES.0, 0);
        loop {
            let request = self.request(method.clone(), path, body);
            let fault = match self.once(request).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tries += 1;
            let is_over = match patience {
                Patience::Batch => begun.elapsed() >= self.options.patience,
                Patience::Question => tries > 1 || !is_cut_off(&fault.0),
            };
            if is_over || !fault.0.may_retry() {
                return Err(fault.0);
            }
            tokio::time::sleep(fault.1.unwrap_or(pause).max(pause)).await;
            pause = longer(pause);
        }
    }

    fn request(&self, method: Method, path: &str, body: &Body) -> RequestBuilder {
        let url = self.base.join(path).expect("paths are made here");
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.options.key {
            request = request.bearer_auth(key);
        }
        match body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Lines(lines) => request
                .header(CONTENT_TYPE, "application/x-ndjson")
                .body(lines.clone()),
        }
    }

    /// One try; the fault comes with the time after which the server wants to be asked again.
    async fn once<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, (Fault, Option<Duration>)> {
        let unreachable = |error: reqwest::Error| (Fault::Unreachable(error.without_url()), None);
        let response = request.send().await.map_err(unreachable)?;
        let (status, later) = (response.status(), self.later(&response));
        let bytes = bounded(response).await.map_err(|fault| (fault, None))?;
        if !status.is_success() {
            let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
            let status = status.as_u16();
            return Err((
                Fault::Refused {
                    status,
                    code: shown(&problem.code),
                    is_server: problem.is_of_server(),
                },
                later,
            ));
        }
        serde_json::from_slice(&bytes).map_err(|error| (Fault::Unreadable(error), None))
    }

    /// What the server says of when to come again, within the patience.
    fn later(&self, response: &Response) -> Option<Duration> {
        let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        let later = Duration::from_secs(seconds.parse().ok()?);
        Some(later.min(self.options.patience))
    }
}

impl Problem {
    fn is_of_server(&self) -> bool {
        matches!(self.kind.as_str(), "internal" | "system")
    }
}

/// The client, trusting whom the options name alone.
fn trusting(http: ClientBuilder, options: &Options) -> Result<ClientBuilder, Fault> {
    let Some(path) = &options.ca else {
        return Ok(http);
    };
    if !options.url.starts_with("https://") {
        return Err(Fault::NoTls);
    }
    let unusable = |why: String| Fault::File {
        key: "search.ca",
        path: path.clone(),
        why,
    };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let bundle = reqwest::Certificate::from_pem_bundle(&pem);
    match bundle.map_err(|error| unusable(error.to_string()))? {
        none if none.is_empty() => Err(unusable("it holds no certificate".to_owned())),
        bundle => Ok(http.tls_certs_only(bundle)),
    }
}

/// The address under which all paths lie.
fn base(text: &str) -> Result<Url, Fault> {
    let text = format!("{}/", text.trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|_| Fault::Address)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let is_http = matches!(url.scheme(), "http" | "https");
    match is_plain && is_http && url.fragment().is_none() {
        true => Ok(url),
        false => Err(Fault::Address),
    }
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let cut_off = |error: reqwest::Error| Fault::Unreachable(error.without_url());
    while let Some(chunk) = response.chunk().await.map_err(cut_off)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::TooLong(ANSWER_BYTES_MAX));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn failed(task: u64, problem: Problem) -> Fault {
    Fault::TaskFailed {
        task,
        code: shown(&problem.code),
        is_server: problem.is_of_server(),
    }
}

/// A code as it may stand in a message, whoever answered.
fn shown(code: &str) -> String {
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match code.len() {
        1..=80 if code.chars().all(is_code) => code.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn is_cut_off(fault: &Fault) -> bool {
    matches!(fault, Fault::Unreachable(error) if !error.is_timeout() && !error.is_connect())
}

fn longer(pause: Duration) -> Duration {
    (pause * 3 / 2).min(PAUSES.1)
}
