//! What each role may do: every operation of the gateway in one table.
//!
//! Whatever is not in it is refused.
//!
//! To add an operation: its handler, its line in `router.rs`, and its row here; a test compares the three.

use axum::http::Method;
use mirage_domain::role::Role::{self, Analyst, Auditor, Owner, Service, Viewer};

/// Reads of what was found.
const READ: &[Role] = &[Owner, Analyst, Viewer, Auditor, Service];
/// Starts and steers scans.
const SCAN: &[Role] = &[Owner, Analyst, Service];
/// An analyst's word.
const JUDGE: &[Role] = &[Owner, Analyst];
/// Who may enter, and where events go.
const ADMIT: &[Role] = &[Owner];
/// Who may enter, only read.
const SEE_ADMITTED: &[Role] = &[Owner, Auditor];
/// Where events go, only read.
const OVERSEE: &[Role] = &[Owner, Analyst, Auditor];
/// Who did what.
const AUDIT: &[Role] = &[Owner, Auditor];

/// For everybody who was let in: about oneself.
const SELF: &[Role] = &Role::ALL;

/// One operation and the roles that may call it.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// As the description names it.
    pub id: &'static str,
    pub method: Method,
    /// Under `/api/v1`, with its parameters in braces.
    pub path: &'static str,
    pub roles: &'static [Role],
}

impl Operation {
    /// Reads a whole file, scan or log before it answers.
    pub fn is_long(&self) -> bool {
        matches!(self.id, "import_file" | "rederive_scan" | "verify_log")
    }

    /// Work that is no commit, and so is on record by itself.
    pub fn leaves_no_commit(&self) -> bool {
        self.id == "rebuild_view"
    }

    /// A read of what not every reader may see: each one is on record.
    pub fn is_privileged_read(&self) -> bool {
        self.method == Method::GET && READ.iter().any(|role| !self.roles.contains(role))
    }
}

