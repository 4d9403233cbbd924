//! Who signs in and who is in: passwords become sessions, and sessions access tokens.
//!
//! **Invariant:** whether somebody is in is read from the streams of user, session and workspace at each use: what was
//! taken away a moment ago opens nothing, however long a token would last.
//! **Never:** an answer that tells whether a name, a workspace or a membership exists to who did not prove a password.

pub mod device;
pub mod manage;
pub mod named;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::id::{
    Digest, IdKey, Position, SessionId, StreamId, UserId, Version, WorkspaceId,
};
use mirage_domain::identity::Identity;
use mirage_domain::role::Role;
use mirage_domain::session::{
    self, Method, OpenSession, Reason, RefreshSession, RevokeSession, Session,
};
use mirage_domain::team::Team;
use mirage_domain::user::{self, User, sign_in_name};
use mirage_domain::workspace::Workspace;
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::execute::{Envelope, Store};
use mirage_log::{EventLog, keys};
use tokio::sync::{OnceCell, Semaphore};

use super::key_ring::{self, KeyRing};
use super::limiter::Limiter;
use super::refresh_token::RefreshToken;
use super::token::{self, Claims, Refusal, Subject, Tokens};
use super::{password, totp};
use crate::buckets::Wait;
use crate::error::Problem;

/// How long a session lasts, however often it is refreshed.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Passwords that are checked at once: 19 MiB and a core each.
const CHECKS_MAX: usize = 4;
/// How long a sign-in waits for its turn before it is refused.
const TURN_MAX: Duration = Duration::from_secs(5);
/// Between two looks into the folder of signing keys; far less than a key is shown before it signs.
const ROTATE_EVERY: Duration = Duration::from_secs(60);
/// The same where a token names a key that is not known: another node may have made the first one just now.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The folder of signing keys, beside the id keys.
const RING: &str = "access-tokens";

/// Somebody who wants in.
#[derive(Clone)]
pub struct Asked {
    pub name: String,
    pub password: String,
    pub code: Option<String>,
    pub workspace: WorkspaceId,
    /// Where the request came from.
    pub address: IpAddr,
}

/// Somebody is in.
#[derive(Clone)]
pub struct Granted {
    pub holder: Holder,
    pub access_token: String,
    pub refresh_token: String,
    /// Reads with this as `min_position` know of it.
    pub position: Position,
}

/// Who holds a good access token, as the log has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub user: UserId,
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub role: Role,
    /// Of the workspace's stream.
    pub version: Version,
}

/// See the module's doc.
pub struct Identities {
    pub users: Store<User>,
    pub sessions: Store<Session>,
    pub workspaces: Store<Workspace>,
    pub teams: Store<Team>,
    pub identities: Store<Identity>,
    log: Arc<dyn EventLog>,
    keys: PathBuf,
    issuer: String,
    now: fn() -> Timestamp,
    tokens: OnceCell<Tokens>,
    looked: Mutex<Option<Instant>>,
    limiter: Limiter,
    checks: Arc<Semaphore>,
}

