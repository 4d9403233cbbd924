//! A node as whoever asks it over the network sees it.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use super::{Check, fail, ok, refused, warn};
use crate::wire::remote::{Readiness, Remote};

/// A clock that is further off makes one-time codes and times of reads go wrong.
const CLOCK_S_MAX: i64 = 5;
/// Commits that a view may be behind without a word.
const LAG_MAX: u64 = 10_000;

pub(super) async fn checks(remote: &Remote) -> Vec<Check> {
    let told = match remote.readiness().await {
        Ok(told) => told,
        Err(failure) => return vec![refused("server", &failure)],
    };
    let mut all = vec![server(remote, &told)];
    let dependencies = told.document["dependencies"].as_array();
    all.extend(dependencies.into_iter().flatten().map(dependency));
    all.push(clock(&told));
    match remote.get(&["whoami"], &Vec::new()).await {
        Ok(who) => {
            all.push(ok(
                "credential",
                format_args!("{} in {}", text(&who, "role"), text(&who, "workspace")),
            ));
            all.extend(views(remote).await);
        }
        Err(failure) => all.push(refused("credential", &failure)),
    }
    all
}

fn server(remote: &Remote, told: &Readiness) -> Check {
    let (own, theirs) = (env!("CARGO_PKG_VERSION"), text(&told.document, "version"));
    let detail = format!("{} answers, version {theirs}", remote.base);
    match own == theirs {
        true => ok("server", detail),
        false => warn(
            "server",
            format_args!("{detail}; this program is {own}"),
            "use the same version",
        ),
    }
}

fn dependency(told: &Value) -> Check {
    let detail = format!("{}: {}", text(told, "name"), text(told, "detail"));
    match told["is_ready"].as_bool() {
        Some(true) => ok("readiness", detail),
        _ => fail(
            "readiness",
            detail,
            "run mirage doctor beside that node, and look at its log",
        ),
    }
}

fn clock(told: &Readiness) -> Check {
    // Dates of HTTP are those of mail (RFC 9110, section 5.6.7).
    let date = told.date.as_deref();
    let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    let Some(date) = date else {
        return warn("clock", "the server tells no time", "");
    };
    let apart = date.as_second() - Timestamp::now().as_second();
    match apart.abs() <= CLOCK_S_MAX {
        true => ok("clock", "as here"),
        false => warn(
            "clock",
            format_args!("{apart} s from the one here"),
            "keep both by NTP: one-time codes and times of reads depend on it",
        ),
    }
}

async fn views(remote: &Remote) -> Vec<Check> {
    match remote.get(&["views"], &Vec::new()).await {
        Ok(told) => {
            let views = told["items"].as_array().into_iter().flatten();
            views.map(view).collect()
        }
        Err(failure) => vec![refused("views", &failure)],
    }
}

fn view(told: &Value) -> Check {
    let number = |name: &str| told[name].as_u64().unwrap_or_default();
    let (name, lag, aside) = (text(told, "view"), number("lag"), number("quarantined"));
    let detail = format!("{name} at {}, {lag} behind", number("position"));
    if told["is_stopped"].as_bool() == Some(true) {
        let fix = format!("mirage views rebuild {name}, beside a node that folds it");
        return fail("views", format_args!("{detail}: stopped"), fix);
    }
    if aside > 0 {
        let fix = format!("mirage views retry {name}, beside a node that folds it");
        return warn(
            "views",
            format_args!("{detail}, {aside} streams set aside"),
            fix,
        );
    }
    match lag > LAG_MAX {
        true => warn(
            "views",
            detail,
            "see whether a node of the role project runs",
        ),
        false => ok("views", detail),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or("?")
}
