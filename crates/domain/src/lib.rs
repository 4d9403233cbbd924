//! What may happen: events, aggregates, entities, scope and the frontier, all of it pure.
//!
//! The words of Mirage, each with its home:
//!
//! | word | home |
//! |---|---|
//! | event | [`event`]: one immutable fact, `scan.started` |
//! | stream, position, cursor, version, log hash | [`id`] |
//! | entity, kind, key | [`entity`] |
//! | relation, direction | [`relation`] |
//! | finding | [`finding`]: one claim with its parent, relation, confidence and evidence |
//! | scan, plan, task, workspace | [`scan`], [`plan`], [`task`], [`workspace`]: their events and commands |
//! | mark | [`mark`]: an analyst's word on a finding; [`standing`]: what falls with it |
//! | role | [`role`]: what somebody may do in a workspace |
//! | user, team, session | [`user`], [`team`], [`session`]: who may enter, and who is in; [`identity`]: by whose word
//! | audit | [`audit`]: what was refused, and what was read that few may read |
//! | subscription, delivery | [`subscription`], [`delivery`]: who is told by webhook, and what came of it |
//! | module | [`module`]: the manifest |
//! | scope | [`scope`]: what may be contacted, by named rules |
//! | frontier | [`frontier`]: the fold that says what is due |
//!
//! **Never:** a clock, I/O, randomness or an async runtime; times and ids come in as fields.

mod aggregate;
pub mod audit;
pub mod delivery;
pub mod entity;
pub mod event;
pub mod finding;
pub mod frontier;
pub mod id;
pub mod identity;
pub mod log;
pub mod mark;
pub mod module;
pub mod plan;
pub mod relation;
pub mod role;
pub mod scan;
pub mod scope;
pub mod sealed;
pub mod session;
pub mod standing;
pub mod subscription;
pub mod task;
pub mod team;
pub mod upcast;
pub mod user;
pub mod workspace;
