//! The store on a model in memory, fast, and on a real gateway.

mod damage;
mod gateway;
mod model;