impl Identities {
    /// `keys` is the folder of id keys; nothing is read or made before somebody needs it.
    pub fn new(
        log: Arc<dyn EventLog>,
        keys: PathBuf,
        issuer: String,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            users: Store::new(log.clone()),
            sessions: Store::new(log.clone()),
            workspaces: Store::new(log.clone()),
            teams: Store::new(log.clone()),
            identities: Store::new(log.clone()),
            log,
            keys,
            issuer,
            now,
            tokens: OnceCell::new(),
            looked: Mutex::default(),
            limiter: Limiter::default(),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
        }
    }

    /// Opens a session for who shows a name, its password, and a code where one is needed.
    pub async fn sign_in(&self, asked: Asked) -> Result<Granted, Problem> {
        let account = sign_in_name(&asked.name).unwrap_or_default();
        self.count_try(&account, asked.address)?;
        let user_id = self.user_id(&account).await?;
        let user = self.user(user_id.as_ref()).await?;
        let phc = user.phc.as_ref().and_then(|phc| phc.open()).cloned();
        let is_right = self.check(asked.password, phc).await?;
        let Some(user_id) = user_id.filter(|_| is_right && user.may_enter()) else {
            return Err(failed());
        };
        let step = self.step(&user, asked.code.as_deref())?;
        let (role, version) = self
            .role(&asked.workspace, &user_id)
            .await?
            .ok_or_else(failed)?;
        let method = match step {
            Some(_) => Method::PasswordAndTotp,
            None => Method::Password,
        };
        let holder = Holder {
            session: random_session()?,
            user: user_id,
            workspace: asked.workspace,
            role,
            version,
        };
        let granted = self
            .open(holder, user::Proof::Password { step }, method)
            .await?;
        self.limiter
            .give_back(&account, asked.address, Instant::now());
        Ok(granted)
    }

    /// Counts a try at a password, before it is looked at.
    fn count_try(&self, account: &str, address: IpAddr) -> Result<(), Problem> {
        let tried = self.limiter.take(account, address, Instant::now());
        tried.map_err(|Wait(wait)| {
            let detail = format!("try again in {} seconds", wait.as_secs() + 1);
            Problem::new("too_many_requests", detail)
        })
    }

    /// Uses a refresh token up for another one and an access token.
    pub async fn refresh(&self, text: &str) -> Result<Granted, Problem> {
        let over = || Problem::new("session_over", "the refresh token is not good");
        let shown: RefreshToken = text.parse().map_err(|_| over())?;
        let stream = StreamId::session(&shown.session);
        let (session, _) = self.sessions.state(&stream).await?;
        let (Some(user), Some(workspace)) = (session.user().cloned(), session.workspace().cloned())
        else {
            return Err(over());
        };
        let fresh = RefreshToken::random(shown.session.clone()).map_err(no_random)?;
        // Reuse counts even where the user may not enter any more.
        let position = self
            .rotate(&stream, &user, &shown, fresh.digest())
            .await?
            .ok_or_else(over)?;
        let held = self.held(&user, &shown.session, &workspace).await?;
        let holder = held.ok_or_else(over)?;
        self.grant(holder, fresh, position).await
    }

    /// Rotates, and answers where; `None` if the token was used before, and the session is over by that.
    async fn rotate(
        &self,
        stream: &StreamId,
        user: &UserId,
        shown: &RefreshToken,
        fresh: Digest,
    ) -> Result<Option<Position>, Problem> {
        let command = session::Command::Refresh(RefreshSession {
            presented: shown.digest(),
            fresh,
            now: (self.now)(),
        });
        let position = self
            .sessions
            .execute(stream, command, self.envelope(user))
            .await?;
        let recorded = self.log.commit(position).await?;
        let is_ours = |entry: &mirage_log::commit::Entry| match &entry.event {
            Event::Session(session::Event::Refreshed(refreshed)) => refreshed.refresh == fresh,
            _ => false,
        };
        let is_rotated = recorded.commit.events.iter().any(is_ours);
        Ok(is_rotated.then_some(position))
    }

    /// Ends a session; one that is over stays so.
    pub async fn sign_out(
        &self,
        by: &UserId,
        session: &SessionId,
        reason: Reason,
    ) -> Result<Position, Problem> {
        let command = session::Command::Revoke(RevokeSession { reason });
        let stream = StreamId::session(session);
        Ok(self
            .sessions
            .execute(&stream, command, self.envelope(by))
            .await?)
    }

    /// Who holds this access token; one problem for all that is not good.
    pub async fn holder(&self, access: &str) -> Result<Holder, Problem> {
        let refused = || Problem::new("bad_credential", "it is not known, or has ended");
        let claims = self.verify(access).await?.map_err(|_| refused())?;
        let stream = StreamId::session(&claims.sid);
        let (session, _) = self.sessions.state(&stream).await?;
        let is_whole =
            session.user() == Some(&claims.sub) && session.workspace() == Some(&claims.workspace);
        if !is_whole || !session.is_good((self.now)()) {
            return Err(refused());
        }
        let held = self
            .held(&claims.sub, &claims.sid, &claims.workspace)
            .await?;
        held.ok_or_else(refused)
    }

    /// The user and the role of a session that is good by itself.
    async fn held(
        &self,
        user: &UserId,
        session: &SessionId,
        workspace: &WorkspaceId,
    ) -> Result<Option<Holder>, Problem> {
        let state = self.user(Some(user)).await?;
        if !state.may_enter() || !state.sessions.contains(session) {
            return Ok(None);
        }
        let role = self.role(workspace, user).await?;
        Ok(role.map(|(role, version)| Holder {
            user: user.clone(),
            session: session.clone(),
            workspace: workspace.clone(),
            role,
            version,
        }))
    }

    async fn open(
        &self,
        holder: Holder,
        proof: user::Proof,
        method: Method,
    ) -> Result<Granted, Problem> {
        let fresh = RefreshToken::random(holder.session.clone()).map_err(no_random)?;
        let sign_in = user::Command::SignIn(user::SignIn {
            session: holder.session.clone(),
            proof,
        });
        // First the user's stream: it refuses a code that was used, and says that the session is one of the user's.
        let stream = StreamId::user(&holder.user);
        self.users
            .execute(&stream, sign_in, self.envelope(&holder.user))
            .await?;
        let now = (self.now)();
        let open = session::Command::Open(OpenSession {
            user: holder.user.clone(),
            workspace: holder.workspace.clone(),
            method,
            refresh: fresh.digest(),
            now,
            expires_at: now + SESSION_LIFETIME,
        });
        let stream = StreamId::session(&holder.session);
        let position = self
            .sessions
            .execute(&stream, open, self.envelope(&holder.user))
            .await?;
        self.grant(holder, fresh, position).await
    }

    async fn grant(
        &self,
        holder: Holder,
        fresh: RefreshToken,
        position: Position,
    ) -> Result<Granted, Problem> {
        let subject = Subject {
            user: holder.user.clone(),
            session: holder.session.clone(),
            workspace: holder.workspace.clone(),
            role: holder.role,
        };
        Ok(Granted {
            access_token: self.tokens().await?.sign(subject, (self.now)()),
            refresh_token: fresh.reveal(),
            holder,
            position,
        })
    }

    /// What a user may do in a workspace, by its own role or else by that of a team; and the version of the rights.
    pub async fn role(
        &self,
        workspace: &WorkspaceId,
        user: &UserId,
    ) -> Result<Option<(Role, Version)>, Problem> {
        let (state, tip) = self
            .workspaces
            .state(&StreamId::workspace(workspace))
            .await?;
        let version = tip.map_or(Version(0), |tip| tip.version);
        if let Some(role) = state.members.get(user) {
            return Ok(Some((*role, version)));
        }
        let mut roles = Vec::new();
        for (id, role) in &state.teams {
            let (team, _) = self.teams.state(&StreamId::team(id)).await?;
            if team.workspace.as_ref() == Some(workspace) && team.members.contains(user) {
                roles.push(*role);
            }
        }
        Ok(roles.into_iter().min().map(|role| (role, version)))
    }

    /// The user of a normalised sign-in name, whether or not there is one; `None` where nobody was ever created.
    pub async fn user_id(&self, name: &str) -> Result<Option<UserId>, Problem> {
        let system = WorkspaceId::system();
        if name.is_empty() || keys::fingerprint(&*self.log, &system).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(UserId::derive(&self.key().await?, name)))
    }

    /// The id key of the workspace `system`, made where there is none.
    pub async fn key(&self) -> Result<IdKey, Problem> {
        let actor = Actor {
            kind: ActorKind::Service,
            id: "mirage".into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
        };
        let system = WorkspaceId::system();
        Ok(keys::workspace(self.log.clone(), &self.keys, &system, actor, self.now).await?)
    }

    async fn user(&self, user: Option<&UserId>) -> Result<User, Problem> {
        match user {
            None => Ok(User::default()),
            Some(user) => Ok(self.users.state(&StreamId::user(user)).await?.0),
        }
    }

    /// Whether the password fits; of the same cost whether or not there is anything for it to fit.
    pub async fn check(&self, password: String, phc: Option<String>) -> Result<bool, Problem> {
        self.blocking(move || password::verify(&password, phc.as_deref()))
            .await
    }

    /// What is kept of a password that is fit for this name.
    pub async fn hash(&self, password: String, name: &str) -> Result<String, Problem> {
        password::check(&password, name).map_err(|error| Problem::of("bad_value", &error))?;
        let hashed = self.blocking(move || password::hash(&password)).await?;
        hashed.map_err(|error| Problem::of("internal", &error))
    }

    /// Work on passwords, bounded, in a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(TURN_MAX, self.checks.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::new("overloaded", "too many sign-ins at once"));
        };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| Problem::of("internal", &error))
    }

    /// The step of the code that was shown, where the user has codes.
    fn step(&self, user: &User, code: Option<&str>) -> Result<Option<u64>, Problem> {
        let Some(totp) = &user.totp else {
            return Ok(None);
        };
        let code = code.ok_or_else(|| Problem::new("code_needed", "the password is not all"))?;
        let secret = totp.secret.open().ok_or_else(failed)?;
        totp::step_of(secret, code, (self.now)())
            .map(Some)
            .ok_or_else(failed)
    }

    async fn verify(&self, access: &str) -> Result<Result<Claims, Refusal>, Problem> {
        let tokens = self.tokens().await?;
        let now = (self.now)();
        match tokens.verify(access, now) {
            Err(Refusal::Key) if self.is_time(LOOK_AGAIN) => {
                tokens.ring.rotate(now).map_err(|error| of_ring(&error))?;
                Ok(tokens.verify(access, now))
            }
            verified => Ok(verified),
        }
    }

    /// The signing keys, rotated where it is time.
    pub async fn tokens(&self) -> Result<&Tokens, Problem> {
        let now = (self.now)();
        let opened = self.tokens.get_or_try_init(|| async {
            let ring = KeyRing::open(&self.keys.join(RING), now);
            let ring = ring.map_err(|error| of_ring(&error))?;
            Ok::<_, Problem>(Tokens::new(self.issuer.clone(), ring))
        });
        let tokens = opened.await?;
        if self.is_time(ROTATE_EVERY) {
            tokens.ring.rotate(now).map_err(|error| of_ring(&error))?;
        }
        Ok(tokens)
    }

    fn is_time(&self, every: Duration) -> bool {
        let mut looked = self.looked.lock().expect("no holder panics");
        let is_time = looked.is_none_or(|last| last.elapsed() >= every);
        if is_time {
            *looked = Some(Instant::now());
        }
        is_time
    }

    /// What goes with a command of a user.
    pub fn envelope(&self, user: &UserId) -> Envelope {
        let actor = Actor {
            kind: ActorKind::User,
            id: user.to_string(),
            version: None,
        };
        Envelope::new(actor, self.now)
    }
}

/// How long an access token lasts, in seconds.
pub const EXPIRES_IN_S: u64 = token::LIFETIME.as_secs();

fn failed() -> Problem {
    Problem::new(
        "sign_in_failed",
        "name, password, code and workspace do not fit together",
    )
}

fn random_session() -> Result<SessionId, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(no_random)?;
    Ok(SessionId::random(bytes))
}

fn no_random(error: getrandom::Error) -> Problem {
    Problem::new("internal", error)
}

fn of_ring(error: &key_ring::Error) -> Problem {
    Problem::of("signing_keys_unusable", error)
}

#[cfg(test)]
mod tests;
