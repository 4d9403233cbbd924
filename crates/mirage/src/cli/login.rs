//! `mirage login`, `mirage logout`: a session at a server, for whoever names it by `--server`.
//!
//! Somebody who is in elsewhere lets this device in by a code, or a password does.

use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use mirage_api::error::{Exit, Problem};
use serde_json::{Value, json};

use super::users::secret;
use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, SafeText, Shape, values};
use crate::wire::remote::Remote;
use crate::wire::signed_in::SignedIn;

/// Between two polls where a server does not say (RFC 8628, section 3.2), and what is added where it asks for that.
const INTERVAL_S: u64 = 5;
/// A server cannot make us wait longer between two polls.
const INTERVAL_MAX_S: u64 = 60;
/// Nor for longer altogether.
const WAIT_MAX: Duration = Duration::from_secs(30 * 60);
/// Longest name of a host that is told.
const HOST_BYTES_MAX: usize = 40;
/// Longest answer to a question that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// Sign in to a server: by a code that somebody who is in confirms, or by a password
///
/// Exit codes: 0 ok, 2 no --server, 4 refused or expired, 9 the server cannot be reached
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArguments {
    /// As this user, by the password: asked for, or one line on stdin
    #[arg(long, value_name = "NAME", conflicts_with = "confirm")]
    password: Option<String>,
    /// The one-time code, for who has set them up
    #[arg(long, value_name = "CODE", requires = "password")]
    totp: Option<String>,
    /// Let another device in, which shows this code
    #[arg(long, value_name = "CODE")]
    confirm: Option<String>,
}

/// End the session at a server, and forget it here
///
/// Exit codes: 0 ok, 2 no --server, 4 nobody signed in, 9 the server cannot be reached
#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArguments {}

static SIGNED_IN: Listing = Listing {
    key: "session_id",
    fields: &[
        Field::new("workspace", Shape::Text),
        Field::new("role", Shape::Text),
        Field::new("user_id", Shape::Text),
        Field::new("session_id", Shape::Text),
    ],
};

pub(crate) async fn login(context: &Context, arguments: &LoginArguments) -> Answer {
    let remote = server(context)?;
    if let Some(code) = &arguments.confirm {
        return confirm(context, remote.signed_in()?, code).await;
    }
    let granted = match &arguments.password {
        Some(name) => by_password(context, &remote, name, arguments.totp.as_deref()).await?,
        None => by_code(context, &remote).await?,
    };
    SignedIn::at(&remote.base)?.keep(&granted)?;
    context
        .output
        .thing(&SIGNED_IN, values(&SIGNED_IN, &granted))?;
    Ok(Exit::Done)
}

pub(crate) async fn logout(context: &Context) -> Answer {
    let remote = server(context)?.signed_in()?;
    let place = SignedIn::at(&remote.base)?;
    let ended = remote
        .change(reqwest::Method::POST, &["sign-out"], None, None, None)
        .await;
    match ended {
        // A session that is over by now is what was asked for.
        Err(Failure::Problem(problem)) if problem.exit() == Exit::SignIn => {}
        ended => drop(ended?),
    }
    place.forget()?;
    context.output.say("signed out");
    Ok(Exit::Done)
}

fn server(context: &Context) -> Result<Remote, Failure> {
    let needed = || {
        let problem = Problem::new("usage", "no server is named");
        problem.try_this("--server https://HOST:8640")
    };
    Ok(context.stranger()?.ok_or_else(needed)?)
}

async fn by_password(
    context: &Context,
    remote: &Remote,
    name: &str,
    totp: Option<&str>,
) -> Result<Value, Failure> {
    let mut body = json!({
        "name": name,
        "password": secret::known(context)?,
        "workspace": context.config.get("workspace"),
    });
    if let Some(code) = totp {
        body["code"] = code.into();
    }
    remote.open_post(&["sign-in"], &body).await
}

async fn by_code(context: &Context, remote: &Remote) -> Result<Value, Failure> {
    let asked = json!({"client_name": format!("mirage on {}", host())});
    let codes = remote.open_post(&["device"], &asked).await?;
    let text = |name: &str| {
        let foreign = || Problem::new("server_unreachable", "an answer without codes");
        codes[name].as_str().ok_or_else(foreign)
    };
    let (device_code, user_code) = (text("device_code")?, text("user_code")?);
    context.output.say(format_args!(
        "To let this device in, run where you are signed in:\n\n    mirage login --server {} --confirm {user_code}\n\nWaiting …",
        remote.base
    ));
    let lasts = Duration::from_secs(codes["expires_in"].as_u64().unwrap_or_default());
    let interval = codes["interval"].as_u64().unwrap_or(INTERVAL_S);
    let polled = poll(remote, device_code, interval);
    match tokio::time::timeout(lasts.min(WAIT_MAX), polled).await {
        Ok(granted) => granted,
        Err(_) => Err(Problem::new("expired_token", "nobody decided in time").into()),
    }
}

async fn poll(remote: &Remote, device_code: &str, mut interval: u64) -> Result<Value, Failure> {
    let body = json!({"device_code": device_code});
    loop {
        let wait = interval.clamp(1, INTERVAL_MAX_S);
        tokio::time::sleep(Duration::from_secs(wait)).await;
        match remote.open_post(&["device", "token"], &body).await {
            Err(Failure::Problem(problem)) => match problem.row.code {
                "authorization_pending" => {}
                // RFC 8628, section 3.5: also where the server does not answer.
                "slow_down" | "too_many_requests" | "server_unreachable" => interval += INTERVAL_S,
                _ => return Err(Failure::Problem(problem)),
            },
            ended => return ended,
        }
    }
}

async fn confirm(context: &Context, remote: Remote, code: &str) -> Answer {
    let post = async |path, body| {
        let method = reqwest::Method::POST;
        remote
            .change(method, &["device", path], Some(body), None, None)
            .await
    };
    let device = post("show", json!({"user_code": code})).await?;
    let text = |name: &str| device[name].as_str().unwrap_or("?").to_owned();
    let question = format!(
        "`{}` at {} wants to be let in as you. Is it yours?",
        text("client_name"),
        text("address")
    );
    if !context.is_yes && !context.may_ask() {
        context.output.say(question);
        let problem = Problem::new("usage", "nobody can be asked here");
        return Err(problem.try_this("add --yes if it is yours").into());
    }
    let is_allowed = context.is_yes || is_yes(&question);
    let decision = json!({"user_code": code, "is_allowed": is_allowed});
    post("confirm", decision).await?;
    let said = if is_allowed { "let in" } else { "refused" };
    context
        .output
        .say(format_args!("{said}: {}", text("client_name")));
    Ok(Exit::Done)
}

fn is_yes(question: &str) -> bool {
    let mut stderr = io::stderr();
    let asked = write!(stderr, "{} [y/N] ", SafeText(question));
    let mut answer = String::new();
    let stdin = io::stdin().lock();
    let read = stdin.take(ANSWER_BYTES_MAX).read_line(&mut answer);
    let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    asked.is_ok() && stderr.flush().is_ok() && read.is_ok() && is_yes
}

/// The name of this machine, as far as it is fit to be shown.
fn host() -> String {
    // Linux tells it here; elsewhere the shell may.
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let shell = || ["HOSTNAME", "COMPUTERNAME"].map(std::env::var).into_iter();
    let name = told.ok().or_else(|| shell().flatten().next());
    let name = name.unwrap_or_default();
    let plain = name.chars().filter(char::is_ascii_graphic);
    let plain: String = plain.take(HOST_BYTES_MAX).collect();
    match plain.is_empty() {
        true => "a device".to_owned(),
        false => plain,
    }
}
