//! The gateway over a log of two workspaces, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod description;
mod devices;
mod exports;
mod grpc;
mod imports;
mod limits;
mod live;
mod matrix;
mod oauth;
mod oidc;
mod reads;
mod rederivations;
mod refusing;
mod rig;
mod sign_in;
mod tenancy;
mod tls;
mod views;
mod webhooks;
mod writes;
