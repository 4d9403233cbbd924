//! A user without rights, for servers that refuse to run as root.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Who runs the server: None is ourselves.
pub(crate) type User = Option<(u32, u32)>;

/// Ourselves, or where we are root the user `name` of this machine.
pub(crate) fn unprivileged(name: &str) -> Result<User, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [user, _, id, group, ..] = fields[..] else {
            return None;
        };
        (user == name).then_some((id.parse().ok()?, group.parse().ok()?))
    });
    let missing = || {
        format!(
            "it does not run as root, and there is no user `{name}`: `cargo xtask servers fetch {name}`"
        )
    };
    found.map(Some).ok_or_else(missing)
}

pub(crate) fn run_as(command: &mut Command, user: User) {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
}
