//! The queue of one process: a bounded list in memory, gone with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mirage_domain::id::TaskId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Delivery, Error, Hold, Incarnation, LEASE, MESSAGES_MAX, TaskQueue, Ticket};

/// See the module's doc.
pub struct InProcess {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    messages_max: usize,
    lease: Duration,
}

#[derive(Default)]
struct State {
    messages: HashMap<TaskId, Message>,
    /// Tasks that wait, in order.
    waiting: VecDeque<TaskId>,
    /// Deliveries so far, over all messages.
    deliveries: u64,
}

struct Message {
    ticket: Ticket,
    /// Number of its newest delivery, which alone is its worker's own; 0 before the first.
    delivery: u64,
    /// When it waits again by itself; `None` while it waits.
    until: Option<Instant>,
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new(MESSAGES_MAX, LEASE)
    }
}

impl InProcess {
    pub fn new(messages_max: usize, lease: Duration) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            messages_max,
            lease,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Forgets every message, as a queue that is lost does.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.messages.clear();
        state.waiting.clear();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task that waits, or when the next one will.
    fn next(self: &Arc<Self>) -> Result<Delivery, Option<Instant>> {
        let mut state = self.state();
        let now = Instant::now();
        state.wake(now);
        let Some(task) = state.waiting.pop_front() else {
            return Err(state.next_wake());
        };
        if !state.waiting.is_empty() {
            self.changed.notify_one();
        }
        state.deliveries += 1;
        let number = state.deliveries;
        let message = state.messages.get_mut(&task);
        let message = message.expect("what waits has a message");
        let mut ticket = message.ticket.clone();
        ticket.is_again |= message.delivery > 0;
        message.delivery = number;
        message.until = Some(now + self.lease);
        let held = Held {
            shared: self.clone(),
            number,
            task,
        };
        Ok(Delivery {
            ticket,
            hold: Box::new(held),
        })
    }
}

impl State {
    /// Lets what is overdue wait again.
    fn wake(&mut self, now: Instant) {
        for (task, message) in &mut self.messages {
            if message.until.is_some_and(|until| until <= now) {
                message.until = None;
                self.waiting.push_back(task.clone());
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let all = self.messages.values();
        all.filter_map(|message| message.until).min()
    }
}

#[async_trait]
impl TaskQueue for InProcess {
    async fn publish(&self, ticket: &Ticket) -> Result<(), Error> {
        let mut state = self.shared.state();
        if state.messages.contains_key(&ticket.task) {
            return Ok(());
        }
        if state.messages.len() >= self.shared.messages_max {
            return Err(Error::Full);
        }
        let message = Message {
            ticket: ticket.clone(),
            delivery: 0,
            until: None,
        };
        state.messages.insert(ticket.task.clone(), message);
        state.waiting.push_back(ticket.task.clone());
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn take(&self) -> Result<Delivery, Error> {
        loop {
            let until = match self.shared.next() {
                Ok(delivery) => return Ok(delivery),
                Err(until) => until,
            };
            let overdue = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = overdue => {}
            }
        }
    }

    /// It lives as long as its process.
    async fn incarnation(&self) -> Result<Incarnation, Error> {
        Ok(Incarnation(0))
    }

    fn lease(&self) -> Duration {
        self.shared.lease
    }
}

struct Held {
    shared: Arc<Shared>,
    task: TaskId,
    /// Of the delivery.
    number: u64,
}

impl Held {
    /// Lets `act` change the message, if it is still in these hands.
    fn with(&self, act: impl FnOnce(&mut State, Instant)) {
        let mut state = self.shared.state();
        let message = state.messages.get(&self.task);
        let is_own = |message: &Message| message.delivery == self.number;
        if message.is_some_and(|message| is_own(message) && message.until.is_some()) {
            act(&mut state, Instant::now());
        }
    }

    fn wake_after(&self, delay: Duration) {
        self.with(|state, now| {
            if let Some(message) = state.messages.get_mut(&self.task) {
                message.until = Some(now + delay);
            }
        });
    }
}

#[async_trait]
impl Hold for Held {
    async fn extend(&self) -> Result<(), Error> {
        self.wake_after(self.shared.lease);
        Ok(())
    }

    async fn finish(&self) -> Result<(), Error> {
        self.with(|state, _| drop(state.messages.remove(&self.task)));
        Ok(())
    }

    async fn hand_back(&self, delay: Duration) -> Result<(), Error> {
        self.wake_after(delay);
        self.shared.changed.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn make(lease: Duration, messages_max: usize) -> Option<(InProcess, ())> {
        Some((InProcess::new(messages_max, lease), ()))
    }

    crate::queue::contract::suite!(make);
}
