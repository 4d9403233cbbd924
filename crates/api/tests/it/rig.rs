//! A gateway over a made-up log of two workspaces, each with a key of every role.
//!
//! Its views follow the log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use mirage_api::auth::api_key::Secret;
use mirage_api::gateway::{Allowed, Gateway, Parts};
use mirage_api::live::Limits;
use mirage_api::router;
use mirage_domain::audit;
use mirage_domain::event::Event;
use mirage_domain::id::{Position, StreamId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_domain::workspace::{Command, IssueKey, RevokeKey, Workspace};
use mirage_log::EventLog;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::evidence::Files;
use mirage_log::execute::{Envelope, Store};
use mirage_log::memory::Memory;
use mirage_projections::Runner;
use mirage_projections::testing::history::made_up;
use mirage_projections::testing::made_scan::{id_key, workspace};
use mirage_workers::leases::LeaseFile;
use serde_json::Value;
use tower::ServiceExt;

use crate::refusing::Refusing;

/// See the module's doc.
pub(crate) struct Rig {
    pub(crate) router: Router,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) log: Arc<dyn EventLog>,
    /// Whether the log takes nothing.
    pub(crate) refusing: Arc<AtomicBool>,
    keys: BTreeMap<(String, Role), Secret>,
    dir: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&self.body));
        })
    }

    /// The JSON of an answer that must have gone well.
    pub(crate) fn good(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status.is_success(), "{}: {text}", self.status);
        self.json()
    }

    /// The code of a refusal that must be one.
    pub(crate) fn code(&self) -> String {
        let media = &self.headers[header::CONTENT_TYPE];
        assert_eq!(media, "application/problem+json", "{}", self.status);
        self.json()["code"].as_str().expect("a code").to_owned()
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::built(|gateway| gateway.with_live_limits(limits)).await
    }

    /// A gateway that is what `build` makes of the usual one.
    pub(crate) async fn built(build: impl FnOnce(Gateway) -> Gateway) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let history = made_up(11, 8, 1_500);
        let refusing = Arc::new(AtomicBool::new(false));
        let log: Arc<dyn EventLog> = Arc::new(Refusing {
            log: Memory::default(),
            is_refusing: refusing.clone(),
        });
        history.copy_into(&*log, history.end()).await;
        let keys = dir.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        for n in 0..2 {
            let path = mirage_log::keys::path(&keys, &workspace(n));
            std::fs::write(path, id_key(&workspace(n)).bytes()).unwrap();
        }
        let runner = Arc::new(Runner::open(dir.path(), log.clone()).unwrap());
        runner.fold_to_head().await.unwrap();
        let folding = runner.clone();
        tokio::spawn(async move { folding.run(std::future::pending()).await });
        let gateway = gateway(dir.path(), log.clone(), runner);
        let gateway = Arc::new(build(gateway));
        let mut rig = Self {
            router: router::routes(gateway.clone()),
            gateway,
            log,
            refusing,
            keys: BTreeMap::new(),
            dir,
        };
        for (n, role) in (0..2).flat_map(|n| Role::ALL.map(|role| (n, role))) {
            let secret = rig.issue(&workspace(n), role, None).await;
            rig.keys.insert((workspace(n).to_string(), role), secret);
        }
        rig
    }

    /// The gateway begun anew over the same log, as after a restart; the former one ends its streams.
    pub(crate) fn restart(&mut self) {
        self.gateway.live.stop();
        let runner = self.gateway.runner.clone();
        self.gateway = Arc::new(gateway(self.dir.path(), self.log.clone(), runner));
        self.router = router::routes(self.gateway.clone());
    }

    /// The gateway begun anew beside a node that has no views yet; they are the caller's to fold.
    pub(crate) fn without_views(&mut self) -> Arc<Runner> {
        let views = self.dir.path().join("elsewhere");
        let runner = Arc::new(Runner::open(&views, self.log.clone()).unwrap());
        self.gateway = Arc::new(gateway(self.dir.path(), self.log.clone(), runner.clone()));
        self.router = router::routes(self.gateway.clone());
        runner
    }

    /// Issues a key beside the gateway.
    pub(crate) async fn issue(
        &self,
        workspace: &WorkspaceId,
        role: Role,
        expires_at: Option<Timestamp>,
    ) -> Secret {
        let secret = Secret::random(workspace).unwrap();
        let command = IssueKey {
            key: secret.key.clone(),
            name: role.to_string(),
            role,
            secret: secret.digest(),
            now: Timestamp::UNIX_EPOCH,
            expires_at,
        };
        self.give(workspace, Command::IssueKey(command)).await;
        secret
    }

    /// Revokes a key beside the gateway.
    pub(crate) async fn revoke(&self, secret: &Secret) {
        let command = RevokeKey {
            key: secret.key.clone(),
        };
        self.give(&secret.workspace, Command::RevokeKey(command))
            .await;
    }

    async fn give(&self, workspace: &WorkspaceId, command: Command) {
        let actor = Actor {
            kind: ActorKind::User,
            id: "tester".into(),
            version: None,
        };
        let store = Store::<Workspace>::new(self.log.clone());
        let stream = StreamId::workspace(workspace);
        store
            .execute(&stream, command, Envelope::new(actor, now))
            .await
            .unwrap();
    }

    /// The key of a role in the `n`-th workspace.
    pub(crate) fn key(&self, n: usize, role: Role) -> String {
        self.keys[&(workspace(n).to_string(), role)].reveal()
    }

    pub(crate) async fn head(&self) -> Position {
        self.log.head().await.unwrap().position
    }

    /// Kinds of the events after a position, but for those of the audit.
    pub(crate) async fn changes(&self, after: Position) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for at in after.0 + 1..=self.head().await.0 {
            let recorded = self.log.commit(Position(at)).await.unwrap();
            let events = recorded.commit.events.iter();
            kinds.extend(events.map(|entry| entry.event.kind()));
        }
        kinds.retain(|kind| !kind.starts_with("audit."));
        kinds
    }

    /// Kinds of what is on record as refused: operation, code and count.
    pub(crate) async fn refusals(&self) -> Vec<(String, String, u64)> {
        let mut refusals = Vec::new();
        for at in 1..=self.head().await.0 {
            let recorded = self.log.commit(Position(at)).await.unwrap();
            for entry in &recorded.commit.events {
                if let Event::Audit(audit::Event::Refused(refused)) = &entry.event {
                    let (operation, code) = (refused.operation.clone(), refused.code.clone());
                    refusals.push((operation, code, refused.count));
                }
            }
        }
        refusals
    }

    /// The same gateway behind a socket of its own.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // So that a reader who does not read is noticed soon.
        socket.set_send_buffer_size(4 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let media = parts.headers.get(header::CONTENT_TYPE);
        // A live stream has no end.
        let is_live = media.is_some_and(|media| media == "text/event-stream");
        let body = match is_live {
            true => Vec::new(),
            false => body.collect().await.unwrap().to_bytes().to_vec(),
        };
        Answered {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// A request of the owner of the first workspace.
    pub(crate) async fn owner(&self, method: Method, path: &str, body: Option<Value>) -> Answered {
        let key = self.key(0, Role::Owner);
        self.send(request(&key, method, path, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.owner(Method::GET, path, None).await
    }
}

fn gateway(dir: &Path, log: Arc<dyn EventLog>, runner: Arc<Runner>) -> Gateway {
    Gateway::new(Parts {
        log,
        evidence: Arc::new(Files::open(&dir.join("evidence")).unwrap()),
        leases: Arc::new(LeaseFile::open(&dir.join("leases.db")).unwrap()),
        runner,
        keys: dir.join("keys"),
        allowed: Allowed::default(),
        now,
    })
}

/// A request under `/api/v1`.
pub(crate) fn request(key: &str, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"));
    match body {
        None => request.body(Body::empty()),
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
    }
    .unwrap()
}
