//! Sign-ins, refreshes and what ends them, over a log in memory.

use std::sync::atomic::{AtomicI64, Ordering};

use mirage_domain::user::Suspend;
use mirage_log::memory::Memory;

use super::manage::NewUser;
use super::*;

const PASSWORD: &str = "correct horse battery";

/// Seconds that passed; each test runs in a thread of its own.
#[derive(Debug)]
struct Passed;

thread_local! {
    static PASSED: AtomicI64 = const { AtomicI64::new(0) };
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000 + PASSED.with(|passed| passed.load(Ordering::Relaxed)))
        .unwrap()
}

impl Passed {
    fn seconds(seconds: i64) {
        PASSED.with(|passed| passed.fetch_add(seconds, Ordering::Relaxed));
    }
}

fn workspace() -> WorkspaceId {
    WorkspaceId::new("default").unwrap()
}

fn envelope() -> Envelope {
    let actor = Actor {
        kind: ActorKind::Service,
        id: "test".into(),
        version: None,
    };
    Envelope::new(actor, now)
}

struct World {
    identities: Arc<Identities>,
    log: Arc<dyn EventLog>,
    ada: UserId,
    folder: tempfile::TempDir,
}

fn ask(name: &str, password: &str) -> Asked {
    Asked {
        name: name.into(),
        password: password.into(),
        code: None,
        workspace: workspace(),
        address: [192, 0, 2, 1].into(),
    }
}

impl World {
    /// A workspace with one owner, ada.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log: Arc<dyn EventLog> = Arc::new(Memory::default());
        keys::workspace(
            log.clone(),
            folder.path(),
            &workspace(),
            envelope().actor,
            now,
        )
        .await
        .unwrap();
        let identities = Self::node(&log, &folder);
        let new = NewUser {
            name: "Ada",
            email: "",
            password: PASSWORD.into(),
        };
        let (ada, _) = identities.create(new, envelope()).await.unwrap();
        identities
            .set_member(&workspace(), &ada, Role::Owner, envelope())
            .await
            .unwrap();
        Self {
            identities,
            log,
            ada,
            folder,
        }
    }

    /// One more gateway over the same log and keys.
    fn node(log: &Arc<dyn EventLog>, folder: &tempfile::TempDir) -> Arc<Identities> {
        let keys = folder.path().to_owned();
        Arc::new(Identities::new(
            log.clone(),
            keys,
            "https://mirage.test".into(),
            now,
        ))
    }

    async fn enter(&self) -> Granted {
        self.identities.sign_in(ask("ada", PASSWORD)).await.unwrap()
    }

    async fn code_of(&self, asked: Asked) -> &'static str {
        self.identities
            .sign_in(asked)
            .await
            .map(|_| ())
            .unwrap_err()
            .row
            .code
    }
}

