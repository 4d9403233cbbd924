//! Public errors: one table from code to HTTP status, exit code, sentence and advice.
//!
//! Every refusal and failure that leaves the program is a [`Problem`] of one row; `docs/generated/errors.md` is rendered
//! from the table. The inner errors of the log and the domain find their row by the code that they name themselves.
//! **Invariant:** a code never changes its meaning.
//! **Never:** an inner cause over HTTP; it is for the log and for the terminal of whoever runs the program.

mod identities;
mod inner;

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

pub use inner::Coded;

/// How the program ends; the numbers are a contract (DESIGN §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// With `--exit-code`: nothing found, or differences.
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    SignIn = 4,
    Conflict = 5,
    Verification = 6,
    FailedModules = 7,
    StillRunning = 8,
    Unreachable = 9,
    /// A failure under `--exit-code`, where 1 is taken.
    FailedBeside = 10,
    Interrupted = 130,
}

impl Exit {
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Done, "ok"),
        (
            Self::Failed,
            "failed (with --exit-code: nothing found, or differences)",
        ),
        (Self::Usage, "usage"),
        (Self::NotFound, "not found"),
        (Self::SignIn, "sign-in needed"),
        (Self::Conflict, "conflict"),
        (Self::Verification, "verification failed"),
        (Self::FailedModules, "finished with failed modules"),
        (Self::StillRunning, "still running at --timeout"),
        (Self::Unreachable, "server or store unreachable"),
        (Self::FailedBeside, "failed, under --exit-code"),
        (Self::Interrupted, "interrupted"),
    ];

    pub fn code(self) -> u8 {
        self as u8
    }
}

/// One public code.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Stable, in snake case.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    pub exit: Exit,
    /// What happened, safe to show to anybody.
    pub title: &'static str,
    /// What to try.
    pub hint: &'static str,
}

