//! HTTP: a request from its first hop to the page where it ends, retries and limits included.
//!
//! **Invariant:** each hop is an exchange of its own: judged by the egress policy, charged, stored.
//! **Invariant:** only what surely was no answer is tried again: a reset, and for sources also a refused connection.

use std::pin::pin;
use std::time::Duration;

use mirage_domain::module::Profile;

use super::TaskProbe;
use super::exchange::Failure;
use crate::collectors::CollectError;
use crate::probe::redirect::{Step, Trail};
use crate::probe::{HttpRequest, Page};

/// Tries of one hop.
const TRIES: u32 = 3;
/// Pause before the second try; it doubles, and up to as much again is added at random.
const BACK_OFF: Duration = Duration::from_millis(200);
/// Longest pause that a source may ask for; beyond it the input is limited.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(20);

/// What makes two requests of a scan the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    url: String,
    follow: bool,
    body_bytes_max: usize,
    headers: Vec<(String, String)>,
    /// Sources are verified and may hold secrets; targets share.
    source: Option<&'static str>,
}

impl TaskProbe {
    /// The page that a request ends at, from the scan's cache unless it names an address.
    pub(super) async fn fetch(&self, request: HttpRequest) -> Result<Page, CollectError> {
        if request.connect.is_some() {
            return self.travel(request).await;
        }
        let key = Key {
            url: request.url.clone(),
            follow: request.follow,
            body_bytes_max: request.body_bytes_max,
            headers: request.headers.clone(),
            source: self.is_source().then_some(self.manifest.name),
        };
        let make = pin!(async {
            let page = self.travel(request).await?;
            let headers = page
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len());
            let weight = page.body.len() + headers.sum::<usize>() + page.url.len();
            // A server that is in trouble may be asked again.
            let is_kept = page.status != 429 && page.status < 500;
            Ok((page, is_kept.then_some(weight)))
        });
        self.scan.pages.get(&key, make).await
    }

    /// Whether this module asks third parties, whom it must trust and whose limits it must keep.
    pub(super) fn is_source(&self) -> bool {
        self.manifest.profile == Profile::Passive
    }

    async fn travel(&self, request: HttpRequest) -> Result<Page, CollectError> {
        let mut trail = Trail::new(request)?;
        loop {
            let page = self.hop(&trail).await?;
            match trail.step(page) {
                Step::Arrived(page) => return Ok(page),
                Step::Onward(next) => trail = next,
            }
        }
    }

    /// One hop, tried again where that may help.
    async fn hop(&self, trail: &Trail) -> Result<Page, CollectError> {
        let mut tried = 1;
        loop {
            let (pause, error) = match self.attempt(trail).await {
                Ok(page) => match self.limit(&page) {
                    None => return Ok(page),
                    Some((pause, reason)) => (pause, CollectError::Limited(reason)),
                },
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again(reason)) => (
                    Some(self.back_off(tried)),
                    CollectError::Unavailable(reason),
                ),
            };
            match pause.filter(|pause| tried < TRIES && *pause <= RETRY_AFTER_MAX) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
            tried += 1;
        }
    }

    fn back_off(&self, tried: u32) -> Duration {
        let [random] = self.scan.live.entropy.draw();
        let pause = BACK_OFF * 2_u32.saturating_pow(tried - 1);
        pause + pause.mul_f64(f64::from(random) / 255.0)
    }

    /// Whether a source says "too much", and how long it wants to be left alone. A target's 429 is an answer like any.
    fn limit(&self, page: &Page) -> Option<(Option<Duration>, String)> {
        let header = page.headers.iter().find(|(name, _)| name == "retry-after");
        let after = header.map(|(_, value)| value.as_str());
        if !self.is_source() || !matches!((page.status, after), (429, _) | (503, Some(_))) {
            return None;
        }
        // A date in place of seconds is always too far off to wait here.
        let pause = after
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        let reason = format!(
            "status {}, retry after {}",
            page.status,
            after.unwrap_or("?")
        );
        Some((pause, reason))
    }
}
