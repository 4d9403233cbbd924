//! The real servers of a cluster, for tests: found, started, hurt, and stopped by pid.
//!
//! ```ignore
//! let Some(nats) = mirage_servers::nats(1) else { return };
//! connect(&nats.url()).await?;
//! ```
//!
//! - A server that cannot be had is a skip that is printed, recorded and counted; where
//!   `MIRAGE_SERVERS_REQUIRED` names it, it is a panic that says how to get it.
//! - A server that is there and does not start is always a panic, with the tail of its log.
//! - Programs come from `cargo xtask servers fetch`, whose cache is looked at first, then from the machine.
//! - Each has ports and a folder of its own; [`Process`] can be killed, stopped, continued and started again.
//! - Starting is synchronous, so that any test can use it; it sleeps while it polls the server's own protocol.
//!
//! **Invariant:** no server outlives the process that started it, however that one ends (`process`).
//! **Never:** a fixed port, an address off the loopback interface, a process stopped by its name.

mod authority;
mod folder;
mod ledger;
mod meilisearch;
mod nats;
mod neo4j;
mod npm;
mod overheard;
mod ports;
mod postgres;
mod process;
mod program;
mod promtool;
mod s3;
mod user;
mod wire;

pub use authority::{Authority, Identity};
pub use ledger::{LEDGER, REQUIRED};
pub use meilisearch::{Meilisearch, meilisearch};
pub use nats::{
    Nats, NatsNode, NatsOptions, Operator, VERSION as NATS_VERSION, nats, nats_program, nats_with,
};
pub use neo4j::{
    GIVEN as NEO4J_GIVEN, Neo4j, Neo4jLock, VERSION as NEO4J_VERSION, java, neo4j, neo4j_alone,
    neo4j_locked,
};
pub use npm::{NPM_LISTS, npm};
pub use overheard::{Overheard, overhear, whole};
pub use postgres::{
    GIVEN as POSTGRES_GIVEN, Postgres, PostgresLock, VERSION as POSTGRES_VERSION, postgres,
    postgres_alone, postgres_locked,
};
pub use process::Process;
pub use program::{Program, cache, cached};
pub use promtool::{VERSION as PROMTOOL_VERSION, promtool};
pub use s3::{S3, VERSION as S3_VERSION, s3, s3_with_tls};

/// One kind of server, as `cargo xtask servers` lists it.
pub struct Kind {
    pub name: &'static str,
    /// The program and its version, or why it cannot be had and what to do about it.
    pub find: fn() -> Result<Program, String>,
}

pub const ALL: &[Kind] = &[
    Kind {
        name: "meilisearch",
        find: meilisearch::find,
    },
    Kind {
        name: "nats",
        find: nats::find,
    },
    Kind {
        name: "neo4j",
        find: neo4j::find,
    },
    Kind {
        name: "postgres",
        find: postgres::find,
    },
    Kind {
        name: "promtool",
        find: promtool::find,
    },
    Kind {
        name: "s3",
        find: s3::find,
    },
];
