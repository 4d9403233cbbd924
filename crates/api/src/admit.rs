//! What each request passes before its handler: rates, credential, table of operations, audit.
//!
//! Every interface lets in here, so that none is wider than another.
//!
//! **Invariant:** denied by default: an operation without a row is nobody's.
//! **Invariant:** each refusal for who asked, and each read that few may make, is on record.

use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

use crate::audit::Asked;
use crate::auth::operations::Operation;
use crate::auth::{self, Principal};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::rates::{self, Left};

/// How requests are let in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub rates: rates::Settings,
    /// Networks of proxies whose word on where a request came from is taken.
    pub proxies: Vec<IpNet>,
}

/// The operation of a request that has no row.
const UNKNOWN: &str = "unknown";

/// A request as it knocks.
pub struct Request<'a> {
    pub operation: Option<&'static Operation>,
    /// The bearer's token, or why there is none.
    pub token: Result<&'a str, Problem>,
    /// Path and query.
    pub subject: String,
    pub from: IpAddr,
    pub traceparent: Option<String>,
}

/// Lets somebody in to an operation, or says why not.
pub async fn admit(gateway: &Gateway, request: Request<'_>) -> Result<(Principal, Left), Problem> {
    let Request {
        operation,
        token,
        subject,
        from,
        traceparent,
    } = request;
    let asked = Asked {
        operation: operation.map_or(UNKNOWN, |operation| operation.id),
        subject,
        from,
        traceparent,
    };
    gateway.rates.knock(from, Instant::now())?;
    let known = match token {
        Ok(token) => auth::principal(&gateway.identities, token, (gateway.now)()).await,
        Err(problem) => Err(problem),
    };
    let who = match known {
        Ok(who) => who,
        Err(problem) => return Err(refused(gateway, None, problem, &asked).await),
    };
    let left = gateway.rates.ask(&who, Instant::now())?;
    let Some(operation) = operation.filter(|operation| operation.roles.contains(&who.role()))
    else {
        let detail = format!("the role {} may not do this", who.role());
        let problem = Problem::new("forbidden", detail);
        return Err(refused(gateway, Some(&who), problem, &asked).await);
    };
    if operation.is_privileged_read() || operation.leaves_no_commit() {
        gateway.audit.read(&who, &asked).await?;
    }
    Ok((who, left))
}

/// Records a refusal for who asked; one for the state of this node is none.
pub async fn refused(
    gateway: &Gateway,
    who: Option<&Principal>,
    problem: Problem,
    asked: &Asked,
) -> Problem {
    if matches!(problem.row.status, 401 | 403) {
        gateway.audit.refused(who, problem.row.code, asked).await;
    }
    problem
}
