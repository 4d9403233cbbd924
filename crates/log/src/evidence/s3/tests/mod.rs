//! The store on a model in memory, fast, and on a real gateway.

mod damage;
mod faults;
mod gateway;
mod model;
mod server;
