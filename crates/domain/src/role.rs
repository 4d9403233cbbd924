//! Roles: what somebody may do in a workspace.
//!
//! Which operations each one may call stands in one table of the gateway.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody may do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything, and who else may do what.
    Owner,
    /// Scans, marks, imports, and every read of what was found.
    Analyst,
    /// Every read of what was found.
    Viewer,
    /// Every read, the records of who did what among them.
    Auditor,
    /// A program: starts scans and reads what was found.
    Service,
}

/// The word is the name of no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: owner, analyst, viewer, auditor, service")]
pub struct UnknownRole(pub String);

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Analyst,
        Self::Viewer,
        Self::Auditor,
        Self::Service,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Analyst => "analyst",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            let json = serde_json::to_string(&role).unwrap();
            assert_eq!(json, format!("\"{role}\""));
        }
        assert!("admin".parse::<Role>().is_err());
    }
}
