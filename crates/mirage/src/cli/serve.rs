//! `mirage serve`: this program as a node, in one or several roles, until it is asked to stop.
//!
//! **Invariant:** a role that is asked to stop takes nothing new, and hands over what it cannot end in its grace.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use mirage_api::error::{Exit, Problem};
use mirage_api::gateway::Gateway;
use mirage_api::metrics::{self, Scraped};
use mirage_api::{grpc, health, router};
use mirage_log::EventLog;
use mirage_workers::collect::{self, Limits};
use mirage_workers::node::tenants::{InThisProcess, Queues, Tenant, Tenants};
use mirage_workers::{notify, orchestrate};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::scan::follow::asked_to_stop;
use super::{Answer, Context};
use crate::output::Failure;
use crate::wire::{self, Dependencies};

/// Run as a node: orchestrate scans, collect, tell subscribers, fold views
///
/// Roles: orchestrate, collect, notify, project, api, or all of them. With a log in the data directory orchestrate and collect belong into
/// one process; with one on servers any number of nodes shares the work. /healthz and /readyz tell how the node is.
///
/// Exit codes: 0 asked to stop, 2 usage, 9 a server cannot be reached
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the node does [default: all]
    #[arg(long, value_name = "ROLE,…", value_delimiter = ',')]
    role: Vec<String>,
    /// Where it tells how it is [default: 127.0.0.1:8640]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Tasks that it runs at once [default: 32]
    #[arg(long, value_name = "N")]
    tasks: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Orchestrate,
    Collect,
    Notify,
    Project,
    Api,
}

impl Role {
    const ALL: [Self; 5] = [
        Self::Orchestrate,
        Self::Collect,
        Self::Notify,
        Self::Project,
        Self::Api,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Orchestrate => "orchestrate",
            Self::Collect => "collect",
            Self::Notify => "notify",
            Self::Project => "project",
            Self::Api => "api",
        }
    }

    /// The roles of these names, each once.
    fn named(names: &[&str]) -> Result<Vec<Self>, Problem> {
        let known = |name: &str| Self::ALL.into_iter().find(|role| role.as_str() == name);
        if let Some(name) = names
            .iter()
            .find(|name| **name != "all" && known(name).is_none())
        {
            let detail = format!("`{name}` is no role");
            let problem = Problem::new("usage", detail);
            return Err(problem.try_this("orchestrate, collect, notify, project, api, all"));
        }
        let is_wanted = |role: &Self| {
            names
                .iter()
                .any(|name| *name == "all" || *name == role.as_str())
        };
        Ok(Self::ALL.into_iter().filter(is_wanted).collect())
    }
}

type Ended = (&'static str, Result<(), Failure>);

pub(crate) async fn run(context: &Context, _: &Arguments) -> Answer {
    open_as_many_files_as_allowed();
    let roles = Role::named(&context.config.list("serve.roles"))?;
    let (node, cluster) = context.node_and_cluster().await?;
    let queues = queues_for(&roles, cluster.as_ref().map(|cluster| cluster.queues()))?;
    let (node, stop) = (Arc::new(node), CancellationToken::new());
    let tenants = Arc::new(Tenants::of_keys(node.clone(), context.keys(), queues));
    let listener = context.listen().await?;
    let runner = match roles.contains(&Role::Project) || roles.contains(&Role::Api) {
        true => Some(Arc::new(context.runner_of(node.log.clone())?)),
        false => None,
    };
    let (address, is_tls) = (listener.address(), listener.is_tls());
    let dependencies = Dependencies {
        log: node.log.clone(),
        evidence: node.evidence.clone(),
        workspace: node.workspace.clone(),
        runner: runner.clone(),
    };
    let mut work = JoinSet::new();
    let dependencies = Arc::new(dependencies);
    let mut routes = health::routes(dependencies.clone());
    let mut scraped = Scraped {
        log: node.log.clone(),
        runner: runner.clone(),
        gateway: None,
        now: node.now,
    };
    if let Some(runner) = runner.clone().filter(|_| roles.contains(&Role::Api)) {
        let gateway = Arc::new(context.gateway(&node, runner)?);
        scraped.gateway = Some(gateway.clone());
        routes = routes.merge(router::routes(gateway.clone()));
        routes = routes.merge(grpc::health::routes(dependencies, stop.clone()));
        spawn(
            &mut work,
            "audit and live streams",
            tend(gateway, stop.clone()),
        );
    }
    routes = routes.merge(metrics::routes(scraped));
    let told = health::serve(listener, routes, stop.clone());
    spawn(&mut work, "listener", async { Ok(told.await?) });
    for role in &roles {
        begin(context, *role, &node.log, &tenants, &stop, &mut work);
    }
    if let Some(runner) = runner.clone().filter(|_| roles.contains(&Role::Project)) {
        let stopped = stop.clone().cancelled_owned();
        spawn(&mut work, "project", async move {
            Ok(runner.run(stopped).await?)
        });
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    // Others see this node as long as it is held.
    let _announced = match &cluster {
        Some(cluster) => {
            context
                .announce(cluster, &node, &names, address, runner)
                .await
        }
        None => None,
    };
    context.output.say(format_args!(
        "{} at {}://{address}/readyz",
        names.join(", "),
        if is_tls { "https" } else { "http" }
    ));
    until_asked(context, work, stop).await
}

/// Each connection is a file. The soft limit is what shells begin with, the hard one is the operator's word.
#[cfg(unix)]
fn open_as_many_files_as_allowed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files stays where it is");
    }
}