/// Columns: code, status, exit, title, hint. Sorted by code.
#[rustfmt::skip]
pub const ALL: &[Row] = &[
    row("access_denied", 403, Exit::SignIn, "the device was not let in", "ask for another code: `mirage login`"),
    row("ambiguous_id", 400, Exit::Usage, "the id fits several things", "write more of the id"),
    row("api_keys_full", 409, Exit::Conflict, "the workspace has as many API keys as it bears", "revoke one: `mirage api-keys revoke`"),
    row("archive_cut", 400, Exit::Verification, "the archive was cut short", "write it again: `mirage log export` goes on where it ends"),
    row("archive_damaged", 400, Exit::Verification, "the archive is not what was written", "use another copy, or export the log again"),
    row("archive_foreign", 400, Exit::Usage, "this is no archive of a log", "`mirage log export` writes one"),
    row("archive_newer", 400, Exit::Failed, "the archive was written by a newer version", "upgrade this program"),
    row("authorization_pending", 400, Exit::StillRunning, "nobody has decided on the device yet", "ask again after the interval"),
    row("backup_ahead", 409, Exit::Conflict, "the backup holds more than the log", "restore the log from it, or back up into another directory"),
    row("backup_damaged", 500, Exit::Verification, "the backup is not what was written", "use another backup; `mirage log verify --data BACKUP` names the position"),
    row("backup_unfinished", 409, Exit::Verification, "the backup was never completed", "run `mirage log backup` again: it goes on where it stopped"),
    row("bad_body", 400, Exit::Usage, "the body of the request is not understood", "/api/v1/openapi.json describes it"),
    row("bad_config", 400, Exit::Usage, "the configuration is not valid", "`mirage config check` lists every fault"),
    row("bad_credential", 401, Exit::SignIn, "the credential opens nothing", "issue another API key: `mirage api-keys issue`"),
    row("bad_cursor", 400, Exit::Usage, "the list cannot be continued from there", "begin the list again"),
    row("bad_file", 400, Exit::Usage, "the file cannot be imported", "nothing was changed; look at the file and at --format"),
    row("bad_id", 400, Exit::Usage, "this is no id", "ids come out of the listings; the beginning of one is enough"),
    row("bad_query", 400, Exit::Usage, "a parameter of the request is not understood", "/api/v1/openapi.json lists the parameters"),
    row("bad_scope", 400, Exit::Usage, "this is no scope rule", "write a domain, =name, an address, a CIDR, or KIND:KEY, with ! before it to exclude"),
    row("bad_seed", 400, Exit::Usage, "the seed is not recognised", "say what it is: --seed KIND:VALUE"),
    row("bad_setting", 400, Exit::Usage, "the setting is not valid", "`mirage modules info NAME` lists the settings of a module"),
    row("bad_time", 400, Exit::Usage, "this is no time", "write 2026-11-03T10:00:00Z, 2026-11-03, yesterday, or -2h"),
    row("bad_user_code", 403, Exit::NotFound, "no device waits with this code", "look at the code again, or let the device ask for another"),
    row("bad_value", 422, Exit::Usage, "a value is not acceptable", "the detail says which and why"),
    row("body_too_large", 413, Exit::Usage, "the body of the request is too large", "send less"),
    row("code_needed", 401, Exit::SignIn, "a one-time code is needed", "send the code that the authenticator shows"),
    row("commit_too_large", 413, Exit::Failed, "the commit is too large", "split what is written; larger things are evidence"),
    row("conflict", 409, Exit::Conflict, "somebody else was faster", "look at what changed and try again"),
    row("consent_missing", 403, Exit::Usage, "an active scan needs consent", "add --yes if you may scan these targets, or choose --profile standard"),
    row("copy_gap", 409, Exit::Conflict, "the copy would leave a gap", "copy the positions in order"),
    row("copy_occupied", 409, Exit::Conflict, "another commit stands at that position", "copy into an empty log"),
    row("disk_full", 507, Exit::Failed, "the disk is full", "free some space; nothing was lost"),
    row("event_unfit", 500, Exit::Failed, "an event does not fit its view", "`mirage views ls` shows what is quarantined"),
    row("evidence_damaged", 500, Exit::Verification, "the evidence is not what was stored", "restore the evidence from a backup"),
    row("evidence_incomplete", 409, Exit::Verification, "evidence of the scan is damaged or missing", "restore the evidence from a backup; `mirage evidence verify` beside the log names it"),
    row("evidence_too_large", 413, Exit::Failed, "the evidence is too large", "ask for less"),
    row("evidence_unreadable", 503, Exit::Unreachable, "the evidence store cannot be used", "`mirage doctor` says what is wrong with it"),
    row("evidence_write_failed", 503, Exit::Unreachable, "the evidence cannot be written", "`mirage doctor` says what is wrong with it"),
    row("expired_token", 401, Exit::SignIn, "the code of the device is not good, or not any more", "ask for another code: `mirage login`"),
    row("folder_foreign", 409, Exit::Usage, "the directory holds something else", "name an empty directory"),
    row("forbidden", 403, Exit::SignIn, "the role of this credential does not allow that", "ask an owner of the workspace"),
    row("id_key_missing", 503, Exit::Failed, "the id key of the workspace is missing or another one", "put the key file back from a backup"),
    row("identities_full", 409, Exit::Conflict, "the user has as many identities as it bears", "unlink one first"),
    row("identity_taken", 409, Exit::Conflict, "the identity is linked to another user", "unlink it there first: `mirage users unlink`"),
    row("input_unreadable", 400, Exit::NotFound, "the input cannot be read", "check the path and its permissions"),
    row("internal", 500, Exit::Failed, "something went wrong inside", "run it again with -v, and report what it says"),
    row("interrupted", 499, Exit::Interrupted, "interrupted", "`mirage scans resume` goes on where it stopped"),
    row("issuer_unusable", 503, Exit::Unreachable, "the issuer cannot be used for signing in", "sign in by password; the node's log says what is wrong with the issuer"),
    row("key_in_flight", 409, Exit::Conflict, "a request with this idempotency key is being answered", "wait for the first answer"),
    row("key_reused", 422, Exit::Conflict, "the idempotency key was used before for another request", "use a fresh key for a new request"),
    row("last_owner", 409, Exit::Conflict, "a workspace keeps an owner", "make another member an owner first"),
    row("log_behind_view", 500, Exit::Verification, "the log lost commits that a view knows", "restore the log from a backup"),
    row("log_busy", 503, Exit::Unreachable, "another process is writing to the log", "try again when it is done"),
    row("log_crowded", 507, Exit::Failed, "the log has as many streams as its servers bear", "begin another log: log.name; `mirage doctor` shows the number"),
    row("log_damaged", 500, Exit::Verification, "the log is not what was written", "`mirage log verify` names the position; restore from a backup"),
    row("log_differs", 500, Exit::Verification, "a view was folded from another log", "restore the log, or delete the folder `views`"),
    row("log_foreign", 500, Exit::Failed, "the file is not a Mirage log", "point --data at another directory"),
    row("log_newer", 500, Exit::Failed, "the log was written by a newer version", "upgrade this program"),
    row("log_refused", 503, Exit::Unreachable, "there is no safe way to the log's server, or it refuses this program", "do what the message says; `mirage config explain` shows what is set"),
    row("log_unavailable", 503, Exit::Unreachable, "the log's server did not answer in time", "try the same again: what has landed is found"),
    row("log_unfit", 503, Exit::Unreachable, "the log's server does not keep what a log promises", "do what the message says, and open the log again"),
    row("log_unopenable", 503, Exit::Unreachable, "the log cannot be opened", "check the path and its permissions"),
    row("log_unreachable", 503, Exit::Unreachable, "the log's server cannot be reached", "check log.servers and the network: mirage config explain log.servers"),
    row("log_unreadable", 503, Exit::Unreachable, "the log cannot be read", "`mirage doctor` says what is wrong with it"),
    row("log_write_failed", 503, Exit::Unreachable, "the log cannot be written", "`mirage doctor` says what is wrong with it"),
    row("members_full", 409, Exit::Conflict, "there are as many members or teams as it bears", "remove one first"),
    row("method_not_allowed", 405, Exit::Usage, "there is no such method here", "the header Allow names those that there are"),
    row("newer_event", 500, Exit::Failed, "the log holds events of a newer version", "upgrade this program"),
    row("no_log", 404, Exit::NotFound, "there is no log here", "name the data directory with --data, or begin with `mirage scan`"),
    row("no_second_factor", 409, Exit::Conflict, "the user has no one-time codes", "set them up first"),
    row("no_such_api_key", 404, Exit::NotFound, "there is no such API key", "`mirage api-keys ls` lists them"),
    row("no_such_delivery", 404, Exit::NotFound, "there is no such delivery", "`mirage hooks deliveries` lists those that are remembered"),
    row("no_such_entity", 404, Exit::NotFound, "there is no such entity", "`mirage entities` lists them"),
    row("no_such_evidence", 404, Exit::NotFound, "there is no such evidence", "`mirage findings -o jsonl` names the evidence of each finding"),
    row("no_such_finding", 404, Exit::NotFound, "there is no such finding", "`mirage findings` lists them"),
    row("no_such_identity", 404, Exit::NotFound, "there is no such identity", "it may be unlinked already"),
    row("no_such_key", 404, Exit::NotFound, "there is no such configuration key", "`mirage config explain` lists them"),
    row("no_such_member", 404, Exit::NotFound, "there is no such member", "`mirage users ls` lists the users"),
    row("no_such_module", 404, Exit::NotFound, "there is no such module", "`mirage modules ls` lists them"),
    row("no_such_path", 404, Exit::NotFound, "there is no path", "look further with --max-hops, or in every scan and relation"),
    row("no_such_position", 404, Exit::NotFound, "the log has no such position", "`mirage log tail` shows where the log ends"),
    row("no_such_resource", 404, Exit::NotFound, "there is nothing at this path", "/api/v1/openapi.json lists the paths"),
    row("no_such_scan", 404, Exit::NotFound, "there is no such scan", "`mirage scans` lists them"),
    row("no_such_session", 404, Exit::NotFound, "there is no such session", "it may be over already"),
    row("no_such_subscription", 404, Exit::NotFound, "there is no such subscription", "`mirage hooks ls` lists them"),
    row("no_such_team", 404, Exit::NotFound, "there is no such team", "an owner of the workspace can create it"),
    row("no_such_user", 404, Exit::NotFound, "there is no such user", "`mirage users ls` lists them"),
    row("no_such_view", 404, Exit::NotFound, "there is no such view", "`mirage views ls` lists them"),
    row("no_such_workspace", 404, Exit::NotFound, "there is no such workspace", "it begins with its first scan"),
    row("not_acceptable", 406, Exit::Usage, "the answer cannot be given in a form that is accepted", "accept application/json"),
    row("not_marked", 409, Exit::Conflict, "the finding is not marked", "`mirage marks` lists the marks that hold"),
    row("not_ready", 501, Exit::Failed, "this build cannot do that", "use a build that has this part"),
    row("oidc_not_linked", 403, Exit::SignIn, "no user is linked to whom the issuer names", "let an owner of `system` link it: `mirage users link NAME --issuer URL --subject SUBJECT`"),
    row("oidc_off", 404, Exit::Usage, "this server has no issuer for signing in", "set serve.oidc_issuer, serve.oidc_client_id and serve.oidc_redirect"),
    row("oidc_refused", 401, Exit::SignIn, "the sign-in by the issuer failed", "begin again: /api/v1/oidc/start"),
    row("other_log", 409, Exit::Conflict, "there is another log", "name an empty directory, or one with a beginning of the same log"),
    row("output_failed", 500, Exit::Failed, "the output cannot be written", "check where the output goes"),
    row("overloaded", 503, Exit::Unreachable, "the server has as much to do as it bears", "try again after the seconds of Retry-After"),
    row("precondition_failed", 412, Exit::Conflict, "it changed since it was read", "read it again and decide anew"),
    row("precondition_missing", 428, Exit::Usage, "a change needs If-Match", "read it and send its ETag as If-Match"),
    row("scan_exists", 409, Exit::Conflict, "the scan was started before", "`mirage scans get` shows it"),
    row("scan_not_over", 409, Exit::Conflict, "the scan is not over", "stop it first: `mirage scans stop`"),
    row("scan_over", 409, Exit::Conflict, "the scan is over or being stopped", "`mirage scans rerun` starts it anew"),
    row("server_unreachable", 502, Exit::Unreachable, "the server cannot be reached", "check --server and the network"),
    row("session_over", 401, Exit::SignIn, "the session is over", "sign in again"),
    row("sign_in_failed", 401, Exit::SignIn, "the sign-in failed", "check name, password and one-time code"),
    row("sign_in_needed", 401, Exit::SignIn, "sign-in is needed", "send an API key (`mirage api-keys issue`) or an access token (/api/v1/sign-in)"),
    row("signing_keys_unusable", 503, Exit::Failed, "the keys that sign access tokens cannot be used", "look at the folder access-tokens beside the id keys"),
    row("slow_down", 400, Exit::StillRunning, "the device asks too often", "ask again after the seconds of Retry-After"),
    row("still_running", 504, Exit::StillRunning, "it still runs", "give it more time with --timeout, or `mirage watch` it"),
    row("subscriptions_full", 409, Exit::Conflict, "the workspace has as many subscriptions as it bears", "remove one: `mirage hooks rm`"),
    row("too_many_requests", 429, Exit::Unreachable, "too many requests", "try again after the seconds of Retry-After"),
    row("unknown_module", 400, Exit::Usage, "there is no such module", "`mirage modules ls` lists them"),
    row("unknown_setting", 400, Exit::Usage, "there is no such setting", "`mirage modules info NAME` lists the settings of a module"),
    row("unsupported_media", 415, Exit::Usage, "the body is of another media type", "send application/json"),
    row("upgrade_needed", 426, Exit::Usage, "this path speaks WebSocket only", "connect with ws:// or wss://, or read /api/v1/events"),
    row("usage", 400, Exit::Usage, "the command line is not understood", "add --help to see what it takes"),
    row("user_exists", 409, Exit::Conflict, "the user exists", "choose another name"),
    row("view_behind", 503, Exit::StillRunning, "the view is not there yet", "try again in a moment"),
    row("view_stopped", 500, Exit::Failed, "the view has stopped", "`mirage views ls` says why"),
    row("view_unreadable", 503, Exit::Unreachable, "a view cannot be read", "`mirage views rebuild NAME` makes it anew from the log"),
    row("workspace_exists", 409, Exit::Conflict, "the workspace exists", "choose another name"),
];

