//! Scenarios in one binary, so that the patient ones wait beside the busy ones.

mod bounds;
mod cluster;
mod copies;
mod doctor_over;
mod foreign_commits;
mod gateway;
mod graph;
mod hostile;
mod huge;
mod imports;
mod pipes;
mod processes;
mod provenance;
mod rederive;
mod scope;
mod secrets;
mod subscribers;
mod webhooks;
mod whole;
