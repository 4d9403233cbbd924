//! A session for a device that somebody who was in has allowed.

use mirage_domain::id::StreamId;
use mirage_domain::session::Method;
use mirage_domain::user::Proof;

use super::{Granted, Holder, Identities, random_session};
use crate::auth::devices::Allowed;
use crate::error::Problem;

impl Identities {
    /// Opens a session of who allowed the device, with the role that this one has now; the session by which it was
    /// allowed must still hold, so that signing out or another password also stops a device that has not polled yet.
    pub async fn let_device_in(&self, allowed: Allowed) -> Result<Granted, Problem> {
        let Allowed {
            user,
            workspace,
            session,
        } = allowed;
        let stream = StreamId::session(&session);
        let is_good = self.sessions.state(&stream).await?.0.is_good((self.now)());
        let held = self.held(&user, &session, &workspace).await?;
        let refused = || Problem::new("access_denied", "who allowed it is not in any more");
        let holder = Holder {
            session: random_session()?,
            ..held.filter(|_| is_good).ok_or_else(refused)?
        };
        self.open(holder, Proof::Session(session), Method::Device)
            .await
    }
}