const fn row(
    code: &'static str,
    status: u16,
    exit: Exit,
    title: &'static str,
    hint: &'static str,
) -> Row {
    Row {
        code,
        status,
        exit,
        title,
        hint,
    }
}

impl Row {
    /// The row of a code; an unknown one is a fault of ours and shows as `internal`.
    pub fn of(code: &str) -> &'static Self {
        let find = |code| ALL.iter().find(|row| row.code == code);
        find(code)
            .or_else(|| find("internal"))
            .expect("the table has the row `internal`")
    }
}

/// One failure as the outside sees it: its row, and what is particular to this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub row: &'static Row,
    /// Why, this time; safe to send.
    pub detail: String,
    /// Better advice than the row's.
    pub hint: Option<String>,
    /// Seconds after which another try may be good, where that is known.
    pub retry_after_s: Option<u64>,
    /// The chain of inner causes; for logs and the terminal only.
    pub cause: Option<String>,
}

impl Problem {
    pub fn new(code: &str, detail: impl fmt::Display) -> Self {
        Self {
            row: Row::of(code),
            detail: detail.to_string(),
            hint: None,
            retry_after_s: None,
            cause: None,
        }
    }

    /// An error with the chain of its causes.
    pub fn of(code: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes: Vec<String> = std::iter::successors(error.source(), |cause| cause.source())
            .map(ToString::to_string)
            .collect();
        let cause = Some(causes.join(": ")).filter(|cause| !cause.is_empty());
        Self {
            cause,
            ..Self::new(code, error)
        }
    }

