//! From the errors about users, sessions, members and teams to the public table.

use mirage_domain::{identity, session, team, user, workspace};

use super::Coded;

impl Coded for user::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Create(user::CreateError::Exists) => "user_exists",
            Self::Identity(user::IdentityError::TooMany) => "identities_full",
            Self::Identity(user::IdentityError::None) => "no_such_identity",
            Self::Create(user::CreateError::Name | user::CreateError::Email)
            | Self::Create(user::CreateError::Password(user::SetPasswordError::Form))
            | Self::SetPassword(user::SetPasswordError::Form)
            | Self::Identity(user::IdentityError::Issuer | user::IdentityError::Subject)
            | Self::Totp(user::TotpError::Secret) => "bad_value",
            Self::Create(user::CreateError::Password(user::SetPasswordError::NoUser))
            | Self::SetPassword(user::SetPasswordError::NoUser)
            | Self::Totp(user::TotpError::NoUser)
            | Self::Identity(user::IdentityError::NoUser)
            | Self::Suspend(user::SuspendError::NoUser) => "no_such_user",
            Self::Totp(user::TotpError::None) => "no_second_factor",
            Self::SignIn(user::SignInError::NoCode) => "code_needed",
            Self::SignIn(user::SignInError::SessionOver) => "access_denied",
            Self::SignIn(user::SignInError::NotLinked) => "oidc_not_linked",
            Self::SignIn(user::SignInError::MayNotEnter | user::SignInError::Used) => {
                "sign_in_failed"
            }
        }
    }
}

impl Coded for identity::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Taken => "identity_taken",
        }
    }
}

impl Coded for session::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Open(session::OpenError::Exists) => "conflict",
            Self::Open(session::OpenError::Expired) => "bad_value",
            Self::Refresh(session::RefreshError::Unknown | session::RefreshError::Over) => {
                "session_over"
            }
            Self::Revoke(session::RevokeError::NoSession) => "no_such_session",
        }
    }
}

impl Coded for team::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists => "conflict",
            Self::NoTeam => "no_such_team",
            Self::NoMember => "no_such_member",
            Self::TooMany => "members_full",
            Self::Name => "bad_value",
        }
    }
}

impl Coded for workspace::SetMemberError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoWorkspace => "no_such_workspace",
            Self::LastOwner => "last_owner",
            Self::TooMany => "members_full",
        }
    }
}

impl Coded for workspace::RemoveMemberError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoMember => "no_such_member",
            Self::LastOwner => "last_owner",
        }
    }
}

impl Coded for workspace::SetTeamError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoWorkspace => "no_such_workspace",
            Self::NoTeam => "no_such_team",
            Self::Owner => "bad_value",
            Self::TooMany => "members_full",
        }
    }
}
