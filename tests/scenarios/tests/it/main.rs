//! Scenarios in one binary, so that the patient ones wait beside the busy ones.

mod bounds;
mod copies;
mod hostile;
mod imports;
mod processes;
mod scope;
mod secrets;
mod whole;