    pub fn try_this(self, hint: impl fmt::Display) -> Self {
        Self {
            hint: Some(hint.to_string()),
            ..self
        }
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.row.hint)
    }

    pub fn exit(&self) -> Exit {
        self.row.exit
    }

    /// The detail as anybody may read it. What went wrong inside goes to the log alone, under the trace's id.
    pub(crate) fn safe_detail(&self, trace_id: &str) -> &str {
        if self.row.status < 500 {
            return &self.detail;
        }
        let (code, detail) = (self.row.code, &self.detail);
        let cause = self.cause.as_deref().unwrap_or_default();
        tracing::error!(trace_id, code, detail, cause, "refused");
        self.row.title
    }

    /// The problem document (RFC 9457) with the code and the advice.
    pub fn document(&self) -> Value {
        json!({
            "type": format!("/errors/{}", self.row.code),
            "title": self.row.title,
            "status": self.row.status,
            "detail": self.detail,
            "code": self.row.code,
            "hint": self.hint(),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.row.title, self.detail)
    }
}

impl std::error::Error for Problem {}

/// `docs/generated/errors.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Errors\n\nGenerated from `crates/api/src/error.rs`; do not edit.\n\n\
         ## Exit codes\n\n| exit | means |\n|---|---|\n",
    );
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(page, "| {} | {meaning} |", exit.code());
    }
    page.push_str(
        "\n## Codes\n\n| code | HTTP status | exit | what | what to try |\n|---|---|---|---|---|\n",
    );
    for row in ALL {
        let (code, status, exit) = (row.code, row.status, row.exit.code());
        let _ = writeln!(
            page,
            "| `{code}` | {status} | {exit} | {} | {} |",
            row.title, row.hint
        );
    }
    page
}

#[cfg(test)]
mod tests;
