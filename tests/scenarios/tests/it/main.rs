//! Scenarios in one binary, so that the patient ones wait beside the busy ones.

mod bounds;
mod graph;
mod copies;
mod hostile;
mod processes;
mod scope;
mod secrets;
mod whole;