#[tokio::test]
async fn a_name_and_its_password_open_a_session_on_every_node() {
    let world = World::new().await;
    let granted = world.enter().await;
    let other = World::node(&world.log, &world.folder);
    let holder = other.holder(&granted.access_token).await.unwrap();
    assert_eq!(holder, granted.holder);
    assert_eq!((holder.user, holder.role), (world.ada.clone(), Role::Owner));
    assert!(
        world
            .identities
            .sign_in(ask(" ADA ", PASSWORD))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn whatever_is_wrong_gets_one_answer() {
    let world = World::new().await;
    let elsewhere = Asked {
        workspace: WorkspaceId::new("other").unwrap(),
        ..ask("ada", PASSWORD)
    };
    let asked = [
        ask("ada", "wrong horse battery"),
        ask("nobody", PASSWORD),
        ask("a/b", PASSWORD),
        ask("", ""),
        elsewhere,
    ];
    for asked in asked {
        let name = asked.name.clone();
        let problem = world
            .identities
            .sign_in(asked)
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(problem, failed(), "{name}");
    }
    let empty: Arc<dyn EventLog> = Arc::new(Memory::default());
    let fresh = World::node(&empty, &world.folder)
        .sign_in(ask("ada", PASSWORD))
        .await;
    assert_eq!(
        fresh.map(|_| ()).unwrap_err(),
        failed(),
        "nobody was ever created"
    );
    assert_eq!(
        empty.head().await.unwrap().position,
        Position(0),
        "and nothing is written"
    );
}

#[tokio::test]
async fn a_hundred_uses_of_one_refresh_token_are_one_success_and_the_end() {
    let world = World::new().await;
    let token = world.enter().await.refresh_token;
    let nodes: Vec<_> = (0..4)
        .map(|_| World::node(&world.log, &world.folder))
        .collect();
    let uses = (0..100).map(|number| {
        let (node, token) = (nodes[number % nodes.len()].clone(), token.clone());
        async move { node.refresh(&token).await }
    });
    let answers = futures::future::join_all(uses).await;
    let granted: Vec<Granted> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(granted.len(), 1);
    let (session, _) = world
        .identities
        .sessions
        .state(&StreamId::session(&world.session_of(&token)))
        .await
        .unwrap();
    assert_eq!(session.revoked, Some(Reason::Reused));
    let commits = world
        .log
        .read_stream(&StreamId::session(&world.session_of(&token)), Position(0))
        .await
        .unwrap();
    let rotated = commits
        .iter()
        .flat_map(|recorded| &recorded.commit.events)
        .filter(|entry| matches!(entry.event, Event::Session(session::Event::Refreshed(_))));
    assert_eq!(rotated.count(), 1, "one use was a success");
}

impl World {
    fn session_of(&self, token: &str) -> SessionId {
        token.parse::<RefreshToken>().unwrap().session
    }
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_session_for_all() {
    let world = World::new().await;
    let first = world.enter().await;
    let second = world
        .identities
        .refresh(&first.refresh_token)
        .await
        .unwrap();
    assert!(world.identities.holder(&second.access_token).await.is_ok());
    assert!(
        world
            .identities
            .refresh(&first.refresh_token)
            .await
            .is_err()
    );
    let over = world
        .identities
        .refresh(&second.refresh_token)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(over.row.code, "session_over");
    for access in [first.access_token, second.access_token] {
        assert!(world.identities.holder(&access).await.is_err());
    }
}

#[tokio::test]
async fn what_was_taken_away_opens_nothing_at_the_next_use() {
    let world = World::new().await;
    let identities = &world.identities;
    let granted = world.enter().await;
    identities
        .sign_out(&world.ada, &granted.holder.session, Reason::SignedOut)
        .await
        .unwrap();
    assert!(
        identities.holder(&granted.access_token).await.is_err(),
        "signed out"
    );

    let granted = world.enter().await;
    identities
        .set_password(&world.ada, "another horse battery".into(), envelope())
        .await
        .unwrap();
    assert!(
        identities.holder(&granted.access_token).await.is_err(),
        "another password"
    );
    assert!(identities.refresh(&granted.refresh_token).await.is_err());

    let asked = ask("ada", "another horse battery");
    let granted = identities.sign_in(asked.clone()).await.unwrap();
    identities
        .command(&world.ada, user::Command::Suspend(Suspend), envelope())
        .await
        .unwrap();
    assert!(
        identities.holder(&granted.access_token).await.is_err(),
        "suspended"
    );
    assert_eq!(world.code_of(asked).await, "sign_in_failed");
}

#[tokio::test]
async fn a_role_is_the_one_of_now_and_may_come_from_a_team() {
    use mirage_domain::id::TeamId;
    use mirage_domain::team;
    use mirage_domain::workspace::{Command, SetTeam};
    let world = World::new().await;
    let identities = &world.identities;
    let new = NewUser {
        name: "bob",
        email: "bob@example.com",
        password: PASSWORD.into(),
    };
    let (bob, _) = identities.create(new, envelope()).await.unwrap();
    assert_eq!(
        world.code_of(ask("bob", PASSWORD)).await,
        "sign_in_failed",
        "no member"
    );
    let id = TeamId::new("tea_red").unwrap();
    let stream = StreamId::team(&id);
    let create = team::Command::Create {
        workspace: workspace(),
        name: "red".into(),
    };
    for command in [create, team::Command::AddMember { user: bob.clone() }] {
        identities
            .teams
            .execute(&stream, command, envelope())
            .await
            .unwrap();
    }
    let team = Command::SetTeam(SetTeam {
        team: id,
        role: Role::Viewer,
    });
    let home = StreamId::workspace(&workspace());
    identities
        .workspaces
        .execute(&home, team, envelope())
        .await
        .unwrap();
    let granted = identities.sign_in(ask("bob", PASSWORD)).await.unwrap();
    assert_eq!(granted.holder.role, Role::Viewer);
    identities
        .set_member(&workspace(), &bob, Role::Analyst, envelope())
        .await
        .unwrap();
    let holder = identities.holder(&granted.access_token).await.unwrap();
    assert_eq!(
        holder.role,
        Role::Analyst,
        "the token was signed for a viewer"
    );
    assert!(holder.version > granted.holder.version);
    identities
        .remove_member(&workspace(), &bob, envelope())
        .await
        .unwrap();
    let leave = team::Command::RemoveMember { user: bob };
    identities
        .teams
        .execute(&stream, leave, envelope())
        .await
        .unwrap();
    assert!(identities.holder(&granted.access_token).await.is_err());
}

#[tokio::test]
async fn a_one_time_code_is_asked_for_and_good_once() {
    let world = World::new().await;
    let secret = totp::fresh_secret().unwrap();
    let code = || totp::code(&secret, totp::step_at(now())).unwrap();
    let with = |code: String| Asked {
        code: Some(code),
        ..ask("ada", PASSWORD)
    };
    let wrong = world
        .identities
        .set_totp(&world.ada, secret.clone(), "000000", envelope())
        .await;
    assert!(wrong.is_err() || code() == "000000");
    world
        .identities
        .set_totp(&world.ada, secret.clone(), &code(), envelope())
        .await
        .unwrap();
    assert_eq!(
        world.code_of(with(code())).await,
        "sign_in_failed",
        "used to set up"
    );
    Passed::seconds(30);
    assert_eq!(world.code_of(ask("ada", PASSWORD)).await, "code_needed");
    assert_eq!(
        world.code_of(ask("ada", "wrong horse battery")).await,
        "sign_in_failed"
    );
    assert!(world.identities.sign_in(with(code())).await.is_ok());
    assert_eq!(world.code_of(with(code())).await, "sign_in_failed", "used");
}

#[tokio::test]
async fn tries_are_counted_for_names_that_nobody_has_too() {
    let world = World::new().await;
    for name in ["ada", "nobody"] {
        let mut codes = Vec::new();
        for _ in 0..=super::super::limiter::ACCOUNT_TRIES {
            codes.push(world.code_of(ask(name, "wrong horse battery")).await);
        }
        let (last, before) = codes.split_last().unwrap();
        assert_eq!(*last, "too_many_requests", "{name}");
        assert!(before.iter().all(|code| *code == "sign_in_failed"));
    }
    assert_eq!(
        world.code_of(ask("ada", PASSWORD)).await,
        "too_many_requests"
    );
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    let world = World::new().await;
    let granted = world.enter().await;
    Passed::seconds(EXPIRES_IN_S as i64);
    assert!(
        world
            .identities
            .holder(&granted.access_token)
            .await
            .is_err()
    );
    let next = world
        .identities
        .refresh(&granted.refresh_token)
        .await
        .unwrap();
    Passed::seconds(SESSION_LIFETIME.as_secs() as i64);
    assert!(world.identities.refresh(&next.refresh_token).await.is_err());
}

#[tokio::test]
async fn no_secret_stands_in_the_log() {
    let world = World::new().await;
    let granted = world.enter().await;
    let secret = granted.refresh_token.rsplit_once('.').unwrap().1.to_owned();
    let head = world.log.head().await.unwrap().position.0;
    for position in 1..=head {
        let recorded = world.log.commit(Position(position)).await.unwrap();
        let text = String::from_utf8_lossy(&recorded.bytes).into_owned();
        for secret in [PASSWORD, &secret, &granted.access_token] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