/// Columns: id, method, path, roles. Sorted by path, then by method.
#[rustfmt::skip]
pub static ALL: &[Operation] = &[
    op("list_api_keys", Method::GET, "/api-keys", ADMIT),
    op("issue_api_key", Method::POST, "/api-keys", ADMIT),
    op("revoke_api_key", Method::DELETE, "/api-keys/{key}", ADMIT),
    op("list_audit", Method::GET, "/audit", AUDIT),
    op("confirm_device", Method::POST, "/device/confirm", SELF),
    op("show_device", Method::POST, "/device/show", SELF),
    op("diff", Method::GET, "/diff", READ),
    op("list_entities", Method::GET, "/entities", READ),
    op("get_entity", Method::GET, "/entities/{entity}", READ),
    op("list_neighbors", Method::GET, "/entities/{entity}/neighbors", READ),
    op("why_entity", Method::GET, "/entities/{entity}/why", READ),
    op("stream_events", Method::GET, "/events", READ),
    op("issue_ticket", Method::POST, "/events/tickets", READ),
    op("open_events", Method::GET, "/events/ws", READ),
    op("get_evidence", Method::GET, "/evidence/{sha256}", READ),
    op("list_findings", Method::GET, "/findings", READ),
    op("get_finding", Method::GET, "/findings/{finding}", READ),
    op("unmark_finding", Method::DELETE, "/findings/{finding}/mark", JUDGE),
    op("mark_finding", Method::PUT, "/findings/{finding}/mark", JUDGE),
    op("why_finding", Method::GET, "/findings/{finding}/why", READ),
    op("list_paths", Method::GET, "/graph/paths", READ),
    op("import_file", Method::POST, "/imports", SCAN),
    op("get_log_head", Method::GET, "/log", READ),
    op("get_commit", Method::GET, "/log/commits/{position}", AUDIT),
    op("verify_log", Method::GET, "/log/verify", AUDIT),
    op("list_marks", Method::GET, "/marks", READ),
    op("list_identities", Method::GET, "/me/identities", SELF),
    op("begin_identity", Method::POST, "/me/identities", SELF),
    op("unlink_identity", Method::DELETE, "/me/identities/{identity}", SELF),
    op("change_password", Method::PUT, "/me/password", SELF),
    op("offer_totp", Method::POST, "/me/totp", SELF),
    op("set_totp", Method::PUT, "/me/totp", SELF),
    op("list_members", Method::GET, "/members", SEE_ADMITTED),
    op("add_member", Method::POST, "/members", ADMIT),
    op("remove_member", Method::DELETE, "/members/{user}", ADMIT),
    op("set_member", Method::PUT, "/members/{user}", ADMIT),
    op("list_modules", Method::GET, "/modules", READ),
    op("get_module", Method::GET, "/modules/{module}", READ),
    op("list_scans", Method::GET, "/scans", READ),
    op("start_scan", Method::POST, "/scans", SCAN),
    op("get_scan", Method::GET, "/scans/{scan}", READ),
    op("change_scan", Method::PATCH, "/scans/{scan}", SCAN),
    op("export_scan", Method::GET, "/scans/{scan}/export", READ),
    op("rederive_scan", Method::POST, "/scans/{scan}/rederive", SCAN),
    op("replay_scan", Method::GET, "/scans/{scan}/replay", READ),
    op("search", Method::GET, "/search", READ),
    op("count_search", Method::GET, "/search/facets", READ),
    op("list_sessions", Method::GET, "/sessions", SELF),
    op("end_session", Method::DELETE, "/sessions/{session}", SELF),
    op("sign_out", Method::POST, "/sign-out", SELF),
    op("list_subscriptions", Method::GET, "/subscriptions", OVERSEE),
    op("create_subscription", Method::POST, "/subscriptions", ADMIT),
    op("remove_subscription", Method::DELETE, "/subscriptions/{subscription}", ADMIT),
    op("get_subscription", Method::GET, "/subscriptions/{subscription}", OVERSEE),
    op("change_subscription", Method::PATCH, "/subscriptions/{subscription}", ADMIT),
    op("list_deliveries", Method::GET, "/subscriptions/{subscription}/deliveries", OVERSEE),
    op("resend_delivery", Method::POST, "/subscriptions/{subscription}/deliveries/{cursor}/resend", ADMIT),
    op("rotate_secret", Method::POST, "/subscriptions/{subscription}/secret", ADMIT),
    op("list_teams", Method::GET, "/teams", SEE_ADMITTED),
    op("create_team", Method::POST, "/teams", ADMIT),
    op("remove_team", Method::DELETE, "/teams/{team}", ADMIT),
    op("set_team", Method::PUT, "/teams/{team}", ADMIT),
    op("remove_from_team", Method::DELETE, "/teams/{team}/members/{user}", ADMIT),
    op("add_to_team", Method::PUT, "/teams/{team}/members/{user}", ADMIT),
    op("change_user", Method::PATCH, "/users/{user}", ADMIT),
    op("list_views", Method::GET, "/views", READ),
    op("rebuild_view", Method::POST, "/views/{view}/rebuild", ADMIT),
    op("whoami", Method::GET, "/whoami", READ),
    op("list_workspaces", Method::GET, "/workspaces", SEE_ADMITTED),
    op("create_workspace", Method::POST, "/workspaces", ADMIT),
];

/// What needs no credential, for it gives one out. Nothing else is open.
#[rustfmt::skip]
pub static OPEN: &[Operation] = &[
    op("begin_device", Method::POST, "/device", &[]),
    op("poll_device", Method::POST, "/device/token", &[]),
    op("authorize_device", Method::POST, "/oauth/device_authorization", &[]),
    op("grant_token", Method::POST, "/oauth/token", &[]),
    op("show_oidc", Method::GET, "/oidc", &[]),
    op("finish_oidc", Method::GET, "/oidc/callback", &[]),
    op("begin_oidc", Method::GET, "/oidc/start", &[]),
    op("redeem_oidc", Method::POST, "/oidc/token", &[]),
    op("refresh", Method::POST, "/refresh", &[]),
    op("sign_in", Method::POST, "/sign-in", &[]),
];

/// The row of an operation for which nobody has to be let in first.
pub fn open(method: &Method, path: &str) -> Option<&'static Operation> {
    OPEN.iter()
        .find(|operation| operation.method == *method && operation.path == path)
}

const fn op(
    id: &'static str,
    method: Method,
    path: &'static str,
    roles: &'static [Role],
) -> Operation {
    Operation {
        id,
        method,
        path,
        roles,
    }
}

/// The row of a route; `None` is a refusal.
pub fn of(method: &Method, path: &str) -> Option<&'static Operation> {
    ALL.iter()
        .find(|operation| operation.method == *method && operation.path == path)
}