#[cfg(not(unix))]
fn open_as_many_files_as_allowed() {}

/// What a gateway does beside answering.
async fn tend(gateway: Arc<Gateway>, stop: CancellationToken) -> Result<(), Failure> {
    let live = async {
        stop.cancelled().await;
        gateway.live.stop();
    };
    tokio::join!(gateway.audit.tend(stop.clone()), live);
    Ok(())
}

fn spawn(
    work: &mut JoinSet<Ended>,
    name: &'static str,
    role: impl Future<Output = Result<(), Failure>> + Send + 'static,
) {
    work.spawn(async move { (name, role.await) });
}

fn begin(
    context: &Context,
    role: Role,
    log: &Arc<dyn EventLog>,
    tenants: &Arc<Tenants>,
    stop: &CancellationToken,
    work: &mut JoinSet<Ended>,
) {
    let (log, tenants, stop) = (log.clone(), tenants.clone(), stop.clone());
    let limits = Limits {
        concurrency: context.config.parsed("serve.tasks").unwrap_or(1),
        ..Limits::default()
    };
    match role {
        Role::Orchestrate => spawn(work, role.as_str(), async move {
            let served = orchestrate::serve(log, tenants, stop, orchestrate::SCANS_MAX).await;
            served.map_err(|error| wire::of_run(error).into())
        }),
        Role::Collect => spawn(work, role.as_str(), async move {
            collect::serve(tenants, stop, limits).await;
            Ok(())
        }),
        Role::Notify => {
            let webhooks = context.webhooks();
            spawn(work, role.as_str(), async move {
                let served = tenants.each(stop, |Tenant { node, .. }, stop| {
                    let webhook = Arc::new(webhooks.of(&node));
                    notify::serve(node, webhook, stop).boxed()
                });
                served.await.map_err(|error| wire::of_notify(error).into())
            });
        }
        // Begun by the caller, who shares the runner and the listener among them.
        Role::Project | Role::Api => {}
    }
}

/// The queues of the cluster, or those within this process, whose ends both must be in it.
fn queues_for(roles: &[Role], queues: Option<Box<dyn Queues>>) -> Result<Box<dyn Queues>, Problem> {
    let is_half = roles.contains(&Role::Orchestrate) != roles.contains(&Role::Collect);
    match queues {
        Some(queues) => Ok(queues),
        None if is_half => {
            let detail =
                "with a log in the data directory, orchestrate and collect belong into one process";
            let problem = Problem::new("usage", detail);
            Err(problem.try_this("--role orchestrate,collect, or a log on servers (log.servers)"))
        }
        None => Ok(Box::new(InThisProcess)),
    }
}

/// Until somebody asks, or a part ends by itself; then all parts are stopped and waited for.
async fn until_asked(
    context: &Context,
    mut work: JoinSet<Ended>,
    stop: CancellationToken,
) -> Answer {
    let mut failed = None;
    tokio::select! {
        _ = asked_to_stop(context.timeout) => {
            context.output.say("stopping in order; once more to leave at once");
            tokio::spawn(super::scan::follow::leave_at_once());
        }
        Some(ended) = work.join_next() => failed = failure(ended),
    }
    stop.cancel();
    while let Some(ended) = work.join_next().await {
        failed = failed.or(failure(ended));
    }
    match failed {
        Some(failure) => Err(failure),
        None => Ok(Exit::Done),
    }
}

fn failure(ended: Result<Ended, tokio::task::JoinError>) -> Option<Failure> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((name, Err(failure))) => {
            tracing::error!(role = name, "a part of the node ended");
            Some(failure)
        }
        Err(error) => Some(Problem::of("internal", &error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_once_and_unknown_ones_refused() {
        let all = Role::named(&["all", "collect"]).unwrap();
        assert_eq!(all, Role::ALL);
        assert_eq!(Role::named(&["project"]).unwrap(), [Role::Project]);
        let refused = Role::named(&["collect", "colect"]).unwrap_err();
        assert!(refused.to_string().contains("colect"), "{refused}");
    }

    #[test]
    fn a_queue_within_the_process_needs_both_its_ends() {
        assert!(queues_for(&[Role::Collect], None).is_err());
        assert!(queues_for(&[Role::Orchestrate, Role::Project], None).is_err());
        assert!(queues_for(&[Role::Project], None).is_ok());
        assert!(queues_for(&Role::ALL, None).is_ok());
    }
}
