//! The gateway over a log of two workspaces, in one binary.

mod description;
mod matrix;
mod reads;
mod rig;
mod sign_in;
mod writes;
