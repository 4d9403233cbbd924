//! The log on real servers: the contract, and each rule that a server could break.

mod contract;
mod faults;
mod marks;
mod nodes;
mod refusals;
mod rules;
mod world;
