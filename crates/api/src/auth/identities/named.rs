//! Whom an issuer names: found, let in, linked and unlinked.

use mirage_domain::id::{IdentityId, Position, StreamId, UserId, WorkspaceId};
use mirage_domain::identity;
use mirage_domain::session::Method;
use mirage_domain::user::{self, LinkIdentity, Proof, UnlinkIdentity};
use mirage_log::execute::Envelope;

use super::{Granted, Holder, Identities, failed, random_session};
use crate::auth::oidc::Named;
use crate::error::Problem;

impl Identities {
    /// Opens a session for whom the issuer names. Both streams must say so: the identity's names the user, and the user's
    /// own says that it is still linked.
    pub async fn sign_in_named(
        &self,
        named: &Named,
        workspace: WorkspaceId,
    ) -> Result<Granted, Problem> {
        let (identity, user_id) = self.linked(named).await?;
        let user = self.user(Some(&user_id)).await?;
        if !user.may_enter() {
            return Err(failed());
        }
        let (role, version) = self.role(&workspace, &user_id).await?.ok_or_else(failed)?;
        let holder = Holder {
            session: random_session()?,
            user: user_id,
            workspace,
            role,
            version,
        };
        self.open(holder, Proof::Identity(identity), Method::Oidc)
            .await
    }

    /// The identity of whom the issuer names, and the user that it is linked to.
    pub async fn linked(&self, named: &Named) -> Result<(IdentityId, UserId), Problem> {
        let identity = self.identity(named).await?;
        let stream = StreamId::identity(&identity);
        let user = self.identities.state(&stream).await?.0.user;
        let not_linked = || {
            let Named { issuer, subject } = named;
            let detail = format!("{issuer} calls you `{subject}`");
            let advice = format!(
                "let an owner of `system` run: mirage users link NAME --issuer '{issuer}' --subject '{}'",
                subject.replace('\'', "'\\''"),
            );
            Problem::new("oidc_not_linked", detail).try_this(advice)
        };
        let user = user.ok_or_else(not_linked)?;
        match self.has(&user, &identity).await? {
            true => Ok((identity, user)),
            false => Err(not_linked()),
        }
    }

    /// The identity of whom an issuer names, whether or not it is anybody's.
    pub async fn identity(&self, named: &Named) -> Result<IdentityId, Problem> {
        let key = self.key().await?;
        Ok(IdentityId::derive(&key, &named.issuer, &named.subject))
    }

    async fn has(&self, user: &UserId, identity: &IdentityId) -> Result<bool, Problem> {
        let state = self.user(Some(user)).await?;
        Ok(state.identities.contains_key(identity))
    }

    /// Links whom the issuer names to a user: first the identity's stream, which takes one user at a time.
    pub async fn link(
        &self,
        user: &UserId,
        named: Named,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        self.known(user).await?;
        let identity = self.identity(&named).await?;
        let stream = StreamId::identity(&identity);
        let before = self.identities.state(&stream).await?.0.user;
        // One that its user has let go of is free.
        let left_by = match before {
            Some(before) if !self.has(&before, &identity).await? => Some(before),
            _ => None,
        };
        let user_id = user.clone();
        let claim = identity::Command::Claim {
            user: user_id,
            left_by,
        };
        self.identities
            .execute(&stream, claim, envelope.clone())
            .await?;
        let command = user::Command::LinkIdentity(LinkIdentity {
            identity,
            issuer: named.issuer,
            subject: named.subject,
        });
        self.command(user, command, envelope).await
    }

    /// Unlinks an identity, and so ends every session of the user.
    pub async fn unlink(
        &self,
        user: &UserId,
        identity: IdentityId,
        envelope: Envelope,
    ) -> Result<Position, Problem> {
        let command = user::Command::UnlinkIdentity(UnlinkIdentity { identity });
        self.command(user, command, envelope).await
    }
}
