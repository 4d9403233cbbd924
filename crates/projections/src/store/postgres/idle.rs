//! Connections that wait for the next question.
//!
//! **Invariant:** at most [`IDLE_MAX`]; none of them within a transaction, or with findings left out.

use std::sync::Mutex;

use super::client::Client;

/// A server gives few connections; a question beyond these pays for its own.
const IDLE_MAX: usize = 8;

#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Client>>);

impl Idle {
    pub(super) fn take(&self) -> Option<Client> {
        self.locked(Vec::pop)
    }

    /// Keeps a connection that is of use.
    pub(super) fn put(&self, client: Client, has_fallen: bool) {
        if client.is_closed()
            || has_fallen
                && client
                    .run("BEGIN READ WRITE; TRUNCATE pg_temp.fallen; COMMIT")
                    .is_err()
        {
            return;
        }
        self.locked(|clients| {
            if clients.len() < IDLE_MAX {
                clients.push(client);
            }
        });
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Vec<Client>) -> T) -> T {
        act(&mut self.0.lock().expect("no holder panics"))
    }
}
