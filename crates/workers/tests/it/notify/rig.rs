//! A node that notifies, with a clock that stands still until somebody moves it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use mirage_domain::delivery::Deliveries;
use mirage_domain::id::{Position, SubscriptionId};
use mirage_domain::subscription::{Change, Command, Create, Filter, Reason};
use mirage_log::{Filter as Reading, Read};
use mirage_workers::node::{Caller, Node};
use mirage_workers::notify::clock::Clock;
use mirage_workers::notify::signature::fresh_secret;
use mirage_workers::notify::{Webhook, serve};
use mirage_workers::probe::live::Courier;
use mirage_world::{Config, World};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::LONG;
use crate::scans::{node, request};

/// See the module's doc.
pub(crate) struct Stepped(watch::Sender<Timestamp>);

impl Stepped {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(mirage_workers::node::now())))
    }

    pub(crate) fn step(&self, seconds: i64) {
        self.0
            .send_modify(|now| *now += SignedDuration::from_secs(seconds));
    }
}

#[async_trait]
impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn until(&self, at: Timestamp) {
        let mut now = self.0.subscribe();
        now.wait_for(|now| *now >= at).await.unwrap();
    }
}

/// A node in a data directory, and the clock of its retries.
pub(crate) struct Rig {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<Stepped>,
    pub(crate) world: Arc<World>,
    /// Private ranges that subscribers may stand in.
    pub(crate) allowed: &'static str,
}

/// A node that notifies until it is dropped.
pub(crate) struct Serving {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn world() -> Arc<World> {
    let config = Config {
        hosts: 0,
        ..Config::default()
    };
    Arc::new(World::start(config).await.unwrap())
}

impl Rig {
    pub(crate) async fn at(dir: &Path) -> Self {
        Self {
            node: node(dir).await,
            clock: Stepped::new(),
            world: world().await,
            allowed: "127.0.0.0/8",
        }
    }

    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(self.node.clone())
    }

    pub(crate) fn serve_with(&self, node: Arc<Node>) -> Serving {
        let allowed = [self.allowed].into_iter().filter(|net| !net.is_empty());
        let allowed = allowed.map(|net| net.parse().unwrap()).collect();
        let resolvers = vec![self.world.resolver()];
        let courier = Courier::new(
            node.live.clone(),
            node.workspace.clone(),
            resolvers,
            allowed,
        );
        let webhook = Arc::new(Webhook {
            courier,
            clock: self.clock.clone(),
        });
        let stop = CancellationToken::new();
        let serving = serve(node, webhook, stop.clone());
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Serving { stop, task }
    }

    /// A subscription from here on; answers its secret, too.
    pub(crate) async fn subscribe(&self, url: &str, kinds: &[&str]) -> (SubscriptionId, String) {
        let caller = Caller::user("tester");
        let subscription = self.node.commands.new_subscription(&caller);
        let secret = fresh_secret().unwrap();
        let command = Command::Create(Create {
            subscription: subscription.clone(),
            name: "test".into(),
            url: url.into(),
            filter: Filter {
                kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
                ..Filter::default()
            },
            secret: secret.clone(),
            after: self.node.log.head().await.unwrap().position,
        });
        self.give(command).await;
        (subscription, secret)
    }

    pub(crate) async fn give(&self, command: Command) {
        let caller = Caller::user("tester");
        self.node
            .commands
            .subscribe(command, &caller)
            .await
            .unwrap();
    }

    pub(crate) async fn change(&self, id: &SubscriptionId, change: impl FnOnce(&mut Change)) {
        let mut command = Change {
            subscription: id.clone(),
            at_revision: None,
            name: None,
            url: None,
            filter: None,
            is_paused: None,
        };
        change(&mut command);
        self.give(Command::Change(command)).await;
    }

    /// Something to be told of: a scan that nobody runs, of one commit with two events.
    pub(crate) async fn happen(&self) -> Position {
        let request = request(&self.world, &["dns"]);
        let caller = Caller::user("tester");
        self.node.commands.start(request, &caller).await.unwrap().1
    }

    /// Waits until the deliveries of a subscription are so.
    pub(crate) async fn until(
        &self,
        id: &SubscriptionId,
        wanted: impl Fn(&Deliveries) -> bool,
    ) -> Deliveries {
        let seen = self.seen(async || {
            let deliveries = self.node.commands.deliveries(id).await.unwrap();
            wanted(&deliveries).then_some(deliveries)
        });
        match seen.await {
            Some(deliveries) => deliveries,
            None => panic!("{:#?}", self.node.commands.deliveries(id).await),
        }
    }

    /// Waits until a subscription is paused, and answers why.
    pub(crate) async fn paused(&self, id: &SubscriptionId) -> Reason {
        let seen = self.seen(async || {
            let all = self.node.commands.subscriptions().await.unwrap().all;
            all[id].paused
        });
        seen.await.expect("it is paused")
    }

    /// Looks after each commit until there is something to see; `None` if there is nothing for long.
    async fn seen<T>(&self, look: impl AsyncFn() -> Option<T>) -> Option<T> {
        let mut read = self.node.log.read(Position(0), Reading::All);
        let seen = async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                let _: Read = read.next().await.unwrap().unwrap();
            }
        };
        tokio::time::timeout(LONG, seen).await.ok()
    }
}
